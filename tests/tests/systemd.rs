//! The unit for systemd, as systemd itself judges it, and what a cluster tells a service manager. No systemd is started:
//! the service manager is a socket of the test's.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use control::ClusterState;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tests::{Cluster, HANG, bmctl, run, signal, text};

/// What `systemd-analyze security` may find at most, ten times its figure.
const EXPOSURE: &str = "--threshold=13";

fn shipped(file: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/systemd");
    std::fs::read_to_string(dir.join(file)).unwrap()
}

/// The unit with the program under test in it, alone in a directory.
fn unit() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bmctl.service");
    let text = shipped("bmctl.service").replace("/usr/local/bin/bmctl", &bmctl().display().to_string());
    std::fs::write(&file, text).unwrap();
    (dir, file)
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let (_dir, file) = unit();
    let output = run(Command::new("systemd-analyze").arg("verify").arg(&file), "");
    assert!(output.status.success() && text(&output).is_empty(), "{}", text(&output));
}

#[test]
fn the_unit_may_do_no_more_than_it_needs() {
    let (_dir, file) = unit();
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager", EXPOSURE]).arg(&file);
    let output = run(&mut command, "");
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn what_the_unit_calls_is_understood() {
    let verbs = shipped("bmctl.service");
    let verbs = verbs.lines().filter_map(|line| line.split_once("=/usr/local/bin/bmctl "));
    let start = verbs.clone().find(|(key, _)| *key == "ExecStart").unwrap().1;
    assert!(start.starts_with("--runtime-dir /run/bmctl start --config /etc/bmctl.toml"), "{start}");
    let reload = verbs.clone().find(|(key, _)| *key == "ExecReload").unwrap().1;
    let cluster = Cluster::start(1, "");
    let words: Vec<&str> = reload.split(' ').collect();
    assert_eq!(words[..2], ["--runtime-dir", "/run/bmctl"]);
    let output = cluster.bmctl(&words[2..], "");
    assert!(output.status.success(), "{reload}: {}", text(&output));
}

/// A service manager.
struct Manager {
    dir: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(HANG)).unwrap();
        Self { dir, socket }
    }

    fn start(&self, watchdog: Option<Duration>) -> Cluster {
        let path = self.dir.path().join("notify");
        Cluster::start_with(2, "", |command| {
            if let Some(time) = watchdog {
                command.env("WATCHDOG_USEC", time.as_micros().to_string());
            }
            command.env("NOTIFY_SOCKET", path)
        })
    }

    /// The next message, line by line.
    fn next(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(len) => {
                String::from_utf8(buffer[..len].to_vec()).unwrap().lines().map(str::to_owned).collect()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing is said"),
            Err(error) => panic!("{error}"),
        }
    }

    /// The messages up to one that has a line which begins so; all their lines.
    fn until(&self, line: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while !lines.iter().any(|said: &String| said.starts_with(line)) {
            lines.extend(self.next());
        }
        lines
    }
}

#[test]
fn ready_is_said_when_all_are_and_stopping_at_the_end() {
    let manager = Manager::new();
    let mut cluster = manager.start(None);
    let lines = manager.until("READY=1");
    // Those before it tell of workers that are not ready; the one with it, that all are.
    let ready = lines.iter().position(|line| line == "READY=1").unwrap();
    assert!(lines[..ready].iter().all(|line| line.starts_with("STATUS=starting: ")), "{lines:?}");
    assert!(lines[0].starts_with("STATUS=starting: 0 of 2 workers ready"), "{lines:?}");
    assert_eq!(lines[ready + 1], format!("MAINPID={}", cluster.pid()));
    assert_eq!(lines[ready + 2], "STATUS=2 workers ready, 0 repeaters, 0 calls");
    assert_eq!(lines.len(), ready + 3);
    assert_eq!(cluster.status().state, ClusterState::Ready);
    assert!(cluster.bmctl(&["stop"], "").status.success());
    let lines = manager.until("STOPPING=1");
    assert!(!lines.iter().any(|line| line == "READY=1" || line.starts_with("WATCHDOG")), "{lines:?}");
    assert!(cluster.wait().success());
}

#[test]
fn a_killed_worker_is_told_of_and_so_is_its_return() {
    let manager = Manager::new();
    let cluster = manager.start(None);
    manager.until("READY=1");
    let pid = cluster.status().workers[1].pid.unwrap();
    signal(i32::try_from(pid).unwrap(), Signal::SIGKILL);
    let lines = manager.until("STATUS=degraded: worker 1 ");
    assert!(lines.last().unwrap().contains("(signal SIGKILL); 1 of 2 workers ready"), "{lines:?}");
    manager.until("STATUS=2 workers ready");
}

#[test]
fn signs_of_life_keep_coming_and_no_child_can_give_them() {
    let manager = Manager::new();
    let watchdog = Duration::from_millis(400);
    let cluster = manager.start(Some(watchdog));
    manager.until("READY=1");
    let since = Instant::now();
    for _ in 0..5 {
        manager.until("WATCHDOG=1");
    }
    // One may have come with the last message before.
    assert!(since.elapsed() >= watchdog / 2 * 3, "{:?}", since.elapsed());
    for pid in cluster.children() {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        assert!(!environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"), "{environment}");
    }
    let pid = cluster.pid();
    signal(pid, Signal::SIGSTOP);
    // What was said before it stopped, then nothing more: a supervisor that hangs gives no sign of life.
    manager.socket.set_read_timeout(Some(watchdog * 2)).unwrap();
    let mut buffer = [0; 4096];
    while manager.socket.recv(&mut buffer).is_ok() {}
    signal(pid, Signal::SIGCONT);
    manager.socket.set_read_timeout(Some(HANG)).unwrap();
    manager.until("WATCHDOG=1");
}

#[test]
fn a_service_manager_that_does_not_read_holds_nobody_up() {
    let manager = Manager::new();
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send_to(b"x", manager.dir.path().join("notify")).is_ok() {}
    let cluster = manager.start(Some(Duration::from_millis(200)));
    assert_eq!(cluster.status().state, ClusterState::Ready);
    // It reads again, and hears what matters.
    manager.until("READY=1");
}
