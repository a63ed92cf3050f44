//! Where far sessions began: a table in a worker's segment. The ring says of a burst of another host only at which place
//! of the table its session stands, which readers look up once a session.

use crate::sync::{AtomicU64, Ordering, acquire, fence};

/// Places of the table.
pub const ORIGINS: u16 = 4096;
pub(crate) const ORIGIN_WORDS: usize = ORIGINS as usize * 2;

/// A table as others see it. An entry is two words: the session's key, and (node, count of writes), zero while the other is
/// being replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origins<'a> {
    pub(crate) words: &'a [AtomicU64],
}

impl Origins<'_> {
    /// Key and node of the session at this place; `None` where there is none, or another one is just put there.
    pub(crate) fn get(&self, index: u16) -> Option<(u64, u32)> {
        let [key, node] = entry(self.words, index)?;
        let who = acquire(node);
        let key = acquire(key);
        // A key that was replaced meanwhile has another count beside it, whosever it is.
        (who != 0 && node.load(Ordering::Relaxed) == who).then_some((key, (who >> 32) as u32))
    }
}

/// The owner's side.
#[derive(Debug, Default)]
pub(crate) struct OriginsWriter {
    /// Writes until now; never 0 in an entry.
    count: u32,
}

impl OriginsWriter {
    /// Puts a session at a place, if there is such a one.
    pub(crate) fn set(&mut self, words: &[AtomicU64], index: u16, key: u64, node: u32) {
        let Some([key_word, node_word]) = entry(words, index) else { return };
        self.count = self.count.wrapping_add(1).max(1);
        node_word.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        key_word.store(key, Ordering::Relaxed);
        node_word.store(u64::from(node) << 32 | u64::from(self.count), Ordering::Release);
    }
}

fn entry(words: &[AtomicU64], index: u16) -> Option<&[AtomicU64; 2]> {
    words.as_chunks::<2>().0.get(usize::from(index))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_where_it_was_put_and_nowhere_else() {
        let words: Vec<AtomicU64> = (0..ORIGIN_WORDS).map(|_| AtomicU64::new(0)).collect();
        let (mut writer, table) = (OriginsWriter::default(), Origins { words: &words });
        writer.set(&words, 7, u64::MAX, 0);
        writer.set(&words, ORIGINS - 1, 0, u32::MAX);
        let all: Vec<_> = (0..=u16::MAX).filter_map(|index| Some((index, table.get(index)?))).collect();
        assert_eq!(all, [(7, (u64::MAX, 0)), (ORIGINS - 1, (0, u32::MAX))]);
        for hostile in [ORIGINS, u16::MAX] {
            writer.set(&words, hostile, 1, 1);
            assert_eq!(table.get(hostile), None);
        }
        writer.set(&words, 7, 8, 9);
        assert_eq!(table.get(7), Some((8, 9)));
    }

    #[test]
    fn the_count_of_writes_passes_zero_by() {
        let words = [AtomicU64::new(0), AtomicU64::new(0)];
        let mut writer = OriginsWriter { count: u32::MAX };
        writer.set(&words, 0, 5, 0);
        assert_eq!(Origins { words: &words }.get(0), Some((5, 0)));
    }
}
