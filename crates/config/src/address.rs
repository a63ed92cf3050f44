//! Where something beyond this host is reached: an IP address or a name, and a port. Names are looked up elsewhere.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::quote;
use crate::url;

/// Where another network or another host is, as somebody wrote it: `192.0.2.9:62035`, `[2001:db8::1]:62035`, `bridge.example.org:62035`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PeerAddress {
    /// A name, or an IP address (IPv6 without brackets).
    host: String,
    port: u16,
}

impl PeerAddress {
    /// The address that a text is, if it is one.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (host, port) = url::host_and_port(text)?;
        Some(Self { host: host.to_owned(), port: port? })
    }

    /// Whether both are the same place: names are the same in capitals.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let is_same_host = match (self.socket(), other.socket()) {
            (Some(one), Some(other)) => one == other,
            (None, None) => self.host.eq_ignore_ascii_case(&other.host),
            _ => false,
        };
        is_same_host && self.port == other.port
    }

    /// Its name, where it is none that can be used as it is.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.socket().is_none().then_some(self.host.as_str())
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// As it is, where that is an IP address.
    #[must_use]
    pub fn socket(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.host.parse().ok()?;
        Some(SocketAddr::new(ip, self.port))
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl FromStr for PeerAddress {
    type Err = String;

    /// The error says what is wrong and what would be valid.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| {
            format!(
                "{}: not an address with a port; write e.g. \"192.0.2.9:62035\", \"[2001:db8::1]:62035\" or \
                 \"bridge.example.org:62035\"",
                quote(text)
            )
        })
    }
}

impl TryFrom<String> for PeerAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PeerAddress> for String {
    fn from(address: PeerAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port() {
        for text in ["192.0.2.9:62035", "[2001:db8::1]:1", "bridge.example.org:65535"] {
            let address: PeerAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.name().is_some(), text.starts_with("bridge"));
        }
        for text in ["", "192.0.2.9", "a:0", "a:65536", "::1:5", "[::1]", "a b:5", ":5", "a:+5", "[a]:5"] {
            let error = text.parse::<PeerAddress>().unwrap_err();
            assert!(error.contains("not an address with a port; write e.g. \"192.0.2.9:62035\""), "{error}");
        }
    }

    #[test]
    fn one_place_is_written_in_several_ways() {
        let is_same =
            |one: &str, other: &str| one.parse::<PeerAddress>().unwrap().is_same(&other.parse().unwrap());
        assert!(is_same("[2001:db8::1]:5", "[2001:DB8:0::1]:5") && is_same("Host.test:5", "host.TEST:5"));
        assert!(!is_same("192.0.2.1:5", "192.0.2.1:6") && !is_same("a.test:5", "b.test:5"));
        assert!(!is_same("a.test:5", "192.0.2.1:5") && !is_same("a.test:5", "a.test:6"));
    }
}
