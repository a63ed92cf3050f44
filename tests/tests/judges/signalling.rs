//! What a burst says of itself: sync, slot type, EMB.

use dmr::{Air, BURST_LEN, BurstKind, DataType, Emb, IDLE, IDLE_INFO, Lcss, SlotType, Sync, VoiceCall};
use dmr::{ambe, embedded_fragment};
use serde_json::{Value, json};

use crate::Judge::{OkDmrlib, Utils3};
use crate::{Random, hex};

/// The reserved data types from 12 on are one to ok-dmrlib.
#[test]
fn slot_types() {
    let mut random = Random::new(20);
    let (mut reads, mut makes) = (Vec::new(), Vec::new());
    for (colour_code, bits) in (0..16).flat_map(|colour_code| (0..12).map(move |bits| (colour_code, bits))) {
        let slot_type = SlotType { colour_code, data_type: DataType::from_bits(bits) };
        for _ in 0..5 {
            let mut burst = random.bytes();
            slot_type.write(&mut burst);
            let fields = json!({"colour_code": colour_code, "data_type": bits, "fec_parity_ok": true});
            reads.push((json!(["slot_type", hex(&burst)]), fields));
        }
        makes.push((slot_type, json!(["slot_type_make", colour_code, bits])));
    }
    OkDmrlib.agrees(reads);
    let (slot_types, requests): (Vec<_>, Vec<_>) = makes.into_iter().unzip();
    for (slot_type, word) in slot_types.into_iter().zip(OkDmrlib.ask(&requests)) {
        let word = u32::try_from(word.as_u64().unwrap()).unwrap();
        for errors in 0..4 {
            let burst = with_slot_type(word ^ random.errors(20, errors));
            assert_eq!(SlotType::read(&burst), Some(slot_type));
        }
    }
}

/// A burst with these 20 bits around the sync.
fn with_slot_type(word: u32) -> [u8; BURST_LEN] {
    let mut burst = [0; BURST_LEN];
    for n in 0..20 {
        let at = if n < 10 { 98 + n } else { 146 + n };
        burst[at / 8] |= u8::try_from(word >> (19 - n) & 1).unwrap() << (7 - at % 8);
    }
    burst
}

fn with_emb(word: u32) -> [u8; BURST_LEN] {
    let mut burst = [0; BURST_LEN];
    for n in 0..16 {
        let at = if n < 8 { 108 + n } else { 140 + n };
        burst[at / 8] |= u8::try_from(word >> (15 - n) & 1).unwrap() << (7 - at % 8);
    }
    burst
}

#[test]
fn embs() {
    let mut random = Random::new(21);
    let (mut reads, mut makes) = (Vec::new(), Vec::new());
    for data in 0..128 {
        let emb = Emb { colour_code: data >> 3, pi: data & 4 != 0, lcss: Lcss::from_bits(data) };
        let fields = json!({
            "colour_code": emb.colour_code,
            "preemption_and_power_control_indicator": u8::from(emb.pi),
            "link_control_start_stop": emb.lcss.bits(),
            "emb_parity_ok": true,
        });
        for _ in 0..10 {
            let mut burst = random.bytes();
            emb.write(&mut burst);
            reads.push((json!(["emb", hex(&burst)]), fields.clone()));
        }
        makes.push((emb, json!(["emb_make", emb.colour_code, u8::from(emb.pi), emb.lcss.bits()])));
    }
    OkDmrlib.agrees(reads);
    let (embs, requests): (Vec<_>, Vec<_>) = makes.into_iter().unzip();
    for (emb, word) in embs.into_iter().zip(OkDmrlib.ask(&requests)) {
        let word = u32::try_from(word.as_u64().unwrap()).unwrap();
        for errors in 0..3 {
            assert_eq!(Emb::read(&with_emb(word ^ random.errors(16, errors))), Some(emb));
        }
    }
}

const SYNCS: [(Sync, &str); 8] = [
    (Sync::BsVoice, "BsSourcedVoice"),
    (Sync::BsData, "BsSourcedData"),
    (Sync::MsVoice, "MsSourcedVoice"),
    (Sync::MsData, "MsSourcedData"),
    (Sync::Direct1Voice, "Tdma1Voice"),
    (Sync::Direct1Data, "Tdma1Data"),
    (Sync::Direct2Voice, "Tdma2Voice"),
    (Sync::Direct2Data, "Tdma2Data"),
];

#[test]
fn syncs() {
    let mut random = Random::new(22);
    let mut cases = Vec::new();
    for (sync, name) in SYNCS {
        let mut burst = random.bytes();
        sync.write(&mut burst);
        cases.push((json!(["sync", hex(&burst)]), json!(name)));
        cases.push((json!(["sync_make", name]), json!(sync.pattern())));
    }
    OkDmrlib.agrees(cases);
}

/// What [`Air`] makes of any burst, all colour codes and places.
#[test]
fn air() {
    let mut random = Random::new(23);
    let mut cases: Vec<(Value, Value)> = Vec::new();
    for (colour_code, (sync, name)) in (0..16).flat_map(|colour_code| SYNCS.map(|sync| (colour_code, sync))) {
        let air = Air { colour_code, sync };
        let mut burst = random.bytes();
        let privacy = random.flag();
        if sync.is_voice() {
            air.apply(BurstKind::Voice(0), privacy, &mut burst);
            cases.push((json!(["sync", hex(&burst)]), json!(name)));
            for index in 1..6 {
                air.apply(BurstKind::Voice(index), privacy, &mut burst);
                let fields = json!({
                    "colour_code": colour_code,
                    "preemption_and_power_control_indicator": u8::from(privacy),
                    "link_control_start_stop": Lcss::at(index).unwrap().bits(),
                    "emb_parity_ok": true,
                });
                cases.push((json!(["emb", hex(&burst)]), fields));
            }
        } else {
            for bits in 0..12 {
                air.apply(BurstKind::Data(DataType::from_bits(bits)), privacy, &mut burst);
                let fields = json!({"colour_code": colour_code, "data_type": bits, "fec_parity_ok": true});
                cases.push((json!(["slot_type", hex(&burst)]), fields));
                cases.push((json!(["sync", hex(&burst)]), json!(name)));
            }
        }
    }
    OkDmrlib.agrees(cases);
}

/// All bursts of calls, as dmr_utils3 takes them apart.
#[test]
fn voice_calls() {
    let mut random = Random::new(24);
    let mut cases = Vec::new();
    for n in 0..100 {
        let lc = dmr::FullLc(random.bytes());
        let colour_code = n % 16;
        let payloads: Vec<_> = (0..6).map(|_| random.bytes()).collect();
        for (kind, burst) in VoiceCall::new(lc, colour_code, Sync::BsVoice, payloads) {
            let (request, fields) = match kind {
                BurstKind::Data(data_type) => (
                    "head_term",
                    json!({
                        "lc": hex(&lc.0),
                        "cc": colour_code,
                        "data_type": data_type.bits(),
                        "sync": "dff57d75df5d",
                    }),
                ),
                BurstKind::Voice(0) => ("voice", json!({"ambe": hex(&ambe(&burst))})),
                BurstKind::Voice(index) => (
                    "voice",
                    json!({
                        "ambe": hex(&ambe(&burst)),
                        "cc": colour_code,
                        "lcss": Lcss::at(index).unwrap().bits(),
                        "fragment": hex(&embedded_fragment(&burst).to_be_bytes()),
                    }),
                ),
            };
            cases.push((json!([request, hex(&burst)]), fields));
        }
    }
    Utils3.agrees(cases);
}

#[test]
fn idle() {
    let fields = json!({"colour_code": 0, "data_type": 9, "fec_parity_ok": true});
    OkDmrlib.agrees(vec![
        (json!(["sync", hex(&IDLE)]), json!("BsSourcedData")),
        (json!(["slot_type", hex(&IDLE)]), fields),
        (json!(["bptc_repair", hex(&IDLE)]), json!(hex(&IDLE_INFO))),
    ]);
}
