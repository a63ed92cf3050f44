//! The worker and its loop: waits, takes in what has come, and sends what has become of it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use channel::{Child, Socket};
use fabric::{Bell, CELL_LEN, Cell, Counter, Stats, Wake, Work, WorkerReader};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use stack::{ContextKey, Input, MAX_DATAGRAM, Now, Time};
use switch::{Forward, Switch};
use sys::{Clocks, ReceiveBatch, RunQueue};

use crate::Error;
use crate::deadlines::Deadlines;
use crate::handover::Released;
use crate::hosts::{self, FarCalls, Hosts};
use crate::outlets::Outlets;
use crate::relays::Relays;
use crate::services::Services;
use crate::setup::Maker;
use crate::shard::Shard;
use crate::siblings::{Heard, Siblings};
use crate::spin::Spin;

/// Datagrams taken from one socket before others have their turn. A repeater's bursts come one at a time, and each place
/// costs something even where nothing comes.
const BATCH: usize = 8;
/// The longest datagram that is taken in; what is longer a stack is given as one of no bytes.
const MAX_RECEIVED: usize = MAX_DATAGRAM;
/// How often a worker looks at everything, whatever the bells say.
pub(crate) const TICK: Duration = Duration::from_millis(250);
/// One that was away for so long was held up: it comes round with every tick.
const HELD_UP: Duration = Duration::from_millis(300);
/// Descriptors handled in one round.
const EVENTS: usize = 64;
/// What is due waits for so long until all is read that came before.
const LONGEST_BEHIND: Duration = Duration::from_millis(250);
/// After so long without a round others have used the caches.
const COLD: Duration = Duration::from_millis(10);
/// Looks at the bell between two looks at the sockets, while nothing comes: about two microseconds.
const LOOKS: usize = 64;

const TOKEN_SUPERVISOR: u64 = u64::MAX;
const TOKEN_BELL: u64 = u64::MAX - 1;

/// Of the shard at this place.
pub(crate) fn token(place: u16, listener: u8) -> u64 {
    u64::from(place) << 8 | u64::from(listener)
}

pub(crate) struct Worker {
    pub(crate) socket: Socket,
    pub(crate) maker: Maker,
    pub(crate) outlets: Outlets,
    pub(crate) siblings: Siblings,
    pub(crate) relays: Relays,
    pub(crate) epoll: Epoll,
    pub(crate) bell: Bell,
    /// Watched for edges, never read.
    _wake: OwnedFd,
    pub(crate) stats: Stats,
    /// Where they are.
    pub(crate) page: OwnedFd,
    pub(crate) services: Services,
    /// The way to other hosts, where there is one.
    pub(crate) hosts: Option<Hosts>,
    /// Calls of other hosts.
    pub(crate) far: FarCalls,
    pub(crate) switch: Switch,
    pub(crate) shards: Vec<Shard>,
    /// Place in `shards`, by the shard's number.
    pub(crate) places: Vec<Option<u16>>,
    /// By place in `shards`.
    pub(crate) deadlines: Deadlines,
    /// Shards whose stacks may have outputs.
    pub(crate) touched: Vec<u16>,
    batch: ReceiveBatch,
    pub(crate) next_tick: Time,
    /// What siblings have for us, while it is handled: empty between rounds.
    pub(crate) heard: Heard,
    /// Bursts that may have come before earlier ones of their session, which lie in another ring.
    pub(crate) overtaking: Vec<(u8, u32, Forward)>,
    /// Who has more for us than fitted the last round.
    pub(crate) pending: Wake,
    /// Since when there was more to read than fitted a round, and what is due waits for that.
    behind: Option<Time>,
    /// What is on the stats page as being worked on.
    work: Option<Work>,
    /// Bursts delivered in this round.
    pub(crate) delivered: u64,
    /// Where stacks write what carries a burst.
    pub(crate) scratch: Box<[u8; MAX_DATAGRAM]>,
    /// Memory has had time to get cold since the last round.
    pub(crate) is_cold: bool,
    last_round: Time,
    spin: Spin,
    run_queue: RunQueue,
    /// Who had the shards that have come last, until they are served.
    pub(crate) forerunner: Option<WorkerReader>,
    /// What is kept up for shards that have gone.
    pub(crate) released: Released,
    /// What is said last, once it is the end.
    pub(crate) end: Option<Child>,
}

impl Worker {
    pub(crate) fn new(
        socket: Socket,
        maker: Maker,
        (bell, wake): (Bell, OwnedFd),
        page: OwnedFd,
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
            switch: Switch::new(maker.setup.node, maker.setup.calls.clone()),
            spin: Spin::new(Duration::from_micros(maker.setup.wake_us.into())),
            maker,
            outlets: Outlets::default(),
            siblings,
            relays: Relays::default(),
            epoll,
            bell,
            _wake: wake,
            stats: Stats::writer(page.as_fd())?,
            page,
            services,
            hosts: None,
            far: FarCalls::default(),
            shards: Vec::new(),
            places: Vec::new(),
            deadlines: Deadlines::default(),
            touched: Vec::new(),
            batch: ReceiveBatch::new(BATCH, MAX_RECEIVED),
            next_tick: Time::default(),
            heard: Heard::default(),
            overtaking: Vec::new(),
            pending: 0,
            behind: None,
            work: None,
            delivered: 0,
            scratch: Box::new([0; MAX_DATAGRAM]),
            is_cold: true,
            last_round: Time::default(),
            run_queue: RunQueue::open(),
            forerunner: None,
            released: Released::default(),
            end: None,
        })
    }

    /// Takes a shard over: what its last owner wrote down comes first, then what waits in its sockets.
    /// `quarantined`: rows that are erased unread.
    pub(crate) fn add_shard(&mut self, shard: Shard, quarantined: &[u16]) -> Result<(), Error> {
        let place = u16::try_from(self.shards.len()).map_err(|_| Error::Orders("too many shards".into()))?;
        for (listener, socket) in (0..).zip(&shard.sockets) {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, token(place, listener));
            self.epoll.add(socket.as_fd(), event).map_err(Error::errno("epoll_ctl"))?;
        }
        let number = usize::from(shard.number);
        if self.places.len() <= number {
            self.places.resize(number + 1, None);
        }
        self.places[number] = Some(place);
        self.shards.push(shard);
        self.deadlines.add();
        self.stats.set(Counter::Shards, self.shards.len() as u64);
        self.restore(place, quarantined);
        Ok(())
    }

    fn restore(&mut self, place: u16, quarantined: &[u16]) {
        let now = now();
        for &row in quarantined {
            for cell in [Cell::Stack, Cell::Switch] {
                self.shards[usize::from(place)].state.write(row, cell, &[]);
            }
        }
        let shard = &self.shards[usize::from(place)];
        let (rows, number) = (shard.state.reader().rows(), shard.number);
        let mut cell = [0; CELL_LEN];
        for index in 0..rows {
            self.work_on(Some(Work { shard: number, row: Some(index) }));
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
        self.work_on(None);
    }

    /// Runs until told to stop. `sandbox` says what holds it in.
    pub(crate) fn run(&mut self, sandbox: String) -> Result<(), Error> {
        self.begin([("sandbox".to_owned(), sandbox)].into())?;
        let mut events = [EpollEvent::empty(); EVENTS];
        loop {
            let count = self.wait(&mut events)?;
            self.round(&events[..count])?;
            if let Some(end) = &self.end {
                return Ok(self.socket.send(end, &[])?);
            }
        }
    }

    /// Says that it is there, to siblings and supervisor.
    pub(crate) fn begin(&mut self, facts: BTreeMap<String, String>) -> Result<(), Error> {
        self.bell.retract();
        self.inherit();
        self.siblings.announce();
        self.siblings.flush(&self.stats, &self.bell);
        self.socket.send(&Child::Ready { facts }, &[])?;
        Ok(())
    }

    /// Waits until there is something to do.
    fn wait(&mut self, events: &mut [EpollEvent]) -> Result<usize, Error> {
        if self.pending != 0 {
            return self.poll(events, EpollTimeout::ZERO);
        }
        let count = self.look(events)?;
        if count > 0 {
            return Ok(count);
        }
        if !self.bell.sleep() {
            return self.poll(events, EpollTimeout::ZERO);
        }
        let count = self.poll(events, self.timeout());
        self.bell.awake();
        count
    }

    /// Looks for something to do for a while, where that is likely to be cheaper than to sleep at once.
    fn look(&mut self, events: &mut [EpollEvent]) -> Result<usize, Error> {
        let time = self.spin.time();
        if time.is_zero() {
            return Ok(0);
        }
        let since = Instant::now();
        if self.run_queue.is_crowded(since) {
            return Ok(0);
        }
        loop {
            for _ in 0..LOOKS {
                if self.bell.is_rung() {
                    return Ok(0);
                }
                std::hint::spin_loop();
            }
            let count = self.poll(events, EpollTimeout::ZERO)?;
            if count > 0 || since.elapsed() >= time {
                return Ok(count);
            }
        }
    }

    pub(crate) fn poll(&self, events: &mut [EpollEvent], timeout: EpollTimeout) -> Result<usize, Error> {
        match self.epoll.wait(events, timeout) {
            Ok(count) => Ok(count),
            Err(Errno::EINTR) => Ok(0),
            Err(errno) => Err(Error::errno("epoll_wait")(errno)),
        }
    }

    /// Does all there is to do, once.
    pub(crate) fn round(&mut self, events: &[EpollEvent]) -> Result<(), Error> {
        let now = now();
        let last_round = std::mem::replace(&mut self.last_round, now.mono);
        self.is_cold = now.mono.since(last_round) >= COLD;
        let (mut came, mut is_called) = (0, false);
        let mut is_behind = events.len() == EVENTS;
        if self.is_cold {
            is_behind |= self.catch_up(now, last_round);
        }
        for event in events {
            match event.data() {
                TOKEN_SUPERVISOR => is_called = true,
                TOKEN_BELL => {}
                hosts::TOKEN => {
                    let count = self.hear_hosts(now);
                    is_behind |= Self::is_behind_hosts(count);
                    came += count;
                }
                token => {
                    let count = match Relays::of(token) {
                        Some(slot) => self.hear_relay(now, slot),
                        None => self.receive(now, token),
                    };
                    is_behind |= count >= BATCH;
                    came += count;
                }
            }
        }
        came += self.answer_bell(now);
        self.spin.came(now.mono, came);
        is_behind |= self.pending != 0;
        if !is_behind {
            self.behind = None;
        }
        if !is_behind || self.is_late_enough(now) {
            self.do_what_is_due(now);
        }
        if is_called {
            // Last, since shards may come and go, and events tell of their places.
            self.obey(now)?;
        }
        self.finish_round(now);
        Ok(())
    }

    /// After a while without a round. True where that was so long that much may have come: one that was stopped wakes
    /// without events, whatever waits.
    #[cold]
    fn catch_up(&mut self, now: Now, last_round: Time) -> bool {
        let was_held_up = now.mono.since(last_round) >= HELD_UP;
        if was_held_up {
            // Before the sockets: who talks at a sibling is not to seem silent.
            self.read_all(now);
        }
        was_held_up
    }

    /// Whether what is due is done although there is more to read, which may tell that a call goes on.
    #[cold]
    fn is_late_enough(&mut self, now: Now) -> bool {
        now.mono.since(*self.behind.get_or_insert(now.mono)) >= LONGEST_BEHIND
    }

    /// Until the next thing that is due, at most a tick.
    fn timeout(&self) -> EpollTimeout {
        let due =
            self.deadlines.next().into_iter().chain(self.switch.poll_timeout()).chain(self.hosts_timeout());
        let wait = due.fold(self.next_tick, Time::min).since(now().mono);
        // Rounded up: a wait that ends too early would find nothing due and wait again.
        let ms = u16::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        EpollTimeout::from(ms)
    }

    fn receive(&mut self, now: Now, token: u64) -> usize {
        let (place, listener) = ((token >> 8) as u16, (token & 0xff) as u8);
        let shard = &mut self.shards[usize::from(place)];
        let number = shard.number;
        // An error here is one that the network reported about an earlier datagram: nothing to be done.
        let count = self.batch.receive(shard.sockets[usize::from(listener)].as_fd()).unwrap_or(0);
        self.stats.add(Counter::DatagramsIn, count as u64);
        for i in 0..count {
            self.work_on(Some(Work { shard: number, row: None }));
            let Some(received) = self.batch.get(i) else { continue };
            let (from, local) = (received.from, received.local);
            let bytes = if received.cut { &[] } else { received.bytes };
            let shard = &mut self.shards[usize::from(place)];
            shard.stack.handle_input(now, Input::Datagram { listener, from, local, bytes });
            self.touched.push(place);
            self.settle(now);
        }
        count
    }

    /// Notes on the stats page what is worked on from now on.
    pub(crate) fn work_on(&mut self, work: Option<Work>) {
        if self.work != work {
            self.work = work;
            self.stats.work_on(work);
        }
    }

    pub(crate) fn place(&self, shard: u16) -> Option<u16> {
        self.places.get(usize::from(shard)).copied().flatten()
    }

    pub(crate) fn places_len(&self) -> u16 {
        u16::try_from(self.shards.len()).unwrap_or(u16::MAX)
    }

    fn do_what_is_due(&mut self, now: Now) {
        let mut from = 0;
        while let Some(place) = self.deadlines.due(from, now.mono) {
            self.work_on(Some(Work { shard: self.shards[usize::from(place)].number, row: None }));
            self.shards[usize::from(place)].stack.handle_timeout(now);
            self.touched.push(place);
            self.settle(now);
            from = place + 1;
        }
        if self.switch.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.work_on(None);
            self.switch.handle_timeout(now);
            self.settle(now);
        }
        self.do_what_is_due_for_hosts(now);
    }

    /// Siblings are woken first: they can work while our own datagrams go out.
    pub(crate) fn finish_round(&mut self, now: Now) {
        self.work_on(None);
        self.siblings.flush(&self.stats, &self.bell);
        self.flush_hosts(now);
        self.outlets.flush(&self.stats);
        self.services.flush(&self.stats, &self.bell);
        self.stats.add(Counter::Delivered, std::mem::take(&mut self.delivered));
        self.stats.set(Counter::Contexts, self.switch.contexts() as u64);
        self.stats.set(Counter::Sessions, self.switch.sessions() as u64);
        self.stats.set(Counter::Heartbeat, now.mono.0);
        self.stats.add_lag(Time(Clocks::now().mono_us).since(now.mono).as_micros() as u64);
    }
}

pub(crate) fn now() -> Now {
    let clocks = Clocks::now();
    Now { mono: Time(clocks.mono_us), wall_us: clocks.wall_us }
}
