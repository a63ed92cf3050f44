//! Who is logged in, read from the shards' state segments: no worker is asked.

use std::collections::{BTreeMap, BTreeSet};

use control::{ContextInfo, ContextState, Dynamic, PerSlot, SlotsServed};
use fabric::{CELL_LEN, Cell, StateReader};
use mmdvm::Described;
use stack::{Slot, Slots, Time};
use switch::{Record, SessionId, SessionReport};

/// The stack whose records are known here.
const MMDVM: &str = "mmdvm";

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

impl Shard {
    /// Its contexts; what cannot be read is left out: a damaged record, a stack that is not known here.
    fn contexts(&self) -> impl Iterator<Item = (Described, Record)> {
        let rows = if self.stack == MMDVM { self.state.stored().rows() } else { 0 };
        (0..rows).filter_map(|row| {
            let stored = self.state.stored();
            let mut cell = [0; CELL_LEN];
            let len = stored.read(row, Cell::Stack, &mut cell)?;
            let described = mmdvm::read_record(&cell[..len])?;
            let len = stored.read(row, Cell::Switch, &mut cell).unwrap_or(0);
            Some((described, switch::read_record(&cell[..len]).unwrap_or_default()))
        })
    }

    /// The sessions that its contexts are sending; how many bursts they have is not written down.
    pub(crate) fn running(&self) -> impl Iterator<Item = SessionReport> {
        self.contexts().flat_map(|(described, record)| {
            Slot::ALL.into_iter().zip(record.running).filter_map(move |(slot, running)| {
                let running = running?;
                Some(SessionReport {
                    session: SessionId { key: running.key, node: running.node },
                    context: described.id,
                    slot,
                    source: running.source,
                    destination: running.destination,
                    call: running.call,
                    kind: running.kind,
                    emergency: dmr::ServiceOptions(running.options).emergency(),
                    bursts: 0,
                })
            })
        })
    }
}

/// All contexts by ID.
pub(crate) fn list<'a>(shards: impl Iterator<Item = &'a Shard>, now: Time) -> Vec<ContextInfo> {
    let contexts = |shard: &'a Shard| {
        shard.contexts().map(|(described, record)| context_info(shard, described, &record, now))
    };
    let mut all: Vec<ContextInfo> = shards.flat_map(contexts).collect();
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
