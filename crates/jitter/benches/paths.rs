//! What the jitter buffers make of paths of all kinds: 100 calls of 30 s over each. It reports and judges nothing.
//!
//! `cargo bench -p jitter --bench paths`.

#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints a table")]

#[path = "../tests/jitter/line.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use the rest")]
mod line;
#[path = "../tests/jitter/simulation.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod simulation;

use impair::Impairments;

use crate::simulation::{quantile, run};

const CALLS: u64 = 100;
/// Of 360 ms each: half a minute.
const SUPERFRAMES: u16 = 83;

fn main() {
    println!(
        "| loss | jitter ms | order | lost on the way | not heard | made up | stay p50 | p99 | max | behind p50 | p99 | max |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for (loss, seed) in [(0.0, 1), (0.01, 2), (0.05, 3), (0.1, 4)] {
        for jitter in [0, 20, 60] {
            for reordered in [0.0, 0.05] {
                let jitter_us = 1000 * jitter;
                let path = Impairments { loss, jitter_us, reordered, ..Impairments::default() };
                let outcome = run(path, CALLS, SUPERFRAMES, seed);
                let percent = |count: f64| 100.0 * count / outcome.sent as f64;
                let ms = |sorted: &[u64], share| quantile(sorted, share) as f64 / 1000.0;
                let figures = [&outcome.stays, &outcome.delays].map(|sorted| {
                    [0.5, 0.99, 1.0].map(|share| format!("{:.0}", ms(sorted, share))).join(" | ")
                });
                println!(
                    "| {:.0} % | {jitter} | {} | {:.2} % | {:.2} % | {} | {} |",
                    100.0 * loss,
                    if reordered > 0.0 { "5 % reordered" } else { "in order" },
                    percent(outcome.counts.lost as f64),
                    percent(outcome.not_heard as f64),
                    outcome.concealed,
                    figures.join(" | "),
                );
            }
        }
    }
}
