//! The metrics of other hosts: one sample for each host that a worker can reach, none for each of their nodes.

use prometheus::proto::{Metric, MetricFamily, MetricType};

use crate::families::{float, worker};
use crate::text::{Name, counter, family, gauge};
use crate::{HostView, WorkerView};

const REACHED: Name =
    Name { name: "bm_host_reached", help: "Always 1, for each other host that the worker can reach." };
const RTT: Name = Name {
    name: "bm_host_rtt_seconds",
    help: "Time there and back: the longest of the host's nodes that the worker hears.",
};
const JITTER: Name = Name {
    name: "bm_host_jitter_seconds",
    help: "How much the time of the way varies (RFC 3550): the most of the host's nodes that the worker hears.",
};
const LOSS: Name = Name {
    name: "bm_host_loss_ratio",
    help: "Datagrams lost over the last 10 s, by direction: the most of the host's nodes that the worker hears.",
};
const BURSTS: Name =
    Name { name: "bm_host_bursts_total", help: "Bursts of the host's calls that came to the worker." };
const LOST: Name =
    Name { name: "bm_host_bursts_lost_total", help: "Bursts of the host's calls that did not come in time." };
const CONCEALED: Name = Name {
    name: "bm_host_bursts_concealed_total",
    help: "Lost bursts of the host's calls in whose place others were made up.",
};

/// The families, empty ones among them.
pub(crate) fn all(workers: &[WorkerView<'_>]) -> Vec<MetricFamily> {
    let count = |name, value: fn(&HostView) -> u64| {
        each(name, MetricType::COUNTER, workers, |labels, host| vec![counter(labels, float(value(host)))])
    };
    let time = |name, us: fn(&HostView) -> Option<u32>| {
        each(name, MetricType::GAUGE, workers, |labels, host| {
            us(host).map(|us| gauge(labels, f64::from(us) / 1e6)).into_iter().collect()
        })
    };
    vec![
        each(&REACHED, MetricType::GAUGE, workers, |labels, _| vec![gauge(labels, 1.0)]),
        time(&RTT, |host| host.rtt_us),
        time(&JITTER, |host| host.jitter_us),
        each(&LOSS, MetricType::GAUGE, workers, |[worker, host], view| {
            let ways = ["in", "out"].into_iter().zip(view.loss.into_iter().flatten());
            ways.map(|(way, loss)| {
                let direction = ("direction", way.to_owned());
                gauge(&[worker.clone(), host.clone(), direction], f64::from(loss) / 10_000.0)
            })
            .collect()
        }),
        count(&BURSTS, |host| host.bursts),
        count(&LOST, |host| host.lost),
        count(&CONCEALED, |host| host.concealed),
    ]
}

fn each(
    name: &Name,
    kind: MetricType,
    workers: &[WorkerView<'_>],
    samples: impl Fn(&[(&'static str, String); 2], &HostView) -> Vec<Metric>,
) -> MetricFamily {
    let mut all = Vec::new();
    for view in workers {
        let [slot] = worker(view);
        for host in view.hosts {
            all.extend(samples(&[slot.clone(), ("host", host.host.to_string())], host));
        }
    }
    family(name, kind, all)
}

#[cfg(test)]
mod tests {
    use fabric::{Stats, StatsSegment};

    use super::*;
    use crate::render;

    #[test]
    fn a_sample_for_each_worker_and_host() {
        let segment = StatsSegment::create(0).unwrap();
        let stats = Stats::reader(segment.read_only()).unwrap();
        let near = HostView {
            host: 25_021,
            rtt_us: Some(12_500),
            jitter_us: Some(250),
            loss: Some([25, 10_000]),
            bursts: 100,
            lost: 3,
            concealed: 2,
        };
        let hosts = [near, HostView { host: 25_031, ..HostView::default() }];
        let view = WorkerView {
            slot: 1,
            node: 25_012,
            up: true,
            restarts: 0,
            broker: None,
            hosts: &hosts,
            stats: &stats,
        };
        let text = render(&[view], 0);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("bm_host_")).collect();
        assert_eq!(
            lines,
            [
                r#"bm_host_reached{worker="1",host="25021"} 1"#,
                r#"bm_host_reached{worker="1",host="25031"} 1"#,
                r#"bm_host_rtt_seconds{worker="1",host="25021"} 0.0125"#,
                r#"bm_host_jitter_seconds{worker="1",host="25021"} 0.00025"#,
                r#"bm_host_loss_ratio{worker="1",host="25021",direction="in"} 0.0025"#,
                r#"bm_host_loss_ratio{worker="1",host="25021",direction="out"} 1"#,
                r#"bm_host_bursts_total{worker="1",host="25021"} 100"#,
                r#"bm_host_bursts_total{worker="1",host="25031"} 0"#,
                r#"bm_host_bursts_lost_total{worker="1",host="25021"} 3"#,
                r#"bm_host_bursts_lost_total{worker="1",host="25031"} 0"#,
                r#"bm_host_bursts_concealed_total{worker="1",host="25021"} 2"#,
                r#"bm_host_bursts_concealed_total{worker="1",host="25031"} 0"#,
            ]
        );
    }
}
