//! Takes what the supervisor gives a worker: segments, queues, sockets, siblings; at its start, and while it runs.

use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};

use channel::{Child, FastForwardSetup, Parent, ShardSetup, Socket, StackSetup, WorkerSetup};
use fabric::{Bell, QueueReader, QueueWriter, StateSegment, StateWriter, Stats, WorkerReader, WorkerWriter};
use nix::sys::epoll::{EpollEvent, EpollFlags};
use stack::Stack;

use crate::hosts::{self, Hosts};
use crate::services::Services;
use crate::shard::Shard;
use crate::siblings::Siblings;
use crate::worker::{Worker, now};
use crate::{Error, StackFactory, StackOptions, export};

/// What shards are made with.
pub(crate) struct Maker {
    pub(crate) setup: Box<WorkerSetup>,
    stacks: Vec<StackFactory>,
    /// The first outlet of each stack, by its name.
    outlets: Vec<(String, usize)>,
}

/// Receives everything from the supervisor at the other end of `socket` and makes the worker of it. Ends when it says
/// "go". `None` where something else was to be done, and is.
pub(crate) fn receive(socket: Socket, stacks: &[StackFactory]) -> Result<Option<Worker>, Error> {
    let mut first = socket.wait()?;
    if let (Parent::Build { abi: theirs }, _) = first {
        if theirs != fabric::ABI {
            return Err(tell(&socket, Error::OtherBuild { ours: fabric::ABI, theirs }));
        }
        first = socket.wait()?;
    }
    let (setup, fds) = match first {
        (Parent::Worker(setup), fds) => (setup, fds),
        (Parent::Export { shards }, fds) => {
            export::write(&socket, &shards, fds)?;
            return Ok(None);
        }
        _ => return Err(Error::Orders("the first was no worker's set-up".into())),
    };
    // What a backtrace needs is read while files can be.
    sys::warm_backtraces();
    try_stacks(&setup, stacks).map_err(|error| tell(&socket, error))?;
    let mut worker = begin(socket, setup, stacks, fds)?;
    let mut has_page = false;
    loop {
        let (message, fds) = worker.socket.wait()?;
        // Until another has left it, the page is that one's.
        if !has_page && !matches!(message, Parent::FastForward(_) | Parent::Prepare) {
            worker.take_page()?;
            has_page = true;
        }
        if worker.take_in(message, fds)? {
            return Ok(Some(worker));
        }
    }
}

/// Tells the supervisor what no other start would change.
fn tell(socket: &Socket, error: Error) -> Error {
    // It hears of the end in any case.
    let _ = socket.send(&Child::Failed { reason: error.to_string() }, &[]);
    error
}

/// Makes each stack that may be served here once, and drops it: what is wrong with its configuration is to be known before
/// another process leaves its place to this one, and shards come after that.
fn try_stacks(setup: &WorkerSetup, stacks: &[StackFactory]) -> Result<(), Error> {
    for stack in &setup.stacks {
        if let Some(factory) = stacks.iter().find(|factory| factory.name == stack.name) {
            make_stack(setup, *factory, stack)?;
        }
    }
    Ok(())
}

fn make_stack(
    setup: &WorkerSetup,
    factory: StackFactory,
    stack: &StackSetup,
) -> Result<Box<dyn Stack>, Error> {
    let options = StackOptions {
        salt_key: setup.salt_key,
        capacity: StateSegment::ROWS,
        devices: setup.devices.clone(),
        call_signs: setup.call_signs.clone(),
        listen: &stack.listen,
        options: &stack.options,
    };
    (factory.make)(&options).map_err(|reason| Error::Refused { stack: factory.name.to_owned(), reason })
}

fn begin(
    socket: Socket,
    setup: Box<WorkerSetup>,
    stacks: &[StackFactory],
    fds: Vec<OwnedFd>,
) -> Result<Worker, Error> {
    let [bells, wake, services_wake, stats, segment, reports, orders] = channel::descriptors(fds)?;
    let bell = Bell::open(bells.as_fd(), usize::from(setup.slot))?;
    let siblings = Siblings::new(setup.slot, setup.node, WorkerWriter::open(segment.as_fd())?);
    let services = Services {
        reports: QueueWriter::open(reports.as_fd())?,
        orders: QueueReader::open(orders.as_fd())?,
        wake: services_wake,
        ring: false,
    };
    let maker = Maker { setup, stacks: stacks.to_vec(), outlets: Vec::new() };
    Worker::new(socket, maker, (bell, wake), stats, siblings, services)
}

impl Worker {
    /// From now on the stats page of the slot is ours, and says nothing of whoever had it before.
    fn take_page(&mut self) -> Result<(), Error> {
        self.stats.work_on(None);
        Stats::writer(self.page.as_fd())?.keep_last_words()?;
        Ok(())
    }

    /// Takes what the supervisor gives. True where it says "go".
    pub(crate) fn take_in(&mut self, message: Parent, fds: Vec<OwnedFd>) -> Result<bool, Error> {
        match message {
            Parent::Shard(setup) => {
                let shard = self.make_shard(&setup, fds)?;
                self.add_shard(shard, &setup.quarantined)?;
            }
            Parent::Sibling { slot, node, end } => self.add_sibling(slot, node, end, fds)?,
            Parent::Takeover { places } => self.take_over(&places, fds)?,
            Parent::Relay { slot, node } => {
                let [socket] = channel::descriptors(fds)?;
                self.siblings.note_node(slot, node);
                self.relays.add(&self.epoll, slot, socket)?;
            }
            Parent::FastForward(setup) => {
                let [socket] = channel::descriptors(fds)?;
                self.add_hosts(&setup, socket.into())?;
            }
            Parent::Prepare => self.socket.send(&Child::Prepared, &[])?,
            Parent::Go => return Ok(true),
            _ => return Err(Error::Orders("one that is not for a worker in set-up".into())),
        }
        Ok(false)
    }

    /// There is a way to other hosts.
    fn add_hosts(&mut self, setup: &FastForwardSetup, socket: UdpSocket) -> Result<(), Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| Error::Orders(format!("random bytes: {error}")))?;
        let hosts = Hosts::new(setup, self.maker.setup.node, socket, seed, now());
        let event = EpollEvent::new(EpollFlags::EPOLLIN, hosts::TOKEN);
        self.epoll.add(hosts.socket(), event).map_err(Error::errno("epoll_ctl"))?;
        self.hosts = Some(hosts);
        self.switch.set_host(setup.nodes.iter().map(|&(node, _)| node).collect());
        Ok(())
    }

    /// A sibling is there, or there again.
    fn add_sibling(&mut self, slot: u8, node: u32, end: (u64, u64), fds: Vec<OwnedFd>) -> Result<(), Error> {
        let [segment, wake] = channel::descriptors(fds)?;
        let place = match self.stats.place(slot) {
            (0, _) => end,
            place => place,
        };
        self.siblings.add(slot, node, WorkerReader::open(segment.as_fd(), place)?, wake);
        Ok(())
    }

    fn make_shard(&mut self, shard: &ShardSetup, fds: Vec<OwnedFd>) -> Result<Shard, Error> {
        let Maker { setup, stacks, outlets } = &mut self.maker;
        let wrong = |what: &str| Error::Orders(format!("shard {} of {}: {what}", shard.number, shard.stack));
        let factory = stacks.iter().copied().find(|factory| factory.name == shard.stack);
        let factory = factory.ok_or_else(|| wrong("this worker has no such stack"))?;
        let stack_setup = setup.stacks.iter().find(|stack| stack.name == shard.stack);
        let stack_setup = stack_setup.ok_or_else(|| wrong("no such stack was set up"))?;
        let mut fds = fds.into_iter();
        let state = fds.next().ok_or_else(|| wrong("no state segment"))?;
        let sockets: Vec<UdpSocket> = fds.map(UdpSocket::from).collect();
        let addresses = stack_setup.listen.len();
        if sockets.len() != addresses {
            return Err(wrong(&format!("{} sockets for {addresses} addresses", sockets.len())));
        }
        let stack = make_stack(setup, factory, stack_setup).map_err(|error| tell(&self.socket, error))?;
        let outlet = match outlets.iter().find(|(name, _)| *name == shard.stack) {
            Some(&(_, outlet)) => outlet,
            None => {
                let mut first = None;
                for (listener, socket) in (0..).zip(&sockets) {
                    let socket = socket.try_clone().map_err(Error::system("copying a socket"))?;
                    let number = self.outlets.add(socket, listener, factory.longest);
                    first.get_or_insert(number);
                }
                let first = first.ok_or_else(|| wrong("no sockets"))?;
                outlets.push((shard.stack.clone(), first));
                first
            }
        };
        Ok(Shard { number: shard.number, stack, sockets, state: StateWriter::open(state.as_fd())?, outlet })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_of_another_abi_is_told_so() {
        let (ours, theirs) = Socket::pair().unwrap();
        ours.send(&Parent::Build { abi: fabric::ABI + 1 }, &[]).unwrap();
        let error = receive(theirs, &[]).err().unwrap();
        assert!(error.is_lasting());
        let Some((Child::Failed { reason }, _)) = ours.receive().unwrap() else { panic!() };
        let expected = format!("this program is built for ABI {} of the runtime library", fabric::ABI);
        assert!(reason.starts_with(&expected) && reason == error.to_string(), "{reason}");
    }
}
