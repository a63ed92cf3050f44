//! The way of a burst: to its session, which it may begin or end, and out to the session's routes.

use std::time::Duration;

use dmr::{BurstKind, Csbk, CsbkMessage, DataType};
use stack::{ContextKey, Frame, LinkType, Now, Slot};

use crate::call::{Call, Target};
use crate::io::{Dropped, Ended, Output, Refused};
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
            _ if frame.kind == HEADER && state.is_late_header(stream, call, frame.sequence, now.mono) => {
                return self.out(Output::Dropped(Dropped::Late));
            }
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
        if session.call.is_voice() {
            let options = session.voice.lc.service_options();
            let alias = session.voice.take(frame);
            let (report, has_changed) = (session.report(), session.voice.lc.service_options() != options);
            if has_changed && let Some(key) = session.origin.context() {
                self.out(Output::Changed(key));
            }
            if let Some(alias) = alias {
                self.out(Output::Alias { report, alias: Box::new(alias) });
            }
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
        let index = self.open_incoming(now, key, slot, session)?;
        self.supersede_leg(now, key, index);
        self.place(now, index);
        Some(index)
    }

    /// Adds a session that comes in by radio.
    pub(crate) fn open_incoming(
        &mut self,
        now: Now,
        key: ContextKey,
        slot: Slot,
        mut session: Session,
    ) -> Option<u16> {
        session.context = self.contexts.get(key)?.profile.id;
        let index = self.sessions.insert(session)?;
        self.watch(index);
        self.come_in(now, index, key, slot);
        Some(index)
    }

    /// A session comes in by radio: it beats one that goes out on the same slot.
    pub(crate) fn come_in(&mut self, now: Now, index: u16, key: ContextKey, slot: Slot) {
        self.unroute(now, key, slot);
        let Some(context) = self.contexts.get_mut(key) else { return };
        let state = &mut context.slots[slot.index()];
        state.incoming = Some(index);
        let awaited_by = state.awaited_by.take();
        self.out(Output::Changed(key));
        self.disappoint(now, awaited_by, (key, slot));
        if let Some(session) = self.sessions.get(index) {
            let report = session.report();
            self.out(Output::Started { index, report });
        }
    }

    /// Decides what becomes of a call that came in here.
    fn place(&mut self, now: Now, index: u16) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.is_placed = true;
        let Some(session) = self.sessions.get(index) else { return };
        let Origin::Local { context: key, slot, .. } = session.origin else { return };
        if let Some(why) = self.objection(now, session) {
            return self.refuse(now, index, why);
        }
        let is_echo = self.is_echo(now, session);
        let (call, context, hint) = (session.call, session.context, session.hint);
        let is_located = session.callee.is_some();
        if self.contexts.get(key).is_some_and(|context| context.profile.link != LinkType::Application) {
            self.out(Output::Heard { radio: call.source, context, slot });
        }
        match call.target() {
            Target::Talkgroup => {
                self.enter_group(index);
                if call.is_voice() && !is_echo {
                    self.keyed(now, key, slot, call.destination);
                }
            }
            Target::Radio if is_echo || is_located => {}
            Target::Radio => self.locate(now, index, hint),
            Target::Parrot => {
                self.stand(index, Standing::Carried);
                if call.is_voice() {
                    self.parrot.listen(index, key, context, slot);
                }
            }
            Target::Unlink => {
                self.stand(index, Standing::Local);
                if call.is_voice() {
                    self.unlink(now, key, Some(slot));
                }
            }
            Target::Local => self.stand(index, Standing::Local),
        }
        if is_echo {
            self.wait(now, index, Refused::Loop);
        }
    }

    fn stand(&mut self, index: u16, standing: Standing) {
        if let Some(session) = self.sessions.get_mut(index) {
            session.standing = standing;
        }
    }

    /// A session is for a talkgroup.
    pub(crate) fn enter_group(&mut self, index: u16) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let talkgroup = session.call.destination;
        let contended = session.contends;
        session.contends = session.origin.is_local() && session.call.is_voice();
        let is_new = match session.group {
            Some(group) => session.contends && !contended && self.groups.contend(group),
            None => {
                let (group, is_new) = self.groups.enter(talkgroup, session.contends);
                session.group = Some(group);
                is_new
            }
        };
        if is_new {
            self.out(Output::Interest { talkgroup, wanted: true });
        }
    }

    /// A burst of a session came: what becomes of it depends on how the session stands.
    pub(crate) fn carry(&mut self, now: Now, index: u16, frame: &Frame) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let is_voice = session.call.is_voice();
        session.last = now.mono;
        let counts = !is_voice || matches!(frame.kind, BurstKind::Voice(_));
        session.bursts = session.bursts.saturating_add(u32::from(counts));
        session.patience =
            STREAM_TIMEOUT + if is_voice { Duration::ZERO } else { BURST_TIME * announced(frame) };
        let (is_local, is_placed) = (session.origin.is_local(), session.is_placed);
        let age = now.mono.since(session.begun);
        self.watch(index);
        if !is_placed {
            self.place(now, index);
            // Those who heard it hear on already.
            if self.sessions.get(index).is_some_and(|session| session.standing == Standing::Carried) {
                self.make_routes(now, index);
            }
        }
        if is_local && self.settings.call_timeout.is_some_and(|longest| age >= longest) {
            return self.end(now, index, Ended::TooLong);
        }
        let Some(session) = self.sessions.get(index) else { return };
        let (standing, target) = (session.standing, session.call.target());
        if is_local && standing != Standing::Refused && self.is_unwanted_privacy(session) {
            return self.refuse(now, index, Refused::Encrypted);
        }
        match standing {
            Standing::Refused | Standing::Local => return,
            Standing::Carried => {}
            Standing::New if target == Target::Radio => return self.hold(index, frame),
            Standing::Waiting if session.is_echo => {
                // A call that really comes back another way ends soon after the call itself.
                if self.is_echo(now, session) {
                    return;
                }
                if target == Target::Radio {
                    self.hold(index, frame);
                    return self.locate(now, index, None);
                }
                let (origin, call) = (session.origin, session.call);
                if !self.contest(now, index) {
                    return;
                }
                if let Origin::Local { context, slot, .. } = origin
                    && call.is_voice()
                {
                    self.keyed(now, context, slot, call.destination);
                }
            }
            Standing::New | Standing::Waiting => {
                if !self.contest(now, index) {
                    return;
                }
            }
        }
        if target == Target::Parrot {
            self.parrot.hear(index, frame);
        } else {
            self.pass_on(index, frame);
        }
    }

    /// A burst of a session that is carried goes to its routes, and to siblings if it began here.
    pub(crate) fn pass_on(&mut self, index: u16, frame: &Frame) {
        // Siblings first: they have the longer way.
        if self.sessions.get(index).is_some_and(|session| session.origin.is_local()) {
            self.forward(index, frame);
        }
        self.deliver(index, frame);
    }

    /// A session ends.
    pub(crate) fn end(&mut self, now: Now, index: u16, ended: Ended) {
        let Some(session) = self.sessions.get(index) else { return };
        let (is_voice, standing) = (session.call.is_voice(), session.standing);
        let was_carried = standing == Standing::Carried;
        // Of what goes on from another worker it is not known yet, but siblings may carry it.
        let may_be_carried = was_carried || session.origin.is_local() && !session.is_placed;
        if may_be_carried && ended != Ended::Terminator {
            self.terminate(index);
        }
        // Before its slots get free, so that nobody joins what is over.
        self.leave_group(index);
        self.stand(index, Standing::Refused);
        self.release_routes(now, index, is_voice && was_carried);
        let Some(session) = self.sessions.remove(index) else { return };
        if was_carried && matches!(ended, Ended::Terminator | Ended::Timeout) {
            self.note_end(now, &session);
        }
        if let Origin::Local { context: key, slot, stream } = session.origin {
            if let Some(context) = self.contexts.get_mut(key) {
                let state = &mut context.slots[slot.index()];
                state.incoming = None;
                let is_talk = matches!(standing, Standing::Carried | Standing::Waiting | Standing::Local);
                if is_voice && is_talk && session.call.target() != Target::Unlink {
                    state.keep(Kept::after(session.call), now.mono + self.settings.hang_time);
                }
                let is_cut = matches!(ended, Ended::TooLong | Ended::Dropped);
                // What began a new call has taken the place of the old one: its bursts may still be under way.
                if is_cut || matches!(ended, Ended::Terminator | Ended::Superseded) {
                    let sequence = session.sequence.newest();
                    state.end_stream(stream, session.call, now.mono, sequence, is_cut);
                }
            }
            self.offer(now, key, slot);
            self.out(Output::Changed(key));
            self.out(Output::Stopped { index, report: session.report(), ended });
            if is_voice && was_carried && ended == Ended::Terminator {
                self.count_key_up(now, &session);
            }
        }
        self.finish_recording(index, session.last);
        self.sessions.recycle(session.routes);
    }

    fn leave_group(&mut self, index: u16) {
        self.yield_talk(index);
        let Some(session) = self.sessions.get_mut(index) else { return };
        let contends = session.contends;
        let Some(group) = session.group.take() else { return };
        if let Some(talkgroup) = self.groups.leave(group, contends) {
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
