//! When each client is to be woken: one moment for each, the earliest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Moments, in microseconds, by number of the client.
///
/// A client that is moved to a later moment keeps its earlier place and is woken once for nothing; that is
/// what makes moving cheap.
#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    queued: Vec<u64>,
}

impl Timers {
    /// Wakes client `index` at `at_us` or before.
    pub(crate) fn set(&mut self, index: usize, at_us: u64) {
        if self.queued.len() <= index {
            self.queued.resize(index + 1, u64::MAX);
        }
        if at_us < self.queued[index] {
            self.queued[index] = at_us;
            self.heap.push(Reverse((at_us, index)));
        }
    }

    /// The earliest moment; `u64::MAX` where there is none.
    pub(crate) fn next(&self) -> u64 {
        self.heap.peek().map_or(u64::MAX, |Reverse((at, _))| *at)
    }

    /// Takes out a client whose moment has come.
    pub(crate) fn pop(&mut self, now_us: u64) -> Option<usize> {
        while self.next() <= now_us {
            let Reverse((at, index)) = self.heap.pop()?;
            if self.queued[index] == at {
                self.queued[index] = u64::MAX;
                return Some(index);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_each_once() {
        let mut timers = Timers::default();
        timers.set(0, 30);
        timers.set(1, 20);
        timers.set(0, 10);
        timers.set(0, 40);
        assert_eq!(timers.next(), 10);
        assert_eq!(timers.pop(9), None);
        assert_eq!(timers.pop(25), Some(0));
        assert_eq!(timers.pop(25), Some(1));
        assert_eq!(timers.pop(100), None, "the place at 30 is void");
        assert_eq!(timers.next(), u64::MAX);
        timers.set(1, u64::MAX);
        assert_eq!(timers.next(), u64::MAX);
    }
}
