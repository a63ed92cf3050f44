//! What becomes of each datagram.

use crate::Random;

/// Losses in bursts (Gilbert, 1960; Elliott, 1963): the path is good or bad, changes with each datagram by chance, and loses
/// more where it is bad. All are probabilities, 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GilbertElliott {
    /// That a good path is bad from the next datagram on.
    pub to_bad: f64,
    /// That a bad one is good from the next datagram on; a bad time lasts for 1 / `to_good` datagrams in the mean.
    pub to_good: f64,
    /// That a datagram is lost while the path is good.
    pub loss_good: f64,
    /// That one is lost while it is bad.
    pub loss_bad: f64,
}

/// What a path does. By default: nothing, at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impairments {
    /// Share of datagrams lost, 0..=1, each by itself.
    pub loss: f64,
    /// Losses in bursts, besides.
    pub bursts: Option<GilbertElliott>,
    /// How long each datagram takes at least, microseconds.
    pub delay_us: u64,
    /// How much longer it takes at most, microseconds: any time between is as likely. None overtakes another by this: who
    /// would, comes with it.
    pub jitter_us: u64,
    /// Share of datagrams, 0..=1, that take [`Self::REORDERED_US`] longer still, and that those behind them may overtake.
    pub reordered: f64,
    /// Share of datagrams, 0..=1, that come twice. The copy takes a time of its own.
    pub duplicated: f64,
}

impl Impairments {
    /// How much longer a reordered datagram takes, microseconds, least and most: one to two bursts of voice.
    pub const REORDERED_US: (u64, u64) = (60_000, 120_000);
}

/// What became of all datagrams so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sent into the path.
    pub sent: u64,
    /// Lost.
    pub lost: u64,
    /// Held back for one to two bursts.
    pub reordered: u64,
    /// Came twice.
    pub duplicated: u64,
}

/// When one datagram arrives: never, once or twice. Microseconds, by the clock that [`Path::carry`] was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deliveries([Option<u64>; 2]);

impl Iterator for Deliveries {
    type Item = u64;
    fn next(&mut self) -> Option<u64> {
        let [first, second] = &mut self.0;
        first.take().or_else(|| second.take())
    }
}

/// One way through a network.
#[derive(Clone, Debug)]
pub struct Path {
    impairments: Impairments,
    random: Random,
    is_bad: bool,
    /// When the last datagram arrives that keeps its order.
    latest_us: u64,
    counts: Counts,
}

impl Path {
    /// One that does the same with the same seed.
    #[must_use]
    pub fn new(impairments: Impairments, seed: u64) -> Self {
        let (random, counts) = (Random(seed), Counts::default());
        Self { impairments, random, is_bad: false, latest_us: 0, counts }
    }

    /// A datagram is sent at this time, which does not go back.
    pub fn carry(&mut self, now_us: u64) -> Deliveries {
        self.counts.sent += 1;
        if self.loses() {
            self.counts.lost += 1;
            return Deliveries::default();
        }
        let Impairments { reordered, duplicated, .. } = self.impairments;
        let arrives = self.arrival(now_us).max(self.latest_us);
        self.latest_us = arrives;
        let is_held_back = self.random.chance(reordered);
        let (least, most) = Impairments::REORDERED_US;
        let first = if is_held_back { arrives + least + self.random.up_to(most - least) } else { arrives };
        let second = self.random.chance(duplicated).then(|| self.arrival(now_us));
        self.counts.reordered += u64::from(is_held_back);
        self.counts.duplicated += u64::from(second.is_some());
        Deliveries([Some(first), second])
    }

    /// What became of all datagrams so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn arrival(&mut self, now_us: u64) -> u64 {
        now_us + self.impairments.delay_us + self.random.up_to(self.impairments.jitter_us)
    }

    fn loses(&mut self) -> bool {
        let alone = self.random.chance(self.impairments.loss);
        let Some(model) = self.impairments.bursts else { return alone };
        let change = if self.is_bad { model.to_good } else { model.to_bad };
        self.is_bad ^= self.random.chance(change);
        let in_burst = self.random.chance(if self.is_bad { model.loss_bad } else { model.loss_good });
        alone || in_burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DATAGRAMS: u64 = 100_000;

    /// When each datagram arrives first, of many that are sent 60 ms apart, and what became of all.
    fn run(impairments: Impairments, seed: u64) -> (Vec<Option<u64>>, Counts) {
        let mut path = Path::new(impairments, seed);
        let arrivals = (0..DATAGRAMS).map(|n| path.carry(60_000 * n).next()).collect();
        (arrivals, path.counts())
    }

    /// `count` is this share of all, to a hundredth of all.
    fn is_share(count: u64, share: f64) -> bool {
        (count as f64 / DATAGRAMS as f64 - share).abs() < 0.01
    }

    #[test]
    fn a_good_path_does_nothing() {
        let (arrivals, counts) = run(Impairments::default(), 1);
        assert!(arrivals.iter().zip(0..).all(|(&at, n)| at == Some(60_000 * n)));
        assert_eq!(counts, Counts { sent: DATAGRAMS, ..Counts::default() });
    }

    #[test]
    fn it_loses_delays_reorders_and_doubles_as_much_as_was_said() {
        let (delay_us, jitter_us) = (40_000, 50_000);
        let all =
            Impairments { loss: 0.1, delay_us, jitter_us, reordered: 0.05, duplicated: 0.2, bursts: None };
        let (arrivals, counts) = run(all, 2);
        assert!(is_share(counts.lost, 0.1), "{counts:?}");
        assert!(
            is_share(counts.reordered, 0.05 * 0.9) && is_share(counts.duplicated, 0.2 * 0.9),
            "{counts:?}"
        );
        let took = |(at, n): (&Option<u64>, u64)| at.map(|at| at - 60_000 * n);
        let took: Vec<_> = arrivals.iter().zip(0..).filter_map(took).collect();
        let in_order: Vec<_> = took.iter().filter(|&&took| took <= delay_us + jitter_us).collect();
        let mean = in_order.iter().copied().sum::<u64>() / in_order.len() as u64;
        assert!((64_000..66_000).contains(&mean), "{mean}");
        assert!(took.iter().all(|&took| (delay_us..=delay_us + jitter_us + 120_000).contains(&took)));
        let overtakes = arrivals.iter().flatten().collect::<Vec<_>>();
        let overtakes = overtakes.windows(2).filter(|pair| pair[0] > pair[1]).count() as u64;
        assert!(overtakes > 0 && overtakes <= counts.reordered);
    }

    #[test]
    fn losses_come_in_bursts_of_the_length_that_was_said() {
        let bursts = GilbertElliott { to_bad: 0.01, to_good: 0.25, loss_good: 0.0, loss_bad: 1.0 };
        let (arrivals, counts) = run(Impairments { bursts: Some(bursts), ..Impairments::default() }, 3);
        assert!(is_share(counts.lost, 0.01 / 0.26), "{counts:?}");
        let begins = arrivals.windows(2).filter(|pair| pair[0].is_some() && pair[1].is_none()).count();
        let length = counts.lost as f64 / begins as f64;
        assert!((3.7..4.3).contains(&length), "{length}");
    }

    #[test]
    fn the_same_seed_does_the_same() {
        let all = Impairments { loss: 0.1, jitter_us: 60_000, reordered: 0.1, ..Impairments::default() };
        assert_eq!(run(all, 4).0, run(all, 4).0);
        assert_ne!(run(all, 4).0, run(all, 5).0);
    }

    proptest! {
        /// Jitter alone never changes the order, however close together datagrams are sent.
        #[test]
        fn jitter_keeps_order(gaps in prop::collection::vec(0..100_000_u64, 1..100), seed: u64) {
            let mut path = Path::new(Impairments { jitter_us: 80_000, ..Impairments::default() }, seed);
            let mut now = 0;
            let arrivals: Vec<_> = gaps.iter().filter_map(|gap| { now += gap; path.carry(now).next() }).collect();
            prop_assert!(arrivals.is_sorted());
        }
    }
}
