//! Sessions: what begins and what ends them.

use dmr::{BurstKind, DataType};
use stack::{CallType, Frame, Slot, Slots};

use super::bench::{Bench, HEADER, TERMINATOR, frame};
use crate::call::Call;
use crate::session::{Origin, Session};
use crate::{Input, SessionId};

const VOICE: BurstKind = BurstKind::Voice(0);

/// A and B on talkgroup 91: A on TS1, B on TS2.
fn two() -> Bench {
    let mut bench = Bench::new();
    bench.repeater("A", &[91], &[]);
    bench.repeater("B", &[], &[91]);
    bench.log(&[]);
    bench
}

#[test]
fn a_static_talkgroup_is_heard_on_the_receivers_slot() {
    let mut bench = two();
    bench.over("A", Slot::One, 91);
    assert_eq!(bench.hears("B"), ["TS2 91 by A: 8"]);
    assert_eq!(bench.hears("A"), [""; 0]);
    let log = bench.log(&["started", "stopped", "heard", "changed"]);
    assert_eq!(
        log,
        ["changed A", "started 91", "heard 2500000 on TS1", "changed A", "stopped 91: Terminator, 6 bursts"]
    );
    assert_eq!(bench.forwarded.len(), 8);
}

#[test]
fn a_burst_passes_as_it_came() {
    let mut bench = two();
    let lc = dmr::FullLc::group(7, 91);
    let call = dmr::VoiceCall::new(lc, 1, dmr::Sync::BsVoice, [[0x5A; dmr::AMBE_LEN]; 12]);
    for (sequence, (kind, burst)) in (200..).zip(call) {
        let sent = Frame { ber: 3, rssi: 90, sequence, burst, ..frame(7, 91, kind) };
        let context = bench.context("A");
        bench.input(Input::Frame { context, slot: Slot::One, stream: 5, frame: &sent });
        let heard = bench.bursts("B");
        assert_eq!((heard.len(), heard[0].frame), (1, sent));
        assert_eq!(bench.forwarded.pop().unwrap().frame, sent);
    }
}

#[test]
fn nobody_hears_himself_on_neither_slot() {
    let mut bench = two();
    bench.repeater("A", &[91], &[91]);
    bench.over("A", Slot::One, 91);
    bench.over("A", Slot::Two, 91);
    assert_eq!(bench.hears("A"), [""; 0]);
}

#[test]
fn a_talkgroup_on_both_slots_is_heard_once() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[91], &[91]);
    bench.over("A", Slot::One, 91);
    assert_eq!(bench.hears("B"), ["TS1 91 by A: 8"]);
}

#[test]
fn a_silent_call_ends_after_600_ms() {
    let mut bench = two();
    bench.key("A", Slot::One, 91);
    bench.talk(&["A"], 2);
    bench.pass_ms(599);
    assert_eq!(bench.log(&["stopped"]), [""; 0]);
    bench.pass_ms(1);
    assert_eq!(bench.log(&["stopped"]), ["stopped 91: Timeout, 2 bursts"]);
    assert_eq!(bench.switch.sessions(), 0);
    // Its slots are free: after the hang time another talkgroup is heard there.
    bench.pass_ms(3000);
    bench.repeater("C", &[], &[2]);
    bench.repeater("B", &[], &[91, 2]);
    bench.hears("B");
    bench.over("C", Slot::Two, 2);
    assert_eq!(bench.hears("B"), ["TS2 2 by C: 8"]);
}

#[test]
fn a_call_without_a_header_joins_late() {
    let mut bench = two();
    for place in [3, 4, 5, 0, 1] {
        bench.frame("A", Slot::One, 5, &frame(7, 91, BurstKind::Voice(place)));
    }
    let kinds: Vec<_> = bench.bursts("B").iter().map(|heard| heard.frame.kind).collect();
    assert_eq!(kinds, [HEADER, BurstKind::Voice(0), BurstKind::Voice(1)]);
    assert_eq!(bench.log(&["started"]), ["started 91"]);
}

#[test]
fn late_bursts_begin_nothing_and_a_header_does() {
    let mut bench = two();
    bench.frame("A", Slot::One, 5, &frame(7, 91, HEADER));
    bench.frame("A", Slot::One, 5, &frame(7, 91, TERMINATOR));
    bench.hears("B");
    bench.log(&[]);
    for kind in [VOICE, TERMINATOR, VOICE] {
        bench.frame("A", Slot::One, 5, &frame(7, 91, kind));
    }
    assert_eq!(bench.log(&["dropped", "started"]), ["dropped: Late"; 3]);
    assert_eq!(bench.hears("B"), [""; 0]);
    bench.frame("A", Slot::One, 5, &frame(7, 91, HEADER));
    assert_eq!(bench.hears("B"), ["TS2 91 by 7: 1"]);
    // A second after the end nothing is late any more.
    bench.frame("A", Slot::One, 5, &frame(7, 91, TERMINATOR));
    bench.pass_ms(1000);
    bench.frame("A", Slot::One, 5, &frame(7, 91, VOICE));
    assert_eq!(bench.hears("B"), ["TS2 91 by 7: 1", "TS2 91 by 7: 2"]);
}

#[test]
fn a_terminator_or_an_idle_burst_alone_begins_nothing() {
    let mut bench = two();
    bench.frame("A", Slot::One, 5, &frame(7, 91, TERMINATOR));
    bench.frame("A", Slot::One, 5, &frame(7, 91, BurstKind::Data(DataType::IDLE)));
    assert_eq!(bench.log(&["started", "stopped", "dropped"]), ["dropped: Late"]);
}

#[test]
fn stream_id_0_for_all_calls() {
    let mut bench = two();
    bench.frame("A", Slot::One, 0, &frame(7, 91, HEADER));
    // Another talker without a terminator between, and without a header: another call.
    bench.frame("A", Slot::One, 0, &frame(8, 91, VOICE));
    // What is still under way of the first one does not bring it back.
    bench.frame("A", Slot::One, 0, &frame(7, 91, VOICE));
    bench.frame("A", Slot::One, 0, &frame(8, 91, TERMINATOR));
    // Another talkgroup, its header lost.
    bench.frame("A", Slot::One, 0, &frame(8, 92, VOICE));
    assert_eq!(
        bench.log(&["started", "stopped", "dropped"]),
        [
            "started 91",
            "stopped 91: Superseded, 0 bursts",
            "started 91",
            "dropped: Late",
            "stopped 91: Terminator, 1 bursts",
            "started 92"
        ]
    );
    // With what was made up: the end of the first, the beginning of the second.
    assert_eq!(bench.hears("B"), ["TS2 91 by 7: 2", "TS2 91 by 8: 3"]);
}

#[test]
fn one_repeater_talks_on_both_slots() {
    let mut bench = two();
    bench.repeater("B", &[92], &[91]);
    for kind in [HEADER, VOICE, VOICE, TERMINATOR] {
        bench.frame("A", Slot::One, 5, &frame(7, 91, kind));
        bench.frame("A", Slot::Two, 5, &frame(8, 92, kind));
    }
    let mut heard = bench.bursts("B");
    heard.sort_by_key(|heard| heard.slot);
    assert_eq!(heard.len(), 8);
    assert!(heard[..4].iter().all(|heard| (heard.slot, heard.frame.destination) == (Slot::One, 92)));
    assert!(heard[4..].iter().all(|heard| (heard.slot, heard.frame.destination) == (Slot::Two, 91)));
    assert_eq!(bench.log(&["stopped"]).len(), 2);
}

#[test]
fn a_simplex_hotspot_has_one_slot() {
    let mut bench = two();
    bench.simplex("H", &[91]);
    bench.over("A", Slot::One, 91);
    assert_eq!(bench.hears("H"), ["TS2 91 by A: 8"]);
    bench.hears("B");
    // Whatever it calls its slot.
    bench.over("H", Slot::One, 91);
    assert_eq!(bench.hears("A"), ["TS1 91 by H: 8"]);
    assert_eq!(bench.hears("B"), ["TS2 91 by H: 8"]);
    assert_eq!(bench.log(&["heard"]), ["heard 2500000 on TS1", "heard 2500002 on TS2"]);
}

#[test]
fn a_call_ends_when_its_repeater_goes() {
    let mut bench = two();
    bench.key("A", Slot::One, 91);
    bench.log(&[]);
    bench.down("A");
    let log = bench.log(&["changed", "stopped", "unwanted"]);
    assert_eq!(log, ["changed A", "stopped 91: ContextGone, 0 bursts", "changed A"]);
    assert_eq!(bench.switch.contexts(), 1);
    bench.frame("A", Slot::One, 5, &frame(7, 91, VOICE));
    assert_eq!(bench.log(&["started"]), [""; 0]);
}

#[test]
fn a_listener_goes_in_mid_call_and_another_device_takes_its_place() {
    let mut bench = two();
    bench.key("A", Slot::One, 91);
    assert_eq!(bench.hears("B"), ["TS2 91 by A: 1"]);
    let profile = stack::Profile {
        link: stack::LinkType::Application,
        ..stack::Profile::repeater(999, Slots::Both, [vec![], vec![92]])
    };
    bench.log(&[]);
    bench.input(Input::Up { context: bench.context("B"), profile });
    // What was written down of the device before is written over.
    assert_eq!(bench.log(&["changed"]), ["changed B"]);
    bench.talk(&["A"], 3);
    assert_eq!(bench.hears("B"), [""; 0]);
    // An application's talker is not located.
    bench.over("B", Slot::Two, 91);
    assert_eq!(bench.log(&["heard"]), [""; 0]);
}

#[test]
fn a_private_call_to_nobody_is_refused_once() {
    let mut bench = two();
    bench.key_private("A", Slot::One, 1234);
    bench.talk(&["A"], 3);
    assert_eq!(bench.log(&["refused"]), ["refused 1234: NoRoute"]);
    assert_eq!((bench.hears("B").len(), bench.bursts("A").len()), (0, 0));
}

#[test]
fn data_passes_and_subscribes_nobody() {
    let mut bench = two();
    let csbk = BurstKind::Data(DataType::CSBK);
    bench.frame("A", Slot::One, 5, &frame(7, 91, csbk));
    bench.frame("A", Slot::Two, 6, &frame(7, 92, csbk));
    assert_eq!(bench.hears("B"), ["TS2 91 by 7: 1"]);
    assert_eq!(bench.log(&["wanted"]), [""; 0]);
}

#[test]
fn ids_only_grow_when_the_wall_clock_goes_back() {
    let mut bench = two();
    let mut ids = Vec::new();
    for step in [0_i64, 1_000_000, -5_000_000, -1, 3, -60_000_000, 0] {
        bench.hears("B");
        bench.now.wall_us = bench.now.wall_us.wrapping_add_signed(step);
        bench.over("A", Slot::One, 91);
        ids.extend(bench.forwarded.last().map(|forward| forward.key));
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

#[test]
fn all_numbers_taken_stops_nothing() {
    let mut bench = two();
    let call = Call { source: 1, destination: 2, to: CallType::Private, kind: crate::Kind::Voice };
    let id = SessionId { key: 1, node: 1 };
    let new = || Session::new(id, Origin::Remote, Slot::One, call, 0, bench.now.mono);
    let mut numbers: Vec<_> = std::iter::from_fn(|| bench.switch.sessions.insert(new())).collect();
    assert_eq!((numbers.len(), numbers.last()), (65_535, Some(&65_534)));
    let input = Input::Frame {
        context: bench.context("A"),
        slot: Slot::One,
        stream: 5,
        frame: &frame(7, 91, HEADER),
    };
    bench.switch.handle_input(bench.now, input);
    assert!(bench.switch.poll_output().is_none());
    for number in numbers.drain(..) {
        let session = bench.switch.sessions.remove(number).unwrap();
        bench.switch.sessions.recycle(session.routes);
    }
    bench.over("A", Slot::One, 91);
    assert_eq!(bench.hears("B"), ["TS2 91 by A: 8"]);
}
