//! How long it takes to wake a worker that sleeps, beside the least that this costs: a bare eventfd that wakes a
//! thread out of epoll_wait. The two take turns, one by one, after pauses as long as each other's.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fabric::{Bell, BellSegment, FRAME_LEN, Read, WorkerReader, WorkerSegment, WorkerWriter};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use sys::Clocks;
use tests::measure::{Spread, median, percentile};

use crate::Gate;
use crate::machine::{Machine, pin};
use crate::table::Table;

const CHUNKS: usize = 20;
/// Wakes of each kind in a chunk.
const WAKES: usize = 50;
/// As a worker's: a wait that may end by itself costs a timer.
const TICK_MS: u16 = 250;

/// Pauses of 1 to 3 ms, in no order.
struct Pauses(u64);

impl Pauses {
    /// Ends not before the receiver has all that was sent: two wakes in a row may be one.
    fn pause(&mut self, all: impl Fn() -> bool) {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        std::thread::sleep(Duration::from_micros(1000 + self.0 % 2000));
        while !all() {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// A descriptor that wakes, watched for edges.
struct Wake {
    fd: OwnedFd,
    epoll: Epoll,
}

impl Wake {
    fn new() -> Self {
        let (fd, epoll) =
            (BellSegment::wake().unwrap(), Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap());
        epoll.add(&fd, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0)).unwrap();
        Self { fd, epoll }
    }

    fn wait(&self, timeout: EpollTimeout) {
        while self.epoll.wait(&mut [EpollEvent::empty(); 64], timeout).is_err() {}
    }
}

/// A worker, as far as it sleeps and reads.
struct Sleeper {
    bell: Bell,
    reader: WorkerReader,
}

impl Sleeper {
    /// The rounds of its loop until a frame has come.
    fn next(&mut self, wake: &Wake) {
        let mut frame = [0; FRAME_LEN];
        loop {
            let timeout = if self.bell.sleep() { EpollTimeout::from(TICK_MS) } else { EpollTimeout::ZERO };
            wake.wait(timeout);
            self.bell.awake();
            std::hint::black_box(Clocks::now());
            if self.bell.take() != 0 && self.reader.read(&mut frame) == Read::Frame {
                return;
            }
        }
    }
}

/// Of one kind: the times to the receiver and those that the sender was busy, in microseconds.
#[derive(Default)]
struct Times {
    latency: Vec<f64>,
    sender: Vec<f64>,
}

pub(crate) fn run(machine: &Machine) -> Vec<Gate> {
    let (segment, bells) = (WorkerSegment::create(1).unwrap(), BellSegment::create().unwrap());
    let mut writer = WorkerWriter::open(segment.writable()).unwrap();
    let bell = Bell::open(bells.writable(), 0).unwrap();
    let mut sleeper = Sleeper {
        bell: Bell::open(bells.writable(), 1).unwrap(),
        reader: WorkerReader::open(segment.read_only(), (0, 0)).unwrap(),
    };
    let (bare, wake) = (Wake::new(), Wake::new());
    let mut pauses = Pauses(0x9E37_79B9_7F4A_7C15);
    let mut sent = Vec::with_capacity(2 * CHUNKS * WAKES);
    let arrived = AtomicUsize::new(0);
    let received = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin(machine.far);
            let mut received = Vec::with_capacity(2 * CHUNKS * WAKES);
            for _ in 0..CHUNKS * WAKES {
                bare.wait(EpollTimeout::NONE);
                received.push(Instant::now());
                arrived.fetch_add(1, Ordering::Release);
                sleeper.next(&wake);
                received.push(Instant::now());
                arrived.fetch_add(1, Ordering::Release);
            }
            received
        });
        for _ in 0..CHUNKS * WAKES {
            pauses.pause(|| arrived.load(Ordering::Acquire) == sent.len());
            let before = Instant::now();
            nix::unistd::write(&bare.fd, &1_u64.to_ne_bytes()).unwrap();
            sent.push((before, Instant::now()));
            pauses.pause(|| arrived.load(Ordering::Acquire) == sent.len());
            let before = Instant::now();
            writer.write(&[7; FRAME_LEN]);
            // Where the receiver was kept from its core all the pause, it is not asleep yet: as with the other.
            bell.ring(1, wake.fd.as_fd());
            sent.push((before, Instant::now()));
        }
        thread.join().unwrap()
    });
    let mut times: [Times; 2] = Default::default();
    for (i, (&(before, after), received)) in sent.iter().zip(received).enumerate() {
        times[i % 2].latency.push(machine.ns_between(before, received) / 1000.0);
        times[i % 2].sender.push(machine.ns_between(before, after) / 1000.0);
    }
    report(&times)
}

/// A percentile of each chunk.
fn chunks(times: &[f64], part: f64) -> Vec<f64> {
    times.chunks(WAKES).map(|chunk| percentile(&mut chunk.to_vec(), part)).collect()
}

fn report(times: &[Times; 2]) -> Vec<Gate> {
    let heads = ["p50 us", "p99 us", "p50 / bare", "p99 / bare", "sender p50 us", "/ bare"];
    let mut table = Table::new("Asleep: one way to a sleeper", &heads);
    let p99 = |kind: &Times| percentile(&mut kind.latency.clone(), 0.99);
    let p50s = times.each_ref().map(|kind| chunks(&kind.latency, 0.5));
    let senders = times.each_ref().map(|kind| chunks(&kind.sender, 0.5));
    let tail = p99(&times[1]) / p99(&times[0]);
    for (kind, name) in ["bare eventfd and epoll", "our worker"].iter().enumerate() {
        table.row(
            name,
            [
                format!("{:.1}", median(&mut p50s[kind].clone())),
                format!("{:.1}", p99(&times[kind])),
                Spread::of_ratios(&p50s[kind], &p50s[0]).to_string(),
                format!("{:.2}", if kind == 0 { 1.0 } else { tail }),
                format!("{:.1}", median(&mut senders[kind].clone())),
                Spread::of_ratios(&senders[kind], &senders[0]).to_string(),
            ],
        );
    }
    table.print();
    let middle = Spread::of_ratios(&p50s[1], &p50s[0]).middle;
    vec![
        Gate { what: "asleep, p50 / bare wake", is: middle, at_most: 1.1 },
        Gate { what: "asleep, p99 / bare wake", is: tail, at_most: 2.0 },
    ]
}
