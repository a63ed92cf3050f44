//! The table of far sessions: places are given to other sessions under a reader.

use std::sync::Arc;

use loom::thread;

use super::{check, words};
use crate::origin::{Origins, OriginsWriter};
use crate::sync::{AtomicU64, Ordering, acquire};

#[test]
fn a_place_that_changes_hands_is_one_sessions_or_the_others() {
    check(|| {
        let words = words(2);
        let mut writer = OriginsWriter::default();
        writer.set(&words, 0, 10, 1);
        let writing = {
            let words = words.clone();
            thread::spawn(move || {
                writer.set(&words, 0, 20, 2);
                // The node is the one of before, the session is not.
                writer.set(&words, 0, 30, 1);
            })
        };
        let found = Origins { words: &words }.get(0);
        assert!([None, Some((10, 1)), Some((20, 2)), Some((30, 1))].contains(&found), "{found:?}");
        writing.join().unwrap();
        assert_eq!(Origins { words: &words }.get(0), Some((30, 1)));
    });
}

#[test]
fn whoever_reads_a_frame_finds_the_session_that_was_put_there_before_it() {
    check(|| {
        let (words, head) = (words(2), Arc::new(AtomicU64::new(0)));
        let mut writer = OriginsWriter::default();
        writer.set(&words, 0, 10, 1);
        let writing = {
            let (words, head) = (words.clone(), head.clone());
            thread::spawn(move || {
                writer.set(&words, 0, 20, 2);
                // As a ring publishes.
                head.store(1, Ordering::Release);
            })
        };
        let has_frame = acquire(&head) == 1;
        let found = Origins { words: &words }.get(0);
        assert!(!has_frame || found == Some((20, 2)), "{found:?}");
        writing.join().unwrap();
    });
}
