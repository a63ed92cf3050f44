//! Another worker goes on with what was written down.

use std::time::Duration;

use proptest::prelude::*;
use stack::{Slot, Slots, Time};

use super::bench::{Bench, HEADER, NODE, TERMINATOR, frame};
use crate::{Dynamic, Input, MAX_DYNAMICS, read_record};

/// The default of [`crate::Settings`].
const DYNAMIC_TIME: Duration = Duration::from_secs(15 * 60);

const NONE: [&[u32]; 2] = [&[], &[]];
/// What a cell of the state segment holds.
const CELL_LEN: usize = 448;

#[test]
fn a_running_call_and_its_subscription_go_on() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[]);
    bench.over("B", Slot::Two, 91);
    bench.key("A", Slot::One, 91);
    bench.talk(&["A"], 3);
    let before = (bench.hears("B"), bench.forwarded.last().unwrap().key);
    assert_eq!(before.0, ["TS2 91 by A: 4"]);
    bench.log(&[]);

    bench.replace_switch(NODE, Slots::Both, NONE);
    assert_eq!(bench.log(&["started", "wanted"]), ["wanted 91", "started 91"]);
    bench.talk(&["A"], 3);
    bench.unkey("A");
    assert_eq!(bench.forwarded.last().unwrap().key, before.1);
    assert_eq!(bench.hears("B"), ["TS2 91 by A: 4"]);
    assert_eq!(bench.log(&["started", "stopped"]), ["stopped 91: Terminator, 6 bursts"]);

    // What B keyed 91 for ends when it would have ended.
    bench.pass(DYNAMIC_TIME);
    bench.over("A", Slot::One, 91);
    assert_eq!(bench.hears("B"), [""; 0]);
}

#[test]
fn the_stream_of_a_call_stays_the_same() {
    let mut bench = Bench::new();
    bench.repeater("A", &[91], &[]);
    bench.repeater("B", &[91], &[]);
    bench.key("A", Slot::One, 91);
    bench.replace_switch(NODE + 1, Slots::Both, [&[91], &[]]);
    bench.talk(&["A"], 1);
    let heard = bench.bursts("B");
    assert_eq!(heard[0].stream, heard[1].stream);
    // New ones come after it.
    let key = bench.forwarded.last().unwrap().key;
    bench.now.wall_us -= 1_000_000;
    bench.over("B", Slot::One, 92);
    assert!(bench.forwarded.last().unwrap().key > key);
}

#[test]
fn a_restored_call_that_does_not_go_on_ends() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.key("A", Slot::One, 91);
    bench.replace_switch(NODE, Slots::Both, NONE);
    bench.log(&[]);
    bench.pass_ms(600);
    assert_eq!(bench.log(&["stopped"]), ["stopped 91: Timeout, 0 bursts"]);
}

#[test]
fn a_record_does_not_replace_what_runs() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.key("A", Slot::One, 91);
    let record = bench.record("A");
    bench.frame("A", Slot::One, 50, &frame(7, 92, HEADER));
    bench.log(&[]);
    bench.input(Input::Restore { context: bench.context("A"), bytes: &record });
    bench.frame("A", Slot::One, 50, &frame(7, 92, TERMINATOR));
    assert_eq!(bench.log(&["started", "stopped"]), ["stopped 92: Terminator, 0 bursts"]);
}

#[test]
fn the_longest_record_fits_its_cell() {
    let mut bench = Bench::new();
    bench.now.mono = Time(u64::MAX / 4);
    bench.now.wall_us = u64::MAX >> 12;
    bench.switch = crate::Switch::new(u32::MAX, crate::Settings::default());
    bench.repeater("A", &[], &[]);
    let top = 0xFF_FFFF;
    for talkgroup in 0..u32::try_from(MAX_DYNAMICS).unwrap() {
        for slot in Slot::ALL {
            bench.frame("A", slot, u32::MAX, &frame(top - talkgroup, top - 1 - talkgroup, HEADER));
        }
    }
    let record = bench.record("A");
    let read = read_record(&record).unwrap();
    assert!(read.dynamics.iter().all(|dynamics| dynamics.len() == MAX_DYNAMICS));
    assert!(read.running.iter().all(Option::is_some));
    assert!(record.len() + 100 < CELL_LEN, "{}", record.len());
}

#[test]
fn a_record_of_another_version_or_a_damaged_one_is_not_read() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.key("A", Slot::One, 91);
    let mut record = bench.record("A");
    assert_eq!(read_record(&record[..record.len() - 1]), None);
    record[0] ^= 1;
    assert_eq!((read_record(&record), read_record(&[])), (None, None));
}

#[test]
fn a_record_without_measure_is_cut_down() {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    let until = Time(u64::MAX - 1);
    let dynamics: Vec<_> = (100..160).map(|talkgroup| Dynamic { talkgroup, until }).collect();
    let record =
        crate::Record { dynamics: [dynamics.clone(), dynamics], running: [None; 2], heard: [None; 2] };
    let mut bytes = [2; 2000];
    let len = 1 + postcard::to_slice(&record, &mut bytes[1..]).unwrap().len();
    bench.input(Input::Restore { context: bench.context("A"), bytes: &bytes[..len] });
    assert_eq!(bench.log(&["wanted"]).len(), MAX_DYNAMICS);
    bench.pass(Duration::from_secs(24 * 60 * 60));
    assert_eq!(bench.log(&["unwanted"]).len(), MAX_DYNAMICS);
}

proptest! {
    #[test]
    fn any_record_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..CELL_LEN)) {
        let mut bench = Bench::new();
        bench.repeater("A", &[], &[]);
        let mut bytes = bytes;
        bytes.insert(0, 2);
        bench.input(Input::Restore { context: bench.context("A"), bytes: &bytes });
        bench.over("A", Slot::One, 91);
        bench.pass(Duration::from_secs(1000));
        prop_assert_eq!(bench.switch.sessions(), 0);
    }
}

#[test]
fn listeners_that_come_back_one_by_one_hear_on_without_a_header() {
    let mut bench = Bench::new();
    for name in ["A", "B", "C"] {
        bench.repeater(name, &[], &[91]);
    }
    bench.key("A", Slot::One, 91);
    bench.talk(&["A"], 3);
    bench.hears("B");
    bench.hears("C");
    bench.replace_switch(NODE, Slots::Both, [&[], &[91]]);
    bench.talk(&["A"], 3);
    bench.unkey("A");
    assert_eq!(bench.hears("B"), ["TS2 91 by A: 4"]);
    assert_eq!(bench.hears("C"), ["TS2 91 by A: 4"]);
}
