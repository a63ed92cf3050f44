//! The state segment of a shard: what its next owner has to know, a row per context.
//!
//! A row has one cell for the stack and one for the switch. A cell is kept twice, each copy with a sequence
//! word: the writer fills the older copy and gives it the next number last, so a writer that dies at any
//! moment leaves the other copy whole. What the bytes mean, and their version, is their writer's affair.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::segment::{Error, Layout, Map, Segment, acquire};

/// The two cells of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Written by the stack: the connection.
    Stack,
    /// Written by the switch: subscriptions and running sessions.
    Switch,
}

/// The longest content of a cell, in bytes.
pub const CELL_LEN: usize = 448;

/// Rows of a shard.
const ROWS: usize = 1024;
/// Sequence, length, content.
const COPY_WORDS: usize = 2 + CELL_LEN / 8;
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

fn copies(map: &Map, row: u16, cell: Cell) -> [&[AtomicU64]; 2] {
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
        let copies = copies(&self.0, row, cell);
        let [a, b] = copies.map(|copy| copy[0].load(Ordering::Relaxed));
        let older = copies[usize::from(b < a)];
        older[0].store(0, Ordering::Relaxed);
        // Nobody may take the old number for the new content.
        fence(Ordering::Release);
        older[1].store(content.len() as u64, Ordering::Relaxed);
        for (word, bytes) in older[2..].iter().zip(content.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(whole), Ordering::Relaxed);
        }
        older[0].store(a.max(b).wrapping_add(1), Ordering::Release);
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
        // A writer may overtake a reader; one that does so again and again is not waited for.
        for _ in 0..16 {
            let copies = copies(self.0, row, cell);
            let [a, b] = copies.map(|copy| acquire(&copy[0]));
            let (copy, sequence) = if b < a { (copies[0], a) } else { (copies[1], b) };
            if sequence == 0 {
                return None;
            }
            let len = usize::try_from(copy[1].load(Ordering::Relaxed)).unwrap_or(usize::MAX);
            let len = if len > CELL_LEN { 0 } else { len };
            for (word, bytes) in copy[2..].iter().zip(buffer[..len].chunks_mut(8)) {
                bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes()[..bytes.len()]);
            }
            fence(Ordering::Acquire);
            if copy[0].load(Ordering::Relaxed) == sequence {
                return (len > 0).then_some(len);
            }
        }
        None
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
