//! The result of a run, in numbers and as a table of plain words.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;

use crate::judge::{Burst, Counts, Heard, Missing, Spread};

/// What a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The server.
    pub server: SocketAddr,
    /// How many repeaters were logged in.
    pub repeaters: usize,
    /// How many talkgroups they had.
    pub talkgroups: usize,
    /// How many calls there were at once.
    pub calls: usize,
    /// From the first burst to the last, in microseconds.
    pub duration_us: u64,
    /// Bursts that the talkers said.
    pub sent: u64,
    /// What became of them at all receivers together.
    #[serde(flatten)]
    pub counts: Counts,
    /// Time from just before a burst was sent to the kernel's receipt of it at a receiver.
    pub latency: Spread,
    /// Bursts said while the talker's repeater was not logged in, or that the kernel did not take; each is
    /// lost.
    pub unsent: u64,
    /// How often a repeater had to log in again.
    pub relogins: u64,
    /// How many `MSTNAK` came.
    pub naks: u64,
    /// How late bursts were sent: where that is much, the generator was too slow for its numbers to mean
    /// anything.
    pub late: Spread,
    /// CPU time of the generator during the calls, in microseconds.
    pub generator_cpu_us: u64,
    /// CPU time of the measured processes during the calls, in microseconds; none where none were named, or
    /// one has ended.
    pub server_cpu_us: Option<u64>,
    /// The same for each burst delivered.
    pub server_cpu_us_per_forward: Option<f64>,
    /// What each repeater heard, in the order of their IDs.
    pub heard: Vec<Heard>,
    /// All bursts that were sent, call by call.
    #[serde(skip)]
    pub bursts: Vec<Burst>,
    /// Those that never came, listener by listener in the order of `heard`.
    #[serde(skip)]
    pub missing: Vec<Missing>,
}

impl Report {
    /// Every burst that was due was sent and came once, in order, as it was sent, and nothing else came.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.unsent == 0 && self.counts.is_clean()
    }

    fn rows(&self) -> [(&'static str, String); 18] {
        let per_forward = self.server_cpu_us_per_forward.map(|us| format!("{us:.1} us"));
        let busy = |us: u64| {
            format!("{} ms ({:.1} %)", us / 1_000, 100.0 * us as f64 / self.duration_us.max(1) as f64)
        };
        [
            ("repeaters", self.repeaters.to_string()),
            ("talkgroups", self.talkgroups.to_string()),
            ("calls at once", self.calls.to_string()),
            ("seconds", format!("{:.1}", self.duration_us as f64 / 1e6)),
            ("bursts sent", self.sent.to_string()),
            ("bursts expected", self.counts.expected.to_string()),
            ("delivered", self.counts.delivered.to_string()),
            ("lost", self.counts.lost.to_string()),
            ("reordered", self.counts.reordered.to_string()),
            ("duplicated", self.counts.duplicated.to_string()),
            ("stray", self.counts.stray.to_string()),
            ("altered", self.counts.altered.to_string()),
            ("latency p50 / p99 / max", self.latency.to_string()),
            ("new logins / refusals", format!("{} / {}", self.relogins, self.naks)),
            ("bursts not sent", self.unsent.to_string()),
            ("sent late p50 / p99 / max", self.late.to_string()),
            ("generator's CPU time", busy(self.generator_cpu_us)),
            (
                "server's CPU time, per forward",
                match (self.server_cpu_us, per_forward) {
                    (Some(us), Some(each)) => format!("{}, {each}", busy(us)),
                    (Some(us), None) => busy(us),
                    _ => "not measured".to_owned(),
                },
            ),
        ]
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {} us", self.p50_us, self.p99_us, self.max_us)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Table(&[(&self.server.to_string(), self)]).fmt(f)
    }
}

/// Reports side by side, each with a heading.
pub struct Table<'a>(pub &'a [(&'a str, &'a Report)]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<_> = self.0.iter().map(|(heading, report)| (*heading, report.rows())).collect();
        let width = |(heading, rows): &(&str, [(&str, String); 18])| {
            rows.iter().map(|(_, value)| value.len()).max().unwrap_or(0).max(heading.len())
        };
        let names = columns.first().map(|(_, rows)| rows.each_ref().map(|(name, _)| *name));
        let Some(names) = names else { return Ok(()) };
        let first = names.iter().map(|name| name.len()).max().unwrap_or(0);
        write!(f, "{:first$}", "")?;
        for column in &columns {
            write!(f, "  {:>1$}", column.0, width(column))?;
        }
        for (row, name) in names.iter().enumerate() {
            write!(f, "\n{name:first$}")?;
            for column in &columns {
                write!(f, "  {:>1$}", column.1[row].1, width(column))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            server: "127.0.0.1:62031".parse().unwrap(),
            repeaters: 50,
            talkgroups: 1,
            calls: 1,
            duration_us: 60_000_000,
            sent: 998,
            counts: Counts { expected: 48_902, delivered: 48_902, ..Counts::default() },
            latency: Spread { p50_us: 299, p99_us: 1_360, max_us: 2_000 },
            unsent: 0,
            relogins: 0,
            naks: 0,
            late: Spread::default(),
            generator_cpu_us: 900_000,
            server_cpu_us: Some(500_000),
            server_cpu_us_per_forward: Some(10.22),
            heard: Vec::new(),
            bursts: Vec::new(),
            missing: Vec::new(),
        }
    }

    #[test]
    fn reports_stand_side_by_side() {
        let (mut ours, floor) = (report(), report());
        ours.counts.lost = 1;
        assert!(!ours.is_clean() && floor.is_clean());
        let text = Table(&[("ours", &ours), ("floor", &floor)]).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 19);
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{text}");
        assert_eq!(text.matches("299 / 1360 / 2000 us").count(), 2, "{text}");
        assert!(report().to_string().starts_with("    "), "one column");
        assert_eq!(Table(&[]).to_string(), "");
    }

    #[test]
    fn json_has_the_counts_at_the_top() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!((&json["delivered"], &json["latency"]["p99_us"]), (&48_902.into(), &1_360.into()));
    }
}
