//! What once went wrong: each a small case of its own.

use dmr::{BurstKind, Csbk, CsbkMessage, DataType, Sync};
use stack::{CallType, ContextKey, Frame, Now, Profile, Slot, Slots, Time};

use super::bench::{Bench, HEADER, SIBLING, TERMINATOR, frame};
use crate::{Forward, Input, Output, PARROT, Place, Settings, Switch};

const VOICE: BurstKind = BurstKind::Voice(0);
const NONE: [&[u32]; 2] = [&[], &[]];
const START: Now = Now { mono: Time(1_000_000_000), wall_us: 1_790_000_000_000_000 };

fn kinds(bench: &mut Bench, name: &str) -> Vec<(u32, BurstKind)> {
    bench.bursts(name).iter().map(|heard| (heard.frame.destination, heard.frame.kind)).collect()
}

/// A burst of the radio 7 on this stream.
fn preamble(target: u32, blocks_to_follow: u8) -> Frame {
    let message = CsbkMessage::Preamble { data: true, group: true, blocks_to_follow, target, source: 7 };
    let burst = Csbk::from(message).to_burst(1, Sync::MsData);
    Frame { burst, ..frame(7, target, BurstKind::Data(DataType::CSBK)) }
}

/// As the runtime does it: a batch of a ring first, then what comes out of it.
fn batch(
    switch: &mut Switch,
    now: Now,
    forwards: &[Forward],
    places: &[(u32, Place)],
) -> Vec<(ContextKey, Frame)> {
    for forward in forwards {
        switch.handle_input(now, Input::Remote { peer: 1, node: SIBLING, forward });
    }
    let mut heard = Vec::new();
    while let Some(output) = switch.poll_output() {
        match output {
            Output::Locate { index, session, radio } => {
                let place =
                    places.iter().find(|(other, _)| *other == radio).map_or(Place::Nowhere, |(_, p)| *p);
                switch.handle_input(now, Input::Located { index, session, place });
            }
            Output::Deliver { context, frame, .. } => heard.push((context, frame)),
            _ => {}
        }
    }
    heard
}

fn two_contexts() -> (Switch, [ContextKey; 2], [(u32, Place); 2]) {
    let mut switch = Switch::new(25_011, Settings::default());
    let keys = [0, 1].map(|index| ContextKey { shard: 0, index });
    for key in keys {
        let profile = Profile::repeater(250_000 + u32::from(key.index), Slots::Both, Default::default());
        switch.handle_input(START, Input::Up { context: key, profile });
    }
    while switch.poll_output().is_some() {}
    let place = |context| Place::Here { context, slot: Slot::Two };
    (switch, keys, [(50, place(250_000)), (51, place(250_001))])
}

fn private(key: u64, index: u16, to: u32, kind: BurstKind) -> Forward {
    let frame = Frame { call: CallType::Private, ..frame(7, to, kind) };
    Forward { key, index, slot: Slot::One, options: 0, frame }
}

#[test]
fn a_private_call_never_goes_to_the_place_of_another() {
    let (mut switch, keys, places) = two_contexts();
    // One call ends within the batch, and the next one has its number.
    let forwards = [private(77, 3, 50, HEADER), private(77, 3, 50, TERMINATOR), private(78, 3, 51, HEADER)];
    let heard = batch(&mut switch, START, &forwards, &places);
    for (context, frame) in heard {
        let right = if frame.destination == 50 { keys[0] } else { keys[1] };
        assert_eq!(context, right, "a call to {}", frame.destination);
    }
}

#[test]
fn the_parrot_says_all_of_it_whatever_else_happened() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    bench.key("A", Slot::One, PARROT);
    bench.talk(&["A"], 30);
    bench.unkey("A");
    bench.pass_ms(800);
    // A short call elsewhere, over before the parrot begins.
    bench.frame("B", Slot::One, 70, &frame(7, 92, HEADER));
    bench.frame("B", Slot::One, 70, &frame(7, 92, TERMINATOR));
    bench.pass_ms(5000);
    assert_eq!(bench.bursts("A").len(), 32);
}

#[test]
fn a_voice_call_with_a_preamble_in_it_still_ends_after_600_ms() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[91]);
    bench.frame("A", Slot::One, 5, &frame(7, 91, HEADER));
    bench.frame("A", Slot::One, 5, &preamble(91, 255));
    bench.pass_ms(700);
    assert_eq!(bench.switch.sessions(), 0);
}

#[test]
fn data_never_goes_out_within_voice() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[91]);
    bench.frame("A", Slot::One, 5, &frame(7, 91, HEADER));
    bench.bursts("B");
    bench.frame("A", Slot::One, 5, &frame(7, 91, BurstKind::Data(DataType::RATE_1)));
    assert_eq!(kinds(&mut bench, "B"), []);
}

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
    assert_eq!(kinds(&mut bench, "C").first(), Some(&(91, HEADER)));
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
    let heard = kinds(&mut bench, "C");
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
    assert_eq!(kinds(&mut bench, "B").last(), Some(&(91, TERMINATOR)));
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
fn what_an_operator_dropped_stays_dropped_when_he_drops_another() {
    let mut bench = Bench::new();
    bench.repeater("L", &[], &[91, 92]);
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    bench.key("A", Slot::One, 91);
    bench.talk(&["A"], 6);
    bench.input(Input::DropCall { id: 250_000, slot: None });
    bench.key("B", Slot::One, 92);
    bench.talk(&["A", "B"], 6);
    bench.input(Input::DropCall { id: 250_000, slot: None });
    bench.hears("L");
    bench.talk(&["A", "B"], 20);
    assert_eq!(bench.hears("L"), [""; 0]);
}

#[test]
fn a_call_that_two_repeaters_hear_is_one_key_up() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    for stream in 0..3 {
        for kind in [HEADER, VOICE, TERMINATOR] {
            bench.frame("A", Slot::One, 10 + stream, &frame(7, 91, kind));
            bench.frame("B", Slot::One, 20 + stream, &frame(7, 91, kind));
        }
        bench.pass_ms(5000);
    }
    assert_eq!(bench.log(&["blocked"]), [""; 0]);
}

#[test]
fn one_device_cannot_ban_a_radio_with_six_datagrams() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    // The victim talks at A; B says six times, without a pause, that it is the victim.
    bench.frame("A", Slot::One, 5, &frame(7, 91, HEADER));
    for stream in 10..17 {
        bench.pass_ms(40);
        bench.frame("B", Slot::One, stream, &frame(7, 92, HEADER));
    }
    assert_eq!(bench.log(&["blocked"]), [""; 0]);
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
    let heard = kinds(&mut bench, "A");
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
    let heard = kinds(&mut bench, "L");
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
    let heard = kinds(&mut bench, "L");
    assert!(heard.len() > 30, "{} of 50", heard.len());
}

#[test]
fn a_call_that_moves_here_after_its_copy_has_timed_out_goes_on() {
    let mut there = Bench::new();
    there.switch = Switch::new(SIBLING, Settings::default());
    there.repeater("B", &[], &[]);
    there.frame("B", Slot::One, 5, &frame(7, 91, HEADER));
    let record = there.record("B");
    let key = there.forwarded[0].key;

    let mut here = Bench::new();
    here.repeater("A", &[], &[91]);
    here.sibling(key, 0, &frame(7, 91, HEADER));
    here.pass_ms(700);
    here.bursts("A");
    here.repeater("B", &[], &[]);
    here.input(Input::Restore { context: here.context("B"), bytes: &record });
    here.frame("B", Slot::One, 5, &frame(7, 91, VOICE));
    assert_eq!(kinds(&mut here, "A").last(), Some(&(91, VOICE)));
}

#[test]
fn a_local_call_keeps_its_slot_for_the_answer() {
    let mut bench = Bench::new();
    bench.repeater("A", &[91], &[]);
    bench.repeater("B", &[], &[]);
    bench.over("A", Slot::One, crate::LOCAL);
    bench.over("B", Slot::One, 91);
    assert_eq!(bench.hears("A"), [""; 0]);
}

#[test]
fn a_radio_at_what_is_a_simplex_hotspot_now_is_called_on_its_only_slot() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    bench.over("A", Slot::One, 91);
    bench.simplex("A", &[91]);
    bench.key("B", Slot::One, 91);
    bench.talk(&["B"], 3);
    assert_eq!(bench.hears("A"), ["TS2 91 by B: 4"]);
    // It is busy now; its radio was heard on TS1 before.
    bench.repeater("C", &[], &[]);
    bench.key_private("C", Slot::One, bench.radio("A"));
    assert_eq!(bench.log(&["refused"]), [format!("refused {}: Busy", bench.radio("A"))]);
    assert_eq!(bench.hears("A"), [""; 0]);
}

#[test]
fn an_order_for_either_slot_reaches_a_simplex_hotspot() {
    let mut bench = Bench::new();
    bench.simplex("A", &[91]);
    bench.repeater("B", &[], &[]);
    bench.key("B", Slot::One, 91);
    bench.talk(&["B"], 3);
    bench.bursts("A");
    bench.input(Input::DropCall { id: 250_000, slot: Some(Slot::One) });
    assert_eq!(kinds(&mut bench, "A"), [(91, TERMINATOR)]);
}

#[test]
fn listening_to_a_call_for_the_parrot_allocates_nothing() {
    let mut switch = Switch::new(1, Settings { max_burst_rate: 0, ..Settings::default() });
    let key = ContextKey { shard: 0, index: 0 };
    let profile = Profile::repeater(1, Slots::Both, Default::default());
    switch.handle_input(START, Input::Up { context: key, profile });
    let say = |switch: &mut Switch, sequence, kind| {
        let frame = Frame { sequence, ..frame(7, PARROT, kind) };
        switch.handle_input(START, Input::Frame { context: key, slot: Slot::One, stream: 5, frame: &frame });
        while switch.poll_output().is_some() {}
    };
    say(&mut switch, 0, HEADER);
    let allocations = allocation_counter::measure(|| {
        for (sequence, place) in (1..=250).zip((0..6).cycle()) {
            say(&mut switch, sequence, BurstKind::Voice(place));
        }
    });
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn a_header_that_comes_twice_after_the_end_begins_nothing() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    let header = Frame { sequence: 0, ..frame(7, 91, HEADER) };
    for (sequence, kind) in [(0, HEADER), (1, VOICE), (2, TERMINATOR), (0, HEADER)] {
        let frame = &Frame { sequence, kind, ..header };
        bench.input(Input::Frame { context: bench.context("A"), slot: Slot::One, stream: 5, frame });
    }
    assert_eq!(bench.log(&["started"]), ["started 91"]);
}

#[test]
fn a_callee_whose_slot_is_taken_by_his_own_radio_refuses_the_rest() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    bench.places.insert(bench.radio("B"), Place::Here { context: 250_001, slot: Slot::Two });
    bench.key_private("A", Slot::One, bench.radio("B"));
    bench.talk(&["A"], 3);
    bench.log(&[]);
    bench.key("B", Slot::Two, 91);
    bench.talk(&["A", "B"], 3);
    // Nobody hears it any more; somebody should say so.
    assert_eq!(bench.log(&["refused"]).len(), 1);
}

#[test]
fn a_preamble_in_voice_does_not_split_the_cluster() {
    let mut a = Bench::new();
    a.repeater("A", &[], &[]);
    a.repeater("L", &[], &[91]);
    let mut b = Bench::new();
    b.switch = Switch::new(SIBLING, Settings::default());
    b.repeater("B", &[], &[]);
    b.repeater("M", &[], &[91]);
    let carry = |from: &mut Bench, to: &mut Bench, node| {
        for forward in std::mem::take(&mut from.forwarded) {
            to.input(Input::Remote { peer: 1, node, forward: &forward });
        }
    };
    let first = |kind| frame(7, 91, kind);
    for burst in [first(HEADER), first(VOICE), preamble(91, 255)] {
        a.frame("A", Slot::One, 5, &burst);
        carry(&mut a, &mut b, super::bench::NODE);
        a.pass_ms(60);
        b.pass_ms(60);
    }
    a.pass_ms(1000);
    b.pass_ms(1000);
    // The first has been silent for a second at the second worker.
    b.frame("B", Slot::One, 6, &frame(8, 91, HEADER));
    carry(&mut b, &mut a, SIBLING);
    a.bursts("L");
    b.bursts("M");
    for (n, place) in (0..48).zip((0..6).cycle()) {
        a.pass_ms(60);
        b.pass_ms(60);
        b.frame("B", Slot::One, 6, &frame(8, 91, BurstKind::Voice(place)));
        // The first goes on a second later.
        if n > 18 {
            a.frame("A", Slot::One, 5, &first(BurstKind::Voice(place)));
        }
        carry(&mut b, &mut a, SIBLING);
        carry(&mut a, &mut b, super::bench::NODE);
    }
    let last = |bench: &mut Bench, name: &str| bench.bursts(name).last().map(|heard| heard.frame.source);
    assert_eq!(last(&mut a, "L"), last(&mut b, "M"));
}

#[test]
fn a_radio_whose_signal_fades_is_not_banned() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    // One over of half a minute on one stream, a second of it lost every three.
    for _ in 0..8 {
        for place in (0..6).cycle().take(30) {
            bench.pass_ms(60);
            bench.frame("A", Slot::One, 5, &frame(7, 91, BurstKind::Voice(place)));
        }
        bench.pass_ms(1000);
    }
    assert_eq!(bench.log(&["blocked"]), [""; 0]);
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
    assert_eq!(kinds(&mut bench, "L").last(), Some(&(91, TERMINATOR)));
}

#[test]
fn an_encrypted_call_to_the_parrot_is_not_said_again() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.frame("A", Slot::One, 5, &frame(7, PARROT, HEADER));
    bench.frame("A", Slot::One, 5, &frame(7, PARROT, VOICE));
    bench.frame("A", Slot::One, 5, &frame(7, PARROT, BurstKind::Data(DataType::PI_HEADER)));
    bench.frame("A", Slot::One, 5, &frame(7, PARROT, TERMINATOR));
    bench.pass_ms(5000);
    assert_eq!(bench.bursts("A").len(), 0);
}

#[test]
fn two_radios_on_one_slot_are_not_banned_for_taking_turns() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    // A bridge behind one context mixes two long calls on one slot.
    for place in (0..6).cycle().take(300) {
        bench.pass_ms(40);
        bench.frame("A", Slot::One, 5, &frame(7, 91, BurstKind::Voice(place)));
        bench.pass_ms(20);
        bench.frame("A", Slot::One, 6, &frame(8, 91, BurstKind::Voice(place)));
    }
    assert_eq!(bench.log(&["blocked"]), [""; 0]);
}

#[test]
fn the_slot_of_a_callee_who_moved_within_the_call_is_asked_again() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    bench.places.insert(bench.radio("B"), Place::Here { context: 250_001, slot: Slot::Two });
    bench.key_private("A", Slot::One, bench.radio("B"));
    bench.talk(&["A"], 3);
    assert_eq!(bench.bursts("B").len(), 4);
    // B logs in anew within the call.
    bench.down("B");
    bench.repeater("B", &[], &[]);
    bench.talk(&["A"], 12);
    assert!(!bench.bursts("B").is_empty() || !bench.log(&["refused"]).is_empty());
}
