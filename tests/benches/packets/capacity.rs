//! The largest load: ten thousand repeaters on two workers, a thousand calls.

use sim::{Report, Settings};
use tests::{Cluster, PASSWORD};

use crate::server::{keep_to, workers};

const REPEATERS: usize = 10_000;
const SECONDS: u32 = 5;

pub(crate) fn report() {
    keep_to(None);
    println!("\n{REPEATERS} repeaters on 2 workers, fan-out 9, {SECONDS} s at the pace of the air");
    println!(
        "  calls   forwards/s  lost  other faults  p50 us  p99 us  CPU us/forward  floor: lost  p50 us  p99 us  CPU us/forward"
    );
    for calls in [250, 500, 1_000] {
        let cluster = Cluster::start(2, "");
        let settings = Settings {
            repeaters: REPEATERS,
            talkgroups: REPEATERS / 10,
            calls,
            seconds: SECONDS,
            pids: workers(&cluster),
            ..Settings::new(cluster.mmdvm(), PASSWORD)
        };
        let ours = sim::run(&settings).unwrap();
        drop(cluster);
        let floor = sim::run_floor(&settings, Some(0)).unwrap();
        let forwards = ours.counts.delivered as f64 * 1e6 / ours.duration_us as f64;
        println!("  {calls:<6} {forwards:>11.0} {}  {:>11}", row(&ours, true), row(&floor, false));
    }
}

fn row(report: &Report, with_faults: bool) -> String {
    let counts = &report.counts;
    let faults = counts.reordered + counts.duplicated + counts.stray + counts.altered;
    let faults = if with_faults { format!("{faults:>13} ") } else { String::new() };
    format!(
        "{:>5} {faults}{:>7} {:>7} {:>15.2}",
        counts.lost,
        report.latency.p50_us,
        report.latency.p99_us,
        report.server_cpu_us_per_forward.unwrap_or(f64::NAN)
    )
}
