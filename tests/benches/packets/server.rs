//! What a load is put on: the floor, or a real cluster.

use std::fmt;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tests::Cluster;

use crate::load::{Load, Outcome};

/// Calls are not limited to the rate of the air.
pub(crate) const UNLIMITED: &str = "[protection]\nmax_burst_rate = 0";

#[derive(Clone, Copy)]
pub(crate) enum Server {
    /// A bare `sendto` loop on core 0.
    Floor,
    /// A cluster with so many workers, the first on core 0.
    Workers(usize),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floor => f.write_str("floor"),
            Self::Workers(1) => f.write_str("1 worker"),
            Self::Workers(count) => write!(f, "{count} workers"),
        }
    }
}

impl Server {
    pub(crate) fn run(self, load: &Load) -> Outcome {
        // A cluster takes the cores that it may use from whoever starts it.
        keep_to(None);
        match self {
            Self::Floor => {
                let settings = load.settings("127.0.0.1:0".parse().unwrap(), Vec::new());
                keep_to(Some(1));
                Outcome::of(&sim::run_floor(&settings, Some(0)).unwrap())
            }
            Self::Workers(count) => {
                let cluster = Cluster::start(count, UNLIMITED);
                let settings = load.settings(cluster.mmdvm(), workers(&cluster));
                // With a core of its own the generator disturbs nobody; two workers have to share theirs with it.
                keep_to((count == 1).then_some(1));
                Outcome::of(&sim::run(&settings).unwrap())
            }
        }
    }
}

/// The workers' processes.
pub(crate) fn workers(cluster: &Cluster) -> Vec<i32> {
    let pids = cluster.status().workers.into_iter().filter_map(|worker| worker.pid);
    pids.map(|pid| i32::try_from(pid).unwrap()).collect()
}

/// Keeps the calling thread to a core, or lets it run on all. What it starts inherits that.
pub(crate) fn keep_to(core: Option<usize>) {
    let mut set = CpuSet::new();
    let cores = core.map_or(0..CpuSet::count(), |core| core..core + 1);
    cores.for_each(|core| set.set(core).unwrap());
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}
