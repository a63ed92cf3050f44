//! The parrot says again what it heard.

use std::time::Duration;

use dmr::{BurstKind, DataType, Emb, EmbeddedLc, Flco, FullLc, embedded_fragment};
use stack::{CallType, Slot};

use super::bench::{Bench, HEADER, Heard, TERMINATOR};
use crate::PARROT;

fn one() -> Bench {
    let mut bench = Bench::new();
    bench.repeater("A", &[], &[]);
    bench
}

/// Every LC in a call, of header, terminator and superframes.
fn lcs(bursts: &[Heard]) -> Vec<FullLc> {
    let mut embedded = EmbeddedLc::new();
    let lc = |heard: &Heard| match heard.frame.kind {
        BurstKind::Data(data_type) => FullLc::from_burst(&heard.frame.burst, data_type),
        BurstKind::Voice(0) => None,
        BurstKind::Voice(_) => {
            let burst = &heard.frame.burst;
            embedded.push(Emb::read(burst).unwrap().lcss, embedded_fragment(burst))
        }
    };
    bursts.iter().filter_map(lc).collect()
}

#[test]
fn a_group_call_is_answered_after_a_second() {
    let mut bench = one();
    bench.key("A", Slot::One, PARROT);
    bench.talk(&["A"], 12);
    bench.unkey("A");
    assert_eq!(bench.bursts("A").len(), 0);
    assert_eq!(bench.log(&["wanted"]), [""; 0]);
    assert_eq!(bench.log(&["dropped"]), [""; 0]);
    let end = bench.now.mono;
    bench.pass_ms(5000);
    let said = bench.bursts("A");
    assert_eq!(said.len(), 14);
    for (i, heard) in (0..).zip(&said) {
        assert_eq!(heard.at, end + Duration::from_millis(1000 + 60 * i), "burst {i}");
        assert_eq!((heard.slot, heard.stream), (Slot::One, said[0].stream));
        assert_eq!((heard.frame.source, heard.frame.destination), (PARROT, PARROT));
        assert_eq!((heard.frame.call, u64::from(heard.frame.sequence)), (CallType::Group, i));
    }
    assert_eq!((said[0].frame.kind, said[13].frame.kind), (HEADER, TERMINATOR));
    assert_eq!(lcs(&said), [FullLc::group(PARROT, PARROT); 4]);
}

#[test]
fn a_private_call_is_answered_to_the_caller() {
    let mut bench = one();
    let radio = bench.radio("A");
    bench.key_private("A", Slot::Two, PARROT);
    bench.talk(&["A"], 6);
    bench.unkey("A");
    bench.pass_ms(5000);
    let said = bench.bursts("A");
    assert_eq!(said.len(), 8);
    assert!(said.iter().all(|heard| (heard.frame.source, heard.frame.destination) == (PARROT, radio)));
    assert!(said.iter().all(|heard| (heard.frame.call, heard.slot) == (CallType::Private, Slot::Two)));
    assert_eq!(lcs(&said), [FullLc::private(PARROT, radio); 3]);
    assert_eq!(bench.log(&["dropped"]), [""; 0]);
}

#[test]
fn all_but_the_lc_stays() {
    let mut bench = one();
    let lc = FullLc([Flco::Group.bits(), 0, 0x83, 0, 0, 0, 0, 0, 0]).with_destination(PARROT).with_source(7);
    let call = dmr::VoiceCall::new(lc, 5, dmr::Sync::MsVoice, [[0x5A; dmr::AMBE_LEN]; 6]);
    let mut sent = Vec::new();
    for (kind, burst) in call {
        let frame = stack::Frame { ber: 4, rssi: 80, burst, ..super::bench::frame(7, PARROT, kind) };
        bench.frame("A", Slot::One, 5, &frame);
        sent.push(frame);
    }
    bench.pass_ms(5000);
    let said = bench.bursts("A");
    assert_eq!(lcs(&said), [lc.with_source(PARROT); 3]);
    assert_eq!(said.len(), sent.len());
    for (heard, sent) in said.iter().zip(&sent) {
        let (said, sent) = (&heard.frame, sent);
        assert_eq!((said.kind, said.ber, said.rssi), (sent.kind, sent.ber, sent.rssi));
        // The receiver is a duplex repeater with colour code 1, the talker has a hotspot with 5.
        assert_eq!(
            dmr::Sync::of(&said.burst).map(dmr::Sync::data),
            dmr::Sync::of(&sent.burst).map(|_| dmr::Sync::BsData)
        );
        if let BurstKind::Voice(1..) = said.kind {
            assert_eq!(dmr::ambe(&said.burst), dmr::ambe(&sent.burst));
            let emb = Emb::read(&sent.burst).map(|emb| Emb { colour_code: 1, ..emb });
            assert_eq!(Emb::read(&said.burst), emb);
        } else if let BurstKind::Data(_) = said.kind {
            let slot_type = dmr::SlotType::read(&sent.burst);
            let slot_type = slot_type.map(|slot_type| dmr::SlotType { colour_code: 1, ..slot_type });
            assert_eq!(dmr::SlotType::read(&said.burst), slot_type);
        }
    }
}

#[test]
fn a_call_that_falls_silent_is_answered_a_second_after_its_last_burst() {
    let mut bench = one();
    bench.key("A", Slot::One, PARROT);
    bench.talk(&["A"], 6);
    let end = bench.now.mono;
    bench.pass_ms(5000);
    let said = bench.bursts("A");
    // The eighth is the terminator that it makes up.
    assert_eq!((said.len(), said[0].at), (8, end + Duration::from_millis(1000)));
}

#[test]
fn a_new_call_interrupts_it() {
    let mut bench = one();
    bench.over("A", Slot::One, PARROT);
    bench.pass_ms(1100);
    assert_eq!(bench.bursts("A").len(), 2);
    bench.over("A", Slot::One, 91);
    bench.pass_ms(10_000);
    let kinds: Vec<_> = bench.bursts("A").iter().map(|heard| heard.frame.kind).collect();
    assert_eq!(kinds, [TERMINATOR]);
    assert_eq!(bench.switch.sessions.iter().count(), 0);
}

#[test]
fn who_keys_up_right_after_it_ended_ends_nothing_twice() {
    let mut bench = one();
    bench.over("A", Slot::One, PARROT);
    let mut kinds = Vec::new();
    while kinds.last() != Some(&TERMINATOR) {
        bench.pass_ms(10);
        kinds.extend(bench.bursts("A").iter().map(|heard| heard.frame.kind));
    }
    bench.over("A", Slot::One, 91);
    assert_eq!(bench.bursts("A").len(), 0);
}

#[test]
fn the_last_of_two_short_calls_is_answered() {
    let mut bench = one();
    bench.over("A", Slot::One, PARROT);
    bench.key("A", Slot::One, PARROT);
    bench.unkey("A");
    let end = bench.now.mono;
    bench.pass_ms(5000);
    let said = bench.bursts("A");
    assert_eq!((said.len(), said[0].at), (2, end + Duration::from_millis(1000)));
}

#[test]
fn nobody_is_answered_who_is_gone() {
    let mut bench = one();
    bench.over("A", Slot::One, PARROT);
    bench.down("A");
    let profile = stack::Profile::repeater(999, stack::Slots::Both, Default::default());
    bench.input(crate::Input::Up { context: bench.context("A"), profile });
    bench.pass_ms(5000);
    assert_eq!(bench.bursts("A").len(), 0);
}

#[test]
fn an_answer_ends_with_its_listener() {
    let mut bench = one();
    bench.over("A", Slot::One, PARROT);
    bench.pass_ms(1100);
    bench.down("A");
    bench.pass_ms(1000);
    assert_eq!(bench.bursts("A").len(), 2);
    assert_eq!((bench.switch.sessions.iter().count(), bench.switch.timers.len()), (0, 0));
}

#[test]
fn other_calls_wait_while_it_speaks() {
    let mut bench = one();
    bench.repeater("A", &[91], &[]);
    bench.repeater("B", &[], &[]);
    bench.over("A", Slot::One, PARROT);
    bench.key("B", Slot::One, 91);
    bench.talk(&["B"], 50);
    assert_eq!(bench.hears("A"), ["TS1 9990 by 9990: 8"]);
    bench.talk(&["B"], 50);
    assert_eq!(bench.hears("A").len(), 1);
}

#[test]
fn it_keeps_two_minutes_and_no_data() {
    let mut bench = one();
    bench.key("A", Slot::One, PARROT);
    bench.switch.settings.call_timeout = None;
    bench.talk(&["A"], 2100);
    bench.unkey("A");
    bench.pass(Duration::from_secs(200));
    let said = bench.bursts("A");
    assert_eq!((said.len(), said[2000].frame.kind), (2001, TERMINATOR));
    let csbk = BurstKind::Data(DataType::CSBK);
    bench.frame("A", Slot::One, 9, &super::bench::frame(7, PARROT, csbk));
    bench.pass_ms(5000);
    assert_eq!(bench.bursts("A").len(), 0);
}

#[test]
fn all_calls_share_one_timer() {
    let mut bench = one();
    bench.repeater("B", &[], &[]);
    for _ in 0..50 {
        for name in ["A", "B"] {
            bench.over(name, Slot::One, PARROT);
            bench.over(name, Slot::Two, PARROT);
        }
        bench.pass_ms(1100);
    }
    assert!(bench.switch.timers.len() < 12, "{}", bench.switch.timers.len());
    bench.pass_ms(5000);
    assert_eq!(bench.switch.timers.len(), 0);
}
