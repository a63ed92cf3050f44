//! Starts and stops real clusters for the end to end tests, each with its own directories and free ports.
//! It asserts nothing of what a cluster does but that it starts, and that it leaves nothing behind.

#![forbid(unsafe_code)]

mod broker;
pub mod hosts;
mod live;
pub mod measure;
pub mod network;
mod repeater;
pub mod site;
pub mod tarantool;
mod watch;

pub use broker::{Broker, Listener, Message};
pub use live::Live;
pub use repeater::Repeater;
pub use tarantool::Tarantool;
pub use watch::Watch;

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use control::{ContextInfo, Paths, ServicesRequest, Status, SupervisorRequest};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sim::{Report, Settings};
use tempfile::TempDir;

/// Longer than anything here takes on a loaded machine: a hang, not slowness, runs into it.
pub const HANG: Duration = Duration::from_secs(60);
/// The password of every device in these tests that has none of its own.
pub const PASSWORD: &str = "s3cr37w0rd";

/// The program under test, built by `cargo build --release`.
#[must_use]
pub fn bmctl() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target"),
        PathBuf::from,
    );
    let program = target.join("release/bmctl");
    assert!(program.exists(), "{} is missing: run `cargo build --release` first", program.display());
    program
}

/// The same of a build with another ABI: `RUSTFLAGS="--cfg other_abi" cargo build --release --target-dir target/other-abi`.
#[must_use]
pub fn other_abi() -> PathBuf {
    let release = bmctl();
    let target = release.ancestors().nth(2).unwrap();
    let program = target.join("other-abi/release/bmctl");
    assert!(program.exists(), "{} is missing: `tests/run` says how it is built", program.display());
    program
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    dir: TempDir,
    child: Child,
    lines: Receiver<String>,
    /// What it said before it was ready.
    pub said: Vec<String>,
}

impl Cluster {
    /// Starts `workers` workers with the given lines added to `[stacks.mmdvm]`, and waits until it is ready.
    #[must_use]
    pub fn start(workers: usize, mmdvm: &str) -> Self {
        Self::start_with(workers, mmdvm, |command| command)
    }

    /// The same, with the command that starts it changed by `with`.
    #[must_use]
    pub fn start_with(workers: usize, mmdvm: &str, with: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        Self::start_program(&bmctl(), workers, mmdvm, with)
    }

    /// The same, of another program.
    #[must_use]
    pub fn start_program(
        program: &Path,
        workers: usize,
        mmdvm: &str,
        with: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bmctl.toml");
        let text = format!(
            "[metrics]\nlisten = \"127.0.0.1:0\"\n[stacks.mmdvm]\nlisten = [\"127.0.0.1:0\", \"[::1]:0\"]\n\
             password = \"{PASSWORD}\"\n{mmdvm}\n"
        );
        std::fs::write(&file, text).unwrap();
        std::fs::write(dir.path().join("password"), PASSWORD).unwrap();
        let mut command = Command::new(program);
        command.args(["start", "--workers", &workers.to_string(), "--config"]).arg(&file);
        command.arg("--runtime-dir").arg(dir.path().join("run")).stdout(Stdio::piped());
        let mut child = with(&mut command).spawn().unwrap();
        let lines = read_lines(child.stdout.take().unwrap());
        let mut cluster = Self { dir, child, lines, said: Vec::new() };
        while !cluster.said.last().is_some_and(|line| line.starts_with("ready")) {
            match cluster.lines.recv_timeout(HANG) {
                Ok(line) => cluster.said.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("not ready: {:?}", cluster.said),
                Err(RecvTimeoutError::Disconnected) => panic!("ended: {:?}", cluster.said),
            }
        }
        cluster
    }

    /// Its sockets and files.
    #[must_use]
    pub fn paths(&self) -> Paths {
        Paths::new(self.dir.path().join("run"))
    }

    /// A file with [`PASSWORD`].
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.dir.path().join("password")
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("bmctl.toml")
    }

    /// Runs `bmctl` on this cluster, with `input` on its standard input.
    #[must_use]
    pub fn bmctl(&self, args: &[&str], input: &str) -> Output {
        run(Command::new(bmctl()).args(args).arg("--runtime-dir").arg(self.paths().dir()), input)
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        control::request(&self.paths(), &SupervisorRequest::Status, HANG).unwrap()
    }

    /// Where its MMDVM stack listens on IPv4.
    #[must_use]
    pub fn mmdvm(&self) -> SocketAddr {
        self.status().listen["mmdvm"][0]
    }

    /// Who is logged in.
    #[must_use]
    pub fn contexts(&self) -> Vec<ContextInfo> {
        control::request(&self.paths(), &ServicesRequest::Contexts, HANG).unwrap()
    }

    /// Waits until `is` holds of its status.
    pub fn wait_until(&self, what: &str, is: impl Fn(&Status) -> bool) -> Status {
        wait_for(what, || Some(self.status()).filter(&is))
    }

    /// Eight calls of so many seconds among forty repeaters, and what is done meanwhile.
    ///
    /// # Panics
    /// Where the simulator cannot be run.
    #[must_use]
    pub fn talk(&self, seconds: u32, meanwhile: impl FnOnce()) -> Report {
        const CALLS: u32 = 8;
        let settings = Settings {
            repeaters: 40,
            talkgroups: CALLS as usize,
            calls: CALLS as usize,
            seconds,
            ..Settings::new(self.mmdvm(), PASSWORD)
        };
        let talk = std::thread::spawn(move || sim::run(&settings).unwrap());
        let sessions = |status: &Status| status.workers.iter().map(|worker| worker.sessions).sum::<u32>();
        self.wait_until("all calls", |status| sessions(status) == CALLS);
        meanwhile();
        talk.join().unwrap()
    }

    /// The processes of all its workers, its services, and the registry and broker that it has started.
    #[must_use]
    pub fn children(&self) -> Vec<i32> {
        let status = self.status();
        let others = [status.services.pid, status.registry.pid, status.events.pid];
        let pids = status.workers.iter().map(|worker| worker.pid).chain(others);
        pids.flatten().map(|pid| i32::try_from(pid).unwrap()).collect()
    }

    /// The supervisor's process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the supervisor's end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_some() {
            return;
        }
        // A test that fails must not leave its processes behind either.
        let children = if std::thread::panicking() { Vec::new() } else { self.children() };
        signal(self.pid(), Signal::SIGTERM);
        let ended = self.wait();
        if !std::thread::panicking() {
            assert!(ended.success(), "the supervisor ended with {ended}");
            assert_eq!(children.into_iter().filter(|&pid| is_running(pid)).count(), 0, "processes left");
        }
    }
}

/// A directory with copies of the programs, to be replaced there.
///
/// # Panics
/// Where they cannot be copied.
#[must_use]
pub fn installed() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    install_all(&bmctl(), dir.path());
    dir
}

/// Puts copies of a `bmctl` and of the programs beside it where others lie.
///
/// # Panics
/// Where they cannot be copied.
pub fn install_all(bmctl: &Path, to: &Path) {
    for name in ["bmctl", "bm-worker", "bm-services"] {
        install(&bmctl.with_file_name(name), &to.join(name));
    }
}

/// Puts a copy of a program where another one lies, which whoever runs it keeps.
///
/// # Panics
/// Where it cannot be copied.
pub fn install(program: &Path, to: &Path) {
    let new = to.with_extension("new");
    std::fs::copy(program, &new).unwrap();
    std::fs::rename(new, to).unwrap();
}

/// Sends a signal.
pub fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Whether a process runs; one that is dead and not reaped does not.
#[must_use]
pub fn is_running(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// Where there is none for [`HANG`].
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(since.elapsed() < HANG, "waited too long for {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Runs a command to its end, with `input` on its standard input.
///
/// # Panics
/// Where it does not end within [`HANG`].
#[must_use]
pub fn run(command: &mut Command, input: &str) -> Output {
    use std::io::Write;
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).map(|_| text)
    });
    let out = std::thread::spawn(move || {
        let mut text = Vec::new();
        stdout.read_to_end(&mut text).map(|_| text)
    });
    let status = wait_for("a command's end", || child.try_wait().unwrap());
    let (stdout, stderr) = (out.join().unwrap().unwrap(), errors.join().unwrap().unwrap());
    Output { status, stdout, stderr }
}

/// The body of an HTTP answer; `None` where there is none, or it is no success.
#[must_use]
pub fn get(address: &str, path: &str) -> Option<String> {
    use std::io::Write;
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.lines().next()?.contains(" 200 ").then(|| body.to_owned())
}

/// What a command printed on standard output and standard error.
#[must_use]
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The lines of a stream as they come.
#[must_use]
pub fn read_lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
