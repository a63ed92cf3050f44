//! What can go wrong.

use std::io;
use std::net::SocketAddr;

use registry::{MAX_AT_ONCE, Space};

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
    /// What is needed to reach a server elsewhere cannot be had.
    #[error("{address}: {reason}")]
    NoUplink {
        /// The server's address.
        address: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// A server elsewhere that cannot be reached now.
    #[error("{address}: {reason}")]
    Unreachable {
        /// Its address.
        address: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// One that would be lasting, had services not served with the same set-up before.
    #[error(transparent)]
    ForNow(Box<Self>),
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
    #[error("device {0} is not in the registry; `bmctl device list` shows who is")]
    NoDevice(u32),
    /// Nobody is logged in under this ID.
    #[error("no context has the ID {0}; `bmctl contexts` shows who is logged in")]
    NoContext(u32),
    /// The stack of other networks is not on.
    #[error("there are no peers: the configuration file has no [stacks.openbridge]")]
    NoPeers,
    /// This host is joined with no others.
    #[error(
        "this host is joined with no others: the configuration file has no [stacks.fastforward]; add it, with a \
         key_file, and start the cluster anew"
    )]
    NoHosts,
    /// A slot that does not exist.
    #[error("slot {0}: write 1 or 2")]
    NoSlot(u8),
    /// A talkgroup that is subscribed for ever is to be so at times.
    #[error(
        "talkgroup {talkgroup} is static on TS{slot} of device {id} all the time; unsubscribe it first, then give it \
         its times"
    )]
    AlwaysStatic {
        /// The device.
        id: u32,
        /// The talkgroup.
        talkgroup: u32,
        /// The slot.
        slot: u8,
    },
    /// A talkgroup that is subscribed already.
    #[error("talkgroup {talkgroup} is static on TS{slot} of device {id} already")]
    Subscribed {
        /// The device.
        id: u32,
        /// The talkgroup.
        talkgroup: u32,
        /// The slot.
        slot: u8,
    },
    /// A talkgroup that the registry does not have for the device.
    #[error(
        "the registry has no static talkgroup {talkgroup} on TS{slot} of device {id}: what a device asks for itself \
         it has to drop itself, and what was keyed ends with `bmctl drop-dynamic {id}`"
    )]
    NotSubscribed {
        /// The device.
        id: u32,
        /// The talkgroup.
        talkgroup: u32,
        /// The slot.
        slot: u8,
    },
    /// A talkgroup that is blocked is to be subscribed.
    #[error(
        "talkgroup {talkgroup} is blocked for device {id}; unblock it first: \
         `bmctl device unblock {id} {talkgroup}`"
    )]
    IsBlocked {
        /// The device.
        id: u32,
        /// The talkgroup.
        talkgroup: u32,
    },
    /// A talkgroup that is blocked already.
    #[error("talkgroup {talkgroup} is blocked for device {id} already")]
    Blocked {
        /// The device.
        id: u32,
        /// The talkgroup.
        talkgroup: u32,
    },
    /// A talkgroup that is not blocked is to be unblocked.
    #[error("talkgroup {talkgroup} is not blocked for device {id}; `bmctl device list` shows what is")]
    NotBlocked {
        /// The device.
        id: u32,
        /// The talkgroup.
        talkgroup: u32,
    },
    /// A registry is to be confirmed that is followed, is away, or is none.
    #[error("there is nothing to confirm: `bmctl registry status` shows how the registry is")]
    NoDoubt,
    /// A ban that is too short or too long.
    #[error("a ban of {0} s: give 1 s to ten years, or no time for one without end")]
    BanTime(u64),
    /// Too many bans.
    #[error("{0} bans hold already; lift some, or put ranges under [access.radios]")]
    TooManyBans(usize),
    /// An ID that is not banned.
    #[error("{0} is not banned; `bmctl bans` shows who is")]
    NoBan(u32),
    /// A space that does not exist.
    #[error("there is no space of this name; there are {}", spaces())]
    NoSpace,
    /// A key that cannot be one of its space.
    #[error("{0}: no such key can be; write {1}")]
    NoKey(Space, &'static str),
    /// Too much for one request.
    #[error("{0} records at once; ask for 1 to {MAX_AT_ONCE}")]
    TooManyRecords(usize),
    /// Records that cannot be; nothing was written.
    #[error("nothing is written: {}", .0.join("; "))]
    BadRecords(Vec<String>),
    /// A transport that does not exist.
    #[error("transport: there is no such one; write udp, tls, direct, vsock or rdma")]
    NoTransport,
    /// A node that cannot be reached so from here.
    #[error("node {id} cannot be reached by {transport}: {reason}")]
    NoWay {
        /// The node.
        id: u32,
        /// How.
        transport: &'static str,
        /// Why not, and what to do.
        reason: String,
    },
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

fn spaces() -> String {
    Space::ALL.map(Space::name).join(", ")
}

impl Error {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// The same; not lasting where services have served with the same set-up before (`again`).
    pub(crate) fn if_first(again: bool) -> impl FnOnce(Self) -> Self {
        move |error| if again && error.is_lasting() { Self::ForNow(Box::new(error)) } else { error }
    }

    /// Whether a second start would fail in the same way.
    pub(crate) const fn is_lasting(&self) -> bool {
        matches!(self, Self::Registry(_) | Self::Metrics { .. } | Self::NoUplink { .. })
    }
}
