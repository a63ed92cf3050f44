//! A judge that sees nothing would let everything pass: each fault here has to be found, and named.

use std::time::Duration;

use dmr::{BurstKind, DataType, SlotType, Sync};
use stack::{Frame, Slot};

use crate::{Heard, Order, Scenario, Told, World, judge, play};

const CALL: &str = "# A rule.\nrepeater A on worker 0\nrepeater L on worker 1, static TS1: 1\n\
                    A talks to group 1 on TS1 for 18 bursts, alias \"N0CALL\"\n";
const WHOLE: &str = "L hears group 1 from A on TS1: header, 18 voice, terminator\n";

/// What is done with the burst at a place of the call.
type Fault = (usize, fn(&mut Vec<Heard>));

const NONE: Fault = (usize::MAX, |_| {});

/// Gives L all that A sends, but for one fault.
struct Wire {
    now: Duration,
    sent: usize,
    fault: Fault,
    told: Told,
}

impl World for Wire {
    fn run_until(&mut self, at: Duration) {
        self.now = at;
    }
    fn send(&mut self, _device: usize, slot: Slot, stream: u32, frame: &Frame) {
        let mut heard = vec![Heard { at: self.now, device: 1, slot, stream, frame: *frame }];
        let (place, spoil) = self.fault;
        if place == self.sent {
            spoil(&mut heard);
        }
        self.told.heard.extend(heard);
        self.sent += 1;
    }
    fn order(&mut self, _order: Order) {}
    fn leave(&mut self, _device: usize) {}
    fn come_back(&mut self, _device: usize, _worker: usize) {}
    fn set_statics(&mut self, _device: usize, _statics: &[Vec<u32>; 2]) {}
    fn is_subscribed(&mut self, _device: usize, _slot: Slot, _talkgroup: u32, wished: bool) -> bool {
        !wished
    }
    fn told(&mut self) -> Told {
        std::mem::take(&mut self.told)
    }
}

fn judged(text: &str, fault: Fault) -> Result<(), String> {
    let scenario = Scenario::parse("x", "x.scn", text).unwrap();
    let mut world = Wire { now: Duration::ZERO, sent: 0, fault, told: Told::default() };
    judge(&scenario, &play(&scenario, &mut world))
}

fn found(expects: &str, fault: Fault) -> String {
    judged(&format!("{CALL}{expects}"), fault).unwrap_err()
}

#[test]
fn a_call_as_it_was_sent_is_right() {
    judged(&format!("{CALL}{WHOLE}"), NONE).unwrap();
}

#[test]
fn whoever_is_not_named_hears_nothing() {
    let report = found("L hears nothing\n", NONE);
    assert!(report.contains("not expected: L hears group 1 from A on TS1: header, 18 voice, terminator"));
    assert!(found(WHOLE, (0, Vec::clear)).contains("0 times \"header\""));
}

fn other_colour(frame: &mut Frame) {
    SlotType { colour_code: 2, data_type: DataType::VOICE_HEADER }.write(&mut frame.burst);
}

#[test]
fn faults_of_single_bursts_are_found() {
    let faults: [(Fault, &str); 12] = [
        ((0, Vec::clear), "0 times \"header\", not 1"),
        ((19, Vec::clear), "0 times \"terminator\", not 1"),
        ((5, Vec::clear), "1 voice bursts are missing, not 0"),
        ((1, Vec::clear), "the first voice burst is burst B, not A"),
        ((5, |heard| heard.push(heard[0].clone())), "voice burst 4 came after voice burst 4"),
        ((5, |heard| heard[0].frame.burst[3] ^= 1), "the speech in a burst is altered"),
        ((5, |heard| heard[0].frame.kind = BurstKind::Voice(2)), "another place in its superframe"),
        ((5, |heard| heard[0].frame.source = 9), "not expected: L hears group 1 from 9"),
        ((5, |heard| heard[0].frame.destination = 2), "not expected: L hears group 2"),
        ((1, |heard| Sync::MsVoice.write(&mut heard[0].frame.burst)), "sync Some(MsVoice)"),
        ((0, |heard| other_colour(&mut heard[0].frame)), "colour code 2, not 1"),
        // Burst B of the superframe that has the alias.
        (
            (8, |heard| dmr::set_embedded_fragment(&mut heard[0].frame.burst, 0)),
            "the embedded LC is not to be read",
        ),
    ];
    for (fault, reason) in faults {
        let report = found(WHOLE, fault);
        assert!(report.contains(reason), "{reason:?} in {report}");
    }
}

#[test]
fn times_and_marks_are_held_against_what_was_heard() {
    for (mark, reason) in [
        ("emergency", "no emergency bit"),
        ("encrypted", "no privacy bit"),
        ("colour code 3", "the device has colour code 1"),
        ("radio sync", "the device hears the other sync"),
        ("between 1 s and 2 s after A begins", "it began after 0 ms"),
        ("within 1 s after the call before", "there is nothing that it could begin after"),
    ] {
        let report = found(&format!("L hears group 1 from A on TS1: {mark}\n"), NONE);
        assert!(report.contains(reason), "{reason:?} in {report}");
    }
}

#[test]
fn what_is_told_is_compared() {
    let report = found(&format!("{WHOLE}A is refused: busy\n"), NONE);
    assert!(report.contains("A was refused: not at all; expected: busy"), "{report}");
    let report = found(&format!("{WHOLE}A says the alias \"N0CALL\"\n"), NONE);
    assert!(report.contains("nobody told of it"), "{report}");
    let report = found(&format!("{WHOLE}dropped as late: 1\n"), NONE);
    assert!(report.contains("line 6: 0 were dropped"), "{report}");
    let report = found(&format!("{WHOLE}L is subscribed to 1 on TS1\n"), NONE);
    assert!(report.contains("line 6: not so: L is subscribed to 1 on TS1"), "{report}");
}
