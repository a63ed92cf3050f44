//! The cell that is kept twice.

use std::sync::Arc;

use loom::thread;

use super::{bytes, check, number, words};
use crate::cell::{CELL_LEN, CONTENT_WORDS, Copy};
use crate::sync::AtomicU64;

/// A cell with its copies, each of whose last word lies apart.
#[derive(Clone)]
struct Cell([Arc<[AtomicU64]>; 2]);

impl Cell {
    fn new() -> Self {
        Self([words(2 + CONTENT_WORDS), words(2 + CONTENT_WORDS)])
    }

    fn copies(&self) -> [Copy<'_>; 2] {
        self.0.each_ref().map(|words| {
            let (head, tail) = words.split_at(1 + CONTENT_WORDS);
            Copy { head, tail }
        })
    }

    fn write(&self, content: &[u8]) {
        crate::cell::write(self.copies(), content);
    }

    fn read(&self, buffer: &mut [u8; CELL_LEN]) -> Option<usize> {
        crate::cell::read(self.copies(), buffer)
    }
}

#[test]
fn a_cell_once_written_is_never_torn_nor_empty_and_only_grows_newer() {
    check(|| {
        let cell = Cell::new();
        // Both copies hold something: while a reader looks from one to the other, each may be gone in turn.
        (1..3).for_each(|n| cell.write(&bytes::<CELL_LEN>(n)));
        let writing = thread::spawn({
            let cell = cell.clone();
            move || (3..5).for_each(|n| cell.write(&bytes::<CELL_LEN>(n)))
        });
        let mut newest = 2;
        for _ in 0..2 {
            // Two writes cannot overtake a reader often enough for it to give up.
            let mut buffer = [0; CELL_LEN];
            assert_eq!(cell.read(&mut buffer), Some(CELL_LEN), "empty");
            let n = number(&buffer);
            assert!(n >= newest, "{n} after {newest}");
            newest = n;
        }
        writing.join().unwrap();
        let mut buffer = [0; CELL_LEN];
        assert_eq!((cell.read(&mut buffer), number(&buffer)), (Some(CELL_LEN), 4));
    });
}

#[test]
fn a_cell_is_never_half_its_length() {
    check(|| {
        let cell = Cell::new();
        cell.write(&bytes::<8>(1));
        cell.write(&bytes::<CELL_LEN>(2));
        let writing = thread::spawn({
            let cell = cell.clone();
            move || cell.write(&bytes::<8>(3))
        });
        let mut buffer = [0; CELL_LEN];
        let len = cell.read(&mut buffer).unwrap();
        assert!(matches!((len, number(&buffer[..len])), (CELL_LEN, 2) | (8, 3)), "{len} of {buffer:?}");
        writing.join().unwrap();
    });
}
