//! `bmctl monitor`: the stream of events as an operator reads it, one line each.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use control::{CallInfo, ContextInfo, HeardInfo, Paths, ServicesRequest, request};
use events::{Event, Record, Session, SessionKind, StopReason};
use uuid::Uuid;

use super::radios::called;
use super::{TIMEOUT, ask_status, word};
use crate::say::clean;

/// The length of a burst of speech, seconds.
const BURST: f64 = 0.06;
/// Names that are remembered; beyond, all are learnt anew.
const MAX_NAMES: usize = 65_536;

/// Between two tries to reach services that are started again.
const PAUSE: Duration = Duration::from_millis(200);

/// Until nobody reads any more, or the cluster has ended.
pub(crate) fn monitor(paths: &Paths) -> Result<()> {
    let mut view = View::default();
    let (mut events, mut running) = view.begin(paths)?;
    if !say(&format!("{:<9} {:<16} {:<8} {:<20} from", "UTC", "called", "radio", "alias")) {
        return Ok(());
    }
    loop {
        if !running.iter().all(|text| say(text)) {
            return Ok(());
        }
        // Services that die break off in the middle of a line.
        for line in events.map_while(Result::ok) {
            if view.line(&line).is_some_and(|text| !say(&text)) {
                return Ok(());
            }
        }
        if !say(&now("the services are GONE: events may be missing here")) {
            return Ok(());
        }
        (events, running) = loop {
            std::thread::sleep(PAUSE);
            // The supervisor starts them again; without it that was all.
            ask_status(paths).context("the cluster has ended")?;
            if let Ok(begun) = view.begin(paths) {
                break begun;
            }
        };
        if !say(&now("the services are back")) {
            return Ok(());
        }
    }
}

/// False where nobody reads any more: that is the usual end of a pipe.
fn say(text: &str) -> bool {
    writeln!(io::stdout(), "{text}").is_ok()
}

/// A line of our own.
fn now(text: &str) -> String {
    at(sys::Clocks::now().wall_us / 1000, text)
}

/// A line with its time.
fn at(time_ms: u64, text: &str) -> String {
    let time = events::utc(time_ms);
    format!("{}  {text}", time.get(11..19).unwrap_or(&time))
}

/// What is known from earlier events.
#[derive(Debug, Default)]
struct View {
    /// Call signs of contexts, by ID.
    calls: BTreeMap<u32, String>,
    /// What radios call themselves, by ID.
    aliases: BTreeMap<u32, String>,
    /// Sessions that were refused and go on: their end says nothing new.
    refused: BTreeSet<Uuid>,
    /// Those that run, for the line of an alias.
    running: BTreeMap<Uuid, Session>,
}

impl View {
    /// The line of an event; `None` for one that is not shown.
    fn line(&mut self, json: &str) -> Option<String> {
        let Ok(record) = serde_json::from_str::<Record>(json) else { return lost(json) };
        let text = self.text(record.event, record.worker)?;
        Some(at(record.time_us / 1000, &text))
    }

    /// The stream, and the lines of the calls that run. What was before the stream is learnt after it has begun, so
    /// that nothing falls between.
    fn begin(&mut self, paths: &Paths) -> Result<(control::Lines, Vec<String>)> {
        let events = control::events(paths, TIMEOUT)?;
        let contexts: Vec<ContextInfo> = request(paths, &ServicesRequest::Contexts, TIMEOUT)?;
        let heard: Vec<HeardInfo> = request(paths, &ServicesRequest::LastHeard { count: u32::MAX }, TIMEOUT)?;
        let running: Vec<CallInfo> = request(paths, &ServicesRequest::Calls, TIMEOUT)?;
        self.calls.extend(contexts.into_iter().map(|context| (context.id, clean(&context.call))));
        self.aliases.extend(heard.into_iter().filter_map(|info| Some((info.radio, clean(&info.alias?)))));
        // Of those that have ended meanwhile nothing more will come.
        self.refused.clear();
        Ok((events, running.iter().map(|call| now(&self.running(call))).collect()))
    }

    fn running(&mut self, call: &CallInfo) -> String {
        let seconds = call.seconds;
        let state = match call.refused {
            Some(why) => {
                self.refused.insert(call.session);
                format!("REFUSED {seconds:.1} s ago: {why}")
            }
            None => format!("talks since {seconds:.1} s"),
        };
        let (called, whence) = (called(call.destination, call.group), (call.context, call.slot));
        self.columns(&called, call.source, whence, &state)
    }

    fn text(&mut self, event: Event, worker: Option<u16>) -> Option<String> {
        let worker = worker.map_or_else(|| "a worker".to_owned(), |slot| format!("worker {slot}"));
        Some(match event {
            Event::SessionStart { session, .. } => {
                let kind = match session.kind() {
                    SessionKind::Voice => "",
                    SessionKind::Data => " with data",
                    SessionKind::Control => " with signalling",
                };
                let emergency = if session.emergency { "  EMERGENCY" } else { "" };
                let text = self.session(&session, &format!("starts{kind}{emergency}"));
                room(&mut self.running).insert(session.session_id, session);
                text
            }
            Event::SessionStop { session, data_count, reason, .. } => {
                self.running.remove(&session.session_id);
                if self.refused.remove(&session.session_id) {
                    return None;
                }
                let voice = session.kind() == SessionKind::Voice && data_count > 0;
                let seconds = voice.then(|| format!(" after {:.1} s", f64::from(data_count) * BURST));
                let reason = match reason {
                    StopReason::Terminator => String::new(),
                    reason => format!(" ({})", reason.as_str()),
                };
                self.session(&session, &format!("ends{}{reason}", seconds.unwrap_or_default()))
            }
            Event::SessionRefused { session, reason } => {
                if self.refused.len() >= MAX_NAMES {
                    self.refused.clear();
                }
                self.refused.insert(session.session_id);
                self.session(&session, &format!("REFUSED: {reason}"))
            }
            Event::SessionCarried { session } => {
                self.refused.remove(&session.session_id);
                self.session(&session, "is heard from now on")
            }
            Event::TalkerAlias { session_id, source_id, talker_alias } => {
                let alias = clean(&talker_alias);
                if self.aliases.get(&source_id) == Some(&alias) {
                    return None;
                }
                room(&mut self.aliases).insert(source_id, alias);
                let session = self.running.get(&session_id)?;
                self.session(session, "says who it is")
            }
            Event::RepeaterConnected { context_id, address, call, software } => {
                let (call, software) = (clean(&call), clean(&software));
                let text = format!("repeater {context_id} {call} logs in from {address} with {software}");
                room(&mut self.calls).insert(context_id, call);
                text
            }
            Event::RepeaterDisconnected { context_id, reason, .. } => {
                let call = self.calls.get(&context_id).map_or("", String::as_str);
                format!("repeater {context_id} {call} is gone: {}", clean(&reason))
            }
            Event::RepeaterRefused { context_id, address, reason } => {
                format!("repeater {context_id} at {address} REFUSED: {}", clean(&reason))
            }
            Event::RadioBanned { radio_id, until, by, reason } => {
                let until = until.map_or_else(|| "for ever".to_owned(), |until| format!("until {until}"));
                let by = if by == "operator" { " by an operator" } else { "" };
                let reason = [": ", &clean(&reason)].concat();
                format!("radio {radio_id} banned {until}{by}{}", reason.trim_end_matches(": "))
            }
            Event::RadioUnbanned { radio_id, reason } => {
                format!("radio {radio_id} unbanned: {}", clean(&reason))
            }
            Event::WorkerStarted { pid } => format!("{worker} is ready (pid {pid})"),
            Event::WorkerDied { pid, reason } => format!("{worker} DIED (pid {pid}): {}", clean(&reason)),
            Event::SystemStarted { version, workers } => {
                format!("the services are ready ({version}, workers: {workers})")
            }
            Event::SystemStopping { reason } => format!("the cluster stops: {}", clean(&reason)),
            Event::HostReached { host_id, hops } => {
                let away = if hops > 1 { format!(", {hops} hosts away") } else { String::new() };
                format!("host {host_id} is reached{away}")
            }
            Event::HostGone { host_id } => format!("host {host_id} is GONE: nothing is heard of it"),
            other => format!("{} (unknown to this bmctl)", word(&other)),
        })
    }

    /// The columns of a session: whom it is for, who talks, where, and what is said of it.
    fn session(&self, session: &Session, what: &str) -> String {
        let called = called(session.destination_id, session.is_group());
        self.columns(&called, session.source_id, (session.context_id, session.slot), what)
    }

    fn columns(&self, called: &str, radio: u32, (context, slot): (u32, u8), what: &str) -> String {
        let alias = self.aliases.get(&radio).map_or("", String::as_str);
        let call = self.calls.get(&context).map_or("", String::as_str);
        format!("{called:<16} {radio:<8} {alias:<20.20} via {context:<9} {call:<8} TS{slot}  {what}")
    }
}

/// A map with room for one more.
fn room<K: Ord, V>(map: &mut BTreeMap<K, V>) -> &mut BTreeMap<K, V> {
    if map.len() >= MAX_NAMES {
        map.clear();
    }
    map
}

/// The line about events that did not come; `None` for what is no event at all.
fn lost(json: &str) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(json).ok()?;
    let count = (event["Event"] == "Events-Lost").then(|| event["Count"].as_u64())??;
    Some(format!("          {count} events are missing here: they were not read fast enough"))
}

#[cfg(test)]
mod tests {
    use events::{LinkType, MMDVM_HOST, RefuseReason, SessionState, session_type};

    use super::*;

    fn session(group: bool, kind: SessionKind) -> Session {
        Session {
            link_name: MMDVM_HOST.to_owned(),
            link_type: LinkType::Repeater,
            context_id: 262_137,
            session_id: Uuid::nil(),
            session_type: session_type(group, kind),
            slot: 2,
            source_id: 2_621_370,
            destination_id: 91,
            emergency: false,
        }
    }

    fn line(view: &mut View, event: Event) -> Option<String> {
        let record = Record { time_us: 1_772_366_401_250_000, node: 25_011, worker: Some(1), event };
        view.line(&record.to_json().unwrap())
    }

    #[test]
    fn a_call_from_its_start_to_its_end() {
        let mut view = View::default();
        view.calls.insert(262_137, "DB0ABC".to_owned());
        let call = session(true, SessionKind::Voice);
        let mut next = |event| line(&mut view, event).unwrap();
        let start = Event::SessionStart { session: call.clone(), route: "None".to_owned() };
        assert_eq!(
            next(start.clone()),
            "12:00:01  TG 91            2621370                       via 262137    DB0ABC   TS2  starts"
        );
        let alias = Event::TalkerAlias {
            session_id: Uuid::nil(),
            source_id: 2_621_370,
            talker_alias: "DL1ABC Hans from the hills\u{1b}".to_owned(),
        };
        assert_eq!(
            next(alias.clone()),
            "12:00:01  TG 91            2621370  DL1ABC Hans from the via 262137    DB0ABC   TS2  says who it is"
        );
        let (state, reason) = (SessionState::Final, StopReason::Terminator);
        let stop = Event::SessionStop { session: call.clone(), state, data_count: 54, reason };
        assert!(next(stop).ends_with("TS2  ends after 3.2 s"));
        let late =
            Event::SessionStop { session: call, state, data_count: 0, reason: StopReason::ContextGone };
        assert!(next(late).ends_with("TS2  ends (context gone)"));
        assert_eq!(line(&mut view, alias), None, "it is known");
    }

    #[test]
    fn what_is_refused_is_said_once() {
        let mut view = View::default();
        let session = Session { emergency: true, ..session(false, SessionKind::Data) };
        let start = Event::SessionStart { session: session.clone(), route: "None".to_owned() };
        assert_eq!(
            line(&mut view, start).unwrap(),
            "12:00:01  private 91       2621370                       via 262137             TS2  starts with data  \
             EMERGENCY"
        );
        let refused = Event::SessionRefused { session: session.clone(), reason: RefuseReason::Busy };
        assert!(line(&mut view, refused).unwrap().ends_with("TS2  REFUSED: the radio called is busy"));
        let (state, reason) = (SessionState::Final, StopReason::Timeout);
        let stop = Event::SessionStop { session: session.clone(), state, data_count: 1, reason };
        assert_eq!(line(&mut view, stop.clone()), None);
        line(&mut view, Event::SessionRefused { session: session.clone(), reason: RefuseReason::Taken });
        let carried = line(&mut view, Event::SessionCarried { session }).unwrap();
        assert!(carried.ends_with("TS2  is heard from now on"), "{carried}");
        assert!(line(&mut view, stop).unwrap().ends_with("ends (timeout)"));
    }

    #[test]
    fn repeaters_bans_and_workers() {
        let mut view = View::default();
        let address = "192.0.2.7:62031".parse().unwrap();
        let (call, software) = ("DB0ABC".to_owned(), "MMDVM\u{7}".to_owned());
        let up = Event::RepeaterConnected { context_id: 262_137, address, call, software };
        assert_eq!(
            line(&mut view, up).unwrap(),
            "12:00:01  repeater 262137 DB0ABC logs in from 192.0.2.7:62031 with MMDVM"
        );
        let reason = "nothing was heard of it".to_owned();
        let down = Event::RepeaterDisconnected { context_id: 262_137, address, reason };
        assert_eq!(
            line(&mut view, down).unwrap(),
            "12:00:01  repeater 262137 DB0ABC is gone: nothing was heard of it"
        );
        let (by, reason) = ("operator".to_owned(), String::new());
        let ban = Event::RadioBanned { radio_id: 7, until: None, by, reason };
        assert_eq!(line(&mut view, ban).unwrap(), "12:00:01  radio 7 banned for ever by an operator");
        let died = Event::WorkerDied { pid: 9, reason: "signal SIGKILL".to_owned() };
        assert_eq!(line(&mut view, died).unwrap(), "12:00:01  worker 1 DIED (pid 9): signal SIGKILL");
        let reached = |host_id, hops| Event::HostReached { host_id, hops };
        assert_eq!(line(&mut view, reached(25_021, 1)).unwrap(), "12:00:01  host 25021 is reached");
        let far = line(&mut view, reached(25_031, 3)).unwrap();
        assert_eq!(far, "12:00:01  host 25031 is reached, 3 hosts away");
        let gone = line(&mut view, Event::HostGone { host_id: 25_021 }).unwrap();
        assert_eq!(gone, "12:00:01  host 25021 is GONE: nothing is heard of it");
        let missing = view.line(r#"{"Event":"Events-Lost","Count":7}"#).unwrap();
        assert_eq!(missing, "          7 events are missing here: they were not read fast enough");
        assert_eq!((view.line("{}"), view.line("x")), (None, None));
    }
}
