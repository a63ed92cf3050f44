//! How what comes out of one core goes into the next, until nothing comes.

use channel::Report;
use fabric::{CELL_LEN, Cell, Counter, Location, Work};
use stack::{ContextKey, Envelope, MAX_DATAGRAM, Now, Output};
use switch::Place;

use crate::counters;
use crate::shard::Shard;
use crate::worker::Worker;

/// Receivers that are fetched ahead.
const WARM: usize = 64;

impl Worker {
    /// Carries outputs to where they belong until there are none.
    pub(crate) fn settle(&mut self, now: Now) {
        loop {
            if let Some(place) = self.touched.pop() {
                self.drain_stack(now, place);
            } else if let Some(output) = self.switch.poll_output() {
                self.on_switch(now, output);
            } else {
                return;
            }
        }
    }

    fn drain_stack(&mut self, now: Now, place: u16) {
        while let Some(output) = self.shards[usize::from(place)].stack.poll_output() {
            self.on_stack(now, place, output);
        }
        self.deadlines.set(place, self.shards[usize::from(place)].stack.poll_timeout());
    }

    fn on_stack(&mut self, now: Now, place: u16, output: Output) {
        let shard = &mut self.shards[usize::from(place)];
        let key = |index| ContextKey { shard: shard.number, index };
        match output {
            Output::Send(datagram) => {
                let outlet = shard.outlet;
                self.post(outlet, &datagram.envelope, datagram.bytes());
            }
            Output::Frame { context, slot, stream, frame } => {
                self.stats.add(Counter::Frames, 1);
                let context = key(context);
                self.work_on(Some(Work { shard: context.shard, row: Some(context.index) }));
                self.switch.handle_input(now, switch::Input::Frame { context, slot, stream, frame: &frame });
                self.warm();
            }
            Output::Changed(index) => shard.save_stack(index),
            Output::Up { context, profile } => {
                let context = key(context);
                self.switch.handle_input(now, switch::Input::Up { context, profile: *profile });
            }
            Output::Down(index) => {
                let context = key(index);
                self.switch.handle_input(now, switch::Input::Down(context));
            }
            Output::Ask(ask) => {
                let report = Report::Ask { shard: shard.number, ask: *ask };
                self.services.report(&self.stats, &report);
            }
            Output::Interrupt { id, slot } => {
                self.switch.handle_input(now, switch::Input::DropCall { id, slot: Some(slot) });
            }
            Output::Refused(refusal) => self.stats.add(counters::of(refusal), 1),
            Output::Notice(notice) => {
                let report = Report::Notice { shard: shard.number, notice: *notice };
                self.services.report(&self.stats, &report);
            }
        }
    }

    fn on_switch(&mut self, now: Now, output: switch::Output) {
        use switch::Output;
        match output {
            Output::Deliver { context, slot, stream, frame } => {
                let Some(place) = self.place(context.shard) else { return };
                self.delivered += 1;
                let Shard { stack, outlet, .. } = &mut self.shards[usize::from(place)];
                let sent = stack.deliver(now, context.index, slot, stream, &frame, &mut self.scratch);
                if let Some((envelope, len)) = sent {
                    let (outlet, len) = (*outlet, len.min(MAX_DATAGRAM));
                    if !self.outlets.push(&self.stats, outlet, &envelope, &self.scratch[..len]) {
                        self.make_room();
                        self.outlets.push(&self.stats, outlet, &envelope, &self.scratch[..len]);
                    }
                }
            }
            Output::Forward(forward) => {
                self.siblings.forward(&self.stats, &forward);
                self.tell_hosts(now, fastforward::Input::Forward(&forward));
                if !self.relays.is_empty()
                    && let Some(node) = self.siblings.node_of(forward.index)
                {
                    self.relays.forward(&self.stats, node, &forward);
                }
            }
            Output::Started { index, report } => {
                self.siblings.started(index, &report);
                if let Some(hosts) = &mut self.hosts {
                    hosts.started(now, index, &report);
                }
                self.services.report(&self.stats, &Report::Started(report));
            }
            Output::Stopped { index, report, ended } => {
                self.siblings.stopped(index);
                self.tell_hosts(now, fastforward::Input::Stopped { index });
                self.services.report(&self.stats, &Report::Stopped { report, ended });
            }
            Output::Changed(context) => self.save_switch(context),
            Output::Moved { peer, node, forward } => self.overtaking.push((peer, node, *forward)),
            Output::Interest { talkgroup, wanted } => {
                self.note_wishes();
                let range =
                    fastforward::Input::Range { first: talkgroup, last: talkgroup, is_wanted: wanted };
                self.tell_hosts(now, range);
                if !wanted && self.released.is_pending {
                    self.released.unwanted.push(talkgroup);
                } else {
                    self.siblings.set_interest(talkgroup, wanted);
                }
            }
            Output::Range { first, last, wanted } => {
                self.note_wishes();
                self.tell_hosts(now, fastforward::Input::Range { first, last, is_wanted: wanted });
            }
            Output::Everything { wanted: false } if self.released.is_pending => {
                self.released.wanted_everything = true;
            }
            Output::Everything { wanted } => self.siblings.want_everything(wanted),
            Output::Unwanted { context, slot } => {
                if let Some(place) = self.place(context.shard) {
                    let input = stack::Input::Unwanted { context: context.index, slot };
                    self.shards[usize::from(place)].stack.handle_input(now, input);
                    self.touched.push(place);
                }
            }
            Output::Heard { radio, context, slot } => {
                let at_ms = now.wall_us / 1000;
                let heard_ms = self.hosts.as_mut().map_or(at_ms, |hosts| hosts.heard(now, radio, at_ms));
                self.siblings.heard(radio, Location { context, slot: slot.number(), heard_ms });
            }
            Output::Home { id, slot } => self.siblings.home(id, slot, now.wall_us),
            Output::Away { id } if self.released.is_pending => self.released.away.push(id),
            Output::Away { id } => self.siblings.away(id),
            Output::Left { index } => {
                self.siblings.stopped(index);
                self.tell_hosts(now, fastforward::Input::Stopped { index });
            }
            Output::Locate { index, session, radio } => {
                let place = match self.locate(now, index, radio) {
                    // What workers of another build know nobody here does.
                    Place::Nowhere if !self.relays.is_empty() => Place::Elsewhere,
                    place => place,
                };
                self.switch.handle_input(now, switch::Input::Located { index, session, place });
            }
            Output::Refused { report, why } => {
                self.stats.add(counters::of_refused(why), 1);
                self.services.report(&self.stats, &Report::Refused { report, why });
            }
            Output::Carried { report } => {
                self.services.report(&self.stats, &Report::Carried(report));
            }
            Output::Alias { report, alias } => {
                let alias = alias.as_str().to_owned();
                self.services.report(&self.stats, &Report::Alias { report, alias });
            }
            Output::Blocked { radio, context, time } => {
                let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
                self.services.report(&self.stats, &Report::Blocked { radio, context, seconds });
            }
            Output::Dropped(dropped) => self.stats.add(counters::of_dropped(dropped), 1),
        }
    }

    /// Fetches what the receivers of a burst need, where that may have got cold since the last round.
    pub(crate) fn warm(&self) {
        if !self.is_cold {
            return;
        }
        for context in self.switch.receivers().take(WARM) {
            if let Some(place) = self.place(context.shard) {
                self.shards[usize::from(place)].stack.warm(context.index);
            }
        }
    }

    /// Puts a datagram into the batch of the listen address that it leaves from.
    fn post(&mut self, outlet: usize, envelope: &Envelope, bytes: &[u8]) {
        if !self.outlets.push(&self.stats, outlet, envelope, bytes) {
            self.make_room();
            self.outlets.push(&self.stats, outlet, envelope, bytes);
        }
    }

    fn make_room(&mut self) {
        // Siblings are woken first: they can work while our own datagrams go out.
        self.siblings.flush(&self.stats, &self.bell);
        self.outlets.flush(&self.stats);
    }

    fn save_switch(&mut self, context: ContextKey) {
        let Some(place) = self.place(context.shard) else { return };
        let mut buffer = [0; CELL_LEN];
        let len = self.switch.encode_record(context, &mut buffer).unwrap_or(0);
        self.shards[usize::from(place)].state.write(context.index, Cell::Switch, &buffer[..len]);
    }
}
