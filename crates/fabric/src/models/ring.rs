//! The ring's seqlock.

use std::sync::Arc;

use loom::thread;

use super::{bytes, check, number, words};
use crate::ring::{FRAME_LEN, Read, RingReader, RingWriter, fill, slot};
use crate::sync::AtomicU64;

const SLOTS: usize = 4;
const WORDS: usize = SLOTS * (1 + FRAME_LEN / 8);

/// A ring in which every slot was written once.
fn full_ring() -> (Arc<[AtomicU64]>, Arc<[AtomicU64]>, RingWriter) {
    let (head, ring, mut writer) = (words(1), words(WORDS), RingWriter::default());
    (0..SLOTS as u64).for_each(|n| writer.write(&head[0], &ring, &bytes(n)));
    (head, ring, writer)
}

/// Reads on until nothing is there, at most `looks` times. All that comes out is what was published at the
/// position it was read from, and what a gap leads to is there.
fn read(reader: &mut RingReader, head: &AtomicU64, ring: &[AtomicU64], looks: usize) {
    let (mut frame, mut after_gap) = ([0; FRAME_LEN], false);
    for _ in 0..looks {
        let position = reader.position();
        match reader.read(head, ring, &mut frame) {
            Read::Empty => {
                assert!(!after_gap, "jumped to {position}, where there is nothing");
                return;
            }
            Read::Frame => assert_eq!((number(&frame), reader.position()), (position, position + 1)),
            Read::Gap(gap) => assert_eq!((gap > 0, reader.position()), (true, position + gap)),
        }
        after_gap = reader.position() > position + 1;
    }
}

#[test]
fn a_reader_that_keeps_up_gets_every_frame_whole_and_in_order() {
    check(|| {
        let (head, ring) = (words(1), words(WORDS));
        let writing = thread::spawn({
            let (head, ring) = (head.clone(), ring.clone());
            move || {
                let mut writer = RingWriter::default();
                (0..2).for_each(|n| writer.write(&head[0], &ring, &bytes(n)));
            }
        });
        let (mut reader, mut frame) = (RingReader::at(0), [0; FRAME_LEN]);
        for _ in 0..3 {
            let position = reader.position();
            match reader.read(&head[0], &ring, &mut frame) {
                Read::Frame => assert_eq!(number(&frame), position),
                Read::Gap(gap) => panic!("{gap} lost of two, with room for {SLOTS}"),
                Read::Empty => assert_eq!(reader.position(), position),
            }
        }
        writing.join().unwrap();
        read(&mut reader, &head[0], &ring, 3);
        assert_eq!(reader.position(), 2);
    });
}

#[test]
fn a_reader_that_is_lapped_counts_what_it_lost_and_gets_nothing_torn() {
    check(|| {
        let (head, ring, mut writer) = full_ring();
        let writing = thread::spawn({
            let (head, ring) = (head.clone(), ring.clone());
            move || (4..6).for_each(|n| writer.write(&head[0], &ring, &bytes(n)))
        });
        let mut reader = RingReader::at(0);
        read(&mut reader, &head[0], &ring, 3);
        writing.join().unwrap();
        read(&mut reader, &head[0], &ring, 2 * SLOTS);
        assert_eq!(reader.position(), 6, "frames and gaps do not add up");
    });
}

#[test]
fn a_writer_that_dies_in_a_slot_leaves_no_frame_there() {
    check(|| {
        let (head, ring, writer) = full_ring();
        let dying = thread::spawn({
            let ring = ring.clone();
            move || {
                let slot = slot(&ring, 4);
                writer.begin(slot);
                fill(slot, &4_u64.to_ne_bytes());
            }
        });
        let mut reader = RingReader::at(0);
        read(&mut reader, &head[0], &ring, 2);
        dying.join().unwrap();
        let mut late = RingReader::at(0);
        read(&mut reader, &head[0], &ring, 2 * SLOTS);
        assert_eq!(late.read(&head[0], &ring, &mut [0; FRAME_LEN]), Read::Gap(2), "slot 0 is gone");
        read(&mut late, &head[0], &ring, 2 * SLOTS);
        assert_eq!((reader.position(), late.position()), (4, 4));
    });
}
