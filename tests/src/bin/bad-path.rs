//! A bad path between two UDP addresses (crates/impair), each way with a seed of its own:
//!
//! `bad-path NEAR FAR TO [client=ADDRESS] [seed=N] [loss=P] [to_bad=P to_good=P loss_bad=P] [delay_ms=N] [jitter_ms=N]
//! [reordered=P] [duplicated=P]`
//!
//! What comes to the socket NEAR goes on from the socket FAR to TO; what comes to FAR goes back from NEAR to the client: the
//! one that was named, or whoever sent last. Port 0 takes a free one: the first line says which. Ends with its standard input
//! and says then what became of all datagrams.

#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{Read, stdin};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Instant;

use impair::{GilbertElliott, Impairments, Path};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What waits at most, each way: a flood does not take all memory.
const MAX_WAITING: usize = 100_000;

/// One way: what comes to one socket leaves from the other.
struct Way {
    path: Path,
    /// Where it goes; nowhere until that is known.
    to: Option<SocketAddr>,
    /// By time of arrival, then as they came.
    waiting: BinaryHeap<Reverse<(u64, u64, Vec<u8>)>>,
    carried: u64,
}

impl Way {
    fn new(impairments: Impairments, seed: u64, to: Option<SocketAddr>) -> Self {
        Self { path: Path::new(impairments, seed), to, waiting: BinaryHeap::new(), carried: 0 }
    }

    /// Takes in all that has come. Returns who sent last.
    fn receive(&mut self, socket: &UdpSocket, now_us: u64) -> Option<SocketAddr> {
        let (mut bytes, mut sender) = ([0; 65_535], None);
        while let Ok((len, from)) = socket.recv_from(&mut bytes) {
            sender = Some(from);
            for at in self.path.carry(now_us) {
                if self.waiting.len() < MAX_WAITING {
                    self.carried += 1;
                    self.waiting.push(Reverse((at, self.carried, bytes[..len].to_vec())));
                }
            }
        }
        sender
    }

    /// Sends what arrives by now.
    fn send(&mut self, socket: &UdpSocket, now_us: u64) {
        while self.waiting.peek().is_some_and(|Reverse((at, ..))| *at <= now_us) {
            let Some((Reverse((_, _, bytes)), to)) = self.waiting.pop().zip(self.to) else { continue };
            // Where nobody listens it is lost, as on any path.
            let _ = socket.send_to(&bytes, to);
        }
    }

    fn due_us(&self) -> Option<u64> {
        self.waiting.peek().map(|Reverse((at, ..))| *at)
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut address =
        |name| -> SocketAddr { arguments.next().and_then(|text| text.parse().ok()).expect(name) };
    let [near, far] = ["NEAR", "FAR"].map(|name| {
        let socket = UdpSocket::bind(address(name)).expect("a free address");
        socket.set_nonblocking(true).unwrap();
        socket
    });
    let to = address("TO, an address with port");
    let (impairments, seed, client) = settings(arguments);
    println!("near {} far {}", near.local_addr().unwrap(), far.local_addr().unwrap());
    let (mut there, mut back) = (Way::new(impairments, seed, Some(to)), Way::new(impairments, !seed, client));
    let began = Instant::now();
    let now_us = || began.elapsed().as_micros() as u64;
    loop {
        let due = there.due_us().into_iter().chain(back.due_us()).min();
        // In whole milliseconds, and never before it is due.
        let wait_ms = due.map_or(1000, |due| due.saturating_sub(now_us()).div_ceil(1000).min(1000)) as u16;
        let input = stdin();
        let mut ready =
            [near.as_fd(), far.as_fd(), input.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        poll(&mut ready, PollTimeout::from(wait_ms)).unwrap();
        if ready[2].any() == Some(true) && stdin().read(&mut [0; 64]).is_ok_and(|read| read == 0) {
            break;
        }
        let now = now_us();
        let sender = there.receive(&near, now);
        back.to = client.or(sender).or(back.to);
        back.receive(&far, now);
        there.send(&far, now);
        back.send(&near, now);
    }
    for (name, way) in [("there", there), ("back", back)] {
        let counts = way.path.counts();
        println!(
            "{name}: {} sent, {} lost, {} reordered, {} duplicated",
            counts.sent, counts.lost, counts.reordered, counts.duplicated
        );
    }
}

fn settings(arguments: impl Iterator<Item = String>) -> (Impairments, u64, Option<SocketAddr>) {
    let (mut path, mut seed, mut client) = (Impairments::default(), 1, None);
    let mut bursts = GilbertElliott { to_bad: 0.0, to_good: 1.0, loss_good: 0.0, loss_bad: 1.0 };
    for argument in arguments {
        let (name, value) = argument.split_once('=').expect("NAME=VALUE");
        let share =
            || value.parse().ok().filter(|share| (0.0..=1.0).contains(share)).expect("a share, 0..=1");
        let whole = || value.parse::<u64>().expect("a whole number");
        match name {
            "client" => client = Some(value.parse().expect("an address with port")),
            "seed" => seed = whole(),
            "loss" => path.loss = share(),
            "to_bad" => bursts.to_bad = share(),
            "to_good" => bursts.to_good = share(),
            "loss_bad" => bursts.loss_bad = share(),
            "delay_ms" => path.delay_us = 1000 * whole(),
            "jitter_ms" => path.jitter_us = 1000 * whole(),
            "reordered" => path.reordered = share(),
            "duplicated" => path.duplicated = share(),
            _ => panic!("{name} is none of the names that the head of this file has"),
        }
    }
    path.bursts = (bursts.to_bad > 0.0).then_some(bursts);
    (path, seed, client)
}
