//! Holds what repeaters have heard against what was said to them.
//!
//! Pure: it is told what was sent and what came, with the times of both. A master may rewrite three fields of
//! a `DMRD`: the repeater's ID (the receiver's), the slot bit (the receiver's slot for the talkgroup, which
//! is TS2 here) and the stream ID (one and the same for a call at each receiver). To another network it says
//! its own network ID, TS1, and neither error rate nor field strength. Another host than the talker's counts bursts anew: the sequence
//! numbers of a call differ from those that were sent by one number. Everything else has to arrive as it was sent.

mod bridge;
mod ear;
mod hosts;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::traffic::Call;
use bridge::Bridge;
pub use bridge::Way;
use ear::{Ear, Said};
use hosts::Hosts;

/// The number of the other network, as a listener.
pub const NETWORK: usize = usize::MAX;
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

/// What became of all bursts so far.
pub struct Judge<'a> {
    said: Said<'a>,
    ears: Vec<Ear>,
    latency: Times,
    bridge: Option<Bridge>,
    hosts: Option<Hosts>,
}

impl<'a> Judge<'a> {
    /// A judge of `calls`, numbered in order and each on a talkgroup of its own, and of `listeners`.
    #[must_use]
    pub fn new(calls: &'a [Call], listeners: &[Listener]) -> Self {
        let said = Said::new(calls);
        let ear = |listener: &Listener| {
            let hears = |call: &Call| {
                let is_its_own = !call.is_by_network() && call.plan.repeater == listener.id;
                call.plan.talkgroup == listener.talkgroup && !is_its_own
            };
            Ear::new(&said, listener.id, false, calls.iter().position(hears))
        };
        let ears = listeners.iter().map(ear).collect();
        Self { said, ears, latency: Times::new(), bridge: None, hosts: None }
    }

    /// The same with another network, which should hear all calls that it does not make, as listener [`NETWORK`].
    #[must_use]
    pub fn with_network(self) -> Self {
        Self { bridge: Some(Bridge::new(&self.said)), ..self }
    }

    /// The same with listener `i` at host `hosts[i]`, so that what comes from the own host and from others is told apart.
    #[must_use]
    pub fn with_hosts(self, hosts: Vec<usize>) -> Self {
        let hosts = Hosts::new(&self.said, &self.ears, hosts);
        let mut ears = self.ears;
        ears.iter_mut().enumerate().for_each(|(place, ear)| ear.is_far = hosts.is_far(place, ear));
        Self { hosts: Some(hosts), ears, ..self }
    }

    /// Burst `index` of call `call` was sent at `at_us`, microseconds since 1970.
    pub fn sent(&mut self, call: usize, index: usize, at_us: u64) {
        if let Some(sent_us) = self.said.sent_us.get_mut(call).and_then(|call| call.get_mut(index)) {
            *sent_us = at_us;
        }
    }

    /// Listener `listener` got the `DMRD` `bytes` at `at_us`, microseconds since 1970. To the network it came signed: that
    /// is found right, and left out.
    pub fn received(&mut self, listener: usize, bytes: &[u8], at_us: u64) {
        if let Some(bridge) = self.bridge.as_mut().filter(|_| listener == NETWORK) {
            return bridge.received(&mut self.said, bytes, at_us);
        }
        let Some(ear) = self.ears.get_mut(listener) else { return };
        let stray = ear.counts.stray;
        let us = self.said.judge(ear, bytes, at_us);
        if let Some(hosts) = &mut self.hosts {
            hosts.heard(&self.said, (listener, ear.call), bytes, us, ear.counts.stray > stray);
        }
        let Some(us) = us else { return };
        self.latency.record(us);
        if let Some(bridge) = &mut self.bridge
            && ear.call.is_some_and(|number| self.said.calls[number].is_by_network())
        {
            bridge.to_repeaters.record(us);
        }
    }

    /// To how many a burst of call `call` is due.
    pub(crate) fn fan_out(&self, call: usize) -> u64 {
        let repeaters = self.ears.iter().filter(|ear| ear.call == Some(call)).count();
        (repeaters + self.bridge.as_ref().map_or(0, |bridge| bridge.fan_out(call))) as u64
    }

    /// What each listener heard of what was sent so far, in their order.
    #[must_use]
    pub fn listeners(&self) -> Vec<Heard> {
        self.ears.iter().map(|ear| Heard { id: ear.id, counts: ear.counts(&self.said) }).collect()
    }

    /// From the network to the repeaters, and from these to the network; `None` without one.
    #[must_use]
    pub fn ways(&self) -> Option<[Way; 2]> {
        let bridge = self.bridge.as_ref()?;
        let is_by_network = |&number: &usize| self.said.calls[number].is_by_network();
        let mut counts = Counts::default();
        let its = self.ears.iter().filter(|ear| ear.call.as_ref().is_some_and(is_by_network));
        its.for_each(|ear| counts.add(&ear.counts(&self.said)));
        let sent =
            (0..self.said.calls.len()).filter(is_by_network).map(|number| self.said.bursts(number)).sum();
        let way_out = Way { sent, counts, latency: bridge.to_repeaters.spread() };
        Some([way_out, bridge.way_in(&self.said)])
    }

    /// Of each call a listener that has heard nothing of it, if there is one.
    pub(crate) fn deaf(&self) -> Vec<Option<usize>> {
        let is_deaf = |ear: &Ear, call| ear.call == Some(call) && ear.counts.delivered == 0;
        let calls = 0..self.said.calls.len();
        calls.map(|call| self.ears.iter().position(|ear| is_deaf(ear, call))).collect()
    }

    /// Within a host, and across hosts; `None` where it was not said who is where.
    #[must_use]
    pub fn apart(&self) -> Option<[Way; 2]> {
        Some(self.hosts.as_ref()?.ways(&self.said, &self.ears))
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
        (0..self.said.calls.len()).flat_map(|call| self.bursts_of(call)).map(|(_, burst)| burst).collect()
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
        let times = self.said.sent_us[call].iter().zip(&self.said.slowest_us[call]).enumerate();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{AT_BURST, AT_FLAGS, AT_ID, AT_STREAM, DMRD_LEN, HEAD_LEN, Plan, Seed};
    use openbridge::Signer;

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

    /// Call 0 is the network's, for repeaters 1 and 2; call 1 is made by repeater 3 on 92, for 4 and the network.
    fn bridged() -> Vec<Call> {
        let signer = Signer::new(&stack::Key::new("k3y").unwrap()).unwrap();
        let mut calls = calls();
        calls[0] = calls[0].clone().by_network(&signer);
        calls
    }

    /// As a good master forwards it to the network.
    fn bridged_to(call: &Call, index: usize) -> [u8; HEAD_LEN] {
        let mut bytes = *forwarded(call, index, 7_777).first_chunk().unwrap();
        bytes[AT_FLAGS] &= 0x7F;
        bytes
    }

    #[test]
    fn both_ways_are_counted_apart() {
        let calls = bridged();
        let mut judge = Judge::new(&calls, &LISTENERS).with_network();
        assert_eq!([0, 1].map(|call| judge.fan_out(call)), [2, 2]);
        for index in 0..14 {
            judge.sent(0, index, AT_US);
            judge.sent(1, index, AT_US);
            judge.received(0, &forwarded(&calls[0], index, 1), AT_US + 10);
            judge.received(1, &forwarded(&calls[0], index, 2), AT_US + 20);
            judge.received(3, &forwarded(&calls[1], index, 4), AT_US + 30);
            judge.received(NETWORK, &bridged_to(&calls[1], index), AT_US + 40);
        }
        assert_eq!(judge.counts(), Counts { expected: 42, delivered: 42, ..Counts::default() });
        let [out, r#in] = judge.ways().unwrap();
        let all = |count| Counts { expected: count, delivered: count, ..Counts::default() };
        assert_eq!((out.sent, out.counts, out.latency.max_us), (14, all(28), 20));
        assert_eq!((r#in.sent, r#in.counts, r#in.latency.max_us), (14, all(14), 40));
        assert_eq!(Judge::new(&calls, &LISTENERS).ways(), None);
    }

    #[test]
    fn hosts_are_counted_apart() {
        let calls = calls();
        let listeners = [&LISTENERS[..], &[Listener { id: 5, talkgroup: 91 }]].concat();
        // Repeaters 1 and 5 are at one host, 2 to 4 at another, which counts bursts anew, and once wrongly.
        let mut judge = Judge::new(&calls, &listeners).with_hosts(vec![0, 1, 1, 1, 0]);
        assert_eq!(judge.deaf(), [Some(1), Some(3)]);
        for index in 0..14 {
            judge.sent(0, index, AT_US);
            judge.sent(1, index, AT_US);
            if index != 5 {
                let mut bytes = forwarded(&calls[0], index, 2);
                bytes[4] = index as u8 + u8::from(index == 7);
                judge.received(1, &bytes, AT_US + 900);
            }
            judge.received(4, &forwarded(&calls[0], index, 5), AT_US + 100);
            judge.received(3, &forwarded(&calls[1], index, 4), AT_US + 200);
        }
        // What is said on 91 comes to repeater 4 of another host, and to its talker himself.
        judge.received(3, &forwarded(&calls[0], 0, 4), AT_US);
        judge.received(0, &forwarded(&calls[0], 0, 1), AT_US);
        let [within, across] = judge.apart().unwrap();
        let counts = Counts { expected: 28, delivered: 28, stray: 1, ..Counts::default() };
        assert_eq!((within.sent, within.counts, within.latency.max_us), (28, counts, 200));
        let counts =
            Counts { expected: 14, delivered: 13, lost: 1, stray: 1, altered: 1, ..Counts::default() };
        assert_eq!((across.sent, across.counts, across.latency.max_us), (14, counts, 900));
        assert_eq!(judge.deaf(), [None, None]);
        assert_eq!(Judge::new(&calls, &LISTENERS).apart(), None);
    }

    #[test]
    fn what_goes_wrong_at_the_network_is_found() {
        let calls = bridged();
        let mut judge = Judge::new(&calls, &LISTENERS).with_network();
        for index in 0..14 {
            judge.sent(0, index, AT_US);
            judge.sent(1, index, AT_US);
            let mut bytes = bridged_to(&calls[1], index);
            // Another network ID, TS2, another sequence number; lost; doubled; the network's own call sent back.
            match index {
                2 => bytes[AT_ID] ^= 1,
                3 => bytes[AT_FLAGS] |= 0x80,
                4 => bytes[4] ^= 1,
                5 => continue,
                6 => judge.received(NETWORK, &bytes, AT_US),
                7 => judge.received(NETWORK, &bridged_to(&calls[0], index), AT_US),
                _ => {}
            }
            judge.received(NETWORK, &bytes, AT_US);
        }
        judge.received(NETWORK, &forwarded(&calls[1], 8, 7_777), AT_US);
        judge.received(NETWORK, b"DMRD", AT_US);
        let counts = judge.ways().unwrap()[1].counts;
        let expected =
            Counts { expected: 14, delivered: 13, lost: 1, duplicated: 2, stray: 2, altered: 4, ..counts };
        assert_eq!((counts, counts.reordered), (expected, 0));
    }
}
