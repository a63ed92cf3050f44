//! The simulation's workers, contexts, radios and rings, and what each switch may say after a step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use dmr::{AMBE_SILENCE, BurstKind, DataType, FullLc, ServiceOptions, Sync};
use stack::{CallType, ContextKey, Frame, Line, LinkType, Now, Profile, Slot, Slots, Time, Trunk};

use super::TALKGROUPS;
use super::ears::Ears;
use crate::{FAR, Forward, Input, Kind, Output, Place, Record, SessionId, Settings, Switch, read_record};

/// Places of a network and of the calls that come from it.
const TRUNK: u16 = 1;
const LEGS: [u16; 2] = [2, 3];

/// Marsaglia's xorshift64.
pub(in crate::tests) struct Random(u64);

impl Random {
    pub(in crate::tests) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(in crate::tests) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    pub(in crate::tests) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(in crate::tests) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// An invariant is checked, unless it was switched off: `SWITCH_SIMULATION_WITHOUT=SLOTS,RECORDS`.
#[expect(clippy::disallowed_methods, reason = "which checks a test makes is no matter of the switch")]
fn on(check: &str) -> bool {
    static WITHOUT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    !WITHOUT.get_or_init(|| std::env::var("SWITCH_SIMULATION_WITHOUT").unwrap_or_default()).contains(check)
}

fn record(switch: &Switch, context: ContextKey) -> Vec<u8> {
    let mut buffer = [0; 448];
    let len = switch.encode_record(context, &mut buffer).unwrap_or(0);
    buffer[..len].to_vec()
}

/// A record without what a restart does not need: the stream and kind of a data call, which change with each of its
/// datagrams.
fn essence(mut record: Record) -> Record {
    for running in record.running.iter_mut().flatten().filter(|running| running.kind != Kind::Voice) {
        (running.stream, running.kind) = (0, Kind::Data);
    }
    for heard in record.heard.iter_mut().flatten() {
        (heard.stream, heard.begun, heard.options) = (0, Time(0), 0);
    }
    record
}

/// A call that some radio makes, whatever the switch thinks of it.
#[derive(Clone, Copy)]
pub(super) struct Talk {
    pub(super) context: ContextKey,
    pub(super) slot: Slot,
    pub(super) stream: u32,
    pub(super) frame: Frame,
    /// The next voice burst's place in its superframe.
    pub(super) place: u8,
    pub(super) wrong_lc: bool,
    pub(super) options: u8,
}

pub(super) struct Worker {
    node: u32,
    pub(super) switch: Switch,
    /// Talkgroups that it said it wants.
    pub(super) wanted: BTreeSet<u32>,
    /// It said that it may want any.
    pub(super) wants_all: bool,
    /// Ranges that it said other networks want.
    ranges: BTreeSet<(u32, u32)>,
    /// Sessions that it said run.
    pub(super) running: BTreeMap<u16, SessionId>,
    last: Option<SessionId>,
    /// What siblings have published and it has not read yet, with their place and the session's node; what has come from
    /// another host, as from the place behind all workers.
    pub(super) inbox: VecDeque<(usize, u32, Forward)>,
    /// Bursts that have overtaken what is in there.
    moved: Vec<(u8, u32, Forward)>,
    took_over: Time,
}

pub(super) struct World {
    pub(super) random: Random,
    pub(super) now: Now,
    pub(super) workers: Vec<Worker>,
    /// The worker that has each context, and the context's profile.
    contexts: BTreeMap<ContextKey, (usize, Profile)>,
    count: u16,
    /// Workers are of so many hosts, in turn.
    hosts: usize,
    /// The number of each session's jitter buffer.
    buffers: BTreeMap<SessionId, u16>,
    pub(super) talks: Vec<Talk>,
    pub(super) streams: u32,
    marks: u64,
    /// Where each radio was heard: the worker, the context's ID, the slot.
    heard_at: BTreeMap<u32, (usize, u32, Slot)>,
    /// Rings run over, and some siblings are mad.
    pub(super) is_lossy: bool,
    is_restoring: bool,
    /// What was written down of each context last.
    written: BTreeMap<ContextKey, Vec<u8>>,
    checks: u64,
    pub(super) ears: Ears,
    pub(super) ended: u64,
}

impl World {
    pub(super) fn new(seed: u64, hosts: usize, workers: usize, count: u16, is_lossy: bool) -> Self {
        let settings = Settings { call_timeout: Some(Duration::from_secs(20)), ..Settings::default() };
        let worker = |node| Worker {
            node,
            switch: Switch::new(node, settings.clone()),
            wanted: BTreeSet::new(),
            wants_all: false,
            ranges: BTreeSet::new(),
            running: BTreeMap::new(),
            last: None,
            inbox: VecDeque::new(),
            moved: Vec::new(),
            took_over: Time::default(),
        };
        Self {
            random: Random::of(seed),
            now: Now { mono: Time(5_000_000_000), wall_us: 1_790_000_000_000_000 },
            workers: (25_011..).take(workers).map(worker).collect(),
            contexts: BTreeMap::new(),
            count,
            hosts,
            buffers: BTreeMap::new(),
            talks: Vec::new(),
            streams: 0,
            marks: 0,
            heard_at: BTreeMap::new(),
            is_lossy,
            is_restoring: false,
            written: BTreeMap::new(),
            checks: 0,
            ears: Ears::default(),
            ended: 0,
        }
    }

    pub(super) fn any_worker(&mut self) -> usize {
        self.random.below(self.workers.len() as u64) as usize
    }

    pub(super) fn any_context(&mut self) -> ContextKey {
        let number = self.random.below(self.count.into()) as u16;
        ContextKey { shard: number % 3, index: number / 3 }
    }

    pub(super) fn any_slot(&mut self) -> Slot {
        self.random.pick(&Slot::ALL)
    }

    pub(super) fn id(&self, context: ContextKey) -> u32 {
        let index = if LEGS.contains(&context.index) { TRUNK } else { context.index };
        1 + u32::from(index) * 3 + u32::from(context.shard)
    }

    /// In each shard one context is another network, and some are calls that come from there.
    fn any_line(&mut self, context: ContextKey) -> Line {
        match context.index {
            TRUNK => Line::Trunk(Trunk {
                talkgroups: self
                    .random
                    .pick(&[&[(1, 0xFF_FFFF)][..], &[(2, 4), (91, 92)], &[(93, 93)], &[]])
                    .to_vec(),
                renamed: if self.random.one_in(2) { vec![(91, 92), (3, 1003)] } else { Vec::new() },
            }),
            index if LEGS.contains(&index) => Line::Leg,
            _ => Line::Channel,
        }
    }

    fn any_talkgroups(&mut self) -> Vec<u32> {
        (0..self.random.below(5)).map(|_| self.random.pick(&TALKGROUPS)).collect()
    }

    fn any_profile(&mut self, context: ContextKey) -> Profile {
        let line = self.any_line(context);
        if line != Line::Channel {
            let profile = Profile::repeater(self.id(context), Slots::Only(Slot::One), Default::default());
            return Profile { link: LinkType::Network, line, ..profile };
        }
        let slots = [Slots::Both, Slots::Both, Slots::Both, Slots::Simplex, Slots::Only(Slot::One)];
        let slots = self.random.pick(&slots);
        let statics = [self.any_talkgroups(), self.any_talkgroups()];
        Profile {
            link: self.random.pick(&[LinkType::Repeater, LinkType::Repeater, LinkType::Application]),
            blocked: if self.random.one_in(5) { self.any_talkgroups() } else { Vec::new() },
            single: self.random.one_in(4),
            dynamic_minutes: self.random.pick(&[None, None, Some(1)]),
            colour_code: self.random.below(16) as u8,
            ..Profile::repeater(self.id(context), slots, statics)
        }
    }

    /// A context comes, changes or goes.
    pub(super) fn log_in(&mut self) {
        let context = self.any_context();
        let profile = self.any_profile(context);
        let known = self.contexts.get(&context).map(|(worker, old)| (*worker, old.slots != profile.slots));
        let worker = known.map_or_else(|| self.any_worker(), |(worker, _)| worker);
        if known.is_some_and(|(_, is_other)| is_other) {
            self.ears.forget(context);
        }
        self.contexts.insert(context, (worker, profile.clone()));
        self.input(worker, Input::Up { context, profile });
    }

    /// A context goes, and may come again with its record, here or on another worker.
    pub(super) fn move_context(&mut self) {
        let (to, context) = (self.any_worker(), self.any_context());
        let Some((from, profile)) = self.contexts.get(&context).cloned() else { return };
        if from % self.hosts != to % self.hosts {
            return;
        }
        self.contexts.remove(&context);
        let mut record = [0; 448];
        let len = self.workers[from].switch.encode_record(context, &mut record);
        self.ears.forget(context);
        self.input(from, Input::Down(context));
        if let Some(len) = len
            && self.random.one_in(2)
        {
            self.contexts.insert(context, (to, profile.clone()));
            self.workers[to].took_over = self.now.mono;
            self.input(to, Input::Up { context, profile });
            self.is_restoring = true;
            self.input(to, Input::Restore { context, bytes: &record[..len] });
            self.is_restoring = false;
        }
    }

    /// What a worker has of a shard goes on at another one, once both have read all that was published.
    pub(super) fn move_shard(&mut self) {
        let (from, to) = (self.any_worker(), self.any_worker());
        let shard = self.any_context().shard;
        if from == to || from % self.hosts != to % self.hosts {
            return;
        }
        for worker in [from, to] {
            while let Some((peer, node, forward)) = self.workers[worker].inbox.pop_front() {
                self.hear(worker, peer, node, &forward);
            }
        }
        let moved = self.contexts.iter().filter(|(key, (at, _))| key.shard == shard && *at == from);
        let moved: Vec<(ContextKey, Profile)> =
            moved.map(|(key, (_, profile))| (*key, profile.clone())).collect();
        self.contexts.retain(|key, (at, _)| key.shard != shard || *at != from);
        self.input(from, Input::Leave(shard));
        self.workers[to].took_over = self.now.mono;
        for (context, profile) in moved {
            let record = self.written.remove(&context).unwrap_or_default();
            self.ears.forget(context);
            self.contexts.insert(context, (to, profile.clone()));
            self.is_restoring = true;
            self.input(to, Input::Up { context, profile });
            self.input(to, Input::Restore { context, bytes: &record });
            self.is_restoring = false;
        }
    }

    /// A burst of a call as its repeater sends it.
    pub(super) fn say(&mut self, talk: &Talk) {
        let Some((worker, profile)) = self.contexts.get(&talk.context) else { return };
        if matches!(profile.line, Line::Trunk(_)) {
            return;
        }
        let worker = *worker;
        let mut frame = talk.frame;
        let lc = match frame.call {
            CallType::Group => FullLc::group(frame.source, frame.destination),
            CallType::Private => FullLc::private(frame.source, frame.destination),
        };
        let lc = lc.with_service_options(ServiceOptions(talk.options));
        let lc = if talk.wrong_lc { lc.with_source(1) } else { lc };
        frame.burst = match frame.kind {
            BurstKind::Voice(place) => {
                self.marks += 1;
                let mut ambe = AMBE_SILENCE;
                ambe[..8].copy_from_slice(&self.marks.to_be_bytes());
                let mut burst = dmr::voice_burst(place, &ambe, 9, &lc.to_embedded(), Sync::MsVoice);
                // An EMB that nobody can read.
                if self.random.one_in(20) {
                    (burst[13], burst[14]) = (burst[13] ^ 0x0F, burst[14] ^ 0xF0);
                }
                burst
            }
            BurstKind::Data(DataType::TERMINATOR) => dmr::terminator(&lc, 9, Sync::MsVoice),
            BurstKind::Data(_) => dmr::voice_header(&lc, 9, Sync::MsVoice),
        };
        let Talk { context, slot, stream, .. } = *talk;
        self.input(worker, Input::Frame { context, slot, stream, frame: &frame });
    }

    pub(super) fn read_ring(&mut self) {
        let worker = self.any_worker();
        // Each has a ring of its own: what one has published later may be read first.
        let from = self.random.below(self.workers.len() as u64 + u64::from(self.hosts > 1)) as usize;
        for _ in 0..self.random.below(60) {
            let inbox = &mut self.workers[worker].inbox;
            let place = inbox.iter().position(|&(other, ..)| other == from);
            let Some((from, node, forward)) = place.and_then(|place| inbox.remove(place)) else { return };
            self.hear(worker, from, node, &forward);
        }
    }

    /// A burst of a sibling, and what it has overtaken.
    fn hear(&mut self, worker: usize, from: usize, node: u32, forward: &Forward) {
        let peer = if from == self.workers.len() { FAR } else { from as u8 };
        self.input(worker, Input::Remote { peer, node, forward });
        if self.workers[worker].moved.is_empty() {
            return;
        }
        while let Some((from, node, forward)) = self.workers[worker].inbox.pop_front() {
            let peer = if from == self.workers.len() { FAR } else { from as u8 };
            self.input(worker, Input::Remote { peer, node, forward: &forward });
        }
        for (peer, node, forward) in std::mem::take(&mut self.workers[worker].moved) {
            self.input(worker, Input::Moved { peer, node, forward: &forward });
        }
    }

    pub(super) fn input(&mut self, worker: usize, input: Input<'_>) {
        let source = match input {
            Input::Frame { context, .. } => Some(context),
            _ => None,
        };
        self.workers[worker].switch.handle_input(self.now, input);
        self.settle(worker, source);
    }

    /// Checks a worker and what it says after one step.
    fn settle(&mut self, worker: usize, source: Option<ContextKey>) {
        self.workers[worker].switch.check_invariants();
        while let Some(output) = self.workers[worker].switch.poll_output() {
            let this = &mut self.workers[worker];
            match output {
                Output::Deliver { context, slot, stream, frame } => {
                    let (at, profile) = self.contexts.get(&context).expect("delivered to nobody");
                    assert_eq!(*at, worker, "delivered to a context of another worker");
                    let is_parrot = frame.source == crate::PARROT;
                    let ends = frame.kind == crate::TERMINATOR;
                    assert!(Some(context) != source || is_parrot || ends, "the talker hears itself");
                    if matches!(profile.line, Line::Trunk(_)) {
                        continue;
                    }
                    let is_taken_over = self.now.mono.since(this.took_over) < Duration::from_secs(8);
                    self.ears.hear(profile, (context, slot), stream, &frame, is_taken_over);
                }
                Output::Forward(forward) => self.publish(worker, &forward),
                Output::Moved { peer, node, forward } => this.moved.push((peer, node, *forward)),
                Output::Interest { talkgroup, wanted } => {
                    let is_new =
                        if wanted { this.wanted.insert(talkgroup) } else { this.wanted.remove(&talkgroup) };
                    assert!(is_new, "said twice: {talkgroup} wanted: {wanted}");
                }
                Output::Started { index, report } => {
                    let is_new = report.session.node == this.node && Some(report.session) > this.last;
                    assert!(is_new || self.is_restoring, "an ID given twice");
                    assert!(this.running.insert(index, report.session).is_none(), "a number given twice");
                    if is_new {
                        this.last = Some(report.session);
                    }
                }
                Output::Stopped { index, report, .. } => {
                    assert_eq!(this.running.remove(&index), Some(report.session));
                    self.ended += 1;
                }
                Output::Left { index } => {
                    assert!(this.running.remove(&index).is_some(), "what did not run has left");
                }
                Output::Heard { radio, context, slot } => {
                    self.heard_at.insert(radio, (worker, context, slot));
                }
                Output::Home { id, slot } => {
                    self.heard_at.entry(id).or_insert((worker, id, slot));
                }
                Output::Locate { index, session, radio } => {
                    let place = match self.heard_at.get(&radio) {
                        Some(&(at, context, slot)) if at == worker => Place::Here { context, slot },
                        Some(_) => Place::Elsewhere,
                        None => Place::Nowhere,
                    };
                    this.switch.handle_input(self.now, Input::Located { index, session, place });
                    this.switch.check_invariants();
                }
                Output::Away { id } => self.heard_at.retain(|_, (_, context, _)| *context != id),
                Output::Changed(context) => {
                    let record = record(&this.switch, context);
                    self.written.insert(context, record);
                }
                Output::Everything { wanted } => {
                    assert_ne!(std::mem::replace(&mut this.wants_all, wanted), wanted, "said twice");
                }
                Output::Range { first, last, wanted } => {
                    let range = (first, last);
                    let is_new = if wanted { this.ranges.insert(range) } else { this.ranges.remove(&range) };
                    assert!(is_new, "said twice: {range:?} wanted: {wanted}");
                }
                Output::Refused { .. }
                | Output::Unwanted { .. }
                | Output::Carried { .. }
                | Output::Alias { .. }
                | Output::Blocked { .. }
                | Output::Dropped(_) => {}
            }
        }
        self.checks += 1;
        if on("SLOTS") {
            self.workers[worker].switch.check_no_slot_is_passed_by(self.now.mono);
        }
        if on("RECORDS") && self.checks.is_multiple_of(8) {
            self.check_records(worker);
        }
    }

    /// What was written down of each context of a worker is what would be written down now.
    fn check_records(&self, worker: usize) {
        for (&context, (at, _)) in &self.contexts {
            if *at != worker {
                continue;
            }
            let switch = &self.workers[worker].switch;
            let now = read_record(&record(switch, context)).unwrap_or_default();
            let written = self.written.get(&context).and_then(|bytes| read_record(bytes)).unwrap_or_default();
            assert_eq!(essence(written), essence(now), "the record of {context:?} is stale");
        }
    }

    fn publish(&mut self, worker: usize, forward: &Forward) {
        let session = self.workers[worker].running.get(&forward.index).copied();
        let node = session.filter(|id| id.key == forward.key).expect("a burst of a session that runs").node;
        for other in (0..self.workers.len()).filter(|&other| other != worker) {
            // The ring of one that sleeps runs over.
            if !self.is_lossy || !self.random.one_in(50) {
                if other % self.hosts == worker % self.hosts {
                    self.workers[other].inbox.push_back((worker, node, *forward));
                    continue;
                }
                // Of one session, the bursts come in order wherever its context has moved.
                let next = (self.buffers.len() % 60_000) as u16;
                let index = *self.buffers.entry(SessionId { key: forward.key, node }).or_insert(next);
                let from = self.workers.len();
                self.workers[other].inbox.push_back((from, node, Forward { index, ..*forward }));
            }
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        loop {
            let timeouts =
                (0..).zip(&self.workers).filter_map(|(w, worker)| Some((worker.switch.poll_timeout()?, w)));
            let Some((at, worker)) = timeouts.min().filter(|&(at, _)| at <= end.mono) else { break };
            self.now = self.now.after(at.since(self.now.mono));
            self.workers[worker].switch.handle_timeout(self.now);
            let switch = &self.workers[worker].switch;
            assert!(switch.poll_timeout().is_none_or(|next| next > at), "due for ever");
            self.settle(worker, None);
        }
        self.now = end;
    }
}
