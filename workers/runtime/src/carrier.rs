//! UDP as what carries datagrams to other hosts: one socket, what a round has made goes out by few calls.

use std::net::UdpSocket;
use std::os::fd::AsFd;

use fabric::{Counter, Stats};
use fastforward::MAX_DATAGRAM;
use sys::{Counts, ReceiveBatch, SendBatch};
use transport::{Address, Carrier};

/// Datagrams that go out by one system call.
const BATCH: usize = 32;
/// Each begins a cache line of its own.
const LINE: usize = 64;
/// Datagrams taken at once, before others have their turn.
pub(crate) const RECEIVED: usize = 32;

/// The socket of a slot, and what waits to go out through it.
pub(crate) struct Udp {
    socket: UdpSocket,
    out: SendBatch,
    received: ReceiveBatch,
    counts: Counts,
}

impl Udp {
    pub(crate) fn new(socket: UdpSocket) -> Self {
        let out = SendBatch::new(BATCH, MAX_DATAGRAM.next_multiple_of(LINE));
        Self { socket, out, received: ReceiveBatch::new(RECEIVED, MAX_DATAGRAM), counts: Counts::default() }
    }

    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Takes in what waits, and returns how many datagrams that are.
    pub(crate) fn receive(&mut self, stats: &Stats) -> usize {
        // An error here is one that the network reported about an earlier datagram: nothing to be done.
        let count = self.received.receive(self.socket.as_fd()).unwrap_or(0);
        stats.add(Counter::DatagramsIn, count as u64);
        count
    }

    /// Copies a datagram that was taken in to `to`, and returns whence it came and how long it is: 0 where it is too long to be
    /// one of ours.
    pub(crate) fn get(&self, index: usize, to: &mut [u8; MAX_DATAGRAM]) -> Option<(Address, usize)> {
        let received = self.received.get(index)?;
        let bytes = if received.cut { &[] } else { received.bytes };
        to.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some((Address::udp(received.from), bytes.len()))
    }

    /// Notes what has gone out since the last time.
    pub(crate) fn count(&mut self, stats: &Stats) {
        let counts = std::mem::take(&mut self.counts);
        stats.add(Counter::DatagramsOut, counts.sent as u64);
        if counts.failed > 0 {
            stats.add(Counter::SendFailed, counts.failed as u64);
        }
    }
}

impl Carrier for Udp {
    fn send(&mut self, to: &Address, datagram: &[u8]) {
        if self.out.is_full() {
            self.flush();
        }
        if !self.out.push(to.socket, None, datagram) {
            self.counts.failed += 1;
        }
    }

    fn flush(&mut self) {
        if !self.out.is_empty() {
            let counts = self.out.flush(self.socket.as_fd());
            self.counts.sent += counts.sent;
            self.counts.failed += counts.failed;
        }
    }
}
