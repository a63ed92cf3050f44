//! What comes from the own host and what from others, told apart.

use super::ear::{Ear, Said, is_of};
use super::{Counts, Times, Way};

/// Within a host, and across hosts.
const WITHIN: usize = 0;
const ACROSS: usize = 1;

/// Who is where, and how long it took on each of the two ways.
pub(super) struct Hosts {
    of_ears: Vec<usize>,
    /// Where each call begins.
    of_calls: Vec<usize>,
    /// Of the calls that should not have come where they came; others are taken for the host's own.
    strays: [u64; 2],
    times: [Times; 2],
}

impl Hosts {
    pub(super) fn new(said: &Said<'_>, ears: &[Ear], of_ears: Vec<usize>) -> Self {
        let of_call = |repeater: u32| {
            let talker = ears.iter().position(|ear| ear.id == repeater);
            talker.and_then(|talker| of_ears.get(talker).copied()).unwrap_or_default()
        };
        let of_calls = said.calls.iter().map(|call| of_call(call.plan.repeater)).collect();
        Self { of_ears, of_calls, strays: [0; 2], times: [Times::new(), Times::new()] }
    }

    /// Which way a call takes to an ear.
    fn way(&self, ear: usize, call: usize) -> usize {
        if self.of_ears.get(ear) == self.of_calls.get(call) { WITHIN } else { ACROSS }
    }

    /// An ear is at another host than the talker of its call.
    pub(super) fn is_far(&self, place: usize, ear: &Ear) -> bool {
        ear.call.is_some_and(|call| self.way(place, call) == ACROSS)
    }

    /// `bytes` came to an ear that should hear `its_call`: for the first time after `us`, or as a stray.
    pub(super) fn heard(
        &mut self,
        said: &Said<'_>,
        (ear, its_call): (usize, Option<usize>),
        bytes: &[u8],
        us: Option<u64>,
        is_stray: bool,
    ) {
        if us.is_none() && !is_stray {
            return;
        }
        let call = match us {
            Some(_) => its_call,
            None => said.calls.iter().position(|call| is_of(call, bytes)),
        };
        let way = call.map_or(WITHIN, |call| self.way(ear, call));
        self.strays[way] += u64::from(is_stray);
        if let Some(us) = us {
            self.times[way].record(us);
        }
    }

    /// Within a host, and across hosts.
    pub(super) fn ways(&self, said: &Said<'_>, ears: &[Ear]) -> [Way; 2] {
        [WITHIN, ACROSS].map(|way| {
            let (mut counts, mut sent) = (Counts::default(), 0);
            let mut is_counted = vec![false; said.calls.len()];
            for (place, ear) in ears.iter().enumerate() {
                let Some(call) = ear.call.filter(|&call| self.way(place, call) == way) else { continue };
                counts.add(&ear.counts(said));
                if !std::mem::replace(&mut is_counted[call], true) {
                    sent += said.bursts(call);
                }
            }
            counts.stray = self.strays[way];
            Way { sent, counts, latency: self.times[way].spread() }
        })
    }
}
