//! Sessions of sibling workers, as their rings tell of them, and far ones: those of other hosts.

use stack::Now;

use crate::call::{Call, Target};
use crate::io::{Ended, Output};
use crate::session::{Origin, Session, SessionId};
use crate::{FAR, Forward, HEADER, Switch, TERMINATOR};

/// Sessions of siblings are not given more numbers than these, whatever siblings say.
const MAX_SESSIONS: usize = 32_768;

impl Switch {
    /// A burst came from a sibling or, as from the sibling [`FAR`], from another host.
    pub(crate) fn remote_frame(&mut self, now: Now, peer: u8, node: u32, forward: &Forward) {
        let id = forward.session(node);
        let known =
            self.remote.get(usize::from(peer)).and_then(|numbers| numbers.get(usize::from(forward.index)));
        let is_same = |index: &u16| {
            let session = self.sessions.get(*index);
            session.is_some_and(|session| {
                session.id == id && session.peer == Some(peer) && session.origin.is_remote()
            })
        };
        let index = match known.copied().filter(is_same) {
            Some(index) => index,
            None => {
                let Some(index) = self.meet(now, peer, node, forward, false) else { return };
                index
            }
        };
        self.follow(now, index, forward);
    }

    /// The same, where all that others had to say of its session before is known.
    #[cold]
    pub(crate) fn moved_frame(&mut self, now: Now, peer: u8, node: u32, forward: &Forward) {
        if let Some(index) = self.meet(now, peer, node, forward, true) {
            self.follow(now, index, forward);
        }
    }

    /// A session with a number that a sibling has not used for it yet; `None` where its burst goes nowhere, or has to wait.
    /// `is_next`: it has waited.
    #[cold]
    fn meet(&mut self, now: Now, peer: u8, node: u32, forward: &Forward, is_next: bool) -> Option<u16> {
        self.begin_after(now, forward.session(node));
        // Most of what siblings publish is for others.
        if !self.wants(forward) || peer == FAR && self.is_near(forward.session(node)) {
            return None;
        }
        if !is_next && self.may_overtake(peer, forward.session(node), forward) {
            self.out(Output::Moved { peer, node, forward: Box::new(*forward) });
            return None;
        }
        let index = self.find_or_open(now, node, forward)?;
        self.remember(usize::from(peer), usize::from(forward.index), index);
        self.sessions.get_mut(index)?.peer = Some(peer);
        self.watch(index);
        Some(index)
    }

    /// A session that began at this host, whatever another host says.
    fn is_near(&self, id: SessionId) -> bool {
        let known = self.sessions.find(id).and_then(|(index, _)| self.sessions.get(index));
        id.node == self.node || known.is_some_and(|session| session.peer.is_some() && !session.is_far())
    }

    /// Takes in a burst of a session that is known.
    #[inline]
    fn follow(&mut self, now: Now, index: u16, forward: &Forward) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let is_end = forward.frame.kind == TERMINATOR;
        let call = Call::of(&forward.frame);
        if !session.call.is_same(if is_end { Call { kind: session.call.kind, ..call } } else { call }) {
            // No burst of this session, whatever the sibling says.
            return;
        }
        session.voice.follow(&forward.frame, forward.options);
        self.carry(now, index, &forward.frame);
        if is_end {
            self.end(now, index, Ended::Terminator);
        }
    }

    /// Whether others may have published earlier bursts of this session that are not read yet: it came from another
    /// sibling until now, or nothing is known of its beginning.
    fn may_overtake(&self, peer: u8, id: SessionId, forward: &Forward) -> bool {
        // Those of another host have been put in order.
        if peer == FAR {
            return false;
        }
        match self.sessions.find(id) {
            Some((index, Origin::Remote)) => {
                self.sessions.get(index).is_some_and(|session| session.peer != Some(peer))
            }
            Some(_) => false,
            // A terminator too: it may be that of bursts that wait for the same.
            None => forward.frame.kind != HEADER,
        }
    }

    /// Whether somebody here may want it.
    #[must_use]
    pub fn wants(&self, forward: &Forward) -> bool {
        let call = Call::of(&forward.frame);
        match call.target() {
            Target::Talkgroup => {
                self.groups.is_wanted(call.destination) || self.trunks.want(call.destination)
            }
            Target::Radio => true,
            Target::Parrot | Target::Unlink | Target::Local => false,
        }
    }

    /// The session that a sibling means; `None` where there is none, and is to be none.
    fn find_or_open(&mut self, now: Now, node: u32, forward: &Forward) -> Option<u16> {
        let (id, call) = (forward.session(node), Call::of(&forward.frame));
        match self.sessions.find(id) {
            // A sibling that had to start again goes on with a session under another number.
            Some((index, Origin::Remote)) => return Some(index),
            // Its context is here now: this is what its last owner still had to say.
            Some(_) => return None,
            // What has ended here by its time-out may still end there.
            None if forward.frame.kind == TERMINATOR => return None,
            None if self.sessions.len() >= MAX_SESSIONS => return None,
            None => {}
        }
        let session = Session::new(id, Origin::Remote, forward.slot, call, forward.options, now.mono);
        let index = self.sessions.insert(session)?;
        self.watch(index);
        if call.target() == Target::Talkgroup {
            self.enter_group(index);
        } else {
            // Until it is known where the radio is, nothing is carried.
            self.locate(now, index, None);
        }
        Some(index)
    }

    /// Notes which session here a sibling means by its number.
    fn remember(&mut self, peer: usize, number: usize, index: u16) {
        if self.remote.len() <= peer {
            self.remote.resize_with(peer + 1, Vec::new);
        }
        let numbers = &mut self.remote[peer];
        if numbers.len() <= number {
            // No session ever has this number.
            numbers.resize(number + 1, u16::MAX);
        }
        numbers[number] = index;
    }
}
