//! Talkers of one talkgroup on several hosts, each with a clock of its own, that hear of each other late, through jitter
//! buffers of different depth, and for a while not at all. Once nothing stands between them any more all agree on who
//! talks; nobody ever hears two at once, and nothing stays when all have ended. A failing seed replays.

use std::collections::BTreeMap;
use std::time::Duration;

use dmr::{AMBE_SILENCE, BurstKind, FullLc, Sync};
use stack::{CallType, ContextKey, Frame, Now, Profile, Slot, Slots, Time};

use super::bench::{HEADER, TERMINATOR};
use super::simulation::Random;
use crate::{BURST_TIME, FAR, Forward, Input, Output, SessionId, Settings, Switch};

const TALKGROUP: u32 = 91;
const START: Now = Now { mono: Time(5_000_000_000), wall_us: 1_790_000_000_000_000 };
/// A burst is on its way to another host for so long, at most, with its time in the jitter buffer there.
const MAX_DELAY_US: u64 = 400_000;
/// Clocks are wrong by so much, at most.
const MAX_SKEW_US: u64 = 10_000_000;
/// By then all agree: what ended without a word is known to be silent, and who has the talk then was heard.
const SETTLED: Duration = Duration::from_millis(2500);
const TALKERS: u16 = 3;

enum Event {
    /// The radio at this context of a worker says its next burst.
    Say(usize, u16),
    /// A burst comes to a worker, from a sibling there or from afar.
    Hear(usize, u8, u32, Forward),
    /// Two hosts hear each other no more, or again.
    Cut(usize, usize, bool),
}

struct Worker {
    host: usize,
    switch: Switch,
    /// The session that each radio here began last.
    begun: BTreeMap<ContextKey, SessionId>,
    /// The largest ID of those that it was told of.
    met: Option<SessionId>,
}

#[derive(Clone, Copy, Default)]
struct Radio {
    is_keyed: bool,
    bursts: u32,
}

struct Net {
    random: Random,
    now: Now,
    workers: Vec<Worker>,
    /// By how much each host's clock is ahead, in microseconds.
    skews: Vec<i64>,
    cuts: BTreeMap<(usize, usize), bool>,
    radios: BTreeMap<(usize, u16), Radio>,
    queue: BTreeMap<(Time, u64), Event>,
    count: u64,
    /// When the last burst of a session arrives at a worker.
    arrivals: BTreeMap<(SessionId, usize), Time>,
    /// The number of a session's jitter buffer at a worker.
    buffers: BTreeMap<(SessionId, usize), u16>,
    /// The stream that a slot hears.
    hearing: BTreeMap<(usize, ContextKey, Slot), u32>,
}

fn key(worker: usize, index: u16) -> ContextKey {
    ContextKey { shard: worker as u16, index }
}

fn node(worker: usize) -> u32 {
    26_000 + worker as u32
}

impl Net {
    fn new(seed: u64) -> Self {
        let mut random = Random::of(seed);
        let (hosts, workers) = (2 + random.below(3) as usize, 1 + random.below(3) as usize);
        let worker = |(host, number)| Worker {
            host,
            switch: Switch::new(node(number), Settings::default()),
            begun: BTreeMap::new(),
            met: None,
        };
        let skews = (0..hosts).map(|_| random.below(2 * MAX_SKEW_US) as i64 - MAX_SKEW_US as i64).collect();
        let mut net = Self {
            random,
            now: START,
            workers: (0..hosts * workers).map(|number| worker((number / workers, number))).collect(),
            skews,
            cuts: BTreeMap::new(),
            radios: BTreeMap::new(),
            queue: BTreeMap::new(),
            count: 0,
            arrivals: BTreeMap::new(),
            buffers: BTreeMap::new(),
            hearing: BTreeMap::new(),
        };
        for worker in 0..net.workers.len() {
            // Some workers have no listener: they hear of the others from when somebody keys up there.
            let has_listener = !net.random.one_in(3);
            for index in 0..TALKERS + u16::from(has_listener) {
                let statics = [vec![], if index < TALKERS { vec![] } else { vec![TALKGROUP] }];
                let profile = Profile::repeater(1000 + u32::from(index), Slots::Both, statics);
                net.input(worker, Input::Up { context: key(worker, index), profile });
            }
        }
        net
    }

    /// The time at a host.
    fn at(&self, host: usize) -> Now {
        Now { wall_us: self.now.wall_us.saturating_add_signed(self.skews[host]), ..self.now }
    }

    fn plan(&mut self, at: Time, event: Event) {
        self.count += 1;
        self.queue.insert((at, self.count), event);
    }

    fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cuts.get(&(a.min(b), a.max(b))).copied().unwrap_or(false)
    }

    fn input(&mut self, worker: usize, input: Input<'_>) {
        let now = self.at(self.workers[worker].host);
        self.workers[worker].switch.handle_input(now, input);
        self.settle(worker);
    }

    fn settle(&mut self, worker: usize) {
        self.workers[worker].switch.check_invariants();
        while let Some(output) = self.workers[worker].switch.poll_output() {
            match output {
                Output::Deliver { context, slot, stream, frame } => {
                    self.hear(worker, (context, slot), stream, &frame);
                }
                Output::Forward(forward) => self.publish(worker, &forward),
                Output::Moved { peer, node, forward } => {
                    assert_ne!(peer, FAR);
                    self.input(worker, Input::Moved { peer, node, forward: &forward });
                }
                Output::Started { report, .. } => {
                    let context = key(worker, (report.context - 1000) as u16);
                    let before = self.workers[worker].begun.insert(context, report.session);
                    assert!(before < Some(report.session));
                    let met = self.workers[worker].met.map(|met| met.key);
                    assert!(met < Some(report.session.key), "who begins after a call has a smaller ID");
                }
                _ => {}
            }
        }
    }

    fn hear(&mut self, worker: usize, (context, slot): (ContextKey, Slot), stream: u32, frame: &Frame) {
        let place = (worker, context, slot);
        match (frame.kind, self.hearing.remove(&place)) {
            (TERMINATOR, heard) => return assert_eq!(heard, Some(stream), "the end of what was not heard"),
            (kind, None) => assert_eq!(kind, HEADER, "a call without a header"),
            (_, heard) => assert_eq!(heard, Some(stream), "two at once"),
        }
        self.hearing.insert(place, stream);
    }

    fn publish(&mut self, from: usize, forward: &Forward) {
        let id = forward.session(node(from));
        let host = self.workers[from].host;
        for to in (0..self.workers.len()).filter(|&to| to != from) {
            let there = self.workers[to].host;
            let (delay_us, peer) = if there == host { (2_000, from as u8) } else { (MAX_DELAY_US, FAR) };
            if there != host && (self.is_cut(host, there) || self.random.one_in(50)) {
                continue;
            }
            let delay = Duration::from_micros(1 + self.random.below(delay_us));
            // In the order in which they were sent; what has another jitter buffer may be overtaken.
            let last = self.arrivals.get(&(id, to)).copied().unwrap_or_default();
            let at = last.max(self.now.mono + delay);
            self.arrivals.insert((id, to), at);
            let mut forward = *forward;
            if peer == FAR {
                let next = self.buffers.len() as u16;
                forward.index = *self.buffers.entry((id, to)).or_insert(next);
            }
            self.plan(at, Event::Hear(to, peer, node(from), forward));
        }
    }

    fn say(&mut self, worker: usize, index: u16, ends: bool) {
        let radio = self.radios.get_mut(&(worker, index)).expect("a radio that was keyed");
        let source = 7000 + (worker as u32) * 10 + u32::from(index);
        let lc = FullLc::group(source, TALKGROUP);
        let bursts = radio.bursts;
        radio.bursts += 1;
        let place = (bursts.wrapping_sub(1) % 6) as u8;
        let (kind, burst) = match bursts {
            _ if ends => (TERMINATOR, dmr::terminator(&lc, 1, Sync::BsVoice)),
            0 => (HEADER, dmr::voice_header(&lc, 1, Sync::BsVoice)),
            _ => {
                let burst = dmr::voice_burst(place, &AMBE_SILENCE, 1, &lc.to_embedded(), Sync::BsVoice);
                (BurstKind::Voice(place), burst)
            }
        };
        let (destination, call, sequence) = (TALKGROUP, CallType::Group, (bursts % 256) as u8);
        let frame = Frame { source, destination, call, kind, sequence, ber: 0, rssi: 0, burst };
        let input =
            Input::Frame { context: key(worker, index), slot: Slot::One, stream: source, frame: &frame };
        self.input(worker, input);
    }

    fn key_up(&mut self, worker: usize, index: u16, at: Time) {
        self.radios.insert((worker, index), Radio::default());
        self.plan(at, Event::Say(worker, index));
    }

    /// The radio lets its key go, or is simply not heard any more.
    fn unkey(&mut self, worker: usize, index: u16) {
        let radio = self.radios.remove(&(worker, index)).expect("a radio that was keyed");
        if radio.is_keyed && !self.random.one_in(4) {
            self.radios.insert((worker, index), radio);
            self.say(worker, index, true);
            self.radios.remove(&(worker, index));
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        loop {
            let due = |(place, worker): (usize, &Worker)| Some((worker.switch.poll_timeout()?, place));
            let timeout = self.workers.iter().enumerate().filter_map(due).min();
            let event = self.queue.first_key_value().map(|((at, _), _)| *at);
            let next = timeout.map(|(at, _)| at).into_iter().chain(event).min().filter(|at| *at <= end.mono);
            let Some(next) = next else { break };
            self.now = self.now.after(next.since(self.now.mono));
            if let Some((_, worker)) = timeout.filter(|(at, _)| *at == next) {
                let now = self.at(self.workers[worker].host);
                self.workers[worker].switch.handle_timeout(now);
                self.settle(worker);
            } else if let Some((_, event)) = self.queue.pop_first() {
                self.happen(event);
            }
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Cut(a, b, is_cut) => drop(self.cuts.insert((a.min(b), a.max(b)), is_cut)),
            Event::Hear(worker, peer, node, forward) => {
                self.workers[worker].met = self.workers[worker].met.max(Some(forward.session(node)));
                self.input(worker, Input::Remote { peer, node, forward: &forward });
            }
            Event::Say(worker, index) => {
                let Some(radio) = self.radios.get_mut(&(worker, index)) else { return };
                radio.is_keyed = true;
                self.say(worker, index, false);
                let jitter = Duration::from_micros(self.random.below(20_000));
                let next = self.now.mono + BURST_TIME - Duration::from_millis(10) + jitter;
                self.plan(next, Event::Say(worker, index));
            }
        }
    }

    /// The talk has who has the smallest ID of those who talk.
    fn winner(&self) -> Option<(SessionId, (usize, u16))> {
        let keyed = self.radios.iter().filter(|(_, radio)| radio.is_keyed);
        keyed
            .map(|(&(worker, index), _)| (self.workers[worker].begun[&key(worker, index)], (worker, index)))
            .min()
    }

    /// All who have anything to do with the talkgroup agree on who talks, for a second.
    fn check(&mut self) {
        let winner = self.winner().map(|(id, _)| id);
        for _ in 0..20 {
            for (place, worker) in self.workers.iter().enumerate() {
                let switch = &worker.switch;
                let talker = switch.groups.talker(TALKGROUP).and_then(|index| switch.sessions.get(index));
                let is_wanted = switch.groups.is_wanted(TALKGROUP);
                let talker = talker.map(|session| session.id);
                assert!(!is_wanted || talker == winner, "worker {place}: {talker:?}, {winner:?} expected");
            }
            self.pass(Duration::from_millis(50));
        }
    }
}

fn run(seed: u64) {
    let mut net = Net::new(seed);
    let hosts = net.skews.len();
    let mut free: Vec<(usize, u16)> =
        (0..net.workers.len()).flat_map(|worker| (0..TALKERS).map(move |index| (worker, index))).collect();
    // For ten seconds anything may happen: talkers come and go, hosts hear each other or not.
    let begin = net.now.mono;
    let at = |random: &mut Random| begin + Duration::from_micros(random.below(10_000_000));
    for _ in 0..2 + net.random.below(4) {
        let place = net.random.below(free.len() as u64) as usize;
        let ((worker, index), at) = (free.swap_remove(place), at(&mut net.random));
        net.key_up(worker, index, at);
    }
    for _ in 0..net.random.below(6) {
        let (a, b) = (net.random.below(hosts as u64) as usize, net.random.below(hosts as u64) as usize);
        let (at, is_cut) = (at(&mut net.random), !net.random.one_in(3));
        net.plan(at, Event::Cut(a, b, is_cut));
    }
    let first = net.random.pick(&[3000, 6000, 10_000]);
    net.pass(Duration::from_millis(first));
    if net.random.one_in(2)
        && net.radios.len() > 2
        && let Some((_, (worker, index))) = net.winner()
    {
        net.unkey(worker, index);
    }
    net.pass(Duration::from_millis(10_100 - first));
    net.cuts.clear();
    net.pass(SETTLED);
    net.check();
    // Whoever has it ends; the next one has it then, to the last.
    while let Some((_, (worker, index))) = net.winner() {
        net.unkey(worker, index);
        if net.random.one_in(4)
            && let Some((worker, index)) = free.pop()
        {
            net.key_up(worker, index, net.now.mono);
        }
        net.pass(SETTLED);
        net.check();
    }
    net.pass(Duration::from_secs(10));
    for worker in &net.workers {
        assert_eq!(worker.switch.sessions.iter().count(), 0, "a call that stays");
    }
    assert!(net.hearing.is_empty(), "a call without an end");
}

/// `SWITCH_SIMULATION_STEPS=100000` makes it as many seeds; `SWITCH_SIMULATION_SEED=7` begins with that seed.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long a test runs is no matter of the switch")]
fn all_hosts_agree_on_the_talker_whatever_their_clocks_say() {
    let number = |name, default| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (seeds, first): (u64, u64) =
        (number("SWITCH_SIMULATION_STEPS", 2000), number("SWITCH_SIMULATION_SEED", 1));
    for seed in first..first + seeds {
        println!("seed {seed}");
        run(seed);
    }
}
