//! How many instructions a datagram takes, counted by callgrind: the same on every machine and under any load, for one
//! compiler. What the kernel does in a system call is not counted.

use std::net::UdpSocket;
use std::process::Command;

use sim::traffic::{Call, Plan, Seed};
use stack::DeviceSettings;

use super::host::Host;

const TALKGROUP: u32 = 91;
/// Tells the counted process which scene to play.
const SCENE: &str = "BMCTL_SCENE";
/// Counts may differ so much from what is noted here, in percent: what another release of the compiler may do.
const TOLERANCE: u64 = 5;
/// Datagrams after which nothing grows any more.
const WARM: usize = 192;
/// Datagrams that are counted.
const COUNTED: usize = 608;

/// What is sent, and to whom it goes.
#[derive(Clone, Copy)]
struct Scene {
    name: &'static str,
    /// Instructions for each datagram.
    expected: u64,
    /// Receivers at the talker's worker.
    here: u32,
    /// Receivers at a sibling.
    there: u32,
    /// Other contexts at the worker.
    contexts: u32,
    /// Other talkgroups there.
    talkgroups: u32,
    /// Other workers, which do nothing.
    idle: usize,
    what: What,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Voice,
    Ping,
    Junk,
}

const PLAIN: Scene = Scene {
    name: "a burst, 1 receiver",
    expected: 3_268,
    here: 1,
    there: 0,
    contexts: 0,
    talkgroups: 0,
    idle: 0,
    what: What::Voice,
};

const SCENES: [Scene; 9] = [
    PLAIN,
    Scene { name: "a burst, 49 receivers", expected: 25_660, here: 49, ..PLAIN },
    Scene { name: "a burst, 1 receiver at a sibling", expected: 4_968, here: 0, there: 1, ..PLAIN },
    Scene { name: "a burst, 49 receivers at a sibling", expected: 27_430, here: 0, there: 49, ..PLAIN },
    Scene { name: "a ping", expected: 2_033, what: What::Ping, ..PLAIN },
    Scene { name: "a datagram that is none", expected: 1_433, what: What::Junk, ..PLAIN },
    Scene { name: "a burst, 1 receiver, 10,000 contexts", contexts: 10_000, ..PLAIN },
    Scene { name: "a burst, 1 receiver, 10,000 talkgroups", talkgroups: 10_000, ..PLAIN },
    Scene { name: "a burst, 1 receiver, 63 idle siblings", idle: 63, ..PLAIN },
];

impl Scene {
    fn play(&self) {
        let mut host = Host::new(1 + usize::from(self.there > 0), self.idle);
        let options = sim::client::options(&[], &[TALKGROUP]);
        let mut id = 0;
        let mut log_in = |worker, options: &str, registry: &DeviceSettings| {
            id += 1;
            host.log_in(worker, id, options, registry)
        };
        let none = DeviceSettings::default();
        let workers = (0..=self.here).map(|_| 0).chain((0..self.there).map(|_| 1));
        let devices: Vec<UdpSocket> = workers.map(|worker| log_in(worker, &options, &none)).collect();
        // These hear nothing, so they need no socket any more.
        (0..self.contexts).for_each(|_| drop(log_in(0, "TS2=92", &none)));
        let talkgroups: Vec<u32> = (1_000..1_000 + self.talkgroups).collect();
        for statics in talkgroups.chunks(stack::MAX_TALKGROUPS) {
            drop(log_in(0, "", &DeviceSettings { statics: [statics.to_vec(), vec![]], ..none.clone() }));
        }
        let datagrams = self.datagrams();
        let (warm, counted) = datagrams.split_at(WARM);
        send(&mut host, &devices, warm);
        let heard = send_counted(&mut host, &devices, counted);
        let receivers = if self.what == What::Voice { self.here + self.there } else { 0 };
        assert_eq!(heard, COUNTED * receivers as usize);
    }

    fn datagrams(&self) -> Vec<Vec<u8>> {
        let bursts = WARM + COUNTED;
        let plan = Plan {
            number: 0,
            repeater: 1,
            source: 2_590_001,
            talkgroup: TALKGROUP,
            ts2: true,
            bursts: bursts + 8,
        };
        let call = Call::new(plan, &mut Seed(1));
        let datagram = |burst: &[u8]| match self.what {
            What::Voice => burst.to_vec(),
            What::Ping => [b"RPTPING".as_slice(), &1_u32.to_be_bytes()].concat(),
            What::Junk => b"this is no packet of the protocol at all, but as long as one".to_vec(),
        };
        call.datagrams().iter().take(bursts).map(|burst| datagram(burst)).collect()
    }
}

/// The first device sends, and what the others hear is counted.
fn send(host: &mut Host, devices: &[UdpSocket], datagrams: &[Vec<u8>]) -> usize {
    let mut heard = 0;
    for some in datagrams.chunks(32) {
        some.iter().for_each(|datagram| host.send(&devices[0], datagram));
        heard += host.heard(devices);
    }
    heard
}

/// The same; callgrind counts what is done within.
#[inline(never)]
fn send_counted(host: &mut Host, devices: &[UdpSocket], datagrams: &[Vec<u8>]) -> usize {
    std::hint::black_box(send(host, devices, datagrams))
}

/// What callgrind counts for each datagram of a scene.
fn count(scene: &Scene) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=runtime::tests::cost::send_counted")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "tests::cost::play_a_scene", "--ignored", "--test-threads=1"])
        .env(SCENE, scene.name)
        .output()
        .expect("valgrind, which counts the instructions, is not installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
    let counted = said.lines().find_map(|line| line.split_once("Collected : "));
    let counted: u64 = counted.and_then(|(_, number)| number.trim().parse().ok()).expect(&said);
    counted / COUNTED as u64
}

/// The process whose instructions are counted.
#[test]
#[ignore = "only makes sense in callgrind"]
fn play_a_scene() {
    let name = std::env::var(SCENE).unwrap();
    SCENES.iter().find(|scene| scene.name == name).unwrap().play();
}

#[test]
#[cfg_attr(debug_assertions, ignore = "what counts is the release build: cargo test --release -p runtime")]
fn a_datagram_takes_as_many_instructions_as_it_did() {
    let mut wrong = Vec::new();
    for scene in &SCENES {
        let each = count(scene);
        println!("{:<42} {each:>7}  noted: {}", scene.name, scene.expected);
        if each.abs_diff(scene.expected) * 100 > scene.expected * TOLERANCE {
            wrong.push(format!("{}: {each} instructions, {} were noted", scene.name, scene.expected));
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong:#?}\nmore: find out why; fewer, or for a good reason: note the new numbers in this file"
    );
}
