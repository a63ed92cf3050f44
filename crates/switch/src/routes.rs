//! Which slots a session goes out on. A slot's outgoing session and that session's routes are always changed
//! together, here and nowhere else.

use stack::{ContextKey, Now, Slot};

use crate::Switch;
use crate::session::{Origin, Session};
use crate::slots::Grant;

impl Switch {
    /// Makes the routes of a session: all subscribers of its talkgroup whose slot is free for it, but for the
    /// context where it began, and each context once. Routes that it has stay: who is not subscribed any more
    /// has lost his already.
    pub(crate) fn resolve(&mut self, now: Now, index: u16) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let Some(group) = session.group else { return };
        let group = self.groups.get(group);
        (session.version, session.recheck) = (Some(group.version), None);
        let own = match session.origin {
            Origin::Local { context, .. } => Some(context),
            Origin::Remote | Origin::Parrot => None,
        };
        for &(key, slot) in group.members.iter().filter(|&&(key, _)| Some(key) != own) {
            let Some(context) = self.contexts.get_mut(key) else { continue };
            if context.slots.iter().any(|state| state.outgoing == Some(index)) {
                continue;
            }
            let state = &mut context.slots[slot.index()];
            match state.grant(group.talkgroup, now.mono) {
                Grant::Free => {
                    state.outgoing = Some(index);
                    session.routes.push((key, slot));
                }
                Grant::Busy => {}
                Grant::Kept(until) => {
                    session.recheck = Some(session.recheck.map_or(until, |other| other.min(until)));
                }
            }
        }
    }

    /// Gives a session its only route, to a slot that was granted.
    pub(crate) fn route_only(&mut self, index: u16, key: ContextKey, slot: Slot) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        let Some(session) = self.sessions.get_mut(index) else { return };
        context.slots[slot.index()].outgoing = Some(index);
        session.routes.push((key, slot));
    }

    /// Takes the outgoing session off a slot.
    pub(crate) fn unroute(&mut self, key: ContextKey, slot: Slot) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        let Some(index) = context.slots[slot.index()].outgoing.take() else { return };
        if let Some(session) = self.sessions.get_mut(index) {
            session.routes.retain(|&route| route != (key, slot));
        }
    }

    /// Frees the slots of a session that has ended: they are kept for its talkgroup for the hang time.
    pub(crate) fn release(&mut self, now: Now, session: &Session) {
        let talkgroup = session.call.destination;
        for &(key, slot) in &session.routes {
            let Some(context) = self.contexts.get_mut(key) else { continue };
            context.slots[slot.index()].outgoing = None;
            context.slots[slot.index()].keep(talkgroup, now.mono + self.settings.hang_time);
            self.offer(key, slot);
        }
        if let Origin::Local { context: key, slot, .. } = session.origin
            && let Some(context) = self.contexts.get_mut(key)
        {
            context.slots[slot.index()].incoming = None;
            context.slots[slot.index()].keep(talkgroup, now.mono + self.settings.hang_time);
            self.offer(key, slot);
        }
    }

    /// A slot got free: calls to what it is subscribed to look at it again.
    pub(crate) fn offer(&mut self, key: ContextKey, slot: Slot) {
        let Some(context) = self.contexts.get(key) else { return };
        for &(talkgroup, _) in context.subscribed.iter().filter(|&&(_, on)| on == slot) {
            self.groups.touch(talkgroup);
        }
    }
}
