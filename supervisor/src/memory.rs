//! The shared memory of a cluster: made here, kept while it runs, handed to each child as it starts.

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
}

/// What belongs to a shard, whichever worker serves it.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) number: u16,
    pub(crate) stack: String,
    /// The worker's slot.
    pub(crate) worker: u8,
    pub(crate) state: Segment,
    pub(crate) sockets: Vec<UdpSocket>,
}

/// All of a cluster.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) bells: Segment,
    pub(crate) workers: Vec<WorkerMemory>,
    pub(crate) shards: Vec<Shard>,
    pub(crate) services_wake: OwnedFd,
    pub(crate) services_page: Segment,
    pub(crate) services_stats: Stats,
    epoch: u64,
}

impl Memory {
    pub(crate) fn create(nodes: &[u32], shards: Vec<(String, u8, Vec<UdpSocket>)>) -> Result<Self> {
        let mut epoch = 0;
        let workers: Result<Vec<_>> = nodes
            .iter()
            .map(|&node| {
                epoch += 1;
                let stats_page = StatsSegment::create(0)?;
                Ok(WorkerMemory {
                    node,
                    wake: BellSegment::wake()?,
                    stats: Stats::reader(stats_page.read_only())?,
                    stats_page,
                    reports: QueueSegment::create()?,
                    orders: QueueSegment::create()?,
                    segment: WorkerSegment::create(epoch)?,
                })
            })
            .collect();
        let shards: Result<Vec<_>> = (0..)
            .zip(shards)
            .map(|(number, (stack, worker, sockets))| {
                Ok(Shard { number, stack, worker, state: StateSegment::create(0)?, sockets })
            })
            .collect();
        let services_page = StatsSegment::create(0)?;
        Ok(Self {
            bells: BellSegment::create()?,
            workers: workers?,
            shards: shards?,
            services_wake: BellSegment::wake()?,
            services_stats: Stats::reader(services_page.read_only())?,
            services_page,
            epoch,
        })
    }

    /// A segment for a new process in this slot, which knows where radios were heard; its siblings read what the old one has left until they get
    /// the new one.
    pub(crate) fn renew(&mut self, slot: u8) -> Result<()> {
        self.epoch += 1;
        let segment = &mut self.workers[usize::from(slot)].segment;
        *segment = WorkerSegment::create_after(self.epoch, segment)?;
        Ok(())
    }
}
