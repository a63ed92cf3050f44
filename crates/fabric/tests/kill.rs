//! A writer that floods its segments is killed with SIGKILL again and again, at any moment. Whoever survives
//! reads nothing torn and nothing out of order, gets all that was published whole, and is not left asleep.
//!
//! `FABRIC_KILLS` says how often; 1,000 times if it does not.

#![allow(clippy::unwrap_used, reason = "a failed test is to stop")]

mod support;

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use fabric::{
    Bell, BellSegment, CELL_LEN, Cell, FRAME_LEN, Location, Read, Segment, StateReader, StateSegment,
    StateWriter, Stored, WorkerReader, WorkerSegment, WorkerWriter,
};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use support::{Random, Raw};

/// The longest that anything is waited for. A sleeper that is not woken is found by this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bells: the writer that is killed, those that survive it, and somebody else.
const WRITER: usize = 0;
const SURVIVORS: [usize; 2] = [1, 2];
const OTHER: usize = 100;

const ROW: u16 = 3;
const RADIOS: u64 = 64;

/// What is flooded beside the ring.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Nothing,
    Bells,
    State,
}

const MODES: [Mode; 3] = [Mode::Nothing, Mode::Bells, Mode::State];

/// Words that all follow from the incarnation and the number of what they are.
fn words(epoch: u64, n: u64) -> impl Iterator<Item = u64> {
    let seed = (epoch << 32 ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [epoch, n].into_iter().chain((0..).map(move |i| seed.rotate_left(i)))
}

fn frame(epoch: u64, n: u64) -> [u8; FRAME_LEN] {
    let mut bytes = [0; FRAME_LEN];
    bytes
        .as_chunks_mut()
        .0
        .iter_mut()
        .zip(words(epoch, n))
        .for_each(|(bytes, word)| *bytes = word.to_ne_bytes());
    bytes
}

/// Its length changes with its number.
fn content(epoch: u64, n: u64) -> Vec<u8> {
    words(epoch, n).take(2 + (n % (CELL_LEN as u64 / 8 - 1)) as usize).flat_map(u64::to_ne_bytes).collect()
}

/// What a cell holds: incarnation and number, after checking that it is whole.
fn state(stored: Stored<'_>) -> Option<(u64, u64)> {
    let mut buffer = [0; CELL_LEN];
    let len = stored.read(ROW, Cell::Switch, &mut buffer)?;
    let [epoch, n] = [0, 1].map(|i| u64::from_ne_bytes(buffer.as_chunks().0[i]));
    assert_eq!(buffer[..len], content(epoch, n), "torn state");
    Some((epoch, n))
}

fn location(n: u64) -> Location {
    Location { context: n as u32, slot: 1 + (n % 2) as u8, heard_ms: n + 1 }
}

/// Not a test: what the process does that is killed.
#[test]
#[ignore = "the process that the other test kills"]
fn flood() {
    let Ok(arguments) = std::env::var("FABRIC_FLOOD") else { return };
    set_pdeathsig(Signal::SIGKILL).unwrap();
    let numbers: Vec<i32> = arguments.split(' ').map(|n| n.parse().unwrap()).collect();
    let [parent, mode, epoch, worker, state, bells, wake, other_wake] = numbers[..].try_into().unwrap();
    let open =
        |fd: i32| File::options().read(true).write(true).open(format!("/proc/{parent}/fd/{fd}")).unwrap();
    // SAFETY: our parent left both open for us, and nothing here closes them.
    let wakes = [wake, other_wake].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    let mut writer = WorkerWriter::open(open(worker).as_fd()).unwrap();
    let mut state = StateWriter::open(open(state).as_fd()).unwrap();
    let bell = Bell::open(open(bells).as_fd(), WRITER).unwrap();
    let (mode, epoch) = (MODES[mode as usize], epoch as u64);
    for n in 0.. {
        if mode == Mode::State {
            assert!(state.write(ROW, Cell::Switch, &content(epoch, n)));
            writer.set_location(1 + (n % RADIOS) as u32, location(n));
        }
        writer.write(&frame(epoch, n));
        if mode == Mode::Bells {
            for (process, wake) in SURVIVORS.into_iter().zip(wakes) {
                bell.ring(process, wake);
            }
        }
    }
}

/// What all incarnations share.
struct Host {
    bells: Segment,
    state: Segment,
    wakes: [OwnedFd; 2],
    /// The incarnation that each survivor reads.
    followed: [AtomicU64; 2],
}

/// A writer process, which does not outlive its test.
struct Flood(Child);

impl Flood {
    fn start(host: &Host, worker: &Segment, mode: Mode, epoch: u64) -> Self {
        let fds: [RawFd; 5] = [
            worker.writable().as_raw_fd(),
            host.state.writable().as_raw_fd(),
            host.bells.writable().as_raw_fd(),
            host.wakes[0].as_raw_fd(),
            host.wakes[1].as_raw_fd(),
        ];
        let fds = fds.map(|fd| fd.to_string()).join(" ");
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "flood", "--ignored", "--nocapture"])
            .env("FABRIC_FLOOD", format!("{} {} {epoch} {fds}", std::process::id(), mode as usize))
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    /// Waits until it has written something.
    fn wait(&mut self, worker: &Segment) {
        let raw = Raw::of(worker.read_only());
        until("it writes", || {
            assert_eq!(self.0.try_wait().unwrap(), None, "it ended by itself");
            raw.head() > 0
        });
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::yield_now();
    }
}

/// Told to the survivors when the incarnation before is dead.
#[derive(Clone)]
struct Next {
    worker: Arc<Segment>,
    mode: Mode,
}

#[derive(Debug, Default)]
struct Tally {
    frames: u64,
    lost: u64,
    sleeps: u64,
    half: u64,
    unnoted: u64,
}

struct Survivor {
    now: Next,
    reader: WorkerReader,
    tally: Tally,
}

impl Survivor {
    /// Reads until there is nothing more. What comes out is what was published at the position it was read from.
    fn drain(&mut self) {
        let mut out = [0; FRAME_LEN];
        loop {
            let (epoch, position) = self.reader.place();
            let read = self.reader.read(&mut out);
            let now = self.reader.place().1;
            match read {
                Read::Empty => return,
                Read::Frame => {
                    assert_eq!((out, now), (frame(epoch, position), position + 1), "torn or out of order");
                    self.tally.frames += 1;
                }
                Read::Gap(gap) => {
                    assert_eq!((gap > 0, now), (true, position + gap));
                    self.tally.lost += gap;
                }
            }
        }
    }

    /// The writer is dead: all that it published whole is read, and nothing else.
    fn bury(&mut self) {
        self.drain();
        let tail = Raw::of(self.now.worker.read_only()).tail();
        assert_eq!(self.reader.place().1, tail.whole, "{tail:?}");
        // It may have died after it finished the frame and before it noted that.
        assert!(tail.whole - tail.head <= 1, "{tail:?}");
        self.tally.half += u64::from(tail.half);
        self.tally.unnoted += tail.whole - tail.head;
    }
}

fn survive(host: &Host, i: usize, incarnations: &Receiver<Next>) -> Tally {
    let bell = Bell::open(host.bells.writable(), SURVIVORS[i]).unwrap();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(&host.wakes[i], EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0)).unwrap();
    let stored = StateReader::open(host.state.read_only()).unwrap();
    let now = incarnations.recv().unwrap();
    let reader = WorkerReader::open(now.worker.read_only(), (0, 0)).unwrap();
    host.followed[i].store(reader.epoch(), Ordering::Relaxed);
    let mut survivor = Survivor { now, reader, tally: Tally::default() };
    loop {
        let _ = bell.take();
        survivor.drain();
        match incarnations.try_recv() {
            Ok(next) => {
                survivor.bury();
                // As whoever reads on: the place in the old incarnation says nothing in the new one.
                survivor.reader =
                    WorkerReader::open(next.worker.read_only(), survivor.reader.place()).unwrap();
                assert_eq!(survivor.reader.place().1, 0);
                survivor.now = next;
                host.followed[i].store(survivor.reader.epoch(), Ordering::Relaxed);
                continue;
            }
            Err(TryRecvError::Disconnected) => {
                survivor.bury();
                return survivor.tally;
            }
            Err(TryRecvError::Empty) => {}
        }
        if survivor.now.mode == Mode::State {
            let _ = state(stored.stored());
        }
        if survivor.now.mode != Mode::Bells {
            std::thread::yield_now();
        } else if bell.sleep() {
            survivor.tally.sleeps += 1;
            let patience = EpollTimeout::try_from(PATIENCE).unwrap();
            assert_eq!(epoll.wait(&mut [EpollEvent::empty()], patience), Ok(1), "left asleep");
            bell.awake();
        }
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
            let worker = Arc::new(match &before {
                Some(before) => WorkerSegment::create_after(epoch, before).unwrap(),
                None => WorkerSegment::create(epoch).unwrap(),
            });
            places = places.max(check_locations(&worker));
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
