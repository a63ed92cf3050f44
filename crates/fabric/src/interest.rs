//! Which talkgroups a worker wants: a hashed filter in its segment. A bit that is clear means that nobody
//! there wants the talkgroup; a bit that is set may be another talkgroup's. The receiver decides exactly.

use crate::sync::{AtomicU64, Ordering};

/// Words of a filter: 8 KiB, 65,536 bits.
pub const FILTER_WORDS: usize = 1024;

fn bit(talkgroup: u32) -> u16 {
    // Talkgroups come in runs; two rounds of multiply and shift make each bit depend on all of them.
    let mut hash = talkgroup.wrapping_mul(0x85EB_CA6B);
    hash = (hash ^ hash >> 13).wrapping_mul(0xC2B2_AE35);
    (hash >> 16) as u16
}

/// A filter as others see it.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    pub(crate) words: &'a [AtomicU64],
}

impl Filter<'_> {
    /// False: nobody there wants `talkgroup`. True: somebody may.
    #[must_use]
    pub fn may_want(&self, talkgroup: u32) -> bool {
        let bit = bit(talkgroup);
        self.words[usize::from(bit >> 6)].load(Ordering::Relaxed) >> (bit & 63) & 1 == 1
    }
}

/// The owner's side: counts how many talkgroups share a bit, so that one can be taken out again.
#[derive(Debug)]
pub struct FilterWriter {
    counts: Box<[u16]>,
    /// All bits are set, whatever the counts say.
    has_all: bool,
}

impl Default for FilterWriter {
    fn default() -> Self {
        Self { counts: vec![0; FILTER_WORDS * 64].into(), has_all: false }
    }
}

impl FilterWriter {
    /// Adds a talkgroup, which was not in. True where the filter has changed.
    pub(crate) fn add(&mut self, words: &[AtomicU64], talkgroup: u32) -> bool {
        let bit = bit(talkgroup);
        let count = &mut self.counts[usize::from(bit)];
        *count += 1;
        *count == 1 && !self.has_all && {
            words[usize::from(bit >> 6)].fetch_or(1 << (bit & 63), Ordering::Relaxed);
            true
        }
    }

    /// Takes out a talkgroup, which was in. True where the filter has changed.
    pub(crate) fn remove(&mut self, words: &[AtomicU64], talkgroup: u32) -> bool {
        let bit = bit(talkgroup);
        let count = &mut self.counts[usize::from(bit)];
        *count = count.saturating_sub(1);
        *count == 0 && !self.has_all && {
            words[usize::from(bit >> 6)].fetch_and(!(1 << (bit & 63)), Ordering::Relaxed);
            true
        }
    }

    /// All talkgroups are in from now on, or only those that were added.
    pub(crate) fn set_all(&mut self, words: &[AtomicU64], has_all: bool) {
        self.has_all = has_all;
        for (word, counts) in words.iter().zip(self.counts.chunks_exact(64)) {
            let own = (0..)
                .zip(counts)
                .filter(|(_, count)| **count > 0)
                .fold(0, |own, (bit, _)| own | 1_u64 << bit);
            word.store(if has_all { u64::MAX } else { own }, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn never_forgets_what_is_wanted_and_forgets_what_is_not() {
        let words: Vec<AtomicU64> = (0..FILTER_WORDS).map(|_| AtomicU64::new(0)).collect();
        let (mut writer, filter) = (FilterWriter::default(), Filter { words: &words });
        (1..5000).for_each(|tg| {
            writer.add(&words, tg);
        });
        assert!((1..5000).all(|tg| filter.may_want(tg)));
        let strangers = (100_000..110_000).filter(|&tg| filter.may_want(tg)).count();
        assert!(strangers < 1000, "{strangers} of 10,000 strangers taken for wanted");
        (2..5000).for_each(|tg| {
            writer.remove(&words, tg);
        });
        writer.set_all(&words, true);
        writer.add(&words, 7);
        assert!((1..9999).all(|tg| filter.may_want(tg)));
        writer.remove(&words, 7);
        writer.set_all(&words, false);
        assert!(filter.may_want(1));
        assert_eq!(words.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum::<u32>(), 1);
    }
}
