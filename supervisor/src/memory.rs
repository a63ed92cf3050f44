//! The shared memory of a cluster: made here, kept while it runs, handed to each child as it starts.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::Result;
use fabric::{BellSegment, QueueSegment, Segment, StateSegment, Stats, StatsSegment, WorkerSegment};

use crate::estate::{Handed, MemoryEstate, ShardEstate, WorkerEstate, take, take_segment};

/// What belongs to a worker's slot, whichever process fills it.
#[derive(Debug)]
pub(crate) struct WorkerMemory {
    pub(crate) node: u32,
    pub(crate) wake: OwnedFd,
    pub(crate) stats_page: Segment,
    pub(crate) stats: Stats,
    pub(crate) reports: Segment,
    pub(crate) orders: Segment,
    /// Of the present process; a new one for each.
    pub(crate) segment: Segment,
    /// A process has it, or had it.
    is_used: bool,
    /// Of the process before it.
    pub(crate) before: Option<Segment>,
    /// Of the process that is to take its place.
    pub(crate) next: Option<Segment>,
}

/// What belongs to a shard, whichever worker serves it.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) number: u16,
    pub(crate) stack: String,
    pub(crate) state: Segment,
    pub(crate) sockets: Vec<UdpSocket>,
    /// Rows that nobody is to read any more; the next owner erases them.
    pub(crate) quarantined: Vec<u16>,
}

/// All of a cluster.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) bells: Segment,
    /// By slot.
    pub(crate) workers: BTreeMap<u8, WorkerMemory>,
    /// By number.
    pub(crate) shards: Vec<Shard>,
    pub(crate) services_wake: OwnedFd,
    pub(crate) services_page: Segment,
    pub(crate) services_stats: Stats,
    epoch: u64,
}

impl Memory {
    /// For these shards: the name of each one's stack, and its sockets.
    pub(crate) fn create(shards: Vec<(String, Vec<UdpSocket>)>) -> Result<Self> {
        let shards: Result<Vec<_>> = (0..)
            .zip(shards)
            .map(|(number, (stack, sockets))| {
                let state = StateSegment::create(0)?;
                Ok(Shard { number, stack, state, sockets, quarantined: Vec::new() })
            })
            .collect();
        let services_page = StatsSegment::create(0)?;
        Ok(Self {
            bells: BellSegment::create()?,
            workers: BTreeMap::new(),
            shards: shards?,
            services_wake: BellSegment::wake()?,
            services_stats: Stats::reader(services_page.read_only())?,
            services_page,
            epoch: 0,
        })
    }

    /// What a worker in this slot needs; nothing changes where it has that already.
    pub(crate) fn add_worker(&mut self, slot: u8, node: u32) -> Result<()> {
        if self.workers.contains_key(&slot) {
            return Ok(());
        }
        let stats_page = StatsSegment::create(0)?;
        let memory = WorkerMemory {
            node,
            wake: BellSegment::wake()?,
            stats: Stats::reader(stats_page.read_only())?,
            stats_page,
            reports: QueueSegment::create()?,
            orders: QueueSegment::create()?,
            segment: self.new_segment()?,
            is_used: false,
            before: None,
            next: None,
        };
        self.workers.insert(slot, memory);
        Ok(())
    }

    fn new_segment(&mut self) -> Result<Segment> {
        self.epoch += 1;
        Ok(WorkerSegment::create(self.epoch)?)
    }

    /// A segment for a new process in this slot; its siblings read what the old one has left until they get the new one.
    pub(crate) fn renew(&mut self, slot: u8) -> Result<()> {
        let is_new = |worker: &mut WorkerMemory| !std::mem::replace(&mut worker.is_used, true);
        if !self.workers.get_mut(&slot).is_some_and(is_new) {
            self.prepare(slot)?;
            self.promote(slot);
        }
        Ok(())
    }

    /// A segment for the process that is to take the place of the one in this slot.
    pub(crate) fn prepare(&mut self, slot: u8) -> Result<()> {
        let next = Some(self.new_segment()?);
        if let Some(worker) = self.workers.get_mut(&slot) {
            worker.next = next;
        }
        Ok(())
    }

    /// That process takes its place.
    pub(crate) fn promote(&mut self, slot: u8) {
        if let Some(worker) = self.workers.get_mut(&slot)
            && let Some(next) = worker.next.take()
        {
            worker.before = Some(std::mem::replace(&mut worker.segment, next));
        }
    }

    /// As it goes to the next supervisor.
    pub(crate) fn bequeath<'a>(&'a self, handed: &mut Handed<'a>) -> MemoryEstate {
        let workers = self.workers.iter().map(|(&slot, worker)| WorkerEstate {
            slot,
            node: worker.node,
            wake: handed.fd(worker.wake.as_fd()),
            stats_page: handed.segment(&worker.stats_page),
            reports: handed.segment(&worker.reports),
            orders: handed.segment(&worker.orders),
            segment: handed.segment(&worker.segment),
            before: worker.before.as_ref().map(|before| handed.segment(before)),
            is_used: worker.is_used,
        });
        let workers = workers.collect();
        let shards = self.shards.iter().map(|shard| ShardEstate {
            stack: shard.stack.clone(),
            state: handed.segment(&shard.state),
            sockets: shard.sockets.iter().map(|socket| handed.fd(socket.as_fd())).collect(),
            quarantined: shard.quarantined.clone(),
        });
        let shards = shards.collect();
        MemoryEstate {
            epoch: self.epoch,
            bells: handed.segment(&self.bells),
            services_wake: handed.fd(self.services_wake.as_fd()),
            services_page: handed.segment(&self.services_page),
            workers,
            shards,
        }
    }

    /// What the supervisor before has left.
    pub(crate) fn inherit(estate: MemoryEstate) -> Result<Self> {
        let mut workers = BTreeMap::new();
        for worker in estate.workers {
            let stats_page = take_segment(worker.stats_page)?;
            let memory = WorkerMemory {
                node: worker.node,
                wake: take(worker.wake)?,
                stats: Stats::reader(stats_page.read_only())?,
                stats_page,
                reports: take_segment(worker.reports)?,
                orders: take_segment(worker.orders)?,
                segment: take_segment(worker.segment)?,
                is_used: worker.is_used,
                before: worker.before.map(take_segment).transpose()?,
                next: None,
            };
            workers.insert(worker.slot, memory);
        }
        let mut shards = Vec::new();
        for (number, shard) in (0..).zip(estate.shards) {
            let sockets: Result<Vec<UdpSocket>> =
                shard.sockets.into_iter().map(|socket| Ok(take(socket)?.into())).collect();
            let (stack, quarantined) = (shard.stack, shard.quarantined);
            let state = take_segment(shard.state)?;
            shards.push(Shard { number, stack, state, sockets: sockets?, quarantined });
        }
        let services_page = take_segment(estate.services_page)?;
        Ok(Self {
            bells: take_segment(estate.bells)?,
            workers,
            shards,
            services_wake: take(estate.services_wake)?,
            services_stats: Stats::reader(services_page.read_only())?,
            services_page,
            epoch: estate.epoch,
        })
    }

    /// A shard begins anew: what was known of its contexts is forgotten.
    pub(crate) fn clear(&mut self, number: u16) -> Result<()> {
        if let Some(shard) = self.shards.get_mut(usize::from(number)) {
            (shard.state, shard.quarantined) = (StateSegment::create(0)?, Vec::new());
        }
        Ok(())
    }
}
