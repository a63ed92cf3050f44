//! The words of a queue: how far it was written, how far it was taken, and the messages. One writer, one
//! reader, each of whom may be started again.

use crate::sync::{AtomicU64, Ordering, load_bytes, store_bytes};

/// Bytes of the longest message. The models' is one word.
pub const MAX_MESSAGE: usize = if cfg!(loom) { 8 } else { 504 };

/// Length, message.
pub(crate) const SLOT_WORDS: usize = 1 + MAX_MESSAGE / 8;
type Slot = [AtomicU64; SLOT_WORDS];

/// A queue whose number of slots is a power of two.
#[derive(Clone, Copy)]
pub(crate) struct Fifo<'a> {
    pub(crate) written: &'a AtomicU64,
    pub(crate) taken: &'a AtomicU64,
    pub(crate) slots: &'a [AtomicU64],
}

impl<'a> Fifo<'a> {
    /// How many messages there is room for.
    pub(crate) fn room(self) -> u64 {
        self.slots.as_chunks::<SLOT_WORDS>().0.len() as u64
    }

    fn slot(self, position: u64) -> &'a Slot {
        let slots = self.slots.as_chunks().0;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "masked to the queue's size before it is an index"
        )]
        let index = position as usize & (slots.len() - 1);
        &slots[index]
    }

    /// How many messages wait, as either side sees it.
    pub(crate) fn waiting(self) -> u64 {
        self.written.load(Ordering::Relaxed).wrapping_sub(self.taken.load(Ordering::Relaxed))
    }

    /// Puts a message in; false where the queue is full or the message too long.
    pub(crate) fn push(self, message: &[u8]) -> bool {
        let written = self.written.load(Ordering::Relaxed);
        // What the reader was copying out of the slot must be done before it is written again.
        let taken = self.taken.load(Ordering::Acquire);
        if message.len() > MAX_MESSAGE || written.wrapping_sub(taken) >= self.room() {
            return false;
        }
        let words = self.slot(written);
        words[0].store(message.len() as u64, Ordering::Relaxed);
        store_bytes(&words[1..], message);
        self.written.store(written.wrapping_add(1), Ordering::Release);
        true
    }

    /// Copies the oldest message out and returns its length, without taking it.
    pub(crate) fn peek(self, buffer: &mut [u8; MAX_MESSAGE]) -> Option<usize> {
        let written = self.written.load(Ordering::Acquire);
        let taken = self.taken.load(Ordering::Relaxed);
        match written.wrapping_sub(taken) {
            0 => return None,
            // No writer of ours leaves it so: go on with what is written from now on.
            waiting if waiting > self.room() => {
                self.taken.store(written, Ordering::Release);
                return None;
            }
            _ => {}
        }
        let words = self.slot(taken);
        let len = usize::try_from(words[0].load(Ordering::Relaxed)).unwrap_or(0).min(MAX_MESSAGE);
        load_bytes(&words[1..], &mut buffer[..len]);
        Some(len)
    }

    /// Takes the message that was looked at.
    pub(crate) fn pop(self) {
        self.taken.fetch_add(1, Ordering::Release);
    }
}
