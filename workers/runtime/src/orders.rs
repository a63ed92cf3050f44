//! What others want of a worker: siblings their calls, services their orders, the supervisor his own.

use channel::{Order, Parent};
use fabric::{Counter, SERVICES, Wake};
use stack::{Input, Now};

use crate::Error;
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
            let mut forwards = std::mem::take(&mut self.forwards);
            self.pending = self.siblings.read(&self.stats, set, &mut forwards);
            came = forwards.len();
            for (peer, node, forward) in forwards.drain(..) {
                self.stats.add(Counter::Frames, 1);
                // What the switch asks is answered before the next burst: it may be of the same call.
                self.switch.handle_input(now, switch::Input::Remote { peer, node, forward: &forward });
                self.warm();
                self.settle(now);
            }
            self.forwards = forwards;
        }
        if set >> SERVICES & 1 == 1 {
            self.follow_orders(now);
        }
        came
    }

    fn follow_orders(&mut self, now: Now) {
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
        while !self.stop {
            match self.socket.receive()? {
                None => break,
                Some((Parent::Sibling { slot, node }, fds)) => self.add_sibling(slot, node, fds)?,
                Some((Parent::Stop, _)) => {
                    self.stop = true;
                    (0..self.places_len()).for_each(|place| self.tell(now, place, Input::Shutdown));
                }
                Some(_) => return Err(Error::Orders("one that is not for a running worker".into())),
            }
        }
        Ok(())
    }
}
