//! How long a frame is under way to a receiver that polls: two threads on two cores pass one to and fro.
//!
//! One way is half the round trip. The p50 is over batches of round trips, so that the clock weighs little; the p99
//! is over single round trips, less what the clock costs. All receivers give the spin-loop hint: it made each way
//! faster, the raw line too, where it was measured.

use std::os::fd::OwnedFd;

use fabric::FRAME_LEN;
use tests::measure::{Spread, median, percentile};

use crate::Gate;
use crate::echo::{timed, trip, with_echo};
use crate::machine::Machine;
use crate::ours::{Ring, RingAndBell};
use crate::table::Table;
use crate::ways::{Array, End, Frame, RawLine, Rtrb, Udp, Unix};

const CHUNKS: usize = 25;
/// Each chunk has other memory than the one before: where a queue's words lie decides what they cost.
const SETS: usize = 5;
/// Round trips of a chunk, for each of the two percentiles.
const TRIPS: usize = 20_000;
const TRIPS_OF_SOCKETS: usize = 2_000;
/// Round trips between two looks at the clock.
const BATCH: usize = 16;

const NAMES: [&str; 7] = [
    "raw cache line",
    "our ring",
    "our ring and bell",
    "rtrb",
    "crossbeam ArrayQueue",
    "Unix datagrams",
    "UDP on loopback",
];

/// Of one way: a value a chunk, in nanoseconds.
#[derive(Default)]
struct Latency {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// All ways once.
struct Ways {
    raw: [RawLine; 2],
    ring: [Ring; 2],
    bell: [RingAndBell; 2],
    rtrb: [Rtrb; 2],
    array: [Array; 2],
    unix: [Unix; 2],
    udp: [Udp; 2],
}

impl Ways {
    fn new() -> Self {
        Self {
            raw: RawLine::pair(),
            ring: Ring::pair(),
            bell: RingAndBell::pair(),
            rtrb: Rtrb::pair(),
            array: Array::pair(),
            unix: Unix::pair(),
            udp: Udp::pair(),
        }
    }

    fn measure(&mut self, machine: &Machine, way: usize, found: &mut Latency) {
        match way {
            0 => measure(machine, &mut self.raw, TRIPS, found),
            1 => measure(machine, &mut self.ring, TRIPS, found),
            2 => measure(machine, &mut self.bell, TRIPS, found),
            3 => measure(machine, &mut self.rtrb, TRIPS, found),
            4 => measure(machine, &mut self.array, TRIPS, found),
            5 => measure(machine, &mut self.unix, TRIPS_OF_SOCKETS, found),
            _ => measure(machine, &mut self.udp, TRIPS_OF_SOCKETS, found),
        }
    }
}

pub(crate) fn run(machine: &Machine) -> Vec<Gate> {
    let mut sets: Vec<Ways> = (0..SETS).map(|_| Ways::new()).collect();
    let mut found: [Latency; NAMES.len()] = Default::default();
    for chunk in 0..CHUNKS {
        let set = &mut sets[chunk % SETS];
        set.measure(machine, 0, &mut found[0]);
        let others = NAMES.len() - 1;
        for way in (0..others).map(|turn| 1 + (chunk + turn) % others) {
            set.measure(machine, way, &mut found[way]);
        }
    }
    report(&found);
    let ends = || sets.iter().flat_map(|set| &set.bell);
    let rung: u64 = ends().map(|end| end.rung).sum();
    let written: u64 = ends().map(|end| counter(&end.wake)).sum();
    crate::say(format_args!("{written} writes to an eventfd in {rung} rings of a bell whose owner is awake"));
    let ratio = |of: fn(&Latency) -> &Vec<f64>| Spread::of_ratios(of(&found[1]), of(&found[0])).middle;
    vec![
        Gate { what: "awake, 56 bytes, p50 / raw line", is: ratio(|of| &of.p50), at_most: 1.3 },
        Gate { what: "awake, 56 bytes, p99 / raw line", is: ratio(|of| &of.p99), at_most: 2.0 },
        Gate { what: "system calls while awake", is: written as f64, at_most: 0.0 },
    ]
}

fn report(found: &[Latency]) {
    let heads = ["p50 ns", "p99 ns", "p50 / raw", "p99 / raw", "p50 / ours"];
    let mut table = Table::new("Awake: one way, 56 bytes", &heads);
    for (name, latency) in NAMES.iter().zip(found) {
        let ns = |values: &Vec<f64>| format!("{:.0}", median(&mut values.clone()));
        table.row(
            name,
            [
                ns(&latency.p50),
                ns(&latency.p99),
                Spread::of_ratios(&latency.p50, &found[0].p50).to_string(),
                Spread::of_ratios(&latency.p99, &found[0].p99).to_string(),
                Spread::of_ratios(&latency.p50, &found[1].p50).to_string(),
            ],
        );
    }
    table.print();
}

/// What a counter that nobody has read holds: the writes to it.
fn counter(wake: &OwnedFd) -> u64 {
    let mut bytes = [0; 8];
    nix::unistd::read(wake, &mut bytes).map_or(0, |_| u64::from_ne_bytes(bytes))
}

fn measure<E: End>(machine: &Machine, pair: &mut [E; 2], trips: usize, found: &mut Latency) {
    // Enough to touch each slot of a ring once.
    let warm = trips / 2;
    with_echo(machine, pair, warm + 2 * trips, |near| {
        let mut frame = Frame([7; FRAME_LEN]);
        (0..warm).for_each(|_| trip(near, &mut frame));
        let mut batches = timed(machine, trips / BATCH, BATCH, || trip(near, &mut frame));
        let mut singles = timed(machine, trips, 1, || trip(near, &mut frame));
        found.p50.push(median(&mut batches) / 2.0);
        found.p99.push(percentile(&mut singles, 0.99) / 2.0);
    });
}
