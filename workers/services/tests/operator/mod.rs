//! What an operator asks of the services, and what workers report beside calls.

use std::sync::mpsc::Receiver;

use channel::{Order, Parent, Report};
use control::{BanInfo, DeviceInfo, DeviceList, HeardInfo, ServicesRequest, State};
use events::{RefuseReason, StopReason};
use nix::sys::signal::Signal;
use schedule::Schedule;
use serde_json::Value;
use stack::{DeviceSettings, Gone, Notice, Slot, Verdict};
use switch::{Ended as CallEnded, Refused, SessionReport};
use sys::Ended;

use crate::support::{Cluster, Worker, device, info};
use crate::{ID, answer, ask, device_add, events, evict, login, next, registered};

const RADIO: u32 = 2_621_370;

fn ban(id: u32, seconds: Option<u64>) -> ServicesRequest {
    ServicesRequest::Ban { id, seconds, reason: "noise".to_owned() }
}

fn thrown_out(id: u32) -> Order {
    Order::Evict { id, keep: None, gone: Gone::Kicked }
}

/// The next event of this name.
fn event(lines: &Receiver<String>, name: &str) -> Value {
    std::iter::repeat_with(|| next(lines)).find(|event| event["Event"] == name).unwrap()
}

/// The next order that is none to throw somebody out.
fn order(worker: &mut Worker) -> Order {
    std::iter::repeat_with(|| worker.order()).find(|order| !matches!(order, Order::Evict { .. })).unwrap()
}

#[test]
fn bans_reach_workers_logins_and_contexts_and_outlive_the_services() {
    let mut cluster = Cluster::new();
    let hotspot = RADIO * 100 + 1;
    device::with_a_call(&mut cluster.states[1], 25_012, hotspot, 91);
    let services = cluster.start();
    let lines = events(&cluster);
    let banned: BanInfo = cluster.ask(&ban(RADIO, None)).unwrap();
    assert_eq!(
        (banned.id, banned.until_ms, &*banned.by, &*banned.reason),
        (RADIO, None, "operator", "noise")
    );
    let forever = Order::Ban { radio: RADIO, until_ms: u64::MAX };
    for worker in &mut cluster.workers {
        assert_eq!(worker.order(), forever);
        assert_eq!(worker.order(), thrown_out(RADIO));
        assert_eq!(worker.order(), thrown_out(hotspot), "a hotspot of his");
    }
    let told = event(&lines, "Radio-Banned");
    assert_eq!((&told["RadioID"], &told["By"], told.get("Until")), (&RADIO.into(), &"operator".into(), None));

    let again = login(hotspot, 1, config::DEVELOPMENT_PASSWORD);
    cluster.report(0, &ask(again.clone()));
    assert_eq!(order(&mut cluster.workers[0]), answer(&again, Verdict::Refused { tell: true }));
    let refused = event(&lines, "Repeater-Refused");
    assert_eq!(refused["Reason"], "banned for ever: lift it with `bmctl unban 2621370`");

    // The next services know it, and so does each worker that is started anew.
    services.process.signal(Signal::SIGKILL).unwrap();
    assert_eq!(services.ended(), Ended::Signal(9));
    let services = cluster.start();
    assert_eq!(order(&mut cluster.workers[0]), forever);
    assert_eq!(order(&mut cluster.workers[1]), forever);
    services.tell(&Parent::WorkerInfo(info(1, Some(101), State::Starting)));
    services.tell(&Parent::WorkerInfo(info(1, Some(101), State::Ready)));
    assert_eq!(order(&mut cluster.workers[1]), forever);
    assert_eq!(cluster.ask::<Vec<BanInfo>>(&ServicesRequest::Bans).unwrap(), [banned]);

    cluster.ask::<()>(&ServicesRequest::Unban { id: RADIO }).unwrap();
    let lifted = Order::Ban { radio: RADIO, until_ms: 0 };
    assert_eq!(order(&mut cluster.workers[0]), lifted);
    assert_eq!(order(&mut cluster.workers[1]), lifted);
    cluster.report(0, &ask(again.clone()));
    let accepted = Verdict::Accepted { settings: DeviceSettings::default() };
    assert_eq!(order(&mut cluster.workers[0]), answer(&again, accepted));
    let error = cluster.ask::<()>(&ServicesRequest::Unban { id: RADIO }).unwrap_err();
    assert_eq!(error, "2621370 is not banned; `bmctl bans` shows who is");
}

#[test]
fn bans_end_by_themselves_and_radios_that_key_up_too_often_are_banned() {
    let mut cluster = Cluster::new();
    let _services = cluster.start();
    let lines = events(&cluster);
    cluster.report(1, &Report::Blocked { radio: RADIO, context: 262_137, seconds: 3600 });
    let told = event(&lines, "Radio-Banned");
    assert_eq!(told["Reason"], "keyed up more than 5 times under 2 s within 60 s at 262137");
    assert_eq!(told["By"], "keyed up too often");
    let [auto] = cluster.ask::<Vec<BanInfo>>(&ServicesRequest::Bans).unwrap().try_into().unwrap();
    assert_eq!(auto.until_ms, Some(auto.made_ms + 3_600_000));
    // A shorter one does not take the place of a longer one, but an operator's does.
    cluster.report(1, &Report::Blocked { radio: RADIO, context: 262_137, seconds: 60 });
    let short: BanInfo = cluster.ask(&ban(RADIO, Some(1))).unwrap();
    let until = |ban: &BanInfo| Order::Ban { radio: RADIO, until_ms: ban.until_ms.unwrap() };
    for worker in &mut cluster.workers {
        assert_eq!((order(worker), order(worker)), (until(&auto), until(&short)));
        assert_eq!(order(worker), Order::Ban { radio: RADIO, until_ms: 0 });
    }
    let over = event(&lines, "Radio-Unbanned");
    assert_eq!((&over["RadioID"], &over["Reason"]), (&RADIO.into(), &"its time is over".into()));
    assert!(cluster.ask::<Vec<BanInfo>>(&ServicesRequest::Bans).unwrap().is_empty());
    for (id, seconds, expected) in [
        (0, None, "an ID is a number from 1 to 999999999"),
        (7, Some(0), "a ban of 0 s: give 1 s to ten years"),
        (7, Some(u64::MAX), "give 1 s to ten years"),
    ] {
        let error = cluster.ask::<BanInfo>(&ban(id, seconds)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn talkgroups_are_subscribed_blocked_and_taken_back_at_once() {
    let mut cluster = Cluster::new();
    let _services = cluster.start();
    let subscribe =
        |talkgroup, slot, schedule| ServicesRequest::Subscribe { id: ID, talkgroup, slot, schedule };
    let unsubscribe = |talkgroup, slot| ServicesRequest::Unsubscribe { id: ID, talkgroup, slot };
    let mut settings = DeviceSettings { statics: [vec![], vec![262]], ..DeviceSettings::default() };
    let told = |cluster: &mut Cluster, settings: &DeviceSettings| {
        for worker in &mut cluster.workers {
            assert_eq!(worker.order(), Order::Settings { id: ID, settings: settings.clone() });
        }
    };
    let made: DeviceInfo = cluster.ask(&subscribe(262, 2, None)).unwrap();
    assert!(!made.has_password && made.call.is_none());
    told(&mut cluster, &settings);
    let error = cluster.ask::<DeviceInfo>(&subscribe(262, 2, None)).unwrap_err();
    assert_eq!(error, "talkgroup 262 is static on TS2 of device 2501001 already");

    // One that is on all day is told as one that is always.
    let always = Schedule { days: vec![], from: 0, until: 1440, first: None, last: None };
    let timed: DeviceInfo = cluster.ask(&subscribe(91, 1, Some(always.clone()))).unwrap();
    assert_eq!((timed.timed.len(), &timed.ts1[..]), (1, &[][..]));
    settings.statics[0] = vec![91];
    told(&mut cluster, &settings);
    let error = cluster.ask::<DeviceInfo>(&subscribe(262, 2, Some(always))).unwrap_err();
    assert!(error.contains("unsubscribe it first"), "{error}");

    let blocked: DeviceInfo = cluster.ask(&ServicesRequest::DeviceBlock { id: ID, talkgroup: 5 }).unwrap();
    assert_eq!(blocked.blocked, [5]);
    settings.blocked = vec![5];
    told(&mut cluster, &settings);
    let error = cluster.ask::<DeviceInfo>(&subscribe(5, 2, None)).unwrap_err();
    assert!(error.ends_with("`bmctl device unblock 2501001 5`"), "{error}");
    cluster.ask::<DeviceInfo>(&ServicesRequest::DeviceSingle { id: ID, on: true }).unwrap();
    settings.single = true;
    told(&mut cluster, &settings);
    cluster.ask::<DeviceInfo>(&ServicesRequest::DeviceUnblock { id: ID, talkgroup: 5 }).unwrap();
    settings.blocked = vec![];
    told(&mut cluster, &settings);

    cluster.ask::<DeviceInfo>(&unsubscribe(91, 1)).unwrap();
    settings.statics[0] = vec![];
    told(&mut cluster, &settings);
    for (request, expected) in [
        (unsubscribe(91, 1), "`bmctl drop-dynamic 2501001`"),
        (unsubscribe(91, 3), "slot 3: write 1 or 2"),
        (subscribe(0, 2, None), "static talkgroup 0 on TS2"),
        (ServicesRequest::DeviceUnblock { id: ID, talkgroup: 5 }, "talkgroup 5 is not blocked"),
    ] {
        let error = cluster.ask::<DeviceInfo>(&request).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let list: DeviceList = cluster.ask(&ServicesRequest::DeviceList).unwrap();
    assert_eq!((&list.devices[0].ts2[..], list.devices[0].single), (&[262][..], true));
    // A login gets the same.
    let mine = login(ID, 1, config::DEVELOPMENT_PASSWORD);
    cluster.report(0, &ask(mine.clone()));
    assert_eq!(cluster.workers[0].order(), answer(&mine, Verdict::Accepted { settings }));
    assert_eq!(cluster.workers[0].order(), evict(&mine));
}

#[test]
fn timed_talkgroups_are_told_again_at_the_start() {
    let mut cluster = Cluster::new();
    let services = cluster.start();
    cluster.ask::<DeviceInfo>(&device_add(ID, None, vec![262])).unwrap();
    let always = Some(Schedule { days: vec![], from: 0, until: 1440, first: None, last: None });
    let subscribe = ServicesRequest::Subscribe { id: ID, talkgroup: 91, slot: 2, schedule: always };
    cluster.ask::<DeviceInfo>(&subscribe).unwrap();
    let before = Order::Settings { id: ID, settings: registered(&[vec![], vec![262]]) };
    let after = Order::Settings { id: ID, settings: registered(&[vec![], vec![262, 91]]) };
    assert_eq!((cluster.workers[0].order(), cluster.workers[0].order()), (before, after.clone()));
    services.tell(&Parent::Stop);
    assert_eq!(services.ended(), Ended::Code(0));
    let _services = cluster.start();
    assert_eq!(cluster.workers[0].order(), after);
}

#[test]
fn refusals_and_aliases_are_events_and_the_last_heard_outlive_the_services() {
    let mut cluster = Cluster::new();
    let services = cluster.start();
    let lines = events(&cluster);
    let report = device::with_a_call(&mut cluster.states[0], 25_011, ID, 91);
    let from = "192.0.2.7:1".parse().unwrap();
    let up = Notice::Up { id: ID, from, call: "N0CALL".to_owned(), software: String::new() };
    cluster.report(0, &Report::Notice { shard: 0, notice: up });
    let distress = SessionReport { emergency: true, bursts: 50, ..report };
    cluster.report(0, &Report::Started(distress));
    cluster.report(0, &Report::Alias { report: distress, alias: "DL1ABC\u{1b}[2J\n".to_owned() });
    cluster.report(0, &Report::Refused { report: distress, why: Refused::NoRoute });
    cluster.report(0, &Report::Stopped { report: distress, ended: CallEnded::TooLong });
    let start = event(&lines, "Session-Start");
    assert_eq!(start["Emergency"], true);
    let alias = event(&lines, "Talker-Alias");
    assert_eq!((&alias["TalkerAlias"], &alias["SourceID"]), (&"DL1ABC[2J".into(), &RADIO.into()));
    assert_eq!(alias["SessionID"], start["SessionID"]);
    let refused = event(&lines, "Session-Refused");
    assert_eq!((&refused["Reason"], &refused["DestinationID"]), (&"no_route".into(), &91.into()));
    let stop = event(&lines, "Session-Stop");
    assert_eq!((&stop["Reason"], &stop["DataCount"]), (&"too long".into(), &50.into()));

    let later = SessionReport { source: 7, emergency: false, ..report };
    let later = SessionReport {
        session: switch::SessionId { key: report.session.key + (2_000 << 12), ..report.session },
        ..later
    };
    cluster.report(0, &Report::Started(later));
    assert_eq!(event(&lines, "Session-Start").get("Emergency"), None);
    let heard =
        |cluster: &Cluster| cluster.ask::<Vec<HeardInfo>>(&ServicesRequest::LastHeard { count: 20 }).unwrap();
    let check = |list: &[HeardInfo]| {
        let [newest, first] = list else { panic!("{list:?}") };
        assert_eq!((newest.radio, first.radio, first.slot), (7, RADIO, 2));
        assert_eq!((first.alias.as_deref(), &*first.call, first.context), (Some("DL1ABC[2J"), "N0CALL", ID));
        assert_eq!((first.destination, first.group, first.seconds), (91, true, 3.0));
        assert_eq!((first.refused, first.ended), (Some(RefuseReason::NoRoute), Some(StopReason::TooLong)));
        newest.ended
    };
    assert_eq!(check(&heard(&cluster)), None);
    services.tell(&Parent::Stop);
    assert_eq!(services.ended(), Ended::Code(0));
    let _services = cluster.start();
    assert_eq!(check(&heard(&cluster)), Some(StopReason::Unknown), "its end was not seen");
    let one: Vec<HeardInfo> = cluster.ask(&ServicesRequest::LastHeard { count: 1 }).unwrap();
    assert_eq!(one.len(), 1);
}

#[test]
fn calls_and_dynamic_talkgroups_of_a_context_are_dropped() {
    let mut cluster = Cluster::new();
    device::with_a_call(&mut cluster.states[1], 25_012, ID, 91);
    let _services = cluster.start();
    let calls: usize = cluster.ask(&ServicesRequest::DropCall { id: ID, slot: Some(2) }).unwrap();
    let dynamics: usize = cluster.ask(&ServicesRequest::DropDynamic { id: ID, slot: None }).unwrap();
    assert_eq!((calls, dynamics), (1, 1), "the call and the talkgroup that it keyed");
    for worker in &mut cluster.workers {
        assert_eq!(worker.order(), Order::DropCall { id: ID, slot: Some(Slot::Two) });
        assert_eq!(worker.order(), Order::DropDynamic { id: ID, slot: None });
    }
    for (request, expected) in [
        (ServicesRequest::DropCall { id: 7, slot: None }, "no context has the ID 7"),
        (ServicesRequest::DropDynamic { id: 7, slot: None }, "no context has the ID 7"),
        (ServicesRequest::DropCall { id: ID, slot: Some(0) }, "slot 0: write 1 or 2"),
    ] {
        let error = cluster.ask::<()>(&request).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}
