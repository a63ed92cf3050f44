//! What once went wrong: each a small case of its own.

use dmr::{BurstKind, Csbk, CsbkMessage, DataType, Sync};
use stack::{CallType, ContextKey, Frame, Now, Profile, Slot, Slots, Time};

use super::bench::{Bench, HEADER, SIBLING, TERMINATOR, frame};
use crate::{Forward, Input, Output, PARROT, Place, Settings, Switch};

const VOICE: BurstKind = BurstKind::Voice(0);
const START: Now = Now { mono: Time(1_000_000_000), wall_us: 1_790_000_000_000_000 };

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
    assert_eq!(bench.kinds("B"), []);
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
    assert_eq!(bench.kinds("A"), [(91, TERMINATOR)]);
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
