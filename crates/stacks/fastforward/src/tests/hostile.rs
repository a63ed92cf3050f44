//! What anybody can send: it is answered with nothing, changes nothing and takes no room.

use stack::CallType;
use transport::Address;

use super::world::{BURST_US, Rng, SECOND, World, node_of};
use crate::{Counters, Input};

const TALKGROUP: u32 = 91;

/// A world of two hosts with a call under way, and all datagrams that have come to the receiver.
fn recorded() -> (World, Vec<(Address, Vec<u8>)>) {
    let mut world = World::new(21, 2, 1, &World::mesh(2));
    world.want(1, TALKGROUP, true);
    world.run(3 * SECOND);
    let mut call = world.call(0, CallType::Group, 7, TALKGROUP);
    let mut all = Vec::new();
    for _ in 0..30 {
        world.talk(&mut call);
        all.extend(world.under_way(1));
        world.run(BURST_US);
        all.extend(world.under_way(1));
    }
    (world, all)
}

fn counters(world: &World) -> Counters {
    world.members[1].ff.as_ref().unwrap().counters()
}

/// Gives a datagram to the receiver, and says whether it answered.
fn answers(world: &mut World, from: Address, mut bytes: Vec<u8>) -> bool {
    let now = world.now(1);
    let ff = world.members[1].ff.as_mut().unwrap();
    ff.handle_input(now, Input::Datagram { from, bytes: &mut bytes });
    let mut out = [0; crate::MAX_DATAGRAM];
    let mut has_answered = false;
    while ff.poll_transmit(now, &mut out).is_some() {
        has_answered = true;
    }
    has_answered
}

#[test]
fn what_is_changed_cut_lengthened_or_said_again_is_counted_and_no_more() {
    let (mut world, recorded) = recorded();
    let received = world.members[1].received.clone();
    let before = counters(&world);
    let elsewhere: Address = "198.51.100.66:7".parse().unwrap();
    let mut rng = Rng::new(5);
    let mut expected = before;
    for (at, (from, bytes)) in recorded.iter().enumerate() {
        for from in [*from, elsewhere] {
            assert!(!answers(&mut world, from, bytes.clone()), "said again");
            expected.replayed += 1;
        }
        for cut in (0..bytes.len()).step_by(7) {
            assert!(!answers(&mut world, *from, bytes[..cut].to_vec()));
            *if cut < 33 { &mut expected.malformed } else { &mut expected.unauthenticated } += 1;
        }
        let mut longer = bytes.clone();
        longer.resize(1472, at as u8);
        assert!(!answers(&mut world, elsewhere, longer));
        expected.unauthenticated += 1;
        for _ in 0..20 {
            let mut changed = bytes.clone();
            let place = 1 + rng.below(bytes.len() as u64 - 1) as usize;
            changed[place] ^= 1 << rng.below(8);
            let before = counters(&world);
            assert!(!answers(&mut world, elsewhere, changed));
            let sum = |counters: Counters| counters.unauthenticated + counters.replayed + counters.malformed;
            assert_eq!(sum(counters(&world)) - sum(before), 1);
        }
        let Counters { unauthenticated, replayed, malformed, .. } = counters(&world);
        expected = Counters { unauthenticated, replayed, malformed, ..expected };
    }
    assert_eq!(counters(&world), expected);
    assert_eq!(world.members[1].received, received);
    let ff = world.members[1].ff.as_ref().unwrap();
    assert_eq!((ff.strangers.len(), ff.places.len(), ff.contacts.len()), (0, 1, 0));
}

#[test]
fn noise_of_all_lengths_is_no_more_than_counted() {
    let (mut world, _) = recorded();
    let mut rng = Rng::new(9);
    for n in 0..50_000_u64 {
        let len = rng.below(1473) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
        if n % 2 == 0
            && let Some(first) = bytes.first_mut()
        {
            *first = 0xF1;
        }
        assert!(!answers(&mut world, "203.0.113.9:9".parse().unwrap(), bytes));
    }
    let now = counters(&world);
    assert_eq!(now.malformed + now.unauthenticated + now.replayed, 50_000);
    assert_eq!(world.members[1].ff.as_ref().unwrap().strangers.len(), 0);
}

#[test]
fn a_recording_says_nothing_to_a_node_that_has_started_since() {
    let (mut world, recorded) = recorded();
    world.kill(0);
    world.kill(1);
    world.run(60 * SECOND);
    world.start(1);
    let received = world.members[1].received.clone();
    let elsewhere: Address = "198.51.100.66:7".parse().unwrap();
    let mut answered = 0;
    for round in 0..50 {
        for (_, bytes) in &recorded {
            answered += usize::from(answers(&mut world, elsewhere, bytes.clone()));
        }
        // It proves nothing, so nothing of it counts, and it is asked once in a while: not more than came, and not to the flood.
        world.run(100_000);
        assert!(answered <= 2 + round, "{answered} in round {round}");
    }
    assert_eq!(world.members[1].received, received);
    assert!(world.members[1].ff.as_ref().unwrap().places.is_empty());
    // The true node comes back, and is listened to.
    world.start(0);
    world.run(3 * SECOND);
    assert!(world.all_know(2));
}

#[test]
fn a_flood_of_sealed_datagrams_of_unknown_nodes_has_bounded_room() {
    use crate::wire::{HEADER_LEN, Header, SEAL_LEN};
    let (mut world, _) = recorded();
    let key = crate::NetworkKey::new([7; 32]);
    for node in 0..5000_u32 {
        let header = Header { key: key.tag(), node: 50_000 + node, start: 1, number: 3 };
        let mut bytes = vec![0; HEADER_LEN + 700 + SEAL_LEN];
        key.of_node(header.node, 1).seal(&header, 2000, &mut bytes, 700).unwrap();
        answers(&mut world, "198.51.100.66:7".parse().unwrap(), bytes);
    }
    let ff = world.members[1].ff.as_ref().unwrap();
    assert!(ff.strangers.len() <= 256 && ff.counters().unproven > 4000, "{}", ff.strangers.len());
    world.run(10 * SECOND);
    assert!(world.all_know(2));
}

#[test]
fn greetings_for_whoever_is_there_are_answered_once() {
    let mut world = World::new(24, 2, 1, &World::mesh(2));
    let mut all = Vec::new();
    for _ in 0..3000 {
        world.run(SECOND / 1000);
        all.extend(world.under_way(1));
    }
    all.dedup();
    assert!(world.all_know(2));
    let for_anybody: Vec<_> = all.into_iter().filter(|(_, bytes)| bytes[16] & 0x80 != 0).collect();
    assert!(!for_anybody.is_empty());
    let (before, elsewhere) = (counters(&world), "198.51.100.66:7".parse().unwrap());
    for again in 0..1000 {
        for (from, bytes) in &for_anybody {
            let from = if again % 2 == 0 { *from } else { elsewhere };
            assert!(!answers(&mut world, from, bytes.clone()), "{again}");
        }
        world.run(SECOND / 100);
    }
    assert_eq!(counters(&world).replayed - before.replayed, 1000 * for_anybody.len() as u64);
    assert!(world.all_know(2));
}

#[test]
fn another_host_with_an_id_of_ours_is_told_of() {
    let mut world = World::new(22, 2, 1, &World::mesh(2));
    world.members[1].node = world.members[0].node;
    world.kill(1);
    world.run(SECOND);
    world.start(1);
    let same = |world: &World, place: usize| {
        let member = &world.members[place];
        member.ff.as_ref().and_then(|ff| ff.same_id(world.now(member.host).mono))
    };
    world.run(SECOND);
    assert_eq!(
        (same(&world, 0), same(&world, 1)),
        (None, None),
        "it may have been said by who was here before"
    );
    world.run(3 * SECOND);
    let [one, other] = [0, 1].map(|place| &world.members[place]);
    assert_eq!(same(&world, 1), Some((one.node, one.address)), "the first calls the other");
    assert_eq!(one.node, other.node);
    world.kill(0);
    world.run(20 * SECOND);
    assert_eq!(same(&world, 1), None);
}

#[test]
fn hosts_with_several_ids_in_common_are_told_of_and_recordings_are_not() {
    let mut world = World::new(25, 2, 2, &World::mesh(2));
    world.run(2 * SECOND);
    let (elsewhere, key): (Address, _) =
        ("198.51.100.66:7".parse().unwrap(), crate::NetworkKey::new([7; 32]));
    let call = |world: &mut World, number: u64| {
        let node = node_of(0, number as usize % 2);
        let mut bytes = super::keys::greeting(node, 5000, &key, number);
        let now = world.now(0);
        let ff = world.members[0].ff.as_mut().unwrap();
        ff.handle_input(now, Input::Datagram { from: elsewhere, bytes: &mut bytes });
        world.run(SECOND / 2);
    };
    let same = |world: &World| world.members[0].ff.as_ref().unwrap().same_id(world.now(0).mono);
    (0..8).for_each(|number| call(&mut world, number));
    assert_eq!(same(&world), Some((node_of(0, 1), elsewhere)));
    for _ in 0..8 {
        (0..8).for_each(|number| call(&mut world, number));
    }
    assert_eq!(same(&world), None);
}

#[test]
fn keys_change_without_a_gap() {
    use crate::NetworkKey;
    let (old, new) = (NetworkKey::new([7; 32]), NetworkKey::new([8; 32]));
    let mut world = World::new(23, 2, 2, &World::mesh(2));
    let receiver = world.place(1, 0);
    world.want(receiver, TALKGROUP, true);
    world.run(3 * SECOND);
    let mut call = world.call(0, CallType::Group, 7, TALKGROUP);
    // First all take the new one too, then all send with it, then the old one goes: each host one worker after the other.
    for keys in [vec![old.clone(), new.clone()], vec![new.clone(), old], vec![new]] {
        for host in 0..2 {
            for worker in [1, 0] {
                let place = world.place(host, worker);
                if place == call.at {
                    continue;
                }
                world.keys = keys.clone();
                world.kill(place);
                world.run(20_000);
                world.start(place);
                for _ in 0..10 {
                    world.talk(&mut call);
                    world.run(BURST_US);
                }
            }
        }
        // The caller too, whose call goes on.
        let (now, at) = (world.now(0), call.at);
        if let Some(ff) = &mut world.members[at].ff {
            ff.settings.keys = keys;
            ff.begin_again(now.mono, ff.start + 1);
            ff.is_early_until = None;
            ff.contacts.iter_mut().for_each(|contact| *contact = contact.again());
        }
        world.run(1000);
    }
    let bursts = usize::from(call.bursts);
    assert_eq!(world.received(receiver, call.session), (bursts, bursts as u32));
}

#[test]
fn what_was_recorded_of_a_node_that_runs_on_counts_no_more_after_a_gap() {
    // The receiver starts again; or the two do not hear each other for a while.
    for restarts in [true, false] {
        let (mut world, recorded) = recorded();
        if restarts {
            world.kill(1);
            world.run(4 * SECOND);
            world.start(1);
        } else {
            world.cut.insert((0, 1));
            world.run(5 * SECOND);
            world.cut.clear();
        }
        let answered = world.members[1].received.clone();
        for _ in 0..60 {
            for (from, bytes) in &recorded {
                answers(&mut world, *from, bytes.clone());
            }
            world.run(100_000);
        }
        assert!(world.all_know(2));
        // As long as nobody remembers the session, too.
        world.run(12 * SECOND);
        for (from, bytes) in &recorded {
            answers(&mut world, *from, bytes.clone());
        }
        world.run(SECOND);
        assert_eq!(world.members[1].received, answered, "{restarts}");
    }
}

#[test]
fn an_address_is_that_of_who_reads_there_and_of_nobody_who_only_sends_from_there() {
    let (mut world, _) = recorded();
    let elsewhere: Address = "198.51.100.66:7".parse().unwrap();
    // All that comes from the node now seems to come from elsewhere, where nobody reads.
    let mut call = world.call(0, CallType::Group, 7, TALKGROUP);
    for _ in 0..100 {
        world.talk(&mut call);
        for (_, bytes) in world.under_way(1) {
            answers(&mut world, elsewhere, bytes);
        }
        world.run(BURST_US);
    }
    let at = |world: &World| world.members[1].ff.as_ref().unwrap().nodes().next().unwrap().address;
    assert_eq!(at(&world), world.members[0].address);
    // It moves, and can be reached where it is.
    world.move_to(0, elsewhere);
    world.want(0, 92, true);
    world.run(3 * SECOND);
    assert_eq!(at(&world), elsewhere);
    let mut call = world.call(1, CallType::Group, 8, 92);
    for _ in 0..10 {
        world.talk(&mut call);
        world.run(BURST_US);
    }
    assert_eq!(world.received(0, call.session), (10, 10));
}
