//! A writer that floods its segments is killed with SIGKILL again and again, at any moment. Whoever survives
//! reads nothing torn and nothing out of order, gets all that was published whole, and is not left asleep.
//!
//! `FABRIC_KILLS` says how often; 1,000 times if it does not.

#![cfg(not(loom))]
#![allow(clippy::unwrap_used, reason = "a failed test is to stop")]

#[path = "../support/mod.rs"]
mod support;
mod survivor;
mod writer;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use fabric::{Bell, BellSegment, Segment, StateSegment, StateWriter, WorkerReader, WorkerSegment};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use support::{Random, Raw};
use survivor::{Next, survive};
use writer::{Flood, MODES, Mode, RADIOS, location, state};

/// The longest that anything is waited for. A sleeper that is not woken is found by this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bells: the writer that is killed, those that survive it, and somebody else.
const WRITER: usize = 0;
const SURVIVORS: [usize; 2] = [1, 2];
const OTHER: usize = 100;

/// What all incarnations share.
struct Host {
    bells: Segment,
    state: Segment,
    wakes: [OwnedFd; 2],
    /// The incarnation that each survivor reads.
    followed: [AtomicU64; 2],
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::yield_now();
    }
}

/// What the successor of a dead writer finds in the state, of which it wrote `n` just before frame `n`.
fn inherit(host: &Host, worker: &Segment, epoch: u64, before: Option<(u64, u64)>) -> Option<(u64, u64)> {
    let whole = Raw::of(worker.read_only()).tail().whole;
    let found = state(StateWriter::open(host.state.writable()).unwrap().reader());
    match found {
        Some((of, n)) if of == epoch => assert!(n + 1 == whole || n == whole, "state {n}, {whole} frames"),
        _ => assert_eq!((found, whole), (before, 0), "the state lost what it had"),
    }
    found
}

/// The next incarnation knows where its forerunner heard whom.
fn check_locations(next: &Segment) -> u64 {
    let reader = WorkerReader::open(next.read_only(), (0, 0)).unwrap();
    let found = (0..RADIOS).filter_map(|radio| {
        let found = reader.locations().get(1 + radio as u32)?;
        assert_eq!((found, (found.heard_ms - 1) % RADIOS), (location(found.heard_ms - 1), radio));
        Some(found)
    });
    found.count() as u64
}

#[test]
fn nothing_is_torn_lost_or_left_asleep_when_a_writer_is_killed_a_thousand_times() {
    let kills = std::env::var("FABRIC_KILLS").map_or(1000, |kills| kills.parse().unwrap());
    let host = Host {
        bells: BellSegment::create().unwrap(),
        state: StateSegment::create(1).unwrap(),
        wakes: [(); 2].map(|()| BellSegment::wake().unwrap()),
        followed: Default::default(),
    };
    for wake in &host.wakes {
        fcntl(wake, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    }
    let heir = Bell::open(host.bells.writable(), WRITER).unwrap();
    let other = Bell::open(host.bells.writable(), OTHER).unwrap();
    let (mut random, mut inherited, mut places) = (Random(0x5EED), None, 0);
    let tallies = std::thread::scope(|scope| {
        let mut survivors = Vec::new();
        let mut tell = Vec::new();
        for i in 0..2 {
            let (sender, receiver) = mpsc::channel();
            let host = &host;
            survivors.push(scope.spawn(move || survive(host, i, &receiver)));
            tell.push(sender);
        }
        // As a replacement does: take back what the dead one left, then ring. Whoever else rings does as well.
        let wake_all = |bell: &Bell| {
            heir.retract();
            for (process, wake) in SURVIVORS.into_iter().zip(&host.wakes) {
                bell.ring(process, wake.as_fd());
            }
        };
        let mut before: Option<Arc<Segment>> = None;
        for epoch in 1..=kills {
            let worker = Arc::new(WorkerSegment::create(epoch).unwrap());
            places = places.max(before.as_deref().map_or(0, check_locations));
            let mode = MODES[(epoch % 3) as usize];
            // Refused where a survivor has failed, which the join tells better.
            tell.iter().for_each(|tell| drop(tell.send(Next { worker: worker.clone(), mode })));
            wake_all(if random.below(2) == 0 { &heir } else { &other });
            until("they follow", || {
                assert!(!survivors.iter().any(|survivor| survivor.is_finished()), "one has failed");
                host.followed.iter().all(|followed| followed.load(Ordering::Relaxed) == epoch)
            });
            let mut flood = Flood::start(&host, &worker, mode, epoch);
            flood.wait(&worker);
            std::thread::sleep(Duration::from_micros(random.below(1500)));
            drop(flood);
            if mode == Mode::State {
                inherited = inherit(&host, &worker, epoch, inherited);
            }
            before = Some(worker);
        }
        drop(tell);
        wake_all(&heir);
        survivors.into_iter().map(|survivor| survivor.join().unwrap()).collect::<Vec<_>>()
    });
    println!("{kills} kills: {tallies:?}, state {inherited:?}, {places} places");
    assert!(tallies.iter().all(|tally| tally.frames > kills), "hardly anything was read: {tallies:?}");
    assert!(kills < 3 || inherited.is_some() && places > 0);
}
