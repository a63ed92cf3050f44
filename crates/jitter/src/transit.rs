//! How late the bursts of a session are, and how long it is therefore delayed. The two clocks have nothing to do with each
//! other; the smallest transit seen lately stands for both their difference and the path at its best.

use stack::Time;

use crate::{BURST_TIME, MAX_DELAY, MAX_WAIT, MIN_PATIENCE, TOLERANCE, micros};

/// Where the sender's clock wraps, in microseconds.
const WRAP: i64 = 65_536_000;
/// A transit this far from the base is not late: the sender's clock is another one.
const OTHER_CLOCK: i64 = 1_000_000;
/// The base is the smallest of the last one to two windows: one ends after so many bursts, or so many microseconds.
const WINDOW_BURSTS: u8 = 32;
const WINDOW_US: i64 = 2_000_000;
/// A pause this long halves the delay. While bursts come, it takes 1.4 times as long.
const HALVES_IN: i64 = 6_000_000;
/// Two clocks, each 200 ppm wrong, are apart by 8 ms after this time, which the tolerance covers.
const BASE_HOLDS_FOR: i64 = 20_000_000;

/// What a session leaves to the next one of its node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Legacy {
    base: i64,
    peak: i64,
    at: i64,
}

/// What is known of the way that a session's bursts take. All in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Transit {
    /// The smallest of the present window and of the one before it; moments here minus moments there, counted on over
    /// the wrap of the sender's clock.
    current: Option<i64>,
    previous: Option<i64>,
    /// The latest burst's.
    latest: Option<i64>,
    bursts: u8,
    window_began: i64,
    /// The greatest lateness lately.
    peak: i64,
    peak_at: i64,
}

impl Transit {
    /// One that goes on with what another session of the same node has found.
    pub(crate) fn following(legacy: Option<Legacy>, now: Time) -> Self {
        let now = now.0.cast_signed();
        let Some(Legacy { base, peak, at }) = legacy else { return Self::default() };
        let base = (now - at <= BASE_HOLDS_FOR).then_some(base);
        let mut transit = Self { previous: base, window_began: now, peak, peak_at: at, ..Self::default() };
        transit.decay(now);
        transit
    }

    pub(crate) fn legacy(&self) -> Option<Legacy> {
        Some(Legacy { base: self.base()?, peak: self.peak, at: self.peak_at })
    }

    /// Takes in when a burst was sent, milliseconds, and that it has come now. Returns when it was sent, by the clock here
    /// and less the base, and by how much its transit differs from that of the one before.
    pub(crate) fn take(&mut self, now: Time, sent_ms: u16) -> (i64, u32) {
        let now = now.0.cast_signed();
        let transit = now - i64::from(sent_ms) * 1000;
        let base = self.base().unwrap_or(transit);
        let late = (transit - base + WRAP / 2).rem_euclid(WRAP) - WRAP / 2;
        let transit = base + late;
        self.decay(now);
        if late.abs() > OTHER_CLOCK {
            *self = Self { peak: self.peak, peak_at: now, ..Self::default() };
        }
        if self.bursts >= WINDOW_BURSTS || now - self.window_began > WINDOW_US {
            if self.current.is_some() {
                self.previous = self.current.take();
            }
            (self.bursts, self.window_began) = (0, now);
        }
        self.bursts += 1;
        self.current = Some(self.current.map_or(transit, |smallest| smallest.min(transit)));
        let base = match (self.base(), late.abs() > OTHER_CLOCK) {
            (Some(new), false) => {
                // What was late by the old base is as late as ever: the delay ends when it did.
                self.peak = (self.peak + base - new).max(0);
                new
            }
            _ => transit,
        };
        self.peak = self.peak.max(transit - base).min(micros(MAX_WAIT));
        let step = self.latest.map_or(0, |latest| (transit - latest).unsigned_abs());
        self.latest = Some(transit);
        (now - transit, u32::try_from(step).unwrap_or(u32::MAX))
    }

    /// When a burst was expected here that was sent at `sent`, as [`Self::take`] says it.
    pub(crate) fn expected(&self, sent: i64) -> i64 {
        sent.saturating_add(self.base().unwrap_or(0))
    }

    /// How long after it was expected a burst goes on.
    pub(crate) fn delay(&self) -> i64 {
        if self.peak <= micros(TOLERANCE) { 0 } else { self.peak.min(micros(MAX_DELAY)) }
    }

    /// How long after it was expected a burst is given up.
    pub(crate) fn patience(&self) -> i64 {
        (self.delay() + micros(BURST_TIME)).clamp(micros(MIN_PATIENCE), micros(MAX_WAIT))
    }

    fn base(&self) -> Option<i64> {
        match (self.current, self.previous) {
            (Some(current), Some(previous)) => Some(current.min(previous)),
            (one, other) => one.or(other),
        }
    }

    fn decay(&mut self, now: i64) {
        let age = (now - self.peak_at).max(0);
        let halves = u32::try_from(age / HALVES_IN).unwrap_or(u32::MAX).min(32);
        self.peak >>= halves;
        self.peak -= self.peak * (age % HALVES_IN) / (2 * HALVES_IN);
        self.peak_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(1_000_000_000 + 1000 * ms)
    }

    /// The lateness of each burst that was sent at the first and came at the second, in milliseconds.
    fn run(transit: &mut Transit, bursts: impl IntoIterator<Item = (u64, u64)>) -> Vec<i64> {
        let late = |transit: &mut Transit, (sent, came): (u64, u64)| {
            let (sent, _) = transit.take(at(came), sent as u16);
            (at(came).0.cast_signed() - transit.expected(sent)) / 1000
        };
        bursts.into_iter().map(|burst| late(transit, burst)).collect()
    }

    #[test]
    fn lateness_is_against_the_best_of_the_path_whatever_the_clocks_say() {
        let mut transit = Transit::default();
        let late = run(&mut transit, [(65_500, 100), (65_560, 160), (65_620, 250), (65_680, 280)]);
        assert_eq!(late, [0, 0, 30, 0], "over the wrap of the sender's clock");
        assert!((29_000..=30_000).contains(&transit.delay()), "{}", transit.delay());
        let mut transit = Transit::default();
        assert_eq!(run(&mut transit, [(0, 60), (60, 60)]), [0, 0], "the first one was the late one");
        assert_eq!(transit.delay(), 60_000);
    }

    #[test]
    fn a_delay_grows_at_once_and_goes_in_seconds() {
        let mut transit = Transit::default();
        run(&mut transit, [(0, 0), (60, 150)]);
        assert_eq!((transit.delay(), transit.patience()), (90_000, 150_000));
        run(&mut transit, (3..70).map(|n| (60 * n, 60 * n)));
        assert!((60_000..70_000).contains(&transit.delay()), "{}", transit.delay());
        run(&mut transit, (70..600).map(|n| (60 * n, 60 * n)));
        assert_eq!((transit.delay(), transit.patience()), (0, 120_000));
        run(&mut transit, [(36_000, 36_900)]);
        assert_eq!((transit.delay(), transit.patience()), (300_000, 360_000));
    }

    #[test]
    fn a_longer_way_becomes_the_way_and_delays_nothing() {
        let mut transit = Transit::default();
        run(&mut transit, (0..100).map(|n| (60 * n, 60 * n)));
        let late = run(&mut transit, (100..200).map(|n| (60 * n, 60 * n + 50)));
        assert_eq!((late[0], late[99], transit.delay()), (50, 0, 0));
    }

    /// Ten minutes, the sender's clock 400 ppm fast or slow against ours.
    #[test]
    fn clocks_that_drift_apart_make_nothing_late() {
        for drift in [-400_i64, 400] {
            let mut transit = Transit::default();
            for n in 0..10_000_i64 {
                let there = (60_000 * n + 60_000 * n * drift / 1_000_000) / 1000;
                let late = run(&mut transit, [(there as u64, 60 * n as u64)]);
                assert!(late[0] <= 5 && transit.delay() == 0, "{n}: {late:?}");
            }
        }
    }

    #[test]
    fn another_clock_is_a_new_beginning_and_no_lateness() {
        let mut transit = Transit::default();
        run(&mut transit, (0..10).map(|n| (60 * n, 60 * n)));
        assert_eq!(run(&mut transit, [(30_000, 600), (30_060, 660), (31_000, 720)]), [0, 0, 0]);
    }

    #[test]
    fn the_next_session_begins_where_the_last_one_was() {
        let mut transit = Transit::default();
        run(&mut transit, [(0, 0), (60, 140)]);
        let soon = Transit::following(transit.legacy(), at(2140));
        assert_eq!(soon.delay(), 66_667);
        assert_eq!(run(&mut soon.clone(), [(2200, 2230)]), [30]);
        let later = Transit::following(transit.legacy(), at(60_140));
        assert_eq!((later.delay(), later.base()), (0, None));
    }
}
