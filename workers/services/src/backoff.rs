//! How long to wait before a connection is tried again: longer each time, and never all at the same moment.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// A connection that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(SHORTEST)
    }

    /// How long to wait after a connection that lasted so long. `chance` is evenly spread over all numbers.
    pub(crate) fn next(&mut self, lasted: Duration, chance: u32) -> Duration {
        if lasted >= GOOD {
            self.0 = SHORTEST;
        }
        let longest = self.0;
        self.0 = (longest * 2).min(LONGEST);
        // From half of it to all of it.
        longest / 2 + (longest / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_thirty_seconds_and_starts_anew_after_a_good_connection() {
        let mut backoff = Backoff::new();
        let mut wait = |lasted, chance| backoff.next(Duration::from_secs(lasted), chance).as_millis();
        for expected in [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            assert_eq!(wait(0, u32::MAX), expected);
        }
        assert_eq!(wait(9, 0), 15_000);
        assert_eq!(wait(10, u32::MAX), 250);
        assert_eq!(wait(0, 0), 250);
    }
}
