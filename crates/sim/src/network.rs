//! Another network that is linked to the server over OpenBridge: what it is, and what it takes for signed.
//!
//! There is no login and no answer: each side knows the other's address and the key. Of FreeDMR's extensions it
//! speaks none.

use std::net::SocketAddr;

use openbridge::{Packet, Signer, parse};
use stack::Key;

use crate::Error;

/// The other network: it makes half of the calls, the first one among them, and should hear the others.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its network ID.
    pub id: u32,
    /// The key, the same on both sides.
    pub key: Key,
    /// Where it listens and what it sends from. Port 0, any that is free, is for a server that learns it.
    pub listen: SocketAddr,
    /// Where the server listens for OpenBridge.
    pub server: SocketAddr,
}

impl Network {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Self { id, listen, server, .. } = self;
        let family = |address: &SocketAddr| if address.is_ipv4() { "IPv4" } else { "IPv6" };
        if *id == 0 {
            return Err(Error::Settings(format!("network ID 0: write one from 1 to {}", u32::MAX)));
        }
        if family(listen) != family(server) {
            let (ours, theirs) = (family(listen), family(server));
            return Err(Error::Settings(format!(
                "the network listens at {listen} ({ours}) and the server at {server} ({theirs}): name addresses of one family"
            )));
        }
        Ok(())
    }

    pub(crate) fn signer(&self) -> Result<Signer, Error> {
        signer(&self.key)
    }
}

/// What signs and checks with this key.
pub(crate) fn signer(key: &Key) -> Result<Signer, Error> {
    Signer::new(key)
        .ok_or_else(|| Error::Settings("the network's key: write one of 1 to 64 bytes".to_owned()))
}

/// What came to the network.
pub(crate) struct Inbox {
    signer: Signer,
    unsigned: u64,
    first_unsigned: Option<String>,
}

impl Inbox {
    pub(crate) fn new(signer: Signer) -> Self {
        Self { signer, unsigned: 0, first_unsigned: None }
    }

    /// Takes in a datagram. Returns the burst in it without its signature, where that is right.
    pub(crate) fn take<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let reason = match parse(bytes) {
            None => "not of OpenBridge",
            Some(signed) if !signed.is_by(&self.signer) => "not signed with the key",
            Some(signed) => {
                let Packet::Burst { head, .. } = signed.packet else { return None };
                return Some(head);
            }
        };
        self.unsigned += 1;
        if self.first_unsigned.is_none() {
            let begin = bytes.get(..16).unwrap_or(bytes);
            let begin: Vec<_> = begin.iter().map(|byte| format!("{byte:02x}")).collect();
            self.first_unsigned =
                Some(format!("{reason}: {} bytes that begin with {}", bytes.len(), begin.join(" ")));
        }
        None
    }

    /// How many datagrams were not signed with the key, and what the first of them was.
    pub(crate) fn unsigned(&self) -> (u64, Option<String>) {
        (self.unsigned, self.first_unsigned.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Signer {
        signer(&Key::new(text).unwrap()).unwrap()
    }

    fn burst(signer: &Signer) -> Vec<u8> {
        let head = [b"DMRD".as_slice(), &[0; 49]].concat();
        [head.as_slice(), &signer.sign(&head)].concat()
    }

    #[test]
    fn what_is_not_signed_with_the_key_is_counted_and_named() {
        let mut inbox = Inbox::new(key("right"));
        let good = burst(&key("right"));
        assert_eq!(inbox.take(&good), Some(&good[..53]));
        assert_eq!(inbox.unsigned(), (0, None));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert_eq!(inbox.take(&bad), None, "byte {at}");
        }
        let (count, first) = inbox.unsigned();
        assert_eq!(count, 73);
        assert!(first.unwrap().starts_with("not of OpenBridge: 73 bytes that begin with 04 4d 52 44 00"));
        let mut inbox = Inbox::new(key("right"));
        assert_eq!(inbox.take(&burst(&key("wrong"))), None);
        assert_eq!(inbox.take(&good[..53]), None);
        assert_eq!(inbox.take(&[]), None);
        let (count, first) = inbox.unsigned();
        assert_eq!(count, 3);
        assert!(first.unwrap().starts_with("not signed with the key: 73 bytes that begin with 44 4d 52 44"));
    }

    #[test]
    fn a_sign_of_life_is_no_burst_and_no_mistake() {
        let mut inbox = Inbox::new(key("right"));
        let alive = [b"BCKA".as_slice(), &key("right").sign(b"BCKA")].concat();
        assert_eq!((inbox.take(&alive), inbox.unsigned()), (None, (0, None)));
    }

    #[test]
    fn networks_that_cannot_be_are_refused() {
        let good = Network {
            id: 7,
            key: Key::new("secret").unwrap(),
            listen: "127.0.0.1:62099".parse().unwrap(),
            server: "127.0.0.1:62035".parse().unwrap(),
        };
        assert!(good.check().is_ok() && !format!("{good:?}").contains("secret"));
        let reason = |network: Network| network.check().unwrap_err().to_string();
        assert!(reason(Network { id: 0, ..good.clone() }).contains("from 1 to"));
        let other = Network { server: "[::1]:62035".parse().unwrap(), ..good };
        assert!(reason(other).contains("127.0.0.1:62099 (IPv4) and the server at [::1]:62035 (IPv6)"));
    }
}
