//! What an operator does about calls and radios, and what the switch makes of it.

use control::{ContextInfo, HeardInfo, ServicesRequest};
use events::{RefuseReason, StopReason};
use nix::sys::signal::Signal;
use tests::{Cluster, HANG, PASSWORD, Repeater, Watch, signal, text, wait_for};

const TALKER: u32 = 2_501_001;
const LISTENER: u32 = 2_501_002;
const RADIO: u32 = 2_590_001;

/// A repeater that is logged in and listens to talkgroup 91 on TS2.
fn repeater(cluster: &Cluster, id: u32) -> Repeater {
    let mut repeater = Repeater::new(cluster.mmdvm(), id, PASSWORD, "TS2=91");
    assert!(repeater.log_in());
    wait_for("its talkgroup", || context(cluster, id).filter(|context| context.statics.ts2 == [91]));
    repeater
}

fn context(cluster: &Cluster, id: u32) -> Option<ContextInfo> {
    cluster.contexts().into_iter().find(|context| context.id == id)
}

/// Runs `bmctl`, which has to succeed, and returns what it said.
fn said(cluster: &Cluster, args: &[&str]) -> String {
    let output = cluster.bmctl(args, "");
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    text(&output)
}

fn last_heard(cluster: &Cluster) -> HeardInfo {
    let newest = ServicesRequest::LastHeard { count: 1 };
    control::request::<Vec<HeardInfo>, _>(&cluster.paths(), &newest, HANG).unwrap().remove(0)
}

#[test]
fn a_dropped_call_ends_for_all() {
    let cluster = Cluster::start(2, "");
    let (mut talker, mut listener) = (repeater(&cluster, TALKER), repeater(&cluster, LISTENER));
    let watch = Watch::monitor(&cluster);
    let call = talker.group_call(RADIO, 91, 3);
    let (first, rest) = call.datagrams().split_at(10);
    talker.talk(first);
    wait_for("the call", || (listener.bursts() > 0).then_some(()));
    assert_eq!(
        said(&cluster, &["drop-call", "2501001", "--slot", "2"]),
        "1 call of 2501001 dropped on TS2\n"
    );
    let _ = watch.find(&["TG 91 ", "2590001 ", "ends", "(dropped by operator)"]);
    listener.bursts();
    listener.heard.clear();
    // The talker holds his key, and nobody hears him.
    talker.talk(rest);
    assert_eq!(listener.bursts(), 0);
    assert_eq!(last_heard(&cluster).ended, Some(StopReason::Dropped));
}

#[test]
fn who_has_to_wait_is_shown_when_he_is_heard() {
    let cluster = Cluster::start(2, "");
    let (mut first, mut second) = (repeater(&cluster, TALKER), repeater(&cluster, LISTENER));
    let watch = Watch::monitor(&cluster);
    let (short, long) = (first.group_call(RADIO, 91, 1), second.group_call(RADIO + 1, 91, 3));
    let mut short = short.datagrams().iter();
    let mut long = long.datagrams().iter();
    first.talk(&[*short.next().unwrap()]);
    let _ = watch.find(&["TG 91 ", "2590001 ", "starts"]);
    second.talk(&[*long.next().unwrap()]);
    let _ = watch.find(&["TG 91 ", "2590002 ", "REFUSED: somebody else talks on it"]);
    let calls = said(&cluster, &["calls"]);
    assert!(calls.contains("carried\n") && calls.contains("refused: somebody else talks on it\n"), "{calls}");
    for (one, other) in short.zip(&mut long) {
        first.talk(&[*one]);
        second.talk(&[*other]);
    }
    long.for_each(|datagram| second.talk(&[*datagram]));
    let _ = watch.find(&["2590002 ", "is heard from now on"]);
    let _ = watch.find(&["2590002 ", "ends after "]);
    let heard = last_heard(&cluster);
    assert_eq!((heard.radio, heard.refused, heard.ended), (RADIO + 1, None, Some(StopReason::Terminator)));
}

#[test]
fn a_call_is_shown_while_services_and_workers_are_started_again() {
    let cluster = Cluster::start(2, "");
    let mut talker = repeater(&cluster, TALKER);
    let watch = Watch::monitor(&cluster);
    let call = talker.group_call(RADIO, 91, 6);
    let (early, late) = call.datagrams().split_at(30);
    talker.talk(early);
    let _ = watch.find(&["2590001 ", "starts"]);
    let status = cluster.status();
    let pids = status.workers.iter().map(|worker| worker.pid).chain([status.services.pid]);
    pids.for_each(|pid| signal(i32::try_from(pid.unwrap()).unwrap(), Signal::SIGKILL));
    talker.talk(late.split_last().unwrap().1);
    let _ = watch.find(&["the services are GONE: events may be missing here"]);
    let _ = watch.find(&["the services are back"]);
    let _ = watch.find(&["TG 91 ", "2590001 ", "talks since "]);
    assert!(said(&cluster, &["calls"]).contains("2590001   91"), "the call goes on");
    talker.talk(&late[late.len() - 1..]);
    // It ends once, by its terminator, and no burst of it is forgotten.
    let end = watch.find(&["2590001 ", "ends"]);
    let seconds = last_heard(&cluster).seconds;
    assert!(end.contains("ends after") && (5.0..=7.0).contains(&seconds), "{end}: {seconds}");
}

#[test]
fn a_call_is_dropped_at_one_who_hears_it() {
    let cluster = Cluster::start(2, "");
    let (mut talker, mut listener) = (repeater(&cluster, TALKER), repeater(&cluster, LISTENER));
    let mut other = repeater(&cluster, 2_501_003);
    let call = talker.group_call(RADIO, 91, 3);
    let (first, rest) = call.datagrams().split_at(10);
    talker.talk(first);
    wait_for("the call", || (listener.bursts() > 0 && other.bursts() > 0).then_some(()));
    said(&cluster, &["drop-call", "2501002"]);
    // It is dropped where it is heard; the talker is heard elsewhere.
    let (early, late) = rest.split_at(10);
    talker.talk(early);
    listener.bursts();
    listener.heard.clear();
    talker.talk(late);
    assert_eq!(listener.bursts(), 0);
    wait_for("the whole call", || (other.bursts() == call.bursts()).then_some(()));
}

#[test]
fn dropped_dynamic_talkgroups_are_gone() {
    let cluster = Cluster::start(2, "");
    let mut talker = repeater(&cluster, TALKER);
    let call = talker.group_call(RADIO, 3100, 1);
    talker.talk(call.datagrams());
    let dynamics = || context(&cluster, TALKER).map_or(0, |context| context.dynamics.ts2.len());
    wait_for("the dynamic talkgroup", || (dynamics() == 1).then_some(()));
    let none = "2501001 has no dynamic talkgroup on TS1: nothing to drop\n";
    assert_eq!(said(&cluster, &["drop-dynamic", "2501001", "--slot", "1"]), none);
    assert_eq!(said(&cluster, &["drop-dynamic", "2501001"]), "1 dynamic talkgroup of 2501001 dropped\n");
    wait_for("its end", || (dynamics() == 0).then_some(()));
    assert_eq!(context(&cluster, TALKER).unwrap().statics.ts2, [91], "static ones stay");
}

#[test]
fn a_banned_radio_is_not_heard() {
    let cluster = Cluster::start(2, "");
    let (mut talker, mut listener) = (repeater(&cluster, TALKER), repeater(&cluster, LISTENER));
    let watch = Watch::monitor(&cluster);
    said(&cluster, &["ban", "2590001"]);
    let call = talker.group_call(RADIO, 91, 1);
    talker.talk(call.datagrams());
    let _ = watch.find(&["TG 91 ", "2590001 ", "REFUSED: the radio is banned"]);
    assert_eq!(listener.bursts(), 0);
    assert_eq!(last_heard(&cluster).refused, Some(RefuseReason::Banned));
    assert_eq!(talker.naks(), 0, "the repeater is not banned");
    // A neighbour at the same repeater is heard, and so is the radio once it is unbanned.
    let call = talker.group_call(RADIO + 1, 91, 1);
    talker.talk(call.datagrams());
    wait_for("the neighbour", || (listener.bursts() == call.bursts()).then_some(()));
    listener.heard.clear();
    said(&cluster, &["unban", "2590001"]);
    let call = talker.group_call(RADIO, 91, 1);
    talker.talk(call.datagrams());
    wait_for("the radio", || (listener.bursts() == call.bursts()).then_some(()));
}

#[test]
fn a_radio_that_keys_up_too_often_is_banned_everywhere() {
    let cluster = Cluster::start(2, "");
    let mut talker = repeater(&cluster, TALKER);
    let watch = Watch::monitor(&cluster);
    for _ in 0..7 {
        let call = talker.group_call(RADIO, 91, 0);
        talker.talk(call.datagrams());
    }
    let line = watch.find(&["radio 2590001 banned until 20"]);
    assert!(line.ends_with(": keyed up more than 5 times under 2 s within 60 s at 2501001"), "{line}");
    assert!(said(&cluster, &["bans"]).contains("2590001 "));
}

#[test]
fn radios_and_talkgroups_are_denied_by_the_configuration() {
    let rules = "[access.radios]\ndeny = [2590001]\n[access.talkgroups]\nallow = [91]";
    let cluster = Cluster::start(2, rules);
    let (mut talker, mut listener) = (repeater(&cluster, TALKER), repeater(&cluster, LISTENER));
    let watch = Watch::monitor(&cluster);
    for (radio, talkgroup) in [(RADIO, 91), (RADIO + 1, 92)] {
        let call = talker.group_call(radio, talkgroup, 1);
        talker.talk(call.datagrams());
        let _ = watch.find(&[&format!("TG {talkgroup} "), "REFUSED: not allowed by the configuration"]);
    }
    assert_eq!(listener.bursts(), 0);
    let call = talker.group_call(RADIO + 1, 91, 1);
    talker.talk(call.datagrams());
    wait_for("who is allowed", || (listener.bursts() == call.bursts()).then_some(()));
}
