//! Calls that come from other workers.

use dmr::BurstKind;
use stack::{CallType, Frame, Slot};

use super::bench::{Bench, HEADER, SIBLING, TERMINATOR, call_at_a_sibling, frame};
use crate::{Forward, Input, Output, SIBLING_TIMEOUT, STREAM_TIMEOUT, SessionId};

const VOICE: BurstKind = BurstKind::Voice(0);

fn one() -> Bench {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[91]);
    bench.log(&[]);
    bench
}

#[test]
fn a_wanted_call_is_delivered_and_not_sent_on() {
    let mut bench = one();
    for kind in [HEADER, VOICE, VOICE, TERMINATOR] {
        bench.sibling(77, 4, &frame(7, 91, kind));
    }
    let heard = bench.bursts("A");
    assert_eq!(heard.len(), 4);
    let stream = SessionId { key: 77, node: SIBLING }.stream();
    assert!(heard.iter().all(|heard| (heard.slot, heard.stream) == (Slot::Two, stream)));
    assert!(bench.forwarded.is_empty());
    // Events are its own worker's affair.
    assert_eq!(bench.log(&[""]), ["changed A"; 2]);
    assert_eq!(bench.switch.sessions.iter().count(), 0);
}

#[test]
fn what_nobody_wants_is_ignored() {
    let mut bench = one();
    bench.repeater("B", &[9990], &[]);
    bench.sibling(1, 0, &frame(7, 92, HEADER));
    bench.sibling(2, 1, &frame(7, 9990, HEADER));
    bench.sibling(3, 2, &frame(7, 91, TERMINATOR));
    bench.sibling(4, 3, &Frame { call: CallType::Private, ..frame(7, 91, HEADER) });
    // A call to 93 runs here, but nobody here listens to it.
    bench.frame("A", Slot::One, 5, &frame(7, 93, BurstKind::Data(dmr::DataType::CSBK)));
    bench.sibling(5, 4, &frame(7, 93, HEADER));
    // The private one is remembered, so that its next bursts need no look-up.
    assert_eq!(bench.switch.sessions.iter().count(), 2);
    assert_eq!((bench.hears("A").len(), bench.hears("B").len()), (0, 0));
}

#[test]
fn a_call_outlives_the_hang_of_its_worker() {
    let mut bench = one();
    bench.sibling(77, 4, &frame(7, 91, HEADER));
    bench.pass_ms(5500);
    bench.sibling(77, 4, &frame(7, 91, BurstKind::Voice(3)));
    assert_eq!(bench.hears("A"), ["TS2 91 by 7: 2"]);
    // Another talker need not wait for it.
    bench.pass_ms(600);
    bench.sibling(78, 5, &frame(8, 91, HEADER));
    assert_eq!(bench.hears("A"), ["TS2 91 by 7: 1", "TS2 91 by 8: 1"]);
}

#[test]
fn what_a_context_says_after_it_has_moved_overtakes_nothing() {
    let mut bench = one();
    let said = |sequence| {
        let frame = Frame { sequence, ..frame(7, 91, if sequence == 0 { HEADER } else { VOICE }) };
        Forward { key: 77, index: 0, slot: Slot::One, options: 0, frame }
    };
    bench.input(Input::Remote { peer: 1, node: SIBLING, forward: &said(0) });
    // What the sibling that it has moved to has published is read first.
    let mut moved = Vec::new();
    for (peer, number) in [(2, 2), (2, 3), (1, 1), (2, 4)] {
        let input = Input::Remote { peer, node: SIBLING, forward: &said(number) };
        bench.switch.handle_input(bench.now, input);
        moved.extend(std::iter::from_fn(|| bench.switch.poll_output()));
    }
    let numbers = |outputs: &[Output]| -> Vec<(bool, u8)> {
        let number = |output: &Output| match output {
            Output::Deliver { frame, .. } => Some((false, frame.sequence)),
            Output::Moved { forward, .. } => Some((true, forward.frame.sequence)),
            _ => None,
        };
        outputs.iter().filter_map(number).collect()
    };
    assert_eq!(numbers(&moved), [(true, 2), (true, 3), (false, 1), (true, 4)]);
    for output in moved {
        if let Output::Moved { peer, node, forward } = output {
            bench.input(Input::Moved { peer, node, forward: &forward });
        }
    }
    bench.input(Input::Remote { peer: 2, node: SIBLING, forward: &said(5) });
    let heard: Vec<u8> = bench.bursts("A").iter().map(|heard| heard.frame.sequence).collect();
    assert_eq!(heard, [0, 2, 3, 4, 5]);
}

#[test]
fn what_nobody_wants_waits_for_nothing() {
    let mut bench = one();
    let said = frame(7, 92, VOICE);
    let forward = Forward { key: 77, index: 0, slot: Slot::One, options: 0, frame: said };
    bench.switch.handle_input(bench.now, Input::Remote { peer: 1, node: SIBLING, forward: &forward });
    assert!(bench.switch.poll_output().is_none());
}

#[test]
fn a_terminator_does_not_overtake_its_call() {
    let mut bench = one();
    let said = |kind| Forward { key: 77, index: 0, slot: Slot::One, options: 0, frame: frame(7, 91, kind) };
    // Both are read before either may go on.
    let mut moved = Vec::new();
    for kind in [VOICE, TERMINATOR] {
        let input = Input::Remote { peer: 1, node: SIBLING, forward: &said(kind) };
        bench.switch.handle_input(bench.now, input);
        moved.extend(std::iter::from_fn(|| bench.switch.poll_output()));
    }
    assert_eq!(moved.len(), 2);
    for output in moved {
        let Output::Moved { peer, node, forward } = output else { panic!("{output:?}") };
        bench.input(Input::Moved { peer, node, forward: &forward });
    }
    assert_eq!(bench.switch.sessions.iter().count(), 0);
}

#[test]
fn who_fell_silent_and_comes_back_has_the_talk_again_as_where_it_came_in() {
    let mut bench = one();
    let second = |bench: &mut Bench, kind| {
        let forward = Forward { key: 78, index: 5, slot: Slot::One, options: 0, frame: frame(8, 91, kind) };
        bench.input(Input::Remote { peer: 2, node: SIBLING + 1, forward: &forward });
    };
    bench.sibling(77, 4, &frame(7, 91, HEADER));
    bench.pass_ms(700);
    second(&mut bench, HEADER);
    bench.pass_ms(550);
    second(&mut bench, VOICE);
    assert_eq!(bench.hears("A").last().map(String::as_str), Some("TS2 91 by 8: 2"));
    // At its own worker the first has had it all the time: all workers decide alike.
    for place in 0..6 {
        bench.sibling(77, 4, &frame(7, 91, BurstKind::Voice(place)));
        second(&mut bench, BurstKind::Voice(place));
    }
    let talkers: Vec<u32> = bench.bursts("A").iter().map(|heard| heard.frame.source).collect();
    assert_eq!((talkers[0], talkers.last()), (8, Some(&7)), "{talkers:?}");
    assert!(talkers[1..].iter().all(|&talker| talker == 7), "{talkers:?}");
}

#[test]
fn a_radio_need_not_wait_for_its_own_call_that_fell_silent() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[91]);
    bench.repeater("B", &[], &[]);
    bench.sibling(77, 4, &frame(7, 91, HEADER));
    bench.pass_ms(1700);
    bench.frame("B", Slot::One, 5, &frame(7, 91, HEADER));
    bench.frame("B", Slot::One, 5, &frame(7, 91, VOICE));
    assert_eq!(bench.log(&["refused"]), [""; 0]);
    let streams: std::collections::BTreeSet<u32> =
        bench.bursts("A").iter().map(|heard| heard.stream).collect();
    assert_eq!(streams.len(), 2);
}

#[test]
fn siblings_hear_of_the_end_of_a_call_that_moved_and_was_never_heard_again() {
    let (record, key) = call_at_a_sibling();
    let mut here = one();
    here.repeater("B", &[], &[]);
    here.input(Input::Restore { context: here.context("B"), bytes: &record });
    here.pass(STREAM_TIMEOUT);
    let ends: Vec<_> = here.forwarded.iter().map(|forward| (forward.key, forward.frame.kind)).collect();
    assert_eq!(ends, [(key, TERMINATOR)]);
}

#[test]
fn a_silent_call_ends_and_its_terminator_begins_nothing() {
    let mut bench = one();
    bench.sibling(77, 4, &frame(7, 91, VOICE));
    bench.pass(SIBLING_TIMEOUT);
    assert_eq!(bench.switch.sessions.iter().count(), 0);
    bench.sibling(77, 4, &frame(7, 91, TERMINATOR));
    // With the header and the terminator that are made up.
    assert_eq!(bench.hears("A"), ["TS2 91 by 7: 3"]);
}

#[test]
fn a_number_is_used_again_for_the_next_call() {
    let mut bench = one();
    bench.sibling(77, 4, &frame(7, 91, VOICE));
    bench.sibling(77, 4, &frame(7, 91, TERMINATOR));
    bench.sibling(78, 4, &frame(8, 91, VOICE));
    assert_eq!(bench.hears("A"), ["TS2 91 by 7: 3", "TS2 91 by 8: 2"]);
}

#[test]
fn two_siblings_with_the_same_number() {
    let mut bench = one();
    bench.repeater("A", &[92], &[91]);
    for (peer, talkgroup) in [(1, 91), (2, 92), (1, 91), (2, 92)] {
        let forward =
            Forward { key: 5, index: 0, slot: Slot::One, options: 0, frame: frame(7, talkgroup, VOICE) };
        bench.input(Input::Remote { peer, node: SIBLING + u32::from(peer), forward: &forward });
    }
    assert_eq!(bench.bursts("A").len(), 2 * 3);
    assert_eq!(bench.switch.sessions.iter().count(), 2);
}

#[test]
fn a_sibling_that_starts_again_goes_on_under_another_number() {
    let mut bench = one();
    bench.sibling(77, 4, &frame(7, 91, VOICE));
    bench.sibling(77, 0, &frame(7, 91, VOICE));
    bench.sibling(77, 0, &frame(7, 91, TERMINATOR));
    assert_eq!(bench.hears("A"), ["TS2 91 by 7: 4"]);
    assert_eq!(bench.switch.sessions.iter().count(), 0);
}

#[test]
fn a_call_that_was_remote_becomes_ours_with_its_context() {
    let mut there = Bench::new();
    there.switch = crate::Switch::new(SIBLING, crate::Settings::default());
    there.repeater("B", &[], &[]);
    there.frame("B", Slot::One, 5, &frame(7, 91, HEADER));
    let record = there.record("B");
    let key = there.forwarded[0].key;

    let mut here = one();
    here.sibling(key, 0, &frame(7, 91, HEADER));
    here.repeater("B", &[], &[]);
    here.input(Input::Restore { context: here.context("B"), bytes: &record });
    here.frame("B", Slot::One, 5, &frame(7, 91, VOICE));
    // What the last owner has published late.
    here.sibling(key, 0, &frame(7, 91, VOICE));
    here.frame("B", Slot::One, 5, &frame(7, 91, TERMINATOR));
    let kinds: Vec<_> = here.bursts("A").iter().map(|heard| heard.frame.kind).collect();
    assert_eq!(kinds, [HEADER, VOICE, TERMINATOR], "without a seam");
}
