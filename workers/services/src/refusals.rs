//! How many refusals are told: a device's address can be forged, so a limit for each address is none for all.
//! Beyond a rate that an operator could read, refusals are counted and their number is told. Pure: time is
//! handed in.

use std::time::{Duration, Instant};

/// Refusals told at once, after a quiet time.
const BURST: u32 = 50;
/// Time in which one more may be told.
const REFILL: Duration = Duration::from_millis(100);

/// A bucket that fills by one each [`REFILL`] up to [`BURST`].
#[derive(Debug)]
pub(crate) struct Refusals {
    left: u32,
    filled: Instant,
    /// Not told since the last one that was.
    untold: u64,
}

impl Refusals {
    /// A full bucket.
    pub(crate) fn new(now: Instant) -> Self {
        Self { left: BURST, filled: now, untold: 0 }
    }

    /// Whether this refusal is told, and if so how many before it were not.
    pub(crate) fn tell(&mut self, now: Instant) -> Option<u64> {
        let more = now.saturating_duration_since(self.filled).as_millis() / REFILL.as_millis();
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(BURST);
            self.filled = now;
        }
        if self.left == 0 {
            self.untold += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_as_a_number() {
        let mut now = Instant::now();
        let mut refusals = Refusals::new(now);
        let told = (0..10_000).filter(|_| refusals.tell(now).is_some()).count();
        assert_eq!(told, 50);
        now += REFILL;
        assert_eq!(refusals.tell(now), Some(9_950));
        assert_eq!(refusals.tell(now), None);
        now += REFILL * 3;
        assert_eq!([0; 4].map(|_| refusals.tell(now)), [Some(1), Some(0), Some(0), None]);
        now += Duration::from_secs(3600);
        assert_eq!((0..1_000).filter(|_| refusals.tell(now).is_some()).count(), 50);
    }
}
