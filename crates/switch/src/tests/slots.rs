//! Who gets a slot: first-come, hang time, and radio before network.

use stack::{Slot, Slots};

use super::bench::{Bench, HEADER};

/// L listens to 1, 2 and 3 on TS1; A, B and C talk on these.
fn three() -> Bench {
    let mut bench = Bench::new();
    bench.repeater("L", &[1, 2, 3], &[]);
    for name in ["A", "B", "C"] {
        bench.repeater(name, &[], &[]);
    }
    bench
}

#[test]
fn after_a_call_the_slot_is_kept_for_its_talkgroup() {
    let mut bench = three();
    bench.over("A", Slot::One, 1);
    bench.over("B", Slot::One, 2);
    assert_eq!(bench.hears("L"), ["TS1 1 by A: 8"]);
    bench.over("C", Slot::One, 1);
    assert_eq!(bench.hears("L"), ["TS1 1 by C: 8"]);
    bench.pass_ms(3000);
    bench.over("B", Slot::One, 2);
    assert_eq!(bench.hears("L"), ["TS1 2 by B: 8"]);
}

#[test]
fn a_waiting_call_joins_late_when_the_hang_time_ends() {
    let mut bench = three();
    bench.over("A", Slot::One, 1);
    bench.key("B", Slot::One, 2);
    // 49 bursts come within the 3 s, the 50th on their end; the 55th is the next burst A.
    bench.talk(&["B"], 54);
    assert_eq!(bench.hears("L"), ["TS1 1 by A: 8"]);
    bench.talk(&["B"], 2);
    assert_eq!(bench.hears("L"), ["TS1 2 by B: 3"]);
}

#[test]
fn first_come_on_a_busy_slot_and_the_second_joins_after_it() {
    let mut bench = three();
    bench.key("A", Slot::One, 1);
    bench.key("B", Slot::One, 2);
    bench.talk(&["A", "B"], 5);
    bench.unkey("A");
    assert_eq!(bench.hears("L"), ["TS1 1 by A: 7"]);
    bench.talk(&["B"], 49);
    assert_eq!(bench.hears("L"), [""; 0]);
    bench.talk(&["B"], 3);
    assert_eq!(bench.hears("L"), ["TS1 2 by B: 4"]);
}

#[test]
fn a_second_talker_of_the_talkgroup_joins_at_once_after_the_first() {
    let mut bench = three();
    bench.key("A", Slot::One, 1);
    bench.key("B", Slot::One, 1);
    bench.talk(&["A", "B"], 5);
    bench.unkey("A");
    bench.talk(&["B"], 2);
    assert_eq!(bench.hears("L"), ["TS1 1 by A: 7", "TS1 1 by B: 2"]);
}

#[test]
fn a_call_from_radio_beats_one_that_goes_out() {
    let mut bench = three();
    bench.key("A", Slot::One, 1);
    bench.talk(&["A"], 5);
    bench.key("L", Slot::One, 2);
    bench.talk(&["A", "L"], 5);
    assert_eq!(bench.hears("L"), ["TS1 1 by A: 7"]);
    bench.unkey("L");
    // It is kept for 2 then, and afterwards the call to 1 is heard again.
    bench.talk(&["A"], 49);
    assert_eq!(bench.hears("L"), [""; 0]);
    bench.talk(&["A"], 6);
    let heard = bench.bursts("L");
    assert_eq!((heard[0].frame.kind, heard[0].frame.destination), (HEADER, 1));
}

#[test]
fn the_other_slot_is_not_disturbed() {
    let mut bench = three();
    bench.repeater("L", &[1], &[2]);
    bench.key("A", Slot::One, 1);
    bench.key("B", Slot::One, 2);
    bench.key("L", Slot::One, 3);
    bench.talk(&["A", "B"], 4);
    let mut heard = bench.bursts("L");
    heard.sort_by_key(|heard| heard.slot);
    let talkgroups: Vec<_> = heard.iter().map(|heard| heard.frame.destination).collect();
    assert_eq!(talkgroups, [1, 1, 2, 2, 2, 2, 2]);
}

#[test]
fn a_static_that_is_removed_in_mid_call_frees_the_slot() {
    let mut bench = three();
    bench.key("A", Slot::One, 1);
    bench.key("B", Slot::One, 2);
    bench.talk(&["A", "B"], 3);
    assert_eq!(bench.hears("L"), ["TS1 1 by A: 4"]);
    bench.repeater("L", &[2, 3], &[]);
    bench.talk(&["A", "B"], 5);
    assert_eq!(bench.hears("L"), ["TS1 1 by A: 1", "TS1 2 by B: 3"]);
}

#[test]
fn a_static_that_moves_to_the_other_slot_in_mid_call_is_heard_there() {
    let mut bench = three();
    bench.key("A", Slot::One, 1);
    bench.repeater("L", &[2, 3], &[1]);
    bench.talk(&["A"], 3);
    assert_eq!(bench.hears("L"), ["TS1 1 by A: 2", "TS2 1 by A: 4"]);
}

#[test]
fn a_repeater_that_becomes_simplex_in_mid_call_begins_anew() {
    let mut bench = three();
    bench.key("A", Slot::One, 1);
    bench.key("C", Slot::One, 3);
    bench.log(&[]);
    bench.simplex("L", &[1, 2, 3]);
    bench.simplex("C", &[]);
    assert_eq!(bench.log(&["stopped"]), ["stopped 3: ContextGone, 0 bursts"]);
    bench.talk(&["A", "C"], 3);
    assert_eq!(bench.hears("L"), ["TS1 1 by A: 1", "TS2 1 by A: 4"]);
    assert_eq!(bench.log(&["started", "heard"]), ["started 3", "heard 2500003 on TS2"]);
}

#[test]
fn a_repeater_with_one_slot_hears_only_that() {
    let mut bench = three();
    bench.up("L", Slots::Only(Slot::Two), [&[1], &[2]]);
    bench.over("A", Slot::One, 1);
    bench.over("B", Slot::One, 2);
    assert_eq!(bench.hears("L"), ["TS2 2 by B: 8"]);
}
