//! Hosts with keys of their own, and nodes that are reached elsewhere than they announce.

use std::collections::BTreeSet;

use stack::CallType;
use transport::Address;

use super::world::{BURST_US, SECOND, Watched, World, node_of};
use crate::wire::{Frame, Frames, HEADER_LEN, HELLO_LEN, Header, Hello, SEAL_LEN};
use crate::{Input, NetworkKey};

const TALKGROUP: u32 = 91;

fn key(n: u8) -> NetworkKey {
    NetworkKey::new([n; 32])
}

fn unauthenticated(world: &World) -> u64 {
    world.members.iter().filter_map(|member| Some(member.ff.as_ref()?.counters().unauthenticated)).sum()
}

fn tags(world: &World, a: usize, b: usize) -> BTreeSet<u8> {
    world.watched.as_ref().unwrap().tags[&(a, b)].clone()
}

/// Whether a call from one host comes whole and once to the first node of another.
fn passes(world: &mut World, from: usize, to: usize) -> bool {
    let (at, receiver) = (world.place(from, 1), world.place(to, 0));
    let mut call = world.call(at, CallType::Group, 7, TALKGROUP);
    for _ in 0..20 {
        world.talk(&mut call);
        world.run(BURST_US);
    }
    world.run(SECOND);
    let received = world.received(receiver, call.session);
    world.hang_up(call);
    received == (20, 20)
}

#[test]
fn a_host_with_a_key_of_its_own_is_spoken_with_under_it_alone() {
    let (own, common) = (key(9).tag(), key(7).tag());
    assert_ne!(own, common);
    let mut world = World::new(31, 3, 2, &World::mesh(3));
    for host in 0..3 {
        world.want(world.place(host, 0), TALKGROUP, true);
    }
    world.set_key(0, 1, Some(key(9)));
    world.set_key(1, 0, Some(key(9)));
    world.run(SECOND);
    world.watched = Some(Watched::default());
    world.run(3 * SECOND);
    assert!(world.all_know(3));
    for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
        assert!(passes(&mut world, from, to), "{from} to {to}");
        let tag = if from + to == 1 { own } else { common };
        assert_eq!(tags(&world, from, to), BTreeSet::from([tag]), "{from} to {to}");
    }
    // A worker that is replaced goes on so, and one whose clock was put back.
    world.kill(0);
    world.run(SECOND);
    world.start(0);
    world.run(2 * SECOND);
    world.kill(2);
    world.skew_us[1] = -60_000_000;
    world.run(SECOND);
    world.start(2);
    world.run(6 * SECOND);
    assert!(world.all_know(3) && passes(&mut world, 1, 0));
    assert_eq!(tags(&world, 1, 0), BTreeSet::from([own]));
}

#[test]
fn with_another_key_or_with_none_it_is_not_joined_and_that_is_counted() {
    for keys in [[Some(8), Some(9)], [Some(9), None], [None, Some(9)]] {
        let mut world = World::new(32, 2, 2, &[(0, 1)]);
        world.want(world.place(1, 0), TALKGROUP, true);
        // At the start nobody has been told yet.
        world.set_key(0, 1, keys[0].map(key));
        world.set_key(1, 0, keys[1].map(key));
        world.run(5 * SECOND);
        assert!(world.all_know(1), "{keys:?}");
        let before = unauthenticated(&world);
        world.run(20 * SECOND);
        assert!(world.all_know(1) && !passes(&mut world, 0, 1), "{keys:?}");
        assert!(unauthenticated(&world) > before, "{keys:?}");
        world.set_key(0, 1, Some(key(9)));
        world.set_key(1, 0, Some(key(9)));
        world.run(6 * SECOND);
        assert!(world.all_know(2) && passes(&mut world, 0, 1), "{keys:?}");
        // Without it they speak as all do.
        world.set_key(0, 1, None);
        world.set_key(1, 0, None);
        world.run(6 * SECOND);
        assert!(world.all_know(2) && passes(&mut world, 0, 1), "{keys:?}");
    }
}

#[test]
fn a_key_changes_while_calls_of_others_go_on_and_no_nonce_comes_twice() {
    let mut world = World::new(33, 3, 2, &World::mesh(3));
    world.watched = Some(Watched::default());
    let (receiver, caller) = (world.place(0, 0), world.place(2, 1));
    world.want(receiver, TALKGROUP, true);
    world.run(3 * SECOND);
    let mut call = world.call(caller, CallType::Group, 7, TALKGROUP);
    // There and back again, one end after the other.
    for key in [Some(key(9)), Some(key(8)), Some(key(9)), None, Some(key(8))] {
        for (a, b) in [(0, 1), (1, 0)] {
            world.set_key(a, b, key.clone());
            for _ in 0..20 {
                world.talk(&mut call);
                world.run(BURST_US);
            }
        }
        for _ in 0..60 {
            world.talk(&mut call);
            world.run(BURST_US);
        }
        assert!(world.all_know(3));
    }
    let bursts = usize::from(call.bursts);
    world.run(SECOND);
    assert_eq!(world.received(receiver, call.session), (bursts, bursts as u32));
    world.hang_up(call);
    world.run(2 * SECOND);
    assert!(passes(&mut world, 1, 0));
}

/// A greeting for whoever is there, of a node that says that it is of a host, under a key.
pub(super) fn greeting(node: u32, host: u32, key: &NetworkKey, number: u64) -> Vec<u8> {
    answering(node, host, key, number, 0)
}

fn answering(node: u32, host: u32, key: &NetworkKey, number: u64, echo: u64) -> Vec<u8> {
    let start = 0x01B0_0000_0000;
    let mut out = [0; HEADER_LEN + HELLO_LEN + SEAL_LEN];
    let hello = Hello { host, challenge: 5, echo, version: 1, transports: 1, ..Hello::default() };
    let len = hello.encode(&mut out[HEADER_LEN..]);
    let header = Header { key: key.tag(), node, start, number: 1 << 39 | number };
    let len = key.of_node(node, start).seal(&header, 0, &mut out, len).unwrap();
    out[..len].to_vec()
}

#[test]
fn nobody_speaks_as_a_host_that_has_a_key_without_that_key() {
    let mut world = World::new(34, 3, 2, &World::mesh(3));
    world.set_key(0, 1, Some(key(9)));
    world.set_key(1, 0, Some(key(9)));
    world.run(4 * SECOND);
    assert!(world.all_know(3));
    let elsewhere: Address = "198.51.100.66:7".parse().unwrap();
    let greet = |world: &mut World, bytes: Vec<u8>| {
        let now = world.now(0);
        let ff = world.members[0].ff.as_mut().unwrap();
        let (refused, strangers) = (ff.counters().unauthenticated, ff.strangers.len());
        ff.handle_input(now, Input::Datagram { from: elsewhere, bytes: &mut bytes.clone() });
        (ff.counters().unauthenticated - refused, ff.strangers.len() - strangers)
    };
    let (one, two) = (node_of(1, 0), node_of(2, 0));
    for (node, host, key, why) in [
        (1999, one, key(7), "as a new node of it"),
        (one, two, key(7), "with its ID"),
        (node_of(1, 1), two, key(7), "with the ID of a node of it that is known"),
        (1999, two, key(9), "with its key as another"),
        (two, one, key(7), "as a node of another"),
        (1999, one, key(8), "under a key of nobody"),
    ] {
        assert_eq!(greet(&mut world, greeting(node, host, &key, 1)), (1, 0), "{why}");
    }
    assert_eq!(greet(&mut world, greeting(1999, one, &key(9), 2)), (0, 1), "a new node of it");
    assert_eq!(greet(&mut world, greeting(2999, two, &key(7), 2)), (0, 1), "and of another");
    world.run(3 * SECOND);
    assert!(world.all_know(3));
}

#[test]
fn who_had_a_hosts_id_before_its_key_was_known_has_it_no_more() {
    let mut world = World::new(35, 2, 1, &World::mesh(2));
    world.run(SECOND);
    let (id, elsewhere): (_, Address) = (7000, "198.51.100.66:7".parse().unwrap());
    let now = world.now(0);
    let ff = world.members[0].ff.as_mut().unwrap();
    let mut say = |echo, number| {
        let mut bytes = answering(id, 8000, &key(7), number, echo);
        ff.handle_input(now, Input::Datagram { from: elsewhere, bytes: &mut bytes });
        let mut out = [0; crate::MAX_DATAGRAM];
        let mut challenge = 0;
        while let Some((to, len)) = ff.poll_transmit(now, &mut out) {
            let header = Header::decode(&out[..len]).unwrap();
            let opener = key(7).of_node(header.node, header.start);
            if to == elsewhere
                && let Some(content) = opener.open(&header, 0, &mut out[..len])
                && let Some(Some(Frame::Hello(hello))) = Frames::of(content).next()
            {
                challenge = hello.challenge;
            }
        }
        challenge
    };
    let challenge = say(0, 1);
    assert_ne!(challenge, 0);
    say(challenge, 2);
    let ff = world.members[0].ff.as_mut().unwrap();
    assert!(ff.places.contains_key(&id));
    ff.handle_input(now, Input::HostKey { host: id, key: Some(key(9)) });
    assert!(!ff.places.contains_key(&id));
}

#[test]
fn a_node_is_reached_where_it_is_set_whatever_it_announces() {
    let mut world = World::new(35, 2, 1, &[]);
    world.want(1, TALKGROUP, true);
    world.watched = Some(Watched::default());
    let (away, set): (Address, Address) = ("192.0.2.9:1".parse().unwrap(), "10.9.9.9:7".parse().unwrap());
    world.add_address(1, set);
    let host = node_of(1, 0);
    world.tell(0, Input::Host { address: away, host: Some(host), is_wanted: true });
    world.run(6 * SECOND);
    assert!(world.all_know(1), "nobody is there");
    world.tell(0, Input::Override { node: host, address: Some(set) });
    world.run(3 * SECOND);
    assert!(world.all_know(2));
    let announced = world.members[1].address;
    let to = |world: &World, address| world.watched.as_ref().unwrap().to.get(&address).copied().unwrap_or(0);
    let shown = |world: &World| world.members[0].ff.as_ref().unwrap().nodes().next().unwrap().address;
    assert!(to(&world, announced) == 0 && to(&world, set) > 5);
    assert_eq!(shown(&world), set);
    // Without it, it is where it is heard, and what runs goes on.
    world.tell(0, Input::Override { node: host, address: None });
    world.run(SECOND);
    assert!(world.all_know(2) && to(&world, announced) > 0);
    assert_eq!(shown(&world), announced);
    let before = to(&world, set);
    world.run(10 * SECOND);
    assert!(world.all_know(2) && to(&world, set) == before);
}
