//! Calls over hosts that are well.

use stack::CallType;

use super::world::{BURST_US, SECOND, World, node_of};
use crate::{Input, Notice};

const TALKGROUP: u32 = 91;

#[test]
fn hosts_find_each_other_and_their_interest_in_time() {
    for links in
        [World::mesh(3), World::chain(3), vec![(0, 1), (1, 2), (2, 0)], vec![(0, 1), (1, 0), (0, 0), (1, 2)]]
    {
        let mut world = World::new(1, 3, 2, &links);
        world.run(2 * SECOND);
        assert!(world.all_know(3), "{links:?}");
        let ups: Vec<Notice> = world.members[0].notices.clone();
        assert_eq!(ups.len(), 2, "{ups:?}");
        // A new wish is known everywhere within a second, and what is known is the same.
        let last = world.place(2, 1);
        world.want(last, TALKGROUP, true);
        world.run(SECOND);
        let hosts = world.members[0].ff.as_mut().unwrap().hosts();
        assert_eq!(
            hosts.iter().map(|host| (host.host, host.nodes, host.ranges)).collect::<Vec<_>>(),
            [(2000, 2, 0), (3000, 2, 1)]
        );
        let first = world.members[0].ff.as_ref().unwrap();
        assert!(first.configured().any(|(_, host)| host == Some(2000)), "{links:?}");
        assert!(first.nodes().all(|node| first.host_of(node.node) == Some(node.host)), "{links:?}");
        let digests: Vec<u64> =
            world.members.iter_mut().map(|member| member.ff.as_mut().unwrap().network.digest()).collect();
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{links:?}");
    }
}

#[test]
fn a_call_comes_once_to_each_host_that_wants_it_and_no_other() {
    for links in [
        World::mesh(4),
        World::chain(4),
        vec![(0, 1), (1, 2), (2, 3), (3, 0)],
        vec![(0, 1), (0, 2), (1, 3), (2, 3)],
    ] {
        let mut world = World::new(2, 4, 2, &links);
        for (host, worker) in [(0, 1), (1, 0), (1, 1), (3, 1)] {
            let place = world.place(host, worker);
            world.want(place, TALKGROUP, true);
        }
        world.run(3 * SECOND);
        for from in 0..4 {
            let at = world.place(from, from % 2);
            let mut call = world.call(at, CallType::Group, 7, TALKGROUP);
            for _ in 0..50 {
                world.talk(&mut call);
                world.run(BURST_US);
            }
            world.hang_up(call);
            world.run(SECOND);
            for (host, worker) in
                [(0, 1), (1, 0), (1, 1), (3, 1)].into_iter().filter(|&(host, _)| host != from)
            {
                let got = world.received(world.place(host, worker), call.session);
                assert_eq!(got, (51, 51), "host {host} from {from}: {links:?}");
            }
            let other = world.received(world.place(2, 0), call.session);
            assert_eq!(other, (0, 0));
        }
        world.run(11 * SECOND);
        let left: usize = world.members.iter().map(|member| member.ff.as_ref().unwrap().far.len()).sum();
        assert_eq!(left, 0);
        let counters = world.members.iter().map(|member| member.ff.as_ref().unwrap().counters());
        assert!(
            counters.clone().all(|counters| counters.doubled + counters.looped + counters.malformed == 0)
        );
    }
}

#[test]
fn a_hundred_calls_cost_one_copy_each() {
    let mut world = World::new(3, 2, 4, &World::mesh(2));
    for worker in 0..4 {
        let place = world.place(1, worker);
        (0..100).for_each(|n| world.want(place, 1000 + n, true));
    }
    world.run(4 * SECOND);
    let mut calls: Vec<_> = (0..100)
        .map(|n| {
            let place = world.place(0, n % 4);
            world.call(place, CallType::Group, 7, 1000 + n as u32)
        })
        .collect();
    let bytes = |world: &World| {
        world.members[..4]
            .iter()
            .map(|member| {
                member
                    .ff
                    .as_ref()
                    .unwrap()
                    .nodes()
                    .filter(|node| node.host != 1000)
                    .map(|node| node.measured.bytes[0])
                    .sum::<u64>()
            })
            .sum::<u64>()
    };
    let before = bytes(&world);
    for _ in 0..100 {
        for call in &mut calls {
            world.talk(call);
        }
        world.run(BURST_US);
    }
    let each = (bytes(&world) - before) / 10_000;
    for worker in 0..4 {
        let place = world.place(1, worker);
        for call in &calls {
            assert_eq!(world.received(place, call.session), (100, 100), "{:?} at {worker}", call.session);
        }
    }
    // In company a burst takes its frame and its share of what a datagram takes, greetings among them. The first goes alone.
    assert!((63..=72).contains(&each), "{each}");
}

#[test]
fn a_private_call_goes_where_the_radio_was_heard_last() {
    let mut world = World::new(4, 4, 2, &World::chain(4));
    world.run(2 * SECOND);
    world.skew_us[3] = -5_000_000;
    for (host, worker) in [(2, 1), (3, 0)] {
        let place = world.place(host, worker);
        let now = world.now(host);
        world.members[place].ff.as_mut().unwrap().heard(now, 1234, now.wall_us / 1000);
        world.settle(place);
        world.run(SECOND);
    }
    let (caller, there, before) = (world.place(0, 1), world.place(3, 0), world.place(2, 1));
    assert_eq!(world.members[caller].ff.as_ref().unwrap().locate(1234).unwrap().0, node_of(3, 0));
    assert!(world.members[there].ff.as_ref().unwrap().locate(1234).is_none(), "it is here");
    let mut call = world.call(caller, CallType::Private, 7, 1234);
    for _ in 0..10 {
        world.talk(&mut call);
        world.run(BURST_US);
    }
    assert_eq!(
        (world.received(there, call.session), world.received(before, call.session)),
        ((10, 10), (10, 10))
    );
    // It passed there, since that lies on the way.
    assert_eq!(world.received(world.place(1, 0), call.session), (10, 10));
}

#[test]
fn what_is_configured_at_run_time_is_spoken_with_and_let_go() {
    let mut world = World::new(5, 2, 2, &[]);
    world.run(2 * SECOND);
    assert!(world.all_know(1));
    let address = world.members[world.place(1, 1)].address;
    for place in 0..2 {
        world.tell(place, Input::Host { address, host: None, is_wanted: true });
    }
    world.run(2 * SECOND);
    assert!(world.all_know(2));
    for place in 0..2 {
        world.tell(place, Input::Host { address, host: None, is_wanted: false });
    }
    world.run(10 * SECOND);
    assert!(world.all_know(1));
}
