//! One other network: what is set for it, how it is reached, and what is known of it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use arrayvec::ArrayVec;
use stack::{Envelope, Line, LinkType, PeerSettings, Profile, Slot, Slots, Time, Trunk};

use crate::replay::Replay;
use crate::signer::Signer;

/// A peer that keeps itself alive and has not for so long is not sent anything.
pub(crate) const SILENT: Duration = Duration::from_secs(60);
/// The newest version of the extensions that is spoken here.
pub(crate) const VERSION: u8 = 5;
/// Streams that a peer does not want, the newest ones.
const MAX_QUENCHED: usize = 64;
/// What was heard of a peer is written down no more often.
const NOTE_EACH: Duration = Duration::from_secs(10);
/// So much older than the newest a burst's time may be: more is a replay.
const LATE_NS: u64 = 5_000_000_000;

/// How a peer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) envelope: Envelope,
    /// It came from there, and nobody has said so but the key.
    pub(crate) is_learned: bool,
}

pub(crate) struct Peer {
    pub(crate) id: u32,
    pub(crate) settings: PeerSettings,
    pub(crate) signer: Signer,
    /// `None` while its address is not known, or none of our sockets is of its family.
    pub(crate) path: Option<Path>,
    /// What it said last that it speaks.
    pub(crate) version: u8,
    /// When it last sent something that was signed rightly.
    pub(crate) heard: Option<Time>,
    /// When that was last written down.
    pub(crate) noted: Option<Time>,
    /// When it is sent the next sign of life.
    pub(crate) keep_alive_at: Time,
    /// It was told of as one that is there.
    pub(crate) is_up: bool,
    pub(crate) replay: Replay,
    newest_ns: u64,
    quenched: ArrayVec<u32, MAX_QUENCHED>,
    /// How many calls of it have a leg.
    pub(crate) legs: u16,
    /// When something was last told of it that can be told again and again.
    told: Option<Time>,
}

impl Peer {
    /// `None` where the key is none.
    pub(crate) fn new(id: u32, settings: PeerSettings, now: Time) -> Option<Self> {
        let signer = Signer::new(&settings.key)?;
        Some(Self {
            id,
            settings,
            signer,
            path: None,
            version: 1,
            heard: None,
            noted: None,
            keep_alive_at: now,
            is_up: false,
            replay: Replay::default(),
            newest_ns: 0,
            quenched: ArrayVec::new(),
            legs: 0,
            told: None,
        })
    }

    /// What the switch has to know of it.
    pub(crate) fn profile(&self) -> Profile {
        let talkgroups = &self.settings.talkgroups;
        let trunk = Trunk { talkgroups: talkgroups.out.clone(), renamed: talkgroups.renamed.clone() };
        network(self.id, Line::Trunk(trunk))
    }

    /// What the switch has to know of a call that comes from it.
    pub(crate) fn leg_profile(&self) -> Profile {
        network(self.id, Line::Leg)
    }

    /// The number here of a talkgroup that the peer names, where it is taken from it.
    pub(crate) fn takes(&self, theirs: u32) -> Option<u32> {
        let talkgroups = &self.settings.talkgroups;
        let of_there = talkgroups.renamed.iter().find(|&&(_, there)| there == theirs);
        let here = match of_there {
            Some(&(here, _)) => here,
            // Its number there is another one.
            None if talkgroups.renamed.iter().any(|&(here, _)| here == theirs) => return None,
            None => theirs,
        };
        talkgroups.r#in.iter().any(|range| (range.0..=range.1).contains(&here)).then_some(here)
    }

    /// Whether it may be sent something.
    pub(crate) fn is_there(&self, now: Time) -> bool {
        !self.settings.enhanced || self.heard.is_some_and(|at| now.since(at) < SILENT)
    }

    /// Something came from it. True where that is to be written down.
    pub(crate) fn hear(&mut self, now: Time) -> bool {
        self.heard = Some(now);
        let is_due = self.noted.is_none_or(|at| now.since(at) >= NOTE_EACH);
        if is_due {
            self.noted = Some(now);
        }
        is_due
    }

    /// A burst that says when it was sent. `None` where that was long before others that have come; else whether it is the
    /// newest.
    pub(crate) fn is_newest(&mut self, time_ns: u64) -> Option<bool> {
        let is_newest = time_ns > self.newest_ns;
        let is_in_time = time_ns.saturating_add(LATE_NS) >= self.newest_ns;
        self.newest_ns = self.newest_ns.max(time_ns);
        is_in_time.then_some(is_newest)
    }

    /// It does not want this stream.
    pub(crate) fn quench(&mut self, stream: u32) {
        if self.quenched.is_full() {
            self.quenched.remove(0);
        }
        if !self.quenched.contains(&stream) {
            self.quenched.push(stream);
        }
    }

    pub(crate) fn is_quenched(&self, stream: u32) -> bool {
        self.quenched.contains(&stream)
    }

    /// Whether something may be told of it now that can be told again and again.
    pub(crate) fn tell(&mut self, now: Time) -> bool {
        let may = self.told.is_none_or(|at| now.since(at) >= SILENT);
        if may {
            self.told = Some(now);
        }
        may
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.path.map(|path| path.envelope.to)
    }
}

/// Another network, or a call of it: all is on TS1.
fn network(id: u32, line: Line) -> Profile {
    let profile = Profile::repeater(id, Slots::Only(Slot::One), [Vec::new(), Vec::new()]);
    Profile { link: LinkType::Network, line, ..profile }
}

/// From which of our listen addresses a peer is reached that has said nothing yet: the first of its family.
pub(crate) fn path_to(listen: &[SocketAddr], to: SocketAddr) -> Option<Path> {
    let listener = listen.iter().position(|ours| ours.is_ipv4() == to.is_ipv4())?;
    let envelope = Envelope { listener: u8::try_from(listener).ok()?, local: None, to };
    Some(Path { envelope, is_learned: false })
}

/// The way that something came.
pub(crate) fn path_back(listener: u8, local: Option<IpAddr>, to: SocketAddr, is_learned: bool) -> Path {
    Path { envelope: Envelope { listener, local, to }, is_learned }
}
