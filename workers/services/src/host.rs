//! What the supervisor has given the services of this host: bells, stats pages, queues, state segments.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use channel::{Order, Parent, Report, ShardSetup, WorkerInfo};
use control::State;
use fabric::{Bell, Counter, MAX_MESSAGE, QueueReader, QueueWriter, SERVICES, StateReader, Stats};
use metrics::{HostView, WorkerView};

use crate::Error;
use crate::contexts::Shard;
use crate::mqtt::Broker;
use crate::orders::Orders;

/// No shard is on its way from one worker to another for longer.
const ON_THE_WAY: Duration = Duration::from_secs(2);
/// Orders that are kept for those that are.
const MAX_RECENT: usize = 256;

/// What the services share with a worker.
#[derive(Debug)]
pub(crate) struct Worker {
    node: u32,
    wake: OwnedFd,
    stats: Stats,
    reports: QueueReader,
    orders: Orders,
    info: Option<WorkerInfo>,
}

impl Worker {
    /// Whether it serves.
    pub(crate) fn is_up(&self) -> bool {
        self.info.as_ref().is_some_and(|info| matches!(info.state, State::Ready | State::Draining))
    }
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) bell: Bell,
    pub(crate) stats: Stats,
    /// By slot.
    workers: BTreeMap<u8, Worker>,
    /// By number.
    shards: BTreeMap<u16, Shard>,
    /// Orders that hold for contexts wherever they are, and when they were given: a shard on its way from one worker to
    /// another is at neither.
    recent: VecDeque<(Instant, Order)>,
}

impl Host {
    /// From the bells and our own stats page.
    pub(crate) fn new(bells: &OwnedFd, stats: &OwnedFd) -> Result<Self, Error> {
        let bell = Bell::open(bells.as_fd(), SERVICES)?;
        let stats = Stats::writer(stats.as_fd())?;
        Ok(Self { bell, stats, workers: BTreeMap::new(), shards: BTreeMap::new(), recent: VecDeque::new() })
    }

    /// Takes what the supervisor gives: a worker's pages, a shard's state, news of a worker. Returns that
    /// worker's slot and how it was before, where that was known.
    pub(crate) fn take(
        &mut self,
        message: Parent,
        fds: Vec<OwnedFd>,
    ) -> Result<Option<(u8, Option<WorkerInfo>)>, Error> {
        match message {
            Parent::Pages { slot, node } => self.add_worker(slot, node, fds)?,
            Parent::Retired { slot } => drop(self.workers.remove(&slot)),
            Parent::State { shard, worker } => self.add_shard(shard, worker, fds)?,
            Parent::WorkerInfo(info) => {
                let slot = info.slot;
                let worker = self.workers.get_mut(&slot);
                let worker = worker.ok_or_else(|| Error::Orders(format!("worker {slot} has no pages")))?;
                return Ok(Some((slot, worker.info.replace(info))));
            }
            _ => return Err(Error::Orders("one that is not for the services".to_owned())),
        }
        Ok(None)
    }

    fn add_worker(&mut self, slot: u8, node: u32, fds: Vec<OwnedFd>) -> Result<(), Error> {
        let [wake, stats, reports, orders] = channel::descriptors(fds)?;
        let info = self.workers.remove(&slot).and_then(|worker| worker.info);
        let worker = Worker {
            node,
            wake,
            stats: Stats::reader(stats.as_fd())?,
            reports: QueueReader::open(reports.as_fd())?,
            orders: Orders::new(QueueWriter::open(orders.as_fd())?),
            info,
        };
        self.workers.insert(slot, worker);
        Ok(())
    }

    fn add_shard(&mut self, shard: ShardSetup, worker: u8, fds: Vec<OwnedFd>) -> Result<(), Error> {
        let [state] = channel::descriptors(fds)?;
        let ShardSetup { number, stack, .. } = shard;
        let shard = Shard { number, stack, worker, state: StateReader::open(state.as_fd())? };
        let before = self.shards.insert(number, shard);
        if before.is_some_and(|before| before.worker != worker) {
            let since = Instant::now().checked_sub(ON_THE_WAY);
            let missed = self.recent.iter().filter(|(at, _)| since.is_none_or(|since| *at >= since));
            let missed: Vec<Order> = missed.map(|(_, order)| order.clone()).collect();
            missed.into_iter().for_each(|order| self.send(worker, order));
        }
        Ok(())
    }

    /// Slots of the workers, in order.
    pub(crate) fn slots(&self) -> Vec<u8> {
        self.workers.keys().copied().collect()
    }

    /// Node IDs of the workers, by slot.
    pub(crate) fn nodes(&self) -> BTreeMap<u8, u32> {
        self.workers.iter().map(|(&slot, worker)| (slot, worker.node)).collect()
    }

    /// How a worker is, as far as it is known.
    pub(crate) fn info(&self, slot: u8) -> Option<&WorkerInfo> {
        self.workers.get(&slot)?.info.as_ref()
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.shards.values()
    }

    /// The shards that somebody serves now.
    pub(crate) fn served_shards(&self) -> impl Iterator<Item = &Shard> {
        self.shards().filter(|shard| self.workers.get(&shard.worker).is_some_and(Worker::is_up))
    }

    /// The workers as metrics see them, each with the other hosts that it can reach.
    pub(crate) fn views<'a>(
        &'a self,
        broker: Option<&Broker>,
        hosts: &'a BTreeMap<u8, Vec<HostView>>,
    ) -> Vec<WorkerView<'a>> {
        let workers = self.workers.iter();
        workers
            .map(|(&slot, worker)| WorkerView {
                slot,
                node: worker.node,
                up: worker.is_up(),
                restarts: worker.info.as_ref().map_or(0, |info| info.restarts),
                broker: broker.and_then(|broker| broker.view(slot)),
                hosts: hosts.get(&slot).map_or(&[], Vec::as_slice),
                stats: &worker.stats,
            })
            .collect()
    }

    /// A worker's oldest report, left in its queue until [`Self::handled`]. What cannot be read is skipped.
    pub(crate) fn report(&mut self, slot: u8) -> Option<Report> {
        let worker = self.workers.get_mut(&slot)?;
        let mut buffer = [0; MAX_MESSAGE];
        loop {
            let len = worker.reports.peek(&mut buffer)?;
            if let Some(report) = channel::read(&buffer[..len]) {
                return Some(report);
            }
            worker.reports.pop();
        }
    }

    /// The report that was looked at is done with.
    pub(crate) fn handled(&mut self, slot: u8) {
        if let Some(worker) = self.workers.get_mut(&slot) {
            worker.reports.pop();
        }
    }

    /// Sends an order to one worker, now or when its queue has room.
    pub(crate) fn send(&mut self, slot: u8, order: Order) {
        self.with(slot, |orders| orders.send(order));
    }

    /// Sends an order to every worker.
    pub(crate) fn send_all(&mut self, order: &Order) {
        if matches!(order, Order::Evict { .. } | Order::Settings { .. }) {
            if self.recent.len() == MAX_RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back((Instant::now(), order.clone()));
        }
        self.slots().into_iter().for_each(|slot| self.send(slot, order.clone()));
    }

    /// Sends what found no room before.
    pub(crate) fn flush(&mut self) {
        self.slots().into_iter().for_each(|slot| self.with(slot, Orders::flush));
    }

    fn with(&mut self, slot: u8, send: impl FnOnce(&mut Orders) -> bool) {
        let Some(worker) = self.workers.get_mut(&slot) else { return };
        if send(&mut worker.orders) && self.bell.ring(usize::from(slot), worker.wake.as_fd()) {
            self.stats.add(Counter::Doorbells, 1);
        }
    }
}
