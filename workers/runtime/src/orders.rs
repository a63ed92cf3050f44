//! What others want of a worker: siblings their calls, services their orders, the supervisor his own.

use std::os::fd::OwnedFd;

use channel::{Child, Order, Parent};
use fabric::{Counter, SERVICES, Wake};
use fastforward::NetworkKey;
use stack::{Input, Now};
use transport::Address;

use crate::Error;
use crate::siblings::Heard;
use crate::worker::{TICK, Worker};

/// Orders of the services carried out in one round.
const ORDERS: usize = 32;

impl Worker {
    /// Looks at what siblings and services have for us.
    /// Returns how much siblings had.
    pub(crate) fn answer_bell(&mut self, now: Now) -> usize {
        let mut set = self.bell.take() | std::mem::take(&mut self.pending);
        if now.mono >= self.next_tick {
            self.next_tick = now.mono + TICK;
            set = Wake::MAX;
        }
        let mut came = 0;
        if set & !(1 << SERVICES) != 0 {
            let mut heard = std::mem::take(&mut self.heard);
            self.pending = self.siblings.read(&self.stats, set, &mut heard);
            came = heard.len();
            self.hear(now, &mut heard);
            self.heard = heard;
        }
        if set >> SERVICES & 1 == 1 {
            self.follow_orders(now);
        }
        came
    }

    /// Takes in what siblings have published.
    pub(crate) fn hear(&mut self, now: Now, heard: &mut Heard) {
        self.take_in_heard(now, heard);
        self.finish_overtaking(now);
    }

    /// The same, but for those that may have overtaken others.
    pub(crate) fn take_in_heard(&mut self, now: Now, heard: &mut Heard) {
        self.work_on(None);
        for (peer, node, forward) in heard.near.drain(..) {
            self.stats.add(Counter::Frames, 1);
            // What the switch asks is answered before the next burst: it may be of the same call.
            self.switch.handle_input(now, switch::Input::Remote { peer, node, forward: &forward });
            self.warm();
            self.settle(now);
        }
        self.hear_far(now, heard);
    }

    /// What may have been overtaken is read, and then those that may have overtaken it follow.
    pub(crate) fn finish_overtaking(&mut self, now: Now) {
        if !self.overtaking.is_empty() {
            self.read_rest(now);
            self.let_overtake(now);
        }
    }

    /// Takes in those that may have overtaken others: these have been read.
    pub(crate) fn let_overtake(&mut self, now: Now) {
        let mut overtaking = std::mem::take(&mut self.overtaking);
        for (peer, node, forward) in overtaking.drain(..) {
            self.switch.handle_input(now, switch::Input::Moved { peer, node, forward: &forward });
            self.settle(now);
        }
        self.overtaking = overtaking;
    }

    fn follow_orders(&mut self, now: Now) {
        self.work_on(None);
        for _ in 0..ORDERS {
            let Some(order) = self.services.order() else { return };
            self.follow(now, order);
            self.services.done();
        }
        self.pending |= 1 << SERVICES;
    }

    fn follow(&mut self, now: Now, order: Order) {
        match order {
            Order::Answer { shard, answer } => {
                if let Some(place) = self.place(shard) {
                    self.tell(now, place, Input::Answer(answer));
                }
            }
            Order::Peer { shard, id, settings } => {
                if let Some(place) = self.place(shard) {
                    self.tell(now, place, Input::Peer { id, settings });
                }
            }
            Order::Evict { id, keep, gone } => {
                (0..self.places_len()).for_each(|p| self.tell(now, p, Input::Evict { id, keep, gone }));
            }
            Order::Settings { id, settings } => {
                for place in 0..self.places_len() {
                    self.tell(now, place, Input::Settings { id, settings: settings.clone() });
                }
            }
            Order::Ban { radio, until_ms } => self.instruct(now, switch::Input::Ban { radio, until_ms }),
            Order::DropCall { id, slot } => self.instruct(now, switch::Input::DropCall { id, slot }),
            Order::DropDynamic { id, slot } => self.instruct(now, switch::Input::DropDynamic { id, slot }),
            Order::Host { address, host, is_wanted } => {
                let address = Address::udp(address);
                self.tell_hosts(now, fastforward::Input::Host { address, host, is_wanted });
            }
            Order::HostKey { host, key } => {
                let key = key.map(|key| NetworkKey::new(key.0));
                self.tell_hosts(now, fastforward::Input::HostKey { host, key });
            }
            Order::OverriddenNode { node, address } => {
                let address = address.map(Address::udp);
                self.tell_hosts(now, fastforward::Input::Override { node, address });
            }
        }
    }

    fn instruct(&mut self, now: Now, input: switch::Input<'_>) {
        self.switch.handle_input(now, input);
        self.settle(now);
    }

    fn tell(&mut self, now: Now, place: u16, input: Input<'_>) {
        self.shards[usize::from(place)].stack.handle_input(now, input);
        self.touched.push(place);
        self.settle(now);
    }

    /// What the supervisor says. Its end is ours.
    pub(crate) fn obey(&mut self, now: Now) -> Result<(), Error> {
        while self.end.is_none() {
            let Some((message, fds)) = self.socket.receive()? else { break };
            self.obey_one(now, message, fds)?;
        }
        Ok(())
    }

    pub(crate) fn obey_one(&mut self, now: Now, message: Parent, fds: Vec<OwnedFd>) -> Result<(), Error> {
        match message {
            Parent::Pause { number } => self.pause(now, number)?,
            Parent::Release { shards, to } => self.release(now, &shards, to)?,
            Parent::Forget { to } => self.forget(to),
            Parent::Moved { from, to } => self.siblings.moved(from, to),
            Parent::Retired { slot } => self.siblings.remove(slot),
            Parent::Leave => {
                // Who takes its place may not be able to read what lies in the rings.
                self.read_all(now);
                self.hear_relays(now);
                self.finish_round(now);
                self.end = Some(Child::Left);
            }
            Parent::Stop => {
                self.end = Some(Child::Stopped);
                (0..self.places_len()).for_each(|place| self.tell(now, place, Input::Shutdown));
            }
            message => {
                if self.take_in(message, fds)? {
                    self.go_on()?;
                }
            }
        }
        Ok(())
    }
}
