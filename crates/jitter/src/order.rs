//! Where a burst stands among those of its session, by its sequence.

/// Farther ahead than any place that is waited for.
const ANEW: i64 = 1 << 17;
/// So many late bursts, each the one after the other and nothing newer between them, are not late: what was taken for the
/// newest was none, or the sender counts anew.
const STRAYS: u8 = 8;

/// What a burst is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// New, and it belongs to this place: the sequence, counted on over its wrap.
    New(i64),
    /// It has come before.
    Duplicate,
    /// Its place is past.
    Late,
}

/// What has come of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Places {
    /// Sequence and place of the newest burst.
    newest: Option<(u16, i64)>,
    /// A bit for each of the newest and the 63 before it that came.
    seen: u64,
    /// The sequence that would be the next of a row of late ones, and how many of these there are.
    stray: (u16, u8),
}

impl Places {
    /// Takes in a sequence. `next` is the first place that is not past, `is_over`: there is nothing more to come.
    pub(crate) fn take(&mut self, sequence: u16, next: i64, is_over: bool) -> Order {
        let Some((newest_sequence, newest)) = self.newest else {
            (self.newest, self.seen) = (Some((sequence, sequence.into())), 1);
            return Order::New(sequence.into());
        };
        let ahead = sequence.wrapping_sub(newest_sequence);
        if (1..0x8000).contains(&ahead) {
            self.seen = self.seen.checked_shl(ahead.into()).unwrap_or(0) | 1;
            let place = newest + i64::from(ahead);
            (self.newest, self.stray) = (Some((sequence, place)), (0, 0));
            return Order::New(place);
        }
        let behind = ahead.wrapping_neg();
        let bit = 1_u64.checked_shl(behind.into()).unwrap_or(0);
        if self.seen & bit != 0 {
            if self.stray.0 == sequence {
                self.stray.0 = sequence.wrapping_add(1);
            }
            return Order::Duplicate;
        }
        self.seen |= bit;
        let place = newest - i64::from(behind);
        if bit == 0 || place < next {
            return self.late(sequence, newest, is_over);
        }
        self.stray = (0, 0);
        Order::New(place)
    }

    fn late(&mut self, sequence: u16, newest: i64, is_over: bool) -> Order {
        let (expected, row) = self.stray;
        let row = if expected == sequence { row + 1 } else { 1 };
        self.stray = (sequence.wrapping_add(1), row.min(STRAYS - 1));
        if row < STRAYS || is_over {
            return Order::Late;
        }
        let place = newest + ANEW;
        *self = Self { newest: Some((sequence, place)), seen: 1, stray: (0, 0) };
        Order::New(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Order::{Duplicate, Late, New};

    #[test]
    fn new_double_and_late_over_the_wrap() {
        let mut places = Places::default();
        let got = [65_534, 65_535, 65_535, 1, 0, 1, 65_500, 2].map(|n| places.take(n, 65_536, false));
        let expected =
            [New(65_534), New(65_535), Duplicate, New(65_537), New(65_536), Duplicate, Late, New(65_538)];
        assert_eq!(got, expected);
        assert_eq!(places.take(65_500, 65_536, false), Duplicate, "late once, double then");
    }

    #[test]
    fn one_wild_sequence_does_not_silence_a_session_for_long() {
        let mut places = Places::default();
        assert_eq!(places.take(100, 0, false), New(100));
        assert_eq!(places.take(30_000, 101, false), New(30_000));
        let orders: Vec<_> = (101..120).map(|n| places.take(n, 30_001, false)).collect();
        assert!(orders[..7].iter().all(|&order| order == Late), "{orders:?}");
        assert_eq!(orders[7], New(30_000 + ANEW));
        assert_eq!(orders[18], New(30_011 + ANEW));
        // Nor does one that is not so wild.
        let mut places = Places::default();
        assert_eq!((places.take(100, 0, false), places.take(140, 101, false)), (New(100), New(140)));
        let orders: Vec<_> = (101..150).map(|n| places.take(n, 141, false)).collect();
        assert_eq!(orders.iter().filter(|&&order| order == Late).count(), 7, "{orders:?}");
    }

    #[test]
    fn what_is_said_again_after_the_end_is_late_however_long_it_is() {
        let mut places = Places::default();
        assert!((0..1000).all(|n| places.take(n, n.into(), false) == New(n.into())));
        assert!((0..1000).all(|n| [Late, Duplicate].contains(&places.take(n, 1000, true))));
        assert_eq!(places.take(1000, 1000, true), New(1000));
    }
}
