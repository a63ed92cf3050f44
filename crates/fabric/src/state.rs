//! The state segment of a shard: what its next owner has to know, a row per context.
//!
//! A row has one cell for the stack and one for the switch, each of which is whole at any moment. What the
//! bytes mean, and their version, is their writer's affair.

use std::os::fd::BorrowedFd;

use crate::cell::{self, CELL_LEN, COPY_WORDS, Copies};
use crate::segment::{Error, Layout, Map, Segment};
use crate::sync::{Ordering, acquire};

/// The two cells of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Written by the stack: the connection.
    Stack,
    /// Written by the switch: subscriptions and running sessions.
    Switch,
}

/// Rows of a shard.
const ROWS: usize = 1024;
const ROW_WORDS: usize = COPY_WORDS * 4;
/// Rows from this one on were never written: a new owner need not look at them.
const HIGH_WATER: usize = 0;
const CELLS: usize = 8;
const LAYOUT: Layout = Layout { name: "bmctl-state", kind: 4, version: 1, words: CELLS + ROWS * ROW_WORDS };

/// Makes the segment of a shard.
#[derive(Debug)]
pub struct StateSegment;

impl StateSegment {
    /// Contexts that a shard has room for.
    pub const ROWS: u16 = ROWS as u16;

    /// An empty segment; memory is taken only for rows that were used.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn create(epoch: u64) -> Result<Segment, Error> {
        Segment::create(LAYOUT, epoch)
    }
}

fn copies(map: &Map, row: u16, cell: Cell) -> Copies<'_> {
    let start = CELLS + usize::from(row) % ROWS * ROW_WORDS + (cell as usize) * COPY_WORDS * 2;
    [map.body(start, COPY_WORDS), map.body(start + COPY_WORDS, COPY_WORDS)]
}

/// The shard's owner.
#[derive(Debug)]
pub struct StateWriter(Map);

impl StateWriter {
    /// Maps a shard's segment for writing.
    ///
    /// # Errors
    /// A foreign segment, or what the kernel refuses.
    pub fn open(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        Ok(Self(Map::open(fd, LAYOUT, true)?.0))
    }

    /// Writes a cell; empty content erases it. False, and nothing written, where there is no such row or the
    /// content is longer than [`CELL_LEN`].
    pub fn write(&mut self, row: u16, cell: Cell, content: &[u8]) -> bool {
        if usize::from(row) >= ROWS || content.len() > CELL_LEN {
            return false;
        }
        let high_water = &self.0.body(HIGH_WATER, 1)[0];
        if high_water.load(Ordering::Relaxed) <= u64::from(row) {
            high_water.store(u64::from(row) + 1, Ordering::Release);
        }
        cell::write(copies(&self.0, row, cell), content);
        true
    }

    /// Reads on as the shard's new owner.
    #[must_use]
    pub fn reader(&self) -> Stored<'_> {
        Stored(&self.0)
    }
}

/// Anybody else who may look at a shard's state.
#[derive(Debug)]
pub struct StateReader(Map);

impl StateReader {
    /// Maps a shard's segment for reading.
    ///
    /// # Errors
    /// A foreign segment, or what the kernel refuses.
    pub fn open(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        Ok(Self(Map::open(fd, LAYOUT, false)?.0))
    }

    /// What is stored.
    #[must_use]
    pub fn stored(&self) -> Stored<'_> {
        Stored(&self.0)
    }
}

/// What a shard's segment holds.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a>(&'a Map);

impl Stored<'_> {
    /// How many rows may hold something.
    #[must_use]
    pub fn rows(&self) -> u16 {
        let high_water = acquire(&self.0.body(HIGH_WATER, 1)[0]);
        u16::try_from(high_water).unwrap_or(u16::MAX).min(StateSegment::ROWS)
    }

    /// Copies a cell into `buffer` and returns its length; `None` where it is empty.
    pub fn read(&self, row: u16, cell: Cell, buffer: &mut [u8; CELL_LEN]) -> Option<usize> {
        cell::read(copies(self.0, row, cell), buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(stored: Stored<'_>, row: u16, cell: Cell) -> Option<Vec<u8>> {
        let mut buffer = [0; CELL_LEN];
        stored.read(row, cell, &mut buffer).map(|len| buffer[..len].to_vec())
    }

    #[test]
    fn cells_keep_their_newest_content() {
        let segment = StateSegment::create(1).unwrap();
        let mut writer = StateWriter::open(segment.writable()).unwrap();
        let reader = StateReader::open(segment.read_only()).unwrap();
        assert_eq!((reader.stored().rows(), get(reader.stored(), 5, Cell::Stack)), (0, None));
        for n in 1..100_u8 {
            assert!(writer.write(5, Cell::Stack, &vec![n; usize::from(n)]));
            assert_eq!(get(reader.stored(), 5, Cell::Stack), Some(vec![n; usize::from(n)]));
        }
        assert!(writer.write(5, Cell::Switch, &[7; CELL_LEN]));
        assert_eq!(get(writer.reader(), 5, Cell::Switch), Some(vec![7; CELL_LEN]));
        assert!(!writer.write(5, Cell::Switch, &[7; CELL_LEN + 1]));
        assert!(!writer.write(StateSegment::ROWS, Cell::Switch, &[7]));
        assert!(writer.write(5, Cell::Stack, &[]));
        assert_eq!((reader.stored().rows(), get(reader.stored(), 5, Cell::Stack)), (6, None));
    }

    #[test]
    fn a_writer_that_dies_in_the_middle_tears_nothing() {
        let segment = StateSegment::create(1).unwrap();
        let mut writer = StateWriter::open(segment.writable()).unwrap();
        writer.write(0, Cell::Stack, b"first");
        writer.write(0, Cell::Stack, b"second");
        // As a death after any of the stores would leave the older copy: number gone, content half new.
        let older = copies(&writer.0, 0, Cell::Stack)
            .into_iter()
            .min_by_key(|copy| copy[0].load(Ordering::Relaxed))
            .unwrap();
        older[0].store(0, Ordering::Relaxed);
        older[1].store(u64::MAX, Ordering::Relaxed);
        older[2].store(u64::MAX, Ordering::Relaxed);
        assert_eq!(get(writer.reader(), 0, Cell::Stack), Some(b"second".to_vec()));
        writer.write(0, Cell::Stack, b"third");
        assert_eq!(get(writer.reader(), 0, Cell::Stack), Some(b"third".to_vec()));
    }
}
