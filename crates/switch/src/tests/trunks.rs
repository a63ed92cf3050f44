//! Calls that go over to another network and come from it.

use dmr::{BurstKind, Emb, EmbeddedLc, FullLc, Sync, embedded_fragment};
use stack::{CallType, Frame, Slot};

use super::bench::{Bench, HEADER, TERMINATOR, frame};
use crate::{Input, Kind, PARROT, Place};

const NETWORK: u32 = 3_129_900;
const ALL: [(u32, u32); 1] = [(1, 16_777_215)];

/// A repeater with 91 on TS1 and 92 on TS2, and a network with two calls' legs.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.repeater("A", &[91], &[92]);
    bench.trunk("net", NETWORK, &ALL, &[]);
    bench.leg("leg 1", NETWORK);
    bench.leg("leg 2", NETWORK);
    bench.log(&[]);
    bench
}

#[test]
fn any_number_of_calls_goes_out_at_once_and_none_comes_back() {
    let mut bench = bench();
    bench.repeater("B", &[], &[93]);
    bench.key("A", Slot::One, 91);
    bench.key("B", Slot::Two, 93);
    bench.key("leg 1", Slot::One, 92);
    bench.talk(&["A", "B", "leg 1"], 6);
    assert_eq!(bench.hears("A"), ["TS2 92 by leg 1: 7"]);
    let mut heard = bench.bursts("net");
    heard.sort_by_key(|heard| heard.stream);
    let calls: Vec<_> = heard
        .chunk_by(|a, b| a.stream == b.stream)
        .map(|call| (call[0].frame.destination, call.len()))
        .collect();
    assert_eq!(calls.len(), 2);
    assert!(calls.contains(&(91, 7)) && calls.contains(&(93, 7)), "{calls:?}");
    ["A", "B", "leg 1"].into_iter().for_each(|name| bench.unkey(name));
    assert_eq!(bench.kinds("net").iter().filter(|(_, kind)| *kind == TERMINATOR).count(), 2);
}

#[test]
fn only_talkgroups_of_the_list_go_out_and_the_list_may_change_meanwhile() {
    let mut bench = bench();
    bench.trunk("net", NETWORK, &[(91, 91), (3100, 3199)], &[]);
    bench.repeater("B", &[], &[93]);
    bench.key("A", Slot::One, 91);
    bench.key("B", Slot::Two, 93);
    bench.talk(&["A", "B"], 3);
    assert_eq!(bench.hears("net").len(), 1);
    bench.trunk("net", NETWORK, &[(93, 93)], &[]);
    assert_eq!(bench.kinds("net"), [(91, TERMINATOR)]);
    bench.talk(&["A", "B"], 3);
    assert_eq!(bench.kinds("net").iter().map(|(talkgroup, _)| *talkgroup).collect::<Vec<_>>(), [93; 3]);
    assert_eq!(bench.log(&["wants everything"]), [""; 0]);
    bench.down("net");
    bench.talk(&["A", "B"], 3);
    assert_eq!(bench.hears("net").len(), 0);
    assert_eq!(bench.log(&["wants everything"]), ["wants everything no more"]);
}

#[test]
fn the_ranges_of_all_trunks_are_told_as_one_list() {
    let mut bench = Bench::new();
    bench.trunk("net", NETWORK, &[(91, 91), (3100, 3199)], &[]);
    assert_eq!(bench.log(&["wants"]), ["wants everything", "wants 91 to 91", "wants 3100 to 3199"]);
    bench.trunk("same", NETWORK + 1, &[(91, 91), (3150, 3160)], &[]);
    assert_eq!(bench.log(&["wants"]), [""; 0]);
    bench.trunk("same", NETWORK + 1, &[(91, 91), (3150, 3299), (92, 92)], &[]);
    let wider = ["wants 91 to 92", "wants 3100 to 3299"];
    let narrower = ["wants 91 to 91", "wants 3100 to 3199"];
    let no_more = |ranges: [&str; 2]| ranges.map(|range| format!("{range} no more"));
    let told: Vec<String> = wider.map(str::to_owned).into_iter().chain(no_more(narrower)).collect();
    assert_eq!(bench.log(&["wants"]), told, "what is wanted anyway is wanted all the time");
    bench.down("same");
    let told: Vec<String> = narrower.map(str::to_owned).into_iter().chain(no_more(wider)).collect();
    assert_eq!(bench.log(&["wants"]), told);
    bench.input(Input::Leave(3));
    assert_eq!(bench.log(&["wants"])[1..], no_more(narrower));
}

#[test]
fn a_change_of_the_list_concerns_only_its_own_calls() {
    let mut bench = bench();
    bench.trunk("net", NETWORK, &[(91, 91), (93, 93)], &[(93, 1093)]);
    bench.repeater("B", &[], &[93]);
    bench.key("A", Slot::One, 91);
    bench.key("B", Slot::Two, 93);
    bench.talk(&["A", "B"], 2);
    bench.bursts("net");
    // More talkgroups, and another number for one of them.
    bench.trunk("net", NETWORK, &[(90, 95)], &[(93, 2093)]);
    assert_eq!(bench.kinds("net"), [(1093, TERMINATOR)]);
    bench.talk(&["A", "B"], 1);
    let mut heard: Vec<u32> = bench.kinds("net").iter().map(|(talkgroup, _)| *talkgroup).collect();
    heard.sort_unstable();
    assert_eq!(heard, [91, 2093]);
}

#[test]
fn what_any_trunk_carries_is_wanted() {
    let mut bench = bench();
    bench.trunk("net", NETWORK, &[(10, 20), (21, 30), (15, 17)], &[]);
    bench.trunk("other", 7_654_321, &[(40, 40), (5, 12)], &[]);
    let wanted = |bench: &Bench| {
        (0..60).filter(|&talkgroup| bench.switch.trunks.want(talkgroup)).collect::<Vec<u32>>()
    };
    assert_eq!(wanted(&bench), (5..=30).chain([40]).collect::<Vec<_>>());
    bench.down("net");
    assert_eq!(wanted(&bench), (5..=12).chain([40]).collect::<Vec<_>>());
}

#[test]
fn what_siblings_carry_goes_out_too() {
    let mut bench = bench();
    for kind in [HEADER, BurstKind::Voice(0), TERMINATOR] {
        bench.sibling(77, 4, &frame(7, 3100, kind));
    }
    assert_eq!(bench.kinds("net").len(), 3);
    // One of which the beginning was not heard.
    bench.sibling(78, 5, &frame(7, 3101, BurstKind::Voice(3)));
    assert_eq!(bench.kinds("net"), [(3101, BurstKind::Voice(3))]);
}

#[test]
fn a_talkgroup_has_another_number_there() {
    let mut bench = bench();
    bench.trunk("net", NETWORK, &ALL, &[(91, 16_000_001)]);
    bench.key("A", Slot::One, 91);
    bench.talk(&["A"], 12);
    bench.unkey("A");
    let heard = bench.bursts("net");
    assert_eq!(heard.len(), 14);
    let lc = FullLc::group(bench.radio("A"), 16_000_001);
    let mut embedded = EmbeddedLc::new();
    let mut messages = 0;
    for heard in &heard {
        assert_eq!(heard.frame.destination, 16_000_001);
        match heard.frame.kind {
            BurstKind::Data(data_type) => {
                assert_eq!(FullLc::from_burst(&heard.frame.burst, data_type), Some(lc));
            }
            BurstKind::Voice(1..=4) => {
                let emb = Emb::read(&heard.frame.burst).unwrap();
                if let Some(message) = embedded.push(emb.lcss, embedded_fragment(&heard.frame.burst)) {
                    assert_eq!(message, lc);
                    messages += 1;
                }
            }
            BurstKind::Voice(_) => {}
        }
    }
    assert_eq!(messages, 2);
    assert_eq!(bench.hears("A"), [""; 0]);
    // Data names its talkgroup in its own blocks.
    bench.frame("A", Slot::One, 99, &frame(7, 91, BurstKind::Data(dmr::DataType::CSBK)));
    bench.frame("A", Slot::Two, 98, &frame(7, 92, BurstKind::Data(dmr::DataType::CSBK)));
    assert_eq!(bench.kinds("net"), [(92, BurstKind::Data(dmr::DataType::CSBK))]);
}

#[test]
fn the_same_call_comes_back_over_another_network() {
    let mut bench = bench();
    bench.trunk("other", 7_654_321, &ALL, &[]);
    bench.leg("other leg", 7_654_321);
    bench.key("A", Slot::One, 91);
    bench.bursts("other");
    // What went out to the first network comes back from the second.
    let (source, radio) = (bench.radio("A"), bench.radio("other leg"));
    let back = Frame { source, ..frame(radio, 91, HEADER) };
    bench.pass_ms(50);
    bench.log(&[]);
    bench.frame("other leg", Slot::One, 5, &back);
    assert_eq!(bench.log(&["refused", "unwanted"]), ["refused 91: Loop", "unwanted from other leg"]);
    assert_eq!(bench.kinds("net"), [(91, HEADER)]);
    assert_eq!(bench.kinds("other"), []);
}

#[test]
fn who_keys_up_again_need_not_wait_where_the_end_was_lost() {
    let mut bench = bench();
    bench.key("leg 1", Slot::One, 91);
    bench.talk(&["leg 1"], 6);
    assert_eq!(bench.hears("A"), ["TS1 91 by leg 1: 7"]);
    bench.pass_ms(200);
    let again = frame(bench.radio("leg 1"), 91, HEADER);
    bench.frame("leg 2", Slot::One, 9, &again);
    let heard = bench.kinds("A");
    assert_eq!(heard, [(91, TERMINATOR), (91, HEADER)]);
    // One that goes on beside another is its copy.
    bench.frame("leg 1", Slot::One, 10, &again);
    assert_eq!(bench.kinds("A"), []);
}

#[test]
fn private_calls_go_where_the_radio_was_heard() {
    let mut bench = bench();
    bench.key("leg 1", Slot::One, 91);
    bench.unkey("leg 1");
    let (radio, a) = (bench.radio("leg 1"), bench.radio("A"));
    assert_eq!(bench.places.get(&radio), Some(&Place::Here { context: NETWORK, slot: Slot::One }));
    bench.bursts("net");
    bench.key_private("A", Slot::Two, radio);
    bench.talk(&["A"], 2);
    bench.unkey("A");
    assert_eq!(bench.kinds("net").len(), 4);
    bench.hears("A");
    bench.key_private("leg 1", Slot::One, a);
    bench.talk(&["leg 1"], 2);
    assert_eq!(bench.hears("A"), [format!("TS2 {a} by leg 1: 3")]);
    // Its own ID is none of a radio.
    assert_eq!(bench.places.get(&NETWORK), None);
}

#[test]
fn what_is_special_here_is_not_for_other_networks() {
    let mut bench = bench();
    for (stream, talkgroup) in [(1, PARROT), (2, crate::UNLINK), (3, crate::LOCAL)] {
        bench.frame("leg 1", Slot::One, stream, &frame(7, talkgroup, HEADER));
        assert_eq!(bench.log(&["refused"]), [format!("refused {talkgroup}: Denied")]);
    }
    let private = Frame { call: CallType::Private, ..frame(7, PARROT, HEADER) };
    bench.frame("leg 1", Slot::One, 4, &private);
    assert_eq!(bench.log(&["refused"]), [format!("refused {PARROT}: Denied")]);
    assert_eq!(bench.kinds("net"), []);
}

#[test]
fn an_operator_ends_what_comes_over_a_network() {
    let mut bench = bench();
    bench.key("leg 1", Slot::One, 91);
    bench.key("leg 2", Slot::One, 92);
    bench.log(&[]);
    bench.input(Input::DropCall { id: NETWORK, slot: None });
    let mut log = bench.log(&["stopped"]);
    log.sort();
    assert_eq!(log, ["stopped 91: Dropped, 0 bursts", "stopped 92: Dropped, 0 bursts"]);
}

#[test]
fn calls_go_on_at_another_worker() {
    let mut bench = bench();
    bench.key("leg 1", Slot::One, 91);
    bench.talk(&["leg 1"], 3);
    bench.bursts("A");
    let (leg, key) = (bench.record("leg 1"), bench.forwarded[0].key);
    let record = crate::read_record(&leg).unwrap();
    assert_eq!(record.running[0].as_ref().map(|running| running.kind), Some(Kind::Voice));
    // There the repeater's call is known from the ring, and it goes out to the network before its leg has come.
    let mut there = Bench::new();
    there.switch = crate::Switch::new(super::bench::SIBLING, crate::Settings::default());
    there.repeater("A", &[91], &[]);
    let said = Frame { source: bench.radio("leg 1"), ..frame(7, 91, BurstKind::Voice(2)) };
    let forward = crate::Forward { key, index: 0, slot: Slot::One, options: 0, frame: said };
    there.input(Input::Remote { peer: 1, node: super::bench::NODE, forward: &forward });
    there.trunk("net", NETWORK, &ALL, &[]);
    there.leg("leg 1", NETWORK);
    there.input(Input::Restore { context: there.context("leg 1"), bytes: &leg });
    let context = there.context("leg 1");
    let stream = record.running[0].as_ref().unwrap().stream;
    there.bursts("net");
    let next = Frame {
        kind: BurstKind::Voice(0),
        sequence: 9,
        burst: dmr::voice_burst(0, &dmr::AMBE_SILENCE, 1, &[0; 4], Sync::BsVoice),
        ..said
    };
    there.input(Input::Frame { context, slot: Slot::One, stream, frame: &next });
    assert_eq!(there.kinds("net"), [], "it does not go back");
    assert_eq!(there.forwarded.len(), 1, "under the same session");
    assert_eq!(there.forwarded[0].key, key);
}
