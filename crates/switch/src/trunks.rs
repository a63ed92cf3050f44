//! Contexts that carry any number of calls out to another network. They have no slots to be taken and no dynamic
//! talkgroups: what goes out over one is decided by its list alone. What comes in over it comes from contexts of its own,
//! one a call ([`stack::Line::Leg`]).

use std::time::Duration;

use dmr::{BurstKind, FullLc, embedded_fragment, set_embedded_fragment};
use stack::{ContextKey, Frame, Line, Now, Slot, Trunk};

use crate::io::{Ended, Output, Refused};
use crate::routes::made_up_terminator;
use crate::session::{Origin, Route, Session, Standing};
use crate::slots::Grant;
use crate::{HEADER, Switch, TERMINATOR};

/// So long a call that comes over a trunk has been silent when its talker has keyed up again.
const REKEYED: Duration = Duration::from_millis(180);

/// All trunks of a worker.
#[derive(Debug, Default)]
pub(crate) struct Trunks {
    all: Vec<(ContextKey, Trunk)>,
    /// What one of them carries out: ranges in order, none of which touches another.
    carried: Vec<(u32, u32)>,
}

impl Trunks {
    /// Whether one of them carries the talkgroup out. Asked for each burst of a call that nobody here wants.
    pub(crate) fn want(&self, talkgroup: u32) -> bool {
        let place = self.carried.partition_point(|&(_, last)| last < talkgroup);
        self.carried.get(place).is_some_and(|&(first, _)| first <= talkgroup)
    }

    fn get(&self, key: ContextKey) -> Option<&Trunk> {
        self.all.iter().find(|(other, _)| *other == key).map(|(_, trunk)| trunk)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The one at this place, and whether it carries the talkgroup out.
    pub(crate) fn at(&self, place: usize, talkgroup: u32) -> Option<(ContextKey, bool)> {
        self.all.get(place).map(|(key, trunk)| (*key, trunk.carries(talkgroup)))
    }

    /// The context is this trunk from now on, or none. Returns the ranges that were carried before.
    fn set(&mut self, key: ContextKey, trunk: Option<Trunk>) -> Vec<(u32, u32)> {
        self.all.retain(|(other, _)| *other != key);
        self.all.extend(trunk.map(|trunk| (key, trunk)));
        let mut ranges: Vec<_> =
            self.all.iter().flat_map(|(_, trunk)| trunk.talkgroups.iter().copied()).collect();
        ranges.sort_unstable();
        let before = std::mem::take(&mut self.carried);
        for (first, last) in ranges {
            match self.carried.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => self.carried.push((first, last)),
            }
        }
        before
    }
}

impl Switch {
    /// A context is what its profile says: a trunk, or none. Calls that it carries no longer, or under another number, go off
    /// it, and those that run join it where they are for it; what does not concern a call it does not notice.
    pub(crate) fn set_trunk(&mut self, now: Now, key: ContextKey, line: &Line) {
        let trunk = if let Line::Trunk(trunk) = line { Some(trunk) } else { None };
        if self.trunks.get(key) == trunk {
            return;
        }
        self.retune_trunk(key, trunk.cloned());
        let to_talkgroups = self.sessions.iter().filter(|(_, session)| session.group.is_some());
        let running: Vec<(u16, u32)> =
            to_talkgroups.map(|(index, session)| (index, session.call.destination)).collect();
        for (index, talkgroup) in running {
            let trunk = self.trunks.get(key).filter(|trunk| trunk.carries(talkgroup));
            let renamed = trunk.map(|trunk| trunk.renamed(talkgroup));
            self.route_off(index, key, renamed);
            if renamed.is_some() {
                let _ = self.join(now, index, (key, Slot::One));
            }
        }
    }

    /// A context is this trunk, or none, and the outside is told what that changes.
    fn retune_trunk(&mut self, key: ContextKey, trunk: Option<Trunk>) {
        let had_any = self.trunks.len() > 0;
        let before = self.trunks.set(key, trunk);
        let has_any = self.trunks.len() > 0;
        if had_any != has_any {
            self.out(Output::Everything { wanted: has_any });
        }
        // New ones first: what only changes its bounds is wanted all the time.
        let now = &self.trunks.carried;
        let new = now.iter().filter(|range| !before.contains(range)).map(|range| (*range, true));
        let old = before.iter().filter(|range| !now.contains(range)).map(|range| (*range, false));
        let changes = new.chain(old);
        self.outputs.extend(changes.map(|((first, last), wanted)| Output::Range { first, last, wanted }));
    }

    /// A session goes out over a trunk: all that are for it do. `None` where it is not, since it came from there.
    pub(crate) fn join_trunk(&mut self, index: u16, key: ContextKey) -> Option<Grant> {
        let context = self.contexts.get(key)?;
        let session = self.sessions.get_mut(index)?;
        let came_from_there = session.context == context.profile.id;
        let hears_it = session.routes.iter().any(|route| route.to.0 == key);
        if session.standing != Standing::Carried || came_from_there || hears_it {
            return None;
        }
        let talkgroup = session.group.map(|_| session.call.destination);
        let renamed = talkgroup.and_then(|talkgroup| self.trunks.get(key)?.renamed(talkgroup));
        // Data says in its own blocks whom it is for.
        if renamed.is_some() && !session.call.is_voice() {
            return None;
        }
        // Who is at the far end takes a call in wherever it begins.
        session.routes.push(Route { to: (key, Slot::One), air: context.air(), is_open: true, renamed });
        Some(Grant::Free)
    }

    /// What a trunk hears of a session it hears no longer, unless that is under the number that it is to have (`renamed`; `None`
    /// where it is not to be heard).
    fn route_off(&mut self, index: u16, key: ContextKey, renamed: Option<Option<u32>>) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let is_stale = |route: &Route| route.to.0 == key && Some(route.renamed) != renamed;
        let Some(place) = session.routes.iter().position(is_stale) else { return };
        let route = session.routes.remove(place);
        if session.call.is_voice() {
            let terminator = made_up_terminator(session, &route);
            self.out(terminator);
        }
    }

    /// A trunk goes, or goes on at another worker: nobody hears anything there any more.
    pub(crate) fn leave_trunk(&mut self, key: ContextKey) -> Vec<u16> {
        let Some(true) = self.contexts.get(key).map(|context| context.is_trunk()) else { return Vec::new() };
        self.retune_trunk(key, None);
        let hears = |session: &Session| session.routes.iter().any(|route| route.to.0 == key);
        let heard = self.sessions.iter().filter(|(_, session)| hears(session)).map(|(index, _)| index);
        let heard: Vec<u16> = heard.collect();
        for &index in &heard {
            if let Some(session) = self.sessions.get_mut(index) {
                session.routes.retain(|route| route.to.0 != key);
            }
        }
        heard
    }

    /// A session comes from a context with this ID: over a trunk of the same ID it does not go back.
    pub(crate) fn keep_off_own_trunk(&mut self, index: u16, id: u32) {
        let (contexts, sessions) = (&self.contexts, &mut self.sessions);
        let Some(session) = sessions.get_mut(index) else { return };
        let is_own =
            |key| contexts.get(key).is_some_and(|context| context.is_trunk() && context.profile.id == id);
        session.routes.retain(|route| !is_own(route.to.0));
    }

    /// A call begins on a leg: of the same one on another leg the end was lost, where it has been silent for a moment.
    pub(crate) fn supersede_leg(&mut self, now: Now, key: ContextKey, index: u16) {
        let Some(session) = self.sessions.get(index) else { return };
        if !self.contexts.get(key).is_some_and(|context| context.profile.line == Line::Leg) {
            return;
        }
        let (call, id) = (session.call, session.context);
        let is_before = |other: &Session| {
            let is_silent = now.mono.since(other.last) >= REKEYED;
            other.origin.is_local() && other.context == id && is_silent && other.call.is_same(call)
        };
        let before = self.sessions.iter().find(|&(other, session)| other != index && is_before(session));
        if let Some(before) = before.map(|(before, _)| before) {
            self.end(now, before, Ended::Superseded);
        }
    }

    /// The calls that come over a trunk end.
    pub(crate) fn drop_legs(&mut self, now: Now, id: u32) {
        let is_its = |session: &Session| session.origin.is_local() && session.context == id;
        let its = self.sessions.iter().filter(|(_, session)| is_its(session)).map(|(index, _)| index);
        its.collect::<Vec<_>>().into_iter().for_each(|index| self.end(now, index, Ended::Dropped));
    }

    /// The leg that a session came from is told that it is refused, unless it may be carried later: then its network need
    /// not send more of it.
    pub(crate) fn tell_unwanted(&mut self, index: u16, why: Refused) {
        if matches!(why, Refused::Taken | Refused::Busy) {
            return;
        }
        let Some(session) = self.sessions.get(index) else { return };
        let Origin::Local { context, slot, .. } = session.origin else { return };
        if self.contexts.get(context).is_some_and(|context| context.profile.line == Line::Leg) {
            self.out(Output::Unwanted { context, slot });
        }
    }
}

/// A burst as it goes out to a network where its talkgroup has another number. A superframe's message that is not the LC
/// of the call stays as it is.
#[cold]
pub(crate) fn rename(lc: &FullLc, talkgroup: u32, frame: &mut Frame) {
    frame.destination = talkgroup;
    let renamed = lc.with_destination(talkgroup);
    match frame.kind {
        kind @ (HEADER | TERMINATOR) => {
            if let BurstKind::Data(data_type) = kind {
                renamed.write(&mut frame.burst, data_type);
            }
        }
        BurstKind::Voice(place @ 1..=4) => {
            let at = usize::from(place) - 1;
            if embedded_fragment(&frame.burst) == lc.to_embedded()[at] {
                set_embedded_fragment(&mut frame.burst, renamed.to_embedded()[at]);
            }
        }
        BurstKind::Voice(_) | BurstKind::Data(_) => {}
    }
}
