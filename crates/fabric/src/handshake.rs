//! What the two sides of a bell do to its words, so that nobody sleeps on what was published for him and
//! nobody is woken twice. No descriptors here: whoever is told to wake does so.
//!
//! Every access is relaxed; the order is in the fences alone. Each side writes, fences, and then looks at
//! what the other writes, so of two sides that meet at least one sees the other.

use crate::sync::{AtomicU64, Ordering, fence};

/// Words of a bell, one line: the inbox (two words), and whether the owner sleeps. Who rings needs both, and so does
/// the owner in each round: one line goes back and forth between them instead of two.
pub(crate) const BELL_WORDS: usize = 8;
const SLEEPING: usize = 2;

/// The owner sleeps and nobody wakes it yet.
const ASLEEP: u64 = 1;

/// The owner sleeps and `process` is waking it. Neither 0, awake, nor [`ASLEEP`].
const fn claim(process: usize) -> u64 {
    2 + process as u64
}

fn bit(process: usize) -> (usize, u64) {
    (process / 64, 1 << (process % 64))
}

/// Leaves a hint of `me` in a bell. False where one lies there already: only we set this bit.
fn hint(bell: &[AtomicU64], me: usize) -> bool {
    let (word, bit) = bit(me);
    bell[word].load(Ordering::Relaxed) & bit == 0 && {
        bell[word].fetch_or(bit, Ordering::Relaxed);
        true
    }
}

/// Takes it on us to wake the owner of a bell. False where it is awake, or another does.
fn claim_sleeper(bell: &[AtomicU64], me: usize) -> bool {
    let sleeping = &bell[SLEEPING];
    sleeping.load(Ordering::Relaxed) == ASLEEP
        && sleeping.compare_exchange(ASLEEP, claim(me), Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Leaves hints of `me` in the bells of all processes in `set`, for what was published before, and calls `wake` for each
/// of them that has to be woken, by us and by nobody else. Two fences in all, however many they are.
pub(crate) fn ring<'a>(
    set: u128,
    me: usize,
    bell: impl Fn(usize) -> &'a [AtomicU64],
    wake: impl FnMut(usize),
) {
    // What was published before must be visible before the bits are looked at: an owner that takes a bit
    // after we saw it set finds it then, and needs no second hint.
    fence(Ordering::SeqCst);
    let fresh = members(set).filter(|&process| hint(bell(process), me)).fold(0, |set, i| set | 1 << i);
    if fresh == 0 {
        return;
    }
    // Either we see it asleep or it sees our bit.
    fence(Ordering::SeqCst);
    members(fresh).filter(|&process| claim_sleeper(bell(process), me)).for_each(wake);
}

/// The members of a set of processes.
pub fn members(mut set: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let member = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(member)
    })
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

/// Whether something lies in our bell.
pub(crate) fn is_rung(bell: &[AtomicU64]) -> bool {
    bell[0].load(Ordering::Relaxed) | bell[1].load(Ordering::Relaxed) != 0
}

/// Says that we are about to sleep. False where something has come: then do not.
pub(crate) fn sleep(bell: &[AtomicU64]) -> bool {
    bell[SLEEPING].store(ASLEEP, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    let quiet = !is_rung(bell);
    if !quiet {
        awake(bell);
    }
    quiet
}

/// Says that we are up again.
pub(crate) fn awake(bell: &[AtomicU64]) {
    bell[SLEEPING].store(0, Ordering::Relaxed);
}
