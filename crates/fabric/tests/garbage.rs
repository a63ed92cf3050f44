//! Segments full of garbage, and a hostile writer that goes on scribbling while others read: nobody faults,
//! hangs or panics. What is read is worth nothing then, and is not looked at.

#![cfg(not(loom))]
#![allow(clippy::unwrap_used, reason = "a failed test is to stop")]

mod support;

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use fabric::{
    Bell, BellSegment, CELL_LEN, Cell, Counter, FRAME_LEN, Location, MAX_MESSAGE, QueueReader, QueueSegment,
    QueueWriter, Segment, StateReader, StateSegment, StateWriter, Stats, StatsSegment, WorkerReader,
    WorkerSegment,
};
use support::{HEADER, Random, Raw};

/// A hang is found by this, and nothing else is.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often everything is read while somebody scribbles.
const ROUNDS: usize = 200;

/// A word that may be anything, and is often one that some reader takes for what it expects.
fn word(random: &mut Random) -> u64 {
    match random.below(8) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX - random.below(4),
        3 => random.below(8),
        4 => random.below(1 << 14),
        5 => 1 << 63 | random.below(1 << 14),
        _ => random.next(),
    }
}

/// Fills the whole body.
fn fill(raw: &Raw, random: &mut Random) {
    let words = (raw.len - HEADER) / 8;
    let bytes: Vec<u8> = (0..words).flat_map(|_| word(random).to_ne_bytes()).collect();
    raw.write(HEADER, &bytes);
}

/// Feeds garbage of several seeds to `read`, at rest and while it changes, in bounded time.
fn feed(segment: Segment, read: fn(&Segment, &mut Random)) {
    let (done, is_done) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let raw = Raw::of(segment.writable());
        for seed in 1..=8 {
            let mut random = Random(seed);
            fill(&raw, &mut random);
            read(&segment, &mut random);
        }
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut random = Random(99);
                while !stop.load(Ordering::Relaxed) {
                    // Now and then the first line, where the places and sizes are.
                    let words = if random.below(4) == 0 { 17 } else { (raw.len - HEADER) / 8 };
                    let at = HEADER + random.below(words) * 8;
                    raw.write(at, &word(&mut random).to_ne_bytes());
                }
            });
            let mut random = Random(77);
            (0..ROUNDS).for_each(|_| read(&segment, &mut random));
            stop.store(true, Ordering::Relaxed);
        });
        drop(done);
    });
    // Nothing is ever sent: it ends when the thread does.
    assert_ne!(is_done.recv_timeout(PATIENCE), Err::<(), _>(mpsc::RecvTimeoutError::Timeout), "it hangs");
    reading.join().unwrap();
}

#[test]
fn a_worker_that_writes_garbage() {
    feed(WorkerSegment::create(1).unwrap(), |segment, random| {
        for next in [0, random.next(), u64::MAX] {
            let mut reader = WorkerReader::open(segment.read_only(), (1, next)).unwrap();
            for _ in 0..1000 {
                let _ = reader.read(&mut [0; FRAME_LEN]);
                let _ = reader.interest().may_want(random.next() as u32);
                let _ = reader.locations().get(random.next() as u32);
                let _ = reader.origin(random.next() as u16);
                let _ = (reader.interest_version(), reader.place());
            }
        }
    });
}

#[test]
fn a_worker_whose_forerunner_wrote_garbage() {
    feed(WorkerSegment::create(1).unwrap(), |segment, random| {
        let next = WorkerSegment::create(2).unwrap();
        let mut writer = fabric::WorkerWriter::open(next.writable()).unwrap();
        let forerunner = WorkerReader::open(segment.read_only(), (0, 0)).unwrap();
        forerunner.locations().iter().for_each(|(radio, location)| writer.set_location(radio, location));
        for _ in 0..1000 {
            let (radio, context) = (random.next() as u32, random.next() as u32);
            writer.set_location(radio, Location { context, slot: 1, heard_ms: random.below(1 << 40) });
            let _ = writer.locations().get(radio);
            if random.below(100) == 0 {
                writer.forget_locations(context);
            }
        }
    });
}

#[test]
fn a_state_full_of_garbage() {
    feed(StateSegment::create(1).unwrap(), |segment, random| {
        let reader = StateReader::open(segment.read_only()).unwrap();
        let mut heir = StateWriter::open(segment.writable()).unwrap();
        let mut buffer = [0; CELL_LEN];
        assert!(reader.stored().rows() <= StateSegment::ROWS);
        for _ in 0..StateSegment::ROWS {
            let row = random.next() as u16;
            for cell in [Cell::Stack, Cell::Switch] {
                let len = reader.stored().read(row, cell, &mut buffer);
                assert!(len.is_none_or(|len| len <= CELL_LEN));
                let _ = heir.reader().read(row, cell, &mut buffer);
            }
            let _ = heir.write(row, Cell::Stack, &buffer[..random.below(CELL_LEN as u64) as usize]);
        }
    });
}

#[test]
fn a_queue_full_of_garbage() {
    feed(QueueSegment::create().unwrap(), |segment, random| {
        let mut reader = QueueReader::open(segment.writable()).unwrap();
        let mut writer = QueueWriter::open(segment.writable()).unwrap();
        let mut buffer = [0; MAX_MESSAGE];
        for _ in 0..1000 {
            match random.below(4) {
                0 => drop(writer.push(&buffer[..random.below(MAX_MESSAGE as u64) as usize])),
                1 => reader.pop(),
                _ => assert!(reader.peek(&mut buffer).is_none_or(|len| len <= MAX_MESSAGE)),
            }
            let _ = writer.is_tight();
        }
    });
}

#[test]
fn a_stats_page_full_of_garbage() {
    feed(StatsSegment::create(1).unwrap(), |segment, random| {
        let reader = Stats::reader(segment.read_only()).unwrap();
        let writer = Stats::writer(segment.writable()).unwrap();
        for _ in 0..100 {
            let _ = (reader.get(Counter::DatagramsIn), reader.lag(), reader.place(random.next() as u8));
            let _ = reader.last_words().map(|words| assert!(words.len() <= 3 * 1024));
            writer.add(Counter::DatagramsOut, random.next());
            writer.add_lag(random.next());
            writer.set_place(random.next() as u8, random.next(), random.next());
        }
    });
}

#[test]
fn bells_full_of_garbage() {
    feed(BellSegment::create().unwrap(), |segment, random| {
        let wake = BellSegment::wake().unwrap();
        let bell = Bell::open(segment.writable(), random.next() as usize).unwrap();
        for _ in 0..1000 {
            let _ = bell.ring(random.next() as usize, wake.as_fd());
            let _ = (bell.take(), bell.sleep());
            bell.awake();
        }
        bell.retract();
        // The counter of a descriptor that somebody has filled is full: a ring does not wait for room in it.
        let _ = nix::unistd::write(&wake, &(u64::MAX - 1).to_ne_bytes());
        (0..100).for_each(|process| {
            bell.ring(process, wake.as_fd());
        });
    });
}
