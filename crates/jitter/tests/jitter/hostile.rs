//! Bursts as nobody honest sends them, and all orders that there are.

use dmr::{BurstKind, DataType};
use jitter::{Burst, MAX_WAIT};
use proptest::prelude::*;

use crate::line::{Line, arrival, call, forward, ms};

const TERMINATOR: BurstKind = BurstKind::Data(DataType::TERMINATOR);

/// What does not come in time, as often as not.
fn wild() -> impl Strategy<Value = (u64, Burst)> {
    let kinds = prop_oneof![
        (0..8_u8).prop_map(BurstKind::Voice),
        (0..16_u8).prop_map(|bits| BurstKind::Data(DataType::from_bits(bits))),
    ];
    let sequence = prop_oneof![any::<u16>(), 0..40_u16, 65_500..=65_535_u16, 19_900..20_100_u16];
    let gap = prop_oneof![Just(0), 0..100_000_u64, 0..9_000_000_u64];
    (gap, 0..3_u64, sequence, any::<u16>(), kinds).prop_map(|(gap, key, sequence, sent_ms, kind)| {
        (gap, Burst { sequence, sent_ms, forward: forward(key, kind, [sequence as u8; dmr::BURST_LEN]) })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// No panic, nothing is kept, nothing is doubled, nothing comes of nothing, and no burst stays longer than the longest.
    #[test]
    fn whatever_comes_goes(bursts in prop::collection::vec(wild(), 1..300)) {
        let mut line = Line::new();
        let mut now = 0;
        let mut came = std::collections::BTreeMap::<_, Vec<u64>>::new();
        for &(gap, burst) in &bursts {
            now += gap;
            line.arrive(now, burst);
            came.entry((burst.forward.key, burst.sequence.to_le_bytes()[0])).or_default().push(now);
        }
        line.finish();
        let health = line.health();
        let real = line.out.iter().filter(|out| !out.output.is_concealed);
        prop_assert_eq!(real.clone().count() as u64, health.bursts);
        prop_assert_eq!(health.bursts + health.duplicates + health.late, bursts.len() as u64);
        for out in real {
            let came = &came[&(out.output.forward.key, out.sequence())];
            let stayed = |&came: &u64| out.at >= came && out.at - came <= 1000 * ms(MAX_WAIT);
            prop_assert!(came.iter().any(stayed), "{out:?}: {came:?}");
        }
    }

    /// After it, a call is heard within half a second, but for what is taken for a copy. Only where it was told that the call
    /// is over does it take the time after which that is forgotten.
    #[test]
    fn a_session_recovers(bursts in prop::collection::vec(wild(), 1..50)) {
        let mut line = Line::new();
        line.arrive_all(bursts.iter().map(|&(_, mut burst)| { burst.forward.key = 1; (0, burst) }));
        let begins = 1_000_000;
        let honest = call(1, 10, 7000);
        line.run_until(500_000);
        prop_assume!(line.out.last().is_none_or(|out| out.output.forward.frame.kind != TERMINATOR));
        let from = line.out.len();
        line.arrive_all(honest.iter().zip(0..).map(|(&burst, n)| {
            (begins + arrival(n, 0), Burst { sequence: burst.sequence.wrapping_add(20_000), ..burst })
        }));
        line.finish();
        let heard = line.out[from..].iter().filter(|out| out.at >= begins && !out.output.is_concealed);
        let range = 20_000..20_000 + honest.len() as u16;
        let copies = bursts.iter().filter(|(_, burst)| range.contains(&burst.sequence)).count();
        prop_assert!(heard.count() + 8 + copies >= honest.len());
    }

    /// Whatever the order and however many copies: what comes within 120 ms comes out once and in order.
    #[test]
    fn once_and_in_order(late in prop::collection::vec((0..=115_u64, 0..=115_u64, any::<bool>()), 62)) {
        let mut line = Line::new();
        let bursts = call(1, 10, 65_000);
        let mut arrivals = Vec::new();
        for ((&burst, &(late, copy, is_doubled)), n) in bursts.iter().zip(&late).zip(0..) {
            arrivals.push((arrival(n, late), burst));
            if is_doubled {
                arrivals.push((arrival(n, copy), burst));
            }
        }
        arrivals.sort_by_key(|&(at, _)| at);
        line.arrive_all(arrivals);
        line.finish();
        let sequences: Vec<_> = line.out.iter().map(|out| out.sequence()).collect();
        prop_assert_eq!(sequences, (0..62).collect::<Vec<_>>());
        prop_assert!(line.out.iter().all(|out| !out.output.is_concealed));
        prop_assert!(line.out.iter().zip(0..).all(|(out, n)| out.at <= arrival(n, 235)));
    }
}
