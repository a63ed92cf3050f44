//! What once went wrong with routes, waits and restarts: each a small case of its own.

use stack::{Profile, Slot, Slots};

use super::bench::{Bench, HEADER, NODE, SIBLING, TERMINATOR, call_at_a_sibling, frame};
use crate::{ALL_CALL, Forward, Input, Place, Settings, Switch, read_record};
use dmr::BurstKind;

const VOICE: BurstKind = BurstKind::Voice(0);

#[test]
fn a_talkgroup_that_is_blocked_while_it_is_talked_to_is_heard_no_more() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[91]);
    bench.key("A", Slot::Two, 91);
    bench.talk(&["A"], 3);
    assert_eq!(bench.bursts("B").len(), 4);
    let mut profile = Profile::repeater(250_000, Slots::Both, Default::default());
    profile.blocked = vec![91];
    bench.input(Input::Up { context: bench.context("A"), profile });
    bench.talk(&["A"], 3);
    let rest = bench.bursts("B");
    assert_eq!((rest.len(), rest[0].frame.kind), (1, TERMINATOR));
    assert_eq!(bench.log(&["refused"]), ["refused 91: Blocked"]);
}

#[test]
fn talkgroups_that_are_blocked_on_both_slots_are_heard_no_more() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.frame("A", Slot::One, 5, &frame(7, 91, HEADER));
    bench.frame("A", Slot::Two, 6, &frame(8, 92, HEADER));
    let mut profile = Profile::repeater(250_000, Slots::Both, Default::default());
    profile.blocked = vec![91, 92];
    bench.input(Input::Up { context: bench.context("A"), profile });
    assert_eq!(bench.log(&["refused"]), ["refused 91: Blocked", "refused 92: Blocked"]);
}

#[test]
fn bursts_before_a_restart_are_counted_by_the_clock() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[91]);
    bench.key("A", Slot::Two, 91);
    bench.talk(&["A"], 48);
    replace(&mut bench, &[("A", [&[], &[]]), ("B", [&[], &[91]])]);
    bench.talk(&["A"], 6);
    let (_, session) = bench.switch.sessions.iter().next().unwrap();
    assert!((53..=55).contains(&session.bursts), "{}", session.bursts);
}

/// TS2 of L, where the radio 50 is, is kept for talkgroup 91, on which C has just spoken; A and B are others.
fn with_a_kept_slot() -> Bench {
    let mut bench = Bench::new();
    for name in ["L", "A", "B", "C"] {
        bench.repeater(name, &[], &[]);
    }
    bench.repeater("L", &[], &[91]);
    bench.places.insert(50, Place::Here { context: 250_000, slot: Slot::Two });
    bench.over("C", Slot::One, 91);
    bench
}

/// The worker is replaced: contexts come again one by one, each with its statics and then its record.
fn replace(bench: &mut Bench, contexts: &[(&'static str, [&[u32]; 2])]) {
    let records: Vec<_> = contexts.iter().map(|&(name, _)| bench.record(name)).collect();
    bench.switch = Switch::new(NODE, Settings::default());
    for (&(name, statics), record) in contexts.iter().zip(&records) {
        bench.up(name, Slots::Both, statics);
        bench.input(Input::Restore { context: bench.context(name), bytes: record });
    }
}

#[test]
fn a_restart_does_not_swap_what_a_slot_hears_where_others_hear_the_other_call() {
    let mut bench = Bench::new();
    let contexts: [(_, [&[u32]; 2]); 4] =
        [("A", [&[], &[]]), ("B", [&[], &[]]), ("M", [&[92], &[]]), ("L", [&[91, 92], &[]])];
    for (name, statics) in contexts {
        bench.up(name, Slots::Both, statics);
    }
    bench.key("A", Slot::One, 91);
    bench.key("B", Slot::One, 92);
    bench.talk(&["A", "B"], 3);
    assert_eq!(bench.hears("L"), ["TS1 91 by A: 4"]);
    replace(&mut bench, &contexts);
    bench.talk(&["A", "B"], 3);
    assert_eq!(bench.hears("L"), ["TS1 91 by A: 3"]);
}

#[test]
fn a_private_call_is_heard_on_after_a_restart_though_a_talkgroup_is_busy() {
    let mut bench = Bench::new();
    let contexts: [(_, [&[u32]; 2]); 4] =
        [("A", [&[], &[]]), ("B", [&[], &[]]), ("M", [&[], &[92]]), ("L", [&[], &[92]])];
    for (name, statics) in contexts {
        bench.up(name, Slots::Both, statics);
    }
    bench.places.insert(50, Place::Here { context: 250_003, slot: Slot::Two });
    bench.key_private("A", Slot::One, 50);
    bench.key("B", Slot::One, 92);
    bench.talk(&["A", "B"], 3);
    assert_eq!(bench.hears("L"), ["TS2 50 by A: 4"]);
    replace(&mut bench, &contexts);
    bench.talk(&["A", "B"], 3);
    assert_eq!(bench.hears("L"), ["TS2 50 by A: 3"]);
}

#[test]
fn a_talkgroup_on_both_slots_goes_on_on_the_other_when_its_slot_is_taken() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("L", &[91], &[91]);
    bench.key("A", Slot::One, 91);
    bench.talk(&["A"], 3);
    assert_eq!(bench.hears("L"), ["TS1 91 by A: 4"]);
    bench.key("L", Slot::One, 92);
    bench.hears("L");
    bench.talk(&["A", "L"], 12);
    assert!(!bench.hears("L").is_empty(), "TS2 is free all the time");
}

#[test]
fn a_talkgroup_that_is_taken_off_one_of_two_slots_goes_on_on_the_other() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("L", &[91], &[91]);
    bench.key("A", Slot::One, 91);
    bench.talk(&["A"], 3);
    bench.repeater("L", &[], &[91]);
    bench.hears("L");
    bench.talk(&["A"], 12);
    assert!(!bench.hears("L").is_empty(), "TS2 is free all the time");
}

#[test]
fn a_call_that_was_dropped_does_not_keep_others_off_after_a_hang_time() {
    let mut bench = Bench::new();
    for name in ["A", "B", "C"] {
        bench.repeater(name, &[], &[]);
    }
    bench.repeater("L", &[], &[91, 92, 93]);
    bench.key("A", Slot::One, 91);
    bench.talk(&["A"], 3);
    bench.input(Input::DropCall { id: 250_003, slot: None });
    bench.key("C", Slot::One, 93);
    bench.key("B", Slot::One, 92);
    bench.talk(&["A", "B", "C"], 3);
    bench.unkey("C");
    bench.hears("L");
    // Three seconds of hang time, and three more.
    bench.talk(&["A", "B"], 100);
    assert_eq!(bench.hears("L").len(), 1, "92 by B");
}

#[test]
fn of_two_private_calls_that_wait_for_a_slot_the_first_gets_it_and_the_other_is_refused() {
    let mut bench = with_a_kept_slot();
    bench.hears("L");
    bench.key_private("A", Slot::One, 50);
    bench.key_private("B", Slot::One, 50);
    bench.log(&[]);
    bench.talk(&["A", "B"], 100);
    let heard = bench.hears("L");
    assert!(heard.len() == 1 && heard[0].starts_with("TS2 50 by A"), "{heard:?}");
}

#[test]
fn of_two_private_calls_that_wait_for_a_slot_none_is_left_without_an_answer() {
    let mut bench = with_a_kept_slot();
    bench.key_private("A", Slot::One, 50);
    bench.log(&[]);
    bench.key_private("B", Slot::One, 50);
    bench.talk(&["A", "B"], 100);
    assert_eq!(bench.log(&["refused"]), ["refused 50: Busy"]);
}

#[test]
fn a_private_call_that_waits_is_refused_when_the_kept_slot_gets_another_call() {
    let mut bench = with_a_kept_slot();
    bench.key_private("A", Slot::One, 50);
    bench.log(&[]);
    // What the slot is kept for.
    bench.key("C", Slot::One, 91);
    bench.talk(&["A", "C"], 30);
    assert_eq!(bench.log(&["refused"]), ["refused 50: Busy"]);
}

#[test]
fn a_private_call_that_waits_is_refused_when_the_callee_goes() {
    let mut bench = with_a_kept_slot();
    bench.key_private("A", Slot::One, 50);
    bench.log(&[]);
    bench.down("L");
    bench.talk(&["A"], 3);
    assert_eq!(bench.log(&["refused"]), ["refused 50: NoRoute"]);
}

#[test]
fn a_private_call_does_not_go_to_who_has_the_callees_place_after_a_restart() {
    let mut bench = Bench::new();
    for name in ["L", "A"] {
        bench.repeater(name, &[], &[]);
    }
    bench.places.insert(50, Place::Here { context: 250_000, slot: Slot::Two });
    bench.key_private("A", Slot::One, 50);
    bench.talk(&["A"], 3);
    // The callee goes, and another device gets its place in the shard.
    bench.down("L");
    bench.places.clear();
    let profile = Profile::repeater(777, Slots::Both, [vec![], vec![]]);
    bench.input(Input::Up { context: bench.context("L"), profile: profile.clone() });
    // The caller's record is written anew: something happens on its other slot.
    bench.frame("A", Slot::Two, 99, &frame(8, 92, HEADER));
    let record = bench.written["A"].clone();
    bench.bursts("L");

    bench.switch = Switch::new(NODE, Settings::default());
    bench.input(Input::Up { context: bench.context("L"), profile });
    bench.repeater("A", &[], &[]);
    bench.input(Input::Restore { context: bench.context("A"), bytes: &record });
    bench.talk(&["A"], 12);
    assert_eq!(bench.hears("L"), [""; 0]);
}

#[test]
fn a_record_keeps_its_dynamics_when_a_context_comes_up_within_a_call() {
    let mut bench = Bench::new();
    bench.repeater("L", &[], &[91]);
    bench.over("L", Slot::One, 92);
    let record = bench.record("L");
    bench.switch = Switch::new(NODE, Settings::default());
    // A sibling's call is known before L is there again, by another listener.
    bench.repeater("M", &[], &[91]);
    bench.sibling(77, 4, &frame(7, 91, HEADER));
    bench.repeater("L", &[], &[91]);
    bench.input(Input::Restore { context: bench.context("L"), bytes: &record });
    assert_eq!(read_record(&bench.record("L")).unwrap().dynamics[0].len(), 1);
    // What the next replacement would find.
    assert_eq!(read_record(&bench.written["L"]).unwrap().dynamics[0].len(), 1);
}

#[test]
fn a_slot_that_a_context_heard_itself_on_is_offered_when_its_own_call_is_known() {
    let (record, key) = call_at_a_sibling();

    let mut here = Bench::new();
    here.repeater("M", &[], &[91, 92]);
    here.repeater("A", &[], &[]);
    here.sibling(key, 0, &frame(7, 91, HEADER));
    here.key("A", Slot::One, 92);
    // B logs in here in mid-call, and has both talkgroups on TS2.
    here.repeater("B", &[], &[91, 92]);
    here.input(Input::Restore { context: here.context("B"), bytes: &record });
    here.frame("B", Slot::One, 5, &frame(7, 91, VOICE));
    here.talk(&["A"], 6);
    assert!(!here.hears("B").is_empty(), "92 by A on TS2, which is free");
}

#[test]
fn an_adopted_call_contends_for_its_talkgroup() {
    let mut there = Bench::new();
    there.switch = Switch::new(SIBLING, Settings::default());
    there.repeater("B", &[], &[]);
    there.frame("B", Slot::One, 5, &frame(7, ALL_CALL, HEADER));
    let record = there.record("B");
    let key = there.forwarded[0].key;

    let mut here = Bench::new();
    here.repeater("L", &[], &[ALL_CALL]);
    here.sibling(key, 0, &frame(7, ALL_CALL, HEADER));
    here.repeater("B", &[], &[]);
    here.input(Input::Restore { context: here.context("B"), bytes: &record });
    here.frame("B", Slot::One, 5, &frame(7, ALL_CALL, VOICE));
    here.log(&[]);
    here.down("L");
    // B talks on, so siblings must go on telling of theirs.
    assert_eq!(here.log(&["unwanted"]), [""; 0]);
}

#[test]
fn who_roams_is_subscribed_to_what_he_talks_on() {
    let mut bench = Bench::new();
    for name in ["A", "B", "C"] {
        bench.repeater(name, &[], &[]);
    }
    // Radio 7 talks at A for three seconds, then at B, where A's end is lost.
    bench.frame("A", Slot::One, 5, &frame(7, 91, HEADER));
    for _ in 0..50 {
        bench.pass_ms(60);
        bench.frame("A", Slot::One, 5, &frame(7, 91, VOICE));
    }
    bench.frame("B", Slot::One, 6, &frame(7, 91, HEADER));
    for place in (0..6).cycle().take(50) {
        bench.pass_ms(60);
        bench.frame("B", Slot::One, 6, &frame(7, 91, BurstKind::Voice(place)));
    }
    assert!(!bench.hears("A").is_empty(), "B's call is carried");
    bench.frame("B", Slot::One, 6, &frame(7, 91, TERMINATOR));
    bench.hears("B");
    bench.over("C", Slot::One, 91);
    assert_eq!(bench.hears("B"), ["TS1 91 by C: 8"]);
}

#[test]
fn an_operator_who_drops_what_a_slot_sends_does_not_drop_what_it_has_not_heard_yet() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("L", &[], &[92]);
    // A call that is refused, but takes its slot on the air.
    bench.key_private("L", Slot::Two, 50);
    bench.key("A", Slot::One, 92);
    bench.talk(&["L", "A"], 3);
    bench.input(Input::DropCall { id: 250_001, slot: None });
    bench.hears("L");
    bench.talk(&["A"], 12);
    assert_eq!(bench.hears("L").len(), 1);
}

#[test]
fn who_displaces_a_talker_is_heard_where_that_one_was() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    bench.repeater("L", &[], &[91, 92]);
    let earlier = (bench.now.wall_us - 50_000) << 12;
    bench.key("A", Slot::One, 91);
    bench.key("B", Slot::One, 92);
    bench.talk(&["A", "B"], 1);
    bench.bursts("L");
    // A sibling's call on 91 that began before both.
    for place in (0..6).cycle().take(20) {
        bench.sibling(earlier, 4, &frame(7, 91, BurstKind::Voice(place)));
        bench.talk(&["A", "B"], 1);
    }
    let heard = bench.bursts("L");
    assert_eq!(heard.last().map(|heard| heard.frame.source), Some(7), "first come, first served");
}

#[test]
fn an_emergency_that_a_sibling_tells_late_is_in_the_made_up_header() {
    let mut bench = Bench::new();
    bench.repeater("M", &[], &[91]);
    let say = |bench: &mut Bench, place, options| {
        let frame = frame(7, 91, BurstKind::Voice(place));
        let forward = Forward { key: 77, index: 4, slot: Slot::One, options, frame };
        bench.input(Input::Remote { peer: 1, node: SIBLING, forward: &forward });
    };
    // The header was lost on the air: the embedded LC tells of the emergency, one superframe later.
    (0..6).for_each(|place| say(&mut bench, place, 0));
    bench.repeater("L", &[], &[91]);
    (0..6).for_each(|place| say(&mut bench, place, 0x80));
    let header = bench.bursts("L")[0].frame;
    assert_eq!(header.kind, HEADER);
    let lc = dmr::FullLc::from_burst(&header.burst, dmr::DataType::VOICE_HEADER).unwrap();
    assert!(lc.service_options().emergency());
}
