//! What workers and services may do, compared with what they do, as seen from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use control::{State, Status};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use sandbox::Call;
use sim::Settings;
use tests::{Broker, Cluster, HANG, PASSWORD, Repeater, Watch, signal, text};

const NOBODY: u32 = 65_534;

/// Processes, and those that they start, under the eyes of strace.
struct Watched {
    strace: Child,
    file: tempfile::NamedTempFile,
}

impl Watched {
    fn new(pids: &[i32]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut strace = Command::new("strace")
            .args(["-f", "-o"])
            .arg(file.path())
            .args(pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]))
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is not installed");
        // It says so when it has attached to one.
        let mut stderr = BufReader::new(strace.stderr.take().unwrap());
        for _ in pids {
            let mut said = String::new();
            stderr.read_line(&mut said).unwrap();
            assert!(said.contains("attached"), "{said}");
        }
        // It tells of each process that is started, too, and must not wait for its reader.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Self { strace, file }
    }

    /// The names of the calls that each process made in its sandbox, once all have ended. Those of `inside` were in it
    /// from the beginning.
    fn calls(mut self, inside: &[i32]) -> BTreeMap<i32, BTreeSet<String>> {
        self.strace.wait().unwrap();
        let text = std::fs::read_to_string(self.file.path()).unwrap();
        let mut calls: BTreeMap<i32, BTreeSet<String>> =
            inside.iter().map(|&pid| (pid, BTreeSet::new())).collect();
        for line in text.lines() {
            let Some((pid, call)) = line.split_once(' ') else { continue };
            let Some((name, _)) = call.trim_start().split_once('(') else { continue };
            let pid = pid.parse().unwrap();
            match calls.get_mut(&pid) {
                // The end of a call that was interrupted by one of another process.
                _ if name.starts_with('<') => {}
                Some(calls) => drop(calls.insert(name.to_owned())),
                // The last step into it.
                None if name == "seccomp" => drop(calls.insert(pid, BTreeSet::new())),
                None => {}
            }
        }
        calls
    }
}

fn get(address: &str, path: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 "), "{answer}");
}

fn done(cluster: &Cluster, args: &[&str], input: &str) {
    let output = cluster.bmctl(args, input);
    assert!(output.status.success(), "{args:?}: {}", text(&output));
}

fn workers(status: &Status) -> Vec<i32> {
    status.workers.iter().filter_map(|worker| worker.pid).map(|pid| i32::try_from(pid).unwrap()).collect()
}

fn services(status: &Status) -> i32 {
    i32::try_from(status.services.pid.unwrap()).unwrap()
}

/// What a cluster does on a day: logins, calls, requests, a worker that dies, one that is
/// replaced, shards that move, an end in order. Returns the processes of workers and those of services.
fn live(mut cluster: Cluster) -> [BTreeSet<i32>; 2] {
    let monitor = Watch::monitor(&cluster);
    let report = sim::run(&Settings {
        repeaters: 24,
        talkgroups: 4,
        calls: 4,
        seconds: 2,
        ..Settings::new(cluster.mmdvm(), PASSWORD)
    });
    assert!(report.as_ref().unwrap().is_clean(), "{}", report.unwrap());
    let _ = monitor.next();
    assert!(!Repeater::new(cluster.mmdvm(), 2_501_001, "wrong", "").log_in());
    get(&cluster.status().metrics.unwrap(), "/metrics");
    done(&cluster, &["device", "add", "2501001", "--password-stdin"], "other\n");
    done(&cluster, &["subscribe", "2501001", "91"], "");
    done(&cluster, &["ban", "2590001"], "");
    done(&cluster, &["lastheard"], "");
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    let mut note = |status: &Status| {
        seen[0].extend(workers(status));
        seen[1].insert(services(status));
    };
    let status = cluster.status();
    note(&status);
    signal(workers(&status)[0], Signal::SIGKILL);
    note(&cluster.wait_until("the replacement", |status| {
        status.workers[0].restarts == 1 && status.workers[0].state == State::Ready
    }));
    for order in [["restart", "1"], ["drain", "0"], ["restart", "0"], ["restart", "services"], ["scale", "3"]]
    {
        done(&cluster, &order, "");
        note(&cluster.status());
    }
    signal(cluster.pid(), Signal::SIGTERM);
    assert!(cluster.wait().success());
    seen
}

#[test]
fn nothing_is_allowed_that_is_not_needed() {
    compare(Cluster::start(2, ""), &[sandbox::SERVICES]);
}

#[test]
fn nothing_is_allowed_that_a_broker_does_not_need() {
    let broker = Broker::start();
    let listener = broker.listen(None, &["Master/25011/Status"]);
    compare(Cluster::start(2, &broker.events(None)), &[sandbox::SERVICES, sandbox::UPLINKS]);
    assert_eq!(listener.next().get("State"), "online");
}

/// Compares what the processes of a cluster may do with what they do; the services may do all of `services`.
fn compare(cluster: Cluster, services: &[&[Call]]) {
    let may = [sandbox::WORKER.to_vec(), services.concat()];
    let children = cluster.children();
    let watched = Watched::new(&[&[cluster.pid()], &children[..]].concat());
    let pids = live(cluster);
    let calls = watched.calls(&children);
    for (pids, list) in pids.iter().zip(&may) {
        let made = pids.iter().filter_map(|pid| calls.get(pid)).flatten().map(String::as_str);
        let made: BTreeSet<&str> = made.collect();
        let is_idle = |call: &&Call| call.reason.is_none() && !made.contains(call.name);
        let idle: Vec<&str> = list.iter().filter(is_idle).map(|call| call.name).collect();
        assert!(idle.is_empty(), "allowed without a reason, and not made: {idle:?}; made: {made:?}");
        let others: Vec<_> = made.iter().filter(|name| list.iter().all(|call| call.name != **name)).collect();
        assert!(others.is_empty(), "made, and not allowed: {others:?}");
    }
}

#[test]
fn the_kernel_knows_what_holds_each_process_in() {
    let cluster = Cluster::start(2, "");
    let status = cluster.status();
    let mine = Uid::effective().as_raw();
    let workers_uid = if mine == 0 { NOBODY } else { mine };
    let of_workers = workers(&status).into_iter().map(|pid| (pid, workers_uid));
    for (pid, uid) in of_workers.chain([(services(&status), mine)]) {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let has = |line: &str| text.lines().any(|other| other == line);
        assert!(has(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}")), "{text}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(has(&format!("{set}:\t{:016x}", 0)), "{set}: {text}");
        }
        assert!(mine != 0 || has(&format!("CapBnd:\t{:016x}", 0)), "{text}");
        assert!(has("NoNewPrivs:\t1") && has("Seccomp:\t2"), "{text}");
    }
}

/// A supervisor that is killed takes workers with it that have become another user.
#[test]
fn a_worker_dies_with_its_supervisor_still() {
    let mut cluster = Cluster::start(2, "");
    let children = cluster.children();
    signal(cluster.pid(), Signal::SIGKILL);
    cluster.wait();
    tests::wait_for("the children's end", || {
        children.iter().all(|&pid| !tests::is_running(pid)).then_some(())
    });
}

#[test]
fn a_worker_that_is_aborted_says_where_it_was() {
    let cluster = Cluster::start(1, "");
    let events = control::events(&cluster.paths(), HANG).unwrap();
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || events.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    signal(workers(&cluster.status())[0], Signal::SIGABRT);
    let died = loop {
        let line = lines.recv_timeout(HANG).expect("an event");
        if line.contains("Worker-Died") {
            break line;
        }
    };
    assert!(died.contains("signal SIGABRT: SIGABRT"), "{died}");
    assert!(died.contains(" runtime/src/worker.rs:"), "{died}");
}
