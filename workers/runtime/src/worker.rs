//! The worker: its loop, and how what comes out of one core goes into the next.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use channel::{Child, Order, Parent, Report, Socket};
use fabric::{Bell, CELL_LEN, Cell, Counter, Location, SERVICES, Stats, Wake};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use stack::{ContextKey, Input, Now, Output, Refusal, Time};
use switch::{Dropped, Forward, Refused, Switch};
use sys::{Clocks, ReceiveBatch};

use crate::Error;
use crate::outlets::Outlets;
use crate::services::Services;
use crate::shard::Shard;
use crate::siblings::Siblings;

/// Datagrams taken from one socket before others have their turn.
const BATCH: usize = 32;
/// The longest datagram that any stack understands is shorter.
const MAX_RECEIVED: usize = 512;
/// How often a worker looks at everything, whatever the bells say.
const TICK: Duration = Duration::from_millis(250);
/// Orders of the services carried out in one round.
const ORDERS: usize = 32;
/// Descriptors handled in one round.
const EVENTS: usize = 64;

const TOKEN_SUPERVISOR: u64 = u64::MAX;
const TOKEN_BELL: u64 = u64::MAX - 1;

pub(crate) struct Worker {
    pub(crate) socket: Socket,
    pub(crate) outlets: Outlets,
    pub(crate) siblings: Siblings,
    epoll: Epoll,
    bell: Bell,
    /// Watched for edges, never read.
    _wake: OwnedFd,
    stats: Stats,
    services: Services,
    switch: Switch,
    shards: Vec<Shard>,
    /// Place in `shards`, by the shard's number.
    places: Vec<Option<u16>>,
    /// Shards whose stacks may have outputs.
    touched: Vec<u16>,
    batch: ReceiveBatch,
    next_tick: Time,
    /// What siblings have for us, while it is handled: empty between rounds.
    forwards: Vec<(u8, u32, Forward)>,
    /// Who has more for us than fitted the last round.
    pending: Wake,
    stop: bool,
}

impl Worker {
    pub(crate) fn new(
        socket: Socket,
        switch: Switch,
        bell: Bell,
        wake: OwnedFd,
        stats: Stats,
        siblings: Siblings,
        services: Services,
    ) -> Result<Self, Error> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Error::errno("epoll_create"))?;
        let watch = |fd, flags, token| {
            epoll.add(fd, EpollEvent::new(flags, token)).map_err(Error::errno("epoll_ctl"))
        };
        watch(socket.as_fd(), EpollFlags::EPOLLIN, TOKEN_SUPERVISOR)?;
        watch(wake.as_fd(), EpollFlags::EPOLLIN | EpollFlags::EPOLLET, TOKEN_BELL)?;
        Ok(Self {
            socket,
            outlets: Outlets::default(),
            siblings,
            epoll,
            bell,
            _wake: wake,
            stats,
            services,
            switch,
            shards: Vec::new(),
            places: Vec::new(),
            touched: Vec::new(),
            batch: ReceiveBatch::new(BATCH, MAX_RECEIVED),
            next_tick: Time::default(),
            forwards: Vec::new(),
            pending: 0,
            stop: false,
        })
    }

    /// How far the one before us in this slot has read that sibling's ring.
    pub(crate) fn place_in(&self, slot: u8) -> (u64, u64) {
        self.stats.place(slot)
    }

    /// Takes a shard over: what its last owner wrote down comes first, then what waits in its sockets.
    pub(crate) fn add_shard(&mut self, shard: Shard) -> Result<(), Error> {
        let place = u16::try_from(self.shards.len()).map_err(|_| Error::Orders("too many shards".into()))?;
        for (listener, socket) in (0_u64..).zip(&shard.sockets) {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(place) << 8 | listener);
            self.epoll.add(socket.as_fd(), event).map_err(Error::errno("epoll_ctl"))?;
        }
        let number = usize::from(shard.number);
        if self.places.len() <= number {
            self.places.resize(number + 1, None);
        }
        self.places[number] = Some(place);
        self.shards.push(shard);
        self.restore(place);
        Ok(())
    }

    fn restore(&mut self, place: u16) {
        let now = now();
        let shard = &self.shards[usize::from(place)];
        let (rows, number) = (shard.state.reader().rows(), shard.number);
        let mut cell = [0; CELL_LEN];
        for index in 0..rows {
            let shard = &mut self.shards[usize::from(place)];
            // Both cells are read before the first is answered: an answer writes them anew.
            let mut calls = [0; CELL_LEN];
            let calls_len = shard.state.reader().read(index, Cell::Switch, &mut calls);
            let Some(len) = shard.state.reader().read(index, Cell::Stack, &mut cell) else { continue };
            shard.stack.handle_input(now, Input::Restore { context: index, bytes: &cell[..len] });
            self.touched.push(place);
            self.settle(now);
            if let Some(len) = calls_len {
                let context = ContextKey { shard: number, index };
                self.switch.handle_input(now, switch::Input::Restore { context, bytes: &calls[..len] });
                self.settle(now);
            }
        }
    }

    /// Runs until told to stop.
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        self.bell.retract();
        self.siblings.announce();
        self.siblings.flush(&self.stats, &self.bell);
        self.socket.send(&Child::Ready { facts: Default::default() }, &[])?;
        let mut events = [EpollEvent::empty(); EVENTS];
        while !self.stop {
            let timeout =
                if self.pending != 0 || !self.bell.sleep() { EpollTimeout::ZERO } else { self.timeout() };
            let count = match self.epoll.wait(&mut events, timeout) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(errno) => return Err(Error::errno("epoll_wait")(errno)),
            };
            self.bell.awake();
            let now = now();
            for event in &events[..count] {
                match event.data() {
                    TOKEN_SUPERVISOR => self.obey(now)?,
                    TOKEN_BELL => {}
                    token => self.receive(now, token),
                }
            }
            self.answer_bell(now);
            self.do_what_is_due(now);
            self.finish_round(now);
        }
        self.socket.send(&Child::Stopped, &[])?;
        Ok(())
    }

    /// Until the next thing that is due, at most a tick.
    fn timeout(&self) -> EpollTimeout {
        let deadlines = self.shards.iter().filter_map(|shard| shard.deadline);
        let due = deadlines.chain(self.switch.poll_timeout()).fold(self.next_tick, Time::min);
        let wait = due.since(now().mono);
        // Rounded up: a wait that ends too early would find nothing due and wait again.
        let ms = u16::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        EpollTimeout::from(ms)
    }

    fn receive(&mut self, now: Now, token: u64) {
        let (place, listener) = ((token >> 8) as u16, (token & 0xff) as u8);
        let shard = &mut self.shards[usize::from(place)];
        // An error here is one that the network reported about an earlier datagram: nothing to be done.
        let count = self.batch.receive(shard.sockets[usize::from(listener)].as_fd()).unwrap_or(0);
        self.stats.add(Counter::DatagramsIn, count as u64);
        for i in 0..count {
            let Some(received) = self.batch.get(i) else { continue };
            let (from, local) = (received.from, received.local);
            let bytes = if received.cut { &[] } else { received.bytes };
            let shard = &mut self.shards[usize::from(place)];
            shard.stack.handle_input(now, Input::Datagram { listener, from, local, bytes });
            self.touched.push(place);
            self.settle(now);
        }
    }

    /// Looks at what siblings and services have for us.
    fn answer_bell(&mut self, now: Now) {
        let mut set = self.bell.take() | std::mem::take(&mut self.pending);
        if now.mono >= self.next_tick {
            self.next_tick = now.mono + TICK;
            set = Wake::MAX;
        }
        if set & !(1 << SERVICES) != 0 {
            let mut forwards = std::mem::take(&mut self.forwards);
            self.pending = self.siblings.read(&self.stats, set, &mut forwards);
            for (peer, node, forward) in forwards.drain(..) {
                self.stats.add(Counter::Frames, 1);
                // What the switch asks is answered before the next burst: it may be of the same call.
                self.instruct(now, switch::Input::Remote { peer, node, forward: &forward });
            }
            self.forwards = forwards;
        }
        if set >> SERVICES & 1 == 1 {
            self.follow_orders(now);
        }
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

    fn place(&self, shard: u16) -> Option<u16> {
        self.places.get(usize::from(shard)).copied().flatten()
    }

    fn places_len(&self) -> u16 {
        u16::try_from(self.shards.len()).unwrap_or(u16::MAX)
    }

    fn do_what_is_due(&mut self, now: Now) {
        for place in 0..self.places_len() {
            let shard = &mut self.shards[usize::from(place)];
            if shard.deadline.is_some_and(|at| at <= now.mono) {
                shard.stack.handle_timeout(now);
                self.touched.push(place);
                self.settle(now);
            }
        }
        if self.switch.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.switch.handle_timeout(now);
            self.settle(now);
        }
    }

    /// Siblings are woken first: they can work while our own datagrams go out.
    fn finish_round(&mut self, now: Now) {
        self.siblings.flush(&self.stats, &self.bell);
        self.outlets.flush(&self.stats);
        self.services.flush(&self.stats, &self.bell);
        self.stats.set(Counter::Contexts, self.switch.contexts() as u64);
        self.stats.set(Counter::Sessions, self.switch.sessions() as u64);
        self.stats.set(Counter::Heartbeat, now.mono.0);
        self.stats.add_lag(Time(Clocks::now().mono_us).since(now.mono).as_micros() as u64);
    }

    /// Carries outputs to where they belong until there are none.
    fn settle(&mut self, now: Now) {
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
        let shard = &mut self.shards[usize::from(place)];
        shard.deadline = shard.stack.poll_timeout();
    }

    fn on_stack(&mut self, now: Now, place: u16, output: Output) {
        let shard = &mut self.shards[usize::from(place)];
        let key = |index| ContextKey { shard: shard.number, index };
        match output {
            Output::Send(datagram) => {
                let outlet = shard.outlet + usize::from(datagram.listener);
                self.outlets.push(&self.stats, outlet, &datagram);
            }
            Output::Frame { context, slot, stream, frame } => {
                self.stats.add(Counter::Frames, 1);
                let context = key(context);
                self.switch.handle_input(now, switch::Input::Frame { context, slot, stream, frame: &frame });
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
            Output::Refused(refusal) => self.stats.add(counter_of(refusal), 1),
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
                self.stats.add(Counter::Delivered, 1);
                let input = Input::Deliver { context: context.index, slot, stream, frame: &frame };
                self.shards[usize::from(place)].stack.handle_input(now, input);
                self.touched.push(place);
            }
            Output::Forward(forward) => self.siblings.forward(&self.stats, &forward),
            Output::Started { index, report } => {
                self.siblings.started(index, &report);
                self.services.report(&self.stats, &Report::Started(report));
            }
            Output::Stopped { index, report, ended } => {
                self.siblings.stopped(index);
                self.services.report(&self.stats, &Report::Stopped { report, ended });
            }
            Output::Changed(context) => self.save_switch(context),
            Output::Interest { talkgroup, wanted } => self.siblings.set_interest(talkgroup, wanted),
            Output::Heard { radio, context, slot } => {
                let heard_ms = now.wall_us / 1000;
                self.siblings.heard(radio, Location { context, slot: slot.number(), heard_ms });
            }
            Output::Home { id, slot } => self.siblings.home(id, slot, now.wall_us),
            Output::Away { id } => self.siblings.away(id),
            Output::Locate { index, session, radio } => {
                let place = self.siblings.locate(index, radio);
                self.switch.handle_input(now, switch::Input::Located { index, session, place });
            }
            Output::Refused { report, why } => {
                self.stats.add(counter_of_refused(why), 1);
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
            Output::Dropped(dropped) => self.stats.add(counter_of_dropped(dropped), 1),
        }
    }

    fn save_switch(&mut self, context: ContextKey) {
        let Some(place) = self.place(context.shard) else { return };
        let mut buffer = [0; CELL_LEN];
        let len = self.switch.encode_record(context, &mut buffer).unwrap_or(0);
        self.shards[usize::from(place)].state.write(context.index, Cell::Switch, &buffer[..len]);
    }

    /// What the supervisor says. Its end is ours.
    fn obey(&mut self, now: Now) -> Result<(), Error> {
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

fn now() -> Now {
    let clocks = Clocks::now();
    Now { mono: Time(clocks.mono_us), wall_us: clocks.wall_us }
}

fn counter_of_dropped(dropped: Dropped) -> Counter {
    match dropped {
        Dropped::Late => Counter::Late,
        Dropped::Duplicate => Counter::Duplicate,
        Dropped::TooFast => Counter::TooFast,
        Dropped::DataBusy => Counter::DataBusy,
    }
}

fn counter_of_refused(why: Refused) -> Counter {
    match why {
        Refused::NoRoute => Counter::CallsNoRoute,
        Refused::Busy => Counter::CallsBusy,
        Refused::Taken => Counter::CallsTaken,
        Refused::Loop => Counter::CallsLoop,
        Refused::Denied => Counter::CallsDenied,
        Refused::Banned => Counter::CallsBanned,
        Refused::Blocked => Counter::CallsBlocked,
        Refused::Encrypted => Counter::CallsEncrypted,
    }
}

fn counter_of(refusal: Refusal) -> Counter {
    match refusal {
        Refusal::Malformed => Counter::RefusedMalformed,
        Refusal::NotLoggedIn => Counter::RefusedNotLoggedIn,
        Refusal::WrongPassword => Counter::RefusedPassword,
        Refusal::BadConfiguration => Counter::RefusedConfiguration,
        Refusal::Denied => Counter::RefusedDenied,
        Refusal::BadFrame => Counter::RefusedFrame,
        Refusal::Full => Counter::RefusedFull,
    }
}
