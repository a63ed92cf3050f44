//! The shared memory of a cluster: made here, kept while it runs, handed to each child as it starts.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;

use anyhow::Result;
use fabric::{BellSegment, QueueSegment, Segment, StateSegment, Stats, StatsSegment, WorkerSegment};

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

    /// A shard begins anew: what was known of its contexts is forgotten.
    pub(crate) fn clear(&mut self, number: u16) -> Result<()> {
        if let Some(shard) = self.shards.get_mut(usize::from(number)) {
            (shard.state, shard.quarantined) = (StateSegment::create(0)?, Vec::new());
        }
        Ok(())
    }
}
