//! Private calls, which go to where the radio is, and what an operator orders of a single radio or context.

use stack::{Now, Slot};

use crate::Switch;
use crate::call::Target;
use crate::io::{Ended, Place, Refused};
use crate::session::Standing;

impl Switch {
    /// It is known where the radio of a private call is.
    pub(crate) fn located(&mut self, now: Now, index: u16, place: Place) {
        let Some(session) = self.sessions.get(index) else { return };
        if session.call.target() != Target::Radio || session.standing != Standing::New {
            return;
        }
        let (radio, is_local) = (session.call.destination, session.origin.is_local());
        let here = match place {
            Place::Here { context, slot } => self.contexts.of(context).map(|key| (key, slot)),
            Place::Elsewhere | Place::Nowhere => None,
        };
        // Who has logged off since may have a hotspot of its own here.
        let home = || {
            let key = self.contexts.of(radio)?;
            Some((key, self.contexts.get(key)?.home()))
        };
        let callee = if place == Place::Elsewhere { None } else { here.or_else(home) };
        let is_lost = callee.is_none()
            && match place {
                Place::Here { .. } => true,
                Place::Nowhere => is_local,
                Place::Elsewhere => false,
            };
        if is_lost {
            return self.refuse(now, index, Refused::NoRoute);
        }
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.callee = callee;
        session.standing = if is_local || callee.is_some() { Standing::Carried } else { Standing::Local };
        if let Some(frame) = session.held.take() {
            self.pass_on(now, index, &frame);
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
        for slot in Slot::ALL.into_iter().filter(|&other| slot.is_none_or(|slot| slot == other)) {
            let Some(context) = self.contexts.get(key) else { return };
            if let Some(index) = context.slots[slot.index()].incoming {
                self.end(now, index, Ended::Dropped);
            }
            let heard = self.unroute(key, slot).and_then(|index| Some(self.sessions.get(index)?.id));
            if let Some(context) = self.contexts.get_mut(key)
                && heard.is_some()
            {
                context.slots[slot.index()].deaf_to = heard;
                self.offer(key, slot);
            }
        }
    }
}
