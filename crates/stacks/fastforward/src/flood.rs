//! How what nodes say of themselves comes to all: what is new is handed on at once, and what was lost on the way is found out by
//! comparing, at each greeting, one number for all that is known.

use std::time::Duration;

use stack::Time;

use crate::association::MOST_WAITING;

use crate::network::Learned;
use crate::node::FastForward;
use crate::wire::{Fact, KNOWN_A_FRAME, Known, MAX_FRAME, Summary, Update};
use crate::wire::{write_summary, write_update, write_want};

/// What is said within this goes out together.
const TOGETHER: Duration = Duration::from_millis(20);
/// Between two summaries, or two wishes, to one node.
const PATIENCE: Duration = Duration::from_millis(200);
/// Nobody else is asked for what was asked for so lately.
pub(crate) const ASKED: Duration = Duration::from_millis(400);
/// A node gives itself a later start no more often.
const BEGINNINGS: Duration = Duration::from_secs(10);
/// Nobody's clock is so far ahead, milliseconds.
const FUTURE_MS: u64 = 86_400_000;
/// The last moment that can be told.
const LAST_MS: u64 = (1 << 48) - 1;
/// Frames of one answer to a wish: the rest is wished for again.
const MOST_FRAMES: usize = 64;
/// A talkgroup that is not wanted any more is said so after this: calls to it may go on, and come again.
const LINGER: Duration = Duration::from_secs(10);
/// A radio that is heard where it was heard before is said again after this.
const HEARD_AGAIN_MS: u64 = 60_000;

impl FastForward {
    /// This node says something of itself.
    pub(crate) fn say(&mut self, now: Time, fact: Fact) {
        if let Some(before) = self.network.say(fact) {
            self.hand_on(now, self.settings.node, before, None);
        }
    }

    /// What a node has said since a version is to be handed on to all but one who has it.
    fn hand_on(&mut self, now: Time, node: u32, since: u32, but: Option<u16>) {
        match self.floods.iter_mut().find(|(other, ..)| *other == node) {
            Some((_, before, known)) => {
                *before = since.min(*before);
                if *known != but {
                    *known = None;
                }
            }
            None => self.floods.push((node, since, but)),
        }
        // What others have said has waited there already.
        let at = if node == self.settings.node { now + TOGETHER } else { now };
        self.flood_due = Some(self.flood_due.map_or(at, |due| due.min(at)));
    }

    /// Hands on what is new.
    pub(crate) fn flood(&mut self, now: Time) {
        self.flood_due = None;
        self.network.refresh(now);
        for (node, since, but) in std::mem::take(&mut self.floods) {
            let Some(start) = self.network.state(node).map(|state| state.start) else { continue };
            let places: Vec<u16> =
                self.all().map(|(place, _)| place).filter(|&place| Some(place) != but).collect();
            self.update(now, &places, Known { node, start, version: since });
        }
    }

    /// Talkgroups of a range are wanted here, or not any more.
    pub(crate) fn range(&mut self, now: Time, first: u32, last: u32, is_wanted: bool) {
        self.unwanted.retain(|&(_, a, b)| (a, b) != (first, last));
        if is_wanted {
            let fact = Fact::Range { first, last, is_wanted };
            self.say(now, fact);
            if self.network.said(&fact) != Some(fact) {
                // No more can be told apart.
                self.say(now, Fact::Range { first: 0, last: 0xFF_FFFF, is_wanted });
            }
        } else {
            self.unwanted.push((now + LINGER, first, last));
        }
    }

    pub(crate) fn say_unwanted(&mut self, now: Time) {
        let mut due = Vec::new();
        self.unwanted.retain(|&(at, first, last)| {
            let is_due = at <= now;
            if is_due {
                due.push((first, last));
            }
            !is_due
        });
        due.into_iter()
            .for_each(|(first, last)| self.say(now, Fact::Range { first, last, is_wanted: false }));
    }

    /// A radio was heard here, milliseconds since 1970 by this host's clock. Returns the time to note for it: later than where others
    /// have heard it, whatever their clocks say.
    pub fn heard(&mut self, now: stack::Now, radio: u32, at_ms: u64) -> u64 {
        let newest = self.network.heard(radio);
        let at_ms = newest.map_or(at_ms, |(_, before)| at_ms.max(before + 1)).min(LAST_MS);
        let is_known = newest
            .is_some_and(|(node, before)| node == self.settings.node && at_ms < before + HEARD_AGAIN_MS);
        if !is_known {
            self.say(now.mono, Fact::Heard { radio, at_ms });
        }
        at_ms
    }

    /// The newest place at another host where a radio was heard: the node, and when.
    #[must_use]
    pub fn locate(&self, radio: u32) -> Option<(u32, u64)> {
        let (node, at_ms) = self.network.heard(radio)?;
        (self.network.host_of(node) != Some(self.settings.host)).then_some((node, at_ms))
    }

    /// Tells an association what is known here.
    pub(crate) fn summarize(&mut self, now: Time, place: u16) {
        let Some(association) = self.association_mut(place) else { return };
        if now.since(association.summary_sent) < PATIENCE {
            return;
        }
        association.summary_sent = now;
        let known: Vec<Known> = self.network.nodes().map(|(node, state)| state.known(node)).collect();
        let mut out = [0; MAX_FRAME];
        for known in known.chunks(KNOWN_A_FRAME) {
            let len = write_summary(&mut out, known);
            self.put(now, place, &out[..len]);
        }
    }

    /// Finds out what an association knows that is not known here, and asks for it.
    pub(crate) fn compare(&mut self, now: Time, place: u16, summary: Summary<'_>) {
        for theirs in summary {
            if !self.is_plausible(theirs.start) {
                continue;
            }
            if theirs.node == self.settings.node {
                let own =
                    self.network.state(theirs.node).map_or((0, 0), |state| (state.start, state.version));
                let is_late = self.began_again.is_some_and(|at| now.since(at) < BEGINNINGS);
                if (theirs.start, theirs.version) > own && !is_late {
                    self.began_again = Some(now);
                    // Nobody else who was there before chose the same.
                    let start = theirs.start + 1 + self.random.draw() % (1 << 20);
                    self.begin_again(now, start);
                }
                continue;
            }
            let ours = self.network.state(theirs.node).map_or((0, 0), |state| (state.start, state.version));
            if (theirs.start, theirs.version) > ours {
                let version = if theirs.start == ours.0 { ours.1 } else { 0 };
                let asked = self.asked.get(&theirs.node);
                if asked.is_none_or(|&(start, at)| start != theirs.start || now.since(at) >= ASKED) {
                    self.asked.insert(theirs.node, (theirs.start, now));
                    self.want(now, place, Known { version, ..theirs });
                }
            }
        }
    }

    /// Others know of a later start of this node than its own, since its clock was put back: it starts once more, after that.
    #[cold]
    pub(crate) fn begin_again(&mut self, now: Time, start: u64) {
        if start >> 48 != 0 {
            return;
        }
        self.start = start;
        if let Some(key) = self.settings.keys.first() {
            self.key = key.of_node(self.settings.node, start);
        }
        for own in self.host_keys.values_mut() {
            *own = own.made_of().of_node(self.settings.node, start);
        }
        self.network.begin_again(start);
        let places: Vec<u16> = self.all().map(|(place, _)| place).collect();
        places.into_iter().for_each(|place| self.drop_association(now, place));
    }

    fn want(&mut self, now: Time, place: u16, since: Known) {
        let mut out = [0; MAX_FRAME];
        let len = write_want(&mut out, since);
        self.put(now, place, &out[..len]);
    }

    /// An association wants what a node has said since.
    pub(crate) fn tell(&mut self, now: Time, place: u16, since: Known) {
        let start = self.network.state(since.node).map(|state| state.start);
        let has_room = self.association(place).is_some_and(|known| known.waiting() < MOST_WAITING);
        if start == Some(since.start) && has_room {
            self.update(now, &[place], since);
        }
    }

    /// Sends associations what a node has said since.
    fn update(&mut self, now: Time, places: &[u16], mut since: Known) {
        let mut out = [0; MAX_FRAME];
        for _ in 0..MOST_FRAMES {
            let Some(state) = self.network.state(since.node) else { return };
            if since.version >= state.version {
                return;
            }
            let end = state.version;
            let (len, to) = write_update(&mut out, since, end, state.since(since.version));
            since.version = to;
            places.iter().for_each(|&place| self.put(now, place, &out[..len]));
        }
    }

    /// An association tells what a node has said.
    pub(crate) fn learn(&mut self, now: Time, place: u16, update: Update<'_>) {
        let (from, to) = (update.from, update.to);
        if !self.is_plausible(from.start) {
            return;
        }
        let latest = self.wall_ms + FUTURE_MS;
        let facts = update.filter(|(_, fact)| !matches!(fact, Fact::Heard { at_ms, .. } if *at_ms > latest));
        match self.network.learn(now, from, to, facts) {
            Learned::New(before) => {
                self.hand_on(now, from.node, before, Some(place));
            }
            Learned::Old => {}
            Learned::Gap(known) => {
                let Some(association) = self.association_mut(place) else { return };
                if now.since(association.want_sent) >= PATIENCE {
                    association.want_sent = now;
                    self.want(now, place, known);
                }
            }
        }
    }
}
