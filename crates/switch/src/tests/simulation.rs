//! Made-up traffic: contexts come, change and go, radios key, stop and fall silent, bursts get lost, between
//! one switch and junk from siblings, and between three that send each other their calls. After each step the
//! switch that took it is checked, and what it said is held against a model. A failing seed replays.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use dmr::{BurstKind, DataType};
use stack::{CallType, ContextKey, Frame, LinkType, Now, Profile, Slot, Slots, Time};

use super::bench::{HEADER, TERMINATOR, frame};
use crate::{Forward, Input, Output, PARROT, SessionId, Switch};

/// The default of [`crate::Settings`].
const DYNAMIC_TIME: Duration = Duration::from_secs(15 * 60);

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// A call that some radio makes, whatever the switch thinks of it.
#[derive(Clone, Copy)]
struct Talk {
    worker: usize,
    context: ContextKey,
    slot: Slot,
    stream: u32,
    frame: Frame,
}

struct Worker {
    node: u32,
    switch: Switch,
    /// Talkgroups that it said it wants.
    wanted: BTreeSet<u32>,
    /// Sessions that it said run.
    running: BTreeMap<u16, SessionId>,
    last: Option<SessionId>,
    /// What siblings have published and it has not read yet, with their place.
    inbox: VecDeque<(usize, Forward)>,
}

struct World {
    random: Random,
    now: Now,
    workers: Vec<Worker>,
    contexts: u16,
    talks: Vec<Talk>,
    streams: u32,
    is_restoring: bool,
    delivered: u64,
    ended: u64,
}

const TALKGROUPS: [u32; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 91, 92, 93, PARROT];

impl World {
    fn new(seed: u64, workers: usize, contexts: u16) -> Self {
        let worker = |node| Worker {
            node,
            switch: Switch::new(node, crate::Settings::default()),
            wanted: BTreeSet::new(),
            running: BTreeMap::new(),
            last: None,
            inbox: VecDeque::new(),
        };
        Self {
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            now: Now { mono: Time(5_000_000_000), wall_us: 1_790_000_000_000_000 },
            workers: (25_011..).take(workers).map(worker).collect(),
            contexts,
            talks: Vec::new(),
            streams: 0,
            is_restoring: false,
            delivered: 0,
            ended: 0,
        }
    }

    fn any_worker(&mut self) -> usize {
        self.random.below(self.workers.len() as u64) as usize
    }

    fn any_context(&mut self) -> ContextKey {
        let number = self.random.below(self.contexts.into()) as u16;
        ContextKey { shard: number % 3, index: number / 3 }
    }

    fn any_slot(&mut self) -> Slot {
        self.random.pick(&Slot::ALL)
    }

    fn any_talkgroups(&mut self) -> Vec<u32> {
        (0..self.random.below(5)).map(|_| self.random.pick(&TALKGROUPS)).collect()
    }

    fn any_profile(&mut self, context: ContextKey) -> Profile {
        let id = 1
            + u32::from(context.index) * 3
            + u32::from(context.shard)
            + 1000 * u32::from(self.random.one_in(9));
        let slots = [Slots::Both, Slots::Both, Slots::Both, Slots::Simplex, Slots::Only(Slot::One)];
        let link = self.random.pick(&[LinkType::Repeater, LinkType::Repeater, LinkType::Application]);
        let slots = self.random.pick(&slots);
        let statics = [self.any_talkgroups(), self.any_talkgroups()];
        Profile { link, ..Profile::repeater(id, slots, statics) }
    }

    fn input(&mut self, worker: usize, input: Input<'_>) {
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
        let mut reached = BTreeSet::new();
        while let Some(output) = self.workers[worker].switch.poll_output() {
            let this = &mut self.workers[worker];
            match output {
                Output::Deliver { context, frame, .. } => {
                    assert!(this.switch.contexts.get(context).is_some(), "delivered to nobody");
                    assert_ne!(Some(context), source, "the talker hears itself");
                    // In one step the parrot may speak on both slots, and a burst comes once.
                    assert!(reached.insert(context) || frame.source == PARROT, "delivered twice");
                    self.delivered += 1;
                }
                Output::Forward(forward) => {
                    assert!(this.running.get(&forward.index).is_some_and(|id| id.key == forward.key));
                    for other in (0..self.workers.len()).filter(|&other| other != worker) {
                        // The ring of one that sleeps runs over.
                        if !self.random.one_in(50) {
                            self.workers[other].inbox.push_back((worker, forward));
                        }
                    }
                }
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
                _ => {}
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        loop {
            let next = (0..self.workers.len())
                .filter_map(|w| Some((self.workers[w].switch.poll_timeout()?, w)))
                .min();
            let Some((at, worker)) = next.filter(|&(at, _)| at <= end.mono) else { break };
            self.now = self.now.after(at.since(self.now.mono));
            self.workers[worker].switch.handle_timeout(self.now);
            assert!(self.workers[worker].switch.poll_timeout().is_none_or(|next| next > at), "due for ever");
            self.settle(worker, None);
        }
        self.now = end;
    }

    fn key(&mut self) {
        let (worker, context, slot) = (self.any_worker(), self.any_context(), self.any_slot());
        let kinds = [HEADER, HEADER, HEADER, BurstKind::Voice(2), BurstKind::Data(DataType::CSBK)];
        let (source, talkgroup) = (7000 + self.random.below(20) as u32, self.random.pick(&TALKGROUPS));
        let mut frame = frame(source, talkgroup, self.random.pick(&kinds));
        if self.random.one_in(12) {
            frame.call = CallType::Private;
        }
        self.streams += 1;
        let stream = if self.random.one_in(3) { 0 } else { self.streams };
        if self.talks.len() < 25 {
            self.talks.push(Talk { worker, context, slot, stream, frame });
        }
        self.input(worker, Input::Frame { context, slot, stream, frame: &frame });
    }

    /// A radio that talks goes on, ends properly, or falls silent.
    fn talk(&mut self) {
        if self.talks.is_empty() {
            return self.key();
        }
        let i = self.random.below(self.talks.len() as u64) as usize;
        let Talk { worker, context, slot, stream, mut frame } = self.talks[i];
        if frame.kind != BurstKind::Data(DataType::CSBK) {
            frame.kind = BurstKind::Voice(self.random.below(6) as u8);
        }
        match self.random.below(150) {
            0 => drop(self.talks.swap_remove(i)),
            1 | 2 => {
                self.talks.swap_remove(i);
                let terminator = Frame { kind: TERMINATOR, ..frame };
                self.input(worker, Input::Frame { context, slot, stream, frame: &terminator });
                if self.random.one_in(4) {
                    self.input(worker, Input::Frame { context, slot, stream, frame: &frame });
                }
            }
            _ => self.input(worker, Input::Frame { context, slot, stream, frame: &frame }),
        }
    }

    fn read_ring(&mut self) {
        let worker = self.any_worker();
        for _ in 0..self.random.below(40) {
            let Some((from, forward)) = self.workers[worker].inbox.pop_front() else { return };
            let node = self.workers[from].node;
            self.input(worker, Input::Remote { peer: from as u8, node, forward: &forward });
        }
    }

    /// A sibling that has lost its mind.
    fn junk(&mut self) {
        let worker = self.any_worker();
        let kind = self.random.pick(&[HEADER, BurstKind::Voice(0), BurstKind::Voice(1), TERMINATOR]);
        let frame = frame(1, self.random.pick(&TALKGROUPS), kind);
        let (key, index) = (self.random.below(6), self.random.below(4) as u16);
        let forward = Forward { key, index, slot: Slot::One, options: 0, frame };
        let peer = 100 + self.random.below(2) as u8;
        self.input(worker, Input::Remote { peer, node: peer.into(), forward: &forward });
    }

    /// A context goes, and may come again with its record, here or on another worker.
    fn move_context(&mut self) {
        let (from, to, context) = (self.any_worker(), self.any_worker(), self.any_context());
        let mut record = [0; 448];
        let len = self.workers[from].switch.encode_record(context, &mut record);
        let profile = self.workers[from].switch.contexts.get(context).map(|context| context.profile.clone());
        self.input(from, Input::Down(context));
        if let (Some(len), Some(profile)) = (len, profile)
            && self.random.one_in(2)
        {
            self.input(to, Input::Up { context, profile });
            self.is_restoring = true;
            self.input(to, Input::Restore { context, bytes: &record[..len] });
            self.is_restoring = false;
        }
    }

    fn step(&mut self) {
        match self.random.below(1000) {
            0..600 => self.talk(),
            600..700 => self.read_ring(),
            700..712 => self.key(),
            712..716 => self.junk(),
            716..728 => {
                let (worker, context) = (self.any_worker(), self.any_context());
                let profile = self.any_profile(context);
                self.input(worker, Input::Up { context, profile });
            }
            728..736 => self.move_context(),
            736 => {
                let secs = self.random.below(4);
                self.pass(Duration::from_secs(secs));
            }
            737 if self.random.one_in(10) => {
                let time = Duration::from_secs(self.random.below(DYNAMIC_TIME.as_secs()));
                self.pass(time);
            }
            738 => self.now.wall_us -= 10_000,
            _ => {
                let us = self.random.below(4_000);
                self.pass(Duration::from_micros(us));
            }
        }
    }

    /// After an hour of silence nothing is left but contexts and their static talkgroups.
    fn end(&mut self) {
        for worker in &mut self.workers {
            worker.inbox.clear();
        }
        self.pass(Duration::from_secs(3600));
        for worker in &self.workers {
            let switch = &worker.switch;
            assert_eq!((switch.sessions(), switch.sessions.iter().count()), (0, 0));
            assert!(worker.running.is_empty());
            assert_eq!(switch.timers.len(), 0);
            assert_eq!(switch.parrot.check(), (vec![], vec![]));
            let groups = switch.groups.check();
            assert!(groups.iter().all(|(group, sessions)| !group.members.is_empty() && *sessions == 0));
            assert_eq!(
                groups.iter().map(|(group, _)| group.talkgroup).collect::<BTreeSet<_>>(),
                worker.wanted
            );
            assert!(
                switch.contexts.all().0.iter().all(|(_, context, _)| context.dynamics == [vec![], vec![]])
            );
        }
    }
}

fn run(seed: u64, workers: usize, contexts: u16, steps: u32) {
    let mut world = World::new(seed, workers, contexts);
    for number in 0..contexts {
        let context = ContextKey { shard: number % 3, index: number / 3 };
        for worker in 0..workers {
            let profile = world.any_profile(context);
            world.input(worker, Input::Up { context, profile });
        }
    }
    for _ in 0..steps {
        world.step();
    }
    world.end();
    // The made-up traffic is worth something.
    assert!(world.delivered > u64::from(steps / 2), "{} delivered", world.delivered);
    assert!(world.ended > u64::from(steps / 100), "{} ended", world.ended);
}

#[test]
fn sixty_contexts_on_one_switch() {
    for seed in 1..=6 {
        run(seed, 1, 60, 25_000);
    }
}

#[test]
fn twenty_contexts_on_each_of_three_switches() {
    for seed in 1..=6 {
        run(seed, 3, 20, 25_000);
    }
}
