//! What a node sends, keeps and computes as the network grows: the figures of `docs/scale.md`. Nothing here is held to a limit but that all
//! come to know the same.
//!
//! ```sh
//! cargo test -p fastforward --release scale -- --ignored --nocapture --test-threads 1
//! ```

mod one;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use rustc_hash::FxHashMap;
use stack::{Now, Time};
use transport::Address;

use super::world::{Rng, SECOND, node_of};
use crate::wire::{Fact, MAX_DATAGRAM};
use crate::{FastForward, Input, NetworkKey, Settings};

/// Nodes of a host.
const WORKERS: usize = 8;
/// Other hosts that each has configured, where there are as many.
const CONFIGURED: usize = 4;
/// From host to host, and within one.
const DELAY_US: [u64; 2] = [20_000, 50];
const WALL_US: u64 = 1_800_000_000 * SECOND;

#[expect(clippy::disallowed_methods, reason = "it is about time")]
fn clock() -> Instant {
    Instant::now()
}

fn address(host: usize, worker: usize) -> Address {
    let [.., high, low] = (host as u32).to_be_bytes();
    Address::udp(SocketAddr::from(([10, high, low, 1], 54_000 + worker as u16)))
}

fn settings(host: usize, worker: usize) -> Settings {
    let mut seed = [worker as u8; 32];
    seed[..8].copy_from_slice(&(host as u64).to_le_bytes());
    Settings {
        node: node_of(host, worker),
        host: node_of(host, 0),
        nodes: (0..WORKERS).map(|worker| (node_of(host, worker), 54_000 + worker as u16)).collect(),
        local: address(host, worker),
        keys: vec![NetworkKey::new([7; 32])],
        start: WALL_US / 1000,
        seed,
    }
}

const fn range(talkgroup: u32, is_wanted: bool) -> Fact {
    Fact::Range { first: talkgroup, last: talkgroup, is_wanted }
}

/// When it arrives, where, whence and what.
type Flying = (u64, usize, Address, Vec<u8>);

/// Nodes on paths that lose nothing and take the same time always.
struct Net {
    now_us: u64,
    nodes: Vec<FastForward>,
    wakes: Vec<u64>,
    due: BTreeSet<(u64, usize)>,
    flying: [VecDeque<Flying>; 2],
    places: FxHashMap<Address, usize>,
    sent: (u64, u64),
    /// Those at these places and above have died.
    dead_from: usize,
}

impl Net {
    fn new(hosts: usize) -> Self {
        let mut net = Self {
            now_us: SECOND,
            nodes: Vec::new(),
            wakes: Vec::new(),
            due: BTreeSet::new(),
            flying: [VecDeque::new(), VecDeque::new()],
            places: FxHashMap::default(),
            sent: (0, 0),
            dead_from: usize::MAX,
        };
        let mut rng = Rng::new(5);
        for host in 0..hosts {
            // A ring, so that all are joined, and some at random.
            let mut others = BTreeSet::from([(host + 1) % hosts]);
            while others.len() < CONFIGURED.min(hosts - 1) {
                others.insert(rng.below(hosts as u64) as usize);
            }
            for worker in 0..WORKERS {
                net.places.insert(address(host, worker), net.nodes.len());
                let mut node = FastForward::new(settings(host, worker));
                for &other in others.iter().filter(|&&other| other != host) {
                    let address = address(other, 0);
                    node.handle_input(net.now(), Input::Host { address, host: None, is_wanted: true });
                }
                net.nodes.push(node);
                net.wakes.push(0);
            }
        }
        (0..net.nodes.len()).for_each(|place| net.settle(place));
        net
    }

    fn now(&self) -> Now {
        Now { mono: Time(self.now_us), wall_us: WALL_US + self.now_us }
    }

    fn settle(&mut self, place: usize) {
        let now = self.now();
        let node = &mut self.nodes[place];
        while node.poll_output().is_some() {}
        let mut out = [0; MAX_DATAGRAM];
        while let Some((to, len)) = self.nodes[place].poll_transmit(now, &mut out) {
            let target = self.places[&to];
            self.sent = (self.sent.0 + 1, self.sent.1 + len as u64);
            let way = usize::from(target / WORKERS == place / WORKERS);
            let from = address(place / WORKERS, place % WORKERS);
            self.flying[way].push_back((self.now_us + DELAY_US[way], target, from, out[..len].to_vec()));
        }
        let wake = self.nodes[place].poll_timeout().map_or(u64::MAX, |at| at.0.max(self.now_us + 1));
        self.due.remove(&(self.wakes[place], place));
        self.wakes[place] = wake;
        self.due.insert((wake, place));
    }

    fn run(&mut self, time_us: u64) {
        let end = self.now_us + time_us;
        loop {
            let wake = self.due.first().map_or(u64::MAX, |&(at, _)| at);
            let arrives = |way: usize| self.flying[way].front().map_or(u64::MAX, |&(at, ..)| at);
            let way = usize::from(arrives(1) < arrives(0));
            let at = wake.min(arrives(way));
            if at > end {
                self.now_us = end;
                return;
            }
            self.now_us = self.now_us.max(at);
            let now = self.now();
            if arrives(way) <= wake {
                let (_, target, from, mut bytes) = self.flying[way].pop_front().unwrap();
                if target >= self.dead_from {
                    continue;
                }
                self.nodes[target].handle_input(now, Input::Datagram { from, bytes: &mut bytes });
                self.settle(target);
            } else if let Some((_, place)) = self.due.first().copied() {
                if place >= self.dead_from {
                    self.due.pop_first();
                    continue;
                }
                self.nodes[place].handle_timeout(now);
                self.settle(place);
            }
        }
    }

    fn all_know_the_same(&mut self) -> bool {
        let digest = self.nodes[0].network.digest();
        let count = self.nodes.len();
        self.nodes
            .iter_mut()
            .all(|node| node.network.digest() == digest && node.network.nodes().count() == count)
    }

    fn until(&mut self, most_us: u64, mut is_done: impl FnMut(&mut Self) -> bool) -> u64 {
        let since = self.now_us;
        while !is_done(self) {
            assert!(self.now_us - since < most_us, "after {} us", self.now_us - since);
            self.run(1_000);
        }
        self.now_us - since
    }

    /// Bytes and datagrams that a node sends a second, and its share of the processor, while `each` is done every millisecond.
    fn measure(&mut self, what: &str, seconds: u64, mut each: impl FnMut(&mut Self, u64)) {
        let (sent, began) = (self.sent, clock());
        for ms in 0..seconds * 1000 {
            each(self, ms);
            self.run(1_000);
        }
        let node_seconds = self.nodes.len() as u64 * seconds;
        println!(
            "{what}: {} datagrams, {} bytes a second and node, {:.3} ms of processor",
            (self.sent.0 - sent.0) / node_seconds,
            (self.sent.1 - sent.1) / node_seconds,
            began.elapsed().as_secs_f64() * 1e3 / node_seconds as f64
        );
    }
}

fn grow(hosts: usize, seconds: u64) {
    let mut net = Net::new(hosts);
    let count = net.nodes.len() as u64;
    let began = clock();
    let mut steps = 0;
    let known_us = net.until(60 * SECOND, |net| {
        steps += 1;
        steps % 20 == 0 && net.all_know_the_same()
    });
    println!(
        "{count} nodes of {hosts} hosts: all know all after {known_us} us, {:.1} s of processor, {} bytes a node",
        began.elapsed().as_secs_f64(),
        net.sent.1 / count
    );
    net.run(6 * SECOND);
    let associations: usize = net.nodes.iter().map(|node| node.all().count()).sum();
    println!("{:.1} associations a node", associations as f64 / count as f64);
    net.measure("at rest", seconds, |_, _| ());
    // One talkgroup more is wanted: when does the last one know?
    let now = net.now();
    net.nodes[0].handle_input(now, Input::Range { first: 7, last: 7, is_wanted: true });
    net.settle(0);
    let us = net.until(10 * SECOND, |net| {
        net.nodes.iter().skip(1).all(|node| node.network.wanting(7).next().is_some())
    });
    println!("a wish is known to all after {us} us");
    let mut rng = Rng::new(9);
    let mut fed = 0.0;
    let mut says = |net: &mut Net, a_second: f64, make: &mut dyn FnMut(&mut Rng, u64) -> Fact| {
        fed += a_second / 1000.0;
        while fed >= 1.0 {
            fed -= 1.0;
            let place = rng.below(count) as usize;
            let fact = make(&mut rng, net.now_us / 1000);
            let now = net.now().mono;
            net.nodes[place].say(now, fact);
            net.settle(place);
        }
    };
    // As a hundred repeaters a node make them: a key-up of a radio in 300 s, a talkgroup more or less in 900 s.
    let (heard, wishes) = (count as f64 / 3.0, count as f64 / 9.0);
    net.measure(&format!("{heard:.0} key-ups a second"), seconds, |net, _| {
        says(net, heard, &mut |rng, at_ms| Fact::Heard { radio: rng.below(1_000_000) as u32, at_ms });
    });
    net.measure(&format!("{wishes:.0} wishes a second"), seconds, |net, _| {
        says(net, wishes, &mut |rng, at_ms| range(1000 + rng.below(100_000) as u32, at_ms & 1 == 0));
    });
    let us = net.until(20 * SECOND, Net::all_know_the_same);
    println!("all know the same {us} us after");
    // A host is gone, all at once; in a second all nodes that spoke with it say so, and all know that it is.
    let gone = net.nodes.len() - WORKERS;
    net.dead_from = gone;
    let began = clock();
    let us = net
        .until(20 * SECOND, |net| net.nodes[..gone].iter().all(|node| node.network.nodes().count() == gone));
    println!(
        "a host that died is gone for all after {us} us, {:.0} ms of processor a node",
        began.elapsed().as_secs_f64() * 1e3 / gone as f64
    );
}

#[test]
#[ignore = "for its figures"]
fn scale_of_networks() {
    grow(2, 10);
    grow(13, 10);
}

#[test]
#[ignore = "for its figures; takes longer"]
fn scale_of_a_large_network() {
    grow(125, 3);
}
