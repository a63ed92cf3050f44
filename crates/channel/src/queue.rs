//! Between a worker and the services: messages of a queue, in postcard.

use config::HostKey;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stack::{Answer, Ask, DeviceSettings, Gone, Notice, PeerSettings, Slot};
use std::net::SocketAddr;
use std::time::Duration;
use switch::{Ended, FarCall, Refused, SessionReport};

/// How often a worker tells of other hosts: who is not told of for some of it is gone.
pub const HOSTS_TIME: Duration = Duration::from_secs(1);

/// A node, as a worker that speaks with it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Its ID.
    pub node: u32,
    /// Its host's, which is the worker's own where it is a sibling.
    pub host: u32,
    /// Where it is reached, by UDP.
    pub address: SocketAddr,
    /// It was heard lately.
    pub is_heard: bool,
    /// There and back, microseconds; 0 where it is not known yet.
    pub rtt_us: u32,
    /// How much the time of the way varies (RFC 3550), microseconds.
    pub jitter_us: u32,
    /// Of 10,000 datagrams so many did not come here, and there.
    pub loss: [u16; 2],
    /// Datagrams sent and received.
    pub datagrams: [u64; 2],
    /// Bytes of them.
    pub bytes: [u64; 2],
}

/// Another host, as a worker knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// Its ID: that of its first node.
    pub host: u32,
    /// How many hosts away it is: 1 where it is heard itself.
    pub hops: u8,
    /// How many of its nodes can be reached.
    pub nodes: u16,
    /// How many ranges of talkgroups they want.
    pub ranges: u32,
}

/// What came to a worker of calls that began at a node of another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FarReport {
    /// The node.
    pub node: u32,
    /// Its host; 0 where it is not known.
    pub host: u32,
    /// Bursts that came, each once.
    pub bursts: u64,
    /// They came before.
    pub duplicates: u64,
    /// They came when nobody waited for them any more.
    pub late: u64,
    /// They did not come in time.
    pub lost: u64,
    /// Lost ones in whose place others were made up.
    pub concealed: u64,
    /// How much the time of the way varies, microseconds.
    pub jitter_us: u32,
    /// By how much bursts are held back now, microseconds.
    pub delay_us: u32,
}

/// An address that is configured for another host, and who was found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactReport {
    /// The address, by UDP.
    pub address: SocketAddr,
    /// The host that has answered from there, whether it still does or not; `None` where nobody has.
    pub host: Option<u32>,
}

/// A node of another host that has an ID of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SameIdReport {
    /// The ID.
    pub node: u32,
    /// Where it is, by UDP.
    pub address: SocketAddr,
}

/// From a worker to the services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// A stack asks.
    Ask {
        /// Its shard.
        shard: u16,
        /// What.
        ask: Ask,
    },
    /// A stack has something worth an event.
    Notice {
        /// Its shard.
        shard: u16,
        /// What.
        notice: Notice,
    },
    /// A session began here.
    Started(SessionReport),
    /// A session that began here has ended.
    Stopped {
        /// What it was.
        report: SessionReport,
        /// Why.
        ended: Ended,
    },
    /// A call that came in here was refused.
    Refused {
        /// What it is.
        report: SessionReport,
        /// Why.
        why: Refused,
    },
    /// One that was refused is carried after all.
    Carried(SessionReport),
    /// A talker has said its alias.
    Alias {
        /// What it is saying it in.
        report: SessionReport,
        /// The alias, at most 31 characters.
        alias: String,
    },
    /// A node of this or another host that the worker speaks with, each [`HOSTS_TIME`].
    Node(NodeReport),
    /// Another host that the worker can reach, each [`HOSTS_TIME`].
    Host(HostReport),
    /// An address where another host should be, each [`HOSTS_TIME`].
    Contact(ContactReport),
    /// A node that has an ID of this host, each [`HOSTS_TIME`] while there is one.
    SameId(SameIdReport),
    /// What came of calls that began at a node of another host, each [`HOSTS_TIME`] while there are any.
    Far(FarReport),
    /// A call of another host that comes in, each [`HOSTS_TIME`].
    FarCall(FarCall),
    /// A radio has keyed up so often that it was blocked here: ban it everywhere.
    Blocked {
        /// Its ID.
        radio: u32,
        /// ID of the context where it did so.
        context: u32,
        /// For how long, seconds.
        seconds: u32,
    },
}

/// From the services to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// The answer to an ask of a shard.
    Answer {
        /// The shard that asked.
        shard: u16,
        /// What was found.
        answer: Answer,
    },
    /// The contexts of this ID go, but for the one at `keep`.
    Evict {
        /// The ID.
        id: u32,
        /// The login that stays.
        keep: Option<SocketAddr>,
        /// Why.
        gone: Gone,
    },
    /// What the registry says of a device has changed.
    Settings {
        /// The device.
        id: u32,
        /// What it says now.
        settings: DeviceSettings,
    },
    /// Calls of this radio are refused until then, or no longer if that is past.
    Ban {
        /// The radio's ID.
        radio: u32,
        /// Milliseconds since 1970; `u64::MAX` for ever.
        until_ms: u64,
    },
    /// The calls that a context sends or hears end.
    DropCall {
        /// Its ID.
        id: u32,
        /// On this slot; `None` for both.
        slot: Option<Slot>,
    },
    /// The dynamic talkgroups of a context end.
    DropDynamic {
        /// Its ID.
        id: u32,
        /// Those of this slot; `None` for both.
        slot: Option<Slot>,
    },
    /// What is set for another network, for the shard that has it.
    Peer {
        /// The shard.
        shard: u16,
        /// The network's ID.
        id: u32,
        /// What is set; `None` where there is no such network any more.
        settings: Option<Box<PeerSettings>>,
    },
    /// Another host that is to be joined, at one of its nodes: by name, or by a record of the registry.
    Host {
        /// Where.
        address: SocketAddr,
        /// Its ID, where that is known.
        host: Option<u32>,
        /// It is to be joined there; false where it no longer is.
        is_wanted: bool,
    },
    /// A host is spoken with under a key of its own.
    HostKey {
        /// Its ID.
        host: u32,
        /// The key; `None` where that is the network's again.
        key: Option<HostKey>,
    },
    /// A node is reached elsewhere than it announces.
    OverriddenNode {
        /// Its ID.
        node: u32,
        /// Where, by UDP; `None` where it is as it announces again.
        address: Option<SocketAddr>,
    },
}

/// Encodes a message into `out`; `None` where it does not fit.
pub fn write<'a, T: Serialize>(message: &T, out: &'a mut [u8]) -> Option<&'a [u8]> {
    postcard::to_slice(message, out).ok().map(|used| &*used)
}

/// Decodes a message; `None` for what is none.
#[must_use]
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack::{Key, MAX_BLOCKED, MAX_ENTRIES, MAX_KEY, MAX_TALKGROUPS, Talkgroups, Verdict};

    #[test]
    fn the_longest_answer_fits_a_queue() {
        let statics = [vec![u32::MAX; MAX_TALKGROUPS], vec![u32::MAX; MAX_TALKGROUPS]];
        let settings = DeviceSettings { statics, blocked: vec![u32::MAX; MAX_BLOCKED], single: true };
        let from = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
        let answer = Answer::Login { id: u32::MAX, from, verdict: Verdict::Accepted { settings } };
        let order = Order::Answer { shard: u16::MAX, answer };
        let mut buffer = [0; 504];
        let bytes = write(&order, &mut buffer).unwrap();
        assert_eq!(read::<Order>(bytes), Some(order));
        assert_eq!(read::<Order>(&[250]), None);
    }

    #[test]
    fn keys_of_hosts_fit_a_queue_and_are_not_shown() {
        let address = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().ok();
        let key = Some(HostKey([0xAB; 32]));
        for order in [
            Order::HostKey { host: u32::MAX, key },
            Order::OverriddenNode { node: u32::MAX, address },
            Order::Host { address: address.unwrap(), host: Some(u32::MAX), is_wanted: true },
        ] {
            assert!(!format!("{order:?}").contains("171"), "{order:?}");
            let mut buffer = [0; 504];
            let bytes = write(&order, &mut buffer).unwrap();
            assert_eq!(read::<Order>(bytes), Some(order));
        }
    }

    #[test]
    fn the_longest_peer_fits_a_queue() {
        const HIGHEST: u32 = 0x00ff_ffff;
        let ranges = |count| vec![(HIGHEST - 1, HIGHEST); count];
        let same = Talkgroups { out: ranges(MAX_ENTRIES), r#in: ranges(MAX_ENTRIES), renamed: vec![] };
        let (half, rest) = (MAX_ENTRIES / 2, MAX_ENTRIES / 2 - 1);
        let other = Talkgroups { out: ranges(half), r#in: ranges(rest), renamed: ranges(1) };
        for talkgroups in [same, other, Talkgroups::default()] {
            assert!(talkgroups.entries() <= MAX_ENTRIES);
            let settings = PeerSettings {
                address: "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().ok(),
                learns: true,
                key: Key::new("x".repeat(MAX_KEY)).unwrap(),
                own_id: Some(u32::MAX),
                enhanced: true,
                talkgroups,
            };
            let order = Order::Peer { shard: u16::MAX, id: u32::MAX, settings: Some(Box::new(settings)) };
            let mut buffer = [0; 504];
            let bytes = write(&order, &mut buffer).unwrap();
            assert_eq!(read::<Order>(bytes), Some(order));
        }
    }
}
