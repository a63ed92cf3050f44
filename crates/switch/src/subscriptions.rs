//! Contexts come, change and go, and with them their subscriptions.

use stack::{ContextKey, Line, LinkType, Now, Profile, Slot};

use crate::Switch;
use crate::contexts::Context;
use crate::io::{Ended, Output, Refused};
use crate::session::Session;
use crate::timers::Timer;

/// The highest ID on the air: 24 bits.
const MAX_RADIO: u32 = 0xFF_FFFF;

impl Switch {
    pub(crate) fn up(&mut self, now: Now, key: ContextKey, profile: Profile) {
        // Another device at the same place, or one with other slots: nothing of before is its own.
        let is_other = |context: &Context| {
            let (old, new) = (&context.profile, &profile);
            let of_kind = |profile: &Profile| std::mem::discriminant(&profile.line);
            (old.id, old.slots, of_kind(old)) != (new.id, new.slots, of_kind(new))
        };
        if self.contexts.get(key).is_some_and(is_other) {
            self.down(now, key);
        }
        let line = profile.line.clone();
        match self.contexts.get_mut(key) {
            Some(context) => {
                context.profile = profile;
                self.retune(key);
            }
            None => {
                let context = Context::new(profile);
                let (id, slot) = (context.profile.id, context.home());
                let is_radio = context.profile.link != LinkType::Network && id <= MAX_RADIO;
                self.contexts.insert(key, context);
                if is_radio {
                    self.out(Output::Home { id, slot });
                }
            }
        }
        self.resubscribe(now, key);
        self.set_trunk(now, key, &line);
        self.stop_blocked(now, key);
    }

    /// What a context says to a talkgroup that is blocked for it is not carried on.
    fn stop_blocked(&mut self, now: Now, key: ContextKey) {
        let Some(context) = self.contexts.get(key) else { return };
        let is_blocked = |session: &Session| {
            session.group.is_some() && context.profile.blocked.contains(&session.call.destination)
        };
        let blocked = context
            .slots
            .each_ref()
            .map(|state| state.incoming.filter(|&index| self.sessions.get(index).is_some_and(is_blocked)));
        blocked.into_iter().flatten().for_each(|index| self.refuse(now, index, Refused::Blocked));
    }

    /// Calls that a context hears go on with the colour code that it has now.
    fn retune(&mut self, key: ContextKey) {
        let Some(context) = self.contexts.get(key) else { return };
        for index in Slot::ALL.into_iter().filter_map(|slot| context.slots[slot.index()].outgoing) {
            let Some(session) = self.sessions.get_mut(index) else { continue };
            session.routes.iter_mut().filter(|route| route.to.0 == key).for_each(|route| {
                route.air = context.air();
            });
        }
    }

    pub(crate) fn down(&mut self, now: Now, key: ContextKey) {
        // Nobody joins a context that goes.
        let Some(context) = self.contexts.get_mut(key) else { return };
        context.slots.iter_mut().for_each(|state| state.has_turned_away = false);
        for slot in Slot::ALL {
            if let Some((index, _)) = self.take_off(key, slot) {
                self.refuse_unheard(now, index, Refused::NoRoute);
            }
            let Some(context) = self.contexts.get(key) else { return };
            if let Some(index) = context.slots[slot.index()].incoming {
                self.end(now, index, Ended::ContextGone);
            }
        }
        for index in self.leave_trunk(key) {
            self.refuse_unheard(now, index, Refused::NoRoute);
        }
        self.lose_callee(now, key);
        let Some(context) = self.contexts.remove(key) else { return };
        self.out(Output::Changed(key));
        let id = context.profile.id;
        if self.contexts.of(id).is_none() {
            self.out(Output::Away { id });
        }
        for (talkgroup, slot) in context.subscribed {
            self.remove_member(talkgroup, key, slot);
        }
    }

    /// Private calls to a context that goes have no place any more.
    fn lose_callee(&mut self, now: Now, key: ContextKey) {
        let is_there = |session: &Session| session.callee.is_some_and(|(callee, _)| callee == key);
        let lost = self.sessions.iter().filter(|(_, session)| is_there(session)).map(|(index, _)| index);
        for index in lost.collect::<Vec<_>>() {
            self.refuse_unheard(now, index, Refused::NoRoute);
            let Some(session) = self.sessions.get_mut(index) else { continue };
            (session.callee, session.hint) = (None, None);
            if let Some(caller) = session.origin.context() {
                self.out(Output::Changed(caller));
            }
        }
    }

    /// Makes the memberships of a context what its profile and its dynamics say.
    pub(crate) fn resubscribe(&mut self, now: Now, key: ContextKey) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        let wanted = context.wanted();
        let old = std::mem::replace(&mut context.subscribed, wanted.clone());
        // New ones first: a talkgroup that only moves to the other slot is wanted all the time.
        for &(talkgroup, slot) in wanted.iter().filter(|member| old.binary_search(member).is_err()) {
            if self.groups.add(talkgroup, (key, slot)) {
                self.out(Output::Interest { talkgroup, wanted: true });
            }
        }
        for &(talkgroup, slot) in old.iter().filter(|member| wanted.binary_search(member).is_err()) {
            self.remove_member(talkgroup, key, slot);
            self.hang_up(now, talkgroup, key, slot);
        }
        // What is said there now is heard from here on.
        for &(talkgroup, slot) in wanted.iter().filter(|member| old.binary_search(member).is_err()) {
            if let Some(talker) = self.groups.talker(talkgroup) {
                let _ = self.join(now, talker, (key, slot));
            }
        }
    }

    pub(crate) fn remove_member(&mut self, talkgroup: u32, key: ContextKey, slot: Slot) {
        if self.groups.remove(talkgroup, (key, slot)) {
            self.out(Output::Interest { talkgroup, wanted: false });
        }
    }

    /// Takes a call for a talkgroup that is not subscribed any more off the slot.
    fn hang_up(&mut self, now: Now, talkgroup: u32, key: ContextKey, slot: Slot) {
        let Some(context) = self.contexts.get(key) else { return };
        let session = context.slots[slot.index()].outgoing.and_then(|index| self.sessions.get(index));
        if session.is_some_and(|session| session.group.is_some() && session.call.destination == talkgroup) {
            self.unroute(now, key, slot);
            self.offer(now, key, slot);
        }
    }

    /// A talkgroup was keyed: it is subscribed to from now on, if it is not static.
    pub(crate) fn keyed(&mut self, now: Now, key: ContextKey, slot: Slot, talkgroup: u32) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        if context.profile.line == Line::Channel
            && context.key(talkgroup, slot, now.mono, self.settings.dynamic_time)
        {
            self.out(Output::Changed(key));
            self.arm_expiry(key);
            self.resubscribe(now, key);
        }
    }

    /// Sets the timer for the next dynamic subscription that will be over.
    pub(crate) fn arm_expiry(&mut self, key: ContextKey) {
        let Some(at) = self.contexts.get(key).and_then(Context::next_expiry) else { return };
        if let Some(alarm) = self.contexts.expiry(key) {
            self.timers.set(alarm, at, Timer::Dynamic(key));
        }
    }

    pub(crate) fn expire(&mut self, now: Now, key: ContextKey) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        if context.expire(now.mono) {
            self.out(Output::Changed(key));
            self.resubscribe(now, key);
        }
        self.arm_expiry(key);
    }

    /// The dynamic talkgroups of a context end: of this slot, or (`None`) of both.
    pub(crate) fn unlink(&mut self, now: Now, key: ContextKey, slot: Option<Slot>) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        let mut had_any = false;
        for slot in Slot::ALL.into_iter().filter(|&other| slot.is_none_or(|slot| slot == other)) {
            had_any |= context.drop_dynamics(slot);
        }
        if had_any {
            self.out(Output::Changed(key));
            self.resubscribe(now, key);
        }
    }
}
