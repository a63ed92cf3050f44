//! The recorded clients, replayed: each gets the answers that it got from the master it was recorded with.

use stack::Slots;

use super::*;
use crate::Position;
use crate::context::Context;

struct Step {
    request: Vec<u8>,
    answer: Vec<u8>,
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn steps(recording: &str) -> Vec<Step> {
    let lines: Vec<serde_json::Value> =
        recording.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let bytes = |line: &serde_json::Value| unhex(line["hex"].as_str().unwrap());
    let pair = |pair: &[serde_json::Value]| {
        assert_eq!((pair[0]["dir"].as_str(), pair[1]["dir"].as_str()), (Some("c2m"), Some("m2c")));
        Step { request: bytes(&pair[0]), answer: bytes(&pair[1]) }
    };
    lines.chunks_exact(2).map(pair).collect()
}

/// Replays a recording up to its last step and returns the context as it then is, with the last step's outputs.
fn replay(recording: &str) -> (Context, Profile, Vec<String>) {
    let mut bench = Bench::new(4);
    let mut salts = (Vec::new(), Vec::new());
    let mut found = None;
    let mut last = Vec::new();
    for Step { mut request, answer } in steps(recording) {
        if request.starts_with(b"RPTK") {
            let (recorded, ours) = &salts;
            assert_eq!(request[8..], digest(recorded, PASSWORD), "the recorded digest");
            request[8..].copy_from_slice(&digest(ours, PASSWORD));
        }
        bench.wait(Duration::from_secs(10));
        let mut outputs = bench.send(addr(1), &request);
        if let Some(verdict) = services(&outputs, &[vec![], vec![]]) {
            outputs.append(&mut bench.input(Input::Answer(verdict)));
        }
        let answers = sent(&outputs);
        assert_eq!(answers.len(), 1, "{}", request.escape_ascii());
        if request.starts_with(b"RPTL") {
            assert_eq!((answers[0].len(), &answers[0][..6]), (answer.len(), &answer[..6]));
            salts = (answer[6..].to_vec(), answers[0][6..].to_vec());
        } else {
            assert_eq!(answers[0], answer, "{}", request.escape_ascii());
        }
        let mut record = [0; 448];
        if let Some(len) = bench.mmdvm.encode_record(0, &mut record) {
            let context = Context::decode(bench.now.mono, &record[..len]).unwrap();
            found = context.profile().map(|profile| (context, profile)).or(found);
        }
        last = words(&outputs);
    }
    let (context, profile) = found.unwrap();
    (context, profile, last)
}

#[test]
fn dmrhost() {
    let (context, profile, last) = replay(include_str!("../../../../../tests/data/tap_dmrhost.jsonl"));
    let statics = [vec![91], vec![3100]];
    let id = 0x1289_7B5D;
    assert_eq!(profile, Profile::repeater(id, Slots::Both, statics));
    let config = context.config.unwrap();
    assert_eq!((config.call.as_str(), config.location.as_str()), ("N0CALL", "Somewhere"));
    assert_eq!((config.rx_frequency, config.tx_frequency), (435_000_000, 431_000_000));
    assert_eq!((config.power, config.colour_code, config.height), (1, 1, 0));
    assert_eq!(config.position, Some(Position { latitude: 0, longitude: 0 }));
    assert_eq!(config.description.as_str(), "DMR Repeater");
    assert_eq!((config.software.as_str(), config.package.as_str()), ("20240225-DMRHost", "MMDVM_Unknown"));
    assert_eq!(last, ["changed 0", "down 0", "told Down Closed", "MSTNAK to 1"]);
}

#[test]
fn dmrgateway() {
    let (context, profile, last) = replay(include_str!("../../../../../tests/data/tap_dmrgateway.jsonl"));
    assert_eq!((profile.id, profile.statics), (0x1289_7B5E, [vec![], vec![91]]));
    let config = context.config.unwrap();
    assert_eq!((config.location.as_str(), config.description.as_str()), ("Nowhere", "loop"));
    assert_eq!(config.position, Some(Position { latitude: 0, longitude: 0 }));
    assert_eq!((config.software.as_str(), config.package.as_str()), ("20260713", "MMDVM"));
    assert_eq!(last, ["changed 0", "down 0", "told Down Closed", "MSTNAK to 1"]);
}

#[test]
fn hblink3_peer() {
    let (context, profile, last) = replay(include_str!("../../../../../tests/data/tap_hblink3_peer.jsonl"));
    assert_eq!((profile.id, profile.statics), (312_000, [vec![91], vec![3100]]));
    let config = context.config.unwrap();
    assert_eq!((config.call.as_str(), config.location.as_str()), ("W1ABC", "Anywhere, USA"));
    assert_eq!((config.rx_frequency, config.tx_frequency), (449_000_000, 444_000_000));
    assert_eq!((config.power, config.colour_code, config.height), (25, 1, 75));
    assert_eq!(config.position, Some(Position { latitude: 38_000_000, longitude: -95_000_000 }));
    assert_eq!(config.description.as_str(), "loopback test peer");
    assert_eq!((config.software.as_str(), config.package.as_str()), ("20170620", "MMDVM_HBlink"));
    assert_eq!(last, ["MSTPONG to 1"]);
}
