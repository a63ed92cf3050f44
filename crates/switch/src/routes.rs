//! Which slots a session goes out on, and how its bursts get there. A slot's outgoing session and that session's
//! routes are always changed together, here and nowhere else.
//!
//! Routes are made when a session begins to be carried, and then one by one: when somebody subscribes, and when a
//! slot gets free that turned a call away.

use dmr::{Air, BURST_LEN, BurstKind, DataType, Emb};
use stack::{ContextKey, Frame, Now, Slot};

use crate::io::{Dropped, Output, Refused};
use crate::session::{Member, Route, Session, Standing};
use crate::slots::{Grant, Kept};
use crate::timers::Timer;
use crate::{Forward, HEADER, Switch, TERMINATOR, trunks};

impl Switch {
    /// Makes the routes of a session that is carried from now on: all subscribers of its talkgroup, or the radio
    /// called. Data that finds a slot taken does not wait for it.
    pub(crate) fn make_routes(&mut self, now: Now, index: u16) {
        let Some(session) = self.sessions.get(index) else { return };
        let (group, callee, is_voice) = (session.group, session.callee, session.call.is_voice());
        let talkgroup = session.call.destination;
        if let Some(group) = group {
            for place in 0..self.groups.get(group).members.len() {
                let member = self.groups.get(group).members[place];
                let grant = self.join(now, index, member);
                if !is_voice && matches!(grant, Some(Grant::Busy | Grant::Kept(_))) {
                    self.out(Output::Dropped(Dropped::DataBusy));
                }
            }
            for place in 0..self.trunks.len() {
                if let Some((key, true)) = self.trunks.at(place, talkgroup) {
                    let _ = self.join_trunk(index, key);
                }
            }
        } else if let Some(callee) = callee {
            match self.join(now, index, callee) {
                Some(Grant::Kept(_)) if is_voice => {}
                Some(Grant::Busy | Grant::Kept(_)) => {
                    if !is_voice {
                        self.out(Output::Dropped(Dropped::DataBusy));
                    }
                    self.refuse(now, index, Refused::Busy);
                }
                Some(Grant::Free) | None => {}
            }
        }
    }

    /// A session goes out on a slot too, if that takes it. `None` where it is not for it: its own context, or one
    /// that hears it already.
    pub(crate) fn join(&mut self, now: Now, index: u16, (key, slot): Member) -> Option<Grant> {
        let context = self.contexts.get(key)?;
        if context.is_trunk() {
            return self.join_trunk(index, key);
        }
        let awaited_by = context.slots[slot.index()].awaited_by;
        let is_awaited = awaited_by.is_some_and(|other| {
            let waits = |session: &Session| session.callee == Some((key, slot)) && session.routes.is_empty();
            other != index && self.sessions.get(other).is_some_and(waits)
        });
        let session = self.sessions.get_mut(index)?;
        let context = self.contexts.get_mut(key)?;
        let hears_it = context.slots.iter().any(|state| state.outgoing == Some(index));
        if session.standing != Standing::Carried || session.origin.context() == Some(key) || hears_it {
            return None;
        }
        let (air, is_voice) = (context.air(), session.call.is_voice());
        let state = &mut context.slots[slot.index()];
        let grant = match state.grant(session.id, session.call, now.mono) {
            // One private call waits for a slot at a time.
            Grant::Kept(_) if is_awaited && session.group.is_none() => Grant::Busy,
            grant => grant,
        };
        match grant {
            Grant::Free => {
                state.outgoing = Some(index);
                session.routes.push(Route { to: (key, slot), air, is_open: !is_voice, renamed: None });
                let awaited_by = state.awaited_by.take();
                if is_voice {
                    self.out(Output::Changed(key));
                }
                self.disappoint(now, awaited_by, (key, slot));
            }
            Grant::Busy | Grant::Kept(_) if !is_voice => {}
            Grant::Busy => state.has_turned_away = true,
            Grant::Kept(until) => {
                state.has_turned_away = true;
                if session.group.is_none() {
                    state.awaited_by = Some(index);
                }
                if let Some(alarm) = self.contexts.hang(key, slot) {
                    self.timers.set(alarm, until, Timer::Hang(key, slot));
                }
            }
        }
        Some(grant)
    }

    /// A slot may have got free: of the calls that it turned away the one that began first goes out on it.
    pub(crate) fn offer(&mut self, now: Now, key: ContextKey, slot: Slot) {
        let Some(context) = self.contexts.get(key) else { return };
        let state = &context.slots[slot.index()];
        if !state.has_turned_away {
            return;
        }
        // A few dozen at most, and only where somebody was turned away.
        let on_slot = context.subscribed.iter().filter(|&&(_, on)| on == slot);
        let talkers = on_slot.filter_map(|&(talkgroup, _)| self.groups.talker(talkgroup));
        let awaited_by = state.awaited_by.filter(|&index| {
            let callee = self.sessions.get(index).and_then(|session| session.callee);
            callee == Some((key, slot))
        });
        let candidates = talkers.chain(awaited_by).filter_map(|index| {
            let session = self.sessions.get(index)?;
            let hears_it = context.slots.iter().any(|state| state.outgoing == Some(index));
            let is_for_it = session.standing == Standing::Carried && session.origin.context() != Some(key);
            (is_for_it && !hears_it).then_some((index, session))
        });
        let is_free = |session: &Session| state.grant(session.id, session.call, now.mono) == Grant::Free;
        let may_wait = |session: &Session| !state.is_deaf_to(session.id);
        let first = candidates
            .clone()
            .filter(|(_, session)| may_wait(session))
            .min_by_key(|(_, session)| session.id)
            .map(|(index, _)| index);
        let best = candidates.filter(|(_, session)| is_free(session)).min_by_key(|(_, session)| session.id);
        let best = best.map(|(index, _)| index);
        if let Some(context) = self.contexts.get_mut(key) {
            let state = &mut context.slots[slot.index()];
            state.has_turned_away = first.is_some();
            state.awaited_by = awaited_by.filter(|&index| best != Some(index));
        }
        // Where none may go out on it, asking sets the timer for when one may.
        if let Some(index) = best.or(first) {
            let _ = self.join(now, index, (key, slot));
        }
    }

    /// A burst goes to all routes, to each with its own colour code and sync. Who joins a voice call late waits for
    /// burst A of a superframe and gets a header before it.
    pub(crate) fn deliver(&mut self, index: u16, frame: &Frame) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.number = frame.sequence;
        let (stream, kind) = (session.id.stream(), frame.kind);
        let privacy =
            matches!(kind, BurstKind::Voice(1..)) && Emb::read(&frame.burst).is_some_and(|emb| emb.pi);
        // Most receivers are alike: what one needs is made once for all of them.
        let mut tuned: Option<(Air, Frame)> = None;
        for route in &mut session.routes {
            let (context, slot) = route.to;
            if !route.is_open {
                match kind {
                    HEADER => {}
                    BurstKind::Voice(0) => {
                        let mut header = lc_burst(&session.voice.lc, DataType::VOICE_HEADER, frame);
                        header.sequence = frame.sequence.wrapping_sub(1);
                        route.air.apply(header.kind, privacy, &mut header.burst);
                        self.outputs.push_back(Output::Deliver { context, slot, stream, frame: header });
                    }
                    _ => continue,
                }
                route.is_open = true;
            }
            let frame = match tuned {
                Some((air, frame)) if air == route.air => frame,
                _ => {
                    let mut frame = *frame;
                    route.air.apply(kind, privacy, &mut frame.burst);
                    tuned.insert((route.air, frame)).1
                }
            };
            self.outputs.push_back(Output::Deliver { context, slot, stream, frame });
            if let Some(talkgroup) = route.renamed
                && let Some(Output::Deliver { frame, .. }) = self.outputs.back_mut()
            {
                trunks::rename(&session.voice.lc, talkgroup, frame);
            }
        }
    }

    /// A burst goes to the siblings that want the session.
    pub(crate) fn forward(&mut self, index: u16, frame: &Frame) {
        let Some(session) = self.sessions.get(index) else { return };
        let (key, slot, options) = (session.id.key, session.slot, session.voice.lc.service_options().0);
        self.out(Output::Forward(Forward { key, index, slot, options, frame: *frame }));
    }

    /// A session that was carried and goes on is not heard any more: who heard it hears a terminator.
    pub(crate) fn fall_silent(&mut self, now: Now, index: u16) {
        self.terminate(index);
        self.release_routes(now, index, false);
    }

    /// Gives everybody who hears a voice session a terminator that its talker did not send.
    pub(crate) fn terminate(&mut self, index: u16) {
        let Some(session) = self.sessions.get_mut(index).filter(|session| session.call.is_voice()) else {
            return;
        };
        session.routes.iter().filter(|route| route.is_open).for_each(|route| {
            self.outputs.push_back(made_up_terminator(session, route));
        });
        if session.origin.is_local() {
            let frame = terminator(session);
            self.forward(index, &frame);
        }
    }

    /// Frees the slots that a session goes out on. `keep`: they are kept for its like for the hang time.
    pub(crate) fn release_routes(&mut self, now: Now, index: u16, keep: bool) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let (kept, is_voice) = (Kept::after(session.call), session.call.is_voice());
        let mut routes = std::mem::take(&mut session.routes);
        for Route { to: (key, slot), .. } in routes.drain(..) {
            let Some(context) = self.contexts.get_mut(key) else { continue };
            if context.is_trunk() {
                continue;
            }
            let state = &mut context.slots[slot.index()];
            state.outgoing = None;
            if keep {
                state.keep(kept, now.mono + self.settings.hang_time);
            }
            if is_voice {
                self.out(Output::Changed(key));
            }
            self.offer(now, key, slot);
        }
        if let Some(session) = self.sessions.get_mut(index) {
            session.routes = routes;
        }
    }

    /// Gives a session its only route, to a slot that was granted.
    pub(crate) fn route_only(&mut self, index: u16, (key, slot): Member, is_open: bool) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        let Some(session) = self.sessions.get_mut(index) else { return };
        let air = context.air();
        context.slots[slot.index()].outgoing = Some(index);
        session.routes.push(Route { to: (key, slot), air, is_open, renamed: None });
        self.out(Output::Changed(key));
    }

    /// Takes the outgoing session off a slot; who heard it hears a terminator. Returns which it was. A private call
    /// that nobody hears any more is refused.
    pub(crate) fn unroute(&mut self, now: Now, key: ContextKey, slot: Slot) -> Option<u16> {
        let (index, route) = self.take_off(key, slot)?;
        self.contexts.get_mut(key)?.slots[slot.index()].has_turned_away = true;
        let session = self.sessions.get(index)?;
        if session.call.is_voice() {
            if route.is_open {
                self.outputs.push_back(made_up_terminator(session, &route));
            }
            self.out(Output::Changed(key));
        }
        self.refuse_unheard(now, index, Refused::Busy);
        // A talkgroup that it has on both slots goes on on the other.
        let other = slot.other();
        if let Some(context) = self.contexts.get_mut(key) {
            context.slots[other.index()].has_turned_away = true;
        }
        self.offer(now, key, other);
        Some(index)
    }

    /// Takes the outgoing session off a slot where nobody hears what is said any more.
    pub(crate) fn take_off(&mut self, key: ContextKey, slot: Slot) -> Option<(u16, Route)> {
        let index = self.contexts.get_mut(key)?.slots[slot.index()].outgoing.take()?;
        let routes = &mut self.sessions.get_mut(index)?.routes;
        let place = routes.iter().position(|route| route.to == (key, slot))?;
        Some((index, routes.remove(place)))
    }

    /// A session has lost a route: if it is a private call, it was its only one.
    pub(crate) fn refuse_unheard(&mut self, now: Now, index: u16, why: Refused) {
        if self
            .sessions
            .get(index)
            .is_some_and(|session| session.callee.is_some() && session.routes.is_empty())
        {
            self.refuse(now, index, why);
        }
    }
}

/// A header or terminator with this LC, with all else as `like` has it.
fn lc_burst(lc: &dmr::FullLc, data_type: DataType, like: &Frame) -> Frame {
    let mut burst = [0; BURST_LEN];
    lc.write(&mut burst, data_type);
    Frame { kind: BurstKind::Data(data_type), ber: 0, rssi: 0, burst, ..*like }
}

/// What ends a session whose talker does not: without slot type and sync, which the receiver's are put into.
fn terminator(session: &Session) -> Frame {
    let call = session.call;
    let like = Frame {
        source: call.source,
        destination: call.destination,
        call: call.to,
        kind: TERMINATOR,
        sequence: session.number.wrapping_add(1),
        ber: 0,
        rssi: 0,
        burst: [0; BURST_LEN],
    };
    lc_burst(&session.voice.lc, DataType::TERMINATOR, &like)
}

pub(crate) fn made_up_terminator(session: &Session, route: &Route) -> Output {
    let mut frame = terminator(session);
    if let Some(talkgroup) = route.renamed {
        trunks::rename(&session.voice.lc, talkgroup, &mut frame);
    }
    route.air.apply(frame.kind, false, &mut frame.burst);
    let (context, slot) = route.to;
    Output::Deliver { context, slot, stream: session.id.stream(), frame }
}
