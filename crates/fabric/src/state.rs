//! The state segment of a shard: what its next owner has to know, a row per context.
//!
//! A row has one cell for the stack and one for the switch, each of which is whole at any moment. What the
//! bytes mean, and their version, is their writer's affair.

use std::os::fd::BorrowedFd;

use crate::cell::{self, CELL_LEN, CONTENT_WORDS, Copy};
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

impl Cell {
    /// Words of the head of a copy: what most contents fit into.
    const fn head_words(self) -> usize {
        match self {
            Self::Stack => 24,
            Self::Switch => 8,
        }
    }

    const fn tail_words(self) -> usize {
        2 + CONTENT_WORDS - self.head_words()
    }
}

/// Rows of a shard.
const ROWS: usize = 1024;
/// Copies of the cells of one kind.
const COPIES: usize = ROWS * 2;
/// Rows from this one on were never written: a new owner need not look at them.
const HIGH_WATER: usize = 0;
/// The heads of all rows side by side, so that rows with short contents share few pages; then the tails.
const STACK_HEADS: usize = 8;
const SWITCH_HEADS: usize = STACK_HEADS + COPIES * Cell::Stack.head_words();
const STACK_TAILS: usize = SWITCH_HEADS + COPIES * Cell::Switch.head_words();
const SWITCH_TAILS: usize = STACK_TAILS + COPIES * Cell::Stack.tail_words();
const WORDS: usize = SWITCH_TAILS + COPIES * Cell::Switch.tail_words();
const LAYOUT: Layout = Layout { name: "bmctl-state", kind: 4, version: 2, words: WORDS };

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

fn copies(map: &Map, row: u16, cell: Cell) -> [Copy<'_>; 2] {
    let (heads, tails) = match cell {
        Cell::Stack => (STACK_HEADS, STACK_TAILS),
        Cell::Switch => (SWITCH_HEADS, SWITCH_TAILS),
    };
    let first = usize::from(row) % ROWS * 2;
    [first, first + 1].map(|copy| Copy {
        head: map.body(heads + copy * cell.head_words(), cell.head_words()),
        tail: map.body(tails + copy * cell.tail_words(), cell.tail_words()),
    })
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
        // Across the border between head and tail, too.
        for len in 1..=CELL_LEN {
            let content: Vec<u8> = (0..len).map(|at| (len + at) as u8).collect();
            for cell in [Cell::Stack, Cell::Switch] {
                assert!(writer.write(5, cell, &content));
                assert_eq!(get(reader.stored(), 5, cell), Some(content.clone()));
            }
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
            .min_by_key(|copy| copy.head[0].load(Ordering::Relaxed))
            .unwrap();
        older.head[0].store(0, Ordering::Relaxed);
        older.head[1].store(u64::MAX, Ordering::Relaxed);
        older.head[2].store(u64::MAX, Ordering::Relaxed);
        assert_eq!(get(writer.reader(), 0, Cell::Stack), Some(b"second".to_vec()));
        writer.write(0, Cell::Stack, b"third");
        assert_eq!(get(writer.reader(), 0, Cell::Stack), Some(b"third".to_vec()));
    }
}
