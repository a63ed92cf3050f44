//! The metrics that there are, in tables: name, meaning, and the counter of the stats page behind each.

use fabric::{Counter, LAG_BUCKETS_US, Stats};
use prometheus::proto::{Bucket, Histogram, Metric, MetricFamily, MetricType};

use crate::text::{Labels, Name, counter, family, gauge, labelled};
use crate::{BrokerView, RegistryView, WorkerView};

/// Counters of the page that are one metric each.
const COUNTERS: [(Name, Counter); 13] = [
    (Name { name: "bm_datagrams_received_total", help: "Datagrams that came in." }, Counter::DatagramsIn),
    (
        Name { name: "bm_datagrams_sent_total", help: "Datagrams handed to the kernel." },
        Counter::DatagramsOut,
    ),
    (
        Name { name: "bm_datagrams_send_failed_total", help: "Datagrams that the kernel did not take." },
        Counter::SendFailed,
    ),
    (
        Name {
            name: "bm_frames_switched_total",
            help: "Frames taken in by the switch, from contexts here and from sibling workers.",
        },
        Counter::Frames,
    ),
    (
        Name { name: "bm_frames_delivered_total", help: "Frames delivered to contexts here." },
        Counter::Delivered,
    ),
    (
        Name { name: "bm_frames_forwarded_total", help: "Frames published to sibling workers." },
        Counter::Forwarded,
    ),
    (
        Name { name: "bm_frames_late_total", help: "Frames that came after their call had ended." },
        Counter::Late,
    ),
    (Name { name: "bm_frames_duplicate_total", help: "Frames that came twice." }, Counter::Duplicate),
    (
        Name {
            name: "bm_frames_too_fast_total",
            help: "Frames dropped since they came faster than the air can carry.",
        },
        Counter::TooFast,
    ),
    (
        Name {
            name: "bm_data_busy_total",
            help: "Data calls that a slot did not take, since another call was on it.",
        },
        Counter::DataBusy,
    ),
    (
        Name {
            name: "bm_ring_gaps_total",
            help: "Frames of sibling workers that were overwritten before they were read.",
        },
        Counter::RingGaps,
    ),
    (Name { name: "bm_doorbells_total", help: "Sleeping processes woken." }, Counter::Doorbells),
    (
        Name { name: "bm_reports_lost_total", help: "Messages to the services that found their queue full." },
        Counter::ReportsLost,
    ),
];

/// Numbers of the page that go up and down.
const GAUGES: [(Name, Counter); 2] = [
    (
        Name { name: "bm_contexts", help: "Contexts now: repeaters that are logged in, and other networks." },
        Counter::Contexts,
    ),
    (Name { name: "bm_sessions", help: "Sessions now that began here." }, Counter::Sessions),
];

const REFUSED: Name =
    Name { name: "bm_datagrams_refused_total", help: "Datagrams that were refused, by reason." };

/// Values of the label `reason`.
const REASONS: [(&str, Counter); 10] = [
    ("malformed", Counter::RefusedMalformed),
    ("not_logged_in", Counter::RefusedNotLoggedIn),
    ("wrong_password", Counter::RefusedPassword),
    ("bad_configuration", Counter::RefusedConfiguration),
    ("denied", Counter::RefusedDenied),
    ("bad_frame", Counter::RefusedFrame),
    ("full", Counter::RefusedFull),
    ("replayed", Counter::RefusedReplayed),
    ("wrong_slot", Counter::RefusedSlot),
    ("too_far", Counter::RefusedTooFar),
];

const CALLS_REFUSED: Name =
    Name { name: "bm_calls_refused_total", help: "Calls that were refused, by reason." };

/// Values of the label `reason`.
const CALL_REASONS: [(&str, Counter); 8] = [
    ("no_route", Counter::CallsNoRoute),
    ("busy", Counter::CallsBusy),
    ("taken", Counter::CallsTaken),
    ("loop", Counter::CallsLoop),
    ("denied", Counter::CallsDenied),
    ("banned", Counter::CallsBanned),
    ("blocked", Counter::CallsBlocked),
    ("encrypted", Counter::CallsEncrypted),
];

const UP: Name = Name { name: "bm_worker_up", help: "Whether the worker serves." };
const INFO: Name = Name { name: "bm_worker_info", help: "Always 1; the label node is the worker's node ID." };
const RESTARTS: Name =
    Name { name: "bm_worker_restarts_total", help: "How often the worker was started again." };
const HEARTBEAT: Name = Name {
    name: "bm_worker_heartbeat_age_seconds",
    help: "Time since the worker's packet loop last came round; it does so at least every 0.25 s.",
};
const LAG: Name =
    Name { name: "bm_loop_lag_seconds", help: "Time that each round of the worker's packet loop took." };

const CONNECTED: Name = Name {
    name: "bm_events_connected",
    help: "Whether the node's events reach the broker; only where that is elsewhere.",
};
const PUBLISHED: Name =
    Name { name: "bm_events_published_total", help: "Events and states that were handed to the broker." };
const DROPPED: Name = Name {
    name: "bm_events_dropped_total",
    help: "Events that were dropped since the broker was away or slow for too long.",
};

const FOLLOWED: Name =
    Name { name: "bm_registry_followed", help: "Whether what changes in the shared registry changes here." };
const PENDING: Name =
    Name { name: "bm_registry_pending", help: "Changes made here that the shared registry has not got yet." };
const UNUSABLE: Name =
    Name { name: "bm_registry_refused", help: "Records of the shared registry that cannot be." };
const UNTOLD: Name = Name {
    name: "bm_registry_dropped_total",
    help: "Bans of the protection and radios heard that the shared registry was not told of: there were too many.",
};

/// The families of a registry.
pub(crate) fn registry(view: &RegistryView) -> Vec<MetricFamily> {
    let one = |name, kind, metric| family(name, kind, vec![metric]);
    vec![
        one(&FOLLOWED, MetricType::GAUGE, gauge(&[], f64::from(u8::from(view.followed)))),
        one(&PENDING, MetricType::GAUGE, gauge(&[], float(view.pending))),
        one(&UNUSABLE, MetricType::GAUGE, gauge(&[], float(view.refused))),
        one(&UNTOLD, MetricType::COUNTER, counter(&[], float(view.dropped))),
    ]
}

/// The families of these workers, empty ones among them.
pub(crate) fn all(workers: &[WorkerView<'_>], now_us: u64) -> Vec<MetricFamily> {
    let mut families = vec![
        each(&UP, MetricType::GAUGE, workers, |w| gauge(&worker(w), f64::from(u8::from(w.up)))),
        each(&INFO, MetricType::GAUGE, workers, |w| {
            let [slot] = worker(w);
            gauge(&[slot, ("node", w.node.to_string())], 1.0)
        }),
        each(&RESTARTS, MetricType::COUNTER, workers, |w| counter(&worker(w), float(w.restarts))),
        heartbeats(workers, now_us),
        refused(workers, &REFUSED, &REASONS),
        refused(workers, &CALLS_REFUSED, &CALL_REASONS),
        brokers(&CONNECTED, MetricType::GAUGE, workers, |labels, broker| {
            gauge(labels, f64::from(u8::from(broker.connected)))
        }),
        brokers(&PUBLISHED, MetricType::COUNTER, workers, |labels, broker| {
            counter(labels, float(broker.published))
        }),
        brokers(&DROPPED, MetricType::COUNTER, workers, |labels, broker| {
            counter(labels, float(broker.dropped))
        }),
        each(&LAG, MetricType::HISTOGRAM, workers, |w| {
            let mut metric = labelled(&worker(w));
            metric.set_histogram(lag(w.stats));
            metric
        }),
    ];
    families.extend(COUNTERS.iter().map(|(name, which)| {
        each(name, MetricType::COUNTER, workers, |w| counter(&worker(w), float(w.stats.get(*which))))
    }));
    families.extend(crate::hosts::all(workers));
    families.extend(GAUGES.iter().map(|(name, which)| {
        each(name, MetricType::GAUGE, workers, |w| gauge(&worker(w), float(w.stats.get(*which))))
    }));
    families
}

fn each(
    name: &Name,
    kind: MetricType,
    workers: &[WorkerView<'_>],
    sample: impl Fn(&WorkerView<'_>) -> Metric,
) -> MetricFamily {
    family(name, kind, workers.iter().map(sample).collect())
}

pub(crate) fn worker(view: &WorkerView<'_>) -> [(&'static str, String); 1] {
    [("worker", view.slot.to_string())]
}

/// Only of workers that have run.
fn heartbeats(workers: &[WorkerView<'_>], now_us: u64) -> MetricFamily {
    let samples = workers.iter().filter_map(|w| {
        let last = w.stats.get(Counter::Heartbeat);
        (last > 0).then(|| gauge(&worker(w), seconds(now_us.saturating_sub(last))))
    });
    family(&HEARTBEAT, MetricType::GAUGE, samples.collect())
}

/// Only of workers whose events go to a broker.
fn brokers(
    name: &Name,
    kind: MetricType,
    workers: &[WorkerView<'_>],
    sample: impl Fn(&Labels, BrokerView) -> Metric,
) -> MetricFamily {
    let samples = workers.iter().filter_map(|view| Some(sample(&worker(view), view.broker?)));
    family(name, kind, samples.collect())
}

fn refused(workers: &[WorkerView<'_>], name: &Name, reasons: &[(&str, Counter)]) -> MetricFamily {
    let samples = workers.iter().flat_map(|w| {
        reasons.iter().map(move |(reason, which)| {
            let [slot] = worker(w);
            counter(&[slot, ("reason", (*reason).to_owned())], float(w.stats.get(*which)))
        })
    });
    family(name, MetricType::COUNTER, samples.collect())
}

fn lag(stats: &Stats) -> Histogram {
    let rounds = stats.lag();
    let mut count = 0;
    let mut buckets = Vec::with_capacity(LAG_BUCKETS_US.len());
    for (bound, rounds) in LAG_BUCKETS_US.iter().zip(rounds) {
        count += rounds;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(seconds(*bound));
        bucket.set_cumulative_count(count);
        buckets.push(bucket);
    }
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(count + rounds[LAG_BUCKETS_US.len()]);
    histogram.set_sample_sum(seconds(stats.get(Counter::BusyUs)));
    histogram
}

fn seconds(us: u64) -> f64 {
    float(us) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "the format knows no other numbers; exact up to 2^53")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use fabric::StatsSegment;

    use super::*;
    use crate::render;

    fn lines(text: &str, name: &str) -> Vec<String> {
        let of = |line: &&str| line.starts_with(name) && line[name.len()..].starts_with(['{', '_', ' ']);
        text.lines().filter(of).map(str::to_owned).collect()
    }

    #[test]
    fn two_workers_side_by_side() {
        let segments = [StatsSegment::create(0).unwrap(), StatsSegment::create(0).unwrap()];
        let pages = segments.each_ref().map(|segment| Stats::writer(segment.writable()).unwrap());
        pages[0].add(Counter::DatagramsIn, 1 << 40);
        pages[0].add(Counter::RefusedPassword, 3);
        pages[0].set(Counter::Heartbeat, 1_000_000);
        pages[1].set(Counter::Contexts, 7);
        let view = |slot: u8, up| WorkerView {
            slot,
            node: 25_011 + u32::from(slot),
            up,
            restarts: u64::from(slot) * 2,
            broker: (slot == 1).then_some(BrokerView { connected: true, published: 5, dropped: 2 }),
            hosts: &[],
            stats: &pages[usize::from(slot)],
        };
        let text = render(&[view(0, true), view(1, false)], 1_250_000);
        assert_eq!(
            lines(&text, "bm_worker_up"),
            [r#"bm_worker_up{worker="0"} 1"#, r#"bm_worker_up{worker="1"} 0"#]
        );
        assert_eq!(lines(&text, "bm_worker_info")[1], r#"bm_worker_info{worker="1",node="25012"} 1"#);
        assert_eq!(lines(&text, "bm_worker_restarts_total")[1], r#"bm_worker_restarts_total{worker="1"} 2"#);
        assert_eq!(
            lines(&text, "bm_datagrams_received_total")[0],
            r#"bm_datagrams_received_total{worker="0"} 1099511627776"#
        );
        let refused = lines(&text, "bm_datagrams_refused_total");
        assert_eq!(refused.len(), 20);
        assert!(
            refused
                .contains(&r#"bm_datagrams_refused_total{worker="0",reason="wrong_password"} 3"#.to_owned())
        );
        assert_eq!(lines(&text, "bm_contexts")[1], r#"bm_contexts{worker="1"} 7"#);
        // The second has never run.
        assert_eq!(
            lines(&text, "bm_worker_heartbeat_age_seconds"),
            [r#"bm_worker_heartbeat_age_seconds{worker="0"} 0.25"#]
        );
        assert_eq!(lines(&text, "bm_events_connected"), [r#"bm_events_connected{worker="1"} 1"#]);
        assert_eq!(lines(&text, "bm_events_published_total"), [r#"bm_events_published_total{worker="1"} 5"#]);
        assert_eq!(lines(&text, "bm_events_dropped_total"), [r#"bm_events_dropped_total{worker="1"} 2"#]);
        assert_eq!(render(&[], 0), "");
    }

    #[test]
    fn loop_lag_is_a_cumulative_histogram_in_seconds() {
        let segment = StatsSegment::create(0).unwrap();
        let stats = Stats::writer(segment.writable()).unwrap();
        for us in [10, 50, 70, 2_000_000] {
            stats.add_lag(us);
        }
        let text = render(
            &[WorkerView {
                slot: 3,
                node: 1,
                up: true,
                restarts: 0,
                broker: None,
                hosts: &[],
                stats: &stats,
            }],
            0,
        );
        let lag = lines(&text, "bm_loop_lag_seconds");
        assert_eq!(lag[0], r#"bm_loop_lag_seconds_bucket{worker="3",le="0.00005"} 2"#);
        assert_eq!(lag[1], r#"bm_loop_lag_seconds_bucket{worker="3",le="0.0001"} 3"#);
        assert_eq!(lag[7], r#"bm_loop_lag_seconds_bucket{worker="3",le="0.05"} 3"#);
        assert_eq!(
            lag[8..],
            [
                r#"bm_loop_lag_seconds_bucket{worker="3",le="+Inf"} 4"#,
                r#"bm_loop_lag_seconds_sum{worker="3"} 2.00013"#,
                r#"bm_loop_lag_seconds_count{worker="3"} 4"#,
            ]
        );
    }

    #[test]
    fn every_family_says_what_it_is() {
        let segment = StatsSegment::create(0).unwrap();
        let stats = Stats::reader(segment.read_only()).unwrap();
        let families = all(
            &[WorkerView {
                slot: 0,
                node: 1,
                up: true,
                restarts: 0,
                broker: None,
                hosts: &[],
                stats: &stats,
            }],
            0,
        );
        let mut names: Vec<&str> = families.iter().map(MetricFamily::name).collect();
        for family in &families {
            let counted = family.get_field_type() == MetricType::COUNTER;
            assert_eq!(family.name().ends_with("_total"), counted, "{}", family.name());
            assert!(family.name().starts_with("bm_") && family.help().ends_with('.'), "{}", family.name());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), families.len());
    }
}
