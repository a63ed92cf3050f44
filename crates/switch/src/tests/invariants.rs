//! What is true of a switch after each step, whatever happened before.

use stack::{Line, Slot, Time};

use crate::call::Target;
use crate::session::{Origin, Route, Session, Standing};
use crate::slots::Grant;
use crate::{MAX_DYNAMICS, PARROT, Switch};

impl Switch {
    /// Panics where the switch contradicts itself.
    pub(crate) fn check_invariants(&self) {
        let numbers = self.sessions.check();
        let (listening, said) = self.parrot.check();
        for (index, session) in self.sessions.iter() {
            self.check_routes(index, session);
            match session.origin {
                Origin::Local { context, slot, .. } => {
                    let context = self.contexts.get(context).expect("a session without its context");
                    assert_eq!(context.slots[slot.index()].incoming, Some(index), "one talker a slot");
                }
                Origin::Remote => {}
                Origin::Parrot => assert!(said.contains(&index), "nothing ends {session:?}"),
            }
        }
        for index in listening {
            let session = self.sessions.get(index).expect("the parrot listens to the dead");
            assert_eq!(session.call.destination, PARROT);
        }
        let places = self.check_contexts();
        self.check_groups();
        // One for each session, and for each context one for its dynamics and two for its slots; a few more while the
        // parrot has moved its alarm forward, or a record was restored.
        assert!(self.timers.len() <= numbers + 3 * places + 64, "{} timers", self.timers.len());
        assert!(self.remote.len() <= 128);
    }

    /// No free slot is passed by: after all that is due at `now`, nobody who may go out on a slot is kept off it, and
    /// who waits for a hang time has a timer.
    pub(crate) fn check_no_slot_is_passed_by(&mut self, now: Time) {
        let mut waits = Vec::new();
        for (key, context, _) in
            self.contexts.all().0.into_iter().filter(|(_, context, _)| !context.is_trunk())
        {
            for slot in Slot::ALL {
                let state = &context.slots[slot.index()];
                let talkers = context.subscribed.iter().filter(|&&(_, on)| on == slot);
                let talkers = talkers.filter_map(|&(talkgroup, _)| self.groups.talker(talkgroup));
                let called = self.sessions.iter().filter(|(_, session)| session.callee == Some((key, slot)));
                for index in talkers.chain(called.map(|(index, _)| index)) {
                    let session = self.sessions.get(index).unwrap();
                    // What goes on from another worker is decided with its next burst.
                    let is_for_it = session.standing == Standing::Carried
                        && session.call.is_voice()
                        && session.is_placed
                        && session.origin.context() != Some(key);
                    let hears_it = context.slots.iter().any(|state| state.outgoing == Some(index));
                    if !is_for_it || hears_it {
                        continue;
                    }
                    match state.grant(session.id, session.call, now) {
                        Grant::Free => panic!("{key:?} {slot:?} is free, and passed by for {session:?}"),
                        Grant::Kept(until) => waits.push((key, slot, until)),
                        Grant::Busy => {}
                    }
                }
            }
        }
        for (key, slot, until) in waits {
            let is_set = self.contexts.hang(key, slot).is_some_and(|alarm| alarm.is_set_until(until));
            assert!(is_set, "nothing ends the hang time of {key:?} {slot:?} for who waits");
        }
    }

    fn check_routes(&self, index: u16, session: &Session) {
        let own = match session.origin {
            Origin::Local { context, .. } => Some(context),
            Origin::Remote | Origin::Parrot => None,
        };
        for (i, &Route { to: (key, slot), air, .. }) in session.routes.iter().enumerate() {
            assert_ne!(Some(key), own, "the talker hears itself");
            assert!(session.routes[..i].iter().all(|other| other.to.0 != key), "{key:?} hears it twice");
            let context = self.contexts.get(key).expect("a route to nobody");
            if let Line::Trunk(trunk) = &context.profile.line {
                assert_ne!(
                    session.context, context.profile.id,
                    "a call goes back over the trunk that it came from"
                );
                let (talkgroup, has_group) = (session.call.destination, session.group.is_some());
                assert!(!has_group || trunk.carries(talkgroup), "{talkgroup} does not go out there");
                continue;
            }
            assert_eq!(context.slots[slot.index()].outgoing, Some(index), "a route without its slot");
            assert_eq!(air, context.air(), "another's colour code");
            let member = (session.call.destination, slot);
            assert!(session.group.is_none() || context.subscribed.contains(&member), "an unwanted route");
        }
        let (is_voice, standing) = (session.call.is_voice(), session.standing);
        assert!(session.routes.is_empty() || standing == Standing::Carried, "{session:?} goes out");
        assert!(session.group.is_none() || session.call.target() == Target::Talkgroup);
        if let Some(group) = session.group.filter(|_| is_voice && standing == Standing::Carried) {
            let talker = self.groups.get(group).talker;
            assert_eq!(talker, Some(index), "two talkers on one talkgroup");
        }
        let talkgroup = session.group.map(|group| self.groups.get(group).talkgroup);
        assert!(talkgroup.is_none_or(|talkgroup| talkgroup == session.call.destination), "a wrong group");
    }

    /// Returns how many places there are.
    fn check_contexts(&self) -> usize {
        let (contexts, places) = self.contexts.all();
        let legs = contexts.iter().filter(|(_, context, _)| context.profile.line == Line::Leg).count();
        assert_eq!(contexts.len() - legs, self.contexts());
        for (key, context, alarm) in contexts {
            assert_eq!(context.subscribed, context.wanted());
            assert!(context.next_expiry().is_none_or(|at| alarm.is_set_until(at)), "a dynamic without end");
            for slot in Slot::ALL {
                assert!(context.dynamics[slot.index()].len() <= MAX_DYNAMICS);
                let state = &context.slots[slot.index()];
                assert!(state.incoming.is_none() || state.outgoing.is_none(), "two talkers on one slot");
                if let Some(index) = state.incoming {
                    let session = self.sessions.get(index).expect("a slot taken by the dead");
                    let is_own = matches!(session.origin, Origin::Local { context, slot: on, .. } if (context, on) == (key, slot));
                    assert!(is_own, "a slot taken by another's call");
                }
                if let Some(index) = state.outgoing {
                    let session = self.sessions.get(index).expect("a slot taken by the dead");
                    assert!(
                        session.routes.iter().any(|route| route.to == (key, slot)),
                        "a slot without its route"
                    );
                }
            }
        }
        places
    }

    fn check_groups(&self) {
        let (mut members, mut sessions) = (0, 0);
        for (group, of_group) in self.groups.check() {
            members += group.members.len();
            sessions += of_group;
            if let Some(talker) = group.talker {
                let session = self.sessions.get(talker).expect("a talker that is gone");
                let is_heard = session.standing == Standing::Carried && session.call.is_voice();
                assert!(is_heard, "{} is held by {session:?}", group.talkgroup);
            }
            for &(key, slot) in &group.members {
                let context = self.contexts.get(key).expect("a member that is gone");
                assert!(context.subscribed.binary_search(&(group.talkgroup, slot)).is_ok(), "a stale member");
            }
        }
        let subscribed: usize =
            self.contexts.all().0.iter().map(|(_, context, _)| context.subscribed.len()).sum();
        assert_eq!(members, subscribed, "members and subscriptions differ");
        let routed = self.sessions.iter().filter(|(_, session)| session.group.is_some()).count();
        assert_eq!(sessions as usize, routed, "a group was entered and not left");
    }
}
