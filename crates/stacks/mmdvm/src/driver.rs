//! The state machine of one shard: datagrams, answers and time in, datagrams, frames and news out. How a device
//! logs in and goes is here, what it does between in `device.rs`.

use std::collections::VecDeque;
use std::time::Duration;

use stack::{
    Access, Answer, Ask, CallAccess, DeviceSettings, Envelope, Frame, Gone, Input, Login, MAX_DATAGRAM,
    Notice, Now, Output, Profile, Refusal, Slot, Stack, Time, Verdict,
};

use crate::admission::Admission;
use crate::answer;
use crate::context::Context;
use crate::dmrd;
use crate::packet::{Packet, parse};
use crate::path::{Dialect, Path};
use crate::pending::Pending;
use crate::salt::Salter;
use crate::table::Table;

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
    /// Which devices may log in.
    pub devices: Access,
    /// Which call signs they may have.
    pub call_signs: CallAccess,
}

/// The master side of the protocol for one shard.
pub struct Mmdvm {
    salter: Salter,
    pub(crate) admission: Admission,
    pub(crate) table: Table,
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
                let path = Path { listener, local, remote: from, dialect: Dialect::Binary };
                self.datagram(now, path, bytes);
            }
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
                    let ((), profile) = self.change(index, |context| context.set_registry(&settings));
                    self.up(index, profile);
                }
            }
            // The protocol has no word for the one, and there is no other network here.
            Input::Unwanted { .. } | Input::Peer { .. } => {}
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

    fn deliver(
        &mut self,
        _now: Now,
        context: u16,
        slot: Slot,
        stream: u32,
        frame: &Frame,
        out: &mut [u8; MAX_DATAGRAM],
    ) -> Option<(Envelope, usize)> {
        // The switch may not yet have heard that a context is gone.
        let context = self.table.get(context).filter(|context| context.is_running())?;
        dmrd::write(out.first_chunk_mut()?, context.id, slot, stream, frame);
        // DMRGateway takes no other than the long form; the text dialect's specification and clients know only the short one.
        let len = if context.path.dialect == Dialect::Text { 53 } else { dmrd::MAX_LEN };
        Some((context.path.envelope(), len))
    }

    fn warm(&self, context: u16) {
        // Its ends: it lies on more than one line.
        let ends = self.table.get(context).map(|context| (context.id, context.is_running()));
        std::hint::black_box(ends);
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
            admission: Admission::new(settings.devices, settings.call_signs),
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

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn refuse(&mut self, why: Refusal) {
        self.push(Output::Refused(why));
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.push(Output::Notice(Box::new(notice)));
    }

    fn datagram(&mut self, now: Time, mut path: Path, bytes: &[u8]) {
        let Ok((packet, dialect)) = parse(bytes) else { return self.refuse(Refusal::Malformed) };
        path.dialect = dialect.unwrap_or_default();
        match packet {
            Packet::Login { id } => {
                if self.table.at(path.remote).is_some() {
                    // It begins anew: what it answers is no repeat, even where the salt is the same.
                    self.pending.forget(id, path.remote);
                }
                let salt = self.salter.present(id, path.remote, now);
                self.push(Output::Send(answer::salt(&path, id, salt)));
            }
            Packet::Key { id, digest } => self.key(now, id, path, digest),
            _ => self.device(now, path, packet, dialect),
        }
    }

    /// An `RPTK`: someone else has to say whether it is right.
    fn key(&mut self, now: Time, id: u32, path: Path, digest: [u8; 32]) {
        if !self.admission.device(id) {
            return self.deny(now, id, &path);
        }
        let at = self.table.at(path.remote);
        if at.is_some() && at == self.table.of(id) && self.pending.is_answered(id, &path, &digest) {
            // The answer was lost, or the datagram came twice: what the device has done since stays.
            return self.push(Output::Send(answer::ack(&path, id)));
        }
        if self.pending.ask(now, id, path, digest) {
            let salts = self.salter.salts(id, path.remote, now);
            let text = path.dialect == Dialect::Text;
            let login = Login { id, from: path.remote, salts, text, digest };
            self.push(Output::Ask(Box::new(Ask::Login(login))));
        }
    }

    /// A device that is not let in: its password is of no matter.
    fn deny(&mut self, now: Time, id: u32, path: &Path) {
        self.push(Output::Send(answer::nak(path, id)));
        self.refuse(Refusal::Denied);
        if self.admission.tell(now) {
            let reason = format!("device {id} is not let in by access.devices of the configuration");
            self.notice(Notice::Refused { id, from: path.remote, reason });
        }
    }

    fn answer(&mut self, now: Time, id: u32, path: Path, verdict: Verdict) {
        match verdict {
            Verdict::Accepted { settings } => self.accept(now, id, path, &settings),
            Verdict::Refused { tell } => {
                if tell {
                    self.push(Output::Send(answer::nak(&path, id)));
                }
                self.refuse(Refusal::WrongPassword);
            }
        }
    }

    /// A login was right. Whatever its ID or its address had before is gone: a device that logs in anew has
    /// forgotten its calls, and has to say again what it is.
    fn accept(&mut self, now: Time, id: u32, path: Path, settings: &DeviceSettings) {
        let before = [self.table.of(id), self.table.at(path.remote)];
        before.into_iter().flatten().for_each(|index| self.drop_context(index, Gone::Replaced));
        let Some(index) = self.table.insert(Context::new(now, id, path, settings)) else {
            self.push(Output::Send(answer::nak(&path, id)));
            self.refuse(Refusal::Full);
            let reason = "no room for one more context in this shard: raise its capacity".to_owned();
            return self.notice(Notice::Refused { id, from: path.remote, reason });
        };
        self.check_at.get_or_insert(now + TIMEOUT);
        self.push(Output::Changed(index));
        self.push(Output::Send(answer::ack(&path, id)));
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
    pub(crate) fn change<R: Default>(
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

    pub(crate) fn up(&mut self, context: u16, profile: Option<Profile>) {
        if let Some(profile) = profile {
            self.push(Output::Up { context, profile: Box::new(profile) });
        }
    }

    /// Drops a context, and says so to the device where that makes it do the right thing: one that was replaced
    /// is most often the same one behind a new port of its NAT.
    pub(crate) fn drop_context(&mut self, index: u16, gone: Gone) {
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
            Gone::Closed | Gone::Refused => self.push(Output::Send(answer::nak(&path, id))),
            Gone::Kicked | Gone::Shutdown => self.push(Output::Send(answer::close(&path, id))),
            Gone::Replaced | Gone::Silent => {}
        }
    }
}
