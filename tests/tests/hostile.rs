//! A real cluster under datagrams that no honest client sends, while a call runs.

use std::net::UdpSocket;
use std::path::Path;

use sim::Settings;
use tests::{Cluster, PASSWORD, Repeater, text};

/// Datagrams that are sent at the cluster.
const DATAGRAMS: usize = 100_000;
/// A process may grow by so much: buffers that are used for the first time.
const GROWTH_KIB: u64 = 4096;

/// Random numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn draw(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % below
    }
}

/// What real clients sent, as it was recorded.
fn recorded() -> Vec<Vec<u8>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let mut datagrams = Vec::new();
    for file in ["tap_dmrhost.jsonl", "tap_dmrgateway.jsonl", "tap_hblink3_peer.jsonl"] {
        for line in std::fs::read_to_string(data.join(file)).unwrap().lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let hex = record["hex"].as_str().unwrap();
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            datagrams.push((0..hex.len()).step_by(2).map(byte).collect());
        }
    }
    // The text dialect.
    for text in
        ["RPTL002629a9", "RPTO002629a9TS1=91", "MSTPING002629A9", "RPTINTR002629a9:1", "RPTCL002629a9"]
    {
        datagrams.push(text.as_bytes().to_vec());
    }
    datagrams.push([&b"RPTK002629a9"[..], &[b'0'; 64]].concat());
    datagrams.push([&b"RPTCN0CALL  002629a9"[..], &[b'0'; 286]].concat());
    // A burst of a repeater that is logged in: mutations of it come far.
    let mut burst = b"DMRD\0".to_vec();
    burst.extend_from_slice(&[0x26, 0x10, 0x01, 0, 0x61, 0xa9]);
    burst.extend_from_slice(&2_501_901_u32.to_be_bytes());
    burst.extend_from_slice(&[0x90; 40]);
    datagrams.push(burst);
    datagrams
}

fn mutated(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    if random.draw(8) == 0 {
        return (0..random.draw(400)).map(|_| u8::try_from(random.draw(256)).unwrap()).collect();
    }
    let mut bytes = seeds[random.draw(seeds.len())].clone();
    for _ in 0..random.draw(4) {
        let at = random.draw(bytes.len());
        bytes[at] = u8::try_from(random.draw(256)).unwrap();
    }
    if random.draw(4) == 0 {
        bytes.truncate(random.draw(bytes.len()));
    }
    bytes
}

/// Private memory of a process, in KiB.
fn anonymous(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_hundred_thousand_strange_datagrams_change_nothing() {
    let cluster = Cluster::start(2, "");
    let server = cluster.mmdvm();
    let mut insider = Repeater::new(server, 2_501_901, PASSWORD, "TS2=25000");
    assert!(insider.log_in());
    let before: Vec<u64> = cluster.children().into_iter().map(anonymous).collect();
    let call = std::thread::spawn(move || {
        sim::run(&Settings { repeaters: 10, seconds: 12, ..Settings::new(server, PASSWORD) }).unwrap()
    });
    cluster.wait_until("the call", |status| status.workers.iter().any(|worker| worker.sessions > 0));
    let (mut random, seeds) = (Random(0x2545_F491_4F6C_DD1D), recorded());
    let strangers: Vec<UdpSocket> = (0..8).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for n in 0..DATAGRAMS {
        let bytes = mutated(&mut random, &seeds);
        match n % 4 {
            0 => insider.send(&bytes),
            _ => drop(strangers[n % strangers.len()].send_to(&bytes, server).unwrap()),
        }
        if n % 64 == 0 {
            // As fast as the cluster reads, not faster: the kernel would throw away what is to be tested.
            insider.turn();
        }
    }
    let report = call.join().unwrap();
    assert_eq!((report.counts.lost, report.counts.altered, report.relogins), (0, 0, 0), "{report}");
    let status = cluster.status();
    assert!(status.workers.iter().all(|worker| worker.restarts == 0), "{status:?}");
    let after: Vec<u64> = cluster.children().into_iter().map(anonymous).collect();
    for (before, after) in before.iter().zip(&after) {
        assert!(*after < before + GROWTH_KIB, "KiB of private memory: {before} before, {after} after");
    }
    let contexts = cluster.bmctl(&["contexts"], "");
    assert!(contexts.status.success() && !text(&contexts).contains('\u{1b}'), "{}", text(&contexts));
}
