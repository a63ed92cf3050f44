//! Which numbered datagrams of a sender have come: each is taken once, and none that is far behind the newest.

/// How far behind the newest one may be.
pub(crate) const WIDTH: u64 = 1024;
const WORDS: usize = WIDTH as usize / 64;

/// A sliding window over the numbers of one sender.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    /// One more than the newest number that has come.
    next: u64,
    /// A bit for each number from `next - WIDTH` on, at its place modulo the width.
    seen: [u64; WORDS],
}

impl Window {
    /// A window in which nothing below `next` is taken.
    pub(crate) fn beginning_at(next: u64) -> Self {
        Self { next, seen: [u64::MAX; WORDS] }
    }

    /// Takes a number. False where it has come before or is too old.
    pub(crate) fn take(&mut self, number: u64) -> bool {
        if number >= self.next {
            let from = self.next.max((number + 1).saturating_sub(WIDTH));
            (from..=number).for_each(|skipped| *self.word(skipped) &= !bit(skipped));
            self.next = number + 1;
        } else if self.next - number > WIDTH || *self.word(number) & bit(number) != 0 {
            return false;
        }
        *self.word(number) |= bit(number);
        true
    }

    fn word(&mut self, number: u64) -> &mut u64 {
        &mut self.seen[(number / 64) as usize % WORDS]
    }
}

const fn bit(number: u64) -> u64 {
    1 << (number % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_is_taken_once(steps in prop::collection::vec((0_u64..3, -1500_i64..3000), 1..400)) {
            let (mut window, mut seen, mut newest) = (Window::default(), BTreeSet::new(), 0_u64);
            for (coarse, step) in steps {
                let number = newest.saturating_add_signed(step * (coarse as i64));
                let is_new = number > newest || seen.is_empty();
                let is_near = is_new || newest - number < WIDTH;
                prop_assert_eq!(window.take(number), is_near && seen.insert(number), "{} after {}", number, newest);
                newest = newest.max(number);
            }
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_numbers_too() {
        let mut window = Window::default();
        assert!(window.take(0) && !window.take(0) && window.take((1 << 40) - 1) && !window.take(1));
        let mut window = Window::beginning_at(5000);
        assert!(!window.take(3000) && !window.take(4999) && window.take(5000) && !window.take(5000));
        assert!(window.take(5002) && window.take(5001) && !window.take(4999));
    }
}
