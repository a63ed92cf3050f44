//! What the tests share: numbers that look random and can be had again, and a segment's bytes as whoever
//! breaks the rules reaches them.

#![allow(dead_code, reason = "each test uses a part")]

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

use fabric::SLOTS;

/// Bytes before a segment's body.
pub(crate) const HEADER: u64 = 64;

/// Numbers that look random.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A segment as a file.
pub(crate) struct Raw {
    file: File,
    pub(crate) len: u64,
}

/// How a writer left its ring.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The position after the last frame that is whole.
    pub(crate) whole: u64,
    /// What the writer has noted of it.
    pub(crate) head: u64,
    /// A slot was half written.
    pub(crate) half: bool,
}

impl Raw {
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Self {
        let file = File::from(fd.try_clone_to_owned().unwrap());
        let len = file.metadata().unwrap().len();
        Self { file, len }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.len).unwrap()];
        self.file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    pub(crate) fn word(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        self.file.read_exact_at(&mut word, at).unwrap();
        u64::from_ne_bytes(word)
    }

    pub(crate) fn write(&self, at: u64, bytes: &[u8]) {
        self.file.write_all_at(bytes, at).unwrap();
    }

    /// How many frames the writer of a worker's segment says it has written.
    pub(crate) fn head(&self) -> u64 {
        self.word(HEADER)
    }

    /// How the writer of a worker's segment, which is dead, left its ring.
    pub(crate) fn tail(&self) -> Tail {
        let bytes = self.bytes();
        let ring = bytes[bytes.len() - SLOTS * 64..].as_chunks::<64>().0;
        let (mut whole, mut half) = (0, None);
        for (index, slot) in (0..).zip(ring) {
            let sequence = u64::from_ne_bytes(*slot.first_chunk().unwrap());
            match sequence {
                0 => continue,
                sequence if sequence % 2 == 1 => assert_eq!(half.replace(sequence), None, "two half slots"),
                sequence => whole = whole.max(sequence / 2),
            }
            assert_eq!((sequence - 1) / 2 % SLOTS as u64, index, "a position in a slot that is not its own");
        }
        assert!(half.is_none_or(|half| half == 2 * whole + 1), "{half:?} half and {whole} whole");
        Tail { whole, head: self.head(), half: half.is_some() }
    }
}
