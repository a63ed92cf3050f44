//! Other hosts of the network, and nodes of it that are reached in another way than they announce.

use config::{HostKey, PeerAddress, Secret};
use serde::{Deserialize, Serialize};

use super::check_text;
use crate::{Key, Row, Space};

/// The highest node ID: 24 bits.
pub const MAX_NODE: u32 = 0x00ff_ffff;
/// The longest host name (RFC 1035), in characters.
const MAX_ADDRESS: usize = 253;

/// A host of the network, by its first node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its ID, which is that of its first node: 1 to [`MAX_NODE`].
    pub id: u32,
    /// For people: at most 64 characters.
    #[serde(default)]
    pub name: String,
    /// Host name or IP address.
    pub address: String,
    /// Its FastForward port, 1 to 65535.
    pub port: u16,
    /// The key that it is spoken with under, 64 hex digits; none for the network's.
    #[serde(default)]
    pub key: Option<Secret>,
}

impl Node {
    /// Where it is; `None` for what no address can be.
    #[must_use]
    pub fn place(&self) -> Option<PeerAddress> {
        place(&self.address, self.port)
    }

    /// The key of its own; `None` where it has none.
    ///
    /// # Errors
    /// In words: what a key is. Never what is there instead.
    pub fn host_key(&self) -> Result<Option<HostKey>, String> {
        self.key.as_ref().map(|key| HostKey::read(key.expose())).transpose()
    }
}

/// A node that is reached in another way than the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverriddenNode {
    /// 1 to [`MAX_NODE`].
    pub id: u32,
    /// Flags of the way; 0 for none.
    #[serde(default)]
    pub options: u32,
    /// The way.
    pub transport: Transport,
    /// As the way needs it: host name or IP address; for vSockets the CID; nothing for shared memory.
    #[serde(default)]
    pub address: String,
    /// 1 to 65535; 0 for shared memory.
    #[serde(default)]
    pub port: u16,
}

impl OverriddenNode {
    /// Where it is; `None` for what no address can be.
    #[must_use]
    pub fn place(&self) -> Option<PeerAddress> {
        place(&self.address, self.port)
    }
}

/// How bursts go to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// Datagrams.
    #[serde(rename = "FORWARD_TRANSPORT_UDP")]
    Udp,
    /// A stream within TLS.
    #[serde(rename = "FORWARD_TRANSPORT_TLS")]
    Tls,
    /// Shared memory of one host.
    #[serde(rename = "FORWARD_TRANSPORT_DIRECT")]
    Direct,
    /// Between virtual machines of one host.
    #[serde(rename = "FORWARD_TRANSPORT_VSOCK")]
    Vsock,
    /// From memory to memory by the network card.
    #[serde(rename = "FORWARD_TRANSPORT_RDMA")]
    Rdma,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tls, Self::Direct, Self::Vsock, Self::Rdma];

    /// As an operator names it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tls => "tls",
            Self::Direct => "direct",
            Self::Vsock => "vsock",
            Self::Rdma => "rdma",
        }
    }
}

fn check_node(id: u32) -> Result<(), String> {
    if (1..=MAX_NODE).contains(&id) {
        Ok(())
    } else {
        Err(format!("a node ID is a number from 1 to {MAX_NODE}"))
    }
}

fn place(address: &str, port: u16) -> Option<PeerAddress> {
    let text =
        if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
    text.parse().ok()
}

fn check_place(address: &str, port: u16) -> Result<(), String> {
    if address.len() > MAX_ADDRESS || place(address, 1).is_none() {
        return Err("address: write a host name or an IP address".to_owned());
    }
    if port == 0 { Err("port: write one from 1 to 65535".to_owned()) } else { Ok(()) }
}

impl Row for Node {
    const SPACE: Space = Space::Nodes;

    fn key(&self) -> Key {
        Key::Id(self.id)
    }

    fn check(&self) -> Result<(), String> {
        check_node(self.id)?;
        check_text("name", &self.name, 64)?;
        check_place(&self.address, self.port)?;
        self.host_key().map(drop).map_err(|reason| format!("key: {reason}"))
    }
}

impl Row for OverriddenNode {
    const SPACE: Space = Space::OverriddenNodes;

    fn key(&self) -> Key {
        Key::Id(self.id)
    }

    fn check(&self) -> Result<(), String> {
        check_node(self.id)?;
        match self.transport {
            Transport::Direct if !self.address.is_empty() || self.port != 0 => {
                Err("address, port: shared memory has none; leave them out".to_owned())
            }
            Transport::Direct => Ok(()),
            // 0 to 2 are the hypervisor, the machine itself and the host; all ones is "any".
            Transport::Vsock if !self.address.parse().is_ok_and(|cid: u32| cid < u32::MAX) => {
                Err("address: a vSocket has a context ID (CID), e.g. 3".to_owned())
            }
            Transport::Udp | Transport::Tls | Transport::Vsock | Transport::Rdma => {
                check_place(&self.address, self.port)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;

    fn node(transport: Transport, address: &str, port: u16) -> OverriddenNode {
        OverriddenNode { id: 2501, options: 0, transport, address: address.to_owned(), port }
    }

    #[test]
    fn a_host_has_a_place_and_may_have_a_key_that_is_not_shown() {
        const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
        let host = |address: &str, key: Option<&str>| Node {
            id: 25_011,
            name: "One".to_owned(),
            address: address.to_owned(),
            port: 54_000,
            key: key.map(|key| Secret::new(key).unwrap()),
        };
        let record = Record::of(&host("2001:db8::7", Some(KEY))).unwrap();
        let row: Node = record.row().unwrap();
        assert!(!format!("{row:?} {:?}", row.host_key()).contains("22"));
        assert_eq!(row.place().unwrap().to_string(), "[2001:db8::7]:54000");
        assert_eq!(row.host_key().unwrap().unwrap().0[..3], [0, 0x11, 0x22]);
        let named = host("host.example.org", None);
        assert_eq!(named.place().unwrap().name(), Some("host.example.org"));
        assert_eq!((named.check(), named.host_key()), (Ok(()), Ok(None)));
        let seen = &KEY[..63];
        let error = host("a", Some(seen)).check().unwrap_err();
        assert!(error.starts_with("key: no key; a key is 64 hex digits") && !error.contains(seen), "{error}");
        for bad in ["", "a b", "a:b", "a\nb"] {
            assert_eq!(host(bad, None).check().unwrap_err(), "address: write a host name or an IP address");
        }
    }

    #[test]
    fn each_way_has_addresses_of_its_own() {
        for good in [
            node(Transport::Udp, "192.0.2.1", 54_000),
            node(Transport::Tls, "2001:db8::1", 54_000),
            node(Transport::Rdma, "node.example.org", 54_000),
            node(Transport::Vsock, "3", 54_000),
            node(Transport::Direct, "", 0),
        ] {
            let record = Record::of(&good).unwrap();
            assert_eq!(record.row::<OverriddenNode>(), Some(good));
        }
        for (bad, reason) in [
            (node(Transport::Udp, "", 1), "address: write a host name"),
            (node(Transport::Udp, "a b", 1), "address: write a host name"),
            (node(Transport::Udp, "a", 0), "port: write one from 1 to 65535"),
            (node(Transport::Vsock, "a", 1), "address: a vSocket has a context ID (CID), e.g. 3"),
            (node(Transport::Vsock, "4294967295", 1), "address: a vSocket has"),
            (node(Transport::Direct, "a", 0), "address, port: shared memory has none; leave them out"),
            (
                OverriddenNode { id: 0, ..node(Transport::Direct, "", 0) },
                "a node ID is a number from 1 to 16777215",
            ),
        ] {
            assert!(bad.check().unwrap_err().starts_with(reason), "{bad:?}");
        }
        let udp = serde_json::to_value(Transport::Udp).unwrap();
        assert_eq!(udp, "FORWARD_TRANSPORT_UDP");
    }
}
