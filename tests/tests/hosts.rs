//! Calls over hosts, with real processes and sockets: in network namespaces, over bad paths, while workers are killed, and under attack.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use nix::sys::signal::Signal;
use tests::hosts::Hosts;
use tests::signal;

/// All calls come to all, whole and once.
fn each_hears_each(hosts: &mut Hosts) {
    hosts.wait();
    for host in 0..hosts.clusters.len() {
        for worker in 0..hosts.repeaters[host].len() {
            let (said, heard) = hosts.call(host, worker, 2, |_| {});
            for heard in heard {
                assert_eq!(
                    (heard.said, heard.bursts, heard.is_in_order),
                    (said, said + 2, true),
                    "from {host}, {worker}"
                );
            }
        }
    }
}

#[test]
fn in_a_mesh_of_namespaces_each_hears_each_whole_and_once() {
    let links = |at: &dyn Fn(usize) -> String| vec![(0, at(1)), (1, at(2)), (2, at(0))];
    each_hears_each(&mut Hosts::start_in_namespaces(3, 2, links));
}

#[test]
fn in_a_chain_of_namespaces_each_hears_each_whole_and_once() {
    let links = |at: &dyn Fn(usize) -> String| vec![(0, at(1)), (2, at(1))];
    each_hears_each(&mut Hosts::start_in_namespaces(3, 2, links));
}

/// A bad path to an address.
struct BadPath {
    child: Child,
    near: SocketAddr,
}

impl BadPath {
    fn to(address: &str, how: &[&str]) -> Self {
        // An address of its own: other nodes of the host are looked for beside it.
        let near = format!("127.9.{}.{}:0", std::process::id() / 250 % 250 + 1, std::process::id() % 250 + 1);
        let mut child = Command::new(env!("CARGO_BIN_EXE_bad-path"))
            .args([&near, "127.0.0.1:0", address])
            .args(how)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let near = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        Self { child, near }
    }
}

impl Drop for BadPath {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn over_a_bad_path(how: &[&str]) -> (usize, usize, usize) {
    let mut path = None;
    let mut hosts = Hosts::start(2, 1, |at| {
        let bad = BadPath::to(&at(1), how);
        let near = bad.near.to_string();
        path = Some(bad);
        vec![(0, near)]
    });
    hosts.wait();
    let mut sums = (0, 0, 0);
    for host in [0, 1] {
        let (said, heard) = hosts.call(host, 0, 6, |_| {});
        let [heard] = &heard[..] else { panic!() };
        assert!(heard.is_in_order && heard.said <= said && heard.bursts <= said + 2, "{said} {heard:?}");
        sums = (sums.0 + said, sums.1 + heard.said, sums.2 + heard.bursts);
    }
    sums
}

#[test]
fn over_a_path_that_delays_and_reorders_nothing_is_lost() {
    let how = ["seed=3", "delay_ms=20", "jitter_ms=40", "duplicated=0.1"];
    let (said, heard, bursts) = over_a_bad_path(&how);
    assert_eq!((heard, bursts), (said, said + 4));
}

#[test]
fn over_a_path_that_loses_what_is_lost_is_made_up_for() {
    let how = ["seed=4", "delay_ms=20", "jitter_ms=20", "loss=0.1", "reordered=0.05"];
    let (said, heard, bursts) = over_a_bad_path(&how);
    assert!(heard < said && heard * 10 >= said * 8, "{heard} of {said}");
    // All but some in rows and at the ends.
    assert!(bursts + 8 >= said + 4, "{bursts} for {said}");
}

#[test]
fn a_worker_that_is_killed_while_it_carries_a_call_costs_two_bursts_at_most() {
    let mut hosts = Hosts::start(2, 2, |at| vec![(0, at(1))]);
    hosts.wait();
    let before: Vec<u32> = hosts.clusters[1].status().workers.iter().map(|worker| worker.restarts).collect();
    // One of them carries it, and the other one's repeater hears on; the calling host's other worker has no part in it.
    let pids: Vec<i32> =
        hosts.clusters[1].status().workers.iter().map(|w| i32::try_from(w.pid.unwrap()).unwrap()).collect();
    let (said, heard) = hosts.call(0, 0, 6, |burst| match burst {
        30 => signal(pids[0], Signal::SIGKILL),
        60 => signal(pids[1], Signal::SIGKILL),
        _ => {}
    });
    for heard in &heard {
        assert!(heard.is_in_order && heard.said + 2 * 2 >= said, "{said} {heard:?}");
    }
    assert_eq!(heard[0].said, said, "at the calling host");
    let after: Vec<u32> = hosts.clusters[1].status().workers.iter().map(|worker| worker.restarts).collect();
    assert_eq!(after, before.iter().map(|restarts| restarts + 1).collect::<Vec<_>>());
}

/// Memory of a process that is its own, KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn under_a_flood_of_forgeries_calls_are_whole_and_nothing_grows() {
    let mut hosts = Hosts::start(2, 2, |at| vec![(0, at(1))]);
    hosts.wait();
    let target: SocketAddr = hosts.address(1).parse().unwrap();
    let pid = hosts.clusters[1].status().workers[0].pid.unwrap();
    hosts.call(0, 0, 2, |_| {});
    let since = Instant::now();
    let (sent, is_over, before) = (AtomicU64::new(0), AtomicBool::new(false), memory(pid));
    let answers = std::thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            let mut random = 7_u64;
            let mut bytes = [0_u8; 1472];
            while !is_over.load(Ordering::Relaxed) {
                // Bursts of datagrams, so that those who are attacked get their turn on a machine with few cores.
                for _ in 0..200 {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    bytes[..8].copy_from_slice(&random.to_le_bytes());
                    // Half of them name a node that is known, in the form of a datagram; some are too long or too short.
                    if random >> 32 & 1 == 0 {
                        bytes[0] = 0xF1;
                        bytes[2..6].copy_from_slice(&1000_u32.to_le_bytes());
                    }
                    let len = [96, 80, 33, 12, 1400, 1472, 200, 0][(random >> 33 & 7) as usize];
                    let _ = socket.send_to(&bytes[..len], target);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::yield_now();
            }
            let mut answers = 0;
            while socket.recv(&mut bytes).is_ok() {
                answers += 1;
            }
            answers
        });
        for host in [0, 1] {
            let (said, heard) = hosts.call(host, 0, 3, |_| {});
            for heard in heard {
                assert_eq!((heard.said, heard.bursts, heard.is_in_order), (said, said + 2, true));
            }
        }
        is_over.store(true, Ordering::Relaxed);
        attacker.join().unwrap()
    });
    assert_eq!(answers, 0, "nobody is answered");
    let (sent, grown) = (sent.into_inner(), memory(pid).saturating_sub(before));
    let rate = sent as f64 / since.elapsed().as_secs_f64();
    println!("{sent} forgeries, {rate:.0} a second; {grown} KiB more");
    assert!(sent > 10_000 && grown < 1024, "{sent} {grown}");
    assert_eq!(hosts.clusters[1].status().workers[0].restarts, 0);
}
