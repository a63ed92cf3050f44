//! Who is logged in and which networks are linked, read from the shards' state segments: no worker is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use control::{ContextInfo, ContextState, Dynamic, PerSlot, SlotsServed};
use fabric::{CELL_LEN, Cell, StateReader};
use mmdvm::Described;
use stack::{PeerSettings, Slot, Slots, Time};
use switch::{Record, Running, SessionId, SessionReport};

/// The stacks whose records are known here.
const MMDVM: &str = "mmdvm";
const OPENBRIDGE: &str = "openbridge";

/// A shard as the services see it.
#[derive(Debug)]
pub(crate) struct Shard {
    /// Its number.
    pub(crate) number: u16,
    /// Name of its stack.
    pub(crate) stack: String,
    /// Slot of the worker that serves it.
    pub(crate) worker: u8,
    pub(crate) state: StateReader,
}

/// Another network as its shard has it.
#[derive(Debug)]
pub(crate) struct Bridged {
    /// Its network ID.
    pub(crate) id: u32,
    /// Where it is reached, if that is known.
    pub(crate) address: Option<SocketAddr>,
    /// That was learned from what came.
    pub(crate) learned: bool,
    /// Of the extensions that it speaks.
    pub(crate) version: u8,
    /// When something was last heard of it.
    pub(crate) heard: Option<Time>,
    /// What was set for it.
    pub(crate) settings: Box<PeerSettings>,
}

impl Shard {
    /// Whether it is the one of other networks.
    pub(crate) fn is_bridge(&self) -> bool {
        self.stack == OPENBRIDGE
    }

    /// The rows of a stack's shard; what cannot be read is left out: a damaged record, another stack.
    fn rows<T>(&self, stack: &str, read: impl Fn(&[u8]) -> Option<T>) -> impl Iterator<Item = (T, Record)> {
        let rows = if self.stack == stack { self.state.stored().rows() } else { 0 };
        (0..rows).filter_map(move |row| {
            let stored = self.state.stored();
            let mut cell = [0; CELL_LEN];
            let len = stored.read(row, Cell::Stack, &mut cell)?;
            let described = read(&cell[..len])?;
            let len = stored.read(row, Cell::Switch, &mut cell).unwrap_or(0);
            Some((described, switch::read_record(&cell[..len]).unwrap_or_default()))
        })
    }

    /// Who is logged in.
    fn contexts(&self) -> impl Iterator<Item = (Described, Record)> {
        self.rows(MMDVM, mmdvm::read_record)
    }

    /// The other networks.
    pub(crate) fn peers(&self) -> impl Iterator<Item = Bridged> {
        self.rows(OPENBRIDGE, openbridge::read_record).filter_map(|(described, _)| match described {
            openbridge::Described::Peer { id, address, learned, version, heard, settings } => {
                Some(Bridged { id, address, learned, version, heard, settings })
            }
            openbridge::Described::Leg { .. } => None,
        })
    }

    /// The calls that come from other networks, each with the ID of its network.
    fn legs(&self) -> impl Iterator<Item = (u32, Record)> {
        self.rows(OPENBRIDGE, openbridge::read_record).filter_map(|(described, record)| match described {
            openbridge::Described::Leg { peer, .. } => Some((peer, record)),
            openbridge::Described::Peer { .. } => None,
        })
    }

    /// The sessions that its contexts are sending; how many bursts they have is not written down.
    pub(crate) fn running(&self) -> impl Iterator<Item = SessionReport> {
        let contexts = self.contexts().map(|(described, record)| (described.id, record));
        contexts.chain(self.legs()).flat_map(|(id, record)| {
            let running = Slot::ALL.into_iter().zip(record.running);
            running.filter_map(move |(slot, running)| Some(report(id, slot, &running?)))
        })
    }
}

fn report(context: u32, slot: Slot, running: &Running) -> SessionReport {
    SessionReport {
        session: SessionId { key: running.key, node: running.node },
        context,
        slot,
        source: running.source,
        destination: running.destination,
        call: running.call,
        kind: running.kind,
        emergency: dmr::ServiceOptions(running.options).emergency(),
        bursts: 0,
    }
}

/// How many calls come from each network.
pub(crate) fn bridged_calls<'a>(shards: impl Iterator<Item = &'a Shard>) -> BTreeMap<u32, u32> {
    let mut calls = BTreeMap::new();
    for (peer, record) in shards.flat_map(Shard::legs) {
        *calls.entry(peer).or_default() += u32::from(record.running.iter().any(Option::is_some));
    }
    calls
}

/// All contexts by ID.
pub(crate) fn list<'a>(shards: impl Iterator<Item = &'a Shard>, now: Time) -> Vec<ContextInfo> {
    let contexts = |shard: &'a Shard| {
        shard.contexts().map(|(described, record)| context_info(shard, described, &record, now))
    };
    let linked = |shard: &'a Shard| shard.peers().filter_map(|peer| peer_info(shard, &peer));
    let both = |shard: &'a Shard| contexts(shard).chain(linked(shard));
    let mut all: Vec<ContextInfo> = shards.flat_map(both).collect();
    all.sort_by_key(|context| (context.id, context.shard));
    all
}

/// Whether anybody is logged in under this ID.
pub(crate) fn any<'a>(mut shards: impl Iterator<Item = &'a Shard>, id: u32) -> bool {
    shards.any(|shard| shard.contexts().any(|(described, _)| described.id == id))
}

/// How many calls the contexts of an ID are sending and hearing, on this slot or on both.
pub(crate) fn calls_of<'a>(shards: impl Iterator<Item = &'a Shard>, id: u32, on: Option<Slot>) -> usize {
    let calls = |record: &Record, slot: Slot| {
        let at = slot.index();
        usize::from(record.running[at].is_some()) + usize::from(record.heard[at].is_some())
    };
    count(shards, id, on, calls)
}

/// How many dynamic talkgroups the contexts of an ID have, on this slot or on both.
pub(crate) fn dynamics_of<'a>(
    shards: impl Iterator<Item = &'a Shard>,
    id: u32,
    on: Option<Slot>,
    now: Time,
) -> usize {
    count(shards, id, on, |record, slot| dynamics(record, slot, now).len())
}

fn count<'a>(
    shards: impl Iterator<Item = &'a Shard>,
    id: u32,
    on: Option<Slot>,
    what: impl Fn(&Record, Slot) -> usize,
) -> usize {
    let its = shards.flat_map(Shard::contexts).filter(|(described, _)| described.id == id);
    its.map(|(described, record)| {
        // One with one slot has it under either number.
        let has_both = described.config.is_none_or(|config| config.slots == Slots::Both);
        let meant = Slot::ALL.into_iter().filter(|&slot| !has_both || on.is_none_or(|on| on == slot));
        meant.map(|slot| what(&record, slot)).sum::<usize>()
    })
    .sum()
}

/// The IDs of all contexts.
pub(crate) fn ids<'a>(shards: impl Iterator<Item = &'a Shard>) -> BTreeSet<u32> {
    shards.flat_map(Shard::contexts).map(|(described, _)| described.id).collect()
}

/// The call signs of all contexts that have told them, by ID.
pub(crate) fn calls<'a>(shards: impl Iterator<Item = &'a Shard>) -> BTreeMap<u32, String> {
    let call = |described: Described| Some((described.id, described.config?.call.to_string()));
    shards.flat_map(Shard::contexts).filter_map(|(described, _)| call(described)).collect()
}

/// The sessions that all contexts are sending.
pub(crate) fn sessions<'a>(shards: impl Iterator<Item = &'a Shard>) -> BTreeSet<SessionId> {
    shards.flat_map(Shard::running).map(|report| report.session).collect()
}

fn context_info(shard: &Shard, described: Described, record: &Record, now: Time) -> ContextInfo {
    let [ts1, ts2] = described.statics;
    let mut info = ContextInfo {
        id: described.id,
        worker: shard.worker.into(),
        shard: shard.number,
        stack: shard.stack.clone(),
        call: String::new(),
        address: described.address,
        software: String::new(),
        slots: SlotsServed::Both,
        state: ContextState::Configuring,
        statics: PerSlot { ts1, ts2 },
        dynamics: PerSlot { ts1: dynamics(record, Slot::One, now), ts2: dynamics(record, Slot::Two, now) },
        blocked: described.blocked,
        single: described.single,
        rx_hz: 0,
        tx_hz: 0,
        colour_code: 0,
    };
    let Some(config) = described.config else { return info };
    info.state = ContextState::Connected;
    info.slots = match config.slots {
        Slots::Both => SlotsServed::Both,
        Slots::Only(Slot::One) => SlotsServed::Ts1,
        Slots::Only(Slot::Two) => SlotsServed::Ts2,
        Slots::Simplex => SlotsServed::Simplex,
    };
    info.software = format!("{} {}", config.software, config.package).trim().to_owned();
    info.call = config.call.to_string();
    (info.rx_hz, info.tx_hz) = (config.rx_frequency, config.tx_frequency);
    info.colour_code = config.colour_code;
    info
}

/// As a context: one that sends and hears on any number of channels, by a list. `None` while it is not known where it is.
fn peer_info(shard: &Shard, peer: &Bridged) -> Option<ContextInfo> {
    Some(ContextInfo {
        id: peer.id,
        worker: shard.worker.into(),
        shard: shard.number,
        stack: shard.stack.clone(),
        call: String::new(),
        address: peer.address?,
        software: String::new(),
        slots: SlotsServed::Both,
        state: ContextState::Connected,
        statics: PerSlot::default(),
        dynamics: PerSlot::default(),
        blocked: Vec::new(),
        single: false,
        rx_hz: 0,
        tx_hz: 0,
        colour_code: 0,
    })
}

/// Those that have not run out.
fn dynamics(record: &Record, slot: Slot, now: Time) -> Vec<Dynamic> {
    let running = record.dynamics[slot.index()].iter().filter(|dynamic| dynamic.until > now);
    running
        .map(|dynamic| Dynamic {
            talkgroup: dynamic.talkgroup,
            seconds_left: (dynamic.until != Time(u64::MAX))
                .then(|| u32::try_from(dynamic.until.since(now).as_secs()).unwrap_or(u32::MAX)),
        })
        .collect()
}
