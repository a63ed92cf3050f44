//! Between the supervisor and a worker or the services.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use config::Config;
use control::State;
use serde::{Deserialize, Serialize};
use stack::{Access, CallAccess};

/// One stack as a worker is told of it. It has no `Debug`: options may be secrets.
#[derive(Clone, Serialize, Deserialize)]
pub struct StackSetup {
    /// Its name in the configuration: "mmdvm".
    pub name: String,
    /// Its listen addresses, in the order of a shard's sockets.
    pub listen: Vec<SocketAddr>,
    /// Options of its own, which the stack alone understands; null where it has none.
    #[serde(default)]
    pub options: serde_json::Value,
}

/// What a worker is.
#[derive(Clone, Serialize, Deserialize)]
pub struct WorkerSetup {
    /// Its slot: 0, 1, ...
    pub slot: u8,
    /// Its node ID.
    pub node: u32,
    /// The stacks whose shards it may be given.
    pub stacks: Vec<StackSetup>,
    /// Random bytes that are the same for all workers while the cluster runs: for salts.
    pub salt_key: [u8; 32],
    /// What it costs to be woken on this machine, microseconds; 0 where that is not known.
    pub wake_us: u32,
    /// The rules of its switch.
    pub calls: switch::Settings,
    /// Which devices may log in.
    pub devices: Access,
    /// Which call signs they may have.
    pub call_signs: CallAccess,
}

/// One shard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShardSetup {
    /// Its number, unique over all stacks.
    pub number: u16,
    /// Name of its stack.
    pub stack: String,
    /// Rows of its state that have killed their owner: they are erased unread.
    pub quarantined: Vec<u16>,
}

/// What a worker is to know of FastForward, the way to other hosts. It has no `Debug`: there are keys in it.
#[derive(Clone, Serialize, Deserialize)]
pub struct FastForwardSetup {
    /// Where all workers of this host listen, each at a port of its own.
    pub listen: IpAddr,
    /// Node ID and UDP port by slot, of all slots that have both, whether somebody is there or not. The first node ID is the
    /// host's.
    pub nodes: Vec<(u32, u16)>,
    /// The keys of the network, 1 to [`config::MAX_NETWORK_KEYS`]: the first is used for sending, all are accepted.
    pub keys: Vec<[u8; 32]>,
    /// Where other hosts are, as far as that is configured by address; those with a name come by
    /// [`crate::Order::Host`].
    pub hosts: Vec<SocketAddr>,
}

/// How far a worker has read a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingPlace {
    /// Slot of the worker whose ring it is.
    pub slot: u8,
    /// Which incarnation of that worker.
    pub epoch: u64,
    /// The position that is read next.
    pub next: u64,
}

/// What the services are.
#[derive(Clone, Serialize, Deserialize)]
pub struct ServicesSetup {
    /// The configuration.
    pub config: Config,
    /// Where the embedded registry lies.
    pub data_dir: std::path::PathBuf,
    /// Services have served with this before: what is in the way now may go away by itself.
    pub again: bool,
    /// The number of this configuration: workers of another one may have been told something else.
    pub generation: u32,
}

/// A worker as the services are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its slot.
    pub slot: u8,
    /// Its process, if it runs.
    pub pid: Option<i32>,
    /// How it is.
    pub state: State,
    /// How often it was started again.
    pub restarts: u64,
    /// Of which configuration its process is.
    pub generation: u32,
    /// How its last process ended, if one did.
    pub ended: Option<String>,
}

/// From the supervisor to a child.
///
/// [`Parent::Build`], [`Parent::Pause`], [`Parent::Go`], [`Parent::Relay`], [`Parent::Export`], [`Parent::Leave`], [`Parent::Stop`] and all of
/// [`Child`] keep their form for ever: a supervisor of one build says them to children of another.
#[derive(Clone, Serialize, Deserialize)]
pub enum Parent {
    /// To a worker of a third party, before all else: the build of its supervisor. One whose `fabric::ABI` is another one
    /// cannot serve, and says so.
    Build {
        /// `fabric::ABI` of the supervisor.
        abi: u32,
    },
    /// To a worker, first. Descriptors: bells, its wake, the wake of the services, its stats page, its
    /// segment (writable), its queue of reports, its queue of orders.
    Worker(Box<WorkerSetup>),
    /// To a worker, second, where the cluster has FastForward. Descriptors: the UDP socket of its slot.
    FastForward(Box<FastForwardSetup>),
    /// To a worker: serve this shard. Descriptors: its state segment, its sockets.
    Shard(ShardSetup),
    /// To a worker: a sibling's segment, now or again. Descriptors: the segment (read-only), its wake.
    Sibling {
        /// Its slot.
        slot: u8,
        /// Its node ID.
        node: u32,
        /// Where its ring ends now, as epoch and position: whoever has read nothing of it yet begins there.
        end: (u64, u64),
    },
    /// To the services, first. Descriptors: bells, their wake, their stats page, the listening request socket.
    Services(Box<ServicesSetup>),
    /// To the services: what they share with a worker. Descriptors: its wake, its stats page (read-only), its
    /// queue of reports, its queue of orders.
    Pages {
        /// Its slot.
        slot: u8,
        /// Its node ID.
        node: u32,
    },
    /// To workers and services: the worker in this slot is gone for good.
    Retired {
        /// Its slot.
        slot: u8,
    },
    /// To the services: a shard's state segment (read-only), now or again.
    State {
        /// The shard.
        shard: ShardSetup,
        /// Slot of the worker that serves it.
        worker: u8,
    },
    /// To the services: a worker has changed.
    WorkerInfo(WorkerInfo),
    /// To a process that is to take the place of another: say when all before this is done. What only one process can
    /// have comes later.
    Prepare,
    /// To a worker: shards of another worker, or of the one that had its slot before, come next. What that one's rings
    /// had for them up to here has been delivered. Descriptors: the segment of that worker (read-only).
    Takeover {
        /// How far it has read each ring, its own among them.
        places: Vec<RingPlace>,
    },
    /// That was all: begin, or go on after [`Parent::Pause`].
    Go,
    /// To a worker that is to be given shards: stand still until [`Parent::Go`].
    Pause {
        /// The answer has it, so that it is known which pause has begun.
        number: u64,
    },
    /// To a worker: stop serving these shards, which go to the worker in slot `to`. Until [`Parent::Forget`] the
    /// talkgroups of their contexts are wanted here, and it is sent all calls.
    Release {
        /// Their numbers.
        shards: Vec<u16>,
        /// Slot of the worker that takes them.
        to: u8,
    },
    /// To a worker: that worker serves what was released to it.
    Forget {
        /// Its slot.
        to: u8,
    },
    /// To a worker: what it wants of slot `from` may be at `to` from now on.
    Moved {
        /// Whence.
        from: u8,
        /// Whither.
        to: u8,
    },
    /// To a worker: another worker that runs a build of another ABI. Bursts go to and fro over the descriptor, a Unix
    /// socket that keeps messages apart, in the form of `switch::Forward::to_relayed`. At its end the other is gone.
    Relay {
        /// Its slot.
        slot: u8,
        /// Its node ID.
        node: u32,
    },
    /// To a process that does nothing else: write down what these shards hold, for a build of another ABI, and end.
    /// Descriptors: a file to write a `fabric::Export` to, then the state segment of each shard (read-only).
    Export {
        /// Their numbers.
        shards: Vec<u16>,
    },
    /// Stop at once and end: another process goes on with all that this one has.
    Leave,
    /// End in order.
    Stop,
}

/// From a child to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Child {
    /// It serves.
    Ready {
        /// What an operator may want to know, by name: addresses in use, states of registry and events.
        facts: BTreeMap<String, String>,
    },
    /// What an operator may want to know has changed.
    Facts {
        /// By name, what is new; the others are as they were.
        facts: BTreeMap<String, String>,
    },
    /// It has done all that comes before [`Parent::Prepare`].
    Prepared,
    /// It stands still.
    Paused {
        /// What [`Parent::Pause`] said.
        number: u64,
    },
    /// It does not serve the shards any more; all that it knows of them is written down.
    Released {
        /// How far it has read each ring for them, its own among them.
        places: Vec<RingPlace>,
    },
    /// It serves what it was given, and goes on.
    Adopted,
    /// It does nothing any more, and ends.
    Left,
    /// What was to be written down for another build is.
    Exported,
    /// It cannot serve, for a reason that starting it again does not change.
    Failed {
        /// Why, with what to do.
        reason: String,
    },
    /// It has ended its work and exits now.
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_build_says_to_another_keeps_its_form() {
        let parent = |message: &Parent| serde_json::to_string(message).unwrap();
        assert_eq!(parent(&Parent::Build { abi: 3 }), r#"{"Build":{"abi":3}}"#);
        assert_eq!(parent(&Parent::Pause { number: 3 }), r#"{"Pause":{"number":3}}"#);
        assert_eq!(parent(&Parent::Go), r#""Go""#);
        assert_eq!(parent(&Parent::Leave), r#""Leave""#);
        assert_eq!(parent(&Parent::Stop), r#""Stop""#);
        assert_eq!(parent(&Parent::Relay { slot: 1, node: 2 }), r#"{"Relay":{"slot":1,"node":2}}"#);
        assert_eq!(parent(&Parent::Export { shards: vec![3, 4] }), r#"{"Export":{"shards":[3,4]}}"#);
        let child = |message: &Child| serde_json::to_string(message).unwrap();
        assert_eq!(child(&Child::Ready { facts: BTreeMap::new() }), r#"{"Ready":{"facts":{}}}"#);
        assert_eq!(child(&Child::Facts { facts: BTreeMap::new() }), r#"{"Facts":{"facts":{}}}"#);
        assert_eq!(child(&Child::Failed { reason: "x".into() }), r#"{"Failed":{"reason":"x"}}"#);
        assert_eq!(child(&Child::Paused { number: 3 }), r#"{"Paused":{"number":3}}"#);
        let plain = [Child::Prepared, Child::Left, Child::Exported, Child::Stopped];
        assert_eq!(
            plain.map(|message| child(&message)).join(" "),
            r#""Prepared" "Left" "Exported" "Stopped""#
        );
    }
}
