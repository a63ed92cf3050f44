//! What goes into a node and what comes out.

use switch::{FarCall, Forward, SessionId, SessionReport};
use transport::Address;

use crate::seal::NetworkKey;

/// What a node is. It has no `Debug`: challenges are made of its seed.
#[derive(Clone)]
pub struct Settings {
    /// Its ID.
    pub node: u32,
    /// Its host's ID: that of the host's first node.
    pub host: u32,
    /// The ID and port of each node that its host has or may have, its own among them.
    pub nodes: Vec<(u32, u16)>,
    /// Where the nodes of the host reach each other; the port is of no matter.
    pub local: Address,
    /// Keys of the network: the first is used for sending, all are accepted. At least one. Not those of hosts.
    pub keys: Vec<NetworkKey>,
    /// When it starts, milliseconds since 1970: another moment for each start.
    pub start: u64,
    /// Random bytes, others for each start.
    pub seed: [u8; 32],
}

/// What goes into a node.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram came.
    Datagram {
        /// Whence.
        from: Address,
        /// What came; it is opened in its place.
        bytes: &'a mut [u8],
    },
    /// An address of another host is configured, or not any more.
    Host {
        /// Where one of its nodes is reached.
        address: Address,
        /// Its ID, where that is known: it is called under the key that is set for it.
        host: Option<u32>,
        /// Whether.
        is_wanted: bool,
    },
    /// A host is spoken with under a key of its own and no other, or, with `None`, under those of the network again.
    HostKey {
        /// Its ID.
        host: u32,
        /// The key, which the host has for this one.
        key: Option<NetworkKey>,
    },
    /// A node is reached there, whatever it announces and wherever its datagrams come from; `None`: as it announces.
    Override {
        /// Its ID.
        node: u32,
        /// Where.
        address: Option<Address>,
    },
    /// Calls to talkgroups of a range are wanted here, or not any more.
    Range {
        /// The first.
        first: u32,
        /// The last.
        last: u32,
        /// Whether.
        is_wanted: bool,
    },
    /// A session of a context here began.
    Started {
        /// The switch's number for it.
        index: u16,
        /// What it is.
        report: &'a SessionReport,
        /// Whether others may want it: not where it is for what every node does itself.
        goes_out: bool,
    },
    /// The radio of a private call that began here was heard at this node of another host; `None`: it goes to no other host.
    Located {
        /// The switch's number for it.
        index: u16,
        /// Which.
        node: Option<u32>,
    },
    /// A session that began here has ended, or goes on elsewhere.
    Stopped {
        /// The switch's number for it.
        index: u16,
    },
    /// A burst of a session that began here.
    Forward(&'a Forward),
}

/// What comes out of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A session of another host is heard of under this number.
    Opened {
        /// Its number: below 4,096, and its own until [`Output::Closed`].
        number: u16,
        /// What it is.
        call: FarCall,
    },
    /// A burst of a session of another host came, for the first time.
    Burst {
        /// The session's number.
        number: u16,
        /// Which.
        session: SessionId,
        /// Counts the bursts of the session.
        sequence: u16,
        /// When its first host sent it, milliseconds, wrapping.
        sent_ms: u16,
        /// The burst; its `index` means nothing.
        forward: Forward,
    },
    /// The session with this number is over.
    Closed {
        /// Its number.
        number: u16,
    },
}

/// What has happened to datagrams and bursts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that are none of this protocol, or hold what cannot be.
    pub malformed: u64,
    /// Not sealed with a key that is right for the sender, or for another node.
    pub unauthenticated: u64,
    /// They came before, or are of before the sender started again.
    pub replayed: u64,
    /// Sealed, but what they hold had to wait for a proof that the sender is there now, and found no room.
    pub unproven: u64,
    /// Bursts that came another way already.
    pub doubled: u64,
    /// Bursts so late that nobody waits for them.
    pub late: u64,
    /// Bursts of this host that came back.
    pub looped: u64,
    /// Bursts that have passed too many hosts.
    pub too_far: u64,
    /// Bursts of sessions for which there is no room.
    pub full: u64,
}
