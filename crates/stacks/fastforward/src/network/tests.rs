//! What becomes of what nodes say of themselves.

use super::*;
use crate::tests::world::Rng;

fn learn(network: &mut Network, node: u32, from: u32, facts: &[Fact]) -> Learned {
    let to = from + facts.len() as u32;
    let facts = (from + 1..).zip(facts.iter().copied());
    let learned = network.learn(Time(1), Known { node, start: 5, version: from }, to, facts);
    network.refresh_now(Time(1));
    learned
}

fn about(host: u32) -> Fact {
    Fact::About { host, port: 1, transports: 1, version: 1 }
}

const fn link(node: u32) -> Fact {
    Fact::Link { node, is_up: true }
}

#[test]
fn who_is_heard_by_both_is_there_and_what_it_wants_counts() {
    let mut network = Network::new(1, 1, 5);
    let range = Fact::Range { first: 91, last: 91, is_wanted: true };
    let wide = Fact::Range { first: 90, last: 100, is_wanted: true };
    assert_eq!(learn(&mut network, 3, 0, &[about(3), range, link(2)]), Learned::New(0));
    assert_eq!(learn(&mut network, 2, 0, &[about(2), wide]), Learned::New(0));
    network.say(link(2));
    network.refresh_now(Time(1));
    assert_eq!(network.wanting(91).collect::<Vec<_>>(), [2]);
    assert_eq!(learn(&mut network, 2, 2, &[link(3)]), Learned::New(2));
    assert_eq!(network.wanting(91).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(network.topology().next_hop(1, 1, 3), Some(2));
    let digest = network.digest();
    let unwanted = Fact::Range { is_wanted: false, first: 90, last: 100 };
    assert_eq!(learn(&mut network, 2, 3, &[unwanted]), Learned::New(3));
    assert_eq!(network.wanting(91).collect::<Vec<_>>(), [3]);
    assert_ne!(network.digest(), digest);
    assert_eq!(learn(&mut network, 2, 3, &[unwanted]), Learned::Old);
    let known = Known { node: 2, start: 5, version: 4 };
    assert_eq!(learn(&mut network, 2, 9, &[range]), Learned::Gap(known));
}

#[test]
fn the_digest_is_that_of_all_states_whatever_becomes_of_them() {
    for seed in 0..50 {
        let mut rng = Rng::new(seed);
        let mut network = Network::new(1, 1, 5);
        let mut most = 0;
        for step in 0..1000 {
            let now = Time(step * 1_000_000);
            let node = 1 + rng.below(6) as u32;
            let fact = match rng.below(4) {
                0 => about(1 + rng.below(3) as u32),
                1 => Fact::Heard { radio: rng.below(9) as u32, at_ms: step },
                _ => Fact::Link { node: 1 + rng.below(6) as u32, is_up: !rng.permille(200) },
            };
            match rng.below(20) {
                0 => network.begin_again(5 + step),
                1 => network.assume(node, step, fact),
                2 => network.tidy(now + FORGOTTEN * rng.below(2) as u32),
                3..6 => _ = network.refresh(now),
                6..10 => _ = network.say(fact),
                _ => {
                    // What is known, a later or an earlier start, or something that does not join on.
                    let known = network.state(node).map_or((9, 0), |state| (state.start, state.version));
                    let start =
                        if rng.permille(900) { known.0 } else { known.0.saturating_sub(2) + rng.below(9) };
                    let version = if rng.permille(900) { known.1 } else { rng.below(9) as u32 };
                    let from = Known { node, start: start.max(1), version };
                    let facts = (version + 1..).zip([fact, about(2)]);
                    network.learn(now, from, version + rng.below(4) as u32, facts);
                }
            }
            assert_eq!(network.digest(), network.digest_afresh(), "seed {seed}, step {step}");
            most = most.max(network.nodes().count());
        }
        assert!(most > 3, "seed {seed}: {most} nodes");
    }
}

#[test]
fn routes_are_made_anew_for_the_talkgroup_that_changed() {
    let mut network = Network::new(1, 1, 5);
    let wish = |first, last, is_wanted| Fact::Range { first, last, is_wanted };
    let versions = |network: &Network| [Some(91), Some(92), None].map(|one| network.version_of(one));
    let changes = |network: &mut Network, fact| {
        let before = versions(network);
        network.say(fact);
        let after = versions(network);
        [0, 1, 2].map(|n| before[n] != after[n])
    };
    assert_eq!(changes(&mut network, wish(91, 91, true)), [true, false, true]);
    assert_eq!(changes(&mut network, Fact::Heard { radio: 7, at_ms: 1 }), [false; 3]);
    network.change_ways();
    assert_eq!(changes(&mut network, wish(91, 91, false)), [true, false, true], "nobody wants it any more");
    assert_eq!(changes(&mut network, wish(1, 9, true)), [true; 3]);
}

#[test]
fn of_two_places_of_a_radio_the_newer_is_right_while_it_can_be_reached() {
    let mut network = Network::new(1, 1, 5);
    network.say(Fact::Heard { radio: 7, at_ms: 100 });
    network.say(link(2));
    learn(&mut network, 2, 0, &[about(2), Fact::Heard { radio: 7, at_ms: 101 }]);
    assert_eq!(network.heard(7), Some((2, 101)));
    network.say(Fact::Link { node: 2, is_up: false });
    network.refresh_now(Time(2));
    assert_eq!(network.heard(7), Some((1, 100)));
    network.tidy(Time(2) + FORGOTTEN);
    assert_eq!((network.state(2).is_none(), network.size()), (true, 2));
}
