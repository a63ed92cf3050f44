//! What can go wrong.

use std::io;
use std::net::SocketAddr;

/// What can stop the services, or a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The supervisor's socket.
    #[error(transparent)]
    Channel(#[from] channel::Error),
    /// Shared memory.
    #[error(transparent)]
    Fabric(#[from] fabric::Error),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The address for metrics cannot be had.
    #[error("cannot listen on {address} for metrics: {source}; free it, or set metrics.listen")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The supervisor's orders make no sense.
    #[error("the supervisor's orders: {0}; do supervisor and services have the same version?")]
    Orders(String),
    /// A device that is to be added is there.
    #[error("device {0} is in the registry already; remove it first, or give it another password")]
    DeviceExists(u32),
    /// A device that is not there.
    #[error("device {0} is not in the registry; see the list of devices")]
    NoDevice(u32),
    /// Nobody is logged in under this ID.
    #[error("no context has the ID {0}; see the list of contexts")]
    NoContext(u32),
    /// A request that cannot be read.
    #[error("not a request: {0}; do bmctl and cluster have the same version?")]
    NoRequest(String),
    /// A request that was not sent in time.
    #[error("no whole request within {0} s; send one JSON object on one line")]
    TooSlow(u64),
    /// Too many connections.
    #[error("{0} connections are open already; close some and try again")]
    TooMany(usize),
    /// Somebody else's process.
    #[error("not allowed: ask as the user who started the cluster, or as root")]
    NotAllowed,
}

impl Error {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// Whether a second start would fail in the same way.
    pub(crate) const fn is_lasting(&self) -> bool {
        matches!(self, Self::Registry(_) | Self::Metrics { .. })
    }
}
