//! Bad paths of all kinds, by seeds.

use impair::{GilbertElliott, Impairments};

use crate::simulation::{quantile, run};

#[test]
fn a_good_path_adds_no_delay() {
    let outcome = run(Impairments::default(), 20, 83, 1);
    assert_eq!((outcome.not_heard, outcome.concealed, outcome.out_of_order), (0, 0, 0));
    assert_eq!((outcome.stays.last(), outcome.delays.last()), (Some(&0), Some(&0)));
}

#[test]
fn what_comes_in_time_is_never_lost_whatever_the_order() {
    let (jitter_us, reordered) = (60_000, 0.05);
    let outcome = run(Impairments { jitter_us, reordered, ..Impairments::default() }, 40, 83, 2);
    assert_eq!((outcome.broken, outcome.out_of_order), (0, 0), "{} given up", outcome.given_up);
    assert!(outcome.counts.reordered > 500 && outcome.given_up < outcome.sent / 200, "{}", outcome.given_up);
    assert!(*outcome.stays.last().unwrap() <= 360_000);
    // With less jitter all do.
    let outcome = run(Impairments { jitter_us: 0, reordered, ..Impairments::default() }, 40, 83, 2);
    assert_eq!((outcome.not_heard, outcome.concealed, outcome.out_of_order), (0, 0, 0));
}

#[test]
fn of_everything_at_once_all_promises_hold() {
    let bursts = Some(GilbertElliott { to_bad: 0.01, to_good: 0.3, loss_good: 0.0, loss_bad: 0.8 });
    for (seed, jitter_us) in [(3, 0), (4, 20_000), (5, 100_000), (6, 300_000)] {
        let all =
            Impairments { loss: 0.03, bursts, delay_us: 0, jitter_us, reordered: 0.05, duplicated: 0.1 };
        let outcome = run(all, 20, 83, seed);
        assert_eq!((outcome.broken, outcome.out_of_order), (0, 0), "jitter {jitter_us}");
        assert!(*outcome.stays.last().unwrap() <= 360_000);
        assert!(quantile(&outcome.delays, 1.0) <= 360_000 + jitter_us, "{}", quantile(&outcome.delays, 1.0));
        let lost = outcome.counts.lost as usize;
        assert!(outcome.not_heard >= lost && outcome.not_heard == lost + outcome.given_up);
        assert!(outcome.concealed > outcome.not_heard / 2, "{outcome:?}", outcome = outcome.concealed);
    }
}
