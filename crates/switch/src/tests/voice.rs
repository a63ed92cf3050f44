//! What a voice call says of itself, and what of it is made right on the way.

use dmr::{
    AMBE_LEN, AMBE_SILENCE, AliasFormat, BURST_LEN, BurstKind, DataType, Emb, EmbeddedLc, Flco, FullLc, Lcss,
    ServiceOptions, SlotType, Sync, TalkerAlias, embedded_fragment, set_embedded_fragment,
};
use stack::{CallType, Frame, Profile, Slot, Slots};

use super::bench::{Bench, HEADER, Heard, TERMINATOR};
use crate::Input;

const RIGHT: FullLc = FullLc::group(7, 91);

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench.repeater("B", &[], &[91]);
    bench
}

/// The bursts of a call from radio 7 to talkgroup 91 that says this LC, two superframes long.
fn call(lc: FullLc) -> Vec<Frame> {
    let bursts = dmr::VoiceCall::new(lc, 1, Sync::BsVoice, [AMBE_SILENCE; 12]);
    let frame = |(sequence, (kind, burst))| Frame {
        source: 7,
        destination: 91,
        call: CallType::Group,
        kind,
        sequence,
        ber: 0,
        rssi: 0,
        burst,
    };
    (0..).zip(bursts).map(frame).collect()
}

fn say(bench: &mut Bench, frames: &[Frame]) -> Vec<Heard> {
    for frame in frames {
        let context = bench.context("A");
        bench.input(Input::Frame { context, slot: Slot::One, stream: 5, frame });
        bench.pass_ms(60);
    }
    bench.bursts("B")
}

/// The LC of each header and terminator, and what each superframe says.
fn lcs(heard: &[Heard]) -> Vec<(BurstKind, FullLc)> {
    let mut embedded = EmbeddedLc::new();
    let lc = |heard: &Heard| {
        let Frame { kind, burst, .. } = &heard.frame;
        let lc = match *kind {
            BurstKind::Data(data_type) => FullLc::from_burst(burst, data_type),
            BurstKind::Voice(place) => embedded.push(Lcss::at(place)?, embedded_fragment(burst)),
        };
        lc.map(|lc| (*kind, lc))
    };
    heard.iter().filter_map(lc).collect()
}

const LAST: BurstKind = BurstKind::Voice(4);

#[test]
fn where_lc_and_datagram_disagree_the_datagram_wins() {
    for wrong in [RIGHT.with_source(8), RIGHT.with_destination(92), FullLc::private(7, 91)] {
        let heard = say(&mut bench(), &call(wrong));
        assert_eq!(lcs(&heard), [(HEADER, RIGHT), (LAST, RIGHT), (LAST, RIGHT), (TERMINATOR, RIGHT)]);
        assert!(heard.iter().all(|heard| heard.frame.source == 7));
    }
}

#[test]
fn service_options_stay_where_the_rest_is_wrong() {
    let options = ServiceOptions(0x83);
    let heard = say(&mut bench(), &call(RIGHT.with_source(8).with_service_options(options)));
    let right = RIGHT.with_service_options(options);
    assert_eq!(lcs(&heard), [(HEADER, right), (LAST, right), (LAST, right), (TERMINATOR, right)]);
}

#[test]
fn an_lc_that_cannot_be_read_is_written_anew() {
    let mut frames = call(RIGHT);
    for frame in frames.iter_mut().filter(|frame| frame.kind == HEADER || frame.kind == TERMINATOR) {
        frame.burst[..12].fill(0x5A);
        frame.burst[21..].fill(0x5A);
    }
    // Of the first superframe B to E are noise, and it is over before that is known.
    for frame in &mut frames[2..6] {
        set_embedded_fragment(&mut frame.burst, 0xDEAD_BEEF);
    }
    for frame in &mut frames[8..12] {
        set_embedded_fragment(&mut frame.burst, 0x1234_5678);
    }
    assert_eq!(lcs(&say(&mut bench(), &frames)), [(HEADER, RIGHT), (LAST, RIGHT), (TERMINATOR, RIGHT)]);
}

#[test]
fn an_emb_that_cannot_be_read_costs_no_burst() {
    let mut frames = call(RIGHT);
    for frame in frames.iter_mut().filter(|frame| matches!(frame.kind, BurstKind::Voice(1..))) {
        (frame.burst[13], frame.burst[14]) = (frame.burst[13] ^ 0x0F, frame.burst[14] ^ 0xF0);
        assert_eq!(Emb::read(&frame.burst), None);
    }
    let heard = say(&mut bench(), &frames);
    assert_eq!(heard.len(), 14);
    for heard in &heard {
        let BurstKind::Voice(place @ 1..) = heard.frame.kind else { continue };
        let emb = Emb { colour_code: 1, pi: false, lcss: Lcss::at(place).unwrap() };
        assert_eq!(Emb::read(&heard.frame.burst), Some(emb));
    }
}

#[test]
fn each_receiver_gets_its_colour_code_and_its_sync() {
    let mut bench = bench();
    let mut profile = Profile::repeater(250_001, Slots::Both, [vec![], vec![91]]);
    profile.colour_code = 7;
    bench.input(Input::Up { context: bench.context("B"), profile });
    bench.simplex("H", &[91]);
    let heard = say(&mut bench, &call(RIGHT));
    check_air(&heard, 7, Sync::BsVoice);
    check_air(&bench.bursts("H"), 1, Sync::MsVoice);
}

fn check_air(heard: &[Heard], colour_code: u8, sync: Sync) {
    assert_eq!(heard.len(), 14);
    for Frame { kind, burst, .. } in heard.iter().map(|heard| &heard.frame) {
        match *kind {
            BurstKind::Data(data_type) => {
                assert_eq!(SlotType::read(burst), Some(SlotType { colour_code, data_type }));
                assert_eq!(Sync::of(burst), Some(sync.data()));
            }
            BurstKind::Voice(0) => assert_eq!(Sync::of(burst), Some(sync)),
            BurstKind::Voice(_) => assert_eq!(Emb::read(burst).unwrap().colour_code, colour_code),
        }
        if let BurstKind::Voice(_) = kind {
            assert_eq!(dmr::ambe(burst), AMBE_SILENCE);
        }
    }
}

#[test]
fn an_emergency_is_in_the_headers_that_are_made_up() {
    let mut bench = bench();
    let urgent = RIGHT.with_service_options(ServiceOptions(0x80));
    let frames = call(urgent);
    say(&mut bench, &frames[..3]);
    bench.repeater("C", &[91], &[]);
    say(&mut bench, &frames[3..10]);
    bench.pass_ms(600);
    let late = bench.bursts("C");
    let kinds: Vec<_> = late.iter().map(|heard| heard.frame.kind).collect();
    let voice = [0, 1, 2].map(BurstKind::Voice);
    assert_eq!(kinds, [&[HEADER][..], &voice, &[TERMINATOR]].concat());
    assert_eq!(lcs(&late), [(HEADER, urgent), (TERMINATOR, urgent)]);
    assert_eq!(late[0].frame.sequence.wrapping_add(1), late[1].frame.sequence);
}

#[test]
fn a_talker_alias_passes_and_is_told() {
    let mut bench = bench();
    bench.switch.settings.max_burst_rate = 0;
    // The LC of the call and the parts of the alias in turn, a superframe each.
    let alias: Vec<FullLc> = TalkerAlias::lcs(AliasFormat::Utf8, "DL1ABC Jörg, Köln").collect();
    let said: Vec<FullLc> = alias.iter().flat_map(|&part| [RIGHT, part]).collect();
    let mut frames = call(RIGHT);
    let superframe: Vec<Frame> = frames.drain(1..13).take(6).collect();
    let terminator = frames.pop().unwrap();
    for lc in &said {
        frames.extend(superframe.iter().map(|frame| {
            let mut frame = *frame;
            if let BurstKind::Voice(place @ 1..=4) = frame.kind {
                set_embedded_fragment(&mut frame.burst, lc.to_embedded()[usize::from(place) - 1]);
            }
            frame
        }));
    }
    frames.push(terminator);
    (0..).zip(&mut frames).for_each(|(sequence, frame)| frame.sequence = sequence);
    let heard = say(&mut bench, &frames);
    assert_eq!(heard.iter().map(|heard| heard.frame).collect::<Vec<_>>(), frames, "bit by bit");
    assert_eq!(bench.log(&["7 is"]), ["7 is DL1ABC Jörg, Köln"]);
}

#[test]
fn an_alias_beside_a_wrong_lc_comes_one_superframe_later() {
    let alias: Vec<FullLc> = TalkerAlias::lcs(AliasFormat::Iso8859_1, "N0CALL").collect();
    assert_eq!(alias.len(), 1);
    let mut frames = call(RIGHT.with_source(8));
    for frame in &mut frames {
        if let BurstKind::Voice(place @ 1..=4) = frame.kind
            && frame.sequence < 7
        {
            set_embedded_fragment(&mut frame.burst, alias[0].to_embedded()[usize::from(place) - 1]);
        }
    }
    let heard = say(&mut bench(), &frames);
    assert_eq!(lcs(&heard), [(HEADER, RIGHT), (LAST, RIGHT), (LAST, alias[0]), (TERMINATOR, RIGHT)]);
    assert_eq!(alias[0].flco(), Flco::TalkerAliasHeader);
}

#[test]
fn encrypted_calls_are_refused_or_carried() {
    let secret = RIGHT.with_service_options(ServiceOptions(0x40));
    let mut bench = bench();
    assert_eq!(say(&mut bench, &call(secret)).len(), 0);
    assert_eq!(bench.log(&["refused"]), ["refused 91: Encrypted"]);
    bench.switch.settings.encrypted = true;
    bench.pass_ms(2000);
    assert_eq!(say(&mut bench, &call(secret)).len(), 14);
    assert_eq!(bench.log(&["refused"]), [""; 0]);
}

#[test]
fn a_call_that_turns_out_to_be_encrypted_ends_for_its_listeners() {
    let mut bench = bench();
    let mut frames = call(RIGHT);
    frames.truncate(4);
    let mut burst = [0; BURST_LEN];
    SlotType { colour_code: 1, data_type: DataType::PI_HEADER }.write(&mut burst);
    frames.push(Frame { kind: BurstKind::Data(DataType::PI_HEADER), sequence: 4, burst, ..frames[0] });
    let heard = say(&mut bench, &frames);
    let kinds: Vec<_> = heard.iter().map(|heard| heard.frame.kind).collect();
    let voice = [0, 1, 2].map(BurstKind::Voice);
    assert_eq!(kinds, [&[HEADER][..], &voice, &[TERMINATOR]].concat());
    assert_eq!(bench.log(&["refused"]), ["refused 91: Encrypted"]);
    // Siblings hear of the end too.
    assert_eq!(bench.forwarded.last().map(|forward| forward.frame.kind), Some(TERMINATOR));
}

#[test]
fn the_privacy_indicator_stays() {
    let mut bench = bench();
    bench.switch.settings.encrypted = true;
    let mut frames = call(RIGHT);
    for frame in &mut frames {
        if let BurstKind::Voice(place @ 1..) = frame.kind {
            Emb { colour_code: 3, pi: true, lcss: Lcss::at(place).unwrap() }.write(&mut frame.burst);
        }
    }
    let heard = say(&mut bench, &frames);
    let embs = heard.iter().filter(|heard| matches!(heard.frame.kind, BurstKind::Voice(1..)));
    assert!(
        embs.map(|heard| Emb::read(&heard.frame.burst).unwrap()).all(|emb| emb.pi && emb.colour_code == 1)
    );
    assert_eq!(AMBE_SILENCE.len(), AMBE_LEN);
}
