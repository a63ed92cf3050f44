//! What the switch says to receivers: headers and terminators that it makes up or writes anew, superframes, EMBs and
//! slot types. A judge reads from them what the call is.

use dmr::{
    AMBE_SILENCE, Air, BurstKind, DataType, FullLc, ServiceOptions, Sync, VoiceCall, embedded_fragment,
};
use serde_json::{Value, json};
use stack::{CallType, ContextKey, Frame, Now, Profile, Slot, Slots, Time};
use switch::{Input, Output, Place, Settings, Switch};

use crate::Judge::OkDmrlib;
use crate::{Random, hex};

const CALLS: u32 = 400;
const TALKER: ContextKey = ContextKey { shard: 0, index: 0 };
/// Hears the call from its beginning, on a duplex repeater.
const EARLY: ContextKey = ContextKey { shard: 0, index: 1 };
/// Joins in its middle, on a simplex hotspot.
const LATE: ContextKey = ContextKey { shard: 0, index: 2 };

/// One call and who hears it.
struct Heard {
    lc: FullLc,
    air: [Air; 2],
    bursts: Vec<(ContextKey, Frame)>,
}

/// A call that may say a wrong LC, lack its header or its terminator, and have a second listener in its middle.
fn call(random: &mut Random, n: u32) -> Heard {
    let mut switch = Switch::new(25_011, Settings { max_burst_rate: 0, ..Settings::default() });
    let mut now = Now { mono: Time(1_000_000), wall_us: 1_790_000_000_000_000 };
    let (source, destination) = (1 + random.bits(22), 10_000 + random.bits(22));
    let (has_header, has_terminator) = (random.flag(), random.flag());
    // What only a header tells nobody knows without it.
    let options = ServiceOptions(if has_header { random.byte() & !0x40 } else { 0 });
    let is_group = random.flag();
    let lc = if is_group { FullLc::group(source, destination) } else { FullLc::private(source, destination) };
    let lc = lc.with_service_options(options);
    let said = if has_header && n.is_multiple_of(3) { lc.with_source(source ^ 1) } else { lc };
    let air = [Sync::BsVoice, Sync::MsVoice].map(|sync| Air { colour_code: random.small(4), sync });
    let statics = if is_group { [vec![], vec![destination]] } else { Default::default() };
    let up = |switch: &mut Switch, context: ContextKey, slots, colour_code, statics| {
        let profile =
            Profile { colour_code, ..Profile::repeater(7 + u32::from(context.index), slots, statics) };
        switch.handle_input(now, Input::Up { context, profile });
    };
    up(&mut switch, TALKER, Slots::Both, 1, Default::default());
    up(&mut switch, EARLY, Slots::Both, air[0].colour_code, statics.clone());
    let mut bursts = Vec::new();
    let mut take = |switch: &mut Switch, now| {
        while let Some(output) = switch.poll_output() {
            match output {
                Output::Deliver { context, frame, .. } => bursts.push((context, frame)),
                Output::Locate { index, session, .. } => {
                    let place = Place::Here { context: 8, slot: Slot::Two };
                    switch.handle_input(now, Input::Located { index, session, place });
                }
                _ => {}
            }
        }
    };
    for (sequence, (kind, burst)) in (0..).zip(VoiceCall::new(said, 9, Sync::MsVoice, [AMBE_SILENCE; 18])) {
        let is_left_out = match kind {
            BurstKind::Data(DataType::VOICE_HEADER) => !has_header,
            BurstKind::Data(_) => !has_terminator,
            BurstKind::Voice(_) => false,
        };
        if sequence == 5 && is_group {
            let statics = statics.clone();
            let profile =
                Profile { colour_code: air[1].colour_code, ..Profile::repeater(9, Slots::Simplex, statics) };
            switch.handle_input(now, Input::Up { context: LATE, profile });
        }
        if !is_left_out {
            let call = if is_group { CallType::Group } else { CallType::Private };
            let frame = &Frame { source, destination, call, kind, sequence, ber: 0, rssi: 0, burst };
            switch.handle_input(now, Input::Frame { context: TALKER, slot: Slot::One, stream: 5, frame });
        }
        take(&mut switch, now);
        now = now.after(std::time::Duration::from_millis(60));
    }
    now = now.after(std::time::Duration::from_secs(1));
    switch.handle_timeout(now);
    take(&mut switch, now);
    Heard { lc, air, bursts }
}

/// What a judge is to read from a burst; `embedded` collects the fragments of a superframe.
fn cases(lc: &FullLc, air: Air, frame: &Frame, embedded: &mut Vec<u8>, cases: &mut Vec<(Value, Value)>) {
    let burst = hex(&frame.burst);
    let sync = |sync: Sync| match sync {
        Sync::BsVoice => "BsSourcedVoice",
        Sync::BsData => "BsSourcedData",
        Sync::MsVoice => "MsSourcedVoice",
        _ => "MsSourcedData",
    };
    match frame.kind {
        BurstKind::Data(data_type) => {
            let name = if data_type == DataType::TERMINATOR { "terminator" } else { "header" };
            let address = if frame.call == CallType::Group { "group_address" } else { "target_address" };
            cases.push((
                json!(["lc", burst, name]),
                json!({
                    "full_link_control_opcode": lc.flco().bits(),
                    "service_options": lc.service_options().0,
                    address: lc.destination(),
                    "source_address": lc.source(),
                    "good": true,
                }),
            ));
            let slot_type =
                json!({"colour_code": air.colour_code, "data_type": data_type.bits(), "fec_parity_ok": true});
            cases.push((json!(["slot_type", burst]), slot_type));
            cases.push((json!(["sync", burst]), json!(sync(air.sync.data()))));
        }
        BurstKind::Voice(0) => {
            embedded.clear();
            cases.push((json!(["sync", burst]), json!(sync(air.sync))));
        }
        BurstKind::Voice(place) => {
            let lcss = dmr::Lcss::at(place).map(dmr::Lcss::bits);
            let emb = json!({
                "colour_code": air.colour_code,
                "link_control_start_stop": lcss,
                "emb_parity_ok": true,
            });
            cases.push((json!(["emb", burst]), emb));
            embedded.extend(embedded_fragment(&frame.burst).to_be_bytes());
            if place == 4 {
                let read = json!([hex(&lc.0), dmr::crc::checksum5(&lc.0)]);
                cases.push((json!(["embedded_decode", hex(embedded)]), read));
            }
        }
    }
}

#[test]
fn receivers_are_told_what_the_call_is() {
    let mut random = Random::new(60);
    let (mut all, mut late_joins) = (Vec::new(), 0);
    for n in 0..CALLS {
        let Heard { lc, air, bursts } = call(&mut random, n);
        for (context, air) in [EARLY, LATE].into_iter().zip(air) {
            let heard: Vec<_> =
                bursts.iter().filter(|(who, _)| *who == context).map(|(_, frame)| frame).collect();
            late_joins += usize::from(context == LATE && !heard.is_empty());
            assert!(context == LATE || heard.len() >= 14, "{} bursts", heard.len());
            let mut embedded = Vec::new();
            heard.into_iter().for_each(|frame| cases(&lc, air, frame, &mut embedded, &mut all));
        }
    }
    assert!(late_joins > 100, "{late_joins}");
    OkDmrlib.agrees(all);
}
