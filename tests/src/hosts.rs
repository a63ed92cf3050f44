//! Clusters that are joined by FastForward, each a host of its own: on an address of its own of this machine, or in a network
//! namespace of its own. Of each two workers and a repeater at either, all in one talkgroup.

use std::fs;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use dmr::AMBE_LEN;
use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

use crate::{Cluster, PASSWORD, Repeater, bmctl, wait_for};

/// The talkgroup that all repeaters have.
pub const TALKGROUP: u32 = 91;
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Hosts of one network.
pub struct Hosts {
    /// One a host.
    pub clusters: Vec<Cluster>,
    /// By host, then by worker.
    pub repeaters: Vec<Vec<Repeater>>,
    places: Vec<Place>,
    dir: TempDir,
}

/// Where a host is.
struct Place {
    ip: String,
    /// A namespace that goes with it.
    namespace: Option<String>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(namespace) = &self.namespace {
            ip(&["netns", "del", namespace]);
        }
    }
}

/// What was heard of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Bursts, those that were made up among them.
    pub bursts: usize,
    /// How many of the talker's voice bursts are among them.
    pub said: usize,
    /// Each came at most once, and in order.
    pub is_in_order: bool,
}

fn ip(args: &[&str]) -> bool {
    Command::new("ip").args(args).status().is_ok_and(|status| status.success())
}

/// Numbers of hosts, none twice in a process.
fn numbers(count: usize) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    NEXT.fetch_add(u16::try_from(count).unwrap(), Ordering::Relaxed)
}

impl Hosts {
    /// Hosts on addresses of this machine. `links`: host and address of another, as it is configured there; `address` says where
    /// a host is.
    #[must_use]
    pub fn start(
        count: usize,
        workers: usize,
        links: impl FnOnce(&dyn Fn(usize) -> String) -> Vec<(usize, String)>,
    ) -> Self {
        let (pid, first) = (std::process::id(), numbers(count));
        let places = (0..count).map(|host| Place {
            ip: format!("127.{}.{}.{}", 20 + pid / 250 % 70, pid % 250 + 1, first + host as u16),
            namespace: None,
        });
        Self::begin(places.collect(), workers, links)
    }

    /// Hosts in network namespaces, all joined by one bridge.
    #[must_use]
    pub fn start_in_namespaces(
        count: usize,
        workers: usize,
        links: impl FnOnce(&dyn Fn(usize) -> String) -> Vec<(usize, String)>,
    ) -> Self {
        let (pid, first) = (std::process::id(), numbers(count + 1));
        let name = |host: usize| format!("bm{pid}-{}", usize::from(first) + host);
        // The bridge has a namespace of its own, which goes with the first host's.
        let hub = name(count);
        assert!(ip(&["netns", "add", &hub]), "network namespaces need root and iproute2");
        let hub_goes = Place { ip: String::new(), namespace: Some(hub.clone()) };
        assert!(ip(&["-n", &hub, "link", "add", "hub", "type", "bridge"]));
        assert!(ip(&["-n", &hub, "link", "set", "hub", "up"]));
        let mut places: Vec<Place> = Vec::new();
        for host in 0..count {
            let (namespace, port) = (name(host), format!("p{host}"));
            let address = format!("10.99.0.{}", host + 1);
            assert!(ip(&["netns", "add", &namespace]));
            places.push(Place { ip: address.clone(), namespace: Some(namespace.clone()) });
            let peer = ["peer", "name", "eth0", "netns", &namespace];
            assert!(ip(&[&["-n", &hub, "link", "add", &port, "type", "veth"], &peer[..]].concat()));
            assert!(ip(&["-n", &hub, "link", "set", &port, "master", "hub", "up"]));
            assert!(ip(&["-n", &namespace, "address", "add", &format!("{address}/24"), "dev", "eth0"]));
            assert!(ip(&["-n", &namespace, "link", "set", "eth0", "up"]));
            assert!(ip(&["-n", &namespace, "link", "set", "lo", "up"]));
        }
        let mut hosts = Self::begin(places, workers, links);
        hosts.places.push(hub_goes);
        hosts
    }

    fn begin(
        places: Vec<Place>,
        workers: usize,
        links: impl FnOnce(&dyn Fn(usize) -> String) -> Vec<(usize, String)>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let links = links(&|host| format!("{}:54000", places[host].ip));
        let mut hosts = Self { clusters: Vec::new(), repeaters: Vec::new(), places, dir };
        let key = hosts.dir.path().join("key");
        fs::write(&key, KEY).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        for host in 0..hosts.places.len() {
            let links = links.iter().filter(|(at, _)| *at == host).map(|(_, to)| to.as_str());
            let cluster = hosts.cluster(host, workers, &key, links);
            let repeaters = (0..workers).map(|worker| hosts.repeater(&cluster, host, worker)).collect();
            hosts.clusters.push(cluster);
            hosts.repeaters.push(repeaters);
        }
        hosts
    }

    fn cluster<'a>(
        &self,
        host: usize,
        workers: usize,
        key: &Path,
        links: impl Iterator<Item = &'a str>,
    ) -> Cluster {
        let (place, own) = (&self.places[host], 1000 * (host + 1));
        let listen = if place.namespace.is_some() { "0.0.0.0" } else { &place.ip };
        let mut text = format!(
            "[cluster]\nnodes = \"{own}-{}\"\n[stacks.fastforward]\nlisten = \"{listen}\"\nports = \"54000-54003\"\n\
             key_file = {key:?}\n",
            own + 9
        );
        links.for_each(|link| text += &format!("[[hosts]]\naddress = \"{link}\"\n"));
        let program = match &place.namespace {
            None => bmctl(),
            Some(namespace) => self.script(host, namespace),
        };
        Cluster::start_program(&program, workers, &text, |command| command)
    }

    /// What starts a program within a namespace.
    fn script(&self, host: usize, namespace: &str) -> PathBuf {
        let path = self.dir.path().join(format!("bmctl{host}"));
        fs::write(&path, format!("#!/bin/sh\nexec ip netns exec {namespace} {:?} \"$@\"\n", bmctl()))
            .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    /// Does something in the namespace of a host: sockets that it makes stay there.
    pub fn within<T: Send>(&self, host: usize, make: impl FnOnce() -> T + Send) -> T {
        let namespace = self.places[host].namespace.as_ref();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                if let Some(namespace) = namespace {
                    let file = File::open(format!("/run/netns/{namespace}")).unwrap();
                    setns(file, CloneFlags::CLONE_NEWNET).unwrap();
                }
                make()
            });
            thread.join().unwrap()
        })
    }

    /// A repeater that a certain worker has.
    fn repeater(&self, cluster: &Cluster, host: usize, worker: usize) -> Repeater {
        let server = cluster.mmdvm();
        let found = (0..200).find_map(|n| {
            let id = u32::try_from(2_000_000 + 1000 * host + 200 * worker + n).unwrap();
            let mut repeater = self.within(host, || Repeater::new(server, id, PASSWORD, "TS2=91"));
            assert!(repeater.log_in());
            let contexts = cluster.contexts();
            let at = contexts.iter().find(|context| context.id == id)?.worker;
            (usize::from(at) == worker).then_some(repeater)
        });
        found.expect("a repeater at each worker")
    }

    /// Where a host listens for others.
    #[must_use]
    pub fn address(&self, host: usize) -> String {
        format!("{}:54000", self.places[host].ip)
    }

    /// Waits until calls from each host are heard at all others.
    pub fn wait(&mut self) {
        wait_for("all to hear each other", || {
            let heard: Vec<_> =
                (0..self.clusters.len()).map(|host| self.call(host, 0, 1, |_| {}).1).collect();
            heard.iter().flatten().all(|heard| heard.bursts > 0).then_some(())
        });
    }

    /// A call from a repeater of about so many seconds: how many voice bursts it had, and what each of the others heard of it, in
    /// their order. `meanwhile` is called before each burst, with its place.
    pub fn call(
        &mut self,
        host: usize,
        worker: usize,
        seconds: u32,
        mut meanwhile: impl FnMut(usize),
    ) -> (usize, Vec<Heard>) {
        self.repeaters.iter_mut().flatten().for_each(|repeater| {
            repeater.bursts();
            repeater.heard.clear();
        });
        let caller = &mut self.repeaters[host][worker];
        // Who keys up again and again is blocked.
        static RADIOS: AtomicU32 = AtomicU32::new(2_621_001);
        let call = caller.group_call(RADIOS.fetch_add(1, Ordering::Relaxed), TALKGROUP, seconds);
        for (at, burst) in call.datagrams().iter().enumerate() {
            meanwhile(at);
            caller.talk(std::slice::from_ref(burst));
        }
        let payloads: Vec<_> = call.payloads().collect();
        let mut heard = Vec::new();
        for (at, repeaters) in self.repeaters.iter_mut().enumerate() {
            for (place, repeater) in repeaters.iter_mut().enumerate() {
                if (at, place) != (host, worker) {
                    // As long as bursts may be held back.
                    (0..80).for_each(|_| repeater.turn());
                    heard.push(hear(repeater, &payloads));
                }
            }
        }
        (payloads.len(), heard)
    }
}

fn hear(repeater: &mut Repeater, payloads: &[[u8; AMBE_LEN]]) -> Heard {
    let bursts = repeater.bursts();
    let all = repeater.heard.iter().filter(|bytes| bytes.starts_with(b"DMRD"));
    let places: Vec<usize> = all
        .filter_map(|bytes| bytes.get(20..)?.first_chunk())
        .filter_map(|burst| payloads.iter().position(|payload| *payload == dmr::ambe(burst)))
        .collect();
    // What is made up for a lost burst says once more what came before it.
    let mut said = places.clone();
    said.dedup();
    Heard { bursts, said: said.len(), is_in_order: said.is_sorted_by(|a, b| a < b) }
}
