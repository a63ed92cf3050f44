//! How many messages a second one pair carries: one thread writes as fast as it can, the other reads.

use std::hint::black_box;
use std::time::Instant;

use fabric::FRAME_LEN;
use tests::measure::{Spread, median};

use crate::machine::{Machine, pin};
use crate::ours::PacedRing;
use crate::table::Table;
use crate::ways::{Array, End, Frame, Rtrb};

/// Many and short: a thread that loses its core meanwhile spoils one.
const CHUNKS: usize = 100;
const MESSAGES: u32 = 100_000;

const NAMES: [&str; 3] = ["our ring", "rtrb", "crossbeam ArrayQueue"];

pub(crate) fn run(machine: &Machine) {
    let mut ring = PacedRing::pair();
    let mut rtrb = Rtrb::pair();
    let mut array = Array::pair();
    // Millions of messages a second, a value a chunk.
    let mut found: [Vec<f64>; NAMES.len()] = Default::default();
    for chunk in 0..CHUNKS {
        for turn in 0..NAMES.len() {
            let way = (chunk + turn) % NAMES.len();
            found[way].push(match way {
                0 => measure(machine, &mut ring),
                1 => measure(machine, &mut rtrb),
                _ => measure(machine, &mut array),
            });
        }
    }
    let mut table = Table::new("Throughput: one pair, 56 bytes", &["M/s", "ours / it"]);
    for (name, rates) in NAMES.iter().zip(&found) {
        let rate = median(&mut rates.clone());
        table.row(name, [format!("{rate:.1}"), Spread::of_ratios(&found[0], rates).to_string()]);
    }
    table.print();
}

fn measure<E: End>(machine: &Machine, [near, far]: &mut [E; 2]) -> f64 {
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            pin(machine.far);
            let mut frame = Frame([0; FRAME_LEN]);
            let mut next = || {
                while !far.receive(&mut frame) {}
                black_box(&frame);
            };
            next();
            let began = Instant::now();
            (1..MESSAGES).for_each(|_| next());
            began.elapsed().as_secs_f64()
        });
        let frame = Frame([7; FRAME_LEN]);
        (0..MESSAGES).for_each(|_| near.send(black_box(&frame)));
        f64::from(MESSAGES - 1) / reader.join().unwrap() / 1e6
    })
}
