//! The way between the master and a device.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use stack::{Datagram, Envelope};

/// Which form of the protocol a device speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    /// IDs, salts and digests as bytes: G4KLX, "MMDVM Host".
    #[default]
    Binary,
    /// All of them as hexadecimal digits: DL5DI 2015, "Homebrew Repeater".
    Text,
}

/// How a device is reached: from which of our addresses, to which of its, in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// The listen address that it called.
    pub(crate) listener: u8,
    /// The address that it called, where the listener is bound to a wildcard.
    pub(crate) local: Option<IpAddr>,
    /// Its own address.
    pub(crate) remote: SocketAddr,
    /// What it speaks.
    pub(crate) dialect: Dialect,
}

impl Path {
    /// A datagram to the device: the concatenation of `parts`.
    pub(crate) fn datagram(&self, parts: &[&[u8]]) -> Datagram {
        Datagram::new(self.envelope(), parts)
    }

    pub(crate) fn envelope(&self) -> Envelope {
        Envelope { listener: self.listener, local: self.local, to: self.remote }
    }
}
