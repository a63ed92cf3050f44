//! The state machine of one shard: datagrams, answers and time in, datagrams, frames and news out.

use std::collections::VecDeque;
use std::time::Duration;

use stack::{
    Answer, Ask, Frame, Gone, Input, Login, MAX_TALKGROUPS, Notice, Now, Output, Profile, Refusal, Slot,
    Slots, Stack, Time, Verdict,
};

use crate::context::Context;
use crate::packet::{self, Dmrd, Packet};
use crate::path::Path;
use crate::pending::Pending;
use crate::salt::Salter;
use crate::table::Table;
use crate::{Config, Position, options, parse};

/// A device of which nothing was heard for so long is gone. Its clients ask every 5 to 10 s and give up after
/// 60 s themselves.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// What a shard has to be told.
#[derive(Clone)]
pub struct Settings {
    /// Secret of the salts; the same for whoever serves the shard, or logins fail over a change of owner.
    pub salt_key: [u8; 32],
    /// How many contexts there can be: records `0..capacity`.
    pub capacity: u16,
}

/// The master side of the protocol for one shard.
pub struct Mmdvm {
    salter: Salter,
    table: Table,
    pending: Pending,
    outputs: VecDeque<Output>,
    /// No context expires before this; `None` while there are none.
    check_at: Option<Time>,
}

impl Stack for Mmdvm {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        let now = now.mono;
        match input {
            Input::Datagram { listener, from, local, bytes } => {
                self.datagram(now, Path { listener, local, remote: from }, bytes);
            }
            Input::Deliver { context, slot, stream, frame } => self.deliver(context, slot, stream, frame),
            Input::Answer(Answer::Login { id, from, verdict }) => {
                if let Some(path) = self.pending.answer(now, id, from) {
                    self.answer(now, id, path, verdict);
                }
            }
            Input::Evict { id, keep, gone } => {
                let known = self.table.of(id).and_then(|index| Some((index, self.table.get(index)?)));
                if let Some((index, context)) = known
                    && Some(context.path.remote) != keep
                {
                    self.drop_context(index, gone);
                }
            }
            Input::Settings { id, settings } => {
                if let Some(index) = self.table.of(id) {
                    let (_, profile) =
                        self.change(index, |context| context.statics.set_registry(&settings.statics));
                    self.up(index, profile);
                }
            }
            Input::Restore { context, bytes } => self.restore(now, context, bytes),
            Input::Shutdown => {
                let all: Vec<u16> = self.table.iter().map(|(index, _)| index).collect();
                all.into_iter().for_each(|index| self.drop_context(index, Gone::Shutdown));
            }
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        let now = now.mono;
        if self.check_at.is_none_or(|at| now < at) {
            return;
        }
        let silent = self.table.iter().filter(|(_, context)| now.since(context.heard) >= TIMEOUT);
        let silent: Vec<u16> = silent.map(|(index, _)| index).collect();
        silent.into_iter().for_each(|index| self.drop_context(index, Gone::Silent));
        self.check_at = self.table.iter().map(|(_, context)| context.heard + TIMEOUT).min();
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.check_at
    }

    fn encode_record(&self, context: u16, out: &mut [u8]) -> Option<usize> {
        self.table.get(context)?.encode(out)
    }
}

impl Mmdvm {
    /// A shard without contexts.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            salter: Salter::new(settings.salt_key),
            table: Table::new(settings.capacity),
            pending: Pending::default(),
            outputs: VecDeque::new(),
            check_at: None,
        }
    }

    /// How many contexts and unanswered logins there are, for tests.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.table.len(), self.pending.len())
    }

    fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn refuse(&mut self, why: Refusal) {
        self.push(Output::Refused(why));
    }

    fn notice(&mut self, notice: Notice) {
        self.push(Output::Notice(Box::new(notice)));
    }

    fn datagram(&mut self, now: Time, path: Path, bytes: &[u8]) {
        let Ok(packet) = parse(bytes) else { return self.refuse(Refusal::Malformed) };
        match packet {
            Packet::Login { id } => {
                if self.table.at(path.remote).is_some() {
                    // It begins anew: what it answers is no repeat, even where the salt is the same.
                    self.pending.forget(id, path.remote);
                }
                let salt = self.salter.present(id, path.remote, now);
                self.push(Output::Send(packet::salt(&path, salt)));
            }
            Packet::Key { id, digest } => self.key(now, id, path, *digest),
            _ => self.device(now, path, packet),
        }
    }

    /// An `RPTK`: someone else has to say whether it is right.
    fn key(&mut self, now: Time, id: u32, path: Path, digest: [u8; 32]) {
        let at = self.table.at(path.remote);
        if at.is_some() && at == self.table.of(id) && self.pending.is_answered(id, path.remote, &digest) {
            // The answer was lost, or the datagram came twice: what the device has done since stays.
            return self.push(Output::Send(packet::ack(&path, id)));
        }
        if self.pending.ask(now, id, path, digest) {
            let salts = self.salter.salts(id, path.remote, now);
            let login = Login { id, from: path.remote, salts, digest };
            self.push(Output::Ask(Box::new(Ask::Login(login))));
        }
    }

    fn answer(&mut self, now: Time, id: u32, path: Path, verdict: Verdict) {
        match verdict {
            Verdict::Accepted { settings } => self.accept(now, id, path, &settings.statics),
            Verdict::Refused { tell } => {
                if tell {
                    self.push(Output::Send(packet::nak(&path, id)));
                }
                self.refuse(Refusal::WrongPassword);
            }
        }
    }

    /// A login was right. Whatever its ID or its address had before is gone: a device that logs in anew has
    /// forgotten its calls, and has to say again what it is.
    fn accept(&mut self, now: Time, id: u32, path: Path, statics: &[Vec<u32>; 2]) {
        let before = [self.table.of(id), self.table.at(path.remote)];
        before.into_iter().flatten().for_each(|index| self.drop_context(index, Gone::Replaced));
        let Some(index) = self.table.insert(Context::new(now, id, path, statics)) else {
            self.push(Output::Send(packet::nak(&path, id)));
            self.refuse(Refusal::Full);
            let reason = "no room for one more context in this shard: raise its capacity".to_owned();
            return self.notice(Notice::Refused { id, from: path.remote, reason });
        };
        self.check_at.get_or_insert(now + TIMEOUT);
        self.push(Output::Changed(index));
        self.push(Output::Send(packet::ack(&path, id)));
    }

    /// A datagram that only a logged-in device may send.
    fn device(&mut self, now: Time, path: Path, packet: Packet<'_>) {
        let id = packet.id();
        let at = self.table.at(path.remote);
        let Some((index, context)) = at.and_then(|index| Some((index, self.table.get_mut(index)?))) else {
            return self.stranger(&path, &packet);
        };
        if context.id != id {
            let late = matches!(packet, Packet::Burst(_)) && !context.is_running();
            return if late { self.refuse(Refusal::NotLoggedIn) } else { self.stranger(&path, &packet) };
        }
        if !context.is_running() && matches!(packet, Packet::Ping { .. }) {
            // Only who thinks itself logged in pings: it has to begin anew.
            return self.stranger(&path, &packet);
        }
        // A device that does not get on with its login is not kept by whatever else it sends.
        if context.is_running() {
            context.heard = now;
        }
        match packet {
            Packet::Burst(dmrd) => self.burst(index, dmrd),
            Packet::Ping { .. } => self.push(Output::Send(packet::pong(&path, id))),
            Packet::Config { body, .. } => self.config(now, index, &path, body),
            Packet::Options { text, .. } => self.options(index, &path, text),
            Packet::Close { .. } => self.drop_context(index, Gone::Closed),
            Packet::Position { text, .. } => self.position(index, text),
            Packet::Alias { .. } | Packet::Location { .. } | Packet::Login { .. } | Packet::Key { .. } => {}
        }
    }

    /// A datagram from an address that is not logged in under its ID. What a client waits for, or sends only
    /// while it thinks itself logged in, is answered so that it logs in again; the answer is never longer than
    /// two bytes more than the datagram.
    fn stranger(&mut self, path: &Path, packet: &Packet<'_>) {
        self.refuse(Refusal::NotLoggedIn);
        if !matches!(packet, Packet::Alias { .. } | Packet::Location { .. } | Packet::Position { .. }) {
            self.push(Output::Send(packet::nak(path, packet.id())));
        }
    }

    fn burst(&mut self, index: u16, dmrd: Dmrd<'_>) {
        let config = self.table.get(index).and_then(|context| context.config.as_ref());
        let Some(config) = config else { return self.refuse(Refusal::NotLoggedIn) };
        let Ok(frame) = dmrd.frame() else { return self.refuse(Refusal::BadFrame) };
        // A simplex hotspot has one slot, whatever it calls it.
        let slot = if config.slots == Slots::Simplex { Slot::Two } else { dmrd.slot() };
        self.push(Output::Frame { context: index, slot, stream: dmrd.stream(), frame });
    }

    fn deliver(&mut self, index: u16, slot: Slot, stream: u32, frame: &Frame) {
        // The switch may not yet have heard that a context is gone.
        let Some(context) = self.table.get(index).filter(|context| context.is_running()) else { return };
        let datagram = packet::dmrd(&context.path, context.id, slot, stream, frame);
        self.push(Output::Send(datagram));
    }

    fn config(&mut self, now: Time, index: u16, path: &Path, body: &[u8; 294]) {
        let Some(context) = self.table.get_mut(index) else { return };
        let (id, from, was_running) = (context.id, context.path.remote, context.is_running());
        let config = match Config::parse(body) {
            Ok(config) => config,
            Err(error) => {
                self.refuse(Refusal::BadConfiguration);
                self.notice(Notice::Refused { id, from, reason: error.to_string() });
                return self.drop_context(index, Gone::Refused);
            }
        };
        context.heard = now;
        let call = config.call.clone();
        let software = format!("{} {}", config.software, config.package).trim().to_owned();
        let ((), profile) = self.change(index, |context| context.config = Some(Box::new(config)));
        self.push(Output::Send(packet::ack(path, id)));
        self.up(index, profile);
        if !was_running {
            self.notice(Notice::Up { id, from, call, software });
        }
    }

    fn options(&mut self, index: u16, path: &Path, text: &[u8]) {
        let Some(context) = self.table.get(index) else { return };
        let (id, from, before) = (context.id, context.path.remote, context.statics.clone());
        let lists = options::parse(text);
        let ((dropped, changed), profile) = self.change(index, |context| {
            let dropped = context.statics.set_options(&lists);
            let merged = context.config.as_ref().map_or(0, |config| context.statics.lists(config.slots).1);
            (dropped + merged, context.statics != before)
        });
        self.push(Output::Send(packet::ack(path, id)));
        self.up(index, profile);
        // A client repeats its options when the answer was lost: it is told of once.
        if changed && dropped > 0 {
            let reason = format!(
                "{dropped} static talkgroups of the options are ignored: a slot has at most {MAX_TALKGROUPS}"
            );
            self.notice(Notice::Refused { id, from, reason });
        }
    }

    fn position(&mut self, index: u16, text: &[u8; 17]) {
        let Some(position) = Position::parse(&text[..8], &text[8..]) else { return };
        self.change(index, |context| {
            if let Some(config) = &mut context.config {
                config.position = Some(position);
            }
        });
    }

    fn restore(&mut self, now: Time, index: u16, bytes: &[u8]) {
        let placed = Context::decode(now, bytes).is_ok_and(|context| self.table.place(index, context));
        if !placed {
            return self.refuse(Refusal::Malformed);
        }
        self.check_at.get_or_insert(now + TIMEOUT);
        let profile = self.table.get(index).and_then(Context::profile);
        self.up(index, profile);
    }

    /// Changes a context. Says that its record has changed, if it has, and returns its profile, if that is now
    /// another one.
    fn change<R: Default>(
        &mut self,
        index: u16,
        change: impl FnOnce(&mut Context) -> R,
    ) -> (R, Option<Profile>) {
        let Some(context) = self.table.get_mut(index) else { return (R::default(), None) };
        let before = context.clone();
        let result = change(context);
        if *context == before {
            return (result, None);
        }
        let profile = context.profile().filter(|profile| before.profile().as_ref() != Some(profile));
        self.push(Output::Changed(index));
        (result, profile)
    }

    fn up(&mut self, context: u16, profile: Option<Profile>) {
        if let Some(profile) = profile {
            self.push(Output::Up { context, profile: Box::new(profile) });
        }
    }

    /// Drops a context, and says so to the device where that makes it do the right thing: one that was replaced
    /// is most often the same one behind a new port of its NAT.
    fn drop_context(&mut self, index: u16, gone: Gone) {
        let Some(Context { id, path, config, .. }) = self.table.remove(index) else { return };
        self.push(Output::Changed(index));
        if config.is_some() {
            self.push(Output::Down(index));
            self.notice(Notice::Down { id, from: path.remote, gone });
        }
        if gone != Gone::Replaced {
            self.pending.forget(id, path.remote);
        }
        match gone {
            Gone::Closed | Gone::Refused => self.push(Output::Send(packet::nak(&path, id))),
            Gone::Kicked | Gone::Shutdown => self.push(Output::Send(packet::close(&path, id))),
            Gone::Replaced | Gone::Silent => {}
        }
    }
}
