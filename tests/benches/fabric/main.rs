//! What the fabric costs, beside what the machine can do at best: every figure comes with its ratio to a bare cache
//! line, a bare wake or another queue, measured in turns in the same run. It reports and does not judge: it ends
//! well whatever it finds.
//!
//! `cargo bench -p tests --bench fabric [-- awake throughput producer sleeping idle]`; `idle` needs
//! `cargo build --release` first.

#![forbid(unsafe_code)]

mod awake;
mod echo;
mod idle;
mod machine;
mod ours;
mod producer;
mod sleeping;
mod table;
mod throughput;
mod ways;

use std::fmt::Display;

use machine::Machine;

/// A ratio that is to stay under a bound.
pub(crate) struct Gate {
    what: &'static str,
    is: f64,
    at_most: f64,
}

fn main() {
    // Cargo adds an option of its own.
    let names: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    if wanted("idle") {
        // Says what is missing before anything is measured.
        let _ = tests::bmctl();
    }
    let Some(machine) = Machine::find() else {
        say("fabric: not measured: two cores are needed that are not threads of one core");
        return;
    };
    say(&machine);
    // On a thread of its own: a cluster is started by one that is not pinned.
    let gates = std::thread::scope(|scope| scope.spawn(|| measure(&machine, wanted)).join().unwrap());
    if wanted("idle") {
        idle::run();
    }
    if gates.is_empty() {
        return;
    }
    let mut table = table::Table::new("Gates", &["is", "at most", ""]);
    for Gate { what, is, at_most } in gates {
        let word = if is <= at_most { "pass" } else { "FAIL" };
        table.row(what, [format!("{is:.2}"), format!("{at_most:.2}"), word.into()]);
    }
    table.print();
}

fn measure(machine: &Machine, wanted: impl Fn(&str) -> bool) -> Vec<Gate> {
    machine::pin(machine.near);
    let mut gates = Vec::new();
    if wanted("awake") {
        gates.extend(awake::run(machine));
    }
    if wanted("throughput") {
        throughput::run(machine);
    }
    if wanted("producer") {
        producer::run(machine);
    }
    if wanted("sleeping") {
        gates.extend(sleeping::run(machine));
    }
    gates
}

fn say(what: impl Display) {
    println!("{what}");
}
