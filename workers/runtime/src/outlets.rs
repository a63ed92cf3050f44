//! Where datagrams leave: one batch for each listen address of each stack.
//!
//! All sockets of a stack's listen address are one group with one address, so a whole fan-out goes out through
//! one of them, whichever shard a recipient belongs to.

use std::net::UdpSocket;
use std::os::fd::AsFd;

use fabric::{Counter, Stats};
use stack::{Datagram, MAX_DATAGRAM};
use sys::SendBatch;

/// Datagrams that go out by one system call. More save nothing (the call itself is a small part of what they cost), and
/// keep the first receivers waiting until the last one's datagram is made.
const BATCH: usize = 32;

struct Outlet {
    socket: UdpSocket,
    batch: SendBatch,
}

/// All of a worker.
#[derive(Default)]
pub(crate) struct Outlets {
    all: Vec<Outlet>,
}

impl Outlets {
    /// Adds one that sends through `socket`, and returns its number.
    pub(crate) fn add(&mut self, socket: UdpSocket) -> usize {
        self.all.push(Outlet { socket, batch: SendBatch::new(BATCH, MAX_DATAGRAM) });
        self.all.len() - 1
    }

    /// Puts a datagram into the batch of outlet `number`; false where that is full.
    pub(crate) fn push(&mut self, number: usize, datagram: &Datagram) -> bool {
        let Some(outlet) = self.all.get_mut(number) else { return true };
        !outlet.batch.is_full() && {
            outlet.batch.push(datagram.to, datagram.local, datagram.bytes());
            true
        }
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
