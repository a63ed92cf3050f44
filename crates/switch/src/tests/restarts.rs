//! What once went wrong when a worker was started again or a device came to another one: each a small case.

use dmr::BurstKind;
use stack::{CallType, Frame, Slot, Slots};

use super::bench::{Bench, HEADER, SIBLING, TERMINATOR, call_at_a_sibling, frame};
use crate::{Forward, Input, Place};

const VOICE: BurstKind = BurstKind::Voice(0);
const NONE: [&[u32]; 2] = [&[], &[]];

#[test]
fn a_call_that_waited_at_a_restart_gets_its_header_when_it_is_heard_at_last() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    bench.repeater("C", &[91], &[]);
    bench.key("A", Slot::One, 91);
    bench.key("B", Slot::One, 91);
    bench.talk(&["A", "B"], 3);
    bench.replace_switch(super::bench::NODE, Slots::Both, NONE);
    bench.repeater("C", &[91], &[]);
    bench.talk(&["A", "B"], 12);
    bench.unkey("A");
    bench.bursts("C");
    bench.talk(&["B"], 12);
    assert_eq!(bench.kinds("C").first(), Some(&(91, HEADER)));
}

#[test]
fn a_restart_does_not_swap_what_a_slot_hears() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    bench.repeater("C", &[91, 92], &[]);
    bench.key("A", Slot::One, 91);
    bench.key("B", Slot::One, 92);
    bench.talk(&["A", "B"], 3);
    assert_eq!(bench.hears("C"), ["TS1 91 by A: 4"]);
    bench.replace_switch(super::bench::NODE, Slots::Both, [&[91, 92], &[]]);
    // The burst of the other call comes first.
    bench.talk(&["B", "A"], 2);
    let heard = bench.kinds("C");
    let swapped = heard.iter().position(|(talkgroup, _)| *talkgroup == 92);
    assert!(swapped.is_none_or(|at| heard[at].1 == HEADER), "{heard:?}");
}

#[test]
fn a_call_that_ends_with_its_worker_gets_a_terminator() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[91], &[]);
    bench.key("A", Slot::One, 91);
    bench.talk(&["A"], 3);
    bench.replace_switch(super::bench::NODE, Slots::Both, [&[91], &[]]);
    bench.pass_ms(700);
    assert_eq!(bench.kinds("B").last(), Some(&(91, TERMINATOR)));
}

#[test]
fn a_private_call_goes_on_after_a_restart() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    let place = Place::Here { context: 250_001, slot: Slot::Two };
    bench.places.insert(bench.radio("B"), place);
    bench.key_private("A", Slot::One, bench.radio("B"));
    bench.talk(&["A"], 3);
    assert_eq!(bench.bursts("B").len(), 4);
    // The location table is of the worker's segment, which is new.
    bench.places.clear();
    bench.replace_switch(super::bench::NODE, Slots::Both, NONE);
    bench.talk(&["A"], 3);
    assert_eq!(bench.bursts("B").len(), 3);
}

#[test]
fn a_private_call_to_a_hotspot_goes_on_after_a_restart() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    // Known by its own ID, 250001.
    bench.key_private("A", Slot::One, 250_001);
    bench.talk(&["A"], 3);
    assert_eq!(bench.bursts("B").len(), 4);
    bench.places.clear();
    bench.replace_switch(super::bench::NODE, Slots::Both, NONE);
    bench.talk(&["A"], 3);
    assert_eq!(bench.bursts("B").len(), 3);
}

#[test]
fn a_long_call_that_a_restart_cut_in_two_is_no_short_key_up() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.frame("A", Slot::One, 5, &frame(7, 91, HEADER));
    for _ in 0..6 {
        for _ in 0..20 {
            bench.pass_ms(60);
            bench.frame("A", Slot::One, 5, &frame(7, 91, VOICE));
        }
    }
    let begun = bench.switch.sessions.iter().next().unwrap().1.begun;
    bench.replace_switch(super::bench::NODE, Slots::Both, NONE);
    let restored = bench.switch.sessions.iter().next().unwrap().1.begun;
    // It decides on short key-ups and on the time-out.
    assert_eq!(restored, begun);
}

#[test]
fn a_terminator_lost_in_a_ring_does_not_cost_the_next_call() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[91]);
    bench.sibling(77, 4, &frame(7, 91, HEADER));
    bench.sibling(77, 4, &frame(7, 91, VOICE));
    // Its terminator is lost. The same radio keys again.
    bench.pass_ms(300);
    bench.bursts("A");
    bench.sibling(78, 5, &frame(7, 91, HEADER));
    for place in (0..6).cycle().take(50) {
        bench.pass_ms(60);
        bench.sibling(78, 5, &frame(7, 91, BurstKind::Voice(place)));
    }
    let heard = bench.kinds("A");
    assert!(heard.len() > 30, "{} of 50", heard.len());
}

#[test]
fn a_device_that_logs_in_anew_at_another_worker_goes_on() {
    let mut bench = Bench::new();
    bench.repeater("L", &[], &[91]);
    // In mid-call its context goes there: that worker says a terminator.
    bench.sibling(77, 4, &frame(7, 91, HEADER));
    bench.sibling(77, 4, &frame(7, 91, VOICE));
    bench.sibling(77, 4, &frame(7, 91, TERMINATOR));
    bench.bursts("L");
    bench.repeater("A", &[], &[]);
    for place in (0..6).cycle().take(50) {
        bench.pass_ms(60);
        bench.frame("A", Slot::One, 5, &frame(7, 91, BurstKind::Voice(place)));
    }
    let heard = bench.kinds("L");
    assert!(heard.len() > 30, "{} of 50", heard.len());
}

#[test]
fn a_third_worker_hears_on_when_a_context_moves_to_another_node() {
    let mut bench = Bench::new();
    bench.repeater("L", &[], &[91]);
    let say = |bench: &mut Bench, peer, node, kind| {
        let forward = Forward { key: 77, index: 0, slot: Slot::One, options: 0, frame: frame(7, 91, kind) };
        bench.input(Input::Remote { peer, node, forward: &forward });
    };
    say(&mut bench, 1, SIBLING, HEADER);
    for place in (0..6).cycle().take(20) {
        bench.pass_ms(60);
        say(&mut bench, 1, SIBLING, BurstKind::Voice(place));
    }
    bench.bursts("L");
    // What the new owner sends: the key is the same, the node is its own.
    for place in (0..6).cycle().take(50) {
        bench.pass_ms(60);
        say(&mut bench, 2, SIBLING + 1, BurstKind::Voice(place));
    }
    let heard = bench.kinds("L");
    assert!(heard.len() > 30, "{} of 50", heard.len());
}

#[test]
fn a_call_that_moves_here_after_its_copy_has_timed_out_goes_on() {
    let (record, key) = call_at_a_sibling();

    let mut here = Bench::new();
    here.repeater("A", &[], &[91]);
    here.sibling(key, 0, &frame(7, 91, HEADER));
    here.pass_ms(700);
    here.bursts("A");
    here.repeater("B", &[], &[]);
    here.input(Input::Restore { context: here.context("B"), bytes: &record });
    here.frame("B", Slot::One, 5, &frame(7, 91, VOICE));
    assert_eq!(here.kinds("A").last(), Some(&(91, VOICE)));
}

#[test]
fn a_restored_private_loop_does_not_beat_the_call_itself() {
    let mut bench = Bench::new();
    for name in ["C", "B", "A"] {
        bench.repeater(name, &[], &[]);
    }
    bench.places.insert(50, Place::Here { context: 250_000, slot: Slot::Two });
    let call = |kind| Frame { call: CallType::Private, ..frame(7, 50, kind) };
    // A is first; B, whose context comes first, hears it too and is refused.
    bench.frame("A", Slot::One, 5, &call(HEADER));
    bench.frame("B", Slot::One, 6, &call(HEADER));
    let stream = bench.bursts("C")[0].stream;
    bench.replace_switch(super::bench::NODE, Slots::Both, NONE);
    bench.places.insert(50, Place::Here { context: 250_000, slot: Slot::Two });
    bench.frame("B", Slot::One, 6, &call(VOICE));
    bench.frame("A", Slot::One, 5, &call(VOICE));
    let streams: Vec<_> = bench.bursts("C").iter().map(|heard| heard.stream).collect();
    assert!(
        !streams.is_empty() && streams.iter().all(|&other| other == stream),
        "{stream} became {streams:?}"
    );
}

#[test]
fn a_call_that_its_worker_ended_before_its_replacement_read_the_end_is_ended_for_its_listeners() {
    let mut bench = Bench::new();
    bench.repeater("L", &[91], &[]);
    bench.sibling(77, 4, &frame(7, 91, HEADER));
    bench.sibling(77, 4, &frame(7, 91, VOICE));
    // This worker is replaced; the only thing left in the ring is the terminator.
    bench.replace_switch(super::bench::NODE, Slots::Both, [&[91], &[]]);
    bench.sibling(77, 4, &frame(7, 91, TERMINATOR));
    assert_eq!(bench.kinds("L").last(), Some(&(91, TERMINATOR)));
}
