//! One listener's ear for one call: what was said, and what came of it there.

use super::Counts;
use crate::traffic::{
    AT_BURST, AT_FLAGS, AT_ID, AT_SEQUENCE, AT_STREAM, Call, DMRD_LEN, HEAD_LEN, Part, TS2, payload_of,
    read_payload,
};

/// What was said so far.
pub(super) struct Said<'a> {
    pub(super) calls: &'a [Call],
    /// Of each call and burst: when it was sent, microseconds since 1970; 0 where it was not.
    pub(super) sent_us: Vec<Vec<u64>>,
    /// Of each call and burst: how long it took to whom it came last.
    pub(super) slowest_us: Vec<Vec<u64>>,
}

pub(super) struct Ear {
    /// What a datagram has to bear that comes here: the receiving repeater's ID, or the server's network ID.
    pub(super) id: u32,
    /// It is a network's, which has TS1 alone and gets neither error rate nor field strength.
    is_network: bool,
    /// It is at another host than its call's talker, where bursts are counted anew.
    pub(super) is_far: bool,
    /// The call that it should hear.
    pub(super) call: Option<usize>,
    /// One bit for each burst of the call.
    seen: Vec<u64>,
    /// One above the latest burst seen.
    next: usize,
    stream: Option<[u8; 4]>,
    /// What sequence numbers differ by.
    shift: Option<u8>,
    pub(super) counts: Counts,
}

impl<'a> Said<'a> {
    pub(super) fn new(calls: &'a [Call]) -> Self {
        let times = || calls.iter().map(|call| vec![0; call.bursts()]).collect();
        Self { calls, sent_us: times(), slowest_us: times() }
    }

    /// How many bursts of a call were sent.
    pub(super) fn bursts(&self, call: usize) -> u64 {
        self.sent_us[call].iter().filter(|at| **at > 0).count() as u64
    }

    /// `ear` got the `DMRD` `bytes` at `at_us`. Returns how long it was under way, where it is the first of its kind.
    pub(super) fn judge(&mut self, ear: &mut Ear, bytes: &[u8], at_us: u64) -> Option<u64> {
        let number = ear.call.filter(|&number| is_of(&self.calls[number], bytes));
        let Some(number) = number else {
            ear.counts.stray += 1;
            return None;
        };
        let call = &self.calls[number];
        let Some(index) = index_in(call, bytes) else {
            ear.counts.altered += 1;
            return None;
        };
        let sent_us = self.sent_us[number][index];
        if sent_us == 0 {
            // A terminator that the master made up: its talker has not ended.
            ear.counts.stray += 1;
            return None;
        }
        let first = ear.take(index).then(|| {
            let us = at_us.saturating_sub(sent_us);
            let slowest_us = &mut self.slowest_us[number][index];
            *slowest_us = us.max(*slowest_us);
            us
        });
        if !ear.is_intact(bytes, &call.datagrams()[index]) {
            ear.counts.altered += 1;
        }
        first
    }
}

impl Ear {
    /// A repeater's, or a network's, that should hear `call` of `said`.
    pub(super) fn new(said: &Said<'_>, id: u32, is_network: bool, call: Option<usize>) -> Self {
        let words = call.map_or(0, |call| said.calls[call].bursts().div_ceil(64));
        let (seen, counts) = (vec![0; words], Counts::default());
        Self { id, is_network, is_far: false, call, seen, next: 0, stream: None, shift: None, counts }
    }

    /// What was found here, of what was said so far.
    pub(super) fn counts(&self, said: &Said<'_>) -> Counts {
        let mut counts = self.counts;
        counts.expected = self.call.map_or(0, |call| said.bursts(call));
        counts.lost = counts.expected.saturating_sub(counts.delivered);
        counts
    }

    pub(super) fn has_seen(&self, index: usize) -> bool {
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
        let (len, slot) = if self.is_network { (HEAD_LEN, 0) } else { (DMRD_LEN, TS2) };
        let Some(stream) = got.get(AT_STREAM..).and_then(<[u8]>::first_chunk::<4>) else { return false };
        let mut expected = *sent;
        expected[AT_ID..AT_FLAGS].copy_from_slice(&self.id.to_be_bytes());
        expected[AT_FLAGS] = expected[AT_FLAGS] & !TS2 | slot;
        if got.len() == len {
            expected[AT_STREAM..AT_BURST].copy_from_slice(self.stream.get_or_insert(*stream));
            if self.is_far {
                let shift = got[AT_SEQUENCE].wrapping_sub(sent[AT_SEQUENCE]);
                expected[AT_SEQUENCE] = sent[AT_SEQUENCE].wrapping_add(*self.shift.get_or_insert(shift));
            }
        }
        expected[..len] == *got
    }
}

/// A `DMRD` is of `call`, by its IDs.
pub(super) fn is_of(call: &Call, bytes: &[u8]) -> bool {
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
