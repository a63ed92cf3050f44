//! The order of a stream's bursts by the sequence numbers of its datagrams.

use dmr::BurstKind;

/// Bursts in a row that are late or double: then the sender does not count as others do.
const MAX_STRAYS: u8 = 4;

/// How a burst stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// It is newer than all of them.
    Next,
    /// It came before.
    Duplicate,
    /// A newer one came before it.
    Late,
}

/// What has come of a stream.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    newest: Option<(u8, BurstKind)>,
    /// A bit for each of the newest and the 63 before it that came.
    seen: u64,
    strays: u8,
    /// The sender's numbers mean nothing: some send 0 all the time.
    is_void: bool,
}

impl Sequence {
    pub(crate) fn take(&mut self, sequence: u8, kind: BurstKind) -> Order {
        let Some((newest, newest_kind)) = self.newest else {
            (self.newest, self.seen) = (Some((sequence, kind)), 1);
            return Order::Next;
        };
        let ahead = sequence.wrapping_sub(newest);
        if (1..0x80).contains(&ahead) {
            self.seen = self.seen.checked_shl(ahead.into()).unwrap_or(0) | 1;
            (self.newest, self.strays) = (Some((sequence, kind)), 0);
            return Order::Next;
        }
        let behind = newest.wrapping_sub(sequence);
        self.strays = self.strays.saturating_add(1);
        self.is_void |= behind == 0 && kind != newest_kind || self.strays > MAX_STRAYS;
        if self.is_void {
            return Order::Next;
        }
        let has_come = self.seen.checked_shr(behind.into()).unwrap_or(0) & 1 == 1;
        if has_come { Order::Duplicate } else { Order::Late }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: BurstKind = BurstKind::Voice(0);
    const B: BurstKind = BurstKind::Voice(1);

    fn orders(sequences: &[(u8, BurstKind)]) -> Vec<Order> {
        let mut sequence = Sequence::default();
        sequences.iter().map(|&(number, kind)| sequence.take(number, kind)).collect()
    }

    #[test]
    fn tells_next_double_and_late_over_the_wrap() {
        use Order::{Duplicate, Late, Next};
        let got = orders(&[(254, A), (255, B), (255, B), (1, B), (0, A), (1, B), (254, A), (2, A)]);
        assert_eq!(got, [Next, Next, Duplicate, Next, Late, Duplicate, Duplicate, Next]);
        let got = orders(&[(0, A), (100, B), (40, A), (0, A), (101, A)]);
        assert_eq!(got, [Next, Next, Late, Late, Next]);
    }

    #[test]
    fn a_sender_that_does_not_count_is_heard() {
        assert!(orders(&[(0, A), (0, B), (0, A), (0, A), (0, B)]).iter().all(|&order| order == Order::Next));
        let mut jumps = vec![(200, A)];
        jumps.extend((0..20).map(|n| (90 + n, A)));
        let got = orders(&jumps);
        assert!(got[1..5].iter().all(|&order| order == Order::Late), "{got:?}");
        assert!(got[5..].iter().all(|&order| order == Order::Next), "{got:?}");
    }
}
