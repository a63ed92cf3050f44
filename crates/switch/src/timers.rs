//! What will be due, and when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use stack::{ContextKey, Slot, Time};

/// What may be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The session with this number may have fallen silent.
    Session(u16),
    /// The hang time of this slot may be over.
    Hang(ContextKey, Slot),
    /// A dynamic subscription of this context may be over.
    Dynamic(ContextKey),
    /// The parrot has something to say.
    Parrot,
}

/// Lies with what may be due and knows the one timer that counts for it. It outlives the session or context
/// at its place, so that timers do not pile up, however often places change hands: a new one is set only where it is
/// due before the one that is set.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Time>);

impl Alarm {
    /// Whether the timer that was set for `at` is the one that counts; from then on none does.
    pub(crate) fn rings(&mut self, at: Time) -> bool {
        let rings = self.0 == Some(at);
        if rings {
            self.0 = None;
        }
        rings
    }

    #[cfg(test)]
    pub(crate) fn is_set_until(&self, at: Time) -> bool {
        self.0.is_some_and(|set| set <= at)
    }
}

/// All timers, the next one first.
#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Time, Timer)>>);

impl Timers {
    /// Sets a timer, unless its alarm is set for `at` or earlier.
    pub(crate) fn set(&mut self, alarm: &mut Alarm, at: Time, timer: Timer) {
        if alarm.0.is_none_or(|set| at < set) {
            alarm.0 = Some(at);
            self.0.push(Reverse((at, timer)));
        }
    }

    /// The next timer, and for when it was set, where it is due.
    pub(crate) fn pop(&mut self, now: Time) -> Option<(Time, Timer)> {
        let &Reverse(next) = self.0.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.0.pop();
        Some(next)
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Time> {
        self.0.peek().map(|&Reverse((at, _))| at)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
