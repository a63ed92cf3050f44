//! Shards go to other workers and come from them while calls run.
//!
//! Nothing is lost and nothing comes twice: the worker that is to have them stands still first ([`Worker::pause`]), so that
//! the one that has them can deliver all that lies in all rings ([`Worker::release`]); then the new one reads up to the
//! same places for what it had before, takes the shards and goes on ([`Worker::take_over`]). What comes meanwhile waits in
//! sockets and rings.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use channel::{Child, Parent, RingPlace};
use fabric::{Counter, SLOTS, Wake, WorkerReader};
use nix::sys::epoll::{EpollEvent, EpollFlags};
use stack::Now;

use crate::Error;
use crate::siblings::BATCH;
use crate::worker::{TICK, Worker, now, token};

/// Batches of a whole ring.
const RINGFUL: usize = SLOTS / BATCH;
/// A worker stands still for no longer: then it goes on, and shards that still come may have missed some bursts. Longer
/// than the supervisor gives those who are to let go of shards.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// What is kept up for shards that were released, until whoever takes them has said so.
#[derive(Debug, Default)]
pub(crate) struct Released {
    /// Somebody else still counts on it.
    pub(crate) is_pending: bool,
    /// Talkgroups that nobody here wants any more.
    pub(crate) unwanted: Vec<u32>,
    /// Nobody here wants all of them any more.
    pub(crate) wanted_everything: bool,
    /// IDs of contexts that are not here any more.
    pub(crate) away: Vec<u32>,
}

impl Worker {
    /// Stands still until the supervisor says "go", and takes what it gives meanwhile.
    pub(crate) fn pause(&mut self, round: Now, number: u64) -> Result<(), Error> {
        self.finish_round(round);
        self.socket.send(&Child::Paused { number }, &[])?;
        let end = Instant::now() + LONGEST_PAUSE;
        while self.end.is_none() && Instant::now() < end {
            let message = self.socket.wait_until(end.min(Instant::now() + TICK))?;
            let now = now();
            // It waits for others, and does not hang.
            self.stats.set(Counter::Heartbeat, now.mono.0);
            let Some((message, fds)) = message else { continue };
            let is_go = matches!(message, Parent::Go);
            self.obey_one(now, message, fds)?;
            if is_go {
                break;
            }
        }
        Ok(())
    }

    /// All that was given is served from now on.
    pub(crate) fn go_on(&mut self) -> Result<(), Error> {
        self.inherit();
        self.siblings.announce();
        self.finish_round(now());
        self.socket.send(&Child::Adopted, &[])?;
        Ok(())
    }

    /// Stops serving shards, which go to the worker in slot `to`.
    pub(crate) fn release(&mut self, now: Now, shards: &[u16], to: u8) -> Result<(), Error> {
        self.read_all(now);
        self.released.is_pending = true;
        self.siblings.send_all_to(to);
        for &number in shards {
            self.remove_shard(number)?;
            self.switch.handle_input(now, switch::Input::Leave(number));
            self.settle(now);
        }
        self.finish_round(now);
        self.socket.send(&Child::Released { places: self.siblings.places() }, &[])?;
        Ok(())
    }

    /// The worker in slot `to` serves what was released to it.
    pub(crate) fn forget(&mut self, to: u8) {
        let released = std::mem::take(&mut self.released);
        self.siblings.moved(self.siblings.slot(), to);
        for talkgroup in released.unwanted {
            self.siblings.set_interest(talkgroup, false);
        }
        if released.wanted_everything {
            self.siblings.want_everything(false);
        }
        released.away.into_iter().for_each(|id| self.siblings.away(id));
        self.siblings.send_all_to_nobody();
    }

    /// Reads the rings up to these places for what is here, so that what comes next has the same past. `fds`: the segment
    /// of the worker that had the shards.
    pub(crate) fn take_over(&mut self, places: &[RingPlace], fds: Vec<OwnedFd>) -> Result<(), Error> {
        let [segment] = channel::descriptors(fds)?;
        let now = now();
        for &place in places {
            let mut heard = std::mem::take(&mut self.heard);
            self.siblings.read_up_to(&self.stats, place, &mut heard);
            self.take_in_heard(now, &mut heard);
            self.heard = heard;
        }
        self.let_overtake(now);
        self.forerunner = Some(WorkerReader::open(segment.as_fd(), (0, 0))?);
        Ok(())
    }

    /// Takes over where radios were heard, once their contexts are here.
    pub(crate) fn inherit(&mut self) {
        if let Some(forerunner) = self.forerunner.take() {
            self.siblings.inherit(&forerunner, |context| self.switch.is_here(context));
        }
    }

    /// Takes in all that siblings have published up to now.
    pub(crate) fn read_all(&mut self, now: Now) {
        self.read_rest(now);
        self.finish_overtaking(now);
    }

    /// The same, but for those that may have overtaken others.
    pub(crate) fn read_rest(&mut self, now: Now) {
        let mut more = Wake::MAX;
        // A ring's worth of each, whatever they publish meanwhile.
        for _ in 0..RINGFUL {
            let mut heard = std::mem::take(&mut self.heard);
            more = self.siblings.read(&self.stats, more, &mut heard);
            self.take_in_heard(now, &mut heard);
            self.heard = heard;
            if more == 0 {
                return;
            }
        }
        self.pending |= more;
    }

    /// Takes a shard out. Another one may have its place then.
    fn remove_shard(&mut self, number: u16) -> Result<(), Error> {
        let Some(place) = self.places.get_mut(usize::from(number)).and_then(Option::take) else {
            return Err(Error::Orders(format!("shard {number} is not here to be released")));
        };
        let shard = self.shards.swap_remove(usize::from(place));
        self.deadlines.remove(place);
        for socket in &shard.sockets {
            self.epoll.delete(socket.as_fd()).map_err(Error::errno("epoll_ctl"))?;
        }
        if let Some(moved) = self.shards.get(usize::from(place)) {
            self.places[usize::from(moved.number)] = Some(place);
            for (listener, socket) in (0..).zip(&moved.sockets) {
                let mut event = EpollEvent::new(EpollFlags::EPOLLIN, token(place, listener));
                self.epoll.modify(socket.as_fd(), &mut event).map_err(Error::errno("epoll_ctl"))?;
            }
        }
        self.stats.set(Counter::Shards, self.shards.len() as u64);
        Ok(())
    }
}
