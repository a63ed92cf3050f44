//! The way of a burst: to its session, which it may begin or end, and out to the session's routes.

use dmr::{BurstKind, DataType};
use stack::{CallType, ContextKey, Frame, LinkType, Now, Slot};

use crate::io::{Dropped, Ended, Kind, Output, Refused};
use crate::session::{Call, Origin, Session};
use crate::{Forward, PARROT, Switch};

const HEADER: BurstKind = BurstKind::Data(DataType::VOICE_HEADER);
const TERMINATOR: BurstKind = BurstKind::Data(DataType::TERMINATOR);
const IDLE: BurstKind = BurstKind::Data(DataType::IDLE);

impl Switch {
    /// A burst came from a context here.
    pub(crate) fn frame(&mut self, now: Now, key: ContextKey, slot: Slot, stream: u32, frame: &Frame) {
        let Some(context) = self.contexts.get(key) else { return };
        let slot = context.profile.slots.map(slot).unwrap_or(slot);
        let state = &context.slots[slot.index()];
        let is_current =
            |index: &u16| self.sessions.get(*index).is_some_and(|session| session.is_of(stream, frame));
        let index = match state.incoming.filter(is_current) {
            Some(index) => index,
            None if frame.kind == IDLE => return,
            None if frame.kind == TERMINATOR
                || frame.kind != HEADER && state.is_late(stream, Call::of(frame), now.mono) =>
            {
                return self.out(Output::Dropped(Dropped::Late));
            }
            None => {
                let Some(index) = self.begin(now, key, slot, stream, Call::of(frame)) else { return };
                index
            }
        };
        self.carry(now, index, frame);
        if frame.kind == TERMINATOR {
            self.end(now, index, Ended::Terminator);
        }
    }

    /// A call begins at a context here; `None` where there is no number left for a session.
    fn begin(&mut self, now: Now, key: ContextKey, slot: Slot, stream: u32, call: Call) -> Option<u16> {
        if let Some(old) = self.contexts.get(key)?.slots[slot.index()].incoming {
            self.end(now, old, Ended::Superseded);
        }
        let id = self.next_id(now);
        let context = self.contexts.get(key)?;
        let (context_id, link) = (context.profile.id, context.profile.link);
        let origin = Origin::Local { context: key, slot, stream };
        let index =
            self.open_incoming(key, slot, Session::new(id, origin, context_id, slot, call, now.mono))?;
        if link != LinkType::Application {
            self.out(Output::Heard { radio: call.source, context: context_id, slot });
        }
        if call.kind == Kind::Voice && call.is_routed() {
            self.keyed(now, key, slot, call.destination);
        } else if call.kind == Kind::Voice && call.destination == PARROT {
            self.parrot.listen(index, key, context_id, slot);
        } else if call.to == CallType::Private {
            let report = self.sessions.get(index)?.report();
            self.out(Output::Refused { report, why: Refused::NoRoute });
        }
        Some(index)
    }

    /// Adds a session that comes in by radio: it beats one that goes out on the same slot.
    pub(crate) fn open_incoming(&mut self, key: ContextKey, slot: Slot, session: Session) -> Option<u16> {
        let report = session.report();
        let index = self.open(session)?;
        self.unroute(key, slot);
        self.contexts.get_mut(key)?.slots[slot.index()].incoming = Some(index);
        self.out(Output::Changed(key));
        self.out(Output::Started { index, report });
        Some(index)
    }

    /// Adds a session, with its time-out. Its routes are made with its first burst.
    fn open(&mut self, session: Session) -> Option<u16> {
        let call = session.call;
        let index = self.sessions.insert(session)?;
        if call.is_routed() {
            let group = self.groups.enter(call.destination);
            self.sessions.get_mut(index)?.group = Some(group);
        }
        self.watch(index);
        Some(index)
    }

    /// A burst of a session goes to all its routes, and on to siblings if it began here.
    fn carry(&mut self, now: Now, index: u16, frame: &Frame) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.last = now.mono;
        let counts = session.call.kind != Kind::Voice || matches!(frame.kind, BurstKind::Voice(_));
        session.bursts = session.bursts.saturating_add(u32::from(counts));
        let Some(group) = session.group else {
            return self.parrot.hear(index, frame);
        };
        if session.version != Some(self.groups.get(group).version)
            || session.recheck.is_some_and(|at| at <= now.mono)
        {
            self.resolve(now, index);
        }
        let Some(session) = self.sessions.get(index) else { return };
        let stream = session.id.stream();
        let frame = *frame;
        let deliver = |&(context, slot)| Output::Deliver { context, slot, stream, frame };
        self.outputs.extend(session.routes.iter().map(deliver));
        if matches!(session.origin, Origin::Local { .. }) {
            let (key, slot) = (session.id.key, session.slot);
            self.outputs.push_back(Output::Forward(Forward { key, index, slot, options: 0, frame }));
        }
    }

    /// A session ends.
    pub(crate) fn end(&mut self, now: Now, index: u16, ended: Ended) {
        let Some(session) = self.sessions.remove(index) else { return };
        self.release(now, &session);
        if let Origin::Local { context: key, slot, stream } = session.origin {
            // What began a new call has taken the place of the old one: its bursts may still be under way.
            if let Ended::Terminator | Ended::Superseded = ended
                && let Some(context) = self.contexts.get_mut(key)
            {
                context.slots[slot.index()].end_stream(stream, session.call, now.mono);
            }
            self.out(Output::Changed(key));
            self.out(Output::Stopped { index, report: session.report(), ended });
        }
        if let Some(group) = session.group {
            self.groups.leave(group);
        }
        self.finish_recording(index, session.last);
        self.sessions.recycle(session.routes);
    }

    /// A burst came from a sibling.
    pub(crate) fn remote_frame(&mut self, now: Now, peer: u8, node: u32, forward: &Forward) {
        let id = forward.session(node);
        let (peer, number) = (usize::from(peer & 0x7f), usize::from(forward.index));
        let known = self.remote.get(peer).and_then(|numbers| numbers.get(number)).copied();
        let is_same = |index: &u16| {
            let session = self.sessions.get(*index);
            session.is_some_and(|session| session.id == id && session.origin == Origin::Remote)
        };
        let index = match known.filter(is_same) {
            Some(index) => index,
            None => {
                let call = Call::of(&forward.frame);
                if !call.is_routed() || !self.groups.has_members(call.destination) {
                    return;
                }
                let index = match self.sessions.find(id) {
                    // A sibling that had to start again goes on with a session under another number.
                    Some((index, Origin::Remote)) => index,
                    // Its context is here now: this is what its last owner still had to say.
                    Some(_) => return,
                    // What has ended here by its time-out may still end there.
                    None if forward.frame.kind == TERMINATOR => return,
                    None => {
                        let session = Session::new(id, Origin::Remote, 0, forward.slot, call, now.mono);
                        let Some(index) = self.open(session) else { return };
                        index
                    }
                };
                self.remember(peer, number, index);
                index
            }
        };
        self.carry(now, index, &forward.frame);
        if forward.frame.kind == TERMINATOR {
            self.end(now, index, Ended::Terminator);
        }
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
