//! Contexts come, change and go, and with them their subscriptions.

use std::time::Duration;

use stack::{ContextKey, Now, Profile, Slot, Slots, Time};

use crate::call::Call;
use crate::contexts::Context;
use crate::io::{Ended, Output};
use crate::record::{Dynamic, Running, read_record};
use crate::session::{Origin, Session, SessionId};
use crate::timers::Timer;
use crate::{MAX_DYNAMICS, Switch};

/// The highest ID on the air: 24 bits.
const MAX_RADIO: u32 = 0xFF_FFFF;
/// No dynamic talkgroup that was written down stays longer.
const MAX_DYNAMIC_TIME: Duration = Duration::from_secs(24 * 60 * 60);

impl Switch {
    pub(crate) fn up(&mut self, now: Now, key: ContextKey, profile: Profile) {
        // Another device at the same place, or one with other slots: nothing of before is its own.
        let is_other =
            |context: &Context| (context.profile.id, context.profile.slots) != (profile.id, profile.slots);
        if self.contexts.get(key).is_some_and(is_other) {
            self.down(now, key);
        }
        match self.contexts.get_mut(key) {
            Some(context) => {
                context.profile = profile;
                self.retune(key);
            }
            None => {
                let context = Context::new(profile);
                let (id, slot) = (context.profile.id, context.home());
                self.contexts.insert(key, context);
                if id <= MAX_RADIO {
                    self.out(Output::Home { id, slot });
                }
            }
        }
        self.resubscribe(key);
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
        for slot in Slot::ALL {
            self.take_off(key, slot);
            let Some(context) = self.contexts.get(key) else { return };
            if let Some(index) = context.slots[slot.index()].incoming {
                self.end(now, index, Ended::ContextGone);
            }
        }
        let Some(context) = self.contexts.remove(key) else { return };
        self.out(Output::Changed(key));
        for (talkgroup, slot) in context.subscribed {
            self.remove_member(talkgroup, key, slot);
        }
    }

    /// Makes the memberships of a context what its profile and its dynamics say.
    fn resubscribe(&mut self, key: ContextKey) {
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
            self.hang_up(talkgroup, key, slot);
        }
    }

    fn remove_member(&mut self, talkgroup: u32, key: ContextKey, slot: Slot) {
        if self.groups.remove(talkgroup, (key, slot)) {
            self.out(Output::Interest { talkgroup, wanted: false });
        }
    }

    /// Takes a call for a talkgroup that is not subscribed any more off the slot.
    fn hang_up(&mut self, talkgroup: u32, key: ContextKey, slot: Slot) {
        let Some(context) = self.contexts.get(key) else { return };
        let session = context.slots[slot.index()].outgoing.and_then(|index| self.sessions.get(index));
        if session.is_some_and(|session| session.group.is_some() && session.call.destination == talkgroup) {
            self.unroute(key, slot);
            self.offer(key, slot);
        }
    }

    /// A talkgroup was keyed: it is subscribed to from now on, if it is not static.
    pub(crate) fn keyed(&mut self, now: Now, key: ContextKey, slot: Slot, talkgroup: u32) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        if context.key(talkgroup, slot, now.mono, self.settings.dynamic_time) {
            self.arm_expiry(key);
            self.resubscribe(key);
        }
    }

    /// Sets the timer for the next dynamic subscription that will be over.
    fn arm_expiry(&mut self, key: ContextKey) {
        let Some(at) = self.contexts.get(key).and_then(Context::next_expiry) else { return };
        if let Some(alarm) = self.contexts.expiry(key) {
            self.timers.set(alarm, at, Timer::Dynamic(key));
        }
    }

    pub(crate) fn expire(&mut self, now: Now, key: ContextKey) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        if context.expire(now.mono) {
            self.out(Output::Changed(key));
            self.resubscribe(key);
        }
        self.arm_expiry(key);
    }

    pub(crate) fn restore(&mut self, now: Now, key: ContextKey, bytes: &[u8]) {
        self.resumed = now.mono;
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
        self.resubscribe(key);
        for (slot, running) in Slot::ALL.into_iter().zip(record.running) {
            if let Some(running) = running {
                self.resume(now, key, slot, &running);
            }
        }
    }

    /// The dynamic talkgroups of a context end: of this slot, or (`None`) of both.
    pub(crate) fn unlink(&mut self, key: ContextKey, slot: Option<Slot>) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        let mut had_any = false;
        for slot in Slot::ALL.into_iter().filter(|&other| slot.is_none_or(|slot| slot == other)) {
            had_any |= context.drop_dynamics(slot);
        }
        if had_any {
            self.out(Output::Changed(key));
            self.resubscribe(key);
        }
    }

    /// A call goes on that began before this worker had the context.
    fn resume(&mut self, now: Now, key: ContextKey, slot: Slot, running: &Running) {
        let Some(context) = self.contexts.get(key) else { return };
        if context.slots[slot.index()].incoming.is_some() {
            return;
        }
        let Running { source, destination, call, kind, .. } = *running;
        let id = SessionId { key: running.key, node: running.node };
        let origin = Origin::Local { context: key, slot, stream: running.stream };
        let call = Call { source, destination, to: call, kind };
        let mut session = Session::new(id, origin, slot, call, running.options, now.mono);
        session.is_resumed = true;
        // Its bursts go on under this node: the key must not be given again here, whoever gave it.
        self.last_key = self.last_key.max(running.key);
        if let Some((index, Origin::Remote)) = self.sessions.find(id) {
            // It came from a sibling that had the context before: its listeners are ours to serve now.
            self.end(now, index, Ended::Superseded);
        }
        if let Some(index) = self.open_incoming(key, slot, session) {
            self.place(now, index);
        }
    }
}
