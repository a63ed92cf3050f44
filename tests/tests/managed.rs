//! A registry and a broker that the supervisor starts: real `tarantool` and `mosquitto`, where status says they are, through
//! deaths, orders and the end of the cluster.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use control::{ClusterState, State, Status, StoreStatus};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use sim::Settings;
use tests::{Cluster, PASSWORD, bmctl, install, installed, is_running, run, signal, text, wait_for};

const MANAGED: &str = "[registry]\nurl = \"managed\"\n[events]\nurl = \"managed\"\n";

fn start() -> Cluster {
    Cluster::start(2, MANAGED)
}

fn pid(store: &StoreStatus) -> i32 {
    i32::try_from(store.pid.unwrap()).unwrap()
}

/// Of registry and broker.
fn pids(cluster: &Cluster) -> [i32; 2] {
    let status = cluster.status();
    [pid(&status.registry), pid(&status.events)]
}

fn address(store: &StoreStatus) -> (String, String) {
    let (host, port) = store.address.as_ref().unwrap().split_once(':').unwrap();
    (host.to_owned(), port.to_owned())
}

/// Waits until the registry answers somebody who has no name there, and returns which one it is: an ID that it makes up when
/// its data is new.
fn registry_id(registry: &StoreStatus) -> String {
    let script = format!(
        "local c = require('net.box').connect('{}', {{ wait_connected = 10 }}) \
         print(c:ping() and c.peer_uuid or 'none') os.exit(0)",
        registry.address.as_ref().unwrap()
    );
    wait_for("an answer of the registry", || {
        let output = run(Command::new("tarantool").args(["-e", &script]), "");
        assert!(output.status.success(), "{}", text(&output));
        let said = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        (said != "none").then_some(said)
    })
}

/// Publishes and receives, over two connections that have no name there.
fn broker_works(broker: &StoreStatus) {
    let (host, port) = address(broker);
    let at = ["-h", &host, "-p", &port, "-q", "1", "-t", "a/topic"];
    wait_for("the broker to take a message", || {
        let output = run(Command::new("mosquitto_pub").args(at).args(["-r", "-m", "hello"]), "");
        output.status.success().then_some(())
    });
    let output = run(Command::new("mosquitto_sub").args(at).args(["-C", "1", "-W", "30"]), "");
    assert_eq!((output.status.success(), &*output.stdout), (true, &b"hello\n"[..]), "{}", text(&output));
}

fn both_work(status: &Status) {
    registry_id(&status.registry);
    broker_works(&status.events);
}

/// A process that stands still, until this is dropped.
struct Stopped(i32);

impl Stopped {
    fn new(pid: i32) -> Self {
        signal(pid, Signal::SIGSTOP);
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal(self.0, Signal::SIGCONT);
    }
}

/// What a process has open, by what /proc calls it.
fn open_files(pid: i32) -> BTreeSet<String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    files.filter_map(|file| Some(fs::read_link(file.path()).ok()?.display().to_string())).collect()
}

#[test]
fn both_are_where_status_says_when_the_cluster_is_ready_and_answer_anybody_here() {
    let secret = |command: &mut Command| {
        command.env("BMCTL_EVENTS_PASSWORD", PASSWORD).env("NOTIFY_SOCKET", "@bmctl-test-of-managed");
    };
    let cluster = Cluster::start_with(2, MANAGED, |command| {
        secret(command);
        command
    });
    let status = cluster.status();
    assert_eq!(status.state, ClusterState::Ready);
    let said = cluster.said.join("\n");
    for store in [&status.registry, &status.events] {
        assert_eq!((&*store.url, store.state, store.restarts), ("managed", State::Ready, Some(0)));
        let address = store.address.as_ref().unwrap();
        assert!(address.starts_with("127.0.0.1:") && said.contains(address), "{said}");
    }
    let json: serde_json::Value =
        serde_json::from_slice(&cluster.bmctl(&["status", "--json"], "").stdout).unwrap();
    assert_eq!(json["registry"]["url"], "managed");
    assert_eq!(json["registry"]["address"], status.registry.address.clone().unwrap());
    let told = text(&cluster.bmctl(&["status"], ""));
    assert!(told.contains(&format!("  pid {}", status.events.pid.unwrap())), "{told}");
    both_work(&status);

    let ours = open_files(cluster.pid());
    for (name, pid) in [("tarantool", pid(&status.registry)), ("mosquitto", pid(&status.events))] {
        let file = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
        let uid = geteuid();
        assert!(
            file("status").contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n")),
            "{}",
            file("status")
        );
        let shared: Vec<String> = open_files(pid).intersection(&ours).cloned().collect();
        // What it prints comes to us by a pipe.
        assert!(
            shared.iter().all(|file| file.starts_with("pipe:")
                || file.starts_with("anon_inode:")
                || file == "/dev/null"),
            "{name}: {shared:?}"
        );
        let environment = file("environ");
        assert!(!environment.contains(PASSWORD) && !environment.contains("NOTIFY"), "{name}: {environment}");
        let dir = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
        assert_eq!(dir, cluster.paths().data().canonicalize().unwrap().join(name));
    }
}

#[test]
fn what_the_registry_has_outlives_the_cluster() {
    let dir = tempfile::tempdir().unwrap();
    // Whatever a directory is called, it is one.
    let data = dir.path().join("it's \"a\" -- name");
    let more = format!("{MANAGED}[cluster]\ndata_dir = '''{}'''\n", data.display());
    let mut first = Cluster::start(1, &more);
    let id = registry_id(&first.status().registry);
    let stopped = first.bmctl(&["stop"], "");
    assert!(stopped.status.success() && first.wait().success(), "{}", text(&stopped));
    let files =
        |dir: &Path| fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(files(first.paths().dir()), ["lock"], "nothing that was written for them is left");
    assert!(files(&data.join("tarantool")).len() > 1);
    let second = Cluster::start(1, &more);
    assert_eq!(registry_id(&second.status().registry), id);
}

#[test]
fn both_come_back_where_they_were_while_calls_run_and_nobody_else_is_touched() {
    const CALLS: u32 = 4;
    let cluster = start();
    let first = cluster.status();
    both_work(&first);
    let id = registry_id(&first.registry);
    let settings = Settings {
        repeaters: 16,
        talkgroups: CALLS as usize,
        calls: CALLS as usize,
        seconds: 8,
        ..Settings::new(cluster.mmdvm(), PASSWORD)
    };
    let talk = std::thread::spawn(move || sim::run(&settings).unwrap());
    let sessions = |status: &Status| status.workers.iter().map(|worker| worker.sessions).sum::<u32>();
    cluster.wait_until("all calls", |status| sessions(status) == CALLS);
    for restarts in 1..=2 {
        pids(&cluster).into_iter().for_each(|pid| signal(pid, Signal::SIGKILL));
        let is_back = |store: &StoreStatus| {
            store.restarts == Some(restarts) && store.state == State::Ready && store.pid.is_some()
        };
        let status = cluster
            .wait_until("both to be back", |status| is_back(&status.registry) && is_back(&status.events));
        assert_eq!(
            (&status.registry.address, &status.events.address),
            (&first.registry.address, &first.events.address)
        );
        both_work(&status);
    }
    let report = talk.join().unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.relogins, report.naks), (0, 0), "{report}");
    let last = cluster.wait_until("all to be well", |status| status.state == ClusterState::Ready);
    assert_eq!(registry_id(&last.registry), id);
    assert_eq!(last.services.pid, first.services.pid);
    let workers = |status: &Status| -> Vec<_> { status.workers.iter().map(|worker| worker.pid).collect() };
    assert_eq!(workers(&last), workers(&first));
    let panics = text(&cluster.bmctl(&["panics"], ""));
    let died = |name: &str| panics.matches(&format!("{name} (pid ")).count();
    assert_eq!((died("registry"), died("broker")), (2, 2), "{panics}");
}

#[test]
fn a_supervisor_that_is_killed_leaves_neither_behind() {
    let mut cluster = start();
    both_work(&cluster.status());
    let all = cluster.children();
    assert_eq!(all.len(), 5);
    signal(cluster.pid(), Signal::SIGKILL);
    cluster.wait();
    wait_for("the end of all", || (!all.iter().copied().any(is_running)).then_some(()));
}

#[test]
fn stopping_ends_them_after_the_services_even_where_one_hangs() {
    let mut cluster = start();
    let status = cluster.status();
    both_work(&status);
    let services = i32::try_from(status.services.pid.unwrap()).unwrap();
    let [registry, broker] = pids(&cluster);
    // Nobody notices the one, and the other holds the end up until it goes on.
    [broker, services].into_iter().for_each(|pid| signal(pid, Signal::SIGSTOP));
    let workers: Vec<i32> = cluster.children().into_iter().take(2).collect();
    signal(cluster.pid(), Signal::SIGTERM);
    wait_for("the workers' end", || (!workers.iter().copied().any(is_running)).then_some(()));
    assert!(is_running(registry) && is_running(broker) && is_running(services));
    signal(services, Signal::SIGCONT);
    wait_for("the registry's end", || (!is_running(registry)).then_some(()));
    assert!(!is_running(services), "the registry ended before the services");
    assert!(cluster.wait().success());
    assert!(!is_running(broker));
}

#[test]
fn a_reload_and_an_upgrade_leave_them_as_they_are() {
    let programs = installed();
    let cluster = Cluster::start_program(&programs.path().join("bmctl"), 2, MANAGED, |command| command);
    let (before, first) = (cluster.status(), pids(&cluster));
    both_work(&before);
    let file = cluster.config_file();
    let text_before = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text_before}\n[calls]\nhang_time = 5\n")).unwrap();
    let reloaded = cluster.bmctl(&["reload"], "");
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    assert_eq!(pids(&cluster), first);
    for name in ["bmctl", "bm-worker", "bm-services"] {
        install(&bmctl().with_file_name(name), &programs.path().join(name));
    }
    let upgraded = cluster.bmctl(&["upgrade"], "");
    assert!(upgraded.status.success(), "{}", text(&upgraded));
    assert_eq!(pids(&cluster), first);
    assert_ne!(cluster.status().services.pid, before.services.pid);
    both_work(&cluster.status());
    // The new supervisor has them as the old one had.
    first.into_iter().for_each(|pid| signal(pid, Signal::SIGKILL));
    let is_back = |store: &StoreStatus| store.restarts == Some(1) && store.state == State::Ready;
    let after =
        cluster.wait_until("both to be back", |status| is_back(&status.registry) && is_back(&status.events));
    let addresses = |status: &Status| [status.registry.address.clone(), status.events.address.clone()];
    assert_eq!(addresses(&after), addresses(&before));
    both_work(&after);
}

#[test]
fn one_whose_port_another_program_has_taken_goes_elsewhere_and_new_services_are_told() {
    let cluster = start();
    let before = cluster.status();
    both_work(&before);
    let (registry, leader) = (pid(&before.registry), cluster.pid());
    // It is not seen until the port is another's.
    let stopped = Stopped::new(leader);
    signal(registry, Signal::SIGKILL);
    // Its port is free when the last of its threads has ended.
    let port = before.registry.address.as_ref().unwrap();
    let thief = wait_for("its port", || TcpListener::bind(port).ok());
    drop(stopped);
    let after = cluster.wait_until("new services", |status| {
        status.services.pid != before.services.pid && status.state == ClusterState::Ready
    });
    drop(thief);
    assert_ne!(after.registry.address, before.registry.address);
    assert_eq!(after.events, before.events);
    assert_eq!(after.workers.iter().map(|worker| worker.restarts).sum::<u32>(), 0);
    both_work(&after);
}

#[test]
fn one_that_cannot_start_is_tried_again_and_the_cluster_goes_on() {
    let cluster = start();
    let status = cluster.status();
    both_work(&status);
    // Nothing can be read from there.
    let data = cluster.paths().data().join("tarantool");
    let log = fs::read_dir(&data).unwrap().map(|file| file.unwrap().path());
    let snapshot = log.into_iter().find(|path| path.extension().is_some_and(|end| end == "snap")).unwrap();
    let good = fs::read(&snapshot).unwrap();
    fs::write(&snapshot, "no snapshot").unwrap();
    signal(pid(&status.registry), Signal::SIGKILL);
    let status = cluster.wait_until("some tries", |status| status.registry.restarts >= Some(3));
    assert_eq!(status.services.state, State::Ready);
    let degraded = cluster.wait_until("that to be said", |status| status.registry.state == State::Failed);
    assert_eq!(degraded.state, ClusterState::Degraded);
    assert!(
        degraded.registry.trouble.as_ref().unwrap().starts_with("ended with exit code 1: "),
        "{degraded:?}"
    );
    assert_eq!(cluster.bmctl(&["status"], "").status.code(), Some(5));
    fs::write(&snapshot, good).unwrap();
    let healed = cluster.wait_until("it to be back", |status| status.state == ClusterState::Ready);
    both_work(&healed);
}
