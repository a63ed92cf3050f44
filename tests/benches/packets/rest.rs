//! What a cluster takes while nobody talks: time to start, memory, CPU time.

use std::time::{Duration, Instant};

use sim::{Idle, Settings};
use tests::measure::Spread;
use tests::{Cluster, PASSWORD};

use crate::server::{keep_to, workers};

/// How long a cluster is watched at rest.
const WATCH: Duration = Duration::from_secs(10);

pub(crate) fn report(rounds: usize) {
    keep_to(None);
    let start = |_| {
        let since = Instant::now();
        let cluster = Cluster::start(2, "");
        let ms = since.elapsed().as_secs_f64() * 1e3;
        drop(cluster);
        ms
    };
    let mut starts: Vec<f64> = (0..rounds).map(start).collect();
    println!("start to ready, 2 workers              {} ms", Spread::of(&mut starts));
    for count in [1, 2] {
        let cluster = Cluster::start(count, "");
        let rest_kib = memory_kib(&cluster) / count as f64;
        println!("a worker at rest, {count} of them             {:.1} MiB", rest_kib / 1024.0);
        let mut idle = log_in(&cluster, 50);
        let before = sim::cpu::used_us(&workers(&cluster)).unwrap();
        idle.serve(WATCH).unwrap();
        let used = sim::cpu::used_us(&workers(&cluster)).unwrap() - before;
        println!(
            "50 idle repeaters, {count} workers' CPU time   {:.3} % of a core",
            used as f64 / WATCH.as_micros() as f64 * 100.0
        );
    }
    for repeaters in [1_000, 10_000] {
        let cluster = Cluster::start(2, "");
        let before = memory_kib(&cluster);
        let mut idle = log_in(&cluster, repeaters);
        idle.serve(Duration::from_secs(1)).unwrap();
        let each = (memory_kib(&cluster) - before) * 1024.0 / repeaters as f64;
        println!("an idle repeater, of {repeaters:<6}            {each:.0} bytes in the workers");
        println!("log-in of {repeaters:<6} over 2 workers        {:.2} s", idle.login_time.as_secs_f64());
    }
}

fn log_in(cluster: &Cluster, repeaters: usize) -> Idle {
    Idle::log_in(&Settings { repeaters, ..Settings::new(cluster.mmdvm(), PASSWORD) }).unwrap()
}

/// Resident memory of all workers, shared memory that they have touched included.
fn memory_kib(cluster: &Cluster) -> f64 {
    let of = |pid| {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let rss = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        rss.trim().trim_end_matches(" kB").parse::<f64>().unwrap()
    };
    workers(cluster).into_iter().map(of).sum()
}
