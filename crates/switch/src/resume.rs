//! What another worker wrote down of a context goes on here: its dynamic talkgroups, what it was sending, what it
//! was hearing.

use std::time::Duration;

use stack::{ContextKey, Now, Slot, Slots, Time};

use crate::call::{Call, Target};
use crate::contexts::Context;
use crate::io::{Kind, Output};
use crate::record::{Dynamic, Running, read_record};
use crate::session::{Member, Origin, Session, SessionId, Standing};
use crate::{BURST_TIME, FAR, MAX_DYNAMICS, Switch};

/// No dynamic talkgroup that was written down stays longer.
const MAX_DYNAMIC_TIME: Duration = Duration::from_secs(24 * 60 * 60);

impl Switch {
    pub(crate) fn restore(&mut self, now: Now, key: ContextKey, bytes: &[u8]) {
        let Some(record) = read_record(bytes) else { return };
        let Some(context) = self.contexts.get_mut(key) else { return };
        // Those of a simplex hotspot have no end.
        let latest = now.mono + MAX_DYNAMIC_TIME;
        let is_simplex = context.profile.slots == Slots::Simplex;
        let sane = |dynamic: Dynamic| match dynamic.until {
            Time(u64::MAX) if is_simplex => dynamic,
            until => Dynamic { until: until.min(latest), ..dynamic },
        };
        context.dynamics =
            record.dynamics.map(|dynamics| dynamics.into_iter().take(MAX_DYNAMICS).map(sane).collect());
        self.arm_expiry(key);
        self.resubscribe(now, key);
        for slot in Slot::ALL {
            if let Some(running) = &record.running[slot.index()] {
                self.resume(now, key, slot, running);
            } else if let Some(heard) = &record.heard[slot.index()] {
                self.hear_on(now, key, slot, heard);
            }
        }
        // What came up with the context may have been written down before this.
        self.out(Output::Changed(key));
    }

    /// A context goes on with what it was sending. What becomes of the call is decided with its next burst, when
    /// all contexts are there again.
    fn resume(&mut self, now: Now, key: ContextKey, slot: Slot, running: &Running) {
        let Some(context) = self.contexts.get(key) else { return };
        if context.slots[slot.index()].incoming.is_some() {
            return;
        }
        let origin = Origin::Local { context: key, slot, stream: running.stream };
        // Its bursts go on under this node: the key must not be given again here, whoever gave it.
        self.last_key = self.last_key.max(running.key);
        match self.sessions.find(running.id()) {
            None => {
                let session = self.session_of(now, origin, slot, running);
                self.open_incoming(now, key, slot, session);
            }
            // It was known here by those who hear it.
            Some((index, Origin::Remote)) => {
                self.unhear(index, key);
                let Some(id) = self.contexts.get(key).map(|context| context.profile.id) else { return };
                self.keep_off_own_trunk(index, id);
                self.sessions.adopt(index, origin);
                if let Some(session) = self.sessions.get_mut(index) {
                    (session.peer, session.last) = (None, now.mono);
                    (session.context, session.slot, session.is_placed) = (id, slot, false);
                    session.begun = running.begun.min(now.mono);
                    session.bursts = bursts_since(session.begun, now, running.kind);
                    session.hint = running.callee;
                    if session.standing == Standing::Local {
                        // It was for nobody here but its new context.
                        session.standing = Standing::New;
                    }
                }
                self.watch(index);
                self.come_in(now, index, key, slot);
                self.offer_again(now, key);
            }
            Some(_) => {}
        }
    }

    /// What a context sends it does not hear, as it may have while nobody knew whose it is.
    fn unhear(&mut self, index: u16, key: ContextKey) {
        for slot in Slot::ALL {
            let hears_it = |context: &Context| context.slots[slot.index()].outgoing == Some(index);
            if self.contexts.get(key).is_some_and(hears_it) {
                self.take_off(key, slot);
            }
        }
    }

    /// A context goes on with what it was hearing. If nothing comes of it, it ends there by its time-out.
    fn hear_on(&mut self, now: Now, key: ContextKey, slot: Slot, heard: &Running) {
        let Some(context) = self.contexts.get(key) else { return };
        let state = &context.slots[slot.index()];
        let known = self.sessions.find(heard.id()).map(|(index, _)| index);
        if state.outgoing.is_some() && state.outgoing == known {
            // It has just joined as a subscriber.
            return self.open_route(known, (key, slot));
        }
        if state.incoming.is_some() {
            return;
        }
        if let Some(other) = state.outgoing {
            // It joined that as a subscriber, and has heard nothing of it yet.
            let is_open = |session: &Session| {
                session.routes.iter().any(|route| route.to == (key, slot) && route.is_open)
            };
            if self.sessions.get(other).is_some_and(is_open) {
                return;
            }
            self.take_off(key, slot);
        }
        let index = match known {
            Some(index) => index,
            None => {
                let mut session = self.session_of(now, Origin::Remote, slot, heard);
                // It may have ended meanwhile: then that is not waited for as for a sibling's.
                let is_far = !self.near.is_empty() && !self.near.contains(&heard.node);
                session.peer = is_far.then_some(FAR);
                let Some(index) = self.sessions.insert(session) else { return };
                self.watch(index);
                index
            }
        };
        let Some(session) = self.sessions.get(index) else { return };
        if session.call.target() == Target::Talkgroup {
            self.enter_group(index);
        }
        if self.may_hear_on(index, key, slot) && self.is_carried_on(index) {
            if let Some(session) = self.sessions.get_mut(index)
                && session.group.is_none()
            {
                session.callee = Some((key, slot));
                if let Some(caller) = session.origin.context() {
                    self.out(Output::Changed(caller));
                }
            }
            self.route_only(index, (key, slot), true);
        }
        self.offer_again(now, key);
    }

    /// Asks all calls that may go out on the slots of a context, turned away before or not.
    fn offer_again(&mut self, now: Now, key: ContextKey) {
        for slot in Slot::ALL {
            if let Some(context) = self.contexts.get_mut(key) {
                context.slots[slot.index()].has_turned_away = true;
            }
            self.offer(now, key, slot);
        }
    }

    /// Whether a context still may hear a session: one to a talkgroup as its subscriber, a private one as who is
    /// called.
    fn may_hear_on(&self, index: u16, key: ContextKey, slot: Slot) -> bool {
        let (Some(session), Some(context)) = (self.sessions.get(index), self.contexts.get(key)) else {
            return false;
        };
        let hears_it = session.routes.iter().any(|route| route.to.0 == key);
        if session.origin.context() == Some(key) || hears_it {
            return false;
        }
        if session.group.is_some() {
            return context.subscribed.contains(&(session.call.destination, slot));
        }
        // A private call has one who hears it.
        session.routes.is_empty()
    }

    /// Whether a session is carried: one of which nothing was decided here yet, or that was for nobody here, was so at
    /// the worker before.
    fn is_carried_on(&mut self, index: u16) -> bool {
        let Some(session) = self.sessions.get_mut(index) else { return false };
        let is_for_nobody = session.standing == Standing::Local && session.origin == Origin::Remote;
        if session.standing == Standing::New || is_for_nobody {
            let group = session.group.filter(|_| session.call.is_voice());
            if group.is_some_and(|group| self.groups.get(group).talker.is_some()) {
                return false;
            }
            session.standing = Standing::Carried;
            if let Some(group) = group {
                self.groups.set_talker(group, Some(index));
            }
        }
        session.standing == Standing::Carried
    }

    fn open_route(&mut self, index: Option<u16>, member: Member) {
        if let Some(session) = index.and_then(|index| self.sessions.get_mut(index)) {
            session
                .routes
                .iter_mut()
                .filter(|route| route.to == member)
                .for_each(|route| route.is_open = true);
        }
    }

    fn session_of(&self, now: Now, origin: Origin, slot: Slot, running: &Running) -> Session {
        let Running { source, destination, call, kind, options, .. } = *running;
        let call = Call { source, destination, to: call, kind };
        let mut session = Session::new(running.id(), origin, slot, call, options, now.mono);
        session.is_placed = false;
        session.begun = running.begun.min(now.mono);
        session.bursts = bursts_since(session.begun, now, kind);
        session.hint = running.callee;
        session
    }
}

/// How many bursts a call has had that nobody here has counted: speech comes steadily, data does not.
fn bursts_since(begun: Time, now: Now, kind: Kind) -> u32 {
    let count = now.mono.since(begun).as_millis() / BURST_TIME.as_millis();
    if kind == Kind::Voice { u32::try_from(count).unwrap_or(u32::MAX) } else { 0 }
}

impl Running {
    fn id(&self) -> SessionId {
        SessionId { key: self.key, node: self.node }
    }
}
