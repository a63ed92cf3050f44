//! Calls that come from peers, each with a row of its own while it runs and a little longer, so that what comes late of it
//! begins no other.

use std::time::Duration;

use rustc_hash::FxHashMap;
use stack::Time;

use crate::packet::Way;

/// A call of which nothing has come for so long has no row any more. Data that was announced may be late by this.
pub(crate) const IDLE: Duration = Duration::from_secs(5);
/// After so long without a burst a call is over, whether its end has come or not.
pub(crate) const SILENCE: Duration = Duration::from_secs(2);
/// Calls of one peer that have a row.
pub(crate) const MAX_OF_PEER: u16 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leg {
    /// Row of the peer.
    pub(crate) peer: u16,
    /// As the peer numbers it.
    pub(crate) stream: u32,
    /// Who talks.
    pub(crate) source: u32,
    /// The talkgroup, by the peer's number; 0 for a private call.
    pub(crate) talkgroup: u32,
    /// How it comes.
    pub(crate) way: Way,
    pub(crate) heard: Time,
    /// Its terminator has come.
    pub(crate) is_over: bool,
    /// When the peer was last told that it need not send it.
    pub(crate) quenched: Option<Time>,
}

impl Leg {
    /// Takes in one more burst. False where the call is over: but for its terminator, which some send more than once, nothing
    /// comes after that but what was recorded.
    pub(crate) fn take(&mut self, now: Time, is_terminator: bool) -> bool {
        if now.since(self.heard) >= SILENCE || self.is_over && !is_terminator {
            return false;
        }
        // What comes after the end does not keep it.
        if !self.is_over {
            self.heard = now;
        }
        self.is_over |= is_terminator;
        true
    }
}

/// All of a shard. Rows count from the first one of theirs.
pub(crate) struct Legs {
    first: u16,
    rows: Vec<Option<Leg>>,
    free: Vec<u16>,
    by_stream: FxHashMap<(u16, u32), u16>,
    /// The newest one of each talker.
    by_source: FxHashMap<u32, u16>,
}

impl Legs {
    /// With the rows from `first` on, up to `end`.
    pub(crate) fn new(first: u16, end: u16) -> Self {
        let rows = usize::from(end.saturating_sub(first));
        // The lowest row is used first.
        let free = (first..end).rev().collect();
        let (by_stream, by_source) = (FxHashMap::default(), FxHashMap::default());
        Self { first, rows: vec![None; rows], free, by_stream, by_source }
    }

    fn place(&self, row: u16) -> Option<usize> {
        row.checked_sub(self.first).map(usize::from)
    }

    pub(crate) fn get(&self, row: u16) -> Option<&Leg> {
        self.rows.get(self.place(row)?)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, row: u16) -> Option<&mut Leg> {
        let place = self.place(row)?;
        self.rows.get_mut(place)?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &Leg)> {
        (self.first..).zip(&self.rows).filter_map(|(row, leg)| Some((row, leg.as_ref()?)))
    }

    /// The row of a peer's stream.
    pub(crate) fn of(&self, peer: u16, stream: u32) -> Option<u16> {
        self.by_stream.get(&(peer, stream)).copied()
    }

    /// How the call comes that this radio makes, if it comes from a peer.
    pub(crate) fn way_of(&self, source: u32) -> Option<&Leg> {
        self.get(*self.by_source.get(&source)?)
    }

    /// Gives a call a row; `None` where there is none left, or it has one.
    pub(crate) fn insert(&mut self, leg: Leg) -> Option<u16> {
        let row = *self.free.last()?;
        self.put(row, leg).then_some(row)
    }

    /// Gives a call this row; false where that cannot be.
    pub(crate) fn put(&mut self, row: u16, leg: Leg) -> bool {
        let Some(place) = self.place(row) else { return false };
        let is_free = self.rows.get(place).is_some_and(Option::is_none);
        if !is_free || self.by_stream.contains_key(&(leg.peer, leg.stream)) {
            return false;
        }
        match self.free.last() {
            Some(&last) if last == row => drop(self.free.pop()),
            _ => self.free.retain(|&other| other != row),
        }
        self.by_stream.insert((leg.peer, leg.stream), row);
        self.by_source.insert(leg.source, row);
        self.rows[place] = Some(leg);
        true
    }

    pub(crate) fn remove(&mut self, row: u16) -> Option<Leg> {
        let place = self.place(row)?;
        let leg = self.rows.get_mut(place)?.take()?;
        self.free.push(row);
        self.by_stream.remove(&(leg.peer, leg.stream));
        if self.by_source.get(&leg.source) == Some(&row) {
            self.by_source.remove(&leg.source);
        }
        Some(leg)
    }

    /// Those of which nothing has come for so long.
    pub(crate) fn idle(&self, now: Time) -> Vec<u16> {
        self.iter().filter(|(_, leg)| now.since(leg.heard) >= IDLE).map(|(row, _)| row).collect()
    }

    /// When the next one may be idle.
    pub(crate) fn next_idle(&self) -> Option<Time> {
        self.iter().map(|(_, leg)| leg.heard + IDLE).min()
    }
}
