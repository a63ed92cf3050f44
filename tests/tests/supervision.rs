//! Workers that hang, never start, say that their configuration is wrong, die over a record, or print without end: each is
//! found, isolated and told of, while others serve.

use std::path::Path;

use control::{ClusterState, State, Status};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tests::{Cluster, PASSWORD, Repeater, install, install_all, installed, signal, wait_for};

/// A cluster whose workers do what a test orders.
struct Faulty {
    cluster: Cluster,
    faults: TempDir,
    _programs: TempDir,
}

impl Faulty {
    fn start(workers: usize, faults: &[&str]) -> Self {
        let (programs, dir) = (installed(), tempfile::tempdir().unwrap());
        install(Path::new(env!("CARGO_BIN_EXE_faulty-worker")), &programs.path().join("bm-worker"));
        for fault in faults {
            std::fs::write(dir.path().join(fault), "").unwrap();
        }
        let cluster = Cluster::start_program(&programs.path().join("bmctl"), workers, "", |command| {
            command.env("BMCTL_TEST_FAULTS", dir.path())
        });
        Self { cluster, faults: dir, _programs: programs }
    }

    fn set(&self, fault: &str, content: &str) {
        std::fs::write(self.faults.path().join(fault), content).unwrap();
    }

    fn unset(&self, fault: &str) {
        std::fs::remove_file(self.faults.path().join(fault)).unwrap();
    }

    /// A repeater, and the worker that it has come to.
    fn repeater(&self, id: u32) -> (Repeater, usize) {
        let mut repeater = Repeater::new(self.cluster.mmdvm(), id, PASSWORD, "");
        assert!(repeater.log_in());
        let context = self.cluster.contexts().into_iter().find(|context| context.id == id).unwrap();
        (repeater, context.worker.into())
    }
}

fn pid(cluster: &Cluster, worker: usize) -> i32 {
    i32::try_from(cluster.status().workers[worker].pid.unwrap()).unwrap()
}

fn restarted(status: &Status, worker: usize, restarts: u32) -> bool {
    let worker = &status.workers[worker];
    (worker.restarts, worker.state) == (restarts, State::Ready)
}

fn panics(cluster: &Cluster) -> String {
    let output = cluster.bmctl(&["panics"], "");
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The repeater is logged in still: its ping is answered.
fn is_logged_in(repeater: &mut Repeater, id: u32) {
    repeater.heard.clear();
    repeater.send(&[b"RPTPING".as_slice(), &id.to_be_bytes()].concat());
    repeater.wait(b"MSTPONG");
}

#[test]
fn a_worker_that_is_stopped_is_found_and_replaced() {
    let cluster = Cluster::start(2, "");
    let mut repeater = Repeater::new(cluster.mmdvm(), 2_501_001, PASSWORD, "");
    assert!(repeater.log_in());
    let worker = usize::from(cluster.contexts()[0].worker);
    signal(pid(&cluster, worker), Signal::SIGSTOP);
    let status =
        cluster.wait_until("it to be noticed", |status| status.workers[worker].state == State::Stalled);
    assert_eq!(status.state, ClusterState::Degraded);
    assert_eq!(cluster.bmctl(&["status"], "").status.code(), Some(5));
    cluster.wait_until("the replacement", |status| restarted(status, worker, 1));
    assert!(panics(&cluster).contains(&format!("worker {worker}")));
    is_logged_in(&mut repeater, 2_501_001);
    assert_eq!(repeater.naks(), 0);
}

#[test]
fn a_worker_that_runs_in_circles_is_aborted_and_says_where() {
    let faulty = Faulty::start(2, &[]);
    let (mut repeater, worker) = faulty.repeater(2_501_001);
    repeater.send(b"FAULT busy");
    faulty.cluster.wait_until("the replacement", |status| restarted(status, worker, 1));
    let panics = panics(&faulty.cluster);
    assert!(panics.contains("signal SIGABRT") && panics.contains("run_in_circles"), "{panics}");
    is_logged_in(&mut repeater, 2_501_001);
}

#[test]
fn a_panic_is_kept_with_its_place() {
    let faulty = Faulty::start(2, &[]);
    let (mut repeater, worker) = faulty.repeater(2_501_001);
    repeater.send(b"FAULT panic");
    let status = faulty.cluster.wait_until("the replacement", |status| restarted(status, worker, 1));
    let ended = status.workers[worker].ended.as_ref().unwrap();
    assert!(ended.contains("ordered by a test") && ended.contains("faulty-worker.rs"), "{ended}");
    let panics = panics(&faulty.cluster);
    assert!(panics.contains("ordered by a test") && panics.contains("over shard "), "{panics}");
    is_logged_in(&mut repeater, 2_501_001);
}

#[test]
fn a_worker_that_tries_more_than_its_work_is_stopped_and_reported() {
    let faulty = Faulty::start(2, &[]);
    let (repeater, worker) = faulty.repeater(2_501_001);
    // A call that is made while the C library blocks all signals, as for a new process, ends it without a word.
    let tries = [("open", "(openat)"), ("connect", "(socket)"), ("ptrace", "(ptrace)"), ("exec", "SIGSYS")];
    for (restarts, (what, told)) in (1..).zip(tries) {
        repeater.send(format!("FAULT {what}").as_bytes());
        let status =
            faulty.cluster.wait_until("the replacement", |status| restarted(status, worker, restarts));
        let ended = status.workers[worker].ended.as_ref().unwrap();
        assert!(ended.contains("SIGSYS") && ended.contains(told), "{what}: {ended}");
    }
}

#[test]
fn a_worker_that_never_gets_ready_again_leaves_its_repeaters_to_others() {
    let faulty = Faulty::start(2, &[]);
    let (mut repeater, worker) = faulty.repeater(2_501_001);
    faulty.set("never-ready", "");
    signal(pid(&faulty.cluster, worker), Signal::SIGKILL);
    let status =
        faulty.cluster.wait_until("others to take over", |status| status.workers[1 - worker].shards == 64);
    assert_eq!((status.workers[worker].shards, status.state), (0, ClusterState::Degraded));
    is_logged_in(&mut repeater, 2_501_001);
    faulty.unset("never-ready");
    faulty.cluster.wait_until("it to be back", |status| {
        status.state == ClusterState::Ready && status.workers.iter().all(|worker| worker.shards == 32)
    });
    is_logged_in(&mut repeater, 2_501_001);
}

#[test]
fn a_worker_that_dies_again_and_again_is_left_alone_until_it_is_restarted() {
    let faulty = Faulty::start(2, &[]);
    let (mut repeater, worker) = faulty.repeater(2_501_001);
    faulty.set("dies", "");
    signal(pid(&faulty.cluster, worker), Signal::SIGKILL);
    let status = faulty.cluster.wait_until("it to be left alone", |status| {
        status.workers[worker].restarts >= 5 && status.workers[1 - worker].shards == 64
    });
    assert_eq!((status.workers[worker].state, status.state), (State::Failed, ClusterState::Degraded));
    is_logged_in(&mut repeater, 2_501_001);
    faulty.unset("dies");
    let restarted = faulty.cluster.bmctl(&["restart", &worker.to_string()], "");
    assert!(restarted.status.success(), "{restarted:?}");
    faulty.cluster.wait_until("it to have its shards again", |status| status.workers[worker].shards == 32);
    is_logged_in(&mut repeater, 2_501_001);
    assert_eq!(repeater.naks(), 0);
}

#[test]
fn a_worker_that_says_its_configuration_is_wrong_is_left_alone_until_it_is_restarted() {
    let faulty = Faulty::start(2, &[]);
    let (mut repeater, worker) = faulty.repeater(2_501_001);
    faulty.set("exit78", "");
    signal(pid(&faulty.cluster, worker), Signal::SIGKILL);
    let status =
        faulty.cluster.wait_until("others to take over", |status| status.workers[1 - worker].shards == 64);
    assert_eq!((status.workers[worker].state, status.workers[worker].pid), (State::Failed, None));
    is_logged_in(&mut repeater, 2_501_001);
    let restart = ["restart", &worker.to_string()];
    let refused = faulty.cluster.bmctl(&restart, "");
    assert_eq!(refused.status.code(), Some(1));
    faulty.unset("exit78");
    let restarted = faulty.cluster.bmctl(&restart, "");
    assert!(restarted.status.success(), "{restarted:?}");
    faulty.cluster.wait_until("it to be back", |status| status.state == ClusterState::Ready);
    is_logged_in(&mut repeater, 2_501_001);
}

#[test]
fn a_record_that_kills_its_owner_is_not_read_again_and_costs_nobody_else() {
    let faulty = Faulty::start(1, &[]);
    let (mut poisonous, _) = faulty.repeater(2_501_001);
    let (mut other, _) = faulty.repeater(2_501_002);
    faulty.set("poison", "2501001");
    signal(pid(&faulty.cluster, 0), Signal::SIGKILL);
    faulty.cluster.wait_until("a start without it", |status| restarted(status, 0, 3));
    let panics = panics(&faulty.cluster);
    assert_eq!(panics.matches("poisoned by a test").count(), 2, "{panics}");
    assert_eq!(panics.matches("over record ").count(), 2, "{panics}");
    is_logged_in(&mut other, 2_501_002);
    assert_eq!(other.naks(), 0);
    assert_eq!(faulty.cluster.contexts().len(), 1);
    // It logs in anew.
    wait_for("a new login", || {
        poisonous.turn();
        (faulty.cluster.contexts().len() == 2).then_some(())
    });
}

#[test]
fn a_worker_that_prints_a_gibibyte_costs_no_burst() {
    let faulty = Faulty::start(2, &["printer"]);
    let (repeater, worker) = faulty.repeater(2_599_999);
    let report = faulty.cluster.talk(8, || repeater.send(b"FAULT print"));
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.relogins, 0, "{report}");
    assert!(restarted(&faulty.cluster.status(), worker, 0));
}

/// Bytes that wait in the sockets of a port.
fn waiting(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap();
    let port = format!(":{port:04X}");
    let of_port = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let waits = fields.get(1)?.ends_with(&port).then(|| fields[4].split_once(':'))??.1;
        u64::from_str_radix(waits, 16).ok()
    });
    of_port.sum()
}

#[test]
fn a_worker_that_hangs_for_a_while_and_then_until_it_is_replaced_costs_no_burst() {
    let cluster = Cluster::start(2, "");
    let report = cluster.talk(14, || {
        let victim = pid(&cluster, 1);
        signal(victim, Signal::SIGSTOP);
        cluster.wait_until("it to be noticed", |status| status.workers[1].state == State::Stalled);
        signal(victim, Signal::SIGCONT);
        cluster.wait_until("it to come round", |status| status.workers[1].state == State::Ready);
        // What it has taken in from its sockets and not handed on yet would die with it.
        wait_for("it to have read what waited", || (waiting(cluster.mmdvm().port()) == 0).then_some(()));
        signal(victim, Signal::SIGSTOP);
        cluster.wait_until("the replacement", |status| restarted(status, 1, 1));
    });
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.relogins, report.naks), (0, 0), "{report}");
}

#[test]
fn draining_scaling_and_restarting_cost_no_burst_and_no_login() {
    let cluster = Cluster::start(2, "");
    let report = cluster.talk(8, || {
        let orders: [&[&str]; 6] = [
            &["scale", "4"],
            &["drain", "1"],
            &["restart", "services"],
            &["restart", "1"],
            &["restart", "0"],
            &["scale", "1"],
        ];
        for order in orders {
            let output = cluster.bmctl(order, "");
            assert!(output.status.success(), "{order:?}: {output:?}");
        }
    });
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.relogins, report.naks), (0, 0), "{report}");
    let status = cluster.status();
    assert_eq!((status.workers.len(), status.workers[0].shards, status.state), (1, 64, ClusterState::Ready));
    let refused = cluster.bmctl(&["drain", "0"], "");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no other worker is ready"), "{refused:?}");
    let refused = cluster.bmctl(&["scale", "9"], "");
    assert_eq!(refused.status.code(), Some(1), "more workers than node IDs");
}

#[test]
fn a_reload_says_what_changes_costs_no_burst_and_a_wrong_file_changes_nothing() {
    let cluster = Cluster::start(2, "");
    let file = cluster.config_file();
    let before = std::fs::read_to_string(&file).unwrap();
    let report = cluster.talk(6, || {
        std::fs::write(&file, format!("{before}\n[calls]\nhang_time = 5\n")).unwrap();
        let output = cluster.bmctl(&["reload"], "");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("calls.hang_time: 3 -> 5"), "{output:?}");
        assert!(said.ends_with("all processes replaced\n"), "{said}");
        for wrong in ["[calls]\nhang_time = 500\n", "[stack]\n", "[cluster]\nnodes = \"7-9\"\n"] {
            std::fs::write(&file, format!("{before}\n{wrong}")).unwrap();
            let pids = cluster.children();
            let output = cluster.bmctl(&["reload"], "");
            assert_eq!(output.status.code(), Some(1), "{wrong}: {output:?}");
            assert_eq!(cluster.children(), pids);
        }
    });
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.relogins, report.naks), (0, 0), "{report}");
}

#[test]
fn a_hang_up_reloads_the_configuration() {
    let cluster = Cluster::start(2, "");
    let (file, pids) = (cluster.config_file(), cluster.children());
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{before}\n[calls]\nhang_time = 500\n")).unwrap();
    signal(cluster.pid(), Signal::SIGHUP);
    assert_eq!(cluster.status().state, ClusterState::Ready);
    assert_eq!(cluster.children(), pids);
    std::fs::write(&file, format!("{before}\n[calls]\nhang_time = 5\n")).unwrap();
    signal(cluster.pid(), Signal::SIGHUP);
    wait_for("new processes", || {
        (cluster.status().state == ClusterState::Ready
            && cluster.children().iter().all(|pid| !pids.contains(pid)))
        .then_some(())
    });
}

#[test]
fn an_upgrade_costs_no_burst_and_one_that_fails_is_undone() {
    let programs = installed();
    let program = programs.path().join("bmctl");
    let cluster = Cluster::start_program(&program, 2, "", |command| command);
    let (pid, first) = (cluster.status().pid, cluster.children());
    let report = cluster.talk(10, || {
        for name in ["bmctl", "bm-worker", "bm-services"] {
            install(&tests::bmctl().with_file_name(name), &programs.path().join(name));
        }
        let output = cluster.bmctl(&["upgrade"], "");
        assert!(output.status.success(), "{output:?}");
        let second = cluster.children();
        assert!(second.iter().all(|pid| !first.contains(pid)), "{first:?} {second:?}");
        // A supervisor that cannot take over, workers that end at once, services that never get ready.
        for (name, bad) in [("bmctl", "/bin/false"), ("bm-worker", "/bin/false"), ("bm-services", "/bin/cat")]
        {
            install(Path::new(bad), &programs.path().join(name));
            let output = cluster.bmctl(&["upgrade"], "");
            assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(why.contains("all is as it was before"), "{name}: {why}");
            install(&tests::bmctl().with_file_name(name), &programs.path().join(name));
            cluster.wait_until("all to be well", |status| status.state == ClusterState::Ready);
        }
    });
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.relogins, report.naks), (0, 0), "{report}");
    assert_eq!(cluster.status().pid, pid, "one supervisor all the time");
}

#[test]
fn an_upgrade_to_another_abi_and_back_costs_no_burst_and_no_login() {
    let programs = installed();
    let cluster = Cluster::start_program(&programs.path().join("bmctl"), 3, "", |command| command);
    let report = cluster.talk(10, || {
        for build in [tests::other_abi(), tests::bmctl()] {
            install_all(&build, programs.path());
            let output = cluster.bmctl(&["upgrade"], "");
            assert!(output.status.success(), "{output:?}");
        }
        // One whose workers never get ready is undone.
        install_all(&tests::other_abi(), programs.path());
        install(Path::new("/bin/false"), &programs.path().join("bm-worker"));
        let output = cluster.bmctl(&["upgrade"], "");
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && why.contains("all is as it was before"), "{output:?}");
    });
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.relogins, report.naks), (0, 0), "{report}");
    let status = cluster.wait_until("all to be well", |status| status.state == ClusterState::Ready);
    assert_eq!(status.workers.iter().map(|worker| worker.restarts).sum::<u32>(), 0);
}
