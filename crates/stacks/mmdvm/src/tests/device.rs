//! A device that is logged in: bursts both ways, options, life signs, hand-over, goodbye.

use stack::{Envelope, Slot, Slots, delivered};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_burst_comes_out_as_it_came_in() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    let outputs = bench.send(addr(1), &dmrd(ID, 0x90));
    let [Output::Frame { context: 0, slot: Slot::Two, stream: 0x0102_0304, frame: got }] = &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!(*got, frame());
    let short = bench.send(addr(1), &dmrd(ID, 0x65)[..53]);
    let [Output::Frame { slot: Slot::One, frame: got, .. }] = &short[..] else { panic!("{short:?}") };
    let data = BurstKind::Data(dmr::DataType::from_bits(5));
    assert_eq!((got.call, got.kind, got.ber, got.rssi), (CallType::Private, data, 0, 0));
}

#[test]
fn only_legal_bursts_pass() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    for flags in 0..=255 {
        let kind = flags & 0x3F;
        let legal = kind == 0x10 || (1..=5).contains(&kind) || kind & 0x30 == 0x20;
        let slot = if flags & 0x80 == 0 { 1 } else { 2 };
        let expected = if legal { format!("frame 0 TS{slot}") } else { "refused BadFrame".to_owned() };
        assert_eq!(words(&bench.send(addr(1), &dmrd(ID, flags))), [expected], "{flags:#x}");
    }
    for at in [7, 10] {
        let mut nobody = dmrd(ID, 0x90);
        nobody[at] = 0;
        assert_eq!(words(&bench.send(addr(1), &nobody)), ["refused BadFrame"]);
    }
    for len in [52, 54, 56, 71] {
        let mut bytes = dmrd(ID, 0x90);
        bytes.resize(len, 0);
        assert_eq!(words(&bench.send(addr(1), &bytes)), ["refused Malformed"]);
    }
}

#[test]
fn who_is_not_logged_in_is_told() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    for (bytes, answer) in [
        (dmrd(ID, 0x90), true),
        (packet("RPTPING", ID, &[]), true),
        (packet("RPTCL", ID, &[]), true),
        (rptc(ID), true),
        (packet("RPTO", ID, b""), true),
        (packet("DMRA", ID, &[0; 11]), false),
        (packet("DMRG", ID, &[0; 10]), false),
        (packet("RPTG", ID, b"+50.1234+008.5678"), false),
    ] {
        let expected: &[&str] =
            if answer { &["refused NotLoggedIn", "MSTNAK to 2"] } else { &["refused NotLoggedIn"] };
        let outputs = bench.send(addr(2), &bytes);
        assert_eq!(words(&outputs), expected, "{}", bytes.escape_ascii());
        let answers = sent(&outputs);
        assert!(answers.iter().all(|answer| answer.len() <= bytes.len() + 2));
        assert!(answers.iter().all(|answer| *answer == packet("MSTNAK", ID, &[])));
    }
    let other = bench.send(addr(1), &dmrd(ID + 1, 0x90));
    assert_eq!(sent(&other), [packet("MSTNAK", ID + 1, &[])], "the right address with another ID");
    assert_eq!(words(&bench.send(addr(1), &dmrd(ID, 0x90))), ["frame 0 TS2"]);
}

#[test]
fn a_delivered_burst_has_55_bytes_and_the_receivers_id() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    let stream = 0x0102_0304;
    let datagram = delivered(&mut bench.mmdvm, Now::default(), 0, Slot::Two, stream, &frame()).unwrap();
    assert_eq!(datagram.bytes(), dmrd(ID, 0x90));
    assert_eq!(datagram.envelope, Envelope { listener: 1, local: None, to: addr(1) });

    let kinds = [
        (BurstKind::Voice(5), CallType::Group, Slot::One, 0x05),
        (BurstKind::Voice(0), CallType::Private, Slot::One, 0x50),
        (BurstKind::Data(dmr::DataType::TERMINATOR), CallType::Private, Slot::Two, 0xE2),
    ];
    for (kind, call, slot, flags) in kinds {
        let frame = Frame { kind, call, ..frame() };
        let datagram = delivered(&mut bench.mmdvm, Now::default(), 0, slot, stream, &frame).unwrap();
        assert_eq!(datagram.bytes(), dmrd(ID, flags));
    }
    bench.login(ID + 1, addr(2), &[vec![], vec![]]);
    for context in [1, 2, 99] {
        assert!(delivered(&mut bench.mmdvm, Now::default(), context, Slot::Two, stream, &frame()).is_none());
    }
}

#[test]
fn options_and_registry_make_the_static_talkgroups() {
    let mut bench = Bench::new(4);
    bench.login(ID, addr(1), &[vec![262], vec![]]);
    let up = profiles(&bench.send(addr(1), &rptc(ID)));
    assert_eq!(up[0].statics, [vec![262], vec![]]);
    let outputs = bench.send(addr(1), &packet("RPTO", ID, b"TS1=91,262;TS2=3100;"));
    assert_eq!(words(&outputs), ["changed 0", "RPTACK to 1", "up 0"]);
    assert_eq!(profiles(&outputs)[0].statics, [vec![262, 91], vec![3100]]);
    let again = bench.send(addr(1), &packet("RPTO", ID, b"TS1=91,262;TS2=3100;"));
    assert_eq!(words(&again), ["RPTACK to 1"]);
    let changed = bench.input(Input::Settings { id: ID, settings: registered([vec![], vec![8]]) });
    assert_eq!(words(&changed), ["changed 0", "up 0"]);
    assert_eq!(profiles(&changed)[0].statics, [vec![262, 91], vec![8, 3100]]);
    assert!(bench.input(Input::Settings { id: ID, settings: registered([vec![], vec![8]]) }).is_empty());
    assert!(bench.input(Input::Settings { id: ID + 1, settings: registered([vec![1], vec![]]) }).is_empty());
    // A new login without options has none.
    bench.wait(SECOND);
    bench.login(ID, addr(1), &[vec![], vec![8]]);
    assert_eq!(profiles(&bench.send(addr(1), &rptc(ID)))[0].statics, [vec![], vec![8]]);
}

#[test]
fn the_switch_is_told_how_a_device_is_served() {
    let mut bench = Bench::new(4);
    let settings =
        |blocked: &[u32], single| DeviceSettings { blocked: blocked.to_vec(), single, ..Default::default() };
    let key = bench.key(ID, addr(1), PASSWORD);
    bench.send(addr(1), &key);
    let verdict = Verdict::Accepted { settings: settings(&[91, 92], false) };
    bench.input(Input::Answer(Answer::Login { id: ID, from: addr(1), verdict }));
    let mut config = rptc(ID);
    config[36..38].copy_from_slice(b"07");
    let rules = |outputs: &[Output]| {
        let up = profiles(outputs).pop().unwrap();
        (up.blocked, up.single, up.dynamic_minutes, up.colour_code)
    };
    assert_eq!(rules(&bench.send(addr(1), &config)), (vec![91, 92], false, None, 7));
    let outputs = bench.send(addr(1), &packet("RPTO", ID, b"SINGLE=1;TIMER=10"));
    assert_eq!(words(&outputs), ["changed 0", "RPTACK to 1", "up 0"]);
    assert_eq!(rules(&outputs), (vec![91, 92], true, Some(10), 7));
    let outputs = bench.input(Input::Settings { id: ID, settings: settings(&[9], true) });
    assert_eq!(rules(&outputs), (vec![9], true, Some(10), 7));
    // What the registry says holds without the device's wish.
    let outputs = bench.send(addr(1), &packet("RPTO", ID, b"RelinkTime=99999;SINGLE=0"));
    assert_eq!(rules(&outputs), (vec![9], true, Some(1440), 7));
    let outputs = bench.send(addr(1), &packet("RPTO", ID, b"TIMER=0"));
    assert_eq!(rules(&outputs), (vec![9], true, None, 7));
    let many: Vec<u32> = (1..=20).collect();
    let outputs = bench.input(Input::Settings { id: ID, settings: settings(&many, false) });
    assert_eq!(rules(&outputs), ((1..=8).collect(), false, None, 7));
}

#[test]
fn a_simplex_hotspot_has_one_slot() {
    let mut bench = Bench::new(4);
    bench.login(ID, addr(1), &[vec![262], vec![]]);
    bench.send(addr(1), &rptc_simplex(ID));
    let outputs = bench.send(addr(1), &packet("RPTO", ID, b"TS1_1=91;TS2_1=8"));
    let profile = &profiles(&outputs)[0];
    assert_eq!((profile.slots, &profile.statics), (Slots::Simplex, &[vec![], vec![8, 262, 91]]));
    assert_eq!(words(&bench.send(addr(1), &dmrd(ID, 0x10))), ["frame 0 TS2"]);
}

#[test]
fn too_many_talkgroups_are_named_and_the_login_goes_on() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    let many: Vec<String> = (1..=40).map(|tg| tg.to_string()).collect();
    let options = packet("RPTO", ID, format!("TS2={}", many.join(",")).as_bytes());
    let outputs = bench.send(addr(1), &options);
    assert_eq!(words(&outputs), ["changed 0", "RPTACK to 1", "up 0", "told Refused"]);
    let Output::Notice(notice) = &outputs[3] else { panic!("{outputs:?}") };
    let Notice::Refused { reason, .. } = &**notice else { panic!("{notice:?}") };
    assert_eq!(reason, "8 static talkgroups of the options are ignored: a slot has at most 32");
    assert_eq!(words(&bench.send(addr(1), &options)), ["RPTACK to 1"], "told once");
}

#[test]
fn silence_ends_a_context_and_anything_heard_keeps_it() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    bench.run(ID + 1, addr(2));
    let signs = [
        packet("RPTPING", ID, &[]),
        dmrd(ID, 0x90),
        packet("DMRA", ID, &[0; 11]),
        packet("DMRG", ID, &[0; 10]),
        packet("RPTG", ID, b"                 "),
        packet("RPTO", ID, b""),
    ];
    for (round, sign) in signs.iter().enumerate() {
        let outputs = words(&bench.wait(30 * SECOND));
        let expected: &[&str] = if round == 1 { &["changed 1", "down 1", "told Down Silent"] } else { &[] };
        assert_eq!(outputs, expected, "{round}");
        assert!(!words(&bench.send(addr(1), sign)).contains(&"refused NotLoggedIn".to_owned()));
    }
    assert!(bench.wait(Duration::from_micros(59_999_999)).is_empty());
    let outputs = bench.wait(Duration::from_micros(1));
    assert_eq!(words(&outputs), ["changed 0", "down 0", "told Down Silent"]);
    assert_eq!(bench.mmdvm.poll_timeout(), None);
}

#[test]
fn a_home_position_moves_the_device() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    let moved = packet("RPTG", ID, b"+50.5000+008.2500");
    assert_eq!(words(&bench.send(addr(1), &moved)), ["changed 0"]);
    assert!(bench.send(addr(1), &moved).is_empty());
    assert!(bench.send(addr(1), &packet("RPTG", ID, b"somewhere near us")).is_empty());
}

#[test]
fn goodbye_of_the_device_and_of_the_master() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    bench.run(ID + 1, addr(2));
    let bye = bench.send(addr(1), &packet("RPTCL", ID, &[]));
    assert_eq!(words(&bye), ["changed 0", "down 0", "told Down Closed", "MSTNAK to 1"]);
    let end = bench.input(Input::Shutdown);
    assert_eq!(words(&end), ["changed 1", "down 1", "told Down Shutdown", "MSTCL to 2"]);
    assert_eq!(sent(&end), [packet("MSTCL", ID + 1, &[])]);
    assert_eq!(bench.mmdvm.load().0, 0);
}

#[test]
fn another_owner_goes_on_where_the_first_one_stopped() {
    let mut old = Bench::new(4);
    old.run(ID, addr(1));
    old.send(addr(1), &packet("RPTO", ID, b"TS2=91"));
    old.login(ID + 1, addr(2), &[vec![1], vec![]]);
    let mut new = Bench::new(4);
    new.now = old.now.after(3600 * SECOND);
    let mut record = [0; 448];
    let len = old.mmdvm.encode_record(0, &mut record).unwrap();
    let back = new.input(Input::Restore { context: 0, bytes: &record[..len] });
    assert_eq!(words(&back), ["up 0"], "nothing is sent");
    assert_eq!(profiles(&back)[0].statics, [vec![], vec![91]]);
    let twice = new.input(Input::Restore { context: 0, bytes: &record[..len] });
    assert_eq!(words(&twice), ["refused Malformed"]);
    let len = old.mmdvm.encode_record(1, &mut record).unwrap();
    assert!(new.input(Input::Restore { context: 1, bytes: &record[..len] }).is_empty());
    assert_eq!(words(&new.send(addr(1), &dmrd(ID, 0x90))), ["frame 0 TS2"]);
    assert_eq!(words(&new.send(addr(2), &rptc(ID + 1)))[2], "up 1");
    for (context, bytes) in [(2, &record[..9]), (3, &[]), (4, &record[..]), (2, &[2; 99])] {
        assert_eq!(words(&new.input(Input::Restore { context, bytes })), ["refused Malformed"]);
    }
    assert_eq!(new.wait(60 * SECOND).len(), 6, "both expire in their time");
}
