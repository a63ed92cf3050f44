//! The loads, and what comes of one.

use std::fmt;
use std::net::SocketAddr;

use sim::{Report, Settings};
use tests::PASSWORD;

/// Datagrams under way at saturation, about: enough that the server never waits.
const UNDER_WAY: usize = 400;

/// What is done to a server.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// So many calls, each heard by `fan_out`, as fast as they are carried.
    Saturated { calls: usize, fan_out: usize },
    /// So many calls at the pace of the air.
    Paced { repeaters: usize, calls: usize },
}

pub(crate) const LOADS: [Load; 6] = [
    Load::Saturated { calls: 4, fan_out: 10 },
    Load::Saturated { calls: 4, fan_out: 49 },
    Load::Saturated { calls: 4, fan_out: 200 },
    Load::Saturated { calls: 2, fan_out: 1_000 },
    Load::Paced { repeaters: 50, calls: 1 },
    Load::Paced { repeaters: 800, calls: 80 },
];

impl Load {
    pub(crate) fn settings(&self, server: SocketAddr, pids: Vec<i32>) -> Settings {
        let settings = Settings { pids, ..Settings::new(server, PASSWORD) };
        match *self {
            Self::Saturated { calls, fan_out } => Settings {
                repeaters: calls * (fan_out + 1),
                talkgroups: calls,
                calls,
                seconds: 1,
                in_flight: Some((UNDER_WAY / fan_out).max(2)),
                ..settings
            },
            Self::Paced { repeaters, calls } => {
                Settings { repeaters, talkgroups: calls, calls, seconds: 5, ..settings }
            }
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Saturated { calls, fan_out } => {
                write!(f, "saturated: {calls} calls, fan-out {fan_out}")
            }
            Self::Paced { repeaters, calls } => {
                write!(f, "at the pace of the air: {repeaters} repeaters, {calls} calls")
            }
        }
    }
}

/// One figure of an outcome.
pub(crate) type Figure = fn(&Outcome) -> f64;

/// What came of a load.
#[derive(Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) cpu_us: f64,
    pub(crate) forwards: f64,
    p50_us: f64,
    p99_us: f64,
    /// Bursts lost, reordered, doubled, stray or altered.
    pub(crate) faults: u64,
}

impl Outcome {
    /// Width, precision and source of each figure that is printed.
    pub(crate) const FIGURES: [(usize, usize, Figure); 4] = [
        (9, 2, |outcome| outcome.cpu_us),
        (12, 0, |outcome| outcome.forwards),
        (8, 0, |outcome| outcome.p50_us),
        (8, 0, |outcome| outcome.p99_us),
    ];

    pub(crate) fn of(report: &Report) -> Self {
        let counts = &report.counts;
        Self {
            cpu_us: report.server_cpu_us_per_forward.unwrap_or(f64::NAN),
            forwards: counts.delivered as f64 * 1e6 / report.duration_us as f64,
            p50_us: report.latency.p50_us as f64,
            p99_us: report.latency.p99_us as f64,
            faults: counts.lost + counts.reordered + counts.duplicated + counts.stray + counts.altered,
        }
    }
}
