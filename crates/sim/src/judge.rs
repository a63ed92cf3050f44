//! Holds what repeaters have heard against what was said to them.
//!
//! Pure: it is told what was sent and what came, with the times of both. A master may rewrite three fields of
//! a `DMRD`: the repeater's ID (the receiver's), the slot bit (the receiver's slot for the talkgroup, which
//! is TS2 here) and the stream ID (one and the same for a call at each receiver). Everything else has to
//! arrive as it was sent.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::traffic::{
    AT_BURST, AT_FLAGS, AT_ID, AT_STREAM, Call, DMRD_LEN, Part, TS2, payload_of, read_payload,
};

/// The longest time that is told apart, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// A repeater that listens to one talkgroup.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    /// Its ID.
    pub id: u32,
    /// Its static talkgroup on TS2.
    pub talkgroup: u32,
}

/// What was found, in bursts at their receivers. Header and terminator of a call count as bursts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Should have come.
    pub expected: u64,
    /// Came at least once.
    pub delivered: u64,
    /// Never came.
    pub lost: u64,
    /// Came after a later one of the same call.
    pub reordered: u64,
    /// Came once more.
    pub duplicated: u64,
    /// Came to somebody who should not hear it: the talker himself, another talkgroup, of no known call, or before it was
    /// sent.
    pub stray: u64,
    /// Came, but not as it was sent; where it cannot be told which burst it was, that one is lost as well.
    pub altered: u64,
}

impl Counts {
    /// Everything came once, in order, as it was sent, and nothing else came.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let Self { expected, delivered, lost, reordered, duplicated, stray, altered } = *self;
        delivered == expected && [lost, reordered, duplicated, stray, altered] == [0; 5]
    }

    fn add(&mut self, other: &Self) {
        self.expected += other.expected;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.duplicated += other.duplicated;
        self.stray += other.stray;
        self.altered += other.altered;
    }
}

/// How times are spread, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Half of them are at most so long.
    pub p50_us: u64,
    /// 99 of 100 are.
    pub p99_us: u64,
    /// All are.
    pub max_us: u64,
}

/// Takes in times, without allocating.
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Self {
        let times = Histogram::new_with_bounds(1, LONGEST_US, 3);
        Self(times.expect("bounds and precision are within what the histogram allows"))
    }

    pub(crate) fn record(&mut self, us: u64) {
        self.0.saturating_record(us);
    }

    pub(crate) fn spread(&self) -> Spread {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Spread { p50_us: at(0.5), p99_us: at(0.99), max_us: self.0.max() }
    }
}

/// What one repeater heard.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Heard {
    /// The repeater's ID.
    pub id: u32,
    /// What was found there.
    #[serde(flatten)]
    pub counts: Counts,
}

/// One burst of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Number of the call.
    pub call: usize,
    /// When it was sent, microseconds since 1970.
    pub sent_us: u64,
    /// How long it was under way to whom it came last, among those to whom it came.
    pub slowest_us: u64,
}

/// A burst that never came to one of its listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Number of the listener.
    pub listener: usize,
    /// Which burst.
    pub burst: Burst,
}

struct Ear {
    id: u32,
    /// The call that it should hear.
    call: Option<usize>,
    /// One bit for each burst of the call.
    seen: Vec<u64>,
    /// One above the latest burst seen.
    next: usize,
    stream: Option<[u8; 4]>,
    counts: Counts,
}

/// What became of all bursts so far.
pub struct Judge<'a> {
    calls: &'a [Call],
    /// Of each call and burst: when it was sent, microseconds since 1970; 0 where it was not.
    sent_us: Vec<Vec<u64>>,
    /// Of each call and burst: how long it took to whom it came last.
    slowest_us: Vec<Vec<u64>>,
    ears: Vec<Ear>,
    latency: Times,
}

impl<'a> Judge<'a> {
    /// A judge of `calls`, numbered in order and each on a talkgroup of its own, and of `listeners`.
    #[must_use]
    pub fn new(calls: &'a [Call], listeners: &[Listener]) -> Self {
        let ear = |listener: &Listener| {
            let hears =
                |call: &Call| call.plan.talkgroup == listener.talkgroup && call.plan.repeater != listener.id;
            let call = calls.iter().position(hears);
            let words = call.map_or(0, |call| calls[call].bursts().div_ceil(64));
            Ear {
                id: listener.id,
                call,
                seen: vec![0; words],
                next: 0,
                stream: None,
                counts: Counts::default(),
            }
        };
        let times = || calls.iter().map(|call| vec![0; call.bursts()]).collect();
        Self {
            calls,
            sent_us: times(),
            slowest_us: times(),
            ears: listeners.iter().map(ear).collect(),
            latency: Times::new(),
        }
    }

    /// Burst `index` of call `call` was sent at `at_us`, microseconds since 1970.
    pub fn sent(&mut self, call: usize, index: usize, at_us: u64) {
        if let Some(sent_us) = self.sent_us.get_mut(call).and_then(|call| call.get_mut(index)) {
            *sent_us = at_us;
        }
    }

    /// Listener `listener` got the `DMRD` `bytes` at `at_us`, microseconds since 1970.
    pub fn received(&mut self, listener: usize, bytes: &[u8], at_us: u64) {
        let Some(ear) = self.ears.get_mut(listener) else { return };
        let Some((number, call)) = ear.call.map(|n| (n, &self.calls[n])).filter(|(_, c)| is_of(c, bytes))
        else {
            ear.counts.stray += 1;
            return;
        };
        let Some(index) = index_in(call, bytes) else {
            ear.counts.altered += 1;
            return;
        };
        let sent_us = self.sent_us[number][index];
        if sent_us == 0 {
            // A terminator that the master made up: its talker has not ended.
            ear.counts.stray += 1;
            return;
        }
        if ear.take(index) {
            let us = at_us.saturating_sub(sent_us);
            let slowest_us = &mut self.slowest_us[number][index];
            *slowest_us = us.max(*slowest_us);
            self.latency.record(us);
        }
        if !ear.is_intact(bytes, &call.datagrams()[index]) {
            ear.counts.altered += 1;
        }
    }

    /// What each listener heard of what was sent so far, in their order.
    #[must_use]
    pub fn listeners(&self) -> Vec<Heard> {
        let heard = |ear: &Ear| {
            let mut counts = ear.counts;
            let sent_us = ear.call.map_or(&[][..], |call| &self.sent_us[call]);
            counts.expected = sent_us.iter().filter(|at| **at > 0).count() as u64;
            counts.lost = counts.expected.saturating_sub(counts.delivered);
            Heard { id: ear.id, counts }
        };
        self.ears.iter().map(heard).collect()
    }

    /// What all listeners heard together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.listeners().iter().for_each(|heard| counts.add(&heard.counts));
        counts
    }

    /// All bursts that were sent so far, call by call.
    #[must_use]
    pub fn bursts(&self) -> Vec<Burst> {
        (0..self.calls.len()).flat_map(|call| self.bursts_of(call)).map(|(_, burst)| burst).collect()
    }

    /// All that never came, listener by listener.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        let missing = |(listener, ear): (usize, &Ear)| {
            let bursts = ear.call.into_iter().flat_map(|call| self.bursts_of(call));
            let missing = bursts.filter(|&(index, _)| !ear.has_seen(index));
            missing.map(|(_, burst)| Missing { listener, burst }).collect::<Vec<_>>()
        };
        self.ears.iter().enumerate().flat_map(missing).collect()
    }

    /// Those of a call that were sent so far, with their places in it.
    fn bursts_of(&self, call: usize) -> impl Iterator<Item = (usize, Burst)> {
        let times = self.sent_us[call].iter().zip(&self.slowest_us[call]).enumerate();
        times
            .filter(|(_, (sent_us, _))| **sent_us > 0)
            .map(move |(index, (&sent_us, &slowest_us))| (index, Burst { call, sent_us, slowest_us }))
    }

    /// Time from just before a burst was sent to the kernel's receipt of it at a receiver.
    #[must_use]
    pub fn latency(&self) -> Spread {
        self.latency.spread()
    }
}

impl Ear {
    fn has_seen(&self, index: usize) -> bool {
        self.seen[index / 64] & 1 << (index % 64) != 0
    }

    /// Marks burst `index` as seen; false where it was before.
    fn take(&mut self, index: usize) -> bool {
        let bit = 1 << (index % 64);
        let word = &mut self.seen[index / 64];
        if *word & bit != 0 {
            self.counts.duplicated += 1;
            return false;
        }
        *word |= bit;
        self.counts.delivered += 1;
        if index < self.next {
            self.counts.reordered += 1;
        } else {
            self.next = index + 1;
        }
        true
    }

    fn is_intact(&mut self, got: &[u8], sent: &[u8; DMRD_LEN]) -> bool {
        let Ok(got) = <&[u8; DMRD_LEN]>::try_from(got) else { return false };
        let mut expected = *sent;
        expected[AT_ID..AT_FLAGS].copy_from_slice(&self.id.to_be_bytes());
        expected[AT_FLAGS] |= TS2;
        let mut stream = [0; 4];
        stream.copy_from_slice(&got[AT_STREAM..AT_BURST]);
        expected[AT_STREAM..AT_BURST].copy_from_slice(self.stream.get_or_insert(stream));
        expected == *got
    }
}

/// A `DMRD` is of `call`, by its IDs.
fn is_of(call: &Call, bytes: &[u8]) -> bool {
    bytes.get(5..AT_ID) == call.datagrams()[0].get(5..AT_ID)
}

/// The index in `call` of the burst in a `DMRD`, by what it carries.
fn index_in(call: &Call, bytes: &[u8]) -> Option<usize> {
    let last = call.bursts() - 1;
    match Part::of(*bytes.get(AT_FLAGS)?)? {
        Part::Header => Some(0),
        Part::Terminator => Some(last),
        Part::Voice => {
            let (number, index) = read_payload(&payload_of(bytes)?)?;
            let index = usize::try_from(index).ok()?;
            (number == call.plan.number && (1..last).contains(&index)).then_some(index)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{Plan, Seed};

    const LISTENERS: [Listener; 4] = [
        Listener { id: 1, talkgroup: 91 },
        Listener { id: 2, talkgroup: 91 },
        Listener { id: 3, talkgroup: 92 },
        Listener { id: 4, talkgroup: 92 },
    ];

    /// Repeater 1 calls talkgroup 91 (heard by 2), repeater 3 calls 92 (heard by 4): 14 bursts each.
    fn calls() -> Vec<Call> {
        let plan = |number, repeater, talkgroup| Plan {
            number,
            repeater,
            source: 9_000 + number,
            talkgroup,
            ts2: true,
            bursts: 14,
        };
        let mut seed = Seed(7);
        vec![Call::new(plan(0, 1, 91), &mut seed), Call::new(plan(1, 3, 92), &mut seed)]
    }

    /// As a good master forwards it to repeater `id`.
    fn forwarded(call: &Call, index: usize, id: u32) -> [u8; DMRD_LEN] {
        let mut bytes = call.datagrams()[index];
        bytes[AT_ID..AT_FLAGS].copy_from_slice(&id.to_be_bytes());
        bytes[AT_STREAM..AT_BURST].copy_from_slice(&[9, 9, 9, 9]);
        bytes
    }

    /// Sends both calls; `deliver` says what of call 0 reaches repeater 2.
    fn judged(deliver: impl Fn(&mut Judge<'_>, usize, [u8; DMRD_LEN])) -> (Counts, Spread) {
        let calls = calls();
        let mut judge = Judge::new(&calls, &LISTENERS);
        for index in 0..14 {
            let at_us = 1_000_000 + index as u64 * 60_000;
            judge.sent(0, index, at_us);
            judge.sent(1, index, at_us);
            deliver(&mut judge, index, forwarded(&calls[0], index, 2));
            judge.received(3, &forwarded(&calls[1], index, 4), at_us + 100);
        }
        (judge.counts(), judge.latency())
    }

    const AT_US: u64 = 1_000_000;

    #[test]
    fn a_perfect_master_is_clean() {
        let (counts, latency) =
            judged(|judge, index, bytes| judge.received(1, &bytes, AT_US + index as u64 * 60_000 + 300));
        assert_eq!(counts, Counts { expected: 28, delivered: 28, ..Counts::default() });
        assert!(counts.is_clean());
        assert_eq!(latency, Spread { p50_us: 100, p99_us: 300, max_us: 300 });
    }

    #[test]
    fn loss_is_found() {
        let (counts, _) = judged(|judge, index, bytes| {
            if index != 0 && index != 5 {
                judge.received(1, &bytes, AT_US);
            }
        });
        assert_eq!(counts, Counts { expected: 28, delivered: 26, lost: 2, ..Counts::default() });
        assert!(!counts.is_clean());
    }

    #[test]
    fn doubles_are_found() {
        let (counts, _) = judged(|judge, index, bytes| {
            judge.received(1, &bytes, AT_US);
            if index == 13 || index == 3 {
                judge.received(1, &bytes, AT_US);
            }
        });
        assert_eq!(counts, Counts { expected: 28, delivered: 28, duplicated: 2, ..Counts::default() });
    }

    #[test]
    fn a_late_burst_is_found() {
        let calls = calls();
        let (counts, _) = judged(|judge, index, bytes| match index {
            4 => {}
            5 => {
                judge.received(1, &bytes, AT_US);
                judge.received(1, &forwarded(&calls[0], 4, 2), AT_US);
            }
            _ => judge.received(1, &bytes, AT_US),
        });
        assert_eq!(counts, Counts { expected: 28, delivered: 28, reordered: 1, ..Counts::default() });
    }

    #[test]
    fn strays_are_found() {
        let (counts, _) = judged(|judge, index, bytes| {
            judge.received(1, &bytes, AT_US);
            if index == 2 {
                judge.received(0, &bytes, AT_US);
                judge.received(2, &bytes, AT_US);
                judge.received(3, &bytes, AT_US);
                judge.received(3, b"DMRD", AT_US);
                judge.received(9, &bytes, AT_US);
                let calls = calls();
                judge.received(1, &forwarded(&calls[0], 13, 2), AT_US);
            }
        });
        assert_eq!(counts, Counts { expected: 28, delivered: 28, stray: 5, ..Counts::default() });
    }

    #[test]
    fn every_alteration_is_found() {
        for at in (0..DMRD_LEN).filter(|at| !(5..AT_ID).contains(at)) {
            let (counts, _) = judged(|judge, index, mut bytes| {
                bytes[at] ^= if index == 5 { 0x80 } else { 0 };
                judge.received(1, &bytes, AT_US);
            });
            assert_eq!((counts.altered, counts.stray), (1, 0), "byte {at}");
        }
        for at in 5..AT_ID {
            let (counts, _) = judged(|judge, index, mut bytes| {
                bytes[at] ^= u8::from(index == 5);
                judge.received(1, &bytes, AT_US);
            });
            assert_eq!((counts.stray, counts.lost), (1, 1), "another call's IDs, byte {at}");
        }
        let (counts, _) = judged(|judge, index, bytes| {
            judge.received(1, if index == 6 { &bytes[..53] } else { &bytes }, AT_US);
        });
        assert_eq!((counts.altered, counts.delivered), (1, 28), "cut short");
    }

    #[test]
    fn what_one_repeater_heard_can_be_told() {
        let calls = calls();
        let mut judge = Judge::new(&calls, &LISTENERS);
        judge.sent(0, 0, 1);
        let expected: Vec<_> = judge.listeners().iter().map(|heard| (heard.id, heard.counts.lost)).collect();
        assert_eq!(expected, [(1, 0), (2, 1), (3, 0), (4, 0)]);
    }

    #[test]
    fn what_became_of_one_burst_can_be_told() {
        let calls = calls();
        let listeners = [&LISTENERS[..], &[Listener { id: 5, talkgroup: 91 }]].concat();
        let mut judge = Judge::new(&calls, &listeners);
        (0..2).for_each(|index| judge.sent(0, index, AT_US));
        judge.received(1, &forwarded(&calls[0], 0, 2), AT_US + 300);
        judge.received(4, &forwarded(&calls[0], 0, 5), AT_US + 200);
        judge.received(4, &forwarded(&calls[0], 1, 5), AT_US + 7);
        let burst = |slowest_us| Burst { call: 0, sent_us: AT_US, slowest_us };
        assert_eq!(judge.bursts(), [burst(300), burst(7)]);
        assert_eq!(judge.missing(), [Missing { listener: 1, burst: burst(7) }]);
    }
}
