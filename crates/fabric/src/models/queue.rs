//! The queue between two processes.

use std::sync::Arc;

use loom::thread;

use super::{bytes, check, number, words};
use crate::fifo::{Fifo, MAX_MESSAGE, SLOT_WORDS};
use crate::sync::{AtomicU64, Ordering};

const SLOTS: usize = 2;

fn fifo(words: &Arc<[AtomicU64]>) -> Fifo<'_> {
    Fifo { written: &words[0], taken: &words[1], slots: &words[2..] }
}

#[test]
fn messages_come_whole_once_and_in_order_while_slots_are_used_again() {
    check(|| {
        // Loom has no load that is late. What a reader did with a message before it took it stands for the loads,
        // and must be over for whoever writes the slot again.
        let (words, done) = (words(2 + SLOTS * SLOT_WORDS), words(SLOTS));
        (0..2).for_each(|n| assert!(fifo(&words).push(&bytes::<MAX_MESSAGE>(n))));
        let writing = thread::spawn({
            let (words, done) = (words.clone(), done.clone());
            move || {
                let mut pushed = 0;
                for n in 2..4 {
                    if fifo(&words).push(&bytes::<MAX_MESSAGE>(n)) {
                        assert_eq!(done[pushed].load(Ordering::Relaxed), 1, "written while it is read");
                        pushed += 1;
                    }
                }
                pushed
            }
        });
        // Full at first: what was refused is not in, and nothing that was not refused is missing.
        let (mut buffer, mut taken) = ([0; MAX_MESSAGE], Vec::new());
        let mut take = || {
            assert_eq!(fifo(&words).peek(&mut buffer)?, MAX_MESSAGE);
            let n = number(&buffer);
            if let Some(done) = done.get(n as usize) {
                done.store(1, Ordering::Relaxed);
            }
            fifo(&words).pop();
            Some(n)
        };
        taken.extend((0..3).map_while(|_| take()));
        let pushed = writing.join().unwrap();
        taken.extend(std::iter::from_fn(take));
        assert_eq!(taken.len(), 2 + pushed, "{taken:?}");
        assert!(taken.starts_with(&[0, 1]) && taken.is_sorted(), "{taken:?}");
        taken.dedup();
        assert_eq!(taken.len(), 2 + pushed, "taken twice");
    });
}
