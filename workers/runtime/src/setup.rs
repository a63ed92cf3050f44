//! Takes what the supervisor gives a worker: segments, queues, sockets, siblings. Ends when it says "go".

use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use channel::{Parent, ShardSetup, Socket, WorkerSetup};
use fabric::{Bell, QueueReader, QueueWriter, StateSegment, StateWriter, Stats, WorkerReader, WorkerWriter};

use switch::Switch;

use crate::services::Services;
use crate::shard::Shard;
use crate::siblings::Siblings;
use crate::spin::Spin;
use crate::worker::Worker;
use crate::{Error, StackFactory, StackOptions};

/// Receives everything from the supervisor at the other end of `socket` and makes the worker of it.
pub(crate) fn receive(socket: Socket, stacks: &[StackFactory]) -> Result<Worker, Error> {
    let (Parent::Worker(setup), fds) = socket.wait()? else {
        return Err(Error::Orders("the first was no worker's set-up".into()));
    };
    let mut worker = begin(socket, &setup, fds)?;
    let mut outlets: Vec<(String, usize)> = Vec::new();
    loop {
        match worker.socket.wait()? {
            (Parent::Shard(shard), fds) => {
                let shard = make_shard(&setup, stacks, &mut worker, &mut outlets, &shard, fds)?;
                worker.add_shard(shard)?;
            }
            (Parent::Sibling { slot, node }, fds) => worker.add_sibling(slot, node, fds)?,
            (Parent::Go, _) => return Ok(worker),
            _ => return Err(Error::Orders("one that is not for a worker in set-up".into())),
        }
    }
}

fn begin(socket: Socket, setup: &WorkerSetup, fds: Vec<OwnedFd>) -> Result<Worker, Error> {
    let [bells, wake, services_wake, stats, segment, reports, orders] = channel::descriptors(fds)?;
    Stats::writer(stats.as_fd())?.keep_last_words()?;
    let bell = Bell::open(bells.as_fd(), usize::from(setup.slot))?;
    let siblings = Siblings::new(setup.slot, WorkerWriter::open(segment.as_fd())?);
    let services = Services {
        reports: QueueWriter::open(reports.as_fd())?,
        orders: QueueReader::open(orders.as_fd())?,
        wake: services_wake,
        ring: false,
    };
    let switch = Switch::new(setup.node, setup.calls.clone());
    let spin = Spin::new(Duration::from_micros(setup.wake_us.into()));
    Worker::new(socket, switch, (bell, wake), Stats::writer(stats.as_fd())?, siblings, services, spin)
}

fn make_shard(
    setup: &WorkerSetup,
    stacks: &[StackFactory],
    worker: &mut Worker,
    outlets: &mut Vec<(String, usize)>,
    shard: &ShardSetup,
    fds: Vec<OwnedFd>,
) -> Result<Shard, Error> {
    let wrong = |what: &str| Error::Orders(format!("shard {} of {}: {what}", shard.number, shard.stack));
    let factory = stacks.iter().find(|factory| factory.name == shard.stack);
    let factory = factory.ok_or_else(|| wrong("this worker has no such stack"))?;
    let stack = setup.stacks.iter().find(|stack| stack.name == shard.stack);
    let stack = stack.ok_or_else(|| wrong("no such stack was set up"))?;
    let mut fds = fds.into_iter();
    let state = fds.next().ok_or_else(|| wrong("no state segment"))?;
    let sockets: Vec<UdpSocket> = fds.map(UdpSocket::from).collect();
    if sockets.len() != stack.listen.len() {
        return Err(wrong(&format!("{} sockets for {} addresses", sockets.len(), stack.listen.len())));
    }
    let outlet = match outlets.iter().find(|(name, _)| *name == shard.stack) {
        Some(&(_, outlet)) => outlet,
        None => {
            let mut first = None;
            for socket in &sockets {
                let socket = socket.try_clone().map_err(Error::system("copying a socket"))?;
                let number = worker.outlets.add(socket);
                first.get_or_insert(number);
            }
            let first = first.ok_or_else(|| wrong("no sockets"))?;
            outlets.push((shard.stack.clone(), first));
            first
        }
    };
    let options = StackOptions {
        salt_key: setup.salt_key,
        capacity: StateSegment::ROWS,
        devices: setup.devices.clone(),
        call_signs: setup.call_signs.clone(),
    };
    Ok(Shard {
        number: shard.number,
        stack: (factory.make)(&options),
        sockets,
        state: StateWriter::open(state.as_fd())?,
        outlet,
    })
}

impl Worker {
    /// A sibling is there, or there again.
    pub(crate) fn add_sibling(&mut self, slot: u8, node: u32, fds: Vec<OwnedFd>) -> Result<(), Error> {
        let [segment, wake] = channel::descriptors(fds)?;
        self.siblings.add(slot, node, WorkerReader::open(segment.as_fd(), self.place_in(slot))?, wake);
        Ok(())
    }
}
