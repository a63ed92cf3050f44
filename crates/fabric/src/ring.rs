//! The broadcast ring: one writer, any number of read-only readers, lossy by construction.
//!
//! A slot is one cache line: a sequence word and [`FRAME_LEN`] bytes. Position `p` is written by storing
//! `2p + 1`, the payload, then `2p + 2` (a seqlock per slot), so a writer that dies in between leaves a slot
//! that is never taken for a frame. A writer never waits; a reader that was lapped jumps half a ring back and
//! counts the gap.

use crate::sync::{AtomicU64, Ordering, acquire, fence};

/// Bytes of a frame in the ring. The models' frames are two words, enough to be torn.
pub const FRAME_LEN: usize = if cfg!(loom) { 16 } else { 56 };
/// Slots of a ring: half a second of one thousand calls that all begin at this worker.
pub const SLOTS: usize = 8192;

const WORDS_PER_SLOT: usize = 1 + FRAME_LEN / 8;
type Slot = [AtomicU64; WORDS_PER_SLOT];
pub(crate) const RING_WORDS: usize = SLOTS * WORDS_PER_SLOT;

/// Writes a ring; there is one for each ring.
#[derive(Debug, Default)]
pub struct RingWriter {
    next: u64,
}

impl RingWriter {
    /// The position that is written next.
    pub(crate) fn position(&self) -> u64 {
        self.next
    }

    /// Publishes one frame to all readers.
    pub(crate) fn write(&mut self, head: &AtomicU64, ring: &[AtomicU64], frame: &[u8; FRAME_LEN]) {
        let slot = slot(ring, self.next);
        self.begin(slot);
        fill(slot, frame);
        self.finish(slot);
        head.store(self.next, Ordering::Release);
    }

    /// From here on the slot holds no frame, whatever becomes of its writer.
    pub(crate) fn begin(&self, slot: &Slot) {
        slot[0].store(2 * self.next + 1, Ordering::Relaxed);
        // The payload must not be seen before the odd sequence.
        fence(Ordering::Release);
    }

    fn finish(&mut self, slot: &Slot) {
        slot[0].store(2 * self.next + 2, Ordering::Release);
        self.next += 1;
    }
}

pub(crate) fn fill(slot: &Slot, frame: &[u8]) {
    for (word, bytes) in slot[1..].iter().zip(frame.as_chunks::<8>().0) {
        word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
    }
}

/// What a reader found.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// Nothing new.
    Empty,
    /// A frame was copied out.
    Frame,
    /// So many frames were overwritten before they were read.
    Gap(u64),
}

/// A reader's place in a ring.
#[derive(Debug)]
pub struct RingReader {
    next: u64,
}

impl RingReader {
    /// Reads on from position `next`.
    pub(crate) fn at(next: u64) -> Self {
        Self { next }
    }

    /// The position that is read next.
    pub(crate) fn position(&self) -> u64 {
        self.next
    }

    /// Copies the next frame out, if there is one. Whatever the writer does, this ends, and what it returns
    /// as a frame is one that the writer published whole.
    pub(crate) fn read(&mut self, head: &AtomicU64, ring: &[AtomicU64], frame: &mut [u8; FRAME_LEN]) -> Read {
        let slot = slot(ring, self.next);
        let whole = self.next.wrapping_mul(2).wrapping_add(2);
        let before = acquire(&slot[0]);
        if before == whole {
            for (word, bytes) in slot[1..].iter().zip(frame.as_chunks_mut::<8>().0) {
                *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
            }
            // The copy must be done before the sequence is looked at again.
            fence(Ordering::Acquire);
            if slot[0].load(Ordering::Relaxed) == whole {
                self.next = self.next.wrapping_add(1);
                return Read::Frame;
            }
        } else if before < whole {
            return Read::Empty;
        }
        self.jump(head, ring)
    }

    fn jump(&mut self, head: &AtomicU64, ring: &[AtomicU64]) -> Read {
        let to = acquire(head).saturating_sub(slots(ring).len() as u64 / 2);
        if to <= self.next {
            // The head that we see is older than the slot, or the writer breaks the rules: on to the next slot.
            self.next = self.next.wrapping_add(1);
            return Read::Gap(1);
        }
        let gap = to - self.next;
        self.next = to;
        Read::Gap(gap)
    }
}

fn slots(ring: &[AtomicU64]) -> &[Slot] {
    ring.as_chunks().0
}

/// The slot of a position in a ring whose number of slots is a power of two.
pub(crate) fn slot(ring: &[AtomicU64], position: u64) -> &Slot {
    let slots = slots(ring);
    #[expect(clippy::cast_possible_truncation, reason = "masked to the ring's size before it is an index")]
    let index = position as usize & (slots.len() - 1);
    &slots[index]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn ring() -> (AtomicU64, Vec<AtomicU64>) {
        (AtomicU64::new(0), (0..RING_WORDS).map(|_| AtomicU64::new(0)).collect())
    }

    fn frame(n: u64) -> [u8; FRAME_LEN] {
        let mut bytes = [n as u8; FRAME_LEN];
        bytes[..8].copy_from_slice(&n.to_ne_bytes());
        bytes
    }

    #[test]
    fn frames_come_out_in_order_and_once() {
        let (head, words) = ring();
        let (mut writer, mut reader, mut out) = (RingWriter::default(), RingReader::at(0), [0; FRAME_LEN]);
        assert_eq!(reader.read(&head, &words, &mut out), Read::Empty);
        for n in 0..3 * SLOTS as u64 {
            writer.write(&head, &words, &frame(n));
            assert_eq!(reader.read(&head, &words, &mut out), Read::Frame);
            assert_eq!(out, frame(n));
        }
        assert_eq!(reader.read(&head, &words, &mut out), Read::Empty);
    }

    #[test]
    fn a_lapped_reader_counts_what_it_missed_and_goes_on() {
        let (head, words) = ring();
        let (mut writer, mut reader, mut out) = (RingWriter::default(), RingReader::at(0), [0; FRAME_LEN]);
        let written = 2 * SLOTS as u64 + 7;
        (0..written).for_each(|n| writer.write(&head, &words, &frame(n)));
        let Read::Gap(gap) = reader.read(&head, &words, &mut out) else { panic!("no gap") };
        assert_eq!(gap, written - SLOTS as u64 / 2);
        for n in gap..written {
            assert_eq!(reader.read(&head, &words, &mut out), Read::Frame);
            assert_eq!(out, frame(n));
        }
        assert_eq!(reader.read(&head, &words, &mut out), Read::Empty);
    }

    #[test]
    fn a_half_written_slot_is_no_frame() {
        let (head, words) = ring();
        let (mut writer, mut reader, mut out) = (RingWriter::default(), RingReader::at(0), [0; FRAME_LEN]);
        writer.write(&head, &words, &frame(0));
        words[8].store(3, Ordering::Relaxed);
        assert_eq!(reader.read(&head, &words, &mut out), Read::Frame);
        assert_eq!(reader.read(&head, &words, &mut out), Read::Empty);
    }

    #[test]
    fn garbage_ends_and_never_panics() {
        let (head, words) = ring();
        let mut seed = 1_u64;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let mut reader = RingReader::at(0);
        for _ in 0..100_000 {
            let n = next();
            let at = usize::try_from(n % RING_WORDS as u64).unwrap();
            words[at].store(if n & 1 == 0 { next() } else { 2 * reader.next + n % 5 }, Ordering::Relaxed);
            head.store(next(), Ordering::Relaxed);
            reader.read(&head, &words, &mut [0; FRAME_LEN]);
        }
    }

    #[test]
    fn two_threads_never_see_a_torn_frame() {
        let (head, words) = ring();
        let count = 200_000;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = RingWriter::default();
                (0..count).for_each(|n| writer.write(&head, &words, &frame(n)));
            });
            let (mut reader, mut out, mut seen, mut missed) = (RingReader::at(0), [0; FRAME_LEN], 0, 0);
            while seen + missed < count {
                match reader.read(&head, &words, &mut out) {
                    Read::Frame => {
                        assert_eq!(out, frame(seen + missed));
                        seen += 1;
                    }
                    Read::Gap(gap) => missed += gap,
                    Read::Empty => std::thread::yield_now(),
                }
            }
        });
    }
}
