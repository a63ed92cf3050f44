//! All that is known of all nodes: who they are, who hears whom, who wants which talkgroups, and where radios were heard.

use std::collections::hash_map::Entry;
use std::time::Duration;

use rustc_hash::FxHashMap;
use stack::Time;

use crate::state::{Change, State};
use crate::topology::Topology;
use crate::wire::{Fact, Known, Versioned};

/// How many nodes can be known; more are not learned of.
pub(crate) const MAX_NODES: usize = 16_384;
/// What a node said before it started again stands for so long, until it has said it again.
const INHERITED: Duration = Duration::from_secs(2);
/// A node that cannot be reached is forgotten after this.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Between two looks at who can be reached, for each node that is known: some times what a look takes.
const REST: Duration = Duration::from_micros(50);
/// Talkgroups that have the same remainder count as one, where it is about whether wishes have changed.
const REMAINDERS: u32 = 1024;

#[derive(Debug)]
struct Node {
    state: State,
    /// When it started again; what it said before is dropped a while after.
    again: Option<Time>,
    /// Since when it cannot be reached.
    lost: Option<Time>,
}

/// What is known of the network.
#[derive(Debug)]
pub(crate) struct Network {
    /// This node, and its host.
    own: u32,
    host: u32,
    nodes: FxHashMap<u32, Node>,
    /// Who wants a talkgroup.
    talkgroups: FxHashMap<u32, Vec<u32>>,
    /// Ranges of more than one talkgroup, and who wants them.
    wide: Vec<(u32, u32, u32)>,
    /// Where a radio was heard, and when.
    radios: FxHashMap<u32, Vec<(u32, u64)>>,
    topology: Topology,
    is_stale: bool,
    /// When it was made.
    refreshed: Time,
    /// Changes when any route may.
    version: u64,
    /// The version at which those of calls to all talkgroups may have changed last, and to one, by its remainder.
    all_changed: u64,
    one_changed: Vec<u64>,
    /// Of all that is known of those who can be reached.
    digest: u64,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    /// Something new, said after this version.
    New(u32),
    /// Nothing new.
    Old,
    /// What comes before it is missing: this is what is known.
    Gap(Known),
}

impl Network {
    pub(crate) fn new(own: u32, host: u32, start: u64) -> Self {
        let mut network = Self {
            own,
            host,
            nodes: FxHashMap::default(),
            talkgroups: FxHashMap::default(),
            wide: Vec::new(),
            radios: FxHashMap::default(),
            topology: Topology::default(),
            is_stale: true,
            refreshed: Time::default(),
            version: 0,
            all_changed: 0,
            one_changed: vec![0; REMAINDERS as usize],
            digest: 0,
        };
        network.nodes.insert(own, Node { state: State::new(start), again: None, lost: None });
        network.refresh_now(Time::default());
        network
    }

    /// This node says something new of itself. Returns the version before it; `None` where it is not new.
    pub(crate) fn say(&mut self, fact: Fact) -> Option<u32> {
        let own = self.own;
        let state = &mut self.nodes.get_mut(&own)?.state;
        let before = state.known(own);
        let change = state.say(fact)?;
        self.count_anew(own, Some(before));
        self.note(own, fact, change);
        Some(before.version)
    }

    /// What this node says now of what `fact` is about.
    pub(crate) fn said(&self, fact: &Fact) -> Option<Fact> {
        self.nodes.get(&self.own)?.state.get(fact)
    }

    /// This node begins anew, and says all again.
    pub(crate) fn begin_again(&mut self, start: u64) {
        let own = self.own;
        let Some(node) = self.nodes.get_mut(&own) else { return };
        let before = node.state.known(own);
        let facts: Vec<Fact> = node.state.facts().collect();
        node.state = State::new(start);
        for fact in facts {
            node.state.say(fact);
        }
        self.count_anew(own, Some(before));
    }

    /// Something is known of a node before it has said it itself.
    pub(crate) fn assume(&mut self, node: u32, start: u64, fact: Fact) {
        if self.nodes.len() >= MAX_NODES {
            return;
        }
        self.add(node, start);
        let Some(known) = self.nodes.get_mut(&node) else { return };
        if known.state.get(&fact).is_none()
            && let Some(change) = known.state.learn((0, fact))
        {
            self.note(node, fact, change);
        }
    }

    /// Takes in what a node has said.
    pub(crate) fn learn(
        &mut self,
        now: Time,
        from: Known,
        to: u32,
        facts: impl Iterator<Item = Versioned>,
    ) -> Learned {
        if from.node == self.own {
            return Learned::Old;
        }
        if !self.nodes.contains_key(&from.node) {
            if self.nodes.len() >= MAX_NODES {
                return Learned::Old;
            }
            self.add(from.node, from.start);
        }
        let Some(node) = self.nodes.get_mut(&from.node) else { return Learned::Old };
        if from.start > node.state.start {
            let before = node.state.known(from.node);
            node.state.begin_again(from.start);
            node.again = Some(now);
            self.count_anew(from.node, Some(before));
        }
        let Some(Node { state, .. }) = self.nodes.get(&from.node) else { return Learned::Old };
        if from.start < state.start || to <= state.version {
            return Learned::Old;
        }
        if from.version > state.version {
            return Learned::Gap(state.known(from.node));
        }
        let known = state.known(from.node);
        let before = known.version;
        for fact in facts.filter(|&(version, _)| version > before && version <= to) {
            let Some(node) = self.nodes.get_mut(&from.node) else { break };
            if let Some(change) = node.state.learn(fact) {
                self.note(from.node, fact.1, change);
            }
        }
        if let Some(node) = self.nodes.get_mut(&from.node) {
            node.state.version = to;
        }
        self.count_anew(from.node, Some(known));
        Learned::New(before)
    }

    fn add(&mut self, node: u32, start: u64) {
        if let Entry::Vacant(place) = self.nodes.entry(node) {
            place.insert(Node { state: State::new(start), again: None, lost: None });
            self.count_anew(node, None);
        }
    }

    /// What is known of a node is not what it was `before`: so is the digest.
    fn count_anew(&mut self, node: u32, before: Option<Known>) {
        if let Some(Node { state, .. }) = self.nodes.get(&node).filter(|_| self.reaches(node)) {
            let before = before.map_or(0, |known| mix(&known));
            self.digest = self.digest.wrapping_sub(before).wrapping_add(mix(&state.known(node)));
        }
    }

    /// Keeps what is asked for often true to the facts.
    fn note(&mut self, node: u32, fact: Fact, Change { before, forgotten }: Change) {
        if before == Some(fact) {
            return;
        }
        for gone in before.into_iter().chain(forgotten) {
            self.unnote(node, gone);
        }
        match fact {
            Fact::About { .. } | Fact::Link { .. } => self.is_stale = true,
            Fact::Range { first, last, is_wanted: true } if first == last => {
                self.talkgroups.entry(first).or_default().push(node);
                self.change_ways_to(first);
            }
            Fact::Range { first, last, is_wanted: true } => {
                self.wide.push((first, last, node));
                self.change_ways();
            }
            Fact::Range { .. } => {}
            Fact::Heard { radio, at_ms } => self.radios.entry(radio).or_default().push((node, at_ms)),
        }
    }

    fn unnote(&mut self, node: u32, fact: Fact) {
        match fact {
            Fact::About { .. } | Fact::Link { .. } => self.is_stale = true,
            Fact::Range { first, last, is_wanted: true } if first == last => {
                remove(&mut self.talkgroups, first, |&other| other != node);
                self.change_ways_to(first);
            }
            Fact::Range { first, last, is_wanted: true } => {
                self.wide.retain(|range| *range != (first, last, node));
                self.change_ways();
            }
            Fact::Range { .. } => {}
            Fact::Heard { radio, .. } => remove(&mut self.radios, radio, |&(other, _)| other != node),
        }
    }

    /// Does what is due: what a node said before it started again goes, and who cannot be reached for long.
    pub(crate) fn tidy(&mut self, now: Time) {
        let mut gone: Vec<(u32, Fact)> = Vec::new();
        self.nodes.retain(|&number, node| {
            if node.again.is_some_and(|at| now.since(at) >= INHERITED) {
                node.again = None;
                gone.extend(node.state.drop_old().into_iter().map(|fact| (number, fact)));
            }
            let is_kept = node.lost.is_none_or(|at| now.since(at) < FORGOTTEN);
            if !is_kept {
                gone.extend(node.state.facts().map(|fact| (number, fact)));
            }
            is_kept
        });
        gone.into_iter().for_each(|(node, fact)| self.unnote(node, fact));
    }

    /// When it is to be found out who can be reached; `None` where that cannot have changed.
    pub(crate) fn refresh_due(&self) -> Option<Time> {
        let rest = REST * u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.is_stale.then_some(self.refreshed + rest)
    }

    /// Finds out anew who can be reached, where that may have changed: the more nodes there are, the more changes are looked at
    /// together. Returns whether it was looked at.
    pub(crate) fn refresh(&mut self, now: Time) -> bool {
        let is_due = self.refresh_due().is_some_and(|at| at <= now);
        if is_due {
            self.refresh_now(now);
        }
        is_due
    }

    fn refresh_now(&mut self, now: Time) {
        (self.is_stale, self.refreshed) = (false, now);
        let nodes = &self.nodes;
        let own = self.own;
        let hears = |node: u32, other: u32| nodes.get(&node).is_some_and(|node| node.state.hears(other));
        let neighbours = |node: u32| {
            let links = nodes.get(&node).into_iter().flat_map(|node| node.state.links());
            // Who is heard here is there; of others both have to say it.
            links.filter(move |&other| match own {
                _ if node == own => true,
                _ if other == own => hears(own, node),
                _ => hears(other, node),
            })
        };
        let host = |node: u32| if node == own { Some(self.host) } else { self.host_of(node) };
        self.topology = Topology::build(own, neighbours, host);
        for (&number, node) in &mut self.nodes {
            node.lost =
                if self.topology.reaches(number) { None } else { Some(*node.lost.get_or_insert(now)) };
        }
        self.digest = self.digest_afresh();
        self.change_ways();
    }

    fn digest_afresh(&self) -> u64 {
        self.nodes().fold(0, |sum, (node, state)| sum.wrapping_add(mix(&state.known(node))))
    }

    /// Any call may have to go other ways now.
    pub(crate) fn change_ways(&mut self) {
        self.version += 1;
        self.all_changed = self.version;
    }

    /// Calls to a talkgroup may have to.
    fn change_ways_to(&mut self, talkgroup: u32) {
        self.version += 1;
        self.one_changed[(talkgroup % REMAINDERS) as usize] = self.version;
    }

    /// Where this is the same as before, so is who can be reached, and how.
    pub(crate) fn version_of_ways(&self) -> u64 {
        self.all_changed
    }

    /// Where this is the same as before, so are the routes of calls to a talkgroup; with `None`, of any others.
    pub(crate) fn version_of(&self, talkgroup: Option<u32>) -> u64 {
        let of_one = |talkgroup: u32| self.one_changed[(talkgroup % REMAINDERS) as usize];
        talkgroup.map_or(self.version, |talkgroup| of_one(talkgroup).max(self.all_changed))
    }

    /// The host of a node, as far as that has been said.
    pub(crate) fn host_of(&self, node: u32) -> Option<u32> {
        if node == self.own {
            return Some(self.host);
        }
        self.nodes.get(&node)?.state.about().map(|(host, ..)| host)
    }

    pub(crate) fn topology(&mut self) -> &mut Topology {
        &mut self.topology
    }

    pub(crate) fn reaches(&self, node: u32) -> bool {
        self.topology.reaches(node)
    }

    /// The nodes of a host that can be reached, with their ports.
    pub(crate) fn nodes_of(&self, host: u32) -> impl Iterator<Item = (u32, u16)> {
        let port = |node: u32| self.state(node)?.about().map(|(_, port, ..)| port);
        self.topology.nodes_of(host).iter().filter_map(move |&node| Some((node, port(node)?)))
    }

    /// The nodes that can be reached, with what is known of them.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (u32, &State)> {
        let is_reached = |(&number, node): (&u32, _)| self.reaches(number).then_some((number, node));
        self.nodes.iter().filter_map(is_reached).map(|(number, node): (u32, &Node)| (number, &node.state))
    }

    pub(crate) fn state(&self, node: u32) -> Option<&State> {
        self.nodes.get(&node).map(|node| &node.state)
    }

    /// One number for all that is known of those who can be reached: where two nodes have the same, they know the same.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// Who wants calls to a talkgroup.
    pub(crate) fn wanting(&self, talkgroup: u32) -> impl Iterator<Item = u32> {
        let one = self.talkgroups.get(&talkgroup).into_iter().flatten().copied();
        let wide = self.wide.iter().filter(move |(first, last, _)| (*first..=*last).contains(&talkgroup));
        one.chain(wide.map(|&(_, _, node)| node)).filter(|&node| self.reaches(node))
    }

    /// The newest place where a radio was heard, and when: this node's and others'.
    pub(crate) fn heard(&self, radio: u32) -> Option<(u32, u64)> {
        let all = self.radios.get(&radio)?.iter().copied();
        all.filter(|&(node, _)| self.reaches(node)).max_by_key(|&(node, at_ms)| (at_ms, node))
    }

    /// How many facts are kept, of all nodes.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.nodes.values().map(|node| node.state.facts().count()).sum()
    }
}

fn remove<T>(map: &mut FxHashMap<u32, Vec<T>>, key: u32, keep: impl FnMut(&T) -> bool) {
    if let Some(list) = map.get_mut(&key) {
        list.retain(keep);
        if list.is_empty() {
            map.remove(&key);
        }
    }
}

pub(crate) fn mix(known: &Known) -> u64 {
    let words = [u64::from(known.node), known.start, u64::from(known.version)];
    words.into_iter().fold(0x9E37_79B9_7F4A_7C15, |hash, word| {
        let hash = (hash ^ word).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        hash ^ hash >> 29
    })
}

#[cfg(test)]
mod tests;
