//! Starting, refusing to start, stopping, and what a death leaves behind.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use control::{ClusterState, State};
use nix::sys::signal::Signal;
use tests::{Cluster, HANG, bmctl, is_running, run, signal, text, wait_for};

/// A start that is expected to fail, in a directory of its own.
fn start(dir: &Path, config: &Path) -> Output {
    let mut command = Command::new(bmctl());
    command.args(["start", "--workers", "1", "--config"]).arg(config);
    run(command.arg("--runtime-dir").arg(dir.join("run")), "")
}

#[test]
fn a_cluster_says_what_runs_where_and_status_agrees() {
    let cluster = Cluster::start(2, "");
    let said = cluster.said.join("\n");
    for expected in ["2 workers", "nodes 25011, 25012", "mmdvm on udp 127.0.0.1:", "worker 1   node 25012"] {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    let status = cluster.status();
    assert_eq!(status.state, ClusterState::Ready);
    assert_eq!(status.pid, u32::try_from(cluster.pid()).unwrap());
    assert!(status.workers.iter().all(|worker| worker.state == State::Ready && worker.stacks == ["mmdvm"]));
    let json = cluster.bmctl(&["status", "--json"], "");
    assert!(json.status.success());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["workers"][1]["slot"], &json["workers"][1]["node"]), (&1.into(), &25012.into()));
    assert_eq!((&json["registry"]["url"], &json["services"]["state"]), (&"embedded".into(), &"ready".into()));
}

#[test]
fn a_second_start_is_refused_and_names_the_first() {
    let cluster = Cluster::start(1, "");
    let second = cluster.bmctl(&["start", "--workers", "1"], "");
    assert_eq!(second.status.code(), Some(4), "{}", text(&second));
    assert!(text(&second).contains(&format!("(pid {})", cluster.pid())), "{}", text(&second));
    assert_eq!(cluster.status().state, ClusterState::Ready);
}

#[test]
fn stop_ends_everything() {
    let mut cluster = Cluster::start(2, "");
    let children = cluster.children();
    let stopped = cluster.bmctl(&["stop"], "");
    assert!(stopped.status.success(), "{}", text(&stopped));
    assert!(cluster.wait().success());
    assert!(!children.into_iter().any(is_running));
    let status = cluster.bmctl(&["status"], "");
    assert_eq!(status.status.code(), Some(3), "{}", text(&status));
}

#[test]
fn a_supervisor_killed_leaves_nothing_behind_and_the_next_start_works() {
    let mut cluster = Cluster::start(2, "");
    let children = cluster.children();
    let address = cluster.mmdvm();
    signal(cluster.pid(), Signal::SIGKILL);
    cluster.wait();
    let since = Instant::now();
    wait_for("the children's end", || (!children.iter().any(|&pid| is_running(pid))).then_some(()));
    assert!(since.elapsed() < Duration::from_secs(2));
    std::net::UdpSocket::bind(address).unwrap();
    let file = cluster.config_file();
    let again = Command::new(bmctl())
        .args(["start", "--workers", "1", "--runtime-dir"])
        .arg(cluster.paths().dir())
        .arg("--config")
        .arg(file)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the next start", || {
        control::request(&cluster.paths(), &control::SupervisorRequest::Status, HANG)
            .ok()
            .filter(|status: &control::Status| status.state == ClusterState::Ready)
    });
    signal(i32::try_from(again.id()).unwrap(), Signal::SIGINT);
    assert!(again.wait_with_output().unwrap().status.success());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let first = Cluster::start(1, "");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("two.toml");
    let text_of_file = format!("[stacks.mmdvm]\nlisten = \"{}\"\npassword = \"x\"\n", first.mmdvm());
    std::fs::write(&file, text_of_file).unwrap();
    let second = start(dir.path(), &file);
    assert_eq!(second.status.code(), Some(1), "{}", text(&second));
    let said = text(&second);
    assert!(said.contains(&first.mmdvm().to_string()) && said.contains("another program has it"), "{said}");
}

#[test]
fn a_registry_in_use_refuses_the_start() {
    let first = Cluster::start(1, "");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("two.toml");
    let data = first.paths().data();
    std::fs::write(
        &file,
        format!(
            "[cluster]\ndata_dir = \"{}\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n[stacks.mmdvm]\n\
             listen = \"127.0.0.1:0\"\npassword = \"x\"\n",
            data.display()
        ),
    )
    .unwrap();
    let second = start(dir.path(), &file);
    assert!(!second.status.success(), "{}", text(&second));
    assert!(text(&second).contains(&data.display().to_string()), "{}", text(&second));
}

#[test]
fn a_wrong_configuration_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.toml");
    std::fs::write(&file, "[cluster]\n\n[stacks.mmdvm]\nlistn = \"127.0.0.1:0\"\n").unwrap();
    for verb in ["check", "start"] {
        let output = run(
            Command::new(bmctl()).args([verb, "--config"]).arg(&file).arg("--runtime-dir").arg(dir.path()),
            "",
        );
        assert_eq!(output.status.code(), Some(78), "{}", text(&output));
        let said = text(&output);
        assert!(said.contains("line 4: stacks.mmdvm.listn") && said.contains("listen"), "{said}");
    }
}

#[test]
fn more_workers_than_node_ids_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        run(Command::new(bmctl()).args(["start", "--workers", "9", "--runtime-dir"]).arg(dir.path()), "");
    assert_eq!(output.status.code(), Some(78), "{}", text(&output));
    assert!(text(&output).contains('9'), "{}", text(&output));
}
