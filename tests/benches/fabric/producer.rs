//! What a frame costs the one who sends it, while its receivers are awake: the ring write, the bell, and a fan-out.

use std::hint::black_box;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Instant;

use fabric::{Bell, BellSegment, FRAME_LEN, MAX_PROCESSES, Segment, WorkerSegment, WorkerWriter};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use tests::measure::{Spread, median};

use crate::echo::{timed, with_echo};
use crate::machine::{Machine, pin};
use crate::ours::{Ring, RingAndBell};
use crate::table::Table;
use crate::ways::{End, Frame, Line};

const CHUNKS: usize = 25;
const TRIPS: usize = 2_000;
const ROUNDS: u64 = 200;
/// Acts between two looks at the clock where nobody else is there.
const BATCH: usize = 64;
const FAN_OUTS: [usize; 4] = [1, 8, 32, 127];

/// A value a chunk, in nanoseconds.
struct Row {
    name: String,
    destinations: usize,
    times: Vec<f64>,
}

pub(crate) fn run(machine: &Machine) {
    let mut rows: Vec<Row> = Vec::new();
    let segments = [WorkerSegment::create(1).unwrap(), BellSegment::create().unwrap()];
    let mut sender = Sender::new(&segments);
    let (mut ring, mut bell) = (Ring::pair(), RingAndBell::pair());
    let _epoll = watched(&sender.wake);
    for chunk in 0..CHUNKS {
        let mut row = 0;
        let mut add = |name: &str, destinations, time| {
            if chunk == 0 {
                rows.push(Row { name: name.into(), destinations, times: Vec::new() });
            }
            rows[row].times.push(time);
            row += 1;
        };
        add("write to an eventfd nobody waits for", 1, alone(machine, || sender.write_eventfd()));
        add("ring write, nobody reads", 1, alone(machine, || sender.write()));
        add("ring write, a reader polls", 1, sending(machine, &mut ring));
        add("ring write and bell, a reader polls the bell", 1, sending(machine, &mut bell));
        for count in FAN_OUTS {
            let plural = if count == 1 { "" } else { "s" };
            let name = format!("ring write and {count} bell{plural}, none had a round");
            add(&name, count, alone(machine, || sender.fan_out(count)));
        }
        for count in FAN_OUTS {
            let plural = if count == 1 { "" } else { "s" };
            let name = format!("ring write and {count} bell{plural}, all had a round");
            add(&name, count, fan_out(machine, &segments[1], &mut sender, count));
        }
    }
    assert_eq!(sender.woken, 0, "somebody slept");
    let mut table =
        Table::new("What the sender pays, receivers awake", &["ns", "a receiver", "/ eventfd write"]);
    for Row { name, destinations, times } in &rows {
        let ns = median(&mut times.clone());
        let each = format!("{:.1}", ns / *destinations as f64);
        table.row(name, [format!("{ns:.1}"), each, Spread::of_ratios(times, &rows[0].times).to_string()]);
    }
    table.print();
}

/// A worker that has something for all others.
struct Sender {
    writer: WorkerWriter,
    bell: Bell,
    /// In place of those of all others: it is written to by none of the fan-outs.
    wake: OwnedFd,
    frame: Frame,
    woken: u64,
}

impl Sender {
    fn new([worker, bells]: &[Segment; 2]) -> Self {
        Self {
            writer: WorkerWriter::open(worker.writable()).unwrap(),
            bell: Bell::open(bells.writable(), 0).unwrap(),
            wake: BellSegment::wake().unwrap(),
            frame: Frame([7; FRAME_LEN]),
            woken: 0,
        }
    }

    fn write(&mut self) {
        self.writer.write(black_box(&self.frame.0));
    }

    fn write_eventfd(&self) {
        nix::unistd::write(&self.wake, &1_u64.to_ne_bytes()).unwrap();
    }

    fn fan_out(&mut self, count: usize) {
        self.write();
        // All but number 0, ourselves.
        let others = (1..=count).fold(0, |set, process| set | 1 << process);
        self.woken += self.bell.ring_all(others, |_| Some(self.wake.as_fd()));
    }
}

/// Watches a descriptor as its owner does.
fn watched(wake: &OwnedFd) -> Epoll {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(wake, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0)).unwrap();
    epoll
}

/// Of an act that nobody sees meanwhile.
fn alone(machine: &Machine, act: impl FnMut()) -> f64 {
    median(&mut timed(machine, TRIPS / BATCH, BATCH, act))
}

/// Of a single frame sent to a thread that waits for it and answers.
fn sending<E: End>(machine: &Machine, pair: &mut [E; 2]) -> f64 {
    with_echo(machine, pair, TRIPS, |near| {
        let mut frame = Frame([7; FRAME_LEN]);
        let mut times = Vec::with_capacity(TRIPS);
        for _ in 0..TRIPS {
            let before = Instant::now();
            near.send(black_box(&frame));
            times.push(machine.ns_between(before, Instant::now()));
            while !near.receive(&mut frame) {}
        }
        median(&mut times)
    })
}

/// What the loop of a worker does with its bell in one round.
fn round_of(owner: &Bell) {
    if black_box(owner.sleep()) {
        owner.awake();
    }
    let _ = black_box(owner.take());
}

/// Of a frame for `count` workers, each of which has had a round since the frame before, on the other core.
fn fan_out(machine: &Machine, bells: &Segment, sender: &mut Sender, count: usize) -> f64 {
    let (asked, done) = (Line::default(), Line::default());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(machine.far);
            let open = |process| Bell::open(bells.writable(), process).unwrap();
            let owners: Vec<Bell> = (1..MAX_PROCESSES).map(open).collect();
            for round in 1..=ROUNDS {
                while asked.0.load(Ordering::Acquire) < round {}
                owners.iter().for_each(round_of);
                done.0.store(round, Ordering::Release);
            }
        });
        let mut times = Vec::new();
        for round in 1..=ROUNDS {
            asked.0.store(round, Ordering::Release);
            while done.0.load(Ordering::Acquire) < round {}
            let before = Instant::now();
            sender.fan_out(count);
            times.push(machine.ns_between(before, Instant::now()));
        }
        median(&mut times)
    })
}
