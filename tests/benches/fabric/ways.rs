//! The ways from one thread to another that are measured, but for ours.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use fabric::{FRAME_LEN, SLOTS};

/// One frame. Aligned as a word, so that each queue may copy words.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub(crate) struct Frame(pub(crate) [u8; FRAME_LEN]);

/// One end of a way there and back. The two lie apart, so that what one notes for itself is no news to the other.
pub(crate) trait End: Send {
    /// Waits where a queue is full.
    fn send(&mut self, frame: &Frame);
    /// Takes the next frame, if there is one. Never waits.
    fn receive(&mut self, frame: &mut Frame) -> bool;
}

/// The least that two cores can tell each other: a word on a line of its own, one for each direction.
///
/// What a line costs depends on where it lies in memory, by half as much again: a way through a ring is a mean over
/// thousands of lines, so this goes on to other lines every few messages, over as much memory.
#[repr(align(128))]
pub(crate) struct RawLine {
    lines: Arc<[Line]>,
    mine: usize,
    sent: u64,
    received: u64,
}

/// A word on a line of its own.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct Line(pub(crate) AtomicU64);

impl RawLine {
    const LINES: usize = 2 * SLOTS;
    /// Messages that use the same two lines.
    const STAY: u64 = 64;

    pub(crate) fn pair() -> [Self; 2] {
        let lines: Arc<[Line]> = (0..Self::LINES).map(|_| Line::default()).collect();
        [0, 1].map(|mine| Self { lines: Arc::clone(&lines), mine, sent: 0, received: 0 })
    }

    fn word(&self, side: usize, message: u64) -> &AtomicU64 {
        // An odd number of pairs of lines, so that all have their turn; the two are not neighbours, which the
        // processor may fetch together.
        let place = (message / Self::STAY) as usize * 37 % (Self::LINES / 4);
        &self.lines[place * 4 + side * 2].0
    }
}

impl End for RawLine {
    fn send(&mut self, _: &Frame) {
        self.word(self.mine, self.sent).store(self.sent + 1, Ordering::Release);
        self.sent += 1;
    }

    fn receive(&mut self, _: &mut Frame) -> bool {
        let there = self.word(1 - self.mine, self.received).load(Ordering::Acquire) == self.received + 1;
        self.received += u64::from(there);
        there
    }
}

/// The crate `rtrb`: one producer, one consumer.
#[repr(align(128))]
pub(crate) struct Rtrb {
    producer: rtrb::Producer<Frame>,
    consumer: rtrb::Consumer<Frame>,
}

impl Rtrb {
    pub(crate) fn pair() -> [Self; 2] {
        let ((there, at_far), (back, at_near)) = (rtrb::RingBuffer::new(SLOTS), rtrb::RingBuffer::new(SLOTS));
        [Self { producer: there, consumer: at_near }, Self { producer: back, consumer: at_far }]
    }
}

impl End for Rtrb {
    fn send(&mut self, frame: &Frame) {
        while self.producer.push(*frame).is_err() {}
    }

    fn receive(&mut self, frame: &mut Frame) -> bool {
        self.consumer.pop().map(|next| *frame = next).is_ok()
    }
}

/// The bounded queue of crossbeam: any number of both.
#[repr(align(128))]
pub(crate) struct Array {
    queues: [Arc<ArrayQueue<Frame>>; 2],
}

impl Array {
    pub(crate) fn pair() -> [Self; 2] {
        let [there, back] = [(); 2].map(|()| Arc::new(ArrayQueue::new(SLOTS)));
        [Self { queues: [Arc::clone(&there), Arc::clone(&back)] }, Self { queues: [back, there] }]
    }
}

impl End for Array {
    fn send(&mut self, frame: &Frame) {
        while self.queues[0].push(*frame).is_err() {}
    }

    fn receive(&mut self, frame: &mut Frame) -> bool {
        self.queues[1].pop().map(|next| *frame = next).is_some()
    }
}

/// Datagrams between Unix sockets.
pub(crate) struct Unix(UnixDatagram);

impl Unix {
    pub(crate) fn pair() -> [Self; 2] {
        <[_; 2]>::from(UnixDatagram::pair().unwrap()).map(|socket| {
            socket.set_nonblocking(true).unwrap();
            Self(socket)
        })
    }
}

impl End for Unix {
    fn send(&mut self, frame: &Frame) {
        assert_eq!(self.0.send(&frame.0).unwrap(), FRAME_LEN);
    }

    fn receive(&mut self, frame: &mut Frame) -> bool {
        self.0.recv(&mut frame.0).is_ok()
    }
}

/// Datagrams over the loopback.
pub(crate) struct Udp(UdpSocket);

impl Udp {
    pub(crate) fn pair() -> [Self; 2] {
        let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let addresses = [1, 0].map(|peer: usize| sockets[peer].local_addr().unwrap());
        for (socket, peer) in sockets.iter().zip(addresses) {
            socket.connect(peer).unwrap();
            socket.set_nonblocking(true).unwrap();
        }
        sockets.map(Self)
    }
}

impl End for Udp {
    fn send(&mut self, frame: &Frame) {
        assert_eq!(self.0.send(&frame.0).unwrap(), FRAME_LEN);
    }

    fn receive(&mut self, frame: &mut Frame) -> bool {
        self.0.recv(&mut frame.0).is_ok()
    }
}
