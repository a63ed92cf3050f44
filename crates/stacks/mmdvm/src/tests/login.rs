//! Logging in: repeats, wrong passwords, replacement, eviction, room.

use stack::Refusal;

use super::*;

const NONE: [Vec<u32>; 2] = [vec![], vec![]];
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_login_runs_with_its_configuration() {
    let mut bench = Bench::new(4);
    assert_eq!(words(&bench.login(ID, addr(1), &NONE)), ["changed 0", "RPTACK to 1"]);
    assert_eq!(words(&bench.send(addr(1), &rptc(ID))), ["changed 0", "RPTACK to 1", "up 0", "told Up"]);
    assert_eq!(words(&bench.send(addr(1), &rptc(ID))), ["RPTACK to 1"], "a repeat changes nothing");
    let mut elsewhere = rptc(ID);
    elsewhere[58..63].copy_from_slice(b"There");
    assert_eq!(words(&bench.send(addr(1), &elsewhere)), ["changed 0", "RPTACK to 1"]);
    let simplex = bench.send(addr(1), &rptc_simplex(ID));
    assert_eq!(words(&simplex), ["changed 0", "RPTACK to 1", "up 0"]);
}

#[test]
fn rptl_costs_nothing() {
    let mut bench = Bench::new(4);
    for id in 0..10_000 {
        assert_eq!(words(&bench.send(addr(1), &packet("RPTL", id, &[]))), ["RPTACK to 1"]);
    }
    assert_eq!(bench.mmdvm.load(), (0, 0));
    assert_eq!(bench.mmdvm.poll_timeout(), None);
}

#[test]
fn a_salt_is_good_for_thirty_seconds_at_least() {
    let mut bench = Bench::new(4);
    let key = bench.key(ID, addr(1), PASSWORD);
    bench.wait(30 * SECOND);
    let asked = bench.send(addr(1), &key);
    let answer = services(&asked, &NONE).unwrap();
    assert!(matches!(answer, Answer::Login { verdict: Verdict::Accepted { .. }, .. }));
    bench.wait(30 * SECOND);
    let asked = bench.send(addr(1), &key);
    let answer = services(&asked, &NONE).unwrap();
    assert!(matches!(answer, Answer::Login { verdict: Verdict::Refused { .. }, .. }));
}

#[test]
fn wrong_passwords_are_refused_aloud_or_in_silence() {
    let mut bench = Bench::new(4);
    let key = bench.key(ID, addr(1), b"wrong");
    let asked = bench.send(addr(1), &key);
    let answer = services(&asked, &NONE).unwrap();
    let outputs = bench.input(Input::Answer(answer));
    assert_eq!(words(&outputs), ["MSTNAK to 1", "refused WrongPassword"]);
    assert_eq!(sent(&outputs), [packet("MSTNAK", ID, &[])]);
    bench.wait(SECOND);
    bench.send(addr(1), &key);
    let silent = Answer::Login { id: ID, from: addr(1), verdict: Verdict::Refused { tell: false } };
    assert_eq!(words(&bench.input(Input::Answer(silent))), ["refused WrongPassword"]);
    assert_eq!(bench.mmdvm.load().0, 0);
}

#[test]
fn a_repeated_key_asks_once_a_second() {
    let mut bench = Bench::new(4);
    let key = bench.key(ID, addr(1), PASSWORD);
    let asked = bench.send(addr(1), &key);
    assert_eq!(words(&asked), ["ask"]);
    assert!(bench.send(addr(1), &key).is_empty());
    let answer = services(&asked, &NONE).unwrap();
    assert_eq!(words(&bench.input(Input::Answer(answer.clone()))), ["changed 0", "RPTACK to 1"]);
    assert!(bench.input(Input::Answer(answer)).is_empty(), "answered once");
    bench.send(addr(1), &rptc(ID));
    let double = bench.send(addr(1), &key);
    assert_eq!(words(&double), ["RPTACK to 1"], "a late double does not end the context");
    // But whoever said goodbye may come back at once.
    bench.send(addr(1), &packet("RPTCL", ID, &[]));
    assert_eq!(words(&bench.send(addr(1), &key)), ["ask"]);
}

#[test]
fn unasked_answers_are_not_believed() {
    let mut bench = Bench::new(4);
    let verdict = Verdict::Accepted { settings: DeviceSettings::default() };
    assert!(bench.input(Input::Answer(Answer::Login { id: ID, from: addr(1), verdict })).is_empty());
    assert_eq!(bench.mmdvm.load(), (0, 0));
}

#[test]
fn a_running_device_logs_in_anew() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    bench.wait(SECOND);
    let key = bench.key(ID, addr(1), PASSWORD);
    assert_eq!(words(&bench.send(addr(1), &dmrd(ID, 0x90))), ["frame 0 TS2"], "RPTL alone changes nothing");
    let asked = bench.send(addr(1), &key);
    let outputs = bench.input(Input::Answer(services(&asked, &NONE).unwrap()));
    let expected = ["changed 0", "down 0", "told Down Replaced", "changed 0", "RPTACK to 1"];
    assert_eq!(words(&outputs), expected);
    // Until it has said what it is it takes no part, but is not thrown back to the start either.
    assert_eq!(words(&bench.send(addr(1), &dmrd(ID, 0x90))), ["refused NotLoggedIn"]);
    assert_eq!(words(&bench.send(addr(1), &dmrd(ID + 1, 0x90))), ["refused NotLoggedIn"]);
    assert_eq!(words(&bench.send(addr(1), &rptc(ID)))[2], "up 0");
}

#[test]
fn a_device_behind_a_new_port_replaces_its_old_self_in_silence() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    assert_eq!(
        words(&bench.login(ID, addr(2), &NONE)),
        ["changed 0", "down 0", "told Down Replaced", "changed 0", "RPTACK to 2"]
    );
    assert_eq!(words(&bench.send(addr(1), &dmrd(ID, 0x90))), ["refused NotLoggedIn", "MSTNAK to 1"]);
    assert_eq!(
        words(&bench.send(addr(1), &packet("RPTPING", ID, &[]))),
        ["refused NotLoggedIn", "MSTNAK to 1"]
    );
    assert_eq!(bench.mmdvm.load().0, 1);
}

#[test]
fn an_address_has_one_context() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    bench.run(ID + 1, addr(2));
    // The second device's login comes from the first one's address: both old ones go.
    let outputs = words(&bench.login(ID + 1, addr(1), &NONE));
    let expected = [
        "changed 1",
        "down 1",
        "told Down Replaced",
        "changed 0",
        "down 0",
        "told Down Replaced",
        "changed 0",
        "RPTACK to 1",
    ];
    assert_eq!(outputs, expected);
}

#[test]
fn eviction_spares_the_login_that_stays() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    assert!(bench.evict(ID, Some(addr(1)), Gone::Replaced).is_empty());
    assert!(bench.evict(ID + 1, None, Gone::Kicked).is_empty());
    assert_eq!(bench.evict(ID, Some(addr(2)), Gone::Replaced), ["changed 0", "down 0", "told Down Replaced"]);
    bench.wait(SECOND);
    bench.run(ID, addr(1));
    let kicked = ["changed 0", "down 0", "told Down Kicked", "MSTCL to 1"];
    assert_eq!(bench.evict(ID, None, Gone::Kicked), kicked);
    bench.login(ID, addr(1), &NONE);
    assert_eq!(bench.evict(ID, None, Gone::Refused), ["changed 0", "MSTNAK to 1"], "it was never up");
    assert_eq!(bench.mmdvm.load().0, 0);
}

#[test]
fn a_full_shard_says_so() {
    let mut bench = Bench::new(1);
    bench.run(ID, addr(1));
    let outputs = bench.login(ID + 1, addr(2), &NONE);
    assert_eq!(words(&outputs), ["MSTNAK to 2", "refused Full", "told Refused"]);
    assert_eq!(
        words(&bench.login(ID, addr(3), &NONE)).last().unwrap(),
        "RPTACK to 3",
        "replacing needs no room"
    );
}

#[test]
fn a_configuration_that_cannot_be_ends_the_login() {
    let mut bench = Bench::new(4);
    bench.run(ID, addr(1));
    let mut bytes = rptc(ID);
    bytes[36..38].copy_from_slice(b"1\x07");
    let outputs = bench.send(addr(1), &bytes);
    let expected = [
        "refused BadConfiguration",
        "told Refused",
        "changed 0",
        "down 0",
        "told Down Refused",
        "MSTNAK to 1",
    ];
    assert_eq!(words(&outputs), expected);
    let Output::Notice(notice) = &outputs[1] else { panic!("{outputs:?}") };
    let reason = "colour code \"1?\" in the configuration: must be 0..=15".to_owned();
    assert_eq!(**notice, Notice::Refused { id: ID, from: addr(1), reason });
    assert!(matches!(outputs[0], Output::Refused(Refusal::BadConfiguration)));
}

#[test]
fn an_unfinished_login_ends_with_its_time() {
    let mut bench = Bench::new(4);
    bench.login(ID, addr(1), &NONE);
    for _ in 0..11 {
        assert!(bench.wait(5 * SECOND).is_empty());
        let ping = bench.send(addr(1), &packet("RPTPING", ID, &[]));
        assert_eq!(words(&ping), ["refused NotLoggedIn", "MSTNAK to 1"], "it is not logged in yet");
    }
    assert_eq!(words(&bench.wait(5 * SECOND)), ["changed 0"]);
    let ping = bench.send(addr(1), &packet("RPTPING", ID, &[]));
    assert_eq!(words(&ping), ["refused NotLoggedIn", "MSTNAK to 1"]);
}

#[test]
fn a_repeated_password_does_not_undo_a_login() {
    let mut bench = Bench::new(4);
    let key = bench.key(ID, addr(1), PASSWORD);
    let asked = bench.send(addr(1), &key);
    bench.input(Input::Answer(services(&asked, &NONE).unwrap()));
    bench.send(addr(1), &rptc(ID));
    bench.wait(10 * SECOND);
    assert_eq!(words(&bench.send(addr(1), &key)), ["RPTACK to 1"]);
    assert_eq!(words(&bench.send(addr(1), &packet("RPTPING", ID, &[]))), ["MSTPONG to 1"], "still running");
}

/// Lets in what the lists of IDs and of call signs let in.
fn guarded(allow: &[(u32, u32)], deny: &[(u32, u32)], deny_calls: &[&str]) -> Bench {
    let devices = Access { allow: allow.to_vec(), deny: deny.to_vec() };
    let deny = deny_calls.iter().map(|&pattern| pattern.to_owned()).collect();
    Bench::with_access(4, devices, CallAccess { allow: vec![], deny })
}

#[test]
fn who_is_not_let_in_is_refused_without_a_question() {
    let mut bench = guarded(&[], &[(262_999, 262_999), (2_623_266, 2_623_266)], &[]);
    let key = bench.key(262_999, addr(1), PASSWORD);
    let outputs = bench.send(addr(1), &key);
    assert_eq!(words(&outputs), ["MSTNAK to 1", "refused Denied", "told Refused"]);
    assert_eq!(sent(&outputs), [packet("MSTNAK", 262_999, &[])]);
    let Output::Notice(notice) = &outputs[2] else { panic!("{outputs:?}") };
    let reason = "device 262999 is not let in by access.devices of the configuration".to_owned();
    assert_eq!(**notice, Notice::Refused { id: 262_999, from: addr(1), reason });
    // A hotspot is kept out with the ID that its own is made from.
    let key = bench.key(ID * 100 + 1, addr(2), PASSWORD);
    assert_eq!(words(&bench.send(addr(2), &key)), ["MSTNAK to 2", "refused Denied"], "told a second ago");
    bench.wait(SECOND);
    assert_eq!(words(&bench.send(addr(2), &key)).last().unwrap(), "told Refused");
    assert_eq!(bench.mmdvm.load(), (0, 0));
    bench.run(2_623_267, addr(3));
    assert_eq!(bench.mmdvm.load().0, 1);
}

#[test]
fn where_some_are_allowed_all_others_are_not() {
    let mut bench = guarded(&[(2_620_000, 2_629_999)], &[], &[]);
    bench.run(ID, addr(1));
    bench.run(262_137_001, addr(2));
    let key = bench.key(3_100_001, addr(3), PASSWORD);
    assert_eq!(words(&bench.send(addr(3), &key))[..2], ["MSTNAK to 3", "refused Denied"]);
    let refused = bench.send(addr(4), format!("RPTK{:08x}{}", 3_100_001, "00".repeat(32)).as_bytes());
    assert_eq!(sent(&refused), [format!("MSTNAK{:08X}", 3_100_001).into_bytes()], "as text");
}

#[test]
fn a_flood_of_devices_that_are_not_let_in_is_told_once_a_second() {
    let mut bench = guarded(&[(1, 1)], &[], &[]);
    let mut told = 0;
    for id in 1000..11_000 {
        told += bench.send(addr(1), &packet("RPTK", id, &[0; 32])).len() - 2;
        bench.wait(Duration::from_millis(1));
    }
    assert_eq!(told, 10);
    assert_eq!(bench.mmdvm.load(), (0, 0));
}

#[test]
fn a_call_sign_that_is_not_let_in_ends_the_login() {
    let mut bench = guarded(&[], &[], &["n0*"]);
    bench.login(ID, addr(1), &NONE);
    let outputs = bench.send(addr(1), &rptc(ID));
    assert_eq!(words(&outputs), ["refused Denied", "told Refused", "changed 0", "MSTNAK to 1"]);
    let Output::Notice(notice) = &outputs[1] else { panic!("{outputs:?}") };
    let reason = "call sign N0CALL is not let in by access.call_signs of the configuration".to_owned();
    assert_eq!(**notice, Notice::Refused { id: ID, from: addr(1), reason });
    bench.wait(SECOND);
    bench.login(ID, addr(1), &NONE);
    let mut other = rptc(ID);
    other[8..14].copy_from_slice(b"M0CALL");
    assert_eq!(words(&bench.send(addr(1), &other))[2..], ["up 0", "told Up"]);
}
