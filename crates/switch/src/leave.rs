//! The contexts of a shard go on at another worker. Nothing of theirs ends here: what they were sending comes from
//! there from now on, and what they hear they hear there.

use stack::{ContextKey, Now, Slot};

use crate::Switch;
use crate::call::Target;
use crate::io::Output;
use crate::session::{Origin, Session};

impl Switch {
    /// Forgets the contexts of a shard, whose records are written down. Nobody is told of an end, since there is none:
    /// neither who hears their calls nor the outside.
    pub(crate) fn leave(&mut self, now: Now, shard: u16) {
        let keys = self.contexts.of_shard(shard);
        // Of those that go nobody joins what another one leaves.
        for &key in &keys {
            let Some(context) = self.contexts.get_mut(key) else { continue };
            context.slots.iter_mut().for_each(|state| state.has_turned_away = false);
        }
        keys.into_iter().for_each(|key| self.leave_one(now, key));
    }

    fn leave_one(&mut self, now: Now, key: ContextKey) {
        for slot in Slot::ALL {
            self.take_off(key, slot);
            let incoming =
                self.contexts.get_mut(key).and_then(|context| context.slots[slot.index()].incoming.take());
            if let Some(index) = incoming {
                self.disown(now, index);
            }
        }
        self.leave_trunk(key);
        let is_there = |session: &Session| session.callee.is_some_and(|(callee, _)| callee == key);
        let called = self.sessions.iter().filter(|(_, session)| is_there(session)).map(|(index, _)| index);
        for index in called.collect::<Vec<_>>() {
            let Some(session) = self.sessions.get_mut(index) else { continue };
            (session.callee, session.hint) = (None, None);
            if let Some(caller) = session.origin.context() {
                self.out(Output::Changed(caller));
            }
        }
        let Some(context) = self.contexts.remove(key) else { return };
        let id = context.profile.id;
        if self.contexts.of(id).is_none() {
            self.out(Output::Away { id });
        }
        for (talkgroup, slot) in context.subscribed {
            self.remove_member(talkgroup, key, slot);
        }
    }

    /// The context of a session is at a sibling from now on, and its bursts come from there.
    fn disown(&mut self, now: Now, index: u16) {
        self.out(Output::Left { index });
        let Some(session) = self.sessions.get_mut(index) else { return };
        (session.peer, session.last) = (None, now.mono);
        let (target, is_heard) = (session.call.target(), !session.routes.is_empty());
        self.sessions.adopt(index, Origin::Remote);
        match target {
            Target::Talkgroup => self.leave_contest(index),
            Target::Radio if is_heard => {}
            // Nobody here has anything to do with it.
            Target::Radio | Target::Parrot | Target::Unlink | Target::Local => {
                self.parrot.forget(index);
                if let Some(session) = self.sessions.remove(index) {
                    self.sessions.recycle(session.routes);
                }
            }
        }
    }

    /// A session for a talkgroup does not contend for it here any more.
    fn leave_contest(&mut self, index: u16) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let contended = std::mem::take(&mut session.contends);
        let Some(group) = session.group.filter(|_| contended) else { return };
        if let Some(talkgroup) = self.groups.concede(group) {
            self.out(Output::Interest { talkgroup, wanted: false });
        }
    }
}
