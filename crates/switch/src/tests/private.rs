//! Private calls, data calls, and who may not call.

use dmr::{BurstKind, Csbk, CsbkMessage, DataType, Sync};
use stack::{CallType, Frame, Profile, Slot, Slots};

use super::bench::{Bench, HEADER, frame};
use crate::{BLOCK_TIME, Input, Place};

const VOICE: BurstKind = BurstKind::Voice(0);

/// A, B and C, each with one radio that was heard on TS2.
fn three() -> Bench {
    let mut bench = Bench::new();
    for name in ["A", "B", "C"] {
        bench.repeater(name, &[], &[]);
        bench.places.insert(bench.radio(name), place(&bench, name, Slot::Two));
    }
    bench.log(&[]);
    bench
}

fn place(bench: &Bench, name: &str, slot: Slot) -> Place {
    Place::Here { context: 250_000 + u32::from(bench.context(name).index), slot }
}

fn private_over(bench: &mut Bench, name: &'static str, slot: Slot, radio: u32) {
    bench.key_private(name, slot, radio);
    bench.talk(&[name], 6);
    bench.unkey(name);
}

#[test]
fn a_private_call_goes_where_the_radio_was_heard_and_the_slot_is_kept_for_the_answer() {
    let mut bench = three();
    let (a, b) = (bench.radio("A"), bench.radio("B"));
    bench.repeater("C", &[], &[91]);
    bench.repeater("A", &[91], &[]);
    bench.repeater("B", &[], &[91]);
    private_over(&mut bench, "A", Slot::One, b);
    assert_eq!(bench.hears("B"), [format!("TS2 {b} by A: 8")]);
    // Both slots are kept: a group call is heard by neither.
    bench.over("C", Slot::Two, 91);
    assert_eq!((bench.hears("A").len(), bench.hears("B").len()), (0, 0));
    private_over(&mut bench, "B", Slot::Two, a);
    assert_eq!(bench.hears("A"), [format!("TS1 {a} by B: 8")]);
    assert_eq!(bench.hears("C").len(), 0);
}

#[test]
fn a_hotspot_is_called_by_its_own_id() {
    let mut bench = three();
    let profile = Profile::repeater(2_621_370, Slots::Simplex, Default::default());
    bench.simplex("H", &[]);
    bench.input(Input::Up { context: bench.context("H"), profile });
    private_over(&mut bench, "A", Slot::One, 2_621_370);
    assert_eq!(bench.hears("H"), ["TS2 2621370 by A: 8"]);
}

#[test]
fn a_radio_whose_repeater_has_gone_is_nowhere() {
    let mut bench = three();
    let b = bench.radio("B");
    bench.down("B");
    private_over(&mut bench, "A", Slot::One, b);
    assert_eq!(bench.log(&["refused"]), [format!("refused {b}: NoRoute")]);
}

#[test]
fn a_busy_radio_is_not_disturbed() {
    let mut bench = three();
    let b = bench.radio("B");
    bench.repeater("B", &[], &[91]);
    bench.key("C", Slot::One, 91);
    bench.key_private("A", Slot::One, b);
    bench.talk(&["A", "C"], 3);
    assert_eq!(bench.log(&["refused"]), [format!("refused {b}: Busy")]);
    assert_eq!(bench.hears("B"), ["TS2 91 by C: 4"]);
}

#[test]
fn a_sibling_finds_the_radio_here_or_not() {
    let mut bench = three();
    let b = bench.radio("B");
    let private = |kind| Frame { call: CallType::Private, ..frame(7, b, kind) };
    for kind in [HEADER, VOICE] {
        bench.sibling(77, 4, &private(kind));
    }
    assert_eq!(bench.bursts("B").len(), 2);
    bench.places.insert(b, Place::Elsewhere);
    bench.sibling(78, 5, &private(HEADER));
    assert_eq!(bench.bursts("B").len(), 0);
    // It was here, says everybody, but its repeater is not any more.
    bench.down("B");
    bench.places.insert(b, Place::Here { context: 250_001, slot: Slot::Two });
    bench.sibling(79, 6, &private(HEADER));
    assert_eq!(bench.log(&["refused"]), [format!("refused {b}: NoRoute")]);
}

fn preamble(to: u32, blocks_to_follow: u8) -> Frame {
    let message = CsbkMessage::Preamble { data: true, group: false, blocks_to_follow, target: to, source: 7 };
    let burst = Csbk::from(message).to_burst(1, Sync::BsVoice);
    let kind = BurstKind::Data(DataType::CSBK);
    Frame { call: CallType::Private, burst, ..frame(7, to, kind) }
}

#[test]
fn a_preamble_reserves_the_slot_and_what_follows_is_one_session() {
    let mut bench = three();
    let b = bench.radio("B");
    bench.repeater("B", &[], &[91]);
    bench.frame("A", Slot::One, 1, &preamble(b, 20));
    bench.key("C", Slot::One, 91);
    // Voice waits for as long as twenty bursts and a time-out take.
    bench.talk(&["C"], 25);
    assert_eq!(bench.bursts("B").len(), 1);
    // Data comes, each part under another stream ID.
    for (stream, data_type) in [(2, DataType::DATA_HEADER), (3, DataType::RATE_1_2), (3, DataType::RATE_1_2)]
    {
        let kind = BurstKind::Data(data_type);
        let block = Frame { call: CallType::Private, ..frame(7, b, kind) };
        bench.frame("A", Slot::One, stream, &block);
        bench.talk(&["C"], 1);
    }
    assert_eq!(bench.hears("B"), [format!("TS2 {b} by 7: 3")]);
    bench.talk(&["C"], 16);
    assert_eq!(bench.bursts("B")[0].frame.kind, HEADER, "the voice call joins late");
    let log = bench.log(&["started", "stopped"]);
    assert_eq!(log, [format!("started {b}"), "started 91".into(), format!("stopped {b}: Timeout, 4 bursts")]);
}

#[test]
fn data_never_breaks_voice_and_is_counted() {
    let mut bench = three();
    let b = bench.radio("B");
    bench.repeater("B", &[], &[91, 92]);
    bench.repeater("A", &[], &[92]);
    bench.key("C", Slot::One, 91);
    let csbk = BurstKind::Data(DataType::CSBK);
    bench.frame("A", Slot::One, 1, &Frame { call: CallType::Private, ..frame(7, b, csbk) });
    bench.frame("A", Slot::Two, 2, &frame(8, 92, csbk));
    // Nor on the slot where it comes in.
    bench.frame("C", Slot::One, 3, &frame(9, 93, csbk));
    bench.talk(&["C"], 2);
    assert_eq!(bench.hears("B"), ["TS2 91 by C: 3"]);
    assert_eq!(
        bench.log(&["dropped", "refused"]),
        [
            "dropped: DataBusy".to_owned(),
            format!("refused {b}: Busy"),
            "dropped: DataBusy".into(),
            "dropped: DataBusy".into(),
        ]
    );
}

#[test]
fn the_sixth_short_key_up_within_a_minute_blocks() {
    let mut bench = three();
    bench.repeater("B", &[], &[91]);
    let short = |bench: &mut Bench| {
        for kind in [HEADER, crate::TERMINATOR] {
            bench.frame("A", Slot::One, 5, &frame(7, 91, kind));
            bench.pass_ms(1500);
        }
    };
    (0..5).for_each(|_| short(&mut bench));
    assert_eq!(bench.log(&["blocked", "refused"]), [""; 0]);
    short(&mut bench);
    assert_eq!(bench.log(&["blocked", "refused"]), ["blocked 7"]);
    bench.hears("B");
    short(&mut bench);
    assert_eq!(bench.log(&["blocked", "refused"]), ["refused 91: Banned"]);
    assert_eq!(bench.hears("B").len(), 0);
    bench.pass(BLOCK_TIME);
    short(&mut bench);
    assert_eq!(bench.hears("B").len(), 1);
    // One that takes its time is never blocked.
    for _ in 0..10 {
        bench.pass_ms(12_000);
        short(&mut bench);
    }
    assert_eq!(bench.log(&["blocked", "refused"]), [""; 0]);
}

#[test]
fn a_ban_ends_what_runs_and_ends_itself() {
    let mut bench = three();
    bench.repeater("B", &[], &[91]);
    bench.key("A", Slot::One, 91);
    let until_ms = bench.now.wall_us / 1000 + 5000;
    bench.input(Input::Ban { radio: bench.radio("A"), until_ms });
    bench.talk(&["A"], 3);
    assert_eq!(bench.hears("B"), ["TS2 91 by A: 2"]);
    assert_eq!(bench.log(&["refused"]), ["refused 91: Banned"]);
    bench.unkey("A");
    bench.pass_ms(5000);
    for kind in [HEADER, VOICE] {
        bench.frame("A", Slot::One, 9, &frame(bench.radio("A"), 91, kind));
    }
    assert_eq!(bench.hears("B"), ["TS2 91 by A: 2"]);
}

#[test]
fn a_call_that_comes_back_another_way_is_refused_for_good() {
    let mut bench = three();
    bench.repeater("B", &[], &[91]);
    bench.frame("A", Slot::One, 5, &frame(7, 91, HEADER));
    bench.frame("C", Slot::One, 6, &frame(7, 91, HEADER));
    assert_eq!(bench.log(&["refused"]), ["refused 91: Loop"]);
    bench.frame("A", Slot::One, 5, &frame(7, 91, crate::TERMINATOR));
    for _ in 0..3 {
        bench.frame("C", Slot::One, 6, &frame(7, 91, VOICE));
    }
    // The copy of a call that is over already.
    bench.frame("C", Slot::Two, 8, &frame(7, 91, HEADER));
    assert_eq!(bench.log(&["refused"]), ["refused 91: Loop"]);
    assert_eq!(bench.hears("B"), ["TS2 91 by 7: 2"]);
    // The radio itself may key up at once.
    bench.frame("A", Slot::One, 9, &frame(7, 91, HEADER));
    assert_eq!(bench.hears("B").len(), 1);
}

#[test]
fn an_operator_drops_calls_and_what_comes_of_them() {
    let mut bench = three();
    bench.repeater("B", &[], &[91]);
    bench.repeater("C", &[91], &[]);
    bench.key("A", Slot::One, 91);
    bench.talk(&["A"], 3);
    // For one listener.
    bench.input(Input::DropCall { id: 250_001, slot: None });
    bench.talk(&["A"], 12);
    assert_eq!(bench.hears("B"), ["TS2 91 by A: 5"]);
    assert_eq!(bench.hears("C"), ["TS1 91 by A: 16"]);
    // For all.
    bench.input(Input::DropCall { id: 250_000, slot: Some(Slot::One) });
    assert_eq!(bench.log(&["stopped"]), ["stopped 91: Dropped, 15 bursts"]);
    bench.talk(&["A"], 40);
    assert_eq!(bench.hears("C"), ["TS1 91 by A: 1"]);
    assert_eq!(bench.hears("B").len(), 0);
    bench.unkey("A");
    bench.over("A", Slot::One, 91);
    assert_eq!((bench.hears("B").len(), bench.hears("C").len()), (1, 1));
}
