//! Whether a worker with nothing to do looks again for a while before it sleeps. Pure policy.
//!
//! To be woken costs a worker a fixed time, and its waker about as much. Who looks for at most that time before it sleeps
//! never wastes more than twice what the best choice had cost; but it pays only where messages come so close together
//! that the next one is likely to fall into that time, and where nobody else needs the core.

use std::time::Duration;

use stack::Time;

/// New gaps count for this part of the average.
const WEIGHT: u64 = 8;
/// A longer gap says nothing of the rate: the worker slept, and that is all.
const LONGEST_US: u64 = 100_000;

/// What is known of the messages that come.
#[derive(Debug)]
pub(crate) struct Spin {
    wake_us: u64,
    /// Average time between messages.
    gap_us: u64,
    last: Time,
}

impl Spin {
    /// Where being woken costs `wake`: zero where it is never worth a look.
    pub(crate) fn new(wake: Duration) -> Self {
        let wake_us = u64::try_from(wake.as_micros()).unwrap_or(u64::MAX);
        Self { wake_us, gap_us: LONGEST_US, last: Time::default() }
    }

    /// `count` messages have come.
    pub(crate) fn came(&mut self, now: Time, count: usize) {
        if count == 0 {
            return;
        }
        let gap = u64::try_from(now.since(self.last).as_micros()).unwrap_or(u64::MAX).min(LONGEST_US);
        let each = gap / count as u64;
        self.gap_us = (self.gap_us * (WEIGHT - 1) + each) / WEIGHT;
        self.last = now;
    }

    /// How long to look for more before sleeping, were the core free; zero for not at all.
    pub(crate) fn time(&self) -> Duration {
        let pays = self.gap_us < 2 * self.wake_us;
        Duration::from_micros(if pays { self.wake_us } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(gap_us: u64, messages: u64) -> Duration {
        let mut spin = Spin::new(Duration::from_micros(50));
        (1..=messages).for_each(|n| spin.came(Time(n * gap_us), 1));
        spin.time()
    }

    #[test]
    fn looks_only_where_messages_come_close_together() {
        assert_eq!(after(60_000, 1_000), Duration::ZERO, "one call");
        assert_eq!(after(750, 10_000), Duration::ZERO, "eighty calls");
        assert_eq!(after(101, 10_000), Duration::ZERO);
        assert_eq!(after(90, 10_000), Duration::from_micros(50));
        assert_eq!(after(90, 3), Duration::ZERO, "three messages are no rate");
    }

    #[test]
    fn stops_with_the_first_long_gap() {
        let mut spin = Spin::new(Duration::from_micros(50));
        (1..=1_000).for_each(|n| spin.came(Time(n * 20), 1));
        assert_eq!(spin.time(), Duration::from_micros(50));
        spin.came(Time(1_020_000), 0);
        assert_eq!(spin.time(), Duration::from_micros(50), "nothing came");
        spin.came(Time(1_020_000), 1);
        assert_eq!(spin.time(), Duration::ZERO);
    }

    #[test]
    fn a_batch_counts_as_its_messages() {
        let mut spin = Spin::new(Duration::from_micros(50));
        (1..=100).for_each(|n| spin.came(Time(n * 800), 16));
        assert_eq!(spin.time(), Duration::from_micros(50));
    }

    #[test]
    fn never_where_a_wake_costs_nothing_that_is_known() {
        let mut spin = Spin::new(Duration::ZERO);
        (1..=1_000).for_each(|n| spin.came(Time(n), 1));
        assert_eq!(spin.time(), Duration::ZERO);
    }
}
