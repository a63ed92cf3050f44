//! The unit's filters beside what a cluster really does: each system call from start to stop, with calls, a death and a
//! restart between them, as strace(1) sees it. What the kernel makes of the filters is not tested here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use tests::{HANG, PASSWORD, bmctl, read_lines, run, signal, text, wait_for};

/// The values of a key, in order.
fn values(unit: &str, key: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.map(str::to_owned).collect()
}

/// The system calls of one word of a filter; a group is what systemd takes for it.
fn expand(word: &str) -> BTreeSet<String> {
    if !word.starts_with('@') {
        return BTreeSet::from([word.to_owned()]);
    }
    let output = run(Command::new("systemd-analyze").args(["syscall-filter", word, "--no-pager"]), "");
    assert!(output.status.success(), "{}", text(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let members =
        text.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    members.flat_map(expand).collect()
}

/// What the unit lets through: each line adds to what was before it, or takes away.
fn allowed(unit: &str) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for line in values(unit, "SystemCallFilter") {
        let (words, take) = line.strip_prefix('~').map_or((&*line, false), |words| (words, true));
        for call in words.split(' ').flat_map(expand) {
            if take {
                allowed.remove(&call)
            } else {
                allowed.insert(call)
            };
        }
    }
    allowed
}

/// A cluster under strace, ended even where the test fails.
struct Traced {
    strace: Child,
    /// The file with the supervisor's process ID.
    pid: PathBuf,
}

impl Drop for Traced {
    fn drop(&mut self) {
        if self.strace.try_wait().unwrap().is_some() {
            return;
        }
        match std::fs::read_to_string(&self.pid).ok().and_then(|pid| pid.trim().parse().ok()) {
            Some(pid) => signal(pid, Signal::SIGTERM),
            None => self.strace.kill().unwrap(),
        }
        let _ = self.strace.wait();
    }
}

#[test]
fn a_cluster_makes_no_system_call_that_the_unit_forbids() {
    let dir = tempfile::tempdir().unwrap();
    let (trace, file, run_dir) =
        (dir.path().join("trace"), dir.path().join("c.toml"), dir.path().join("run"));
    let config = format!(
        "[metrics]\nlisten = \"127.0.0.1:0\"\n[stacks.mmdvm]\nlisten = [\"127.0.0.1:0\", \"[::1]:0\"]\n\
         password = \"{PASSWORD}\"\n"
    );
    std::fs::write(&file, config).unwrap();
    std::fs::write(dir.path().join("password"), PASSWORD).unwrap();
    let strace = Command::new("strace")
        .args(["--follow-forks", "--quiet=all", "--output"])
        .arg(&trace)
        .arg(bmctl())
        .args(["start", "--workers", "2", "--config"])
        .arg(&file)
        .arg("--runtime-dir")
        .arg(&run_dir)
        .env("NOTIFY_SOCKET", "@bmctl-test-of-system-calls")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut strace = Traced { strace, pid: run_dir.join("pid") };
    let lines = read_lines(strace.strace.stdout.take().unwrap());
    while !lines.recv_timeout(HANG).expect("a start").starts_with("ready") {}
    let bmctl = |args: &[&str]| run(Command::new(bmctl()).args(args).arg("--runtime-dir").arg(&run_dir), "");
    let status = || {
        control::request::<control::Status, _>(
            &control::Paths::new(&run_dir),
            &control::SupervisorRequest::Status,
            HANG,
        )
        .unwrap()
    };
    let password = dir.path().join("password").display().to_string();
    // Under strace bursts may come late, which is not what is tested.
    let sim = [
        "sim",
        "--repeaters",
        "8",
        "--talkgroups",
        "2",
        "--calls",
        "2",
        "--seconds",
        "1",
        "--password-file",
        &password,
    ];
    let said = text(&bmctl(&sim));
    assert!(said.contains("delivered"), "{said}");
    signal(i32::try_from(status().workers[1].pid.unwrap()).unwrap(), Signal::SIGKILL);
    wait_for("another worker", || {
        let worker = &status().workers[1];
        (worker.restarts == 1 && worker.state == control::State::Ready).then_some(())
    });
    assert!(bmctl(&["stop"]).status.success());
    wait_for("the end", || strace.strace.try_wait().unwrap());

    let trace = std::fs::read_to_string(&trace).unwrap();
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/systemd/bmctl.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    let (allowed, families) = (allowed(&unit), values(&unit, "RestrictAddressFamilies"));
    let families: Vec<&str> = families[0].split(' ').collect();
    let mut made = BTreeSet::new();
    // "1234  call(arguments) = result": signals, ends and second halves have no name there.
    for line in trace.lines().filter_map(|line| line.split_once(' ').map(|(_, call)| call.trim_start())) {
        let Some((call, arguments)) = line.split_once('(') else { continue };
        if !call.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            continue;
        }
        made.insert(call.to_owned());
        if call == "socket" || call == "socketpair" {
            let family = arguments.split([',', ')']).next().unwrap();
            assert!(families.contains(&family), "RestrictAddressFamilies forbids {line}");
        }
        let written = arguments.contains("PROT_WRITE") || call != "mmap";
        let denied = arguments.contains("PROT_EXEC") && written;
        assert!(!denied, "MemoryDenyWriteExecute forbids {line}");
    }
    // The unit's user is not root, whose workers alone become somebody else.
    ["setgroups", "setresgid", "setresuid"].into_iter().for_each(|call| drop(made.take(call)));
    let forbidden: Vec<&String> = made.difference(&allowed).collect();
    assert!(forbidden.is_empty(), "SystemCallFilter forbids {forbidden:?}");
    for call in ["sched_setaffinity", "memfd_create", "pidfd_open", "recvmmsg", "execve"] {
        assert!(made.contains(call), "{call} is not in the trace: {made:?}");
    }
}
