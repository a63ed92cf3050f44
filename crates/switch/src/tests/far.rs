//! Far sessions: calls that come from other hosts.

use std::time::Duration;

use dmr::BurstKind;
use stack::{CallType, Frame, Slot};

use super::bench::{Bench, HEADER, NODE, TERMINATOR, frame};
use crate::{FAR, FAR_TIMEOUT, Forward, Input, Output, Place, SessionId, Switch};

const VOICE: BurstKind = BurstKind::Voice(0);
const SECOND: Duration = Duration::from_secs(1);

/// A session that another host's clock says began so many milliseconds after now; before, where that is negative.
fn far_id(bench: &Bench, after_ms: i64, node: u32) -> SessionId {
    let us = bench.now.wall_us.saturating_add_signed(after_ms * 1000);
    SessionId { key: us << 12, node }
}

/// Repeater L listens to 91, T may talk on it.
fn two() -> Bench {
    let mut bench = Bench::new();
    bench.repeater("L", &[], &[91]);
    bench.repeater("T", &[91], &[]);
    bench.log(&[]);
    bench
}

#[test]
fn bursts_of_another_host_are_in_order_and_wait_for_nothing() {
    let mut bench = two();
    let id = far_id(&bench, 0, 26_211);
    let forward = Forward { key: id.key, index: 3, slot: Slot::One, options: 0, frame: frame(7, 91, VOICE) };
    let input = Input::Remote { peer: FAR, node: id.node, forward: &forward };
    bench.switch.handle_input(bench.now, input);
    let outputs: Vec<Output> = std::iter::from_fn(|| bench.switch.poll_output()).collect();
    assert!(outputs.iter().all(|output| !matches!(output, Output::Moved { .. })), "{outputs:?}");
    // The same session under another number: its jitter buffer is a new one.
    bench.far(id, 4, &frame(7, 91, VOICE));
    bench.far(id, 4, &frame(7, 91, TERMINATOR));
    assert_eq!(bench.switch.sessions.iter().count(), 0);
    assert!(bench.forwarded.is_empty());
}

#[test]
fn a_far_call_is_over_after_a_second_of_silence_and_goes_on_with_its_next_burst() {
    let mut bench = two();
    let id = far_id(&bench, 0, 26_211);
    bench.far(id, 3, &frame(7, 91, HEADER));
    bench.far(id, 3, &frame(7, 91, VOICE));
    bench.pass(FAR_TIMEOUT);
    assert_eq!(bench.kinds("L"), [(91, HEADER), (91, VOICE), (91, TERMINATOR)]);
    assert_eq!(bench.switch.sessions.iter().count(), 0);
    bench.far(id, 3, &frame(7, 91, BurstKind::Voice(4)));
    bench.far(id, 3, &frame(7, 91, VOICE));
    bench.far(id, 3, &frame(7, 91, TERMINATOR));
    assert_eq!(bench.kinds("L"), [(91, HEADER), (91, VOICE), (91, TERMINATOR)]);
    // What ended it here ends it once.
    bench.far(id, 3, &frame(7, 91, TERMINATOR));
    assert_eq!((bench.kinds("L"), bench.switch.sessions.iter().count()), (vec![], 0));
}

#[test]
fn a_call_that_was_restored_is_over_after_a_second_once_it_is_known_to_be_far() {
    let mut bench = two();
    let id = far_id(&bench, 0, 26_211);
    bench.far(id, 3, &frame(7, 91, HEADER));
    bench.replace_switch(NODE, stack::Slots::Both, [&[], &[91]]);
    bench.bursts("L");
    bench.far(id, 0, &frame(7, 91, VOICE));
    bench.pass(FAR_TIMEOUT);
    assert_eq!(bench.kinds("L"), [(91, VOICE), (91, TERMINATOR)]);
}

#[test]
fn a_call_that_was_restored_is_known_to_be_far_by_its_node() {
    for (near, rest) in
        [(vec![NODE], FAR_TIMEOUT), (vec![], crate::SIBLING_TIMEOUT), (vec![26_211], crate::SIBLING_TIMEOUT)]
    {
        let mut bench = two();
        let id = far_id(&bench, 0, 26_211);
        bench.far(id, 3, &frame(7, 91, HEADER));
        bench.near = near;
        bench.replace_switch(NODE, stack::Slots::Both, [&[], &[91]]);
        bench.bursts("L");
        bench.pass(rest - SECOND / 10);
        assert_eq!(bench.kinds("L"), []);
        bench.pass(SECOND / 10);
        assert_eq!(bench.kinds("L"), [(91, TERMINATOR)], "{rest:?}");
    }
}

#[test]
fn the_smaller_id_wins_however_long_the_other_has_talked() {
    let mut bench = two();
    bench.key("T", Slot::One, 91);
    bench.talk(&["T"], 83);
    let earlier = far_id(&bench, -9000, 26_211);
    bench.far(earlier, 3, &frame(7, 91, VOICE));
    assert_eq!(bench.log(&["refused"]), ["refused 91: Taken"]);
    // Whoever heard it here or elsewhere hears that it is over.
    assert_eq!(bench.forwarded.pop().unwrap().frame.kind, TERMINATOR);
    bench.forwarded.clear();
    bench.talk(&["T"], 3);
    assert!(bench.forwarded.is_empty(), "the loser is sent nowhere");
    assert_eq!(bench.hears("L"), ["TS2 91 by T: 85", "TS2 91 by 7: 2"]);
    bench.far(earlier, 3, &frame(7, 91, TERMINATOR));
    bench.talk(&["T"], 12);
    bench.unkey("T");
    assert_eq!(bench.log(&["carried"]), ["carried 91"]);
    // Late entry: from burst A on.
    assert_eq!(bench.hears("L"), ["TS2 91 by 7: 1", "TS2 91 by T: 10"]);
    assert_eq!(bench.forwarded.len(), 13);
}

#[test]
fn the_larger_id_loses_however_soon_it_comes() {
    let mut bench = two();
    bench.key("T", Slot::One, 91);
    let later = far_id(&bench, 1, 26_211);
    bench.far(later, 3, &frame(7, 91, HEADER));
    bench.talk(&["T"], 2);
    bench.far(later, 3, &frame(7, 91, VOICE));
    bench.far(later, 3, &frame(7, 91, TERMINATOR));
    assert_eq!(bench.hears("L"), ["TS2 91 by T: 3"]);
    assert_eq!(bench.log(&["refused"]), [""; 0]);
}

#[test]
fn of_two_from_afar_the_smaller_id_wins_whichever_comes_first() {
    for (node, first_ms) in [(26_221, 0), (26_221, 5000), (26_211, 5000)] {
        let mut bench = two();
        let first = far_id(&bench, first_ms, node);
        let second = far_id(&bench, 0, 26_211);
        if first == second {
            continue;
        }
        for _ in 0..50 {
            bench.far(first, 3, &frame(7, 91, VOICE));
            bench.pass_ms(60);
        }
        // Of two of the same node, too: its own order may not be that in which they come.
        for _ in 0..3 {
            bench.far(second, 4, &frame(8, 91, VOICE));
            bench.far(first, 3, &frame(7, 91, VOICE));
        }
        bench.far(second, 4, &frame(8, 91, TERMINATOR));
        bench.far(first, 3, &frame(7, 91, VOICE));
        bench.far(first, 3, &frame(7, 91, TERMINATOR));
        let hears = ["TS2 91 by 7: 52", "TS2 91 by 8: 5", "TS2 91 by 7: 3"];
        assert_eq!(bench.hears("L"), hears, "{node} {first_ms}");
        assert_eq!(bench.switch.sessions.iter().count(), 0);
    }
}

#[test]
fn who_is_silent_loses_and_has_the_talk_again_when_he_is_heard_again() {
    let mut bench = two();
    let earlier = far_id(&bench, -9000, 26_211);
    bench.far(earlier, 3, &frame(7, 91, VOICE));
    bench.key("T", Slot::One, 91);
    bench.talk(&["T"], 10);
    assert_eq!(bench.log(&["refused", "carried"]), ["refused 91: Taken", "carried 91"]);
    bench.talk(&["T"], 80);
    bench.bursts("L");
    bench.far(earlier, 3, &frame(7, 91, VOICE));
    assert_eq!(bench.kinds("L"), [(91, TERMINATOR), (91, HEADER), (91, VOICE)]);
    assert_eq!(bench.log(&["refused"]), ["refused 91: Taken"]);
}

#[test]
fn who_begins_after_a_call_from_afar_has_the_larger_id_although_his_clock_is_behind() {
    let minute = 60_000;
    for (ahead_ms, is_heeded) in [(9 * minute, true), (11 * minute, false), (365 * 24 * 60 * minute, false)] {
        let mut bench = two();
        // Nobody here wants that talkgroup; that it was heard of is enough.
        let id = far_id(&bench, ahead_ms, 26_211);
        bench.far(id, 3, &frame(7, 92, HEADER));
        let next = bench.switch.next_id(bench.now);
        assert_eq!(next > id, is_heeded, "{ahead_ms}");
        let lead_us = (next.key >> 12).saturating_sub(bench.now.wall_us);
        assert!(lead_us <= 10 * 60 * 1_000_000, "{lead_us}");
        assert!(bench.switch.next_id(bench.now) > next);
    }
}

#[test]
fn a_worker_that_is_replaced_gives_no_key_again() {
    let mut bench = two();
    let id = far_id(&bench, 5000, 26_211);
    let mut keys = std::collections::BTreeSet::new();
    for _ in 0..10 {
        bench.switch = Switch::new(NODE, crate::Settings::default());
        bench.far(id, 3, &frame(7, 92, HEADER));
        assert!((0..100).all(|_| keys.insert(bench.switch.next_id(bench.now).key)));
        bench.pass_ms(777);
    }
}

#[test]
fn a_copy_from_another_host_waits_whatever_the_clocks_say() {
    // Under the copy's clock it began before the call that it is a copy of.
    for skew_ms in [-9000, -1000, 100, 1000, 9000] {
        let mut bench = two();
        bench.key("T", Slot::One, 91);
        let talker = bench.radio("T");
        bench.talk(&["T"], 5);
        let copy = far_id(&bench, skew_ms, 26_211);
        bench.far(copy, 3, &frame(talker, 91, HEADER));
        bench.talk(&["T"], 2);
        // What it was made from is not sent any more, so it ends; or it ends with it.
        if skew_ms < -300 {
            assert_eq!(bench.log(&["refused"]), ["refused 91: Loop"]);
            bench.far(copy, 3, &frame(talker, 91, TERMINATOR));
            bench.talk(&["T"], 17);
            assert_eq!(bench.log(&["carried"]), ["carried 91"], "{skew_ms}");
        }
        bench.unkey("T");
        bench.far(copy, 3, &frame(talker, 91, VOICE));
        bench.far(copy, 3, &frame(talker, 91, TERMINATOR));
        bench.pass(SECOND);
        assert_eq!(bench.switch.sessions.iter().count(), 0);
    }
}

#[test]
fn whose_call_was_heard_elsewhere_before_is_not_taken_for_its_copy() {
    // By the clock of the other host it is still to begin: whoever begins here after it does so right after it.
    let mut bench = two();
    let id = far_id(&bench, 9000, 26_211);
    let talker = bench.radio("T");
    for _ in 0..80 {
        bench.far(id, 3, &frame(talker, 91, VOICE));
        bench.pass_ms(60);
    }
    bench.key("T", Slot::One, 91);
    assert_eq!(bench.log(&["refused"]), ["refused 91: Loop"]);
    bench.far(id, 3, &frame(talker, 91, TERMINATOR));
    bench.talk(&["T"], 20);
    assert_eq!(bench.log(&["carried"]), ["carried 91"]);
}

#[test]
fn a_session_of_this_host_never_comes_from_afar() {
    let mut bench = two();
    bench.sibling(77, 4, &frame(7, 91, HEADER));
    bench.key("T", Slot::One, 92);
    let own = SessionId { key: bench.forwarded[0].key, node: NODE };
    bench.bursts("L");
    let forged = [SessionId { key: 77, node: super::bench::SIBLING }, own, SessionId { key: 5, node: NODE }];
    for id in forged {
        for kind in [HEADER, VOICE, TERMINATOR] {
            bench.far(id, 3, &frame(7, 91, kind));
            bench.far(id, 4, &frame(bench.radio("T"), 92, kind));
        }
    }
    assert_eq!((bench.bursts("L").len(), bench.switch.sessions.iter().count()), (0, 2));
    bench.sibling(77, 4, &frame(7, 91, VOICE));
    assert_eq!(bench.bursts("L").len(), 1);
}

#[test]
fn what_becomes_of_a_private_call_from_afar_is_told_once() {
    let mut bench = two();
    let call = |radio, kind| Frame { call: CallType::Private, ..frame(7, radio, kind) };
    let radio = bench.radio("L");
    bench.places.insert(radio, Place::Here { context: 250_000, slot: Slot::Two });
    bench.places.insert(99, Place::Here { context: 1, slot: Slot::Two });
    bench.places.insert(98, Place::Elsewhere);
    let ids: [SessionId; 5] = std::array::from_fn(|n| far_id(&bench, n as i64, 26_211));
    let say = |bench: &mut Bench, kind| {
        for (id, to) in ids.into_iter().zip([radio, radio, 99, 98, 97]) {
            bench.far(id, (id.key >> 12) as u16, &call(to, kind));
        }
    };
    say(&mut bench, HEADER);
    for _ in 0..20 {
        bench.pass_ms(60);
        say(&mut bench, VOICE);
    }
    // The second to the same radio finds it busy, one's radio has gone; the others are no affair of ours.
    assert_eq!(bench.log(&["refused"]), [format!("refused {radio}: Busy"), "refused 99: NoRoute".to_owned()]);
    assert_eq!(bench.bursts("L").len(), 21);
    say(&mut bench, TERMINATOR);
    assert_eq!(bench.switch.sessions.iter().count(), 0);
}
