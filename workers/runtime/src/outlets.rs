//! Where datagrams leave: one batch for each listen address of each stack.
//!
//! All sockets of a stack's listen address are one group with one address, so a whole fan-out goes out through
//! one of them, whichever shard a recipient belongs to.

use std::net::UdpSocket;
use std::os::fd::AsFd;

use fabric::{Counter, Stats};
use stack::{Envelope, MAX_DATAGRAM};
use sys::SendBatch;

/// Datagrams that go out by one system call. More save nothing (the call itself is a small part of what they cost), and
/// keep the first receivers waiting until the last one's datagram is made.
const BATCH: usize = 32;
/// Each begins a cache line of its own.
const LINE: usize = 64;

struct Outlet {
    socket: UdpSocket,
    batch: SendBatch,
    /// Which of its stack's listen addresses it is for.
    listener: u8,
}

/// All of a worker.
#[derive(Default)]
pub(crate) struct Outlets {
    all: Vec<Outlet>,
}

impl Outlets {
    /// Adds one for a stack's listen address that sends datagrams of at most `longest` bytes through `socket`, and returns its
    /// number.
    pub(crate) fn add(&mut self, socket: UdpSocket, listener: u8, longest: usize) -> usize {
        let size = longest.min(MAX_DATAGRAM).next_multiple_of(LINE);
        self.all.push(Outlet { socket, batch: SendBatch::new(BATCH, size), listener });
        self.all.len() - 1
    }

    /// Puts a datagram into the batch of the outlet for its listen address, of those of a stack that begin at `first`; false
    /// where that is full. What names an address that the stack does not have goes nowhere.
    pub(crate) fn push(&mut self, stats: &Stats, first: usize, envelope: &Envelope, bytes: &[u8]) -> bool {
        let outlet = self.all.get_mut(first + usize::from(envelope.listener));
        let Some(outlet) = outlet.filter(|outlet| outlet.listener == envelope.listener) else { return true };
        if outlet.batch.is_full() {
            return false;
        }
        if !outlet.batch.push(envelope.to, envelope.local, bytes) {
            // Longer than its stack has said that it can be.
            stats.add(Counter::SendFailed, 1);
        }
        true
    }

    /// Sends all that waits.
    pub(crate) fn flush(&mut self, stats: &Stats) {
        self.all.iter_mut().filter(|outlet| !outlet.batch.is_empty()).for_each(|outlet| send(stats, outlet));
    }
}

fn send(stats: &Stats, outlet: &mut Outlet) {
    let counts = outlet.batch.flush(outlet.socket.as_fd());
    stats.add(Counter::DatagramsOut, counts.sent as u64);
    if counts.failed > 0 {
        stats.add(Counter::SendFailed, counts.failed as u64);
    }
}
