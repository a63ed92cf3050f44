//! The location table: an entry changes hands and places under a reader.

use std::sync::Arc;

use loom::thread::{self, JoinHandle};

use super::{check, words};
use crate::location::{Location, Locations, LocationsWriter};
use crate::sync::AtomicU64;

/// One bucket.
const WORDS: usize = 8;

/// A place whose every part says `n`.
fn place(context: u32, n: u64) -> Location {
    Location { context, slot: n as u8, heard_ms: n }
}

fn writer(words: &Arc<[AtomicU64]>, write: fn(&mut LocationsWriter, &[AtomicU64])) -> JoinHandle<()> {
    let words = words.clone();
    thread::spawn(move || write(&mut LocationsWriter::default(), &words))
}

#[test]
fn a_radio_that_moves_and_comes_back_is_where_it_was_or_is() {
    check(|| {
        let words = words(WORDS);
        LocationsWriter::default().set(&words, 7, place(1, 10));
        let writing = writer(&words, |writer, words| {
            writer.set(words, 7, place(2, 11));
            writer.set(words, 7, place(1, 12));
        });
        let found = Locations { words: &words }.get(7);
        let right = [None, Some(place(1, 10)), Some(place(2, 11)), Some(place(1, 12))];
        assert!(right.contains(&found), "{found:?}");
        writing.join().unwrap();
        assert_eq!(Locations { words: &words }.get(7), Some(place(1, 12)));
    });
}

#[test]
fn an_entry_that_changes_hands_is_one_radios_or_the_others() {
    check(|| {
        let words = words(WORDS);
        for radio in 1..=4 {
            LocationsWriter::default().set(&words, radio, place(radio, u64::from(radio)));
        }
        // The oldest goes, and its place is forgotten and taken again.
        let writing = writer(&words, |writer, words| {
            writer.set(words, 9, place(9, 9));
            writer.forget(words, 9);
            writer.set(words, 1, place(1, 10));
        });
        let table = Locations { words: &words };
        let (new, old) = (table.get(9), table.get(1));
        assert!(new.is_none_or(|new| new == place(9, 9)), "{new:?}");
        assert!(old.is_none_or(|old| old == place(1, 1) || old == place(1, 10)), "{old:?}");
        assert_eq!(table.get(2), Some(place(2, 2)), "nobody touches it");
        writing.join().unwrap();
        assert_eq!((table.get(9), table.get(1)), (None, Some(place(1, 10))));
    });
}
