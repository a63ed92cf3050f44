//! The way of a burst: to its session, which it may begin or end, and out to the session's routes.

use dmr::{BurstKind, Csbk, CsbkMessage, DataType};
use stack::{ContextKey, Frame, LinkType, Now, Slot};

use crate::call::{Call, Target};
use crate::io::{Dropped, Ended, Output};
use crate::sequence::Order;
use crate::session::{Origin, Session, Standing};
use crate::slots::Kept;
use crate::{BURST_TIME, HEADER, STREAM_TIMEOUT, Switch, TERMINATOR};

const IDLE: BurstKind = BurstKind::Data(DataType::IDLE);

impl Switch {
    /// A burst came from a context here.
    pub(crate) fn frame(&mut self, now: Now, key: ContextKey, slot: Slot, stream: u32, frame: &Frame) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        let slot = context.profile.slots.map(slot).unwrap_or(slot);
        let state = &mut context.slots[slot.index()];
        if !state.admit(self.settings.max_burst_rate, now.mono) {
            return self.out(Output::Dropped(Dropped::TooFast));
        }
        let (call, mut frame) = (Call::of(frame), *frame);
        let current = state.incoming.and_then(|index| Some((index, self.sessions.get(index)?)));
        let index = match current {
            Some((index, session)) if session.is_of(stream, call, frame.kind) => {
                if !self.listen(index, stream, &mut frame) {
                    return;
                }
                index
            }
            _ if frame.kind == IDLE => return,
            _ if frame.kind == TERMINATOR => return self.out(Output::Dropped(Dropped::Late)),
            _ if frame.kind != HEADER && state.is_late(stream, call, now.mono) => {
                return self.out(Output::Dropped(Dropped::Late));
            }
            Some((_, session)) if session.call.is_voice() && !call.is_voice() => {
                return self.out(Output::Dropped(Dropped::DataBusy));
            }
            _ => {
                let Some(index) = self.begin(now, key, slot, stream, call, &mut frame) else { return };
                index
            }
        };
        self.carry(now, index, &frame);
        if frame.kind == TERMINATOR {
            self.end(now, index, Ended::Terminator);
        }
    }

    /// Takes in one more burst of a session of a context here. False where it is dropped.
    fn listen(&mut self, index: u16, stream: u32, frame: &mut Frame) -> bool {
        let Some(session) = self.sessions.get_mut(index) else { return false };
        if !session.call.is_voice() {
            session.go_on_with_data(stream, Call::of(frame).kind);
        }
        let order = session.sequence.take(frame.sequence, frame.kind);
        // Some senders begin to count again with the terminator.
        if frame.kind != TERMINATOR {
            match order {
                Order::Next => {}
                Order::Duplicate => {
                    self.out(Output::Dropped(Dropped::Duplicate));
                    return false;
                }
                Order::Late => {
                    self.out(Output::Dropped(Dropped::Late));
                    return false;
                }
            }
        }
        if session.call.is_voice()
            && let Some(alias) = session.voice.take(frame)
        {
            let report = session.report();
            self.out(Output::Alias { report, alias: Box::new(alias) });
        }
        true
    }

    /// A call begins at a context here; `None` where there is no number left for a session.
    fn begin(
        &mut self,
        now: Now,
        key: ContextKey,
        slot: Slot,
        stream: u32,
        call: Call,
        frame: &mut Frame,
    ) -> Option<u16> {
        if let Some(old) = self.contexts.get(key)?.slots[slot.index()].incoming {
            self.end(now, old, Ended::Superseded);
        }
        let id = self.next_id(now);
        let origin = Origin::Local { context: key, slot, stream };
        let mut session = Session::new(id, origin, slot, call, 0, now.mono);
        session.sequence.take(frame.sequence, frame.kind);
        if call.is_voice() {
            session.voice.take(frame);
        }
        let index = self.open_incoming(key, slot, session)?;
        self.place(now, index);
        Some(index)
    }

    /// Adds a session that comes in by radio: it beats one that goes out on the same slot.
    pub(crate) fn open_incoming(&mut self, key: ContextKey, slot: Slot, mut session: Session) -> Option<u16> {
        session.context = self.contexts.get(key)?.profile.id;
        let report = session.report();
        let index = self.sessions.insert(session)?;
        self.watch(index);
        self.unroute(key, slot);
        self.contexts.get_mut(key)?.slots[slot.index()].incoming = Some(index);
        self.out(Output::Changed(key));
        self.out(Output::Started { index, report });
        Some(index)
    }

    /// Decides what becomes of a call that came in here.
    pub(crate) fn place(&mut self, now: Now, index: u16) {
        let Some(session) = self.sessions.get(index) else { return };
        let Origin::Local { context: key, slot, .. } = session.origin else { return };
        if let Some(why) = self.objection(now, session) {
            return self.refuse(now, index, why);
        }
        let (call, context) = (session.call, session.context);
        if self.contexts.get(key).is_some_and(|context| context.profile.link != LinkType::Application) {
            self.out(Output::Heard { radio: call.source, context, slot });
        }
        let standing = match call.target() {
            Target::Talkgroup | Target::Radio => Standing::New,
            Target::Parrot => Standing::Carried,
            Target::Unlink | Target::Local => Standing::Local,
        };
        if let Some(session) = self.sessions.get_mut(index) {
            session.standing = standing;
        }
        match call.target() {
            Target::Talkgroup => {
                self.enter_group(index);
                if call.is_voice() {
                    self.keyed(now, key, slot, call.destination);
                }
            }
            Target::Radio => self.out(Output::Locate { index, radio: call.destination }),
            Target::Parrot if call.is_voice() => self.parrot.listen(index, key, context, slot),
            Target::Unlink if call.is_voice() => self.unlink(key, Some(slot)),
            Target::Parrot | Target::Unlink | Target::Local => {}
        }
    }

    /// A session is for a talkgroup.
    pub(crate) fn enter_group(&mut self, index: u16) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let talkgroup = session.call.destination;
        let (group, is_new) = self.groups.enter(talkgroup, session.contends());
        session.group = Some(group);
        if is_new {
            self.out(Output::Interest { talkgroup, wanted: true });
        }
    }

    /// A burst of a session came: what becomes of it depends on how the session stands.
    pub(crate) fn carry(&mut self, now: Now, index: u16, frame: &Frame) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.last = now.mono;
        let counts = !session.call.is_voice() || matches!(frame.kind, BurstKind::Voice(_));
        session.bursts = session.bursts.saturating_add(u32::from(counts));
        session.patience = STREAM_TIMEOUT + BURST_TIME * announced(frame);
        self.watch(index);
        let Some(session) = self.sessions.get(index) else { return };
        let age = now.mono.since(session.begun);
        let is_local = session.origin.is_local();
        if is_local && self.settings.call_timeout.is_some_and(|longest| age >= longest) {
            return self.end(now, index, Ended::TooLong);
        }
        if is_local && session.standing != Standing::Refused && self.is_unwanted_privacy(session) {
            return self.refuse(now, index, crate::Refused::Encrypted);
        }
        let (standing, target) = (session.standing, session.call.target());
        match standing {
            Standing::Refused | Standing::Local => return,
            Standing::New if target == Target::Radio => {
                if let Some(session) = self.sessions.get_mut(index) {
                    session.held = Some(*frame);
                }
                return;
            }
            Standing::New | Standing::Waiting if !self.contest(now, index) => return,
            _ => {}
        }
        if target == Target::Parrot {
            self.parrot.hear(index, frame);
        } else {
            self.pass_on(now, index, frame);
        }
    }

    /// A burst of a session that is carried goes to its routes, which are made where that is due, and to siblings.
    pub(crate) fn pass_on(&mut self, now: Now, index: u16, frame: &Frame) {
        let Some(session) = self.sessions.get(index) else { return };
        let is_local = session.origin.is_local();
        let version = session.group.map(|group| self.groups.get(group).version);
        let has_changed = session.call.is_voice() && version.is_some() && session.version != version;
        let is_due = session.recheck.is_some_and(|at| at <= now.mono);
        if session.version.is_none() || has_changed || is_due {
            self.resolve(now, index);
        }
        self.deliver(index, frame);
        if is_local {
            self.forward(index, frame);
        }
    }

    /// A session ends.
    pub(crate) fn end(&mut self, now: Now, index: u16, ended: Ended) {
        let Some(session) = self.sessions.get(index) else { return };
        let (is_voice, standing) = (session.call.is_voice(), session.standing);
        let was_carried = standing == Standing::Carried;
        if was_carried && ended != Ended::Terminator {
            self.terminate(index);
        }
        self.release_routes(now, index, is_voice && was_carried);
        let Some(session) = self.sessions.remove(index) else { return };
        if was_carried && matches!(ended, Ended::Terminator | Ended::Timeout) {
            self.note_end(now, &session);
        }
        if let Origin::Local { context: key, slot, stream } = session.origin {
            if let Some(context) = self.contexts.get_mut(key) {
                let state = &mut context.slots[slot.index()];
                state.incoming = None;
                if is_voice && matches!(standing, Standing::Carried | Standing::Waiting) {
                    state.keep(Kept::after(session.call), now.mono + self.settings.hang_time);
                }
                match ended {
                    // What began a new call has taken the place of the old one: its bursts may still be under way.
                    Ended::Terminator | Ended::Superseded => {
                        state.end_stream(stream, session.call, now.mono, false);
                    }
                    Ended::TooLong | Ended::Dropped => {
                        state.end_stream(stream, session.call, now.mono, true);
                    }
                    Ended::Timeout | Ended::ContextGone => {}
                }
            }
            self.offer(key, slot);
            self.out(Output::Changed(key));
            self.out(Output::Stopped { index, report: session.report(), ended });
            if is_voice && ended != Ended::ContextGone {
                self.count_key_up(now, &session);
            }
        }
        self.leave_group(index, &session);
        self.finish_recording(index, session.last);
        self.sessions.recycle(session.routes);
    }

    fn leave_group(&mut self, index: u16, session: &Session) {
        let Some(group) = session.group else { return };
        if self.groups.get(group).talker.is_some_and(|(talker, _)| talker == index) {
            self.groups.set_talker(group, None);
        }
        if let Some(talkgroup) = self.groups.leave(group, session.contends()) {
            self.out(Output::Interest { talkgroup, wanted: false });
        }
    }
}

/// How many bursts a preamble announces to follow: the slots are reserved for their time.
fn announced(frame: &Frame) -> u32 {
    if frame.kind != BurstKind::Data(DataType::CSBK) {
        return 0;
    }
    match Csbk::from_burst(&frame.burst).and_then(|csbk| csbk.message()) {
        Some(CsbkMessage::Preamble { blocks_to_follow, .. }) => blocks_to_follow.into(),
        _ => 0,
    }
}
