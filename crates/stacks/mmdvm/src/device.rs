//! What a device that is logged in does: bursts, life signs, configuration, options.

use stack::{Gone, MAX_TALKGROUPS, Notice, Output, Refusal, Slot, Slots, Time};

use crate::config::Fields;
use crate::packet::Packet;
use crate::path::{Dialect, Path};
use crate::{Config, Dmrd, Mmdvm, Position, answer, options};

impl Mmdvm {
    /// A datagram that only a logged-in device may send; `dialect`: in this one, where it is not the same in both.
    pub(crate) fn device(&mut self, now: Time, mut path: Path, packet: Packet<'_>, dialect: Option<Dialect>) {
        let id = packet.id();
        let at = self.table.at(path.remote);
        let Some((index, context)) = at.and_then(|index| Some((index, self.table.get_mut(index)?))) else {
            return self.stranger(&path, &packet);
        };
        if dialect.is_none() {
            path.dialect = context.path.dialect;
        }
        if context.id != id {
            let late = matches!(packet, Packet::Burst(_)) && !context.is_running();
            return if late { self.refuse(Refusal::NotLoggedIn) } else { self.stranger(&path, &packet) };
        }
        if context.path.dialect != path.dialect {
            // A device speaks what it has logged in with. This is another program at the same address.
            return self.stranger(&path, &packet);
        }
        if !context.is_running() && matches!(packet, Packet::Ping { .. } | Packet::MasterPing { .. }) {
            // Only who thinks itself logged in pings: it has to begin anew.
            return self.stranger(&path, &packet);
        }
        // A device that does not get on with its login is not kept by whatever else it sends.
        if context.is_running() {
            context.heard = now;
        }
        match packet {
            Packet::Burst(dmrd) => self.burst(index, dmrd),
            Packet::Ping { .. } => self.push(Output::Send(answer::master_pong(&path, id))),
            Packet::MasterPing { .. } => self.push(Output::Send(answer::repeater_pong(&path, id))),
            Packet::Config { fields, .. } => self.config(now, index, &path, fields),
            Packet::Options { text, .. } => self.options(index, &path, text),
            Packet::Close { .. } => self.drop_context(index, Gone::Closed),
            Packet::Position { text, .. } => self.position(index, text),
            Packet::Interrupt { slot, .. } => self.interrupt(index, slot),
            Packet::Alias { .. } | Packet::Location { .. } | Packet::Rssi { .. } => {}
            Packet::Login { .. } | Packet::Key { .. } => {}
        }
    }

    /// A datagram from an address that is not logged in under its ID. What a client waits for, or sends only
    /// while it thinks itself logged in, is answered so that it logs in again, in the dialect of the datagram; the
    /// answer is never longer than two bytes more than the datagram. What no client waits for is not answered.
    fn stranger(&mut self, path: &Path, packet: &Packet<'_>) {
        self.refuse(Refusal::NotLoggedIn);
        let silent =
            matches!(packet, Packet::Alias { .. } | Packet::Location { .. } | Packet::Position { .. })
                || matches!(packet, Packet::Rssi { .. } | Packet::Interrupt { .. });
        if !silent {
            self.push(Output::Send(answer::nak(path, packet.id())));
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

    fn config(&mut self, now: Time, index: u16, path: &Path, fields: Fields<'_>) {
        let Some(context) = self.table.get_mut(index) else { return };
        let (id, from, was_running) = (context.id, context.path.remote, context.is_running());
        let checked = match Config::parse(fields) {
            Ok(config) if self.admission.call(&config.call) => Ok(config),
            Ok(Config { call, .. }) => {
                let reason =
                    format!("call sign {call} is not let in by access.call_signs of the configuration");
                Err((Refusal::Denied, reason))
            }
            Err(error) => Err((Refusal::BadConfiguration, error.to_string())),
        };
        let config = match checked {
            Ok(config) => config,
            Err((why, reason)) => {
                self.refuse(why);
                self.notice(Notice::Refused { id, from, reason });
                return self.drop_context(index, Gone::Refused);
            }
        };
        context.heard = now;
        let call = config.call.to_string();
        let software = format!("{} {}", config.software, config.package).trim().to_owned();
        let ((), profile) = self.change(index, |context| context.config = Some(Box::new(config)));
        self.push(Output::Send(answer::ack(path, id)));
        self.up(index, profile);
        if !was_running {
            self.notice(Notice::Up { id, from, call, software });
        }
    }

    fn options(&mut self, index: u16, path: &Path, text: &[u8]) {
        let Some(context) = self.table.get(index) else { return };
        let (id, from, before) = (context.id, context.path.remote, context.statics.clone());
        let options = options::parse(text);
        let ((dropped, changed), profile) = self.change(index, |context| {
            let dropped = context.set_options(&options);
            let merged = context.config.as_ref().map_or(0, |config| context.statics.lists(config.slots).1);
            (dropped + merged, context.statics != before)
        });
        self.push(Output::Send(answer::ack(path, id)));
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

    /// The device wants the call on this slot to end.
    fn interrupt(&mut self, index: u16, slot: Slot) {
        let Some((id, config)) = self.table.get(index).and_then(|c| Some((c.id, c.config.as_ref()?))) else {
            return self.refuse(Refusal::NotLoggedIn);
        };
        let slot = if config.slots == Slots::Simplex { Slot::Two } else { slot };
        self.push(Output::Interrupt { id, slot });
    }
}
