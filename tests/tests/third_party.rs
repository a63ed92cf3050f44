//! The example of a third party's stack, `examples/json-bridge`: built from its own directory with its own lock file, tested there,
//! and served by a cluster that knows nothing of it but its `program`.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use control::State;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::{Cluster, HANG, PASSWORD, Repeater, bmctl, read_lines, signal, wait_for};

const TOKEN: &str = "l3tm31n!";

/// Streams that no call has had.
static STREAMS: AtomicU32 = AtomicU32::new(1000);
/// One that builds at a time.
static BUILDS: Mutex<()> = Mutex::new(());

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/json-bridge")
}

/// Runs cargo in the directory of the example.
fn cargo(command: &str) -> PathBuf {
    let _one = BUILDS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let target = bmctl().parent().unwrap().with_file_name("examples");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(example())
        .args([command, "--release", "--locked", "--offline", "--target-dir"])
        .arg(&target);
    // What this build is told is not meant for that one.
    for name in ["CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTFLAGS"] {
        cargo.env_remove(name);
    }
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", tests::text(&output));
    target.join("release/json-bridge")
}

/// A script on this machine.
struct Script {
    socket: UdpSocket,
    heard: Vec<Value>,
}

impl Script {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        Self { socket, heard: Vec::new() }
    }

    fn say(&self, what: &Value) {
        self.socket.send(what.to_string().as_bytes()).unwrap();
    }

    fn hello(&mut self, token: &str) -> Value {
        let name = format!("script-{}", self.socket.local_addr().unwrap().port());
        self.say(&json!({"hello": {"name": name, "talkgroups": [91], "token": token}}));
        wait_for("an answer to a hello", || self.listen())
    }

    /// It goes on being there.
    fn stay(&mut self) {
        self.bursts();
        assert!(self.hello(TOKEN)["welcome"].is_u64());
    }

    fn listen(&self) -> Option<Value> {
        let mut buffer = [0; 1472];
        let len = self.socket.recv(&mut buffer).ok()?;
        Some(serde_json::from_slice(&buffer[..len]).unwrap())
    }

    /// The bursts that have come since it was last asked.
    fn bursts(&mut self) -> Vec<Value> {
        while let Some(told) = self.listen() {
            self.heard.push(told["burst"].clone());
        }
        std::mem::take(&mut self.heard)
    }

    /// A burst of a call from radio 2623001 to talkgroup 91.
    fn burst(&self, stream: u32, sequence: usize, kind: &Value, burst: &Value) {
        self.say(&json!({"burst": {"source": 2_623_001, "destination": 91, "call": "group", "kind": kind,
            "sequence": sequence, "stream": stream, "burst": burst}}));
    }
}

/// A call of the repeater, as the script hears it.
fn heard(repeater: &mut Repeater, script: &mut Script) -> Vec<Value> {
    let call = repeater.group_call(2_501_901, 91, 1);
    let mut bursts = Vec::new();
    for burst in call.datagrams() {
        repeater.talk(std::slice::from_ref(burst));
        bursts.append(&mut script.bursts());
    }
    let count = call.datagrams().len();
    wait_for("all of a call", || {
        bursts.append(&mut script.bursts());
        (bursts.len() >= count).then_some(())
    });
    assert_eq!(bursts.len(), count);
    for burst in &bursts {
        assert_eq!((&burst["source"], &burst["destination"]), (&json!(2_501_901), &json!(91)));
        assert_eq!((&burst["call"], &burst["stream"]), (&json!("group"), &bursts[0]["stream"]));
    }
    assert_eq!(bursts[0]["kind"], json!({"data": 1}));
    assert_eq!(bursts[count - 1]["kind"], json!({"data": 2}));
    bursts
}

#[test]
fn its_own_tests_pass_from_its_own_directory() {
    cargo("test");
}

#[test]
fn a_script_hears_calls_and_makes_some_and_a_kill_costs_it_nothing() {
    let program = cargo("build");
    let table = format!(
        "[stacks.json]\nprogram = \"{}\"\nlisten = \"127.0.0.1:0\"\noptions = {{ token = \"{TOKEN}\" }}\n",
        program.display()
    );
    let cluster = Cluster::start(1, &table);
    let server = cluster.status().listen["json"][0];
    let mut repeater = Repeater::new(cluster.mmdvm(), 2_501_001, PASSWORD, "TS2=91");
    assert!(repeater.log_in());
    cluster.wait_until("the repeater", |status| status.workers.iter().any(|worker| worker.contexts == 1));

    let mut script = Script::new(server);
    assert_eq!(script.hello("no token"), json!({"refused": "token"}));
    script.stay();
    let json = || cluster.status().workers.into_iter().find(|worker| worker.stacks == ["json"]).unwrap();
    wait_for("the script", || (json().contexts == 1).then_some(()));
    let bursts = heard(&mut repeater, &mut script);

    // What it has recorded it can play, as another radio's call. The talkgroup is the repeater's a little longer.
    let play = |script: &Script, repeater: &mut Repeater, stream: u32| {
        for (sequence, burst) in bursts.iter().enumerate() {
            script.burst(stream, sequence, &burst["kind"], &burst["burst"]);
            std::thread::sleep(Duration::from_micros(sim::traffic::BURST_US));
        }
        repeater.bursts()
    };
    repeater.heard.clear();
    wait_for("a call that is heard", || {
        (play(&script, &mut repeater, STREAMS.fetch_add(1, Ordering::Relaxed)) > 0).then_some(())
    });
    repeater.heard.clear();
    assert_eq!(play(&script, &mut repeater, 77), bursts.len());
    assert_eq!(
        repeater.heard.iter().find(|bytes| bytes.starts_with(b"DMRD")).unwrap()[5..11],
        [0x28, 0x06, 0x19, 0, 0, 91]
    );

    script.stay();
    // Its worker is killed: nobody says hello again, and all goes on.
    signal(i32::try_from(json().pid.unwrap()).unwrap(), Signal::SIGKILL);
    wait_for("another worker", || {
        let worker = json();
        (worker.restarts == 1 && worker.state == State::Ready && worker.contexts == 1).then_some(())
    });
    repeater.heard.clear();
    assert_eq!(play(&script, &mut repeater, 78), bursts.len());
    wait_for("a call of the repeater", || (!heard(&mut repeater, &mut script).is_empty()).then_some(()));

    // The client of its README says who talks.
    let readme = std::fs::read_to_string(example().join("README.md")).unwrap();
    let client = readme.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", client, &server.port().to_string(), TOKEN]).stdout(Stdio::piped());
    let mut python = Ended(python.spawn().unwrap());
    let lines = read_lines(python.0.stdout.take().unwrap());
    assert!(lines.recv_timeout(HANG).unwrap().starts_with("{'welcome': "));
    script.stay();
    heard(&mut repeater, &mut script);
    assert_eq!(lines.recv_timeout(HANG).unwrap(), "2501901 talks to 91");
}

/// A process that is ended, whatever becomes of the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
