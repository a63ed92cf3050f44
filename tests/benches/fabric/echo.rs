//! The other thread: sends back what it receives.

use std::hint::{black_box, spin_loop};
use std::time::Instant;

use fabric::FRAME_LEN;

use crate::machine::{Machine, pin};
use crate::ways::{End, Frame};

/// Lets `near` do with its end what it likes while a thread on the other core echoes `trips` frames.
pub(crate) fn with_echo<E: End, T>(
    machine: &Machine,
    [near, far]: &mut [E; 2],
    trips: usize,
    run: impl FnOnce(&mut E) -> T,
) -> T {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(machine.far);
            let mut frame = Frame([0; FRAME_LEN]);
            for _ in 0..trips {
                while !far.receive(&mut frame) {
                    spin_loop();
                }
                far.send(black_box(&frame));
            }
        });
        run(near)
    })
}

/// One round trip.
pub(crate) fn trip(near: &mut impl End, frame: &mut Frame) {
    near.send(black_box(frame));
    while !near.receive(frame) {
        spin_loop();
    }
}

/// The time of one act in each of `count` batches of `batch`, in nanoseconds.
pub(crate) fn timed(machine: &Machine, count: usize, batch: usize, mut act: impl FnMut()) -> Vec<f64> {
    let mut times = Vec::with_capacity(count);
    let mut before = Instant::now();
    for _ in 0..count {
        (0..batch).for_each(|_| act());
        let after = Instant::now();
        times.push(machine.ns_between(before, after) / batch as f64);
        before = after;
    }
    times
}
