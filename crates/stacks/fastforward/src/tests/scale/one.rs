//! What one node computes that knows a large network: it is fed the states of others, which are made up.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Duration;

use dmr::{BURST_LEN, BurstKind};
use stack::{CallType, Frame, Now, Slot, Time};
use switch::{Forward, Kind, SessionId, SessionReport};

use super::super::world::{Rng, SECOND, node_of};
use super::{CONFIGURED, WALL_US, WORKERS, address, clock, range, settings};
use crate::association::Association;
use crate::network::Network;
use crate::wire::{Fact, Known, MAX_DATAGRAM, MAX_FRAME, write_update};
use crate::{FastForward, Input, NetworkKey};

/// Memory that this process has, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Times something: the least of some tries, since others run beside it.
fn time<T>(what: &str, tries: usize, mut run: impl FnMut() -> T) {
    let mut least = Duration::MAX;
    for _ in 0..tries {
        let began = clock();
        black_box(run());
        least = least.min(began.elapsed());
    }
    println!("  {what}: {:.1} us", least.as_secs_f64() * 1e6);
}

fn frame(destination: u32) -> Frame {
    Frame {
        source: 7,
        destination,
        call: CallType::Group,
        kind: BurstKind::Voice(0),
        sequence: 0,
        ber: 0,
        rssi: 0,
        burst: [0; BURST_LEN],
    }
}

/// One node that knows `count` others of which each has `degree` links, `ranges` wishes and `radios` radios.
fn one_of(count: usize, ranges: usize, radios: usize) {
    let hosts = count / WORKERS;
    let mut node = FastForward::new(settings(0, 0));
    let mut rng = Rng::new(3);
    let now = Time(SECOND);
    // As many as the simulation finds: siblings, and about four of each of eight hosts.
    let peers: Vec<Vec<usize>> = {
        let mut peers = vec![BTreeSet::new(); hosts];
        for host in 0..hosts {
            for _ in 0..CONFIGURED {
                let other = rng.below(hosts as u64) as usize;
                if other != host {
                    peers[host].insert(other);
                    peers[other].insert(host);
                }
            }
        }
        peers.into_iter().map(|peers| peers.into_iter().collect()).collect()
    };
    let speaks = |host: usize, worker: usize, other: usize, peer: usize| {
        host == other || (host + worker + other + peer).is_multiple_of(2)
    };
    let links = |host: usize, worker: usize| {
        let others = peers[host].iter().copied().chain([host]);
        others
            .flat_map(|other| (0..WORKERS).map(move |peer| (other, peer)))
            .filter(move |&(other, peer)| {
                (other, peer) != (host, worker) && speaks(host, worker, other, peer)
            })
            .map(|(other, peer)| (other, node_of(other, peer)))
            .collect::<Vec<_>>()
    };
    let before = resident();
    let began = clock();
    let mut facts = 0;
    for host in 0..hosts {
        for worker in 0..WORKERS {
            let mut all =
                vec![Fact::About { host: node_of(host, 0), port: 54_000, transports: 1, version: 1 }];
            all.extend(links(host, worker).iter().map(|&(_, node)| Fact::Link { node, is_up: true }));
            // A tenth of the wishes is for what half of the network wants.
            all.extend((0..ranges).map(|n| match n % 10 {
                0 => range(1 + rng.below(2 * ranges as u64 / 10) as u32, true),
                _ => range(1000 + rng.below(50_000) as u32, true),
            }));
            all.extend((0..radios).map(|_| Fact::Heard { radio: rng.below(16_000_000) as u32, at_ms: 1 }));
            facts += all.len();
            if (host, worker) == (0, 0) {
                all.into_iter().for_each(|fact| _ = node.network.say(fact));
                continue;
            }
            let to = all.len() as u32;
            let from = Known { node: node_of(host, worker), start: 5, version: 0 };
            node.network.learn(now, from, to, (1..).zip(all));
        }
    }
    node.network.refresh(now);
    let took = began.elapsed();
    println!(
        "one of {count} nodes, {facts} facts: {} bytes a fact, {} MB, learned in {:.0} ns each",
        (resident() - before) / facts,
        (resident() - before) >> 20,
        took.as_secs_f64() * 1e9 / facts as f64
    );
    for (other, id) in links(0, 0) {
        let key = NetworkKey::new([7; 32]).of_node(id, 5);
        let from = address(other, (id % 1000) as usize);
        let place = u16::try_from(node.associations.len()).unwrap();
        let known = Association::new(now, (id, node_of(other, 0)), from, (5, key), 0);
        node.associations.push(Some(known));
        node.places.insert(id, place);
    }
    println!("  {} associations, {} reached", node.associations.len(), node.network.nodes().count());
    let fact = |version: u32| [(version, range(999, version & 1 == 0))].into_iter();
    let last = Known { node: node_of(hosts - 1, 0), start: 5, version: 0 };
    let mut version = node.network.state(last.node).unwrap().version;
    let mut learn = |network: &mut Network| {
        version += 1;
        network.learn(now, Known { version: version - 1, ..last }, version, fact(version))
    };
    time("a wish of another is learned", 20, || learn(&mut node.network));
    time("the digest after that", 20, || {
        learn(&mut node.network);
        node.network.digest()
    });
    let (mut is_up, mut look) = (true, SECOND);
    time("who is reached, after a link has changed", 5, || {
        is_up = !is_up;
        node.network.say(Fact::Link { node: 77, is_up });
        look += SECOND;
        assert!(node.network.refresh(Time(look)));
    });
    let mono = |n: u64| Now { mono: Time(SECOND + n), wall_us: WALL_US };
    for host in peers[0].iter().take(CONFIGURED) {
        let (address, host) = (address(*host, 0), Some(node_of(*host, 0)));
        node.handle_input(mono(0), Input::Host { address, host, is_wanted: true });
    }
    let mut index = 0;
    for (what, talkgroup) in [("half of all want", 1), ("a few want", 2000), ("nobody wants", 999_999)] {
        time(&format!("the first burst of a call that {what}"), 5, || {
            index += 1;
            let session = SessionId { key: (WALL_US << 12) + u64::from(index), node: node_of(0, 0) };
            let report = SessionReport {
                session,
                context: 1,
                slot: Slot::One,
                source: 7,
                destination: talkgroup,
                call: CallType::Group,
                kind: Kind::Voice,
                emergency: false,
                bursts: 0,
            };
            node.network.change_ways();
            node.network.topology().forget_trees();
            node.handle_input(mono(1), Input::Started { index, report: &report, goes_out: true });
            let frame = frame(talkgroup);
            let forward = Forward { key: session.key, index, slot: Slot::One, options: 0, frame };
            node.handle_input(mono(1), Input::Forward(&forward));
        });
        let local = node.locals[usize::from(index)].as_ref().unwrap();
        println!("    {} copies to {} nodes", local.routes.to.len(), node.network.wanting(talkgroup).count());
        let frame = frame(talkgroup);
        let forward = Forward { key: local.session.key, index, slot: Slot::One, options: 0, frame };
        time("  the next one", 5, || node.handle_input(mono(1), Input::Forward(&forward)));
        time("  the next one, after somebody wanted something else", 5, || {
            learn(&mut node.network);
            node.handle_input(mono(1), Input::Forward(&forward));
        });
    }
    let mut out = [0; MAX_DATAGRAM];
    while node.poll_transmit(mono(10_000), &mut out).is_some() {}
    share(&mut node, hosts);
    let mut tick = 0;
    time("100 ms of looking after things", 5, || {
        tick += 100_000;
        node.handle_timeout(mono(tick));
    });
    println!("    {} associations, {} contacts", node.all().count(), node.contacts.len());
    while node.poll_transmit(mono(10_000_000), &mut out).is_some() {}
    time("a summary of all", 5, || {
        tick += 1_000_000;
        node.summarize(Time(SECOND + tick), 0);
    });
    let mut bytes = 0;
    while let Some((_, len)) = node.poll_transmit(mono(1_000_000_000), &mut out) {
        bytes += len;
    }
    println!("    {} bytes", bytes / 5);
}

/// What it costs that radios are heard elsewhere: each association tells of each, once it is new, and it is handed on to all but one.
fn share(node: &mut FastForward, hosts: usize) {
    const FACTS: usize = 38;
    let places: Vec<u16> = node.all().map(|(place, _)| place).collect();
    let mut out = [0; MAX_DATAGRAM];
    let mut round = 0;
    let mut drain = |node: &mut FastForward, now: Now| {
        let (mut datagrams, mut bytes) = (0, 0);
        while let Some((_, len)) = node.poll_transmit(now, &mut out) {
            (datagrams, bytes) = (datagrams + 1, bytes + len);
        }
        (datagrams, bytes)
    };
    let at = |us: u64| Now { mono: Time(SECOND + us), wall_us: WALL_US + us };
    drain(node, at(10_000));
    let mut sent = (0, 0);
    let mut least = Duration::MAX;
    for _ in 0..10 {
        round += 1;
        let now = at(10_000 + round * 10_000);
        let mut content = Vec::new();
        for n in 0..FACTS {
            let id = node_of(1 + (round as usize * FACTS + n) % (hosts - 1), n % WORKERS);
            let known = node.network.state(id).unwrap().known(id);
            let fact = Fact::Heard { radio: round as u32 * 1000 + n as u32, at_ms: now.wall_us / 1000 };
            let mut frame = [0; MAX_FRAME];
            let facts = [(known.version + 1, fact)].into_iter();
            let (len, _) = write_update(&mut frame, known, known.version + 1, facts);
            content.extend_from_slice(&frame[..len]);
        }
        let began = clock();
        for &place in &places {
            node.hear(now.mono, place, &content);
        }
        node.flood(now.mono);
        let later = at(10_000 + round * 10_000 + 5_000);
        sent = drain(node, later);
        least = least.min(began.elapsed());
    }
    println!(
        "  a radio heard elsewhere: {:.1} us, {} bytes to all",
        least.as_secs_f64() * 1e6 / FACTS as f64,
        sent.1 / FACTS
    );
}

#[test]
#[ignore = "for its figures"]
fn scale_of_one_node() {
    one_of(96, 200, 200);
    one_of(1_000, 200, 200);
    one_of(10_000, 200, 200);
}
