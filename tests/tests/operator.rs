//! What an operator does by night: talkgroups, bans, and seeing what goes on.

use std::process::Output;

use control::{ContextInfo, HeardInfo, ServicesRequest, State};
use nix::sys::signal::Signal;
use tests::{Cluster, HANG, PASSWORD, Repeater, Watch, signal, text, wait_for};

const TALKER: u32 = 2_501_001;
const LISTENER: u32 = 2_501_002;
const RADIO: u32 = 2_590_001;

/// A repeater that is logged in.
fn repeater(cluster: &Cluster, id: u32, options: &str) -> Repeater {
    let mut repeater = Repeater::new(cluster.mmdvm(), id, PASSWORD, options);
    assert!(repeater.log_in());
    repeater
}

/// Runs `bmctl`, which has to succeed, and returns what it said.
fn said(cluster: &Cluster, args: &[&str]) -> String {
    let output = cluster.bmctl(args, "");
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    text(&output)
}

/// Runs `bmctl`, which has to fail, and returns what it said.
fn refused(cluster: &Cluster, args: &[&str]) -> String {
    let output: Output = cluster.bmctl(args, "");
    assert!(!output.status.success(), "{args:?}: {}", text(&output));
    text(&output)
}

fn wait_for_context(cluster: &Cluster, what: &str, is: impl Fn(&ContextInfo) -> bool) {
    wait_for(what, || cluster.contexts().iter().any(&is).then_some(()));
}

#[test]
fn a_talkgroup_is_heard_while_it_is_subscribed() {
    let cluster = Cluster::start(2, "");
    let mut talker = repeater(&cluster, TALKER, "TS2=91");
    let mut listener = repeater(&cluster, LISTENER, "");
    // One that listens all the time shows when a call has reached all.
    let mut other = repeater(&cluster, 2_501_003, "TS2=91");
    let answer = said(&cluster, &["subscribe", "2501002", "91"]);
    assert_eq!(answer, "2501002 has talkgroup 91 on TS2 from now on\n");
    let has = |context: &ContextInfo| context.id == LISTENER && context.statics.ts2 == [91];
    wait_for_context(&cluster, "the talkgroup", has);
    wait_for_context(&cluster, "the other", |context| context.id == 2_501_003 && context.statics.ts2 == [91]);
    let mut call = |hears: bool| {
        let call = talker.group_call(RADIO, 91, 1);
        talker.talk(call.datagrams());
        wait_for("the call at the other", || (other.bursts() == call.bursts()).then_some(()));
        other.heard.clear();
        assert_eq!(listener.bursts(), if hears { call.bursts() } else { 0 });
        listener.heard.clear();
    };
    call(true);
    let answer = said(&cluster, &["unsubscribe", "2501002", "91"]);
    assert_eq!(answer, "2501002 has talkgroup 91 on TS2 no longer\n");
    wait_for_context(&cluster, "its end", |context| context.id == LISTENER && context.statics.ts2.is_empty());
    call(false);
    // At times: all day long is now, and no day of the past is.
    let always = ["--from", "00:00", "--until", "24:00"];
    let answer = said(&cluster, &[&["subscribe", "2501002", "91"][..], &always].concat());
    assert!(
        answer.starts_with("2501002 has talkgroup 91 on TS2: daily 00:00-24:00 UTC (now it is 20"),
        "{answer}"
    );
    wait_for_context(&cluster, "the talkgroup", has);
    call(true);
    let past =
        ["subscribe", "2501002", "92", "--slot", "1", "--days", "mon,tue", "--from", "19:00", "--until"];
    said(&cluster, &[&past[..], &["21:00", "--last", "2020-12-31"]].concat());
    let list = said(&cluster, &["device", "list"]);
    assert!(list.contains("92 on TS1 mon,tue 19:00-21:00 UTC to 2020-12-31"), "{list}");
    let contexts = cluster.contexts();
    assert!(contexts.iter().all(|context| context.statics.ts1.is_empty()), "{contexts:?}");

    let error = refused(&cluster, &["unsubscribe", "2501002", "93"]);
    assert!(error.contains("the registry has no static talkgroup 93 on TS2 of device 2501002"), "{error}");
    let error = refused(&cluster, &["subscribe", "2501002", "93", "--days", "mon"]);
    assert!(error.contains("--from"), "{error}");
    let error = refused(&cluster, &["subscribe", "2501002", "93", "--from", "7:00", "--until", "08:00"]);
    assert!(error.contains("e.g. 19:30"), "{error}");
}

#[test]
fn devices_have_blocked_talkgroups_and_single_ones() {
    let cluster = Cluster::start(1, "");
    said(&cluster, &["device", "add", "2501002", "--block", "5,6", "--single", "--no-password"]);
    said(&cluster, &["device", "unblock", "2501002", "5"]);
    said(&cluster, &["device", "block", "2501002", "7"]);
    let list = said(&cluster, &["device", "list"]);
    assert!(list.contains("2501002    -         -         one      - / - (6,7)"), "{list}");
    said(&cluster, &["device", "single", "2501002", "off"]);
    let list = said(&cluster, &["device", "list", "--json"]);
    assert!(list.contains(r#""blocked":[6,7],"single":false"#), "{list}");
    let error = refused(&cluster, &["subscribe", "2501002", "6"]);
    assert!(error.contains("`bmctl device unblock 2501002 6`"), "{error}");
    let error = refused(&cluster, &["device", "unblock", "2501002", "5"]);
    assert!(error.contains("talkgroup 5 is not blocked for device 2501002"), "{error}");
}

#[test]
fn who_is_banned_is_thrown_out_and_stays_out_until_unbanned() {
    let cluster = Cluster::start(2, "");
    let mut device = repeater(&cluster, TALKER, "");
    let mut hotspot = repeater(&cluster, 250_100_107, "");
    let mut bystander = repeater(&cluster, LISTENER, "");
    wait_for("all contexts", || (cluster.contexts().len() == 3).then_some(()));
    let answer = said(&cluster, &["ban", "2501001", "--for", "1h", "--reason", "noise"]);
    assert!(answer.starts_with("2501001 banned until 20"), "{answer}");
    device.wait(b"MSTCL");
    hotspot.wait(b"MSTCL");
    let out = |id| !Repeater::new(cluster.mmdvm(), id, PASSWORD, "").log_in();
    assert!(out(TALKER) && out(250_100_107), "a hotspot with its first seven digits, too");
    let list = said(&cluster, &["bans"]);
    assert!(list.contains("2501001 ") && list.contains(" operator ") && list.ends_with(" noise\n"), "{list}");

    let pid = cluster.status().services.pid.unwrap();
    signal(i32::try_from(pid).unwrap(), Signal::SIGKILL);
    cluster.wait_until("other services", |status| {
        status.services.state == State::Ready && status.services.pid != Some(pid)
    });
    assert_eq!(said(&cluster, &["bans"]), list);
    assert!(out(TALKER));
    assert_eq!(said(&cluster, &["unban", "2501001"]), "2501001 unbanned\n");
    assert!(!out(TALKER) && !out(250_100_107));
    assert_eq!(said(&cluster, &["bans", "--json"]), "[]\n");
    bystander.turn();
    assert!(bystander.heard.iter().all(|bytes| !bytes.starts_with(b"MSTCL")));

    let error = refused(&cluster, &["unban", "2501001"]);
    assert!(error.contains("2501001 is not banned; `bmctl bans` shows who is"), "{error}");
    let error = refused(&cluster, &["ban", "2501001", "--for", "soon"]);
    assert!(error.contains("--for"), "{error}");
}

#[test]
fn the_last_heard_and_the_monitor_show_a_call() {
    let cluster = Cluster::start(2, "");
    let watch = Watch::monitor(&cluster);
    let mut talker = repeater(&cluster, TALKER, "TS2=91");
    let line = watch.find(&["repeater 2501001 S2501001 logs in from 127.0.0.1:"]);
    assert_eq!((&line[2..3], &line[5..6], &line[8..10]), (":", ":", "  "), "{line}");
    wait_for_context(&cluster, "the talker", |context| context.statics.ts2 == [91]);
    let call = talker.group_call(RADIO, 91, 1);
    talker.talk(call.datagrams());
    let starts = watch.find(&["TG 91 ", "2590001 ", "via 2501001   S2501001 TS2  starts"]);
    let ends = watch.find(&["TG 91 ", "2590001 ", "via 2501001   S2501001 TS2  ends after 0."]);
    assert_eq!(starts.find("via"), ends.find("via"));

    let heard: Vec<HeardInfo> =
        control::request(&cluster.paths(), &ServicesRequest::LastHeard { count: 5 }, HANG).unwrap();
    let [heard] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((heard.radio, heard.destination, heard.group, heard.slot), (RADIO, 91, true, 2));
    assert_eq!((heard.context, heard.call.as_str()), (TALKER, "S2501001"));
    let list = said(&cluster, &["lastheard", "-n", "1"]);
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(
        list.contains("2590001  -                    TG 91            2501001 S2501001   2     0."),
        "{list}"
    );
    assert!(list.ends_with(" terminator\n"), "{list}");
    assert!(said(&cluster, &["lastheard", "--json"]).contains(r#""ended":"terminator""#));

    said(&cluster, &["kick", "2501001"]);
    let _ = watch.find(&["repeater 2501001 S2501001 is gone: an operator threw it out"]);
    said(&cluster, &["ban", "7"]);
    let _ = watch.find(&["radio 7 banned for ever by an operator"]);
    for verb in ["drop-call", "drop-dynamic"] {
        let error = refused(&cluster, &[verb, "2507777"]);
        assert!(error.contains("no context has the ID 2507777"), "{error}");
    }
}

#[test]
fn rules_that_cannot_be_are_named() {
    let cluster = Cluster::start(1, "[calls]\nhang_time = 5\n[access.devices]\ndeny = [\"1-99\", 2500000]");
    let file = cluster.config_file();
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        cluster.bmctl(&["check", "--config", file.to_str().unwrap()], "")
    };
    for (text, expected) in [
        ("[calls]\nhang_time = 61", "line 2: calls.hang_time: write seconds, from 0 to 60"),
        ("[calls]\nhangtime = 3", "valid keys: hang_time, dynamic_time, call_timeout"),
        ("[protection]\nencrypted = \"no\"", "protection.encrypted: write \"refuse\" or \"carry\""),
        ("[access.radios]\nallow = [\"9-1\"]", "line 2: access.radios.allow: \"9-1\": write IDs from 1 to"),
        ("[access.calls]\ndeny = [\"D*L\"]", "line 2: access.calls.deny: \"D*L\": write a call sign"),
    ] {
        let output = check(text);
        assert_eq!(output.status.code(), Some(78), "{}", self::text(&output));
        assert!(self::text(&output).contains(expected), "{}", self::text(&output));
    }
    assert!(check("[calls]\ncall_timeout = 0").status.success());
}
