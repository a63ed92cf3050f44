//! The packet path beside a bare `sendto` loop under the same load: CPU time per forward, forwards a second, latency;
//! and what a cluster takes at rest.
//!
//! Floor, one worker and two workers take turns at each load, round after round; what counts is the ratio within a
//! round, since the machine's pace changes from minute to minute. It reports and judges nothing.
//!
//! `cargo bench -p tests --bench packets [-- loads rest capacity --rounds N --svg FILE]`, after
//! `cargo build --release`.

mod capacity;
mod chart;
mod load;
mod rest;
mod server;

use std::path::{Path, PathBuf};

use tests::measure::Spread;

use crate::load::{Figure, LOADS, Load, Outcome};
use crate::server::Server;

/// Rounds by default.
const ROUNDS: usize = 9;

/// What one load did to each server: outcomes by round.
struct Series {
    load: Load,
    floor: Vec<Outcome>,
    one: Vec<Outcome>,
    two: Vec<Outcome>,
}

impl Series {
    fn of(&self, server: Server) -> &[Outcome] {
        match server {
            Server::Floor => &self.floor,
            Server::Workers(1) => &self.one,
            Server::Workers(_) => &self.two,
        }
    }

    /// A figure of a server.
    fn value(&self, server: Server, figure: Figure) -> Spread {
        Spread::of(&mut self.figures(server, figure))
    }

    /// A figure of a server by that of the floor in the same round.
    fn ratio(&self, server: Server, figure: Figure) -> Spread {
        Spread::of_ratios(&self.figures(server, figure), &self.figures(Server::Floor, figure))
    }

    fn figures(&self, server: Server, figure: Figure) -> Vec<f64> {
        self.of(server).iter().map(figure).collect()
    }
}

/// What is asked for.
struct Arguments {
    /// Parts by name; none for all.
    parts: Vec<String>,
    rounds: usize,
    svg: Option<PathBuf>,
}

fn main() {
    let Arguments { parts, rounds, svg } = arguments();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    println!("packets: {}", tests::measure::machine());
    if wanted("loads") {
        loads(rounds, svg);
    }
    if wanted("rest") {
        rest::report(rounds);
    }
    if wanted("capacity") {
        capacity::report();
    }
}

fn loads(rounds: usize, svg: Option<PathBuf>) {
    println!(
        "Each load by turns on a bare sendto loop, 1 and 2 workers, {rounds} rounds: medians, and beside them the ratio\n\
         to the loop of the same round, with its quartiles. Faults: bursts lost, reordered, doubled, stray, altered.\n"
    );
    let mut all: Vec<Series> = LOADS
        .iter()
        .map(|&load| Series { load, floor: Vec::new(), one: Vec::new(), two: Vec::new() })
        .collect();
    for round in 0..rounds {
        for series in &mut all {
            let mut servers = [Server::Floor, Server::Workers(1), Server::Workers(2)];
            servers.rotate_left(round % 3);
            for server in servers {
                let outcome = server.run(&series.load);
                match server {
                    Server::Floor => &mut series.floor,
                    Server::Workers(1) => &mut series.one,
                    Server::Workers(_) => &mut series.two,
                }
                .push(outcome);
            }
        }
        eprintln!("round {} of {rounds} done", round + 1);
    }
    all.iter().for_each(print);
    if let Some(file) = svg {
        // Cargo runs this in the folder of its package.
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        chart::draw(&file, &all).unwrap();
        println!("chart: {}", file.display());
    }
}

fn print(series: &Series) {
    println!("{}", series.load);
    println!(
        "  {:<10} {:>9} {:>24} {:>12} {:>24} {:>8} {:>24} {:>8} {:>24}  faults",
        "", "CPU us/fw", "", "forwards/s", "", "p50 us", "", "p99 us", ""
    );
    for server in [Server::Floor, Server::Workers(1), Server::Workers(2)] {
        let columns = Outcome::FIGURES.map(|(width, precision, figure)| {
            let value = series.value(server, figure).middle;
            let ratio = match server {
                Server::Floor => String::new(),
                Server::Workers(_) => series.ratio(server, figure).to_string(),
            };
            format!("{value:>width$.precision$} {ratio:>24}")
        });
        let faults: u64 = series.of(server).iter().map(|outcome| outcome.faults).sum();
        println!("  {:<10} {}  {faults}", server.to_string(), columns.join(" "));
    }
    println!();
}

fn arguments() -> Arguments {
    let mut given = std::env::args().skip(1);
    let mut arguments = Arguments { parts: Vec::new(), rounds: ROUNDS, svg: None };
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--rounds" => arguments.rounds = given.next().and_then(|n| n.parse().ok()).expect("--rounds N"),
            "--svg" => arguments.svg = Some(given.next().expect("--svg FILE").into()),
            // Cargo says so to each benchmark.
            "--bench" => {}
            part => arguments.parts.push(part.to_owned()),
        }
    }
    arguments.rounds = arguments.rounds.max(1);
    arguments
}
