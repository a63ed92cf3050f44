//! `bmctl top` on a real cluster: in a terminal of its own, which script(1) makes.

use std::io::{BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use nix::sys::signal::Signal;
use tests::{Cluster, HANG, bmctl, run, signal, text, wait_for};

/// What a terminal is told when a program gives it back.
const GIVEN_BACK: &str = "\u{1b}[?1049l";

/// `bmctl top` in a terminal.
struct Top {
    script: Child,
    bytes: Receiver<u8>,
    seen: String,
}

impl Top {
    fn start(cluster: &Cluster) -> Self {
        let command = format!(
            "stty rows 24 cols 80; echo pid $$ here; exec {} --runtime-dir {} top",
            bmctl().display(),
            cluster.paths().dir().display()
        );
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, bytes) = channel();
        let stdout = BufReader::new(script.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout.bytes().map_while(Result::ok).try_for_each(|byte| sender.send(byte))
        });
        Self { script, bytes, seen: String::new() }
    }

    /// Reads on until this is on the screen.
    fn see(&mut self, text: &str) {
        while !self.seen.contains(text) {
            match self.bytes.recv_timeout(HANG) {
                Ok(byte) => self.seen.push(char::from(byte)),
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} in {:?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => panic!("ended without {text:?}: {:?}", self.seen),
            }
        }
    }

    /// The process of `bmctl` itself.
    fn pid(&mut self) -> i32 {
        self.see(" here");
        let line = self.seen.split_once(" here").unwrap().0;
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Waits for its end with code 0, and looks whether the terminal was given back.
    fn ends(mut self) {
        self.see(GIVEN_BACK);
        self.see("\u{1b}[?25h");
        let status = wait_for("the end of top", || self.script.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{:?}", self.seen);
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn top_shows_a_cluster_until_a_key_ends_it() {
    let cluster = Cluster::start(2, "");
    let mut top = Top::start(&cluster);
    for expected in ["ready", "25011", "25012", "restarts", "services", "destination"] {
        top.see(expected);
    }
    assert!(!top.seen.contains("\u{1b}[38;5;"), "a colour in spite of NO_COLOR: {:?}", top.seen);
    top.script.stdin.as_mut().unwrap().write_all(b"q").unwrap();
    top.ends();
}

#[test]
fn top_waits_for_a_cluster_that_has_ended_and_gives_the_terminal_back_on_a_signal() {
    let mut cluster = Cluster::start(1, "");
    let mut top = Top::start(&cluster);
    let pid = top.pid();
    top.see("25011");
    assert!(cluster.bmctl(&["stop"], "").status.success());
    assert!(cluster.wait().success());
    top.see("supervisor");
    signal(pid, Signal::SIGTERM);
    top.ends();
}

#[test]
fn top_without_a_terminal_says_what_to_use() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(Command::new(bmctl()).arg("top").arg("--runtime-dir").arg(dir.path()), "");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("`bmctl status --json` is for scripts"), "{}", text(&output));
}
