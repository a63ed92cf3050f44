//! The way between the master and a device.

use std::net::{IpAddr, SocketAddr};

use stack::Datagram;

/// How a device is reached: from which of our addresses, to which of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// The listen address that it called.
    pub(crate) listener: u8,
    /// The address that it called, where the listener is bound to a wildcard.
    pub(crate) local: Option<IpAddr>,
    /// Its own address.
    pub(crate) remote: SocketAddr,
}

impl Path {
    /// A datagram to the device: the concatenation of `parts`.
    pub(crate) fn datagram(&self, parts: &[&[u8]]) -> Datagram {
        Datagram::new(self.listener, self.local, self.remote, parts)
    }
}
