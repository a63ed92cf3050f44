//! A stack with a worker of its own: what becomes of it concerns nobody else, a reload moves a stack there and back while calls
//! run, and a third party's stack is served by the third party's program.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use control::{ClusterState, State, Status, WorkerStatus};
use nix::sys::signal::Signal;
use sim::Report;
use tests::{Cluster, PASSWORD, Repeater, bmctl, run, signal, text, wait_for};

const ECHO: &str = env!("CARGO_BIN_EXE_echo-worker");

/// The table of the echo stack, with these options.
fn echo(options: &str) -> String {
    format!("[stacks.echo]\nprogram = \"{ECHO}\"\nlisten = \"127.0.0.1:0\"\noptions = {{ {options} }}\n")
}

/// The worker that serves this stack, which only one does.
fn own<'a>(status: &'a Status, stack: &str) -> &'a WorkerStatus {
    let mut serving = status.workers.iter().filter(|worker| worker.stacks.iter().any(|its| its == stack));
    let worker = serving.next().unwrap();
    assert!(serving.next().is_none() && worker.stacks == [stack], "{status:?}");
    worker
}

fn pid(worker: &WorkerStatus) -> i32 {
    i32::try_from(worker.pid.unwrap()).unwrap()
}

/// Sends text to the echo stack until some of it comes back.
fn ask(server: SocketAddr, question: &str) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut answer = [0; 64];
    let len = wait_for("an echo", || {
        socket.send_to(question.as_bytes(), server).unwrap();
        socket.recv(&mut answer).ok()
    });
    String::from_utf8_lossy(&answer[..len]).into_owned()
}

fn tell(server: SocketAddr, order: &str) {
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(order.as_bytes(), server).unwrap();
}

fn is_untouched(report: &Report) {
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.relogins, report.naks), (0, 0), "{report}");
}

fn reload(cluster: &Cluster, text_of_file: &str) -> String {
    std::fs::write(cluster.config_file(), text_of_file).unwrap();
    let output = cluster.bmctl(&["reload"], "");
    assert!(output.status.success(), "{output:?}");
    text(&output)
}

#[test]
fn an_own_worker_has_slot_and_node_of_its_own_and_nothing_else() {
    let cluster = Cluster::start(2, &format!("workers = \"own\"\n{}", echo("prefix = \"> \"")));
    assert!(cluster.said[0].ends_with(": 2 workers, and one more for each of stacks.mmdvm, stacks.echo"));
    let status = cluster.status();
    let seen: Vec<_> =
        status.workers.iter().map(|it| (it.slot, it.node, it.shards, it.stacks.join(" "))).collect();
    let none = String::new;
    let (mmdvm, echo) = ("mmdvm".to_owned(), "echo".to_owned());
    let expected = [(0, 25011, 0, none()), (1, 25012, 0, none()), (2, 25013, 64, mmdvm), (3, 25014, 1, echo)];
    assert_eq!(seen, expected);
    // The text says it as well.
    let said = text(&cluster.bmctl(&["status"], ""));
    assert!(said.lines().any(|line| line.starts_with("3       25014") && line.ends_with("  echo")), "{said}");
    let mut repeater = Repeater::new(cluster.mmdvm(), 2_501_001, PASSWORD, "");
    assert!(repeater.log_in());
    assert_eq!(
        own(&cluster.wait_until("it to be counted", |status| status.workers[2].contexts == 1), "mmdvm").slot,
        2
    );
    // Nobody could stand in for it.
    let refused = text(&cluster.bmctl(&["drain", "2"], ""));
    assert!(refused.contains("worker 2 is the own worker of stacks.mmdvm"), "{refused}");
    // Scaling is about the others.
    let scaled = cluster.bmctl(&["scale", "1"], "");
    assert!(scaled.status.success(), "{scaled:?}");
    assert_eq!(cluster.status().workers.iter().map(|worker| worker.slot).collect::<Vec<_>>(), [0, 2, 3]);
    let refused = cluster.bmctl(&["scale", "7"], "");
    assert!(
        text(&refused)
            .contains("7 workers and one more for each of stacks.mmdvm, stacks.echo need 9 node IDs")
    );
}

#[test]
fn whatever_becomes_of_an_own_worker_costs_no_call_elsewhere() {
    let cluster = Cluster::start(1, &echo("prefix = \"> \""));
    let server = cluster.status().listen["echo"][0];
    let is_back = |status: &Status, restarts: u32| {
        let worker = own(status, "echo");
        (worker.restarts, worker.state, worker.shards) == (restarts, State::Ready, 1)
    };
    let report = cluster.talk(16, || {
        signal(pid(own(&cluster.status(), "echo")), Signal::SIGKILL);
        cluster.wait_until("one after a kill", |status| is_back(status, 1));
        assert_eq!(ask(server, "a"), "> a");
        signal(pid(own(&cluster.status(), "echo")), Signal::SIGSTOP);
        cluster.wait_until("it to be noticed", |status| own(status, "echo").state == State::Stalled);
        cluster.wait_until("one after a stop", |status| is_back(status, 2));
        assert_eq!(ask(server, "b"), "> b");
        tell(server, "busy");
        cluster.wait_until("one after a spin", |status| is_back(status, 3));
        assert_eq!(ask(server, "c"), "> c");
    });
    is_untouched(&report);
    let status = cluster.status();
    assert_eq!((status.state, status.workers[0].restarts), (ClusterState::Ready, 0));
}

#[test]
fn a_reload_moves_a_stack_to_a_worker_of_its_own_and_back_and_costs_no_burst() {
    let cluster = Cluster::start(2, "");
    let shared = std::fs::read_to_string(cluster.config_file()).unwrap();
    let placed = |workers: &str| format!("{shared}workers = {workers}\n");
    let report = cluster.talk(12, || {
        for _ in 0..2 {
            let said = reload(&cluster, &placed("\"own\""));
            for step in [
                "stacks.mmdvm.workers: \"all\" -> \"own\"",
                "worker 2 ready, to serve stacks.mmdvm alone",
                "worker 1 replaced",
                "stacks.mmdvm is served by worker 2 now",
            ] {
                assert!(said.contains(step), "{step}: {said}");
            }
            let status = cluster.status();
            let worker = own(&status, "mmdvm");
            assert_eq!((worker.slot, worker.node, worker.shards, status.workers.len()), (2, 25013, 64, 3));
            let said = reload(&cluster, &placed("1"));
            assert!(said.contains("stacks.mmdvm is served by worker 0 now"), "{said}");
            let status = cluster.status();
            assert_eq!((own(&status, "mmdvm").slot, status.workers.len()), (0, 2));
            let said = reload(&cluster, &placed("\"all\""));
            assert!(said.contains("stacks.mmdvm is served by worker 0, worker 1 now"), "{said}");
        }
    });
    is_untouched(&report);
    let status = cluster.status();
    assert!(status.workers.iter().all(|worker| (worker.shards, worker.restarts) == (32, 0)), "{status:?}");
}

#[test]
fn a_reload_that_cannot_have_its_worker_changes_nothing() {
    let cluster = Cluster::start(1, "[cluster]\nnodes = \"7\"\nworkers = 1");
    let before = std::fs::read_to_string(cluster.config_file()).unwrap();
    let own = before.replace("[cluster]", "workers = \"own\"\n[cluster]");
    std::fs::write(cluster.config_file(), own).unwrap();
    let output = cluster.bmctl(&["reload"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains("1 workers and one more for each of stacks.mmdvm need 2 node IDs"),
        "{output:?}"
    );
    assert_eq!(cluster.status().workers[0].shards, 64);
}

#[test]
fn a_third_partys_worker_sees_its_options_is_held_in_and_comes_back() {
    let cluster = Cluster::start(1, &echo("prefix = \"> \""));
    let server = cluster.status().listen["echo"][0];
    assert_eq!(ask(server, "hello"), "> hello");
    let status = cluster.status();
    let worker = own(&status, "echo");
    let name = std::fs::read_to_string(format!("/proc/{}/comm", worker.pid.unwrap())).unwrap();
    assert_eq!(name, "echo-worker\n");
    assert_eq!(worker.sandbox, status.workers[0].sandbox, "what holds in ours holds it in");
    tell(server, "open");
    let status = cluster.wait_until("one after it", |status| own(status, "echo").restarts == 1);
    let ended = own(&status, "echo").ended.as_ref().unwrap();
    assert!(ended.contains("SIGSYS") && ended.contains("(openat)"), "{ended}");
    assert_eq!(ask(server, "again"), "> again");
    // Its options change by a reload, which does not show them.
    let file = std::fs::read_to_string(cluster.config_file()).unwrap();
    let said = reload(&cluster, &file.replace("\"> \"", "\"hidden \""));
    assert!(said.contains("stacks.echo.options: another one") && !said.contains("hidden"), "{said}");
    assert_eq!(ask(server, "hello"), "hidden hello");
    // Those that it refuses leave it as it is, and say why.
    std::fs::write(cluster.config_file(), file.replace("prefix = \"> \"", "prefix = 7")).unwrap();
    let output = cluster.bmctl(&["reload"], "");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("worker 1: stacks.echo: options.prefix: missing, or no text"), "{said}");
    assert!(said.contains("all is as it was before"), "{said}");
    assert_eq!(ask(server, "hello"), "hidden hello");
    // What is fixed is.
    std::fs::write(cluster.config_file(), format!("{file}shards = 2\n")).unwrap();
    let said = text(&cluster.bmctl(&["reload"], ""));
    assert!(said.contains("stacks.echo.shards cannot change while the cluster runs"), "{said}");
    std::fs::write(cluster.config_file(), file.split("[stacks.echo]").next().unwrap()).unwrap();
    let said = text(&cluster.bmctl(&["reload"], ""));
    assert!(said.contains("stacks.echo cannot change while the cluster runs"), "{said}");
    cluster.wait_until("all to be well", |status| status.state == ClusterState::Ready);
}

#[test]
fn an_upgrade_opens_a_third_partys_program_anew() {
    let programs = tests::installed();
    let program = programs.path().join("my-echo-worker-of-a-long-name");
    tests::install(Path::new(ECHO), &program);
    let table = echo("prefix = \"> \"").replace(ECHO, &program.display().to_string());
    let cluster = Cluster::start_program(&programs.path().join("bmctl"), 1, &table, |command| command);
    let server = cluster.status().listen["echo"][0];
    let before = pid(own(&cluster.status(), "echo"));
    let comm = std::fs::read_to_string(format!("/proc/{before}/comm")).unwrap();
    assert_eq!(comm, "my-echo-worker-\n");
    // One that is not there any more is started again as it was.
    std::fs::remove_file(&program).unwrap();
    signal(before, Signal::SIGKILL);
    cluster.wait_until("another one", |status| {
        own(status, "echo").restarts == 1 && own(status, "echo").state == State::Ready
    });
    assert_eq!(ask(server, "a"), "> a");
    let output = cluster.bmctl(&["upgrade"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("stacks.echo.program: cannot open"), "{output:?}");
    // What is no worker is found before anything is replaced.
    for other in ["/bin/false", "/bin/cat"] {
        tests::install(Path::new(other), &program);
        let children = cluster.children();
        let said = text(&cluster.bmctl(&["upgrade"], ""));
        assert!(said.contains("stacks.echo.program: its program does not answer: is it a worker"), "{said}");
        assert!(said.contains("all is as it was before"), "{said}");
        assert_eq!(cluster.children(), children);
    }
    tests::install(Path::new(ECHO), &program);
    let output = cluster.bmctl(&["upgrade"], "");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(ask(server, "b"), "> b");
    let status = cluster.status();
    assert_eq!((own(&status, "echo").slot, own(&status, "echo").shards), (1, 1));
    // And the next supervisor has it for restarts.
    signal(pid(own(&status, "echo")), Signal::SIGKILL);
    wait_for("one more", || {
        let status = cluster.status();
        let worker = own(&status, "echo");
        (worker.state == State::Ready && worker.restarts == 2).then_some(())
    });
    assert_eq!(ask(server, "c"), "> c");
}

#[test]
fn a_start_with_options_that_are_refused_says_why_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bmctl.toml");
    let start = |table: &str| {
        let text = format!(
            "metrics.listen = \"127.0.0.1:0\"\n[stacks.mmdvm]\nlisten = \"127.0.0.1:0\"\npassword = \"x\"\n{table}"
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(bmctl());
        command.args(["start", "--workers", "1", "--config"]).arg(&file);
        run(command.arg("--runtime-dir").arg(dir.path().join("run")), "")
    };
    let output = start(&echo("prefix = 31337"));
    let said = text(&output);
    assert!(
        !output.status.success() && said.contains("worker 1: stacks.echo: options.prefix: missing"),
        "{said}"
    );
    assert!(!said.contains("31337"), "{said}");
    let output = start(&echo("").replace(ECHO, "/nowhere/echo"));
    assert!(text(&output).contains("stacks.echo.program: cannot open /nowhere/echo"), "{output:?}");
}
