//! A cell of a state segment, kept twice, each copy with a sequence word: the writer fills the older copy and
//! gives it the next number last, so a writer that dies at any moment leaves the other copy whole.

use crate::sync::{AtomicU64, Ordering, acquire, fence, load_bytes, store_bytes};

/// The longest content of a cell, in bytes. The models' is two words, enough to be torn.
pub const CELL_LEN: usize = if cfg!(loom) { 16 } else { 448 };

/// Sequence, length, content.
pub(crate) const COPY_WORDS: usize = 2 + CELL_LEN / 8;

/// How often a reader that was overtaken by the writer looks again. A writer that overtakes it again and again
/// is not waited for.
const TRIES: usize = 16;

/// The copies of one cell.
pub(crate) type Copies<'a> = [&'a [AtomicU64]; 2];

/// Writes a cell whose content is no longer than [`CELL_LEN`].
pub(crate) fn write(copies: Copies<'_>, content: &[u8]) {
    let [a, b] = copies.map(|copy| copy[0].load(Ordering::Relaxed));
    let older = copies[usize::from(b < a)];
    // Whoever sees this copy gone must see the other one whole: else the cell would look empty.
    older[0].store(0, Ordering::Release);
    // Nobody may take the old number for the new content.
    fence(Ordering::Release);
    older[1].store(content.len() as u64, Ordering::Relaxed);
    store_bytes(&older[2..], content);
    older[0].store(a.max(b).wrapping_add(1), Ordering::Release);
}

/// Copies a cell into `buffer` and returns its length; `None` where it is empty.
pub(crate) fn read(copies: Copies<'_>, buffer: &mut [u8; CELL_LEN]) -> Option<usize> {
    for _ in 0..TRIES {
        let [a, b] = copies.map(|copy| acquire(&copy[0]));
        let (copy, sequence) = if b < a { (copies[0], a) } else { (copies[1], b) };
        if sequence == 0 {
            // Never written, or the writer went from one copy to the other while we looked.
            continue;
        }
        let len = usize::try_from(copy[1].load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let len = if len > CELL_LEN { 0 } else { len };
        load_bytes(&copy[2..], &mut buffer[..len]);
        fence(Ordering::Acquire);
        if copy[0].load(Ordering::Relaxed) == sequence {
            return (len > 0).then_some(len);
        }
    }
    None
}
