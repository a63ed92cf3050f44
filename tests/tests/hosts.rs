//! Calls over hosts, each a cluster of its own on an address of its own, with real processes and sockets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use tempfile::TempDir;
use tests::{Cluster, PASSWORD, Repeater, wait_for};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const TALKGROUP: u32 = 91;

/// Clusters that are joined, and a repeater at two of the workers of each.
struct Hosts {
    _dir: TempDir,
    clusters: Vec<Cluster>,
    repeaters: Vec<Vec<Repeater>>,
}

impl Hosts {
    /// So many hosts with two workers each; each of `links` is configured at its first host.
    fn start(count: u16, links: &[(u16, u16)]) -> Self {
        static SITES: AtomicU16 = AtomicU16::new(1);
        let dir = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        let first = SITES.fetch_add(count, Ordering::Relaxed);
        let ip = |host: u16| format!("127.{}.{}.{}", 20 + pid / 250 % 70, pid % 250 + 1, first + host);
        let key: PathBuf = dir.path().join("key");
        fs::write(&key, KEY).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let mut hosts = Self { _dir: dir, clusters: Vec::new(), repeaters: Vec::new() };
        for host in 0..count {
            let own = 1000 * (host + 1);
            let mut text = format!(
                "[cluster]\nnodes = \"{own}-{}\"\n[stacks.fastforward]\nlisten = \"{}\"\nports = \"54000-54003\"\nkey_file = {key:?}\n",
                own + 9,
                ip(host)
            );
            for (_, other) in links.iter().filter(|(from, _)| *from == host) {
                text += &format!("[[hosts]]\naddress = \"{}:54000\"\n", ip(*other));
            }
            let cluster = Cluster::start(2, &text);
            let mut repeaters: Vec<Repeater> = Vec::new();
            // One at each worker.
            for slot in 0..2 {
                let repeater = (0..200).find_map(|n| {
                    let id = 2_000_000 + 1000 * u32::from(host) + 200 * slot + n;
                    let mut repeater = Repeater::new(cluster.mmdvm(), id, PASSWORD, "TS2=91");
                    assert!(repeater.log_in());
                    let contexts = cluster.contexts();
                    let at = contexts.iter().find(|context| context.id == id)?.worker;
                    (u32::from(at) == slot).then_some(repeater)
                });
                repeaters.push(repeater.unwrap());
            }
            hosts.clusters.push(cluster);
            hosts.repeaters.push(repeaters);
        }
        hosts
    }

    /// A call from a repeater; how many bursts each of the others heard of it, in their order.
    fn call(&mut self, host: usize, worker: usize, seconds: u32) -> (usize, Vec<usize>) {
        let all = self.repeaters.iter_mut().flatten();
        all.for_each(|repeater| {
            repeater.bursts();
            repeater.heard.clear();
        });
        let caller = &mut self.repeaters[host][worker];
        // Who keys up again and again is blocked.
        static RADIOS: AtomicU32 = AtomicU32::new(2_621_001);
        let call = caller.group_call(RADIOS.fetch_add(1, Ordering::Relaxed), TALKGROUP, seconds);
        let bursts: Vec<_> = call.datagrams().to_vec();
        caller.talk(&bursts);
        let mut heard = Vec::new();
        for (at, repeaters) in self.repeaters.iter_mut().enumerate() {
            for (place, repeater) in repeaters.iter_mut().enumerate() {
                if (at, place) != (host, worker) {
                    heard.push(repeater.bursts());
                }
            }
        }
        (bursts.len(), heard)
    }
}

#[test]
fn in_a_mesh_and_in_a_chain_each_hears_each_whole_and_once() {
    for links in [&[(0, 1), (1, 2), (2, 0)][..], &[(0, 1), (2, 1)]] {
        let mut hosts = Hosts::start(3, links);
        wait_for("all to hear each other", || {
            let heard = [0, 2].map(|host| hosts.call(host, 0, 1));
            heard.iter().all(|(_, heard)| heard.iter().all(|count| *count > 0)).then_some(())
        });
        for host in 0..3 {
            for worker in 0..2 {
                let (said, heard) = hosts.call(host, worker, 1);
                assert_eq!(heard, vec![said; 5], "from {host}, {worker}: {links:?}");
            }
        }
    }
}
