//! A bounded queue of messages from one process to another: for what workers and services tell each other,
//! never for voice. A full queue refuses; the sender counts or keeps what it wanted to say. Both sides' places
//! are in the segment, so whoever is started again reads and writes on where its forerunner stopped; a message
//! that was being taken when its reader died is read again.

use std::os::fd::BorrowedFd;

use crate::fifo::{Fifo, MAX_MESSAGE, SLOT_WORDS};
use crate::segment::{Error, Layout, Map, Segment};

const SLOTS: usize = 2048;
const WRITTEN: usize = 0;
const TAKEN: usize = 8;
const MESSAGES: usize = 16;
const LAYOUT: Layout =
    Layout { name: "bmctl-queue", kind: 3, version: 1, words: MESSAGES + SLOTS * SLOT_WORDS };

/// Makes a queue.
#[derive(Debug)]
pub struct QueueSegment;

impl QueueSegment {
    /// A queue with room for 2,048 messages.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn create() -> Result<Segment, Error> {
        Segment::create(LAYOUT, 0)
    }
}

/// The only writer of a queue.
#[derive(Debug)]
pub struct QueueWriter(Map);

/// The only reader of a queue.
#[derive(Debug)]
pub struct QueueReader(Map);

fn fifo(map: &Map) -> Fifo<'_> {
    Fifo {
        written: &map.body(WRITTEN, 1)[0],
        taken: &map.body(TAKEN, 1)[0],
        slots: map.body(MESSAGES, SLOTS * SLOT_WORDS),
    }
}

impl QueueWriter {
    /// Maps a queue for writing.
    ///
    /// # Errors
    /// A foreign segment, or what the kernel refuses.
    pub fn open(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        Ok(Self(Map::open(fd, LAYOUT, true)?.0))
    }

    /// More than three quarters of the queue wait to be read: what can be done without is better left out.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        fifo(&self.0).waiting() > SLOTS as u64 * 3 / 4
    }

    /// Puts a message in; false where the queue is full or the message longer than [`MAX_MESSAGE`].
    #[must_use]
    pub fn push(&mut self, message: &[u8]) -> bool {
        fifo(&self.0).push(message)
    }
}

impl QueueReader {
    /// Maps a queue for reading; it is written to all the same, to say how far it was read.
    ///
    /// # Errors
    /// A foreign segment, or what the kernel refuses.
    pub fn open(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        Ok(Self(Map::open(fd, LAYOUT, true)?.0))
    }

    /// Copies the oldest message into `buffer` and returns its length, without taking it.
    pub fn peek(&self, buffer: &mut [u8; MAX_MESSAGE]) -> Option<usize> {
        fifo(&self.0).peek(buffer)
    }

    /// Takes the message that was looked at.
    pub fn pop(&mut self) {
        fifo(&self.0).pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Ordering;

    #[test]
    fn messages_come_in_order_until_full_and_survive_a_restart() {
        let segment = QueueSegment::create().unwrap();
        let mut writer = QueueWriter::open(segment.writable()).unwrap();
        let mut pushed = 0_u32;
        while writer.push(&pushed.to_le_bytes()) {
            pushed += 1;
            assert_eq!(writer.is_tight(), pushed > 1536);
        }
        assert_eq!(pushed, 2048);
        let mut buffer = [0; MAX_MESSAGE];
        for n in 0..pushed {
            // A reader that is made anew each time goes on where the last one stopped.
            let mut reader = QueueReader::open(segment.writable()).unwrap();
            assert_eq!(reader.peek(&mut buffer), Some(4));
            assert_eq!(reader.peek(&mut buffer), Some(4), "not taken yet");
            assert_eq!(buffer[..4], n.to_le_bytes());
            reader.pop();
        }
        assert_eq!(QueueReader::open(segment.writable()).unwrap().peek(&mut buffer), None);
        let mut writer = QueueWriter::open(segment.writable()).unwrap();
        assert!(!writer.push(&[0; MAX_MESSAGE + 1]));
        let (map, _) = Map::open(segment.writable(), LAYOUT, true).unwrap();
        map.body(TAKEN, 1)[0].store(u64::MAX / 2, Ordering::Relaxed);
        assert_eq!(QueueReader::open(segment.writable()).unwrap().peek(&mut buffer), None, "damaged");
        assert!(writer.push(&[9; MAX_MESSAGE]));
        let reader = QueueReader::open(segment.writable()).unwrap();
        assert_eq!((reader.peek(&mut buffer), buffer), (Some(MAX_MESSAGE), [9; MAX_MESSAGE]));
    }
}
