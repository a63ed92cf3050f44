//! Hosts that records of the registry join, and keys that they have for each other, with real processes and sockets.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tests::{Cluster, PASSWORD, Repeater, text, wait_for};

const NETWORK_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const KEYS: [&str; 2] = [
    "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
    "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2",
];
const IDS: [u32; 2] = [1000, 2000];
const TALKGROUP: u32 = 91;

/// Two hosts of one network that do not know each other, and a repeater at each.
struct Pair {
    _dir: TempDir,
    clusters: Vec<Cluster>,
    repeaters: Vec<Repeater>,
    ips: [String; 2],
}

impl Pair {
    fn start() -> Self {
        static SITES: AtomicU16 = AtomicU16::new(1);
        let dir = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        let first = SITES.fetch_add(3, Ordering::Relaxed);
        let ips =
            [0, 1].map(|host| format!("127.{}.{}.{}", 110 + pid / 250 % 70, pid % 250 + 1, first + host));
        let key = dir.path().join("key");
        fs::write(&key, NETWORK_KEY).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let mut pair = Self { _dir: dir, clusters: Vec::new(), repeaters: Vec::new(), ips };
        for (ip, own) in pair.ips.iter().zip(IDS) {
            let cluster = Cluster::start(
                1,
                &format!(
                    "[cluster]\nnodes = \"{own}-{}\"\n[stacks.fastforward]\nlisten = \"{ip}\"\nports = \"54000-54003\"\n\
                     key_file = {key:?}\n",
                    own + 9
                ),
            );
            let mut repeater = Repeater::new(cluster.mmdvm(), 2_000_000 + own, PASSWORD, "TS2=91");
            assert!(repeater.log_in());
            pair.clusters.push(cluster);
            pair.repeaters.push(repeater);
        }
        pair
    }

    fn done(&self, host: usize, args: &[&str], input: &str) -> String {
        let output = self.clusters[host].bmctl(args, input);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    }

    /// A host is given a record of the other one.
    fn join(&self, host: usize, address: &str, key: Option<&str>) {
        let record = json!({"id": IDS[1 - host], "address": address, "port": 54_000, "key": key});
        self.done(host, &["registry", "put", "Nodes", "-"], &record.to_string());
    }

    fn part(&self, host: usize) {
        self.done(host, &["registry", "remove", "Nodes", &IDS[1 - host].to_string()], "");
    }

    /// A call from a host; how many bursts it had, and how many of them came to the other one.
    fn call(&mut self, from: usize) -> (usize, usize) {
        for repeater in &mut self.repeaters {
            repeater.bursts();
            repeater.heard.clear();
        }
        // Who keys up again and again is blocked.
        static RADIOS: AtomicU32 = AtomicU32::new(2_621_001);
        let radio = RADIOS.fetch_add(1, Ordering::Relaxed);
        let call = self.repeaters[from].group_call(radio, TALKGROUP, 2);
        let bursts: Vec<_> = call.datagrams().to_vec();
        self.repeaters[from].talk(&bursts);
        (bursts.len(), self.repeaters[1 - from].bursts())
    }

    /// Waits until calls go whole both ways.
    fn wait_until_joined(&mut self) {
        wait_for("calls both ways", || {
            let is_whole = |(said, heard)| said == heard;
            (is_whole(self.call(0)) && is_whole(self.call(1))).then_some(())
        });
    }

    fn wait_until_parted(&mut self, time: Duration) {
        let since = Instant::now();
        wait_for("no calls", || (self.call(0).1 == 0 && self.call(1).1 == 0).then_some(()));
        assert!(since.elapsed() < time, "{:?}", since.elapsed());
    }

    /// How many datagrams a host has refused since they were sealed with a key that is not right.
    fn refused(&self, host: usize) -> u64 {
        let mut stream = TcpStream::connect(self.clusters[host].status().metrics.unwrap()).unwrap();
        write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let lines = text.lines().filter(|line| {
            line.starts_with("bm_datagrams_refused_total") && line.contains("reason=\"wrong_password\"")
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

#[test]
fn a_record_joins_hosts_while_they_run_and_parts_them_again() {
    let mut pair = Pair::start();
    assert_eq!(pair.call(0).1, 0);
    let there = pair.ips[1].clone();
    pair.join(0, &there, None);
    pair.wait_until_joined();
    pair.part(0);
    pair.wait_until_parted(Duration::from_secs(15));
    // Nobody is where the record says, but the node is said to be elsewhere.
    let nowhere = format!("{}9", &there[..there.len() - 1]);
    pair.join(0, &nowhere, None);
    assert_eq!(pair.call(0).1, 0);
    let id = IDS[1].to_string();
    pair.done(0, &["nodes", "set", &id, "udp", &format!("{there}:54000")], "");
    pair.wait_until_joined();
}

#[test]
fn hosts_with_keys_of_their_own_are_joined_where_both_have_the_same() {
    let mut pair = Pair::start();
    let ips = pair.ips.clone();
    pair.join(0, &ips[1], Some(KEYS[0]));
    pair.join(1, &ips[0], Some(KEYS[1]));
    let before = [pair.refused(0), pair.refused(1)];
    wait_for("refusals", || [0, 1].iter().all(|&host| pair.refused(host) > before[host]).then_some(()));
    assert_eq!((pair.call(0).1, pair.call(1).1), (0, 0));
    pair.join(1, &ips[0], Some(KEYS[0]));
    pair.wait_until_joined();
    for args in [&["registry", "list", "Nodes"][..], &["registry", "get", "Nodes", "1000"]] {
        let said = pair.done(1, args, "");
        assert!(said.contains("***") && !said.contains(KEYS[0]), "{said}");
    }
    // Another key at one end parts them, the same at the other one joins them, and so does none.
    pair.join(0, &ips[1], Some(KEYS[1]));
    pair.wait_until_parted(Duration::from_secs(15));
    pair.join(1, &ips[0], Some(KEYS[1]));
    pair.wait_until_joined();
    // Whoever is started again knows of it.
    pair.done(0, &["restart", "services"], "");
    pair.done(0, &["restart", "0"], "");
    pair.wait_until_joined();
}
