//! What one node knows of another with which it speaks: keys and numbers of both, how far and how well they hear each other, and the
//! datagram that is being filled for it.

use std::collections::VecDeque;
use std::time::Duration;

use stack::Time;
use transport::Address;

use crate::seal::NodeKey;
use crate::window::Window;
use crate::wire::{HEADER_LEN, Header, Hello, MAX_CONTENT};

/// A node that was not heard for so long is gone.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);
/// One that was not heard for so long is not given calls while another of its host is heard: two greetings were missed.
const DOUBT: Duration = Duration::from_millis(1_300);
/// Frames for one node within this share a datagram.
pub(crate) const COMPANY: Duration = Duration::from_millis(1);
/// Loss is measured over so long at least.
const LOSS_TIME: Duration = Duration::from_secs(10);
/// Challenges that an answer may still come to.
const CHALLENGES: usize = 4;

/// Challenges that were sent, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Challenges([(u64, Time); CHALLENGES]);

/// What comes back later proves nothing.
pub(crate) const PROOF: Duration = Duration::from_secs(3);

impl Challenges {
    pub(crate) fn add(&mut self, challenge: u64, now: Time) {
        self.0.rotate_right(1);
        self.0[0] = (challenge, now);
    }

    /// When this challenge was sent, if it was.
    pub(crate) fn sent(&self, echo: u64) -> Option<Time> {
        self.0.iter().find(|&&(challenge, _)| challenge == echo && echo != 0).map(|&(_, at)| at)
    }

    /// Whether this challenge was sent lately. It proves something once.
    pub(crate) fn redeem(&mut self, echo: u64, now: Time) -> bool {
        let of_it = |&&mut (challenge, at): &&mut (u64, Time)| {
            challenge == echo && echo != 0 && now.since(at) < PROOF
        };
        self.0.iter_mut().find(of_it).is_some_and(|(challenge, _)| std::mem::take(challenge) != 0)
    }
}

/// Numbers that came next at the last greetings.
const MARKS: usize = 5;
/// More contents that wait for a node are more than it can take.
pub(crate) const MOST_WAITING: usize = 64;

/// What was measured of a way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// There and back, smoothed (RFC 6298), microseconds; 0 where it is not known yet.
    pub rtt_us: u32,
    /// How much the time of the way varies (RFC 3550 section 6.4.1), microseconds.
    pub jitter_us: u32,
    /// Of 10,000 datagrams of the other node so many did not come here.
    pub loss_here: u16,
    /// Of 10,000 datagrams of this node so many did not come there.
    pub loss_there: u16,
    /// Datagrams sent and received.
    pub datagrams: [u64; 2],
    /// Bytes of them.
    pub bytes: [u64; 2],
}

#[derive(Debug)]
pub(crate) struct Association {
    pub(crate) node: u32,
    pub(crate) host: u32,
    pub(crate) address: Address,
    /// When the other node started.
    pub(crate) start: u64,
    /// It is of the same host: bursts go there by the ring.
    pub(crate) is_sibling: bool,
    /// That it is one to go on with is what this node thinks, and what the other one does.
    pub(crate) keeps: [bool; 2],
    pub(crate) measured: Measured,
    pub(crate) challenges: Challenges,
    pub(crate) heard: Time,
    /// When either wanted to go on last.
    pub(crate) wanted: Time,
    pub(crate) hello_due: Time,
    pub(crate) summary_sent: Time,
    pub(crate) want_sent: Time,
    /// Which far session it means by its numbers.
    pub(crate) numbers: Vec<u16>,
    /// It was heard lately.
    pub(crate) is_fresh: bool,
    key: NodeKey,
    window: Window,
    pub(crate) next_number: u64,
    /// The number that came next at each of the last greetings, oldest first.
    pub(crate) marks: [u64; MARKS],
    /// The digest here when the other node greeted last.
    pub(crate) digest: Option<u64>,
    echo: (u64, Time),
    /// The other clock less ours at the last greeting, microseconds.
    offset_us: Option<i64>,
    /// When loss was measured last, the number that came next then, and how many came.
    loss_since: (Time, u64, u64),
    content: Vec<u8>,
    /// Contents that are full, oldest first, and emptied ones to be filled again.
    full: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    /// When the first and the last frame were put in.
    filled: (Time, Time),
    is_urgent: bool,
}

impl Association {
    /// `next_number`: no datagram to this node has had it yet, or one above it.
    pub(crate) fn new(
        now: Time,
        (node, host): (u32, u32),
        address: Address,
        (start, key): (u64, NodeKey),
        next_number: u64,
    ) -> Self {
        Self {
            node,
            host,
            address,
            start,
            is_sibling: false,
            keeps: [false; 2],
            measured: Measured::default(),
            challenges: Challenges::default(),
            heard: now,
            wanted: now,
            hello_due: now,
            summary_sent: Time::default(),
            want_sent: Time::default(),
            numbers: Vec::new(),
            is_fresh: true,
            key,
            window: Window::default(),
            next_number,
            marks: [next_number; MARKS],
            digest: None,
            echo: (0, now),
            offset_us: None,
            loss_since: (now, 0, 0),
            content: Vec::with_capacity(MAX_CONTENT),
            full: VecDeque::new(),
            spare: Vec::new(),
            filled: (Time::default(), Time::default()),
            is_urgent: false,
        }
    }

    /// Begins to take datagrams at this number: what is behind is old.
    pub(crate) fn begin_at(&mut self, number: u64) {
        self.window = Window::beginning_at(number);
    }

    pub(crate) fn key(&self) -> &NodeKey {
        &self.key
    }

    /// A datagram with this number was opened. False where it has come before.
    pub(crate) fn take(&mut self, now: Time, number: u64, len: usize) -> bool {
        if !self.window.take(number) {
            return false;
        }
        self.heard = now;
        self.measured.datagrams[1] += 1;
        self.measured.bytes[1] += len as u64;
        let (since, first, count) = self.loss_since;
        let first = if count == 0 { number } else { first };
        self.loss_since.1 = first;
        let expected = (number + 1).saturating_sub(first);
        self.loss_since.2 = count + 1;
        if now.since(since) >= LOSS_TIME && expected > 0 {
            let lost = expected.saturating_sub(count + 1);
            self.measured.loss_here = u16::try_from(lost * 10_000 / expected).unwrap_or(10_000);
            self.loss_since = (now, number, 0);
        }
        true
    }

    /// A greeting came.
    pub(crate) fn greeted(&mut self, now: Time, hello: &Hello) {
        if let Some(sent) = self.challenges.sent(hello.echo) {
            let held = u64::from(hello.held_us);
            let sample =
                u32::try_from((now.0 - sent.0.min(now.0)).saturating_sub(held)).unwrap_or(u32::MAX).max(1);
            let rtt = &mut self.measured.rtt_us;
            *rtt = if *rtt == 0 { sample } else { (*rtt / 8 * 7 + sample / 8).max(1) };
        }
        let offset = (hello.clock_us as i64).wrapping_sub(now.0 as i64);
        if let Some(before) = self.offset_us.replace(offset) {
            let change = offset.wrapping_sub(before).unsigned_abs();
            let jitter = i64::from(self.measured.jitter_us);
            let jitter = jitter + (i64::try_from(change).unwrap_or(i64::MAX) - jitter) / 16;
            self.measured.jitter_us = u32::try_from(jitter).unwrap_or(u32::MAX);
        }
        self.measured.loss_there = hello.loss;
        self.echo = (hello.challenge, now);
        self.keeps[1] = hello.keeps;
    }

    /// What a greeting says of this way.
    pub(crate) fn fill_hello(&mut self, now: Time, challenge: u64, hello: &mut Hello) {
        self.challenges.add(challenge, now);
        let (echo, at) = self.echo;
        (hello.challenge, hello.echo) = (challenge, echo);
        hello.held_us = u32::try_from(now.since(at).as_micros()).unwrap_or(u32::MAX);
        (hello.keeps, hello.loss) = (self.keeps[0], self.measured.loss_here);
        hello.first = self.marks[0];
        self.marks.rotate_left(1);
        self.marks[MARKS - 1] = self.next_number;
    }

    /// How many contents wait that are full.
    pub(crate) fn waiting(&self) -> usize {
        self.full.len()
    }

    /// Whether it may be given calls, or had better not.
    pub(crate) fn may_be_used(&self, now: Time) -> bool {
        now.since(self.heard) < DOUBT
    }

    /// Puts a frame into the datagram that is being filled, or into a new one where that has no room. True where it is the first
    /// that waits.
    pub(crate) fn put(&mut self, now: Time, frame: &[u8]) -> bool {
        let is_first = self.content.is_empty() && self.full.is_empty();
        if self.content.len() + frame.len() > MAX_CONTENT {
            let empty = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(MAX_CONTENT));
            self.full.push_back(std::mem::replace(&mut self.content, empty));
        }
        if self.content.is_empty() {
            // Where the last frame was long ago, none is likely to come soon.
            self.is_urgent = now.since(self.filled.1) >= COMPANY;
            self.filled.0 = now;
        }
        self.filled.1 = now;
        self.content.extend_from_slice(frame);
        is_first
    }

    /// What waits is to go with the next datagram, without company.
    pub(crate) fn hurry(&mut self) {
        self.is_urgent = true;
    }

    /// When the next datagram is to go; `None` where none waits.
    pub(crate) fn goes(&self) -> Option<Time> {
        let at =
            if self.is_urgent || !self.full.is_empty() { self.filled.0 } else { self.filled.0 + COMPANY };
        (!self.content.is_empty() || !self.full.is_empty()).then_some(at)
    }

    /// Seals the datagram that was filled into `out` and returns its length.
    pub(crate) fn seal(&mut self, own: (u32, u64, &NodeKey), out: &mut [u8]) -> Option<usize> {
        let (node, start, node_key) = own;
        let header = Header { key: node_key.made_of().tag(), node, start, number: self.next_number };
        let content = self.full.front().unwrap_or(&self.content);
        let len = content.len();
        out.get_mut(HEADER_LEN..)?.get_mut(..len)?.copy_from_slice(content);
        match self.full.pop_front() {
            Some(mut emptied) => {
                emptied.clear();
                if self.spare.len() < MOST_WAITING {
                    self.spare.push(emptied);
                }
            }
            None => self.content.clear(),
        }
        self.next_number += 1;
        let len = node_key.seal(&header, self.node, out, len)?;
        self.measured.datagrams[0] += 1;
        self.measured.bytes[0] += len as u64;
        Some(len)
    }
}
