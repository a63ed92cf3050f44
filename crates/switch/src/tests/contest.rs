//! Two talkers on one talkgroup at different workers: everybody settles on the same one.

use std::collections::BTreeMap;
use std::time::Duration;

use dmr::{AMBE_SILENCE, FullLc, Sync, VoiceCall};
use proptest::prelude::*;
use stack::{CallType, ContextKey, Frame, Now, Profile, Slot, Slots, Time};

use crate::{BURST_TIME, Forward, Input, Output, Refused, Settings, Switch, TERMINATOR};

const TALKGROUP: u32 = 91;
const LISTENERS: u16 = 3;

/// Something that happens at a worker.
enum Event {
    /// The talker there sends its next burst.
    Talk,
    /// A burst of the other worker comes.
    Hear(Forward),
}

/// Two workers, each with one talker and some listeners, joined by rings that take their time.
struct Pair {
    switches: [Switch; 2],
    now: Now,
    /// What will happen, by time and a count that keeps it in order.
    queue: BTreeMap<(Time, u64), (usize, Event)>,
    count: u64,
    bursts: [Vec<Frame>; 2],
    /// How long a burst is on its way.
    delay: Duration,
    /// What each listener heard: when, and from which talker.
    heard: BTreeMap<(usize, ContextKey), Vec<(Time, u32)>>,
    refused: Vec<(u32, Refused)>,
    carried: Vec<u32>,
}

/// Radio at the worker with this number.
fn radio(worker: usize) -> u32 {
    7000 + worker as u32
}

const TALKER: ContextKey = ContextKey { shard: 0, index: 0 };

impl Pair {
    fn new(delay: Duration) -> Self {
        let now = Now { mono: Time(5_000_000_000), wall_us: 1_790_000_000_000_000 };
        let mut pair = Self {
            switches: [25_011, 25_012].map(|node| Switch::new(node, Settings::default())),
            now,
            queue: BTreeMap::new(),
            count: 0,
            bursts: [0, 1].map(|worker| {
                let lc = FullLc::group(radio(worker), TALKGROUP);
                let call = VoiceCall::new(lc, 1, Sync::BsVoice, std::iter::repeat_n(AMBE_SILENCE, 60));
                let frames = (0..).zip(call).map(|(sequence, (kind, burst))| Frame {
                    source: radio(worker),
                    destination: TALKGROUP,
                    call: CallType::Group,
                    kind,
                    sequence,
                    ber: 0,
                    rssi: 0,
                    burst,
                });
                frames.collect::<Vec<_>>().into_iter().rev().collect()
            }),
            delay,
            heard: BTreeMap::new(),
            refused: Vec::new(),
            carried: Vec::new(),
        };
        for worker in 0..2 {
            for index in 0..=LISTENERS {
                let context = ContextKey { shard: worker as u16, index };
                let statics = [vec![], vec![TALKGROUP]];
                let profile = Profile::repeater(100 + u32::from(index), Slots::Both, statics);
                pair.switches[worker].handle_input(now, Input::Up { context, profile });
            }
            pair.settle(worker);
        }
        pair
    }

    fn talker(worker: usize) -> ContextKey {
        ContextKey { shard: worker as u16, ..TALKER }
    }

    fn at(&mut self, time: Time, worker: usize, event: Event) {
        self.count += 1;
        self.queue.insert((time, self.count), (worker, event));
    }

    fn settle(&mut self, worker: usize) {
        self.switches[worker].check_invariants();
        while let Some(output) = self.switches[worker].poll_output() {
            match output {
                Output::Deliver { context, frame, .. } if frame.kind != TERMINATOR => {
                    let heard = self.heard.entry((worker, context)).or_default();
                    heard.push((self.now.mono, frame.source));
                }
                Output::Forward(forward) => {
                    self.at(self.now.mono + self.delay, 1 - worker, Event::Hear(forward));
                }
                Output::Refused { report, why } => self.refused.push((report.source, why)),
                Output::Carried { report } => self.carried.push(report.source),
                _ => {}
            }
        }
    }

    /// Both talk from these moments on, until both have ended.
    fn run(&mut self, starts: [Duration; 2]) {
        let begin = self.now.mono;
        for (worker, start) in starts.into_iter().enumerate() {
            self.at(begin + start, worker, Event::Talk);
        }
        while let Some(((time, _), (worker, event))) = self.queue.pop_first() {
            self.now = self.now.after(time.since(self.now.mono));
            let now = self.now;
            (0..2).for_each(|worker| self.switches[worker].handle_timeout(now));
            match event {
                Event::Talk => {
                    let Some(frame) = self.bursts[worker].pop() else { continue };
                    let (context, stream) = (Self::talker(worker), 5);
                    let input = Input::Frame { context, slot: Slot::One, stream, frame: &frame };
                    self.switches[worker].handle_input(now, input);
                    self.at(time + BURST_TIME, worker, Event::Talk);
                }
                Event::Hear(forward) => {
                    let peer = 1 - worker;
                    let (node, peer) = ([25_011, 25_012][peer], peer as u8);
                    let input = Input::Remote { peer, node, forward: &forward };
                    self.switches[worker].handle_input(now, input);
                }
            }
            (0..2).for_each(|worker| self.settle(worker));
        }
    }
}

proptest! {
    #[test]
    fn all_listeners_settle_on_the_first_within_two_bursts(
        apart_us in 0_u64..490_000, second in 0_usize..2, delay_us in 1_u64..40_000,
    ) {
        let mut pair = Pair::new(Duration::from_micros(delay_us));
        let mut starts = [Duration::ZERO; 2];
        starts[second] = Duration::from_micros(apart_us);
        pair.run(starts);
        // At the same microsecond the lower node ID decides.
        let winner = if apart_us == 0 { 0 } else { 1 - second };
        let began = Time(5_000_000_000) + starts[1 - winner].max(starts[winner]);
        let settled = began + BURST_TIME * 2;
        prop_assert_eq!(pair.heard.len(), 2 * usize::from(LISTENERS) + 1 + usize::from(pair.heard.contains_key(&(winner, Pair::talker(winner)))));
        for ((worker, context), heard) in &pair.heard {
            if *context == Pair::talker(*worker) {
                continue;
            }
            let end = began + Duration::from_millis(3000);
            let late = heard.iter().filter(|(at, _)| *at > settled && *at < end);
            for &(at, source) in late {
                prop_assert_eq!(source, radio(winner), "{:?} at {:?}", context, at);
            }
        }
        prop_assert_eq!(&pair.refused, &[(radio(1 - winner), Refused::Taken)]);
    }

    #[test]
    fn an_established_call_is_never_displaced(apart_us in 600_000_u64..3_000_000, second in 0_usize..2) {
        let mut pair = Pair::new(Duration::from_millis(1));
        let mut starts = [Duration::ZERO; 2];
        starts[second] = Duration::from_micros(apart_us);
        pair.run(starts);
        // While the first talks nobody hears the second; then all hear its rest.
        let first_ends = Time(5_000_000_000) + BURST_TIME * 61;
        for heard in pair.heard.values() {
            for &(at, source) in heard {
                prop_assert_eq!(source, radio(if at <= first_ends + Duration::from_millis(1) { 1 - second } else { second }));
            }
        }
        prop_assert_eq!(&pair.refused, &[(radio(second), Refused::Taken)]);
        prop_assert_eq!(&pair.carried, &[radio(second)], "once the first has ended");
    }
}
