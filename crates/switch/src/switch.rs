//! The switch itself: takes inputs, keeps sessions and routes, gives outputs.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use dmr::{BurstKind, DataType};
use stack::{CallType, ContextKey, Frame, LinkType, Now, Profile, Slot, Time};

use crate::contexts::{Context, Contexts};
use crate::groups::Groups;
use crate::io::{Dropped, Ended, Input, Output};
use crate::parrot::Parrot;
use crate::record::{read_record, write_record};
use crate::session::{Origin, Session, SessionId, Sessions};
use crate::slots::Grant;
use crate::{Forward, PARROT, STREAM_TIMEOUT};

/// What may be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The session with this number and key may have fallen silent.
    Session(u16, u64),
    /// A dynamic subscription of this context may be over.
    Dynamic(ContextKey),
    /// The parrot has something to say.
    Parrot,
}

/// Call control of one worker.
#[derive(Debug)]
pub struct Switch {
    node: u32,
    pub(crate) contexts: Contexts,
    groups: Groups,
    pub(crate) sessions: Sessions,
    /// Sessions of siblings, by the sibling's number and the session's number there.
    remote: Vec<Vec<u16>>,
    pub(crate) parrot: Parrot,
    timers: BinaryHeap<Reverse<(Time, Timer)>>,
    outputs: VecDeque<Output>,
    last_key: u64,
}

impl Switch {
    /// The switch of the node with this ID.
    #[must_use]
    pub fn new(node: u32) -> Self {
        Self {
            node,
            contexts: Contexts::default(),
            groups: Groups::default(),
            sessions: Sessions::default(),
            remote: Vec::new(),
            parrot: Parrot::default(),
            timers: BinaryHeap::new(),
            outputs: VecDeque::new(),
            last_key: 0,
        }
    }

    /// Takes in what happened.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Up { context, profile } => self.up(now, context, profile),
            Input::Down(context) => self.down(now, context),
            Input::Frame { context, slot, stream, frame } => self.frame(now, context, slot, stream, frame),
            Input::Remote { peer, node, forward } => self.remote_frame(now, peer, node, forward),
            Input::Restore { context, bytes } => self.restore(now, context, bytes),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(&Reverse((at, timer))) = self.timers.peek()
            && at <= now.mono
        {
            self.timers.pop();
            match timer {
                Timer::Session(index, key) => self.check_silence(now, index, key),
                Timer::Dynamic(context) => self.expire(now, context),
                Timer::Parrot => self.play(now),
            }
        }
    }

    /// What is to be done next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called, at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.peek().map(|&Reverse((at, _))| at)
    }

    /// Writes the record of a context into `out` and returns its length; `None` where there is nothing to
    /// write down.
    #[must_use]
    pub fn encode_record(&self, context: ContextKey, out: &mut [u8]) -> Option<usize> {
        write_record(self.contexts.get(context)?, &self.sessions, out)
    }

    /// How many contexts there are.
    #[must_use]
    pub fn contexts(&self) -> usize {
        self.contexts.len()
    }

    /// How many sessions run that began at a context here.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.local()
    }

    pub(crate) fn out(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn wake_parrot_at(&mut self, at: Time) {
        self.timers.push(Reverse((at, Timer::Parrot)));
    }

    fn up(&mut self, now: Now, key: ContextKey, profile: Profile) {
        if self.contexts.get(key).is_some_and(|context| context.profile.id != profile.id) {
            self.down(now, key);
        }
        match self.contexts.get_mut(key) {
            Some(context) => context.profile = profile,
            None => {
                self.contexts.insert(key, Context::new(profile));
            }
        }
        self.resubscribe(key);
    }

    fn down(&mut self, now: Now, key: ContextKey) {
        for slot in Slot::ALL {
            let Some(context) = self.contexts.get_mut(key) else { return };
            let state = &mut context.slots[slot.index()];
            let (incoming, outgoing) = (state.incoming, state.outgoing.take());
            if let Some(session) = outgoing.and_then(|index| self.sessions.get_mut(index)) {
                session.routes.retain(|&route| route != (key, slot));
            }
            if let Some(index) = incoming {
                self.end(now, index, Ended::ContextGone);
            }
        }
        let Some(context) = self.contexts.remove(key) else { return };
        for (talkgroup, slot) in context.subscribed {
            if self.groups.remove(talkgroup, (key, slot)) {
                self.out(Output::Interest { talkgroup, wanted: false });
            }
        }
    }

    /// Makes the memberships of a context what its profile and its dynamics say.
    fn resubscribe(&mut self, key: ContextKey) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        let wanted = context.wanted();
        let old = std::mem::replace(&mut context.subscribed, wanted.clone());
        for &(talkgroup, slot) in old.iter().filter(|member| wanted.binary_search(member).is_err()) {
            if self.groups.remove(talkgroup, (key, slot)) {
                self.out(Output::Interest { talkgroup, wanted: false });
            }
        }
        for &(talkgroup, slot) in wanted.iter().filter(|member| old.binary_search(member).is_err()) {
            if self.groups.add(talkgroup, (key, slot)) {
                self.out(Output::Interest { talkgroup, wanted: true });
            }
        }
    }

    fn frame(&mut self, now: Now, key: ContextKey, slot: Slot, stream: u32, frame: &Frame) {
        let Some(context) = self.contexts.get(key) else { return };
        let slot = context.profile.slots.map(slot).unwrap_or(slot);
        let state = &context.slots[slot.index()];
        // A stream ID that says another talker or talkgroup is another call: some senders always use the same.
        let is_current = |index: &u16| {
            self.sessions.get(*index).is_some_and(|session| {
                matches!(session.origin, Origin::Local { stream: current, .. } if current == stream)
                    && session.matches(frame)
            })
        };
        let index = match state.incoming.filter(is_current) {
            Some(index) => index,
            None => match frame.kind {
                BurstKind::Data(DataType::IDLE) => return,
                kind if kind == BurstKind::Data(DataType::TERMINATOR)
                    || kind != BurstKind::Data(DataType::VOICE_HEADER) && state.is_late(stream, now.mono) =>
                {
                    return self.out(Output::Dropped(Dropped::Late));
                }
                _ => {
                    let id = self.next_id(now);
                    let Some(index) = self.begin(now, id, key, slot, stream, frame) else { return };
                    index
                }
            },
        };
        self.carry(now, index, frame);
        if frame.kind == BurstKind::Data(DataType::TERMINATOR) {
            self.end(now, index, Ended::Terminator);
        }
    }

    pub(crate) fn next_id(&mut self, now: Now) -> SessionId {
        self.last_key = (self.last_key + 1).max(now.wall_us << 12);
        SessionId { key: self.last_key, node: self.node }
    }

    /// A call begins at a context here.
    fn begin(
        &mut self,
        now: Now,
        id: SessionId,
        key: ContextKey,
        slot: Slot,
        stream: u32,
        frame: &Frame,
    ) -> Option<u16> {
        if let Some(old) = self.contexts.get(key)?.slots[slot.index()].incoming {
            self.end(now, old, Ended::Superseded);
        }
        let context = self.contexts.get_mut(key)?;
        let voice = Session::is_voice(frame);
        // A call that comes in by radio beats one that goes out on the same slot.
        if let Some(outgoing) = context.slots[slot.index()].outgoing.take()
            && let Some(session) = self.sessions.get_mut(outgoing)
        {
            session.routes.retain(|&route| route != (key, slot));
        }
        let routed = frame.call == CallType::Group && frame.destination != PARROT;
        let keyed = routed && voice && context.key(frame.destination, slot, now.mono);
        let (context_id, link) = (context.profile.id, context.profile.link);
        if keyed {
            self.arm_expiry(key);
            self.resubscribe(key);
        }
        let index =
            self.open(now, id, Origin::Local { context: key, slot, stream }, context_id, slot, frame)?;
        self.contexts.get_mut(key)?.slots[slot.index()].incoming = Some(index);
        let report = self.sessions.get(index)?.report();
        self.out(Output::Changed(key));
        self.out(Output::Started { index, report });
        if link != LinkType::Application {
            self.out(Output::Heard { radio: frame.source, context: context_id, slot });
        }
        if frame.destination == PARROT && voice {
            self.parrot.listen(index, key, context_id, slot);
        } else if frame.call == CallType::Private {
            self.out(Output::Dropped(Dropped::NoRoute));
        }
        Some(index)
    }

    /// Makes a session, with its time-out. Its routes are made with its first burst.
    fn open(
        &mut self,
        now: Now,
        id: SessionId,
        origin: Origin,
        context: u32,
        slot: Slot,
        frame: &Frame,
    ) -> Option<u16> {
        let routed = frame.call == CallType::Group && frame.destination != PARROT;
        let group = routed.then(|| self.groups.enter(frame.destination));
        let index = self.sessions.insert(Session {
            id,
            origin,
            context,
            slot,
            source: frame.source,
            destination: frame.destination,
            call: frame.call,
            voice: Session::is_voice(frame),
            bursts: 0,
            last: now.mono,
            routes: Vec::new(),
            group,
            version: group.map_or(0, |group| self.groups.get(group).version.wrapping_sub(1)),
            recheck: None,
        });
        let Some(index) = index else {
            group.into_iter().for_each(|group| self.groups.leave(group));
            return None;
        };
        self.timers.push(Reverse((now.mono + STREAM_TIMEOUT, Timer::Session(index, id.key))));
        Some(index)
    }

    /// A burst of a session goes to all its routes, and on to siblings if it began here.
    fn carry(&mut self, now: Now, index: u16, frame: &Frame) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.last = now.mono;
        session.bursts += u32::from(!session.voice || matches!(frame.kind, BurstKind::Voice(_)));
        let Some(group) = session.group else {
            return self.parrot.hear(index, frame);
        };
        if session.version != self.groups.get(group).version
            || session.recheck.is_some_and(|at| at <= now.mono)
        {
            self.resolve(now, index, group);
        }
        let Some(session) = self.sessions.get(index) else { return };
        let stream = session.id.stream();
        let frame = *frame;
        let deliver = |&(context, slot)| Output::Deliver { context, slot, stream, frame };
        self.outputs.extend(session.routes.iter().map(deliver));
        if matches!(session.origin, Origin::Local { .. }) {
            let (key, slot) = (session.id.key, session.slot);
            self.outputs.push_back(Output::Forward(Forward { key, index, slot, frame }));
        }
    }

    /// Makes the routes of a session: all subscribers of its talkgroup whose slot is free for it, but for the
    /// context where it began, and each context once.
    fn resolve(&mut self, now: Now, index: u16, group: u32) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let mut routes = std::mem::take(&mut session.routes);
        let group = self.groups.get(group);
        let talkgroup = group.talkgroup;
        routes.retain(|&(key, slot)| {
            let Some(context) = self.contexts.get_mut(key) else { return false };
            let stays = context.is_subscribed(talkgroup, slot);
            if !stays {
                context.slots[slot.index()].outgoing = None;
            }
            stays
        });
        let source = match session.origin {
            Origin::Local { context, .. } => Some(context),
            Origin::Remote | Origin::Parrot => None,
        };
        (session.version, session.recheck) = (group.version, None);
        for &(key, slot) in group.members.iter().filter(|&&(key, _)| Some(key) != source) {
            let Some(context) = self.contexts.get_mut(key) else { continue };
            if context.slots.iter().any(|state| state.outgoing == Some(index)) {
                continue;
            }
            match context.slots[slot.index()].grant(index, talkgroup, now.mono) {
                Grant::Free => {
                    context.slots[slot.index()].outgoing = Some(index);
                    routes.push((key, slot));
                }
                Grant::Busy => {}
                Grant::Kept(until) => {
                    session.recheck = Some(session.recheck.map_or(until, |other| other.min(until)));
                }
            }
        }
        session.routes = routes;
    }

    /// A session ends: its slots are kept for its talkgroup for the hang time.
    pub(crate) fn end(&mut self, now: Now, index: u16, ended: Ended) {
        let Some(session) = self.sessions.remove(index) else { return };
        for &(key, slot) in &session.routes {
            self.release(now, key, slot, session.destination, |state| state.outgoing = None);
        }
        if let Origin::Local { context, slot, stream } = session.origin {
            self.release(now, context, slot, session.destination, |state| {
                state.incoming = None;
                if ended == Ended::Terminator {
                    state.end_stream(stream, now.mono);
                }
            });
            self.out(Output::Changed(context));
            self.out(Output::Stopped { index, report: session.report(), ended });
        }
        if let Some(group) = session.group {
            self.groups.leave(group);
        }
        if let Some(at) = self.parrot.finish(index, now.mono) {
            self.wake_parrot_at(at);
        }
        self.sessions.recycle(session.routes);
    }

    fn release(
        &mut self,
        now: Now,
        key: ContextKey,
        slot: Slot,
        talkgroup: u32,
        free: impl FnOnce(&mut crate::slots::SlotState),
    ) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        let state = &mut context.slots[slot.index()];
        free(state);
        state.release(talkgroup, now.mono);
        for &(talkgroup, _) in context.subscribed.iter().filter(|&&(_, on)| on == slot) {
            self.groups.touch(talkgroup);
        }
    }

    fn remote_frame(&mut self, now: Now, peer: u8, node: u32, forward: &Forward) {
        let id = forward.session(node);
        let (peer, number) = (usize::from(peer & 0x7f), usize::from(forward.index));
        let known = self.remote.get(peer).and_then(|numbers| numbers.get(number)).copied();
        let is_same = |index: &u16| self.sessions.get(*index).is_some_and(|session| session.id == id);
        let index = match known.filter(is_same) {
            Some(index) => index,
            None => {
                let wanted = forward.frame.call == CallType::Group
                    // What has ended here by its time-out may still end there.
                    && forward.frame.kind != BurstKind::Data(DataType::TERMINATOR)
                    && self.groups.find(forward.frame.destination).is_some();
                if !wanted {
                    return;
                }
                let opened = self.open(now, id, Origin::Remote, 0, forward.slot, &forward.frame);
                let Some(index) = opened else { return };
                if self.remote.len() <= peer {
                    self.remote.resize_with(peer + 1, Vec::new);
                }
                let numbers = &mut self.remote[peer];
                if numbers.len() <= number {
                    numbers.resize(number + 1, u16::MAX);
                }
                numbers[number] = index;
                index
            }
        };
        self.carry(now, index, &forward.frame);
        if forward.frame.kind == BurstKind::Data(DataType::TERMINATOR) {
            self.end(now, index, Ended::Terminator);
        }
    }

    fn check_silence(&mut self, now: Now, index: u16, key: u64) {
        let Some(session) = self.sessions.get(index).filter(|session| session.id.key == key) else { return };
        let at = session.last + STREAM_TIMEOUT;
        if at <= now.mono {
            self.end(now, index, Ended::Timeout);
        } else {
            self.timers.push(Reverse((at, Timer::Session(index, key))));
        }
    }

    /// Sets the timer for the next dynamic subscription that will be over, if none is set.
    fn arm_expiry(&mut self, key: ContextKey) {
        let Some(context) = self.contexts.get_mut(key).filter(|context| !context.expiry_armed) else {
            return;
        };
        let Some(at) = context.next_expiry() else { return };
        context.expiry_armed = true;
        self.timers.push(Reverse((at, Timer::Dynamic(key))));
    }

    fn expire(&mut self, now: Now, key: ContextKey) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        context.expiry_armed = false;
        if context.expire(now.mono) {
            self.resubscribe(key);
            self.out(Output::Changed(key));
        }
        self.arm_expiry(key);
    }

    fn restore(&mut self, now: Now, key: ContextKey, bytes: &[u8]) {
        let Some(record) = read_record(bytes) else { return };
        let Some(context) = self.contexts.get_mut(key) else { return };
        context.dynamics = record.dynamics;
        let context_id = context.profile.id;
        self.arm_expiry(key);
        self.resubscribe(key);
        for (slot, running) in Slot::ALL.into_iter().zip(record.running) {
            let Some(running) = running else { continue };
            let id = SessionId { key: running.key, node: running.node };
            let kind = if running.voice { BurstKind::Voice(0) } else { BurstKind::Data(DataType::CSBK) };
            let like = Frame {
                source: running.source,
                destination: running.destination,
                call: running.call,
                kind,
                sequence: 0,
                ber: 0,
                rssi: 0,
                burst: [0; dmr::BURST_LEN],
            };
            let origin = Origin::Local { context: key, slot, stream: running.stream };
            let Some(index) = self.open(now, id, origin, context_id, slot, &like) else { continue };
            if let Some(context) = self.contexts.get_mut(key) {
                context.slots[slot.index()].incoming = Some(index);
            }
            // A worker that serves several nodes' shards must not give the same key twice.
            self.last_key = self.last_key.max(running.key);
            if let Some(session) = self.sessions.get(index) {
                let report = session.report();
                self.out(Output::Started { index, report });
            }
        }
    }
}
