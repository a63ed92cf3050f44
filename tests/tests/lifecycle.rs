//! Starting, refusing to start, stopping, and what a death leaves behind.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
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

/// Of all processes that can be looked at.
fn processes() -> impl Iterator<Item = i32> {
    let name = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    fs::read_dir("/proc").unwrap().filter_map(move |entry| name(entry.ok()?))
}

/// A start that does not outlive a test that fails.
struct Started(Child);

impl Started {
    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Inherited by all processes of a cluster.
const MARK: &str = "BMCTL_TEST_MARK";

/// Those with this mark that run.
fn marked(mark: &str) -> Vec<i32> {
    let expected = format!("{MARK}={mark}");
    let has_it = |&pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == expected.as_bytes())
            && is_running(pid)
    };
    processes().filter(has_it).collect()
}

/// The numbers of what a process has open whose names in /proc begin so, as `memfd:` and `socket:` do.
fn open_files(pid: i32, kind: &str) -> BTreeSet<u64> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let is_kind = |path: &PathBuf| {
        fs::read_link(path)
            .is_ok_and(|target| target.to_string_lossy().trim_start_matches('/').starts_with(kind))
    };
    let number = |path: PathBuf| fs::metadata(path).ok().map(|file| file.ino());
    files.map(|file| file.path()).filter(is_kind).filter_map(number).collect()
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_supervisor_killed_leaves_nothing_behind_and_the_next_start_works() {
    let shared = names(Path::new("/dev/shm"));
    let mark = format!("killed by {}", std::process::id());
    let mut cluster = Cluster::start_with(2, "", |command| command.env(MARK, &mark));
    let (leader, mut all) = (cluster.pid(), cluster.children());
    all.push(leader);
    all.sort_unstable();
    assert_eq!(marked(&mark), all);
    let kinds = ["memfd:", "socket:"];
    let held = kinds.map(|kind| open_files(leader, kind));
    assert!(held.iter().all(|files| files.len() > 64), "{held:?}");
    let status = cluster.status();
    signal(leader, Signal::SIGKILL);
    cluster.wait();
    let since = Instant::now();
    wait_for("the end of all processes", || marked(&mark).is_empty().then_some(()));
    for (kind, held) in kinds.iter().zip(&held) {
        // One that ends lets go of its environment first.
        wait_for(&format!("the end of each {kind} of the cluster"), || {
            processes().all(|pid| open_files(pid, kind).is_disjoint(held)).then_some(())
        });
    }
    assert_eq!(names(Path::new("/dev/shm")), shared);
    status.listen["mmdvm"].iter().for_each(|address| drop(UdpSocket::bind(address).unwrap()));
    drop(TcpListener::bind(status.metrics.unwrap()).unwrap());
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    let mut command = Command::new(bmctl());
    command.args(["start", "--workers", "1", "--config"]).arg(cluster.config_file());
    command.arg("--runtime-dir").arg(cluster.paths().dir()).stdout(Stdio::null());
    let mut again = Started(command.spawn().unwrap());
    wait_for("the next start", || ready(&cluster.paths()));
    signal(again.pid(), Signal::SIGINT);
    assert!(again.0.wait().unwrap().success());
}

fn ready(paths: &control::Paths) -> Option<control::Status> {
    let status = control::request(paths, &control::SupervisorRequest::Status, HANG).ok();
    status.filter(|status: &control::Status| status.state == ClusterState::Ready)
}

#[test]
fn of_a_hundred_starts_at_once_one_runs_and_the_others_name_it() {
    const STARTS: usize = 100;
    let dir = tempfile::tempdir().unwrap();
    let (run, file) = (dir.path().join("run"), dir.path().join("bmctl.toml"));
    let text_of_file = format!(
        "[cluster]\ndata_dir = \"{}\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n[stacks.mmdvm]\n\
         listen = \"127.0.0.1:0\"\npassword = \"x\"\n",
        dir.path().join("data").display()
    );
    fs::write(&file, text_of_file).unwrap();
    let mark = format!("one of many by {}", std::process::id());
    let start = || {
        let mut command = Command::new(bmctl());
        command.args(["start", "--workers", "1", "--config"]).arg(&file).arg("--runtime-dir").arg(&run);
        command.env(MARK, &mark).stdout(Stdio::null()).stderr(Stdio::piped());
        Started(command.spawn().unwrap())
    };
    // What one who was killed has left must mislead nobody.
    let paths = control::Paths::new(&run);
    let mut killed = start();
    wait_for("a cluster to be killed", || ready(&paths));
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    wait_for("its end", || marked(&mark).is_empty().then_some(()));

    let mut running: Vec<Started> = (0..STARTS).map(|_| start()).collect();
    let mut refused = Vec::new();
    wait_for("all but one to end", || {
        let (ended, others) =
            running.drain(..).partition::<Vec<Started>, _>(|start| !is_running(start.pid()));
        refused.extend(ended);
        running = others;
        (running.len() == 1).then_some(())
    });
    let mut winner = running.remove(0);
    let leader = winner.pid();
    assert_eq!(refused.len(), STARTS - 1);
    for mut child in refused {
        let mut said = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.0.wait().unwrap().code(), Some(4), "{said}");
        assert!(said.contains(&format!("(pid {leader})")), "{said}");
    }
    let status = wait_for("the one that runs", || ready(&paths));
    assert_eq!(i32::try_from(status.pid).unwrap(), leader);
    let all: BTreeSet<i32> = marked(&mark).into_iter().collect();
    let told = status.workers.iter().map(|worker| worker.pid).chain([Some(status.pid), status.services.pid]);
    assert_eq!(all, told.map(|pid| i32::try_from(pid.unwrap()).unwrap()).collect());
    signal(leader, Signal::SIGTERM);
    assert!(winner.0.wait().unwrap().success());
    assert_eq!(marked(&mark), [0; 0]);
    assert_eq!(names(&run).into_iter().map(|name| run.join(name)).collect::<Vec<_>>(), [paths.lock()]);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let first = Cluster::start(1, "");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("two.toml");
    let text_of_file = format!("[stacks.mmdvm]\nlisten = \"{}\"\npassword = \"x\"\n", first.mmdvm());
    fs::write(&file, text_of_file).unwrap();
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
    fs::write(
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
    fs::write(&file, "[cluster]\n\n[stacks.mmdvm]\nlistn = \"127.0.0.1:0\"\n").unwrap();
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
