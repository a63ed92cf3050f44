//! A cell of a state segment, kept twice, each copy with a sequence word: the writer fills the older copy and
//! gives it the next number last, so a writer that dies at any moment leaves the other copy whole.

use crate::sync::{AtomicU64, Ordering, acquire, fence, load_bytes, store_bytes};

/// The longest content of a cell, in bytes. The models' is two words, enough to be torn.
pub const CELL_LEN: usize = if cfg!(loom) { 16 } else { 448 };

/// Words of the longest content.
pub(crate) const CONTENT_WORDS: usize = CELL_LEN / 8;

/// How often a reader that was overtaken by the writer looks again. A writer that overtakes it again and again
/// is not waited for.
const TRIES: usize = 16;

/// A copy of a cell: two words, [`CONTENT_WORDS`] for content.
#[derive(Clone, Copy)]
pub(crate) struct Copy<'a> {
    /// Sequence, length, and the beginning of the content.
    pub(crate) head: &'a [AtomicU64],
    /// The rest of the content, apart, so that a short one takes no memory for it.
    pub(crate) tail: &'a [AtomicU64],
}

impl Copy<'_> {
    /// How much of a content of this length lies in the head, in bytes.
    fn split(&self, len: usize) -> usize {
        len.min((self.head.len() - 2) * 8)
    }
}

/// Writes a cell whose content is no longer than [`CELL_LEN`].
pub(crate) fn write(copies: [Copy<'_>; 2], content: &[u8]) {
    let [a, b] = copies.map(|copy| copy.head[0].load(Ordering::Relaxed));
    let older = copies[usize::from(b < a)];
    // Whoever sees this copy gone must see the other one whole: else the cell would look empty.
    older.head[0].store(0, Ordering::Release);
    // Nobody may take the old number for the new content.
    fence(Ordering::Release);
    older.head[1].store(content.len() as u64, Ordering::Relaxed);
    let (head, tail) = content.split_at(older.split(content.len()));
    store_bytes(&older.head[2..], head);
    store_bytes(older.tail, tail);
    older.head[0].store(a.max(b).wrapping_add(1), Ordering::Release);
}

/// Copies a cell into `buffer` and returns its length; `None` where it is empty.
pub(crate) fn read(copies: [Copy<'_>; 2], buffer: &mut [u8; CELL_LEN]) -> Option<usize> {
    for _ in 0..TRIES {
        let [a, b] = copies.map(|copy| acquire(&copy.head[0]));
        let (copy, sequence) = if b < a { (copies[0], a) } else { (copies[1], b) };
        if sequence == 0 {
            // Never written, or the writer went from one copy to the other while we looked.
            continue;
        }
        let len = usize::try_from(copy.head[1].load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let len = if len > CELL_LEN { 0 } else { len };
        let (head, tail) = buffer[..len].split_at_mut(copy.split(len));
        load_bytes(&copy.head[2..], head);
        load_bytes(copy.tail, tail);
        fence(Ordering::Acquire);
        if copy.head[0].load(Ordering::Relaxed) == sequence {
            return (len > 0).then_some(len);
        }
    }
    None
}
