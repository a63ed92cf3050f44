//! Workers of another build, while a cluster goes from one ABI to another: they share no ring with us, so bursts go to and
//! fro as datagrams. All go to all: it is for a moment, and the only one at which the packet path takes memory.

use std::os::fd::{AsFd, OwnedFd};

use fabric::{Counter, Stats};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use switch::{FAR_RELAYED_LEN, FarBurst, Forward};

use crate::Error;
use crate::siblings::Heard;
use crate::worker::Worker;

/// Tokens of relays have this bit, and the slot below.
const TOKEN: u64 = 1 << 40;
/// Datagrams taken from one relay before others have their turn.
const BATCH: usize = 64;
/// Datagrams taken from one relay before its end.
const MOST: usize = 8192;

struct Relay {
    slot: u8,
    socket: OwnedFd,
}

#[derive(Default)]
pub(crate) struct Relays(Vec<Relay>);

impl Relays {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(&mut self, epoll: &Epoll, slot: u8, socket: OwnedFd) -> Result<(), Error> {
        self.0.retain(|relay| relay.slot != slot);
        let event = EpollEvent::new(EpollFlags::EPOLLIN, TOKEN | u64::from(slot));
        epoll.add(socket.as_fd(), event).map_err(Error::errno("epoll_ctl"))?;
        self.0.push(Relay { slot, socket });
        Ok(())
    }

    /// The slot of the relay that a token is of.
    pub(crate) fn of(token: u64) -> Option<u8> {
        (token & TOKEN != 0 && token < TOKEN << 1).then_some((token & 0xff) as u8)
    }

    /// Sends a burst to all; what finds no room is counted as a gap of theirs.
    pub(crate) fn forward(&self, stats: &Stats, node: u32, forward: &Forward) {
        self.send(stats, &forward.to_relayed(node));
    }

    /// The same for a burst of another host.
    pub(crate) fn pass_on(&self, stats: &Stats, node: u32, burst: &FarBurst) {
        self.send(stats, &burst.to_relayed(node));
    }

    fn send(&self, stats: &Stats, bytes: &[u8]) {
        for relay in &self.0 {
            if sys::send(relay.socket.as_fd(), bytes, &[]).is_err() {
                stats.add(Counter::RingGaps, 1);
            }
        }
    }

    /// Puts what has come from a slot into `heard`. One that is gone is forgotten.
    fn read(&mut self, slot: u8, heard: &mut Heard) {
        let Some(place) = self.0.iter().position(|relay| relay.slot == slot) else { return };
        let mut buffer = [0; FAR_RELAYED_LEN];
        for _ in 0..BATCH {
            match sys::receive(self.0[place].socket.as_fd(), &mut buffer) {
                Ok((0, _)) => {
                    self.0.remove(place);
                    return;
                }
                Ok((len, _)) => {
                    let bytes = &buffer[..len];
                    let near = Forward::from_relayed(bytes);
                    heard.near.extend(near.map(|(forward, node)| (slot, node, forward)));
                    let far = FarBurst::from_relayed(bytes);
                    heard.far.extend(far.map(|(burst, node)| (slot, burst.forward.session(node), burst)));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {}
                Err(_) => {
                    self.0.remove(place);
                    return;
                }
            }
        }
    }

    fn slots(&self) -> Vec<u8> {
        self.0.iter().map(|relay| relay.slot).collect()
    }
}

impl Worker {
    /// Takes in what workers of another build have sent.
    pub(crate) fn hear_relay(&mut self, now: stack::Now, slot: u8) -> usize {
        let mut heard = std::mem::take(&mut self.heard);
        self.relays.read(slot, &mut heard);
        let count = heard.len();
        self.hear(now, &mut heard);
        self.heard = heard;
        count
    }

    /// All that they have sent.
    pub(crate) fn hear_relays(&mut self, now: stack::Now) {
        for slot in self.relays.slots() {
            // Some seconds' worth, whatever comes meanwhile.
            for _ in 0..MOST / BATCH {
                if self.hear_relay(now, slot) == 0 {
                    break;
                }
            }
        }
    }
}
