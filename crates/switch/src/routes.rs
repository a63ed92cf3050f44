//! Which slots a session goes out on, and how its bursts get there. A slot's outgoing session and that session's
//! routes are always changed together, here and nowhere else.

use dmr::{Air, BURST_LEN, BurstKind, DataType, Emb};
use stack::{ContextKey, Frame, Now, Slot};

use crate::io::{Dropped, Output, Refused};
use crate::session::{Route, Session};
use crate::slots::{Grant, Kept};
use crate::{Forward, HEADER, Switch, TERMINATOR};

impl Switch {
    /// Makes the routes of a session: all subscribers of its talkgroup, or the radio called, whose slot is free
    /// for it, but for the context where it began, and each context once. Routes that it has stay: who is not
    /// subscribed any more has lost his already. Data has its routes at its beginning or never.
    pub(crate) fn resolve(&mut self, now: Now, index: u16) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.recheck = None;
        let own = session.origin.context();
        let (is_voice, mut busy) = (session.call.is_voice(), 0);
        let is_open = !is_voice || std::mem::take(&mut session.is_resumed);
        let group = session.group.map(|group| self.groups.get(group));
        session.version = group.map(|group| group.version).or(Some(0));
        let members = group.map_or_else(|| session.callee.as_slice(), |group| group.members.as_slice());
        for &(key, slot) in members.iter().filter(|&&(key, _)| Some(key) != own) {
            let Some(context) = self.contexts.get_mut(key) else { continue };
            if context.slots.iter().any(|state| state.outgoing == Some(index)) {
                continue;
            }
            let air = context.air();
            let state = &mut context.slots[slot.index()];
            match state.grant(session.id, session.call, now.mono) {
                Grant::Free => {
                    state.outgoing = Some(index);
                    session.routes.push(Route { to: (key, slot), air, is_open });
                }
                Grant::Kept(until) if is_voice => {
                    session.recheck = Some(session.recheck.map_or(until, |other| other.min(until)));
                }
                Grant::Busy | Grant::Kept(_) => busy += 1,
            }
        }
        let is_private = session.group.is_none();
        if !is_voice {
            self.outputs.extend((0..busy).map(|_| Output::Dropped(Dropped::DataBusy)));
        }
        if is_private && busy > 0 {
            self.refuse(now, index, Refused::Busy);
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
        }
    }

    /// A burst goes to the siblings that want the session.
    pub(crate) fn forward(&mut self, index: u16, frame: &Frame) {
        let Some(session) = self.sessions.get(index) else { return };
        let (key, slot, options) = (session.id.key, session.slot, session.voice.lc.service_options().0);
        self.out(Output::Forward(Forward { key, index, slot, options, frame: *frame }));
    }

    /// A voice session that was carried and goes on, or ends without a terminator: who heard it hears a terminator.
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
        let kept = Kept::after(session.call);
        let mut routes = std::mem::take(&mut session.routes);
        for Route { to: (key, slot), .. } in routes.drain(..) {
            let Some(context) = self.contexts.get_mut(key) else { continue };
            let state = &mut context.slots[slot.index()];
            state.outgoing = None;
            if keep {
                state.keep(kept, now.mono + self.settings.hang_time);
            }
            self.offer(key, slot);
        }
        if let Some(session) = self.sessions.get_mut(index) {
            session.routes = routes;
        }
    }

    /// Gives a session its only route, to a slot that was granted.
    pub(crate) fn route_only(&mut self, index: u16, key: ContextKey, slot: Slot) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        let Some(session) = self.sessions.get_mut(index) else { return };
        let air = context.air();
        context.slots[slot.index()].outgoing = Some(index);
        session.routes.push(Route { to: (key, slot), air, is_open: false });
    }

    /// Takes the outgoing session off a slot; who heard it hears a terminator. Returns which it was.
    pub(crate) fn unroute(&mut self, key: ContextKey, slot: Slot) -> Option<u16> {
        let (index, route) = self.take_off(key, slot)?;
        let session = self.sessions.get(index)?;
        if route.is_open && session.call.is_voice() {
            self.outputs.push_back(made_up_terminator(session, &route));
        }
        Some(index)
    }

    /// Takes the outgoing session off a slot where nobody hears what is said any more.
    pub(crate) fn take_off(&mut self, key: ContextKey, slot: Slot) -> Option<(u16, Route)> {
        let index = self.contexts.get_mut(key)?.slots[slot.index()].outgoing.take()?;
        let routes = &mut self.sessions.get_mut(index)?.routes;
        let place = routes.iter().position(|route| route.to == (key, slot))?;
        Some((index, routes.remove(place)))
    }

    /// A slot got free: calls to what it is subscribed to look at it again.
    pub(crate) fn offer(&mut self, key: ContextKey, slot: Slot) {
        let Some(context) = self.contexts.get(key) else { return };
        for &(talkgroup, _) in context.subscribed.iter().filter(|&&(_, on)| on == slot) {
            self.groups.touch(talkgroup);
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

fn made_up_terminator(session: &Session, route: &Route) -> Output {
    let mut frame = terminator(session);
    route.air.apply(frame.kind, false, &mut frame.burst);
    let (context, slot) = route.to;
    Output::Deliver { context, slot, stream: session.id.stream(), frame }
}
