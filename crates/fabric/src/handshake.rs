//! What the two sides of a bell do to its words, so that nobody sleeps on what was published for him and
//! nobody is woken twice. No descriptors here: whoever is told to wake does so.
//!
//! Every access is relaxed; the order is in the fences alone. Each side writes, fences, and then looks at
//! what the other writes, so of two sides that meet at least one sees the other.

use crate::sync::{AtomicU64, Ordering, fence};

/// Words of a bell, two lines: the inbox (two words), and whether the owner sleeps.
pub(crate) const BELL_WORDS: usize = 16;
const SLEEPING: usize = 8;

/// The owner sleeps and nobody wakes it yet.
const ASLEEP: u64 = 1;

/// The owner sleeps and `process` is waking it. Neither 0, awake, nor [`ASLEEP`].
const fn claim(process: usize) -> u64 {
    2 + process as u64
}

fn bit(process: usize) -> (usize, u64) {
    (process / 64, 1 << (process % 64))
}

/// Leaves a hint of `me` in a bell for what was published before. True where its owner has to be woken, by
/// us and by nobody else.
pub(crate) fn ring(bell: &[AtomicU64], me: usize) -> bool {
    let (word, bit) = bit(me);
    // What was published before must be visible before the bit is looked at: an owner that takes the bit
    // after we saw it set finds it then, and needs no second hint. Only we set this bit.
    fence(Ordering::SeqCst);
    if bell[word].load(Ordering::Relaxed) & bit != 0 {
        return false;
    }
    bell[word].fetch_or(bit, Ordering::Relaxed);
    // Either we see it asleep or it sees our bit.
    fence(Ordering::SeqCst);
    let sleeping = &bell[SLEEPING];
    sleeping.load(Ordering::Relaxed) == ASLEEP
        && sleeping.compare_exchange(ASLEEP, claim(me), Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Takes back what a forerunner of ours has left in a bell: a hint, since we leave none where one lies, and
/// the claim to wake the owner, since it may have died before it did.
pub(crate) fn retract(bell: &[AtomicU64], me: usize) {
    let (word, bit) = bit(me);
    bell[word].fetch_and(!bit, Ordering::Relaxed);
    let sleeping = &bell[SLEEPING];
    let _ = sleeping.compare_exchange(claim(me), ASLEEP, Ordering::Relaxed, Ordering::Relaxed);
}

/// Takes what lies in our bell: the two words of the inbox.
pub(crate) fn take(bell: &[AtomicU64]) -> [u64; 2] {
    [&bell[0], &bell[1]].map(|word| match word.load(Ordering::Relaxed) {
        0 => 0,
        _ => {
            let bits = word.swap(0, Ordering::Relaxed);
            // What was published before the bits were set, or before they were seen set, is visible to what
            // we read from here on.
            fence(Ordering::SeqCst);
            bits
        }
    })
}

/// Says that we are about to sleep. False where something has come: then do not.
pub(crate) fn sleep(bell: &[AtomicU64]) -> bool {
    bell[SLEEPING].store(ASLEEP, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    let quiet = bell[0].load(Ordering::Relaxed) | bell[1].load(Ordering::Relaxed) == 0;
    if !quiet {
        awake(bell);
    }
    quiet
}

/// Says that we are up again.
pub(crate) fn awake(bell: &[AtomicU64]) {
    bell[SLEEPING].store(0, Ordering::Relaxed);
}
