//! A real Tarantool with the registry's Lua, as an operator installs it: on a port or socket of its own, with a console.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{HANG, signal, wait_for};

const LUA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/tarantool/registry.lua");
/// Who may call the registry's functions.
pub const USER: &str = "dmr";
/// The password of that user.
pub const USER_PASSWORD: &str = "r3g1s7ry";

/// A server, which ends with the test.
pub struct Tarantool {
    dir: TempDir,
    process: Child,
    /// The TCP port; `None` where it listens on a socket.
    port: Option<u16>,
}

impl Tarantool {
    /// Starts one on a free TCP port.
    #[must_use]
    pub fn on_tcp() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start(Some(port))
    }

    /// Starts one on a Unix socket.
    #[must_use]
    pub fn on_socket() -> Self {
        Self::start(None)
    }

    fn start(port: Option<u16>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("password"), format!("{USER_PASSWORD}\n")).unwrap();
        fs::set_permissions(dir.path().join("password"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let at = dir.path().display();
        let listen =
            port.map_or_else(|| format!("unix/:{at}/registry.sock"), |port| format!("127.0.0.1:{port}"));
        let script = format!(
            "box.cfg{{log = 'registry.log', memtx_memory = 512 * 1024 * 1024, \
             memtx_max_tuple_size = 32 * 1024 * 1024}}\n\
             dofile('{LUA}'){{user = '{USER}', password_file = 'password'}}\n\
             box.cfg{{listen = '{listen}'}}\n\
             require('console').listen('unix/:{at}/console.sock')\n"
        );
        fs::write(dir.path().join("init.lua"), script).unwrap();
        let process = spawn(&dir);
        let tarantool = Self { dir, process, port };
        tarantool.wait_until_it_listens();
        tarantool
    }

    fn wait_until_it_listens(&self) {
        wait_for("tarantool's start", || {
            let is_there = match self.port {
                Some(port) => TcpStream::connect(("127.0.0.1", port)).is_ok(),
                None => UnixStream::connect(self.dir.path().join("registry.sock")).is_ok(),
            };
            let has_console = UnixStream::connect(self.dir.path().join("console.sock")).is_ok();
            (is_there && has_console).then_some(())
        });
    }

    /// Where it is, for a configuration.
    #[must_use]
    pub fn url(&self, user: &str) -> String {
        match self.port {
            Some(port) => format!("tarantool://{user}@127.0.0.1:{port}"),
            None => format!("tarantool+unix://{user}@{}/registry.sock", self.dir.path().display()),
        }
    }

    /// The file with [`USER_PASSWORD`].
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.dir.path().join("password")
    }

    /// What makes a cluster use it.
    #[must_use]
    pub fn config(&self) -> String {
        format!("[registry]\nurl = \"{}\"\npassword_file = {:?}\n", self.url(USER), self.password_file())
    }

    /// Runs a line as somebody at its console would, and returns what it says.
    ///
    /// # Panics
    /// Where it does not answer.
    #[must_use]
    pub fn by_hand(&self, line: &str) -> String {
        let mut console = UnixStream::connect(self.dir.path().join("console.sock")).unwrap();
        console.set_read_timeout(Some(HANG)).unwrap();
        let mut lines = BufReader::new(console.try_clone().unwrap()).lines().map(Result::unwrap);
        // Its greeting.
        assert_eq!(lines.by_ref().take(2).count(), 2);
        writeln!(console, "{line}").unwrap();
        lines.skip(1).take_while(|line| line != "...").collect::<Vec<_>>().join("\n")
    }

    /// Sends it a signal.
    pub fn signal(&self, sent: Signal) {
        signal(i32::try_from(self.process.id()).unwrap(), sent);
    }

    /// Kills it.
    ///
    /// # Panics
    /// Where that cannot be.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        for socket in ["registry.sock", "console.sock"] {
            let _ = fs::remove_file(self.dir.path().join(socket));
        }
    }

    /// Starts it again after [`Self::kill`].
    pub fn start_again(&mut self) {
        self.process = spawn(&self.dir);
        self.wait_until_it_listens();
    }

    /// Keeps what it has stored, in a snapshot that was just made, for [`Self::restore_backup`].
    ///
    /// # Panics
    /// Where that cannot be.
    pub fn keep_backup(&self) {
        let backup = self.dir.path().join("backup");
        fs::create_dir(&backup).unwrap();
        let newest = self
            .stored()
            .into_iter()
            .filter(|path| path.extension().is_some_and(|kind| kind == "snap"))
            .max();
        let newest = newest.unwrap();
        fs::copy(&newest, backup.join(newest.file_name().unwrap())).unwrap();
    }

    /// Is as it was when the backup was made, after [`Self::kill`].
    ///
    /// # Panics
    /// Where that cannot be.
    pub fn restore_backup(&self) {
        self.lose_everything();
        for entry in fs::read_dir(self.dir.path().join("backup")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, self.dir.path().join(path.file_name().unwrap())).unwrap();
        }
    }

    fn stored(&self) -> Vec<PathBuf> {
        let is_stored =
            |path: &PathBuf| path.extension().is_some_and(|kind| kind == "snap" || kind == "xlog");
        fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path()).filter(is_stored).collect()
    }

    /// Loses all that it has stored, after [`Self::kill`].
    ///
    /// # Panics
    /// Where that cannot be.
    pub fn lose_everything(&self) {
        self.stored().into_iter().for_each(|path| fs::remove_file(path).unwrap());
    }
}

fn spawn(dir: &TempDir) -> Child {
    let mut command = Command::new("tarantool");
    command.arg("init.lua").current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().expect("tarantool is missing: `tests/run` installs it")
}

impl Drop for Tarantool {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
