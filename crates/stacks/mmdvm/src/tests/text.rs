//! The text dialect: the whole life of a device that speaks it, and both dialects beside each other.

use stack::{Refusal, Slot, Slots, delivered};

use super::*;

const NONE: [Vec<u32>; 2] = [vec![], vec![]];
const SECOND: Duration = Duration::from_secs(1);

/// Tag, ID as lower case digits, and `rest`.
fn text(tag: &str, id: u32, rest: &str) -> Vec<u8> {
    format!("{tag}{id:08x}{rest}").into_bytes()
}

/// An answer as it is to be: tag and ID as upper case digits.
fn answer(tag: &str, id: u32) -> Vec<u8> {
    format!("{tag}{id:08X}").into_bytes()
}

/// The configuration of a duplex repeater, call sign first.
fn config(id: u32) -> Vec<u8> {
    let fields = &rptc(id)[16..];
    let text = [b"RPTCN0CALL  ", format!("{id:08x}").as_bytes(), fields].concat();
    assert_eq!(text.len(), 306);
    text
}

/// `RPTL`, and the `RPTK` that answers it.
fn key(bench: &mut Bench, id: u32, from: SocketAddr, password: &[u8]) -> Vec<u8> {
    let salt = sent(&bench.send(from, &text("RPTL", id, "")));
    assert_eq!((salt[0].len(), &salt[0][..14]), (22, &answer("MSTACK", id)[..]));
    assert!(salt[0][14..].iter().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')));
    let digest = digest(&salt[0][14..], password);
    text("RPTK", id, &digest.map(|byte| format!("{byte:02x}")).concat())
}

fn login(bench: &mut Bench, id: u32, from: SocketAddr, statics: &[Vec<u32>; 2]) -> Vec<Output> {
    let key = key(bench, id, from, PASSWORD);
    let asked = bench.send(from, &key);
    assert_eq!(words(&asked), ["ask"]);
    bench.input(Input::Answer(services(&asked, statics).unwrap()))
}

fn run(bench: &mut Bench, id: u32, from: SocketAddr) {
    login(bench, id, from, &NONE);
    assert_eq!(words(&bench.send(from, &config(id)))[2..], ["up 0", "told Up"]);
}

#[test]
fn a_whole_life() {
    let mut bench = Bench::new(4);
    let outputs = login(&mut bench, ID, addr(1), &[vec![262], vec![]]);
    assert_eq!(words(&outputs), ["changed 0", "MSTACK to 1"]);
    assert_eq!(sent(&outputs), [answer("MSTACK", ID)]);
    let outputs = bench.send(addr(1), &config(ID));
    assert_eq!(words(&outputs), ["changed 0", "MSTACK to 1", "up 0", "told Up"]);
    assert_eq!(profiles(&outputs)[0], Profile::repeater(ID, Slots::Both, [vec![262], vec![]]));
    let outputs = bench.send(addr(1), &text("RPTO", ID, "TS2=91;SINGLE=1;TIMER=5"));
    assert_eq!(words(&outputs), ["changed 0", "MSTACK to 1", "up 0"]);
    let profile = &profiles(&outputs)[0];
    assert_eq!((&profile.statics, profile.single), (&[vec![262], vec![91]], true));
    assert_eq!(profile.dynamic_minutes, Some(5));

    assert_eq!(sent(&bench.send(addr(1), &text("MSTPING", ID, ""))), [answer("RPTPONG", ID)]);
    assert_eq!(sent(&bench.send(addr(1), &text("RPTPING", ID, ""))), [answer("MSTPONG", ID)]);
    assert_eq!(sent(&bench.send(addr(1), &answer("MSTPING", ID))), [answer("RPTPONG", ID)], "upper case");

    let outputs = bench.send(addr(1), &dmrd(ID, 0x90)[..53]);
    let [Output::Frame { context: 0, slot: Slot::Two, frame: got, .. }] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(*got, Frame { ber: 0, rssi: 0, ..frame() });
    let stream = 0x0102_0304;
    let datagram = delivered(&mut bench.mmdvm, Now::default(), 0, Slot::Two, stream, &frame()).unwrap();
    assert_eq!(datagram.bytes(), &dmrd(ID, 0x90)[..53]);

    let outputs = bench.send(addr(1), &text("RPTCL", ID, ""));
    assert_eq!(words(&outputs), ["changed 0", "down 0", "told Down Closed", "MSTNAK to 1"]);
    assert_eq!(sent(&outputs), [answer("MSTNAK", ID)]);
}

#[test]
fn wrong_passwords_are_refused_in_its_words() {
    let mut bench = Bench::new(4);
    let wrong = key(&mut bench, ID, addr(1), b"wrong");
    let asked = bench.send(addr(1), &wrong);
    let outputs = bench.input(Input::Answer(services(&asked, &NONE).unwrap()));
    assert_eq!(words(&outputs), ["MSTNAK to 1", "refused WrongPassword"]);
    assert_eq!(sent(&outputs), [answer("MSTNAK", ID)]);
    // The salt hashed as the four bytes that it stands for is wrong as well.
    bench.wait(SECOND);
    let salt = sent(&bench.send(addr(1), &packet("RPTL", ID, &[])));
    let digest = digest(&salt[0][6..], PASSWORD);
    let asked = bench.send(addr(1), &text("RPTK", ID, &digest.map(|b| format!("{b:02x}")).concat()));
    let answer = services(&asked, &NONE).unwrap();
    assert!(matches!(answer, Answer::Login { verdict: Verdict::Refused { .. }, .. }));
}

#[test]
fn a_repeated_password_is_answered_and_undoes_nothing() {
    let mut bench = Bench::new(4);
    let key = key(&mut bench, ID, addr(1), PASSWORD);
    let asked = bench.send(addr(1), &key);
    bench.input(Input::Answer(services(&asked, &NONE).unwrap()));
    bench.send(addr(1), &config(ID));
    bench.wait(10 * SECOND);
    assert_eq!(sent(&bench.send(addr(1), &key)), [answer("MSTACK", ID)]);
    assert_eq!(words(&bench.send(addr(1), &text("MSTPING", ID, ""))), ["RPTPONG to 1"], "still running");
}

#[test]
fn a_configuration_in_either_order() {
    let mut bench = Bench::new(4);
    login(&mut bench, ID, addr(1), &NONE);
    let mut id_first = config(ID);
    id_first[4..20].rotate_right(8);
    assert_eq!(id_first[..20], [&text("RPTC", ID, "")[..], b"N0CALL  "].concat());
    assert_eq!(words(&bench.send(addr(1), &id_first))[2..], ["up 0", "told Up"]);
    assert_eq!(words(&bench.send(addr(1), &config(ID))), ["MSTACK to 1"], "the same");
    let mut norwegian = config(ID);
    norwegian[4..12].copy_from_slice(b"LA1ABC  ");
    let outputs = bench.send(addr(1), &norwegian);
    assert_eq!(words(&outputs), ["changed 0", "MSTACK to 1"], "no goodbye");
    let mut wrong = config(ID);
    wrong[4] = b'!';
    let outputs = bench.send(addr(1), &wrong);
    assert!(words(&outputs).contains(&"refused BadConfiguration".to_owned()));
    assert_eq!(sent(&outputs), [answer("MSTNAK", ID)]);
}

#[test]
fn one_frequency_makes_a_simplex_hotspot() {
    let mut bench = Bench::new(4);
    login(&mut bench, ID, addr(1), &NONE);
    let mut simplex = config(ID);
    simplex.copy_within(20..29, 29);
    let profile = &profiles(&bench.send(addr(1), &simplex))[0];
    assert_eq!(profile.slots, Slots::Simplex);
    for slot in 0..=2 {
        let outputs = bench.send(addr(1), &text("RPTINTR", ID, &format!(":{slot}")));
        assert_eq!(words(&outputs), [format!("interrupt {ID} TS2")]);
    }
}

#[test]
fn a_device_interrupts_the_call_that_it_hears() {
    let mut bench = Bench::new(4);
    login(&mut bench, ID, addr(1), &NONE);
    let interrupt = |slot: &str| text("RPTINTR", ID, slot);
    assert_eq!(words(&bench.send(addr(1), &interrupt(":1"))), ["refused NotLoggedIn"], "not yet");
    bench.send(addr(1), &config(ID));
    for (slot, number) in [(":0", 2), (":1", 1), (":2", 2)] {
        assert_eq!(words(&bench.send(addr(1), &interrupt(slot))), [format!("interrupt {ID} TS{number}")]);
    }
    for slot in ["", ":", ":3", "1", ":1x", ":11"] {
        assert_eq!(words(&bench.send(addr(1), &interrupt(slot))), ["refused Malformed"], "{slot:?}");
    }
    assert_eq!(words(&bench.send(addr(2), &interrupt(":1"))), ["refused NotLoggedIn"], "a stranger");
}

#[test]
fn field_strength_and_anything_else_keeps_it() {
    let mut bench = Bench::new(4);
    run(&mut bench, ID, addr(1));
    let signs = [
        text("RPTRSSI", ID, ":1-120.0"),
        text("RPTRSSI", ID, ":0-7"),
        text("RPTINTR", ID, ":1"),
        text("MSTPING", ID, ""),
        dmrd(ID, 0x90),
        packet("DMRA", ID, &[0; 11]),
    ];
    for sign in signs {
        assert!(bench.wait(59 * SECOND).is_empty());
        let outputs = words(&bench.send(addr(1), &sign));
        assert!(!outputs.iter().any(|word| word.starts_with("refused")), "{outputs:?}");
    }
    assert_eq!(words(&bench.send(addr(1), &text("RPTRSSI", ID, ":3-120.0"))), ["refused Malformed"]);
    assert_eq!(words(&bench.wait(60 * SECOND)), ["changed 0", "down 0", "told Down Silent"]);
}

#[test]
fn strangers_are_told_in_their_dialect() {
    let mut bench = Bench::new(4);
    for (bytes, told) in [
        (text("RPTPING", ID, ""), true),
        (text("MSTPING", ID, ""), true),
        (text("RPTCL", ID, ""), true),
        (text("RPTO", ID, ""), true),
        (config(ID), true),
        (text("RPTRSSI", ID, ":1-120.0"), false),
        (text("RPTINTR", ID, ":1"), false),
    ] {
        let outputs = bench.send(addr(2), &bytes);
        let expected = if told { vec![answer("MSTNAK", ID)] } else { vec![] };
        assert_eq!(sent(&outputs), expected, "{}", bytes.escape_ascii());
        assert_eq!(words(&outputs)[0], "refused NotLoggedIn");
        assert!(expected.iter().all(|answer| answer.len() <= bytes.len() + 2));
    }
    // A burst does not say which dialect its sender speaks, but the address may.
    assert_eq!(sent(&bench.send(addr(2), &dmrd(ID, 0x90))), [packet("MSTNAK", ID, &[])]);
    run(&mut bench, ID, addr(1));
    assert_eq!(sent(&bench.send(addr(1), &dmrd(ID + 1, 0x90))), [answer("MSTNAK", ID + 1)]);
}

#[test]
fn a_device_speaks_what_it_has_logged_in_with() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    for bytes in [text("RPTPING", ID, ""), text("RPTCL", ID, ""), text("RPTO", ID, "TS1=1"), config(ID)] {
        let outputs = bench.send(addr(1), &bytes);
        assert_eq!(sent(&outputs), [answer("MSTNAK", ID)], "{}", bytes.escape_ascii());
    }
    assert_eq!(words(&bench.send(addr(1), &text("RPTINTR", ID, ":1"))), ["refused NotLoggedIn"]);
    assert_eq!(words(&bench.send(addr(1), &packet("RPTPING", ID, &[]))), ["MSTPONG to 1"], "still there");
    bench.wait(SECOND);
    run(&mut bench, ID, addr(1));
    for bytes in
        [packet("RPTPING", ID, &[]), packet("RPTCL", ID, &[]), packet("RPTO", ID, b"TS1=1"), rptc(ID)]
    {
        let outputs = bench.send(addr(1), &bytes);
        assert_eq!(sent(&outputs), [packet("MSTNAK", ID, &[])], "{}", bytes.escape_ascii());
    }
    assert_eq!(words(&bench.send(addr(1), &packet("MSTPING", ID, &[]))), ["refused Malformed"]);
    assert_eq!(words(&bench.send(addr(1), &text("MSTPING", ID, ""))), ["RPTPONG to 1"], "still there");
    assert_eq!(bench.mmdvm.load().0, 1);
}

#[test]
fn an_unfinished_login_is_finished_in_its_dialect() {
    let mut bench = Bench::new(4);
    login(&mut bench, ID, addr(1), &NONE);
    assert_eq!(sent(&bench.send(addr(1), &rptc(ID))), [packet("MSTNAK", ID, &[])]);
    assert_eq!(words(&bench.send(addr(1), &config(ID)))[2..], ["up 0", "told Up"]);
}

#[test]
fn the_masters_goodbye_is_in_its_dialect() {
    let mut bench = Bench::new(4);
    run(&mut bench, ID, addr(1));
    let kicked = bench.input(Input::Evict { id: ID, keep: None, gone: Gone::Kicked });
    assert_eq!(sent(&kicked), [answer("MSTCL", ID)]);
    login(&mut bench, ID, addr(1), &NONE);
    assert_eq!(sent(&bench.input(Input::Shutdown)), [answer("MSTCL", ID)]);
}

#[test]
fn another_owner_goes_on_in_its_dialect() {
    let mut old = Bench::new(4);
    run(&mut old, ID, addr(1));
    old.send(addr(1), &text("RPTO", ID, "TS2=91;SINGLE=1;TIMER=30"));
    let settings = DeviceSettings { blocked: vec![9], ..DeviceSettings::default() };
    old.input(Input::Settings { id: ID, settings });
    let mut record = [0; 448];
    let len = old.mmdvm.encode_record(0, &mut record).unwrap();
    let mut new = Bench::new(4);
    let back = new.input(Input::Restore { context: 0, bytes: &record[..len] });
    let expected = Profile {
        blocked: vec![9],
        single: true,
        dynamic_minutes: Some(30),
        ..Profile::repeater(ID, Slots::Both, [vec![], vec![91]])
    };
    assert_eq!(profiles(&back), [expected]);
    assert_eq!(sent(&new.send(addr(1), &text("MSTPING", ID, ""))), [answer("RPTPONG", ID)]);
    assert_eq!(
        delivered(&mut new.mmdvm, Now::default(), 0, Slot::One, 1, &frame()).unwrap().bytes().len(),
        53
    );
    assert_eq!(sent(&new.input(Input::Shutdown)), [answer("MSTCL", ID)]);
}

#[test]
fn one_id_has_one_context_in_whichever_dialect() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    let outputs = words(&login(&mut bench, ID, addr(2), &NONE));
    assert_eq!(outputs, ["changed 0", "down 0", "told Down Replaced", "changed 0", "MSTACK to 2"]);
    bench.send(addr(2), &config(ID));
    bench.wait(SECOND);
    let outputs = words(&bench.login(ID, addr(2), &NONE));
    assert_eq!(outputs, ["changed 0", "down 0", "told Down Replaced", "changed 0", "RPTACK to 2"]);
    assert_eq!(bench.mmdvm.load().0, 1);
}

#[test]
fn nearly_text_is_malformed() {
    let mut bench = Bench::new(4);
    for bytes in [
        &b"RPTL0004017"[..],
        b"RPTL0004017g",
        b"RPTL000401788",
        b"RPTK00040178",
        b"RPTPING0004017x",
        b"MSTPING",
        b"MSTPONG00040178",
        b"RPTPONG00040178",
        b"RPTSBKN00040178",
        b"RPTIDLE00040178",
        b"RPTRSSI00040178",
        b"RPTRSSI00040178:1-120.00000",
        b"RPTINTR0004017x:1",
    ] {
        let outputs = bench.send(addr(1), bytes);
        assert!(matches!(outputs[..], [Output::Refused(Refusal::Malformed)]), "{}", bytes.escape_ascii());
    }
    let mut key = key(&mut bench, ID, addr(1), PASSWORD);
    key[75] = b'g';
    assert_eq!(words(&bench.send(addr(1), &key)), ["refused Malformed"]);
    key.pop();
    assert_eq!(words(&bench.send(addr(1), &key)), ["refused Malformed"]);
}
