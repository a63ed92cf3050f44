//! What a cluster costs that has nothing to do: CPU time and context switches of its processes.

use std::time::{Duration, Instant};

use tests::Cluster;

use crate::table::Table;

const MEASURED: Duration = Duration::from_secs(5);
/// What a start leaves to be done is done then.
const SETTLED: Duration = Duration::from_secs(1);

/// What a process has used, with all its threads.
#[derive(Clone, Copy, Default)]
struct Used {
    cpu_ns: u64,
    switches: u64,
}

impl Used {
    fn of(pid: i32) -> Self {
        let mut used = Self::default();
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let read = |file| std::fs::read_to_string(task.as_ref().unwrap().path().join(file)).unwrap();
            let schedstat = read("schedstat");
            used.cpu_ns += schedstat.split(' ').next().unwrap().parse::<u64>().unwrap();
            let status = read("status");
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            used.switches += line.unwrap().trim().parse::<u64>().unwrap();
        }
        used
    }
}

pub(crate) fn run() {
    let mut table = Table::new("Idle: nobody logged in", &["CPU %", "switches/s"]);
    for workers in [1, 2] {
        let cluster = Cluster::start(workers, "");
        std::thread::sleep(SETTLED);
        // Its children are the workers, then the services.
        let pids: Vec<i32> = [cluster.pid()].into_iter().chain(cluster.children()).collect();
        let (since, before) = (Instant::now(), pids.iter().map(|&pid| Used::of(pid)).collect::<Vec<_>>());
        std::thread::sleep(MEASURED);
        let seconds = since.elapsed().as_secs_f64();
        for (process, (&pid, before)) in pids.iter().zip(before).enumerate() {
            let name = match process {
                0 => "supervisor".into(),
                n if n <= workers => format!("worker {}", n - 1),
                _ => "services".into(),
            };
            let after = Used::of(pid);
            let percent = (after.cpu_ns - before.cpu_ns) as f64 / seconds / 1e7;
            let switches = (after.switches - before.switches) as f64 / seconds;
            table.row(
                &format!("{workers} worker{}: {name}", if workers == 1 { " " } else { "s" }),
                [format!("{percent:.3}"), format!("{switches:.1}")],
            );
        }
    }
    table.print();
}
