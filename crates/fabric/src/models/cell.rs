//! The cell that is kept twice.

use loom::thread;

use super::{bytes, check, number, words};
use crate::cell::{CELL_LEN, COPY_WORDS, read, write};

#[test]
fn a_cell_once_written_is_never_torn_nor_empty_and_only_grows_newer() {
    check(|| {
        let [a, b] = [words(COPY_WORDS), words(COPY_WORDS)];
        // Both copies hold something: while a reader looks from one to the other, each may be gone in turn.
        (1..3).for_each(|n| write([&a, &b], &bytes::<CELL_LEN>(n)));
        let writing = thread::spawn({
            let (a, b) = (a.clone(), b.clone());
            move || (3..5).for_each(|n| write([&a, &b], &bytes::<CELL_LEN>(n)))
        });
        let mut newest = 2;
        for _ in 0..2 {
            // Two writes cannot overtake a reader often enough for it to give up.
            let mut buffer = [0; CELL_LEN];
            assert_eq!(read([&a, &b], &mut buffer), Some(CELL_LEN), "empty");
            let n = number(&buffer);
            assert!(n >= newest, "{n} after {newest}");
            newest = n;
        }
        writing.join().unwrap();
        let mut buffer = [0; CELL_LEN];
        assert_eq!((read([&a, &b], &mut buffer), number(&buffer)), (Some(CELL_LEN), 4));
    });
}

#[test]
fn a_cell_is_never_half_its_length() {
    check(|| {
        let [a, b] = [words(COPY_WORDS), words(COPY_WORDS)];
        write([&a, &b], &bytes::<8>(1));
        write([&a, &b], &bytes::<CELL_LEN>(2));
        let writing = thread::spawn({
            let (a, b) = (a.clone(), b.clone());
            move || write([&a, &b], &bytes::<8>(3))
        });
        let mut buffer = [0; CELL_LEN];
        let len = read([&a, &b], &mut buffer).unwrap();
        assert!(matches!((len, number(&buffer[..len])), (CELL_LEN, 2) | (8, 3)), "{len} of {buffer:?}");
        writing.join().unwrap();
    });
}
