//! Many calls over a bad path, and what becomes of their bursts. From seeds: the same each time.

use std::time::Duration;

use impair::{Counts, Impairments, Path, Random};
use jitter::{BURST_TIME, Health, MAX_WAIT, MIN_PATIENCE};

use crate::line::{BURST_US, Line, call};

/// How long a datagram is under way at least. Of no matter, since nobody knows it.
const DELAY_US: u64 = 35_000;

/// What became of the bursts of many calls.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) sent: usize,
    /// Bursts that did not come out: lost on the way or given up.
    pub(crate) not_heard: usize,
    /// Those of them that came, but too late.
    pub(crate) given_up: usize,
    pub(crate) concealed: usize,
    /// How long each one stayed, and when it went out against when it left its host and the delay of the path; us, in order.
    pub(crate) stays: Vec<u64>,
    pub(crate) delays: Vec<u64>,
    pub(crate) counts: Counts,
    /// Bursts that were given up though they came as soon as was promised.
    pub(crate) broken: usize,
    pub(crate) out_of_order: usize,
}

/// A figure that this share of all, 0..=1, do not exceed.
pub(crate) fn quantile(sorted: &[u64], share: f64) -> u64 {
    let place = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or(0)
}

/// So many calls of so many superframes (360 ms each), one after the other, over one path: the first of each begins 3 s after
/// the end of the one before it.
pub(crate) fn run(impairments: Impairments, calls: u64, superframes: u16, seed: u64) -> Outcome {
    let mut outcome = Outcome::default();
    let mut line = Line::new();
    let mut path = Path::new(Impairments { delay_us: DELAY_US, ..impairments }, seed);
    // The far host's clock, against the line's.
    let clock_ms = Random(seed ^ 0xC10C).up_to(1 << 40);
    let mut begins = 1_000_000;
    for key in 0..calls {
        let bursts = call(key, superframes, clock_ms + begins / 1000);
        let mut arrivals = Vec::new();
        let mut first_came = vec![None; bursts.len()];
        for (n, &burst) in bursts.iter().enumerate() {
            for at in path.carry(begins + BURST_US * n as u64) {
                first_came[n] = Some(first_came[n].map_or(at, |first: u64| first.min(at)));
                arrivals.push((at, n, burst));
            }
        }
        arrivals.sort_by_key(|&(at, n, _)| (at, n));
        line.out.clear();
        let mut patience = vec![None; bursts.len()];
        for &(at, n, burst) in &arrivals {
            line.run_until(at);
            let before = line.health();
            line.arrive(at, burst);
            let after = line.health();
            // Given up: how long would it have been waited for, at the least, by then?
            if after.late > before.late {
                patience[n] = Some(patience_of(&before));
            }
        }
        begins += BURST_US * bursts.len() as u64 + 3_000_000;
        line.run_until(begins - 1_000_000);
        judge(
            &mut outcome,
            &line,
            &first_came,
            &patience,
            begins - BURST_US * bursts.len() as u64 - 3_000_000,
        );
    }
    outcome.counts = path.counts();
    outcome.stays.sort_unstable();
    outcome.delays.sort_unstable();
    outcome
}

/// B, microseconds.
fn patience_of(health: &Health) -> u64 {
    let patience = (health.delay + BURST_TIME).clamp(MIN_PATIENCE, MAX_WAIT);
    micros(patience)
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

fn judge(outcome: &mut Outcome, line: &Line, came: &[Option<u64>], patience: &[Option<u64>], begins: u64) {
    let mut heard = vec![false; came.len()];
    let mut last = None;
    for out in &line.out {
        // Calls here are longer than what a byte counts.
        let low = usize::from(out.sequence());
        let next = last.map_or(0, |last| last + 1);
        let n = next + (low + 256 - next % 256) % 256;
        outcome.out_of_order += usize::from(n >= came.len() || heard[n]);
        last = Some(n);
        if out.output.is_concealed {
            outcome.concealed += 1;
            continue;
        }
        heard[n] = true;
        outcome.stays.push(out.at - came[n].expect("what came out came in"));
        outcome.delays.push(out.at - (begins + BURST_US * n as u64 + DELAY_US));
    }
    outcome.sent += came.len();
    for (n, came) in came.iter().enumerate().filter(|&(n, _)| !heard[n]) {
        outcome.not_heard += 1;
        let Some(came) = came else { continue };
        outcome.given_up += 1;
        let late = came - (begins + BURST_US * n as u64 + DELAY_US);
        outcome.broken += usize::from(late <= patience[n].unwrap_or(u64::MAX));
    }
}
