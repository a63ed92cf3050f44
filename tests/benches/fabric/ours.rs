//! Our own ways: the ring alone, with a writer that waits, with its bell.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fabric::{Bell, BellSegment, Read, SLOTS, WorkerReader, WorkerSegment, WorkerWriter};

use crate::ways::{End, Frame, Line};

/// Our ring, polled.
#[repr(align(128))]
pub(crate) struct Ring {
    writer: WorkerWriter,
    reader: WorkerReader,
}

impl Ring {
    pub(crate) fn pair() -> [Self; 2] {
        let segments = [1, 2].map(|epoch| WorkerSegment::create(epoch).unwrap());
        [0, 1].map(|mine| Self {
            writer: WorkerWriter::open(segments[mine].writable()).unwrap(),
            reader: WorkerReader::open(segments[1 - mine].read_only(), (0, 0)).unwrap(),
        })
    }
}

impl End for Ring {
    fn send(&mut self, frame: &Frame) {
        self.writer.write(&frame.0);
    }

    fn receive(&mut self, frame: &mut Frame) -> bool {
        match self.reader.read(&mut frame.0) {
            Read::Frame => true,
            Read::Empty => false,
            Read::Gap(gap) => panic!("{gap} frames lost: the writer has lapped the reader"),
        }
    }
}

/// Our ring with a writer that does not lap its reader, which it never waits for by itself.
#[repr(align(128))]
pub(crate) struct PacedRing {
    ring: Ring,
    places: Arc<[Line; 2]>,
    mine: usize,
    sent: u64,
    received: u64,
}

impl PacedRing {
    /// Frames between two looks at how far the reader is.
    const STRIDE: u64 = 1024;

    pub(crate) fn pair() -> [Self; 2] {
        let places = Arc::<[Line; 2]>::default();
        let mut mine = [0, 1].into_iter();
        Ring::pair().map(|ring| {
            let mine = mine.next().unwrap();
            Self { ring, places: Arc::clone(&places), mine, sent: 0, received: 0 }
        })
    }
}

impl End for PacedRing {
    fn send(&mut self, frame: &Frame) {
        if self.sent.is_multiple_of(Self::STRIDE) {
            let room = SLOTS as u64 - 2 * Self::STRIDE;
            while self.sent - self.places[1 - self.mine].0.load(Ordering::Acquire) > room {}
        }
        self.sent += 1;
        self.ring.send(frame);
    }

    fn receive(&mut self, frame: &mut Frame) -> bool {
        let there = self.ring.receive(frame);
        self.received += u64::from(there);
        if there && self.received.is_multiple_of(Self::STRIDE) {
            self.places[self.mine].0.store(self.received, Ordering::Release);
        }
        there
    }
}

/// Our ring as a worker uses it that is awake: the bell says when to look.
#[repr(align(128))]
pub(crate) struct RingAndBell {
    ring: Ring,
    bell: Bell,
    peer: usize,
    /// That of the peer.
    pub(crate) wake: OwnedFd,
    pub(crate) rung: u64,
}

impl RingAndBell {
    pub(crate) fn pair() -> [Self; 2] {
        let bells = BellSegment::create().unwrap();
        let mut me = 0;
        Ring::pair().map(|ring| {
            let bell = Bell::open(bells.writable(), me).unwrap();
            me += 1;
            let peer = 2 - me;
            Self { ring, bell, peer, wake: BellSegment::wake().unwrap(), rung: 0 }
        })
    }
}

impl End for RingAndBell {
    fn send(&mut self, frame: &Frame) {
        self.ring.send(frame);
        self.rung += 1;
        self.bell.ring(self.peer, self.wake.as_fd());
    }

    fn receive(&mut self, frame: &mut Frame) -> bool {
        self.bell.take() != 0 && self.ring.receive(frame)
    }
}
