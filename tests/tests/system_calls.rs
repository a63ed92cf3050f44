//! What a worker asks of the kernel for each burst, seen from outside.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use sim::Settings;
use tests::{Cluster, PASSWORD, signal};

const REPEATERS: usize = 50;
/// What a worker calls while it serves.
const KNOWN: [&str; 5] = ["epoll_wait", "recvmmsg", "sendmmsg", "write", "restart_syscall"];

/// A system call.
struct Call {
    name: String,
    returned: i64,
    /// It carried a `DMRD`.
    is_burst: bool,
}

/// A worker under the eyes of strace.
struct Watched {
    strace: Child,
    file: tempfile::NamedTempFile,
}

impl Watched {
    fn new(pid: u32) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut strace = Command::new("strace")
            .args(["-p", &pid.to_string(), "-o"])
            .arg(file.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is not installed");
        // It says so when it has attached.
        let mut said = String::new();
        BufReader::new(strace.stderr.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.contains("attached"), "{said}");
        Self { strace, file }
    }

    /// All of its calls, in order.
    fn calls(mut self) -> Vec<Call> {
        signal(i32::try_from(self.strace.id()).unwrap(), Signal::SIGINT);
        self.strace.wait().unwrap();
        let text = std::fs::read_to_string(self.file.path()).unwrap();
        let call = |line: &str| {
            let name = line.split_once('(')?.0.to_owned();
            let returned = line.rsplit_once("= ")?.1.split(' ').next()?.parse().ok()?;
            Some(Call { name, returned, is_burst: line.contains("DMRD") })
        };
        text.lines().filter_map(call).collect()
    }
}

/// The calls of each worker during a voice call, and how many bursts it had.
fn run(workers: usize) -> (Vec<Vec<Call>>, usize) {
    let cluster = Cluster::start(workers, "");
    let watched: Vec<Watched> =
        cluster.status().workers.iter().map(|worker| Watched::new(worker.pid.unwrap())).collect();
    let settings = Settings { repeaters: REPEATERS, seconds: 3, ..Settings::new(cluster.mmdvm(), PASSWORD) };
    let report = sim::run(&settings).unwrap();
    assert!(report.is_clean(), "{report}");
    let calls: Vec<_> = watched.into_iter().map(Watched::calls).collect();
    let names: BTreeSet<&str> = calls.iter().flatten().map(|call| &*call.name).collect();
    assert!(names.iter().all(|name| KNOWN.contains(name)), "{names:?}");
    (calls, usize::try_from(report.sent).unwrap())
}

fn count(calls: &[Call], is: impl Fn(&Call) -> bool) -> usize {
    calls.iter().filter(|call| is(call)).count()
}

#[test]
fn a_burst_takes_a_wait_a_receive_and_a_send_for_each_batch() {
    let (calls, bursts) = run(1);
    let calls = &calls[0];
    let sends = |returned| count(calls, |c| c.name == "sendmmsg" && c.is_burst && c.returned == returned);
    assert_eq!((sends(32), sends(17)), (bursts, bursts), "49 receivers: a batch of 32, and the rest");
    assert_eq!(count(calls, |c| c.name == "sendmmsg" && c.is_burst), 2 * bursts);
    assert_eq!(count(calls, |c| c.name == "recvmmsg" && c.is_burst), bursts, "one at a time, as they come");
    // No call to receive finds nothing, and no wait is followed by nothing.
    assert_eq!(count(calls, |c| c.name == "recvmmsg" && c.returned < 1), 0);
}

#[test]
fn a_burst_wakes_a_sibling_at_most_once() {
    let (calls, bursts) = run(2);
    for calls in &calls {
        // The services are rung for logins, and for the beginning and the end of the call.
        let rings = count(calls, |call| call.name == "write");
        assert!(rings <= bursts + 4 * REPEATERS, "{rings} rings for {bursts} bursts");
        let sends = count(calls, |call| call.name == "sendmmsg" && call.is_burst);
        assert!((bursts..=2 * bursts).contains(&sends), "{sends} sends for {bursts} bursts");
    }
}
