//! The sessions that run, as the workers report them.
//!
//! A session whose worker died, or which its shard's state no longer has, is in doubt: it is dropped unless
//! it is reported again soon.

use std::collections::{BTreeMap, BTreeSet};

use control::CallInfo;
use events::{
    Event, LinkType, MMDVM_HOST, OPENBRIDGE, RefuseReason, Session, SessionKind, SessionState, StopReason,
    session_type,
};
use stack::CallType;
use switch::{Ended, FarCall, Kind, Refused, SessionId, SessionReport};
use uuid::Uuid;

/// Sessions that are remembered; further ones have their events, but are not listed.
const MAX_CALLS: usize = 65_536;
/// How long a session in doubt is kept, in microseconds.
const DOUBT_US: u64 = 2_000_000;

#[derive(Debug)]
struct Call {
    worker: u8,
    report: SessionReport,
    /// Why nobody hears it, while that is so.
    refused: Option<RefuseReason>,
    /// While in doubt: when it is dropped, monotonic microseconds.
    drop_at: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Calls(BTreeMap<SessionId, Call>);

impl Calls {
    /// A session began, or goes on under a worker that was started again. True where it was not known.
    pub(crate) fn started(&mut self, worker: u8, report: SessionReport) -> bool {
        let known = self.0.contains_key(&report.session);
        if known || self.0.len() < MAX_CALLS {
            self.0.insert(report.session, Call { worker, report, refused: None, drop_at: None });
        }
        !known
    }

    /// A session is refused, or is carried after all.
    pub(crate) fn refused(&mut self, session: SessionId, why: Option<RefuseReason>) {
        if let Some(call) = self.0.get_mut(&session) {
            call.refused = why;
        }
    }

    pub(crate) fn stopped(&mut self, session: SessionId) {
        self.0.remove(&session);
    }

    /// The sessions of this worker are in doubt: its process died.
    pub(crate) fn doubt_worker(&mut self, worker: u8, now_us: u64) {
        self.doubt(now_us, |_, call| call.worker == worker);
    }

    /// The sessions that are not among these are in doubt: the report of their end was lost.
    pub(crate) fn doubt_others(&mut self, running: &BTreeSet<SessionId>, now_us: u64) {
        self.doubt(now_us, |session, _| !running.contains(session));
    }

    fn doubt(&mut self, now_us: u64, which: impl Fn(&SessionId, &Call) -> bool) {
        let sure = self.0.iter_mut().filter(|(_, call)| call.drop_at.is_none());
        for (_, call) in sure.filter(|(session, call)| which(session, call)) {
            call.drop_at = Some(now_us.saturating_add(DOUBT_US));
        }
    }

    /// Takes out the sessions that were in doubt for too long, each with its worker. Those that turn out to run
    /// are asked for only if there are any.
    pub(crate) fn expire(
        &mut self,
        now_us: u64,
        running: impl FnOnce() -> BTreeSet<SessionId>,
    ) -> Vec<(u8, SessionReport)> {
        let expired = |call: &Call| call.drop_at.is_some_and(|at| at <= now_us);
        if !self.0.values().any(expired) {
            return Vec::new();
        }
        for session in running() {
            if let Some(call) = self.0.get_mut(&session) {
                call.drop_at = None;
            }
        }
        let gone = self.0.values().filter(|call| expired(call));
        let gone = gone.map(|call| (call.worker, call.report)).collect();
        self.0.retain(|_, call| !expired(call));
        gone
    }

    /// Those at this worker, the oldest first, each with why nobody hears it, while that is so.
    pub(crate) fn running(&self, worker: u8) -> impl Iterator<Item = (&SessionReport, Option<RefuseReason>)> {
        let here = self.0.values().filter(move |call| call.worker == worker);
        here.map(|call| (&call.report, call.refused))
    }

    /// How many calls to talkgroups that are `carried` go out to a network, but for those that have come from there.
    pub(crate) fn going_out(&self, network: u32, carried: impl Fn(u32) -> bool) -> u32 {
        let goes = |call: &&Call| {
            let report = &call.report;
            let is_group = report.call == CallType::Group && call.refused.is_none();
            is_group && report.context != network && carried(report.destination)
        };
        u32::try_from(self.0.values().filter(goes).count()).unwrap_or(u32::MAX)
    }

    /// All of them, the oldest first.
    pub(crate) fn list(&self, wall_us: u64) -> Vec<CallInfo> {
        self.0.values().map(|call| call_info(call, wall_us)).collect()
    }
}

fn call_info(call: &Call, wall_us: u64) -> CallInfo {
    let report = &call.report;
    CallInfo {
        session: Uuid::from_u128(report.session.uuid()),
        worker: call.worker.into(),
        node: report.session.node,
        context: Some(report.context),
        slot: report.slot.number(),
        source: report.source,
        destination: report.destination,
        group: report.call == CallType::Group,
        seconds: seconds_since(report.session, wall_us),
        refused: call.refused,
    }
}

/// A call of another host that comes in at a worker.
pub(crate) fn far_call_info(worker: u8, report: &FarCall, wall_us: u64) -> CallInfo {
    CallInfo {
        session: Uuid::from_u128(report.session.uuid()),
        worker: worker.into(),
        node: report.session.node,
        context: None,
        slot: report.slot.number(),
        source: report.source,
        destination: report.destination,
        group: report.call == CallType::Group,
        seconds: seconds_since(report.session, wall_us),
        refused: None,
    }
}

/// A session's key begins with its start: see [`SessionId`].
fn seconds_since(session: SessionId, wall_us: u64) -> f64 {
    std::time::Duration::from_micros(wall_us.saturating_sub(session.key >> 12)).as_secs_f64()
}

/// The event of a session that began.
pub(crate) fn start_event(report: &SessionReport, link: LinkType) -> Event {
    Event::SessionStart { session: session(report, link), route: "None".to_owned() }
}

/// The event of a session that is over.
pub(crate) fn stop_event(report: &SessionReport, link: LinkType, reason: StopReason) -> Event {
    let (session, state) = (session(report, link), SessionState::Final);
    Event::SessionStop { session, state, data_count: report.bursts, reason }
}

/// The event of a session that is carried nowhere.
pub(crate) fn refused_event(report: &SessionReport, link: LinkType, reason: RefuseReason) -> Event {
    Event::SessionRefused { session: session(report, link), reason }
}

/// The event of a session that is carried after all.
pub(crate) fn carried_event(report: &SessionReport, link: LinkType) -> Event {
    Event::SessionCarried { session: session(report, link) }
}

/// The event of a talker's alias.
pub(crate) fn alias_event(report: &SessionReport, talker_alias: String) -> Event {
    let session_id = Uuid::from_u128(report.session.uuid());
    Event::TalkerAlias { session_id, source_id: report.source, talker_alias }
}

pub(crate) const fn stop_reason(ended: Ended) -> StopReason {
    match ended {
        Ended::Terminator => StopReason::Terminator,
        Ended::Timeout => StopReason::Timeout,
        Ended::Superseded => StopReason::Superseded,
        Ended::ContextGone => StopReason::ContextGone,
        Ended::TooLong => StopReason::TooLong,
        Ended::Dropped => StopReason::Dropped,
    }
}

pub(crate) const fn refuse_reason(why: Refused) -> RefuseReason {
    match why {
        Refused::NoRoute => RefuseReason::NoRoute,
        Refused::Busy => RefuseReason::Busy,
        Refused::Taken => RefuseReason::Taken,
        Refused::Loop => RefuseReason::Loop,
        Refused::Denied => RefuseReason::Denied,
        Refused::Banned => RefuseReason::Banned,
        Refused::Blocked => RefuseReason::Blocked,
        Refused::Encrypted => RefuseReason::Encrypted,
    }
}

fn session(report: &SessionReport, link: LinkType) -> Session {
    let kind = match report.kind {
        Kind::Voice => SessionKind::Voice,
        Kind::Data => SessionKind::Data,
        Kind::Control => SessionKind::Control,
    };
    Session {
        link_name: if link == LinkType::Network { OPENBRIDGE } else { MMDVM_HOST }.to_owned(),
        link_type: link,
        context_id: report.context,
        session_id: Uuid::from_u128(report.session.uuid()),
        session_type: session_type(report.call == CallType::Group, kind),
        slot: report.slot.number(),
        source_id: report.source,
        destination_id: report.destination,
        emergency: report.emergency,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use stack::Slot;

    use super::*;

    pub(crate) fn report(start_us: u64) -> SessionReport {
        SessionReport {
            session: SessionId { key: start_us << 12, node: 25_011 },
            context: 262_137_001,
            slot: Slot::Two,
            source: 2_621_370,
            destination: 91,
            call: CallType::Group,
            kind: Kind::Voice,
            emergency: false,
            bursts: 50,
        }
    }

    #[test]
    fn a_session_is_known_once() {
        let mut calls = Calls::default();
        assert!(calls.started(0, report(1_000_000)));
        assert!(!calls.started(0, report(1_000_000)));
        assert!(calls.started(1, report(500_000)));
        let list = calls.list(2_500_000);
        assert_eq!(list.iter().map(|call| call.worker).collect::<Vec<_>>(), [1, 0]);
        assert_eq!((list[1].seconds, list[1].node, list[1].slot, list[1].group), (1.5, 25_011, 2, true));
        calls.stopped(report(1_000_000).session);
        assert_eq!(calls.list(0).len(), 1);
    }

    #[test]
    fn a_dead_workers_sessions_go_unless_reported_again() {
        let mut calls = Calls::default();
        for (worker, start) in [(0, 1), (0, 2), (1, 3)] {
            calls.started(worker, report(start));
        }
        calls.doubt_worker(0, 1_000_000);
        calls.doubt_worker(0, 2_000_000);
        assert!(calls.expire(2_999_999, BTreeSet::new).is_empty());
        assert!(!calls.started(0, report(2)), "known all the time");
        assert_eq!(calls.expire(3_000_000, BTreeSet::new), [(0, report(1))]);
        assert!(calls.expire(u64::MAX, BTreeSet::new).is_empty());
    }

    #[test]
    fn a_session_whose_end_was_lost_goes() {
        let mut calls = Calls::default();
        calls.started(0, report(1));
        calls.started(0, report(2));
        calls.doubt_others(&BTreeSet::from([report(2).session]), 0);
        assert_eq!(calls.expire(DOUBT_US, BTreeSet::new), [(0, report(1))]);
    }

    #[test]
    fn a_session_in_doubt_that_runs_stays() {
        let mut calls = Calls::default();
        calls.started(0, report(1));
        calls.started(0, report(2));
        calls.doubt_worker(0, 0);
        let running = || BTreeSet::from([report(1).session]);
        assert_eq!(calls.expire(DOUBT_US, running), [(0, report(2))]);
        assert!(calls.expire(u64::MAX, BTreeSet::new).is_empty(), "it is in doubt no more");
        assert_eq!(calls.list(0).len(), 1);
    }

    #[test]
    fn a_refusal_is_said_as_long_as_it_holds() {
        let mut calls = Calls::default();
        calls.started(0, report(1));
        calls.refused(report(1).session, Some(RefuseReason::Taken));
        assert_eq!(calls.list(0)[0].refused, Some(RefuseReason::Taken));
        calls.refused(report(1).session, None);
        assert_eq!(calls.list(0)[0].refused, None);
    }

    #[test]
    fn what_goes_out_to_a_network_is_counted() {
        let mut calls = Calls::default();
        calls.started(0, report(1));
        calls.started(0, SessionReport { context: 3_129_900, ..report(2) });
        calls.started(0, SessionReport { destination: 92, ..report(3) });
        calls.started(0, SessionReport { call: CallType::Private, ..report(4) });
        let count = |calls: &Calls| calls.going_out(3_129_900, |talkgroup| talkgroup == 91);
        assert_eq!(count(&calls), 1);
        calls.refused(report(1).session, Some(RefuseReason::Taken));
        assert_eq!(count(&calls), 0);
        let Event::SessionStart { session, .. } = start_event(&report(2), LinkType::Network) else {
            panic!()
        };
        assert_eq!((&*session.link_name, session.link_type), (OPENBRIDGE, LinkType::Network));
    }

    #[test]
    fn no_more_than_may_be_are_remembered() {
        let mut calls = Calls::default();
        for start in 0..=MAX_CALLS as u64 {
            assert!(calls.started(0, report(start)));
        }
        assert_eq!(calls.0.len(), MAX_CALLS);
    }
}
