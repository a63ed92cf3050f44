//! The result of a run, in numbers and as a table of plain words.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;

use crate::judge::{Burst, Counts, Heard, Missing, Spread, Way};

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
    /// The same for each burst delivered, to repeaters and to the network.
    pub server_cpu_us_per_forward: Option<f64>,
    /// What the other network said and heard; none without one. All figures above but bursts and CPU time leave out what
    /// it heard.
    pub network: Option<Bridged>,
    /// Within a host and across hosts apart; none where there is one host.
    pub hosts: Option<Across>,
    /// What each repeater heard, in the order of their IDs.
    pub heard: Vec<Heard>,
    /// All bursts that were sent, call by call.
    #[serde(skip)]
    pub bursts: Vec<Burst>,
    /// Those that never came, listener by listener in the order of `heard`.
    #[serde(skip)]
    pub missing: Vec<Missing>,
}

/// What the other network said and heard.
#[derive(Clone, Debug, Serialize)]
pub struct Bridged {
    /// Its network ID.
    pub id: u32,
    /// Where the server listens for OpenBridge.
    pub server: SocketAddr,
    /// How many of the calls it made.
    pub calls: usize,
    /// What it said, at the repeaters; part of what these heard.
    pub said: Way,
    /// What the repeaters said, at the network.
    pub heard: Way,
    /// Datagrams that came to it without the right signature; nothing else is made of them.
    pub unsigned: u64,
    /// What the first of them was.
    pub first_unsigned: Option<String>,
}

/// What came from the own host, and what from others; both are part of what all heard.
#[derive(Clone, Debug, Serialize)]
pub struct Across {
    /// A server of each host.
    pub servers: Vec<SocketAddr>,
    /// How long it took until all talkers were heard everywhere, after the last login, in microseconds; a try takes more than a second.
    pub settled_us: u64,
    /// At repeaters of the talker's host.
    pub within: Way,
    /// At repeaters of the other hosts.
    pub across: Way,
    /// How much longer it took across than within, median by median, in microseconds.
    pub added_p50_us: i64,
    /// The same of 99 of 100.
    pub added_p99_us: i64,
}

impl Report {
    /// Every burst that was due was sent and came once, in order, as it was sent, and nothing else came. At a network,
    /// nothing without the right signature.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let network = self.network.as_ref();
        let is_clean = network.is_none_or(|network| network.unsigned == 0 && network.heard.counts.is_clean());
        is_clean && self.unsent == 0 && self.counts.is_clean()
    }

    /// How many times as long it took as the floor took, in words; what was not measured on both sides is left out.
    #[must_use]
    pub fn ratios(&self, floor: &Self) -> String {
        let ratio =
            |ours: f64, floor: f64| (ours > 0.0 && floor > 0.0).then(|| format!("{:.2}", ours / floor));
        let mut ratios = Vec::new();
        let mut latency = |name: &str, ours: Spread, floor: Spread| {
            let p50 = ratio(ours.p50_us as f64, floor.p50_us as f64);
            let p99 = ratio(ours.p99_us as f64, floor.p99_us as f64);
            ratios.extend(p50.zip(p99).map(|(p50, p99)| format!("{name} p50 {p50}, p99 {p99}")));
        };
        latency("latency", self.latency, floor.latency);
        if let Some((ours, floor)) = self.network.as_ref().zip(floor.network.as_ref()) {
            latency("from the network", ours.said.latency, floor.said.latency);
            latency("to the network", ours.heard.latency, floor.heard.latency);
        }
        let cpu = |report: &Self| report.server_cpu_us_per_forward.unwrap_or_default();
        ratios.extend(ratio(cpu(self), cpu(floor)).map(|cpu| format!("CPU time a forward {cpu}")));
        ratios.join("; ")
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let per_forward = self.server_cpu_us_per_forward.map(|us| format!("{us:.1} us"));
        let busy = |us: u64| {
            format!("{} ms ({:.1} %)", us / 1_000, 100.0 * us as f64 / self.duration_us.max(1) as f64)
        };
        let mut rows = vec![
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
        ];
        if let Some(network) = &self.network {
            rows.extend(network.rows());
        }
        if let Some(hosts) = &self.hosts {
            rows.extend(hosts.rows());
        }
        rows
    }
}

impl Bridged {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let Self { said, heard, .. } = self;
        let of = |way: &Way| format!("{} of {}", way.counts.delivered, way.counts.expected);
        let Counts { lost, reordered, duplicated, stray, altered, .. } = heard.counts;
        vec![
            ("network", self.id.to_string()),
            ("calls by the network", self.calls.to_string()),
            ("from the network: delivered", of(said)),
            ("  latency p50 / p99 / max", said.latency.to_string()),
            ("to the network: delivered", of(heard)),
            ("  latency p50 / p99 / max", heard.latency.to_string()),
            ("  lost / reordered / duplicated", format!("{lost} / {reordered} / {duplicated}")),
            ("  stray / altered", format!("{stray} / {altered}")),
            ("  not signed with the key", self.unsigned.to_string()),
        ]
    }
}

impl Across {
    pub(crate) fn new(servers: Vec<SocketAddr>, settled_us: u64, within: Way, across: Way) -> Self {
        let added = |of: fn(Spread) -> u64| {
            let [within, across] =
                [within, across].map(|way| i64::try_from(of(way.latency)).unwrap_or(i64::MAX));
            // Where nothing came across, nothing is added.
            if across == 0 { 0 } else { across - within }
        };
        let (added_p50_us, added_p99_us) = (added(|spread| spread.p50_us), added(|spread| spread.p99_us));
        Self { servers, settled_us, within, across, added_p50_us, added_p99_us }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("hosts", self.servers.len().to_string()),
            ("hosts know each other after", format!("{:.1} s", self.settled_us as f64 / 1e6)),
        ];
        for (name, way) in
            [("within a host: delivered", &self.within), ("across hosts: delivered", &self.across)]
        {
            let Counts { expected, delivered, lost, reordered, duplicated, stray, altered } = way.counts;
            rows.extend([
                (name, format!("{delivered} of {expected}")),
                ("  latency p50 / p99 / max", way.latency.to_string()),
                ("  lost / reordered / duplicated", format!("{lost} / {reordered} / {duplicated}")),
                ("  stray / altered", format!("{stray} / {altered}")),
            ]);
        }
        rows.push(("  added p50 / p99", format!("{} / {} us", self.added_p50_us, self.added_p99_us)));
        rows
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
        let width = |(heading, rows): &(&str, Vec<(&str, String)>)| {
            rows.iter().map(|(_, value)| value.len()).max().unwrap_or(0).max(heading.len())
        };
        let Some((_, rows)) = columns.first() else { return Ok(()) };
        let names: Vec<_> = rows.iter().map(|(name, _)| *name).collect();
        let first = names.iter().map(|name| name.len()).max().unwrap_or(0);
        write!(f, "{:first$}", "")?;
        for column in &columns {
            write!(f, "  {:>1$}", column.0, width(column))?;
        }
        for (row, name) in names.iter().enumerate() {
            write!(f, "\n{name:first$}")?;
            for column in &columns {
                let value = column.1.get(row).map_or("", |(_, value)| value);
                write!(f, "  {value:>0$}", width(column))?;
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
            network: None,
            hosts: None,
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
    fn a_network_is_judged_and_shown_too() {
        let counts = Counts { expected: 998, delivered: 998, ..Counts::default() };
        let way = Way { sent: 998, counts, latency: Spread { p50_us: 40, p99_us: 80, max_us: 90 } };
        let network = Bridged {
            id: 3_129_900,
            server: "127.0.0.1:62035".parse().unwrap(),
            calls: 1,
            said: way,
            heard: way,
            unsigned: 0,
            first_unsigned: None,
        };
        let with = |network| Report { network: Some(network), ..report() };
        let good = with(network.clone());
        assert!(good.is_clean());
        assert!(!with(Bridged { unsigned: 1, ..network.clone() }).is_clean());
        let mut deaf = network.clone();
        deaf.heard.counts.lost = 1;
        assert!(!with(deaf).is_clean());
        let text = good.to_string();
        let rows: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for row in ["to the network: delivered 998 of 998", "latency p50 / p99 / max 40 / 80 / 90 us"] {
            assert!(rows.iter().any(|line| line == row), "{text}");
        }
        let json = serde_json::to_value(&good).unwrap();
        assert_eq!(json["network"]["heard"]["latency"]["p50_us"], 40);
        assert_eq!(json["network"]["said"]["delivered"], 998);
        let mut floor = good.clone();
        floor.latency = Spread { p50_us: 598, p99_us: 680, max_us: 0 };
        floor.server_cpu_us_per_forward = None;
        let ratios = "latency p50 0.50, p99 2.00; from the network p50 1.00, p99 1.00; to the network p50 1.00, p99 1.00";
        assert_eq!(good.ratios(&floor), ratios);
    }

    #[test]
    fn json_has_the_counts_at_the_top() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!((&json["delivered"], &json["latency"]["p99_us"]), (&48_902.into(), &1_360.into()));
    }
}
