//! Calls over hosts, with real processes and sockets: in network namespaces, over bad paths, while workers are killed, and under attack.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use control::{CallInfo, HeardInfo, ServicesRequest};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, socket};
use tests::hosts::Hosts;
use tests::{Cluster, HANG, get, signal, wait_for};

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

#[test]
fn calls_of_other_hosts_are_listed_while_they_run() {
    let mut hosts = Hosts::start(2, 1, |at| vec![(0, at(1))]);
    hosts.wait();
    let paths = hosts.clusters[1].paths();
    let ask = || -> Vec<CallInfo> { control::request(&paths, &ServicesRequest::Calls, HANG).unwrap() };
    wait_for("the calls before to be over", || ask().is_empty().then_some(()));
    let mut listed = Vec::new();
    hosts.call(0, 0, 3, |at| {
        if at % 5 == 0 {
            listed.extend(ask());
        }
    });
    let call = listed.first().expect("it is told of each second");
    assert_eq!((call.node, call.context, call.worker, call.destination), (1000, None, 0, 91));
    assert!(listed.iter().all(|other| other.session == call.session && other.refused.is_none()));
    wait_for("its end", || ask().is_empty().then_some(()));
    let heard: Vec<HeardInfo> =
        control::request(&paths, &ServicesRequest::LastHeard { count: 99 }, HANG).unwrap();
    assert!(heard.iter().all(|heard| heard.radio != call.source), "it was heard at the other host");
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

/// What comes to an address of this machine by UDP, as anybody on the way can record it: so many datagrams.
fn recorded(to: SocketAddr, count: usize) -> Vec<Vec<u8>> {
    let all = SockProtocol::EthAll;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_NONBLOCK, all).unwrap();
    let (since, mut bytes, mut found) = (Instant::now(), [0; 2048], Vec::new());
    while found.len() < count {
        assert!(since.elapsed() < HANG, "{}", found.len());
        let Ok(len) = recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) else {
            std::thread::yield_now();
            continue;
        };
        // Ethernet, IPv4 without options, UDP.
        let (ip, udp) = (14, 34);
        let IpAddr::V4(host) = to.ip() else { panic!("IPv4") };
        if len > udp + 8
            && bytes[ip + 9] == 17
            && bytes[ip + 16..ip + 20] == host.octets()
            && bytes[udp + 2..udp + 4] == to.port().to_be_bytes()
        {
            found.push(bytes[udp + 8..len].to_vec());
        }
    }
    found
}

/// What the first worker has refused as malformed, as not authentic, and as replayed.
fn refused(cluster: &Cluster) -> [f64; 3] {
    let metrics = get(&cluster.status().metrics.unwrap(), "/metrics").unwrap();
    ["malformed", "wrong_password", "replayed"].map(|reason| {
        let name = format!("bm_datagrams_refused_total{{worker=\"0\",reason=\"{reason}\"}} ");
        metrics.split(&name).nth(1).unwrap().lines().next().unwrap().parse().unwrap()
    })
}

#[test]
fn under_a_flood_of_forgeries_calls_are_whole_and_nothing_grows() {
    let mut hosts = Hosts::start(2, 2, |at| vec![(0, at(1))]);
    hosts.wait();
    let target: SocketAddr = hosts.address(1).parse().unwrap();
    let pid = hosts.clusters[1].status().workers[0].pid.unwrap();
    let recorder = std::thread::spawn(move || recorded(target, 60));
    hosts.call(0, 0, 2, |_| {});
    let recorded = recorder.join().unwrap();
    assert!(recorded.iter().all(|bytes| bytes[0] == 0xF1));
    let counted = refused(&hosts.clusters[1]);
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
                    let was = &recorded[(random >> 40) as usize % recorded.len()];
                    let mut len = [96, 80, 33, 12, 1400, 1472, 200, 0][(random >> 33 & 7) as usize];
                    match random >> 36 & 3 {
                        // Noise; some of it is too long or too short.
                        0 => bytes[..8].copy_from_slice(&random.to_le_bytes()),
                        // In the name of a node that is known, in the form of a datagram.
                        1 => {
                            bytes[0] = 0xF1;
                            bytes[2..6].copy_from_slice(&1000_u32.to_le_bytes());
                        }
                        // What a node has sent, again as it was, and with one bit changed behind its header.
                        which => {
                            len = was.len();
                            bytes[..len].copy_from_slice(was);
                            bytes[17 + (random >> 8) as usize % (len - 17)] ^= u8::from(which == 2);
                        }
                    }
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
    let now = refused(&hosts.clusters[1]);
    let counts = std::array::from_fn::<f64, 3, _>(|at| now[at] - counted[at]);
    println!("{sent} forgeries, {rate:.0} a second; {grown} KiB more; counted {counts:?}");
    assert!(sent > 10_000 && grown < 1024, "{sent} {grown}");
    assert!(counts.iter().all(|&count| count > 1000.0), "malformed, not authentic, replayed: {counts:?}");
    assert_eq!(hosts.clusters[1].status().workers[0].restarts, 0);
}
