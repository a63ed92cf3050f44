//! Private calls, which go to where the radio is, and what an operator orders of a single radio or context.

use stack::{Frame, Now, Slot};

use crate::Switch;
use crate::call::Target;
use crate::io::{Ended, Output, Place, Refused};
use crate::session::{Member, Session, SessionId, Standing};

impl Switch {
    /// Asks where the radio of a private call is, unless the worker that had the call before knew.
    pub(crate) fn locate(&mut self, now: Now, index: u16, hint: Option<(u32, Slot)>) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        (session.standing, session.is_echo) = (Standing::New, false);
        let (id, radio) = (session.id, session.call.destination);
        match hint.filter(|&(context, _)| self.contexts.of(context).is_some()) {
            Some((context, slot)) => self.located(now, index, id, Place::Here { context, slot }),
            None => self.out(Output::Locate { index, session: id, radio }),
        }
    }

    /// Keeps the first burst of a private call until it is known where the radio is.
    pub(crate) fn hold(&mut self, index: u16, frame: &Frame) {
        if let Some(session) = self.sessions.get_mut(index) {
            session.held = Some(*frame);
        }
    }

    /// A slot has taken another call than the private one that waited for it: that one is not kept in the dark.
    pub(crate) fn disappoint(&mut self, now: Now, awaited_by: Option<u16>, slot: Member) {
        let Some(index) = awaited_by else { return };
        if self.sessions.get(index).is_some_and(|session| session.callee == Some(slot)) {
            self.refuse_unheard(now, index, Refused::Busy);
        }
    }

    /// It is known where the radio of a private call is.
    pub(crate) fn located(&mut self, now: Now, index: u16, id: SessionId, place: Place) {
        let Some(session) = self.sessions.get(index) else { return };
        if session.id != id || session.call.target() != Target::Radio || session.standing != Standing::New {
            return;
        }
        let (radio, is_local) = (session.call.destination, session.origin.is_local());
        let here = match place {
            Place::Here { context, slot } => self.contexts.of(context).map(|key| (key, slot)),
            Place::Elsewhere | Place::Nowhere => None,
        };
        // Who has logged off since may have a hotspot of its own here.
        let own = || Some((self.contexts.of(radio)?, Slot::Two));
        let callee = if place == Place::Elsewhere { None } else { here.or_else(own) };
        let callee = callee.and_then(|(key, slot)| {
            let context = self.contexts.get(key)?;
            Some((key, context.profile.slots.map(slot).unwrap_or(context.home())))
        });
        let is_lost = match place {
            Place::Here { .. } => callee.is_none(),
            Place::Nowhere => callee.is_none() && is_local,
            Place::Elsewhere => false,
        };
        if is_lost {
            return self.refuse(now, index, Refused::NoRoute);
        }
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.callee = callee;
        let held = session.held.take();
        let caller = session.origin.context();
        if is_local || callee.is_some() {
            self.be_carried(index);
        } else {
            session.standing = Standing::Local;
        }
        if let Some(caller) = caller {
            self.out(Output::Changed(caller));
        }
        self.make_routes(now, index);
        let is_carried = |session: &Session| session.standing == Standing::Carried;
        if let Some(frame) = held
            && self.sessions.get(index).is_some_and(is_carried)
        {
            self.pass_on(index, &frame);
        }
    }

    /// Calls of a radio are refused from now on, or no longer.
    pub(crate) fn ban(&mut self, now: Now, radio: u32, until_ms: u64) {
        self.guard.ban(radio, until_ms, now);
        if until_ms > now.wall_us / 1000 {
            let is_its = |index: &u16| {
                let session = self.sessions.get(*index);
                session.is_some_and(|session| session.origin.is_local() && session.call.source == radio)
            };
            let running: Vec<u16> = self.sessions.iter().map(|(index, _)| index).filter(is_its).collect();
            running.into_iter().for_each(|index| self.refuse(now, index, Refused::Banned));
        }
    }

    /// The calls that a context sends or hears on these slots end.
    pub(crate) fn drop_call(&mut self, now: Now, id: u32, slot: Option<Slot>) {
        let Some(key) = self.contexts.of(id) else { return };
        if self.contexts.get(key).is_some_and(|context| context.is_trunk()) {
            return self.drop_legs(now, id);
        }
        let slot = self.contexts.mapped(key, slot);
        for slot in Slot::ALL.into_iter().filter(|&other| slot.is_none_or(|slot| slot == other)) {
            let Some(context) = self.contexts.get(key) else { return };
            if let Some(index) = context.slots[slot.index()].incoming {
                self.end(now, index, Ended::Dropped);
                // What it hears from now on is another call.
                continue;
            }
            let heard = self.unroute(now, key, slot).and_then(|index| Some(self.sessions.get(index)?.id));
            if let Some(context) = self.contexts.get_mut(key)
                && let Some(heard) = heard
            {
                context.slots.iter_mut().for_each(|state| state.be_deaf_to(heard));
                self.offer(now, key, slot);
            }
        }
    }
}
