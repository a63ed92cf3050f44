//! Where a registry or a broker is: inside the cluster, started by it, or at an address.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::quote;

/// The longest user name, in characters.
const MAX_USER: usize = 64;
/// The longest host name (RFC 1035), in characters.
const MAX_HOST: usize = 253;
/// The longest path of a Unix socket, in bytes: `sun_path` has 108, the last one 0.
const MAX_SOCKET: usize = 107;

/// Where a store or broker is. As text, and in JSON, it is what stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Url {
    /// The one inside the cluster.
    Embedded,
    /// The system's own program, which the supervisor starts and watches.
    Managed,
    /// One that runs by itself.
    Remote(Remote),
}

/// A server and who we are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// What is spoken, and over what.
    pub scheme: Scheme,
    /// Our name there; `None` where nobody is asked.
    pub user: Option<String>,
    /// Where.
    pub address: Address,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Host {
        /// A name, or an IP address (IPv6 without brackets).
        host: String,
        /// 1 to 65535.
        port: u16,
    },
    /// A Unix socket: an absolute path.
    Socket(PathBuf),
}

/// What is spoken, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Tarantool's binary protocol over TCP.
    Tarantool,
    /// The same within TLS.
    TarantoolTls,
    /// The same over a Unix socket.
    TarantoolUnix,
    /// MQTT over TCP.
    Mqtt,
    /// MQTT within TLS.
    Mqtts,
}

impl Scheme {
    /// Those of a registry.
    pub const REGISTRY: &'static [Self] = &[Self::Tarantool, Self::TarantoolTls, Self::TarantoolUnix];
    /// Those of a broker.
    pub const EVENTS: &'static [Self] = &[Self::Mqtt, Self::Mqtts];

    /// As it is written, without `://`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tarantool => "tarantool",
            Self::TarantoolTls => "tarantool+tls",
            Self::TarantoolUnix => "tarantool+unix",
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
        }
    }

    /// Whether all is within TLS.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::TarantoolTls | Self::Mqtts)
    }

    const fn port(self) -> u16 {
        match self {
            Self::Tarantool | Self::TarantoolTls | Self::TarantoolUnix => 3301,
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
        }
    }
}

impl fmt::Display for Address {
    /// `host:port`, as a program that connects is told, or the path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Managed => f.write_str("managed"),
            Self::Remote(Remote { scheme, user, address }) => {
                let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                write!(f, "{}://{user}{address}", scheme.as_str())
            }
        }
    }
}

impl FromStr for Url {
    type Err = String;

    /// The error says what is wrong and what would be valid; a password in the text is never repeated.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => return Ok(Self::Embedded),
            "managed" => return Ok(Self::Managed),
            _ => {}
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("not a URL; write \"embedded\", \"managed\" or e.g. \"tarantool://user@host:3301\""
                .to_owned());
        };
        let all = Scheme::REGISTRY.iter().chain(Scheme::EVENTS);
        let Some(&scheme) = all.into_iter().find(|known| known.as_str() == scheme) else {
            return Err(format!("{}: unknown scheme", quote(scheme)));
        };
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(
                "a password does not belong into a URL, which others read; write it into a file of its own \
                        and name that as password_file"
                    .to_owned(),
            );
        }
        let user = user.map(read_user).transpose()?;
        let address = match scheme {
            Scheme::TarantoolUnix => read_path(place)?,
            _ => read_host(place, scheme.port())?,
        };
        Ok(Self::Remote(Remote { scheme, user, address }))
    }
}

fn read_user(user: &str) -> Result<String, String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if user.is_empty() || user.len() > MAX_USER || !user.chars().all(valid) {
        return Err(format!("{}: a user has 1 to {MAX_USER} letters, digits, '_', '-' or '.'", quote(user)));
    }
    Ok(user.to_owned())
}

fn read_path(path: &str) -> Result<Address, String> {
    if !path.starts_with('/') || path.len() > MAX_SOCKET || path.chars().any(char::is_control) {
        return Err(format!(
            "{}: write the absolute path of a socket, of at most {MAX_SOCKET} bytes, e.g. \
             \"tarantool+unix://user@/run/tarantool/registry.sock\"",
            quote(path)
        ));
    }
    Ok(Address::Socket(path.into()))
}

fn read_host(place: &str, default: u16) -> Result<Address, String> {
    let place = place.strip_suffix('/').unwrap_or(place);
    match host_and_port(place) {
        Some((host, port)) => Ok(Address::Host { host: host.to_owned(), port: port.unwrap_or(default) }),
        None => Err(format!(
            "{}: not a host with a port; write e.g. \"registry.example.org:{default}\" or \"[2001:db8::1]:{default}\"",
            quote(place)
        )),
    }
}

/// A host (IPv6 without its brackets) and a port, if there is one; `None` where one of them cannot be.
pub(crate) fn host_and_port(place: &str) -> Option<(&str, Option<u16>)> {
    let bracketed = place.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or("none"))),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let valid = match bracketed {
        Some(_) => host.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let letters = host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
            !host.is_empty() && host.len() <= MAX_HOST && letters
        }
    };
    let number = |port: &str| port.parse().ok().filter(|number| *number > 0 && !port.starts_with('+'));
    match port.map(number) {
        None if valid => Some((host, None)),
        Some(Some(port)) if valid => Some((host, Some(port))),
        _ => None,
    }
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Url> for String {
    fn from(url: Url) -> Self {
        url.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn urls_are_written_as_they_are_read() {
        for text in [
            "embedded",
            "managed",
            "tarantool://api@registry.example.org:3302",
            "tarantool+tls://api@192.0.2.1:3301",
            "tarantool+unix://api@/run/registry.sock",
            "mqtt://127.0.0.1:1883",
            "mqtts://bm@[2001:db8::1]:8883",
        ] {
            assert_eq!(read(text).to_string(), text);
            let json = serde_json::to_string(&read(text)).unwrap();
            assert_eq!(serde_json::from_str::<Url>(&json).unwrap(), read(text));
        }
        assert_eq!(read("mqtt://[::1]/").to_string(), "mqtt://[::1]:1883");
        assert_eq!(read("mqtts://b").to_string(), "mqtts://b:8883");
        assert_eq!(read("tarantool://u@b").to_string(), "tarantool://u@b:3301");
    }

    #[test]
    fn what_is_none_is_said() {
        for (text, reason) in [
            ("", "not a URL; write \"embedded\", \"managed\" or"),
            ("http://a", "\"http\": unknown scheme"),
            ("mqtt://", "\"\": not a host with a port"),
            ("mqtt://a:0", "\"a:0\": not a host with a port; write e.g. \"registry.example.org:1883\""),
            ("mqtt://a:65536", "\"a:65536\": not a host"),
            ("mqtt://a:+5", "\"a:+5\": not a host"),
            ("mqtt://[::1]5", "\"[::1]5\": not a host"),
            ("mqtt://[a]:5", "\"[a]:5\": not a host"),
            ("mqtt://a b", "\"a b\": not a host"),
            ("mqtt://@a", "\"\": a user has 1 to 64 letters"),
            ("tarantool+unix://run/x", "\"run/x\": write the absolute path of a socket"),
        ] {
            let error = text.parse::<Url>().unwrap_err();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
        let error = "tarantool://api:hidden@h".parse::<Url>().unwrap_err();
        assert!(error.contains("password_file") && !error.contains("hidden"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_answer(text in "(mqtts?|tarantool(\\+tls|\\+unix)?)://[a-z@:/\\[\\].0-9]{0,30}") {
            if let Ok(url) = text.parse::<Url>() {
                proptest::prop_assert_eq!(url.to_string().parse::<Url>().unwrap(), url);
            }
        }
    }
}
