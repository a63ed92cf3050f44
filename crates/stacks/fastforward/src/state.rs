//! What one node says of itself: facts, each with the version at which it was said last. Whoever has all up to a version needs only
//! what is newer, so losses are repaired by asking from where one is.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::wire::{Fact, Known, Versioned};

/// Ranges of talkgroups that one node can want; more are as if it wanted all.
pub(crate) const MAX_RANGES: usize = 8192;
/// Radios of which one node says that it heard them; the one that was heard longest ago makes room.
pub(crate) const MAX_HEARD: usize = 4096;
/// Nodes of which one node says that it hears them, or does not any more.
pub(crate) const MAX_LINKS: usize = 8192;

/// What a fact is about: of each there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Subject {
    About,
    Range(u32, u32),
    Heard(u32),
    Link(u32),
}

/// A wish for all talkgroups.
const EVERYTHING: Subject = Subject::Range(0, 0xFF_FFFF);

impl Subject {
    fn of(fact: &Fact) -> Self {
        match *fact {
            Fact::About { .. } => Self::About,
            Fact::Range { first, last, .. } => Self::Range(first, last),
            Fact::Heard { radio, .. } => Self::Heard(radio),
            Fact::Link { node, .. } => Self::Link(node),
        }
    }
}

/// The facts of one node.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// When the node started.
    pub(crate) start: u64,
    /// All up to here are known.
    pub(crate) version: u32,
    /// By version; those that were taken over from before the node started again have none.
    by_version: BTreeMap<u32, Subject>,
    /// With version 0 where it was taken over.
    facts: FxHashMap<Subject, Versioned>,
    counts: [usize; 3],
    /// Whom the node says to hear.
    links: FxHashSet<u32>,
    /// What was said of radios has this version or one above.
    heard_from: u32,
}

/// What became of a fact.
pub(crate) struct Change {
    /// What was said before.
    pub(crate) before: Option<Fact>,
    /// What is gone, to make room.
    pub(crate) forgotten: Option<Fact>,
}

impl State {
    pub(crate) fn new(start: u64) -> Self {
        Self { start, ..Self::default() }
    }

    pub(crate) fn known(&self, node: u32) -> Known {
        Known { node, start: self.start, version: self.version }
    }

    /// The node says something new of itself.
    pub(crate) fn say(&mut self, fact: Fact) -> Option<Change> {
        if self.get(&fact) == Some(fact) {
            return None;
        }
        let change = self.learn((self.version + 1, fact));
        if change.is_some() {
            self.version += 1;
        }
        change
    }

    /// Takes in what the node has said. `None` where there is no room for it, or something newer is known.
    pub(crate) fn learn(&mut self, (version, fact): Versioned) -> Option<Change> {
        let subject = Subject::of(&fact);
        let before = self.facts.get(&subject).copied();
        if before.is_some_and(|(known, _)| known >= version && known > 0) {
            return None;
        }
        let mut forgotten = None;
        if before.is_none() {
            let (place, most) = match subject {
                Subject::About => (None, 1),
                Subject::Range(..) => (Some(0), MAX_RANGES),
                Subject::Heard(_) => (Some(1), MAX_HEARD),
                Subject::Link(_) => (Some(2), MAX_LINKS),
            };
            if let Some(place) = place {
                if self.counts[place] >= most {
                    forgotten = self.forget_oldest(subject);
                    // There is always room to want everything.
                    if forgotten.is_none() && subject != EVERYTHING {
                        return None;
                    }
                }
                self.counts[place] += 1;
            }
        } else if let Some((known, _)) = before {
            self.by_version.remove(&known);
        }
        self.facts.insert(subject, (version, fact));
        match fact {
            Fact::Link { node, is_up: true } => _ = self.links.insert(node),
            Fact::Link { node, .. } => _ = self.links.remove(&node),
            _ => {}
        }
        if version > 0 {
            self.by_version.insert(version, subject);
        }
        Some(Change { before: before.map(|(_, fact)| fact), forgotten })
    }

    /// Makes room: of radios the one that was said first is forgotten, since one that is heard again is said again; of talkgroups and
    /// links the first of those that are over.
    fn forget_oldest(&mut self, for_whom: Subject) -> Option<Fact> {
        let may_go = |subject: &Subject| match (for_whom, subject) {
            (Subject::Heard(_), Subject::Heard(_)) => true,
            (Subject::Range(..), Subject::Range(..)) | (Subject::Link(_), Subject::Link(_)) => matches!(
                self.facts.get(subject),
                Some((_, Fact::Range { is_wanted: false, .. } | Fact::Link { is_up: false, .. }))
            ),
            _ => false,
        };
        let is_heard = matches!(for_whom, Subject::Heard(_));
        let mut newer = self.by_version.range(if is_heard { self.heard_from } else { 0 }..);
        let (&version, &subject) = newer.find(|(_, subject)| may_go(subject))?;
        if is_heard {
            self.heard_from = version;
        }
        self.by_version.remove(&version);
        let place = match subject {
            Subject::About => return None,
            Subject::Range(..) => 0,
            Subject::Heard(_) => 1,
            Subject::Link(_) => 2,
        };
        self.counts[place] -= 1;
        self.facts.remove(&subject).map(|(_, fact)| fact)
    }

    /// What is said now of what `fact` is about.
    pub(crate) fn get(&self, fact: &Fact) -> Option<Fact> {
        self.facts.get(&Subject::of(fact)).map(|&(_, fact)| fact)
    }

    /// Whether the node says that it hears this one.
    pub(crate) fn hears(&self, node: u32) -> bool {
        self.links.contains(&node)
    }

    /// The nodes that it says to hear.
    pub(crate) fn links(&self) -> impl Iterator<Item = u32> {
        self.links.iter().copied()
    }

    /// What it is: host, port, transports, version.
    pub(crate) fn about(&self) -> Option<(u32, u16, u8, u8)> {
        match self.facts.get(&Subject::About)?.1 {
            Fact::About { host, port, transports, version } => Some((host, port, transports, version)),
            _ => None,
        }
    }

    /// How many ranges of talkgroups are wanted there.
    pub(crate) fn ranges(&self) -> usize {
        let is_wanted = |(_, fact): &&Versioned| matches!(fact, Fact::Range { is_wanted: true, .. });
        self.facts.values().filter(is_wanted).count()
    }

    /// All that is known.
    pub(crate) fn facts(&self) -> impl Iterator<Item = Fact> {
        self.facts.values().map(|&(_, fact)| fact)
    }

    /// What was said since a version, in order.
    pub(crate) fn since(&self, version: u32) -> impl Iterator<Item = Versioned> {
        let newer = self.by_version.range((Excluded(version), Unbounded));
        newer.filter_map(|(_, subject)| self.facts.get(subject).copied())
    }

    /// The node has started again: what it said before stands for a while, until it has said it again.
    pub(crate) fn begin_again(&mut self, start: u64) {
        (self.start, self.version, self.heard_from) = (start, 0, 0);
        self.by_version.clear();
        self.facts.values_mut().for_each(|(version, _)| *version = 0);
    }

    /// What was said before the node started again and has not been said since: gone now.
    pub(crate) fn drop_old(&mut self) -> Vec<Fact> {
        let mut gone = Vec::new();
        let (counts, links) = (&mut self.counts, &mut self.links);
        self.facts.retain(|subject, (version, fact)| {
            if *version > 0 {
                return true;
            }
            match subject {
                Subject::About => return true,
                Subject::Range(..) => counts[0] -= 1,
                Subject::Heard(_) => counts[1] -= 1,
                Subject::Link(node) => {
                    counts[2] -= 1;
                    links.remove(node);
                }
            }
            gone.push(*fact);
            false
        });
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn range(first: u32, is_wanted: bool) -> Fact {
        Fact::Range { first, last: first, is_wanted }
    }

    #[test]
    fn whoever_is_behind_gets_what_is_newer_and_nothing_twice() {
        let mut state = State::new(7);
        assert!(state.say(range(1, true)).is_some() && state.say(range(2, true)).is_some());
        assert!(state.say(range(1, true)).is_none());
        assert_eq!(state.say(range(1, false)).unwrap().before, Some(range(1, true)));
        assert_eq!(state.since(0).collect::<Vec<_>>(), [(2, range(2, true)), (3, range(1, false))]);
        assert_eq!(state.since(2).collect::<Vec<_>>(), [(3, range(1, false))]);
        assert_eq!(state.known(9), Known { node: 9, start: 7, version: 3 });
        assert!(state.learn((3, range(1, true))).is_none(), "it is not newer");
        assert_eq!(state.ranges(), 1);
    }

    #[test]
    fn what_was_said_before_a_start_stands_until_it_is_dropped() {
        let mut state = State::new(1);
        state.say(range(1, true));
        state.say(Fact::Link { node: 5, is_up: true });
        state.begin_again(2);
        assert!(state.hears(5) && state.since(0).next().is_none());
        assert_eq!(state.learn((1, range(1, true))).unwrap().before, Some(range(1, true)));
        assert_eq!(state.drop_old(), [Fact::Link { node: 5, is_up: true }]);
        assert!(!state.hears(5) && state.ranges() == 1);
    }

    #[test]
    fn there_is_no_more_room_than_there_is() {
        let mut state = State::new(1);
        for radio in 0..=MAX_HEARD as u32 {
            let change = state.say(Fact::Heard { radio, at_ms: 1 }).unwrap();
            let forgotten = (radio as usize == MAX_HEARD).then_some(Fact::Heard { radio: 0, at_ms: 1 });
            assert_eq!(change.forgotten, forgotten);
        }
        assert_eq!(state.facts().count(), MAX_HEARD);
        for talkgroup in 0..MAX_RANGES as u32 {
            assert!(state.say(range(talkgroup, true)).is_some());
        }
        assert!(state.say(range(90_000, true)).is_none());
        assert!(state.say(Fact::Range { first: 0, last: 0xFF_FFFF, is_wanted: true }).is_some());
        assert!(state.say(range(5, false)).is_some());
        // What is over makes room.
        let change = state.say(range(90_000, true)).unwrap();
        assert_eq!(change.forgotten, Some(range(5, false)));
    }
}
