//! Static and dynamic talkgroups, and what siblings are told of them.

use std::time::Duration;

use stack::Slot;

use super::bench::Bench;
use crate::MAX_DYNAMICS;

/// The default of [`crate::Settings`].
const DYNAMIC_TIME: Duration = Duration::from_secs(15 * 60);

fn pair() -> Bench {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    bench
}

/// B hears 91 keyed by A, after the slots are free of what was before.
fn b_hears_91(bench: &mut Bench) -> bool {
    bench.pass_ms(3000);
    bench.hears("B");
    bench.over("A", Slot::Two, 91);
    !bench.hears("B").is_empty()
}

#[test]
fn a_keyed_talkgroup_is_heard_for_15_minutes_on_that_slot() {
    let mut bench = pair();
    assert!(!b_hears_91(&mut bench));
    let keyed = bench.now;
    bench.over("B", Slot::One, 91);
    bench.pass_ms(3000);
    bench.over("A", Slot::Two, 91);
    assert_eq!(bench.hears("B"), ["TS1 91 by A: 8"]);
    bench.pass(keyed.after(DYNAMIC_TIME).mono.since(bench.now.mono) - Duration::from_secs(4));
    assert!(b_hears_91(&mut bench));
    bench.pass_ms(1000);
    assert!(!b_hears_91(&mut bench));
}

#[test]
fn keying_again_makes_it_last() {
    let mut bench = pair();
    bench.over("B", Slot::One, 91);
    bench.pass(DYNAMIC_TIME - Duration::from_secs(10));
    bench.over("B", Slot::One, 91);
    bench.pass(DYNAMIC_TIME - Duration::from_secs(10));
    assert!(b_hears_91(&mut bench));
    // Hearing does not.
    bench.pass_ms(10_000);
    assert!(!b_hears_91(&mut bench));
}

#[test]
fn the_end_of_a_subscription_ends_the_call_for_it() {
    let mut bench = pair();
    bench.key("B", Slot::One, 91);
    bench.unkey("B");
    bench.pass(DYNAMIC_TIME - Duration::from_millis(60 + 300));
    bench.key("A", Slot::Two, 91);
    bench.talk(&["A"], 10);
    // With the terminator that is made up.
    assert_eq!(bench.hears("B"), ["TS1 91 by A: 6"]);
}

#[test]
fn the_nearest_end_makes_room() {
    let mut bench = pair();
    bench.over("B", Slot::One, 91);
    for talkgroup in 1..u32::try_from(MAX_DYNAMICS).unwrap() {
        bench.over("B", Slot::One, talkgroup);
    }
    bench.over("B", Slot::One, 91);
    bench.log(&[]);
    bench.over("B", Slot::One, 100);
    assert_eq!(bench.log(&["wanted", "unwanted"]), ["wanted 100", "unwanted 1"]);
    assert!(b_hears_91(&mut bench));
    // The other slot has its own.
    bench.over("B", Slot::Two, 101);
    assert_eq!(bench.log(&["wanted", "unwanted"]), ["wanted 101"]);
}

#[test]
fn a_static_talkgroup_is_not_made_dynamic() {
    let mut bench = pair();
    bench.repeater("B", &[91], &[]);
    bench.over("B", Slot::One, 91);
    let record = crate::read_record(&bench.record("B")).unwrap();
    assert_eq!(record.dynamics, [vec![], vec![]]);
}

#[test]
fn siblings_are_told_of_the_first_and_the_last_subscriber() {
    let mut bench = Bench::new();
    bench.repeater("A", &[91], &[92]);
    bench.repeater("B", &[91], &[91]);
    assert_eq!(bench.log(&["wanted", "unwanted"]), ["wanted 91", "wanted 92"]);
    bench.over("A", Slot::One, 92);
    bench.repeater("A", &[92], &[]);
    assert_eq!(bench.log(&["wanted", "unwanted"]), [""; 0]);
    bench.repeater("B", &[], &[91]);
    bench.repeater("B", &[], &[]);
    bench.down("A");
    assert_eq!(bench.log(&["wanted", "unwanted"]), ["unwanted 91", "unwanted 92"]);
}

#[test]
fn a_talkgroup_that_moves_to_the_other_slot_is_wanted_all_the_time() {
    let mut bench = Bench::new();
    bench.repeater("A", &[91], &[]);
    bench.log(&[]);
    bench.repeater("A", &[], &[91]);
    assert_eq!(bench.log(&["wanted", "unwanted"]), [""; 0]);
}

#[test]
fn it_is_written_down_before_anything_is_said() {
    let mut bench = pair();
    bench.log(&[]);
    bench.key("A", Slot::One, 91);
    assert_eq!(
        bench.log(&[""]),
        ["changed A", "started 91", "heard 2500000 on TS1", "wanted 91", "changed A"]
    );
    bench.unkey("A");
    bench.log(&[]);
    bench.pass(DYNAMIC_TIME);
    assert_eq!(bench.log(&[""]), ["changed A", "unwanted 91"]);
}

#[test]
fn a_place_that_changes_hands_has_one_timer() {
    let mut bench = pair();
    for _ in 0..200 {
        bench.over("A", Slot::One, 91);
        bench.down("A");
        bench.repeater("A", &[], &[]);
    }
    bench.over("A", Slot::One, 91);
    bench.pass_ms(1000);
    assert_eq!(bench.switch.timers.len(), 1);
    bench.pass(DYNAMIC_TIME);
    assert_eq!(bench.switch.timers.len(), 0);
}
