//! What carries the datagrams of FastForward from node to node: the names of the ways there are, an address on one of them, and
//! the seam [`Carrier`] behind which each is.
//!
//! A way carries whole datagrams, each or none, in any order, and is trusted with nothing: what is in them is sealed. Nothing here
//! opens a socket; whoever has a loop round one implements the seam.

#![forbid(unsafe_code)]

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A way from node to node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// UDP over IPv4 or IPv6: everywhere, without promises.
    #[default]
    Udp,
}

impl Transport {
    /// All there are.
    pub const ALL: [Self; 1] = [Self::Udp];

    /// Its bit in an announcement of what a node has.
    #[must_use]
    pub const fn bit(self) -> u8 {
        match self {
            Self::Udp => 1,
        }
    }

    /// As people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a node is reached: `192.0.2.7:54000`, `[2001:db8::7]:54000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// By which way.
    pub transport: Transport,
    /// Host and port. An IPv4 address is never written as one of IPv6.
    pub socket: SocketAddr,
}

impl Address {
    /// An address of UDP.
    #[must_use]
    pub fn udp(socket: SocketAddr) -> Self {
        let socket = SocketAddr::new(socket.ip().to_canonical(), socket.port());
        Self { transport: Transport::Udp, socket }
    }

    /// The same host at another port: each node of a host has one number, whatever the way.
    #[must_use]
    pub fn at_port(self, port: u16) -> Self {
        Self { socket: SocketAddr::new(self.socket.ip(), port), ..self }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Udp => self.socket.fmt(f),
        }
    }
}

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::udp)
    }
}

/// One way, as a loop uses it: datagrams out now, all that waits at the end of a round.
pub trait Carrier {
    /// Takes a datagram to be sent. What cannot be sent is lost, and counted by the implementation.
    fn send(&mut self, to: &Address, datagram: &[u8]);

    /// Sends all that was taken.
    fn flush(&mut self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_is_written() {
        for text in ["192.0.2.7:54000", "[2001:db8::7]:54000"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let mapped: Address = "[::ffff:192.0.2.7]:1".parse().unwrap();
        assert_eq!(mapped.at_port(54001), "192.0.2.7:54001".parse().unwrap());
        assert!("192.0.2.7".parse::<Address>().is_err());
        assert_eq!(Transport::ALL.map(|way| (way.bit(), way.to_string())), [(1, "udp".to_owned())]);
    }
}
