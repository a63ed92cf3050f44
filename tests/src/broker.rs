//! A real broker, and a listener that is none of ours.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{HANG, read_lines, run, signal, text, wait_for};

/// What marks a line of `mosquitto_sub` as a message.
const MESSAGE: &str = "> ";

/// Mosquitto on a port of 127.0.0.1; it ends with this value.
#[derive(Debug)]
pub struct Broker {
    dir: TempDir,
    child: Child,
    port: u16,
    tls: bool,
}

/// `mosquitto_sub` on some topics; it ends with this value.
#[derive(Debug)]
pub struct Listener {
    child: Child,
    lines: Receiver<String>,
}

/// What a listener heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// On which topic.
    pub topic: String,
    /// Whether it was kept for us.
    pub retained: bool,
    /// What.
    pub json: Value,
}

impl Broker {
    /// One that lets everybody do everything.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("allow_anonymous true\n", |_| {})
    }

    /// One with a certificate for 127.0.0.1, and the users and rights of `deploy/mosquitto`. The password of each user is
    /// its name backwards.
    #[must_use]
    pub fn start_like_deployed(users: &[&str]) -> Self {
        let deployed = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/mosquitto");
        let config = std::fs::read_to_string(deployed.join("mosquitto.conf")).unwrap();
        // All of it but its places.
        let kept = ["per_listener_settings", "allow_anonymous", "max_"];
        let kept = config.lines().filter(|line| kept.iter().any(|key| line.starts_with(key)));
        let kept: String = kept.map(|line| format!("{line}\n")).collect();
        Self::start_with(&kept, |dir| {
            let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
            certify(dir);
            std::fs::copy(deployed.join("acl"), dir.join("acl")).unwrap();
            std::fs::write(dir.join("passwords"), "").unwrap();
            for user in users {
                let password: String = user.chars().rev().collect();
                std::fs::write(dir.join(user), &password).unwrap();
                done(Command::new("mosquitto_passwd").args(["-b", &file("passwords"), user, &password]));
            }
        })
    }

    fn start_with(settings: &str, prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let tls = dir.path().join("server.key").exists();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = |name: &str| dir.path().join(name).display().to_string();
        let mut text = format!("{settings}listener {port} 127.0.0.1\n");
        if tls {
            text += &format!("certfile {}\nkeyfile {}\n", file("server.crt"), file("server.key"));
            text += &format!("acl_file {}\npassword_file {}\n", file("acl"), file("passwords"));
        }
        if nix::unistd::Uid::effective().is_root() {
            text += "user root\n";
        }
        std::fs::write(dir.path().join("mosquitto.conf"), text).unwrap();
        let child = mosquitto(dir.path());
        let broker = Self { dir, child, port, tls };
        broker.wait_until_it_listens();
        broker
    }

    fn wait_until_it_listens(&self) {
        wait_for("the broker", || std::net::TcpStream::connect(("127.0.0.1", self.port)).ok());
    }

    /// The lines of a configuration that send a cluster's events here.
    #[must_use]
    pub fn events(&self, user: Option<&str>) -> String {
        let Some(user) = user else { return format!("[events]\nurl = \"mqtt://127.0.0.1:{}\"\n", self.port) };
        let (password, ca) = (self.file(user), self.file("ca.crt"));
        // Passwords are for their users alone.
        std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        format!(
            "[events]\nurl = \"mqtts://{user}@127.0.0.1:{}\"\npassword_file = {password:?}\nca_file = {ca:?}\n",
            self.port
        )
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A file of its directory.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Sends it a signal.
    pub fn signal(&self, which: Signal) {
        signal(i32::try_from(self.child.id()).unwrap(), which);
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.child = mosquitto(self.dir.path());
        self.wait_until_it_listens();
    }

    /// Says something on a topic as a user, kept or not, and waits until the broker has it.
    pub fn publish(&self, user: &str, topic: &str, json: &str) {
        let mut command = self.client("mosquitto_pub", Some(user));
        done(command.args(["-q", "1", "-t", topic, "-m", json]));
    }

    /// Listens to topics, and waits until it would miss nothing.
    #[must_use]
    pub fn listen(&self, user: Option<&str>, topics: &[&str]) -> Listener {
        let mut command = self.client("mosquitto_sub", user);
        command.args(["-d", "-F", &format!("{MESSAGE}%t %r %p")]).stdout(Stdio::piped());
        for topic in topics {
            command.args(["-t", topic]);
        }
        let mut child = command.spawn().expect("mosquitto_sub is not installed");
        let lines = read_lines(child.stdout.take().unwrap());
        let listener = Listener { child, lines };
        while !listener.lines.recv_timeout(HANG).expect("a subscription").contains("received SUBACK") {}
        listener
    }

    fn client(&self, program: &str, user: Option<&str>) -> Command {
        // Otherwise a line waits for the next ones.
        let mut command = Command::new("stdbuf");
        command.args(["-oL", program, "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if self.tls {
            command.arg("--cafile").arg(self.file("ca.crt"));
        }
        if let Some(user) = user {
            let password: String = user.chars().rev().collect();
            command.args(["-u", user, "-P", &password]);
        }
        command
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Listener {
    /// The next message.
    ///
    /// # Panics
    /// Where none comes.
    #[must_use]
    pub fn next(&self) -> Message {
        self.until(HANG).expect("another message")
    }

    /// All messages up to one that is asked for, that one among them.
    #[must_use]
    pub fn up_to(&self, is: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut messages = Vec::new();
        while !messages.last().is_some_and(&is) {
            messages.push(self.next());
        }
        messages
    }

    fn until(&self, patience: Duration) -> Option<Message> {
        loop {
            let line = match self.lines.recv_timeout(patience) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            };
            if let Some(message) = line.strip_prefix(MESSAGE) {
                let mut parts = message.splitn(3, ' ');
                let mut part = || parts.next().unwrap();
                let (topic, retained) = (part().to_owned(), part() == "1");
                let json = serde_json::from_str(part()).unwrap();
                return Some(Message { topic, retained, json });
            }
        }
    }
}

impl Message {
    /// A key of it as text; empty where it has none.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_default()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mosquitto(dir: &Path) -> Child {
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let log = std::fs::File::create(dir.join("log")).unwrap();
    Command::new("mosquitto")
        .env("PATH", path)
        .arg("-c")
        .arg(dir.join("mosquitto.conf"))
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("mosquitto is not installed")
}

/// An authority, a certificate of it for 127.0.0.1, and another authority that has signed nothing.
fn certify(dir: &Path) {
    let script = "
        for name in ca other; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout $name.key -out $name.crt \
                -subj /CN=$name
        done
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=broker
        printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > server.ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.crt
    ";
    done(Command::new("sh").args(["-ec", script]).current_dir(dir));
}

fn done(command: &mut Command) {
    let output = run(command, "");
    assert!(output.status.success(), "{command:?}: {}", text(&output));
}
