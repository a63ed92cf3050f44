//! What a frame costs its sender: one write, however many read it, and no system call while they are awake.

#![cfg(not(loom))]
#![allow(clippy::unwrap_used, reason = "a failed test is to stop")]

mod support;

use std::os::fd::{AsFd, OwnedFd};

use fabric::{Bell, BellSegment, FRAME_LEN, Read, WorkerReader, WorkerSegment, WorkerWriter};
use nix::errno::Errno;
use support::Raw;

const SIBLINGS: usize = 100;
const ME: usize = 120;

#[test]
fn one_write_reaches_a_hundred_siblings() {
    let segment = WorkerSegment::create(1).unwrap();
    let mut writer = WorkerWriter::open(segment.writable()).unwrap();
    let open = |_| WorkerReader::open(segment.read_only(), (0, 0)).unwrap();
    let mut readers: Vec<_> = (0..SIBLINGS).map(open).collect();
    let raw = Raw::of(segment.read_only());
    let before = raw.bytes();
    writer.write(&[7; FRAME_LEN]);
    let after = raw.bytes();
    let words = before.as_chunks::<8>().0.iter().zip(after.as_chunks::<8>().0);
    let changed = words.filter(|(before, after)| before != after).count();
    assert_eq!((changed, raw.head()), (1 + 8, 1), "the head, and one line of the ring");
    for reader in &mut readers {
        let mut frame = [0; FRAME_LEN];
        assert_eq!((reader.read(&mut frame), frame), (Read::Frame, [7; FRAME_LEN]));
        assert_eq!(reader.read(&mut frame), Read::Empty);
    }
    assert_eq!(raw.bytes(), after, "readers leave no trace");
}

/// How often a descriptor was written to since this was last asked.
fn writes(wake: &OwnedFd) -> u64 {
    let mut count = [0; 8];
    match nix::unistd::read(wake, &mut count) {
        Ok(_) => u64::from_ne_bytes(count),
        Err(errno) => {
            assert_eq!(errno, Errno::EAGAIN);
            0
        }
    }
}

#[test]
fn whoever_is_awake_is_rung_without_a_system_call_and_a_sleeper_with_one() {
    let segment = BellSegment::create().unwrap();
    let ringer = Bell::open(segment.writable(), ME).unwrap();
    let siblings: Vec<_> = (0..SIBLINGS)
        .map(|me| (Bell::open(segment.writable(), me).unwrap(), BellSegment::wake().unwrap()))
        .collect();
    let ring = || {
        let rung = siblings.iter().enumerate().filter(|(i, (_, wake))| ringer.ring(*i, wake.as_fd()));
        let rung = rung.count();
        (rung, siblings.iter().map(|(_, wake)| writes(wake)).sum::<u64>())
    };
    assert_eq!(ring(), (0, 0), "awake, and never slept");
    assert_eq!(ring(), (0, 0), "it knows already");
    for (bell, _) in &siblings {
        assert!(!bell.sleep(), "something has come");
        assert_eq!(bell.take(), 1 << ME);
    }
    assert_eq!(ring(), (0, 0), "kept from sleeping, so awake");
    for (bell, _) in &siblings {
        assert_eq!(bell.take(), 1 << ME);
        assert!(bell.sleep());
    }
    assert_eq!(ring(), (SIBLINGS, SIBLINGS as u64));
    assert_eq!(ring(), (0, 0), "once a sleep");
    for (bell, _) in &siblings {
        bell.awake();
        assert_eq!(bell.take(), 1 << ME);
    }
    assert_eq!(ring(), (0, 0), "awake again");
}
