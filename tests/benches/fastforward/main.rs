//! What FastForward costs a burst, beside one `sendto` of the same bytes in the same run: sealing and opening alone, a burst from the
//! switch to a sealed datagram, and a datagram to a burst for the jitter buffer; one in a datagram, and twenty. It reports and judges
//! nothing.
//!
//! `cargo bench -p tests --bench fastforward`.

mod pair;
mod sealing;

use std::net::UdpSocket;
use std::time::Instant;

use tests::measure::{Spread, machine, median};

use crate::pair::Pair;

/// What is measured takes turns, chunk by chunk.
const CHUNKS: usize = 101;
/// Bursts of a chunk.
const BURSTS: usize = 400;
/// Bursts that share a datagram where many do.
const TRAIN: usize = 20;
/// Datagrams that a socket takes before it is emptied.
const SENT_AT_ONCE: usize = 50;

/// A value a chunk, in nanoseconds a burst or datagram.
struct Row {
    what: &'static str,
    ns: Vec<f64>,
}

fn main() {
    println!("fastforward: {}", machine());
    let (mut sockets, mut pair) = (Sockets::new(), Pair::joined());
    let alone = fastforward::HEADER_LEN + fastforward::BURST_FRAME_LEN + fastforward::SEAL_LEN;
    let train = fastforward::HEADER_LEN + TRAIN * fastforward::BURST_FRAME_LEN + fastforward::SEAL_LEN;
    let mut rows = [
        "sendto, 96 bytes",
        "sendto, 1,293 bytes",
        "sealing, 1 burst",
        "opening, 1 burst",
        "sealing, 20 bursts, each",
        "opening, 20 bursts, each",
        "Forward to datagram, 1 burst",
        "datagram to Burst, 1 burst",
        "Forward to datagram, 20 bursts, each",
        "datagram to Burst, 20 bursts, each",
    ]
    .map(|what| Row { what, ns: Vec::new() });
    for chunk in 0..=CHUNKS {
        let mut values = vec![sockets.send(alone), sockets.send(train)];
        for (bursts, datagrams) in [(1, BURSTS), (TRAIN, BURSTS / TRAIN)] {
            values.extend(sealing::measure(bursts, datagrams));
        }
        for bursts in [1, TRAIN] {
            values.extend(pair.carry(bursts, BURSTS));
        }
        // The first is to make memory and caches warm.
        if chunk > 0 {
            rows.iter_mut().zip(values).for_each(|(row, value)| row.ns.push(value));
        }
    }
    println!("| | ns | ÷ sendto of 96 bytes |\n|---|---|---|");
    let base = rows[0].ns.clone();
    for Row { what, ns } in &mut rows {
        let ratio = Spread::of_ratios(ns, &base);
        println!("| {what} | {:.0} | {ratio} |", median(ns));
    }
}

/// A socket that sends to another one of this machine.
struct Sockets {
    from: UdpSocket,
    to: UdpSocket,
}

impl Sockets {
    fn new() -> Self {
        let [from, to] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        to.set_nonblocking(true).unwrap();
        Self { from, to }
    }

    /// Nanoseconds for one datagram of so many bytes.
    fn send(&mut self, len: usize) -> f64 {
        let (bytes, to) = (vec![7; len], self.to.local_addr().unwrap());
        let mut ns = 0.0;
        for _ in 0..BURSTS / SENT_AT_ONCE {
            ns += timed(|| {
                for _ in 0..SENT_AT_ONCE {
                    self.from.send_to(&bytes, to).unwrap();
                }
            });
            let mut buffer = [0; 2048];
            let came = (0..SENT_AT_ONCE).filter(|_| self.to.recv(&mut buffer).is_ok()).count();
            assert_eq!(came, SENT_AT_ONCE);
        }
        ns / (BURSTS / SENT_AT_ONCE * SENT_AT_ONCE) as f64
    }
}

/// How long something takes, in nanoseconds.
fn timed(what: impl FnOnce()) -> f64 {
    let since = Instant::now();
    what();
    since.elapsed().as_nanos() as f64
}
