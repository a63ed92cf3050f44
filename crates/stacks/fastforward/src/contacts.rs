//! Who a node speaks with: how it finds the nodes of its own and of other hosts, how two nodes prove to each other that they are there
//! now, and how they greet from then on.
//!
//! Nothing of a node counts before it has sent back a challenge that only it and the challenger know: what was recorded earlier, before
//! either of them started, is worth nothing. What comes before that waits, for one way there and back.

use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};
use stack::Time;
use transport::Address;

use crate::association::{Association, Challenges};
use crate::io::{Notice, Output};
use crate::node::FastForward;
use crate::seal::NodeKey;
use crate::window::Window;
use crate::wire::{Fact, Frame, Frames, HEADER_LEN, HELLO_LEN, Header, Hello, SEAL_LEN, VERSION};

/// Between two greetings of nodes that know each other.
pub(crate) const GREETING: Duration = Duration::from_millis(500);
/// Between the first attempts to reach a node that does not answer, and the most it gets.
const ATTEMPTS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// With so many nodes of another host a node speaks: the second is for when the first one dies.
const NODES_OF_A_HOST: usize = 2;
/// Whoever has not proved to be there is answered once in this time.
const ANSWERS: Duration = Duration::from_millis(200);
/// How many can be about to prove it, and what of theirs can wait.
const MAX_STRANGERS: usize = 256;
const MAX_HELD: usize = 64;
/// A stranger who proves nothing is forgotten after this.
const PROOF: Duration = Duration::from_secs(3);
/// Set in the number of a datagram that is for whoever is there.
const FOR_ANYBODY: u64 = 1 << 39;

/// Whether a datagram is for whoever is there.
pub(crate) fn is_for_anybody(header: &Header) -> bool {
    header.number & FOR_ANYBODY != 0
}

/// Where a node is looked for.
#[derive(Debug)]
pub(crate) struct Contact {
    address: Address,
    /// Who should be there, where that is known.
    node: Option<u32>,
    /// It is configured: another host.
    is_configured: bool,
    /// The host that was found there.
    host: Option<u32>,
    challenges: Challenges,
    due: Time,
    wait: Duration,
}

impl Contact {
    pub(crate) fn of_node(address: Address, node: u32) -> Self {
        Self { node: Some(node), is_configured: false, ..Self::configured(address) }
    }

    #[cfg(test)]
    pub(crate) fn again(&self) -> Self {
        Self { node: self.node, is_configured: self.is_configured, ..Self::configured(self.address) }
    }

    #[cfg(test)]
    pub(crate) fn found(&mut self, host: u32) {
        self.host = Some(host);
    }

    fn configured(address: Address) -> Self {
        Self {
            address,
            node: None,
            is_configured: true,
            host: None,
            challenges: Challenges::default(),
            due: Time::default(),
            wait: ATTEMPTS.0,
        }
    }
}

/// Somebody with the key of the network who has not proved yet to be there now.
#[derive(Debug)]
pub(crate) struct Stranger {
    node: u32,
    start: u64,
    key: NodeKey,
    window: Window,
    challenges: Challenges,
    since: Time,
    answered: Option<Time>,
    /// What it has sent, with the numbers.
    held: Vec<(u64, Box<[u8]>)>,
}

impl FastForward {
    /// An address is configured, or not any more.
    pub(crate) fn host(&mut self, now: Time, address: Address, is_wanted: bool) {
        let known =
            self.contacts.iter().position(|contact| contact.is_configured && contact.address == address);
        match (known, is_wanted) {
            (None, true) => {
                self.contacts.push(Contact::configured(address));
                self.look_for_nodes(now);
            }
            (Some(place), false) => {
                let host = self.contacts.swap_remove(place).host;
                let is_still =
                    self.contacts.iter().any(|contact| contact.is_configured && contact.host == host);
                if let Some(host) = host.filter(|_| !is_still) {
                    self.contacts.retain(|contact| contact.is_configured || contact.host != Some(host));
                    self.all_of_host(host).into_iter().for_each(|place| {
                        if let Some(association) = self.association_mut(place) {
                            association.keeps[0] = false;
                        }
                    });
                }
            }
            _ => {}
        }
    }

    fn all_of_host(&self, host: u32) -> Vec<u16> {
        self.all().filter(|(_, known)| known.host == host).map(|(place, _)| place).collect()
    }

    /// A datagram of a node that is not known, or for whoever is there.
    #[cold]
    pub(crate) fn meet(&mut self, now: Time, from: Address, header: Header, bytes: &mut [u8]) {
        let Header { node, start, .. } = header;
        let known = self.places.get(&node).copied().and_then(|place| self.association(place));
        let is_old = known.is_some_and(|known| known.start > start && known.may_be_used(now));
        if is_old || node == self.settings.node && start == self.start {
            self.counters.replayed += 1;
            return;
        }
        let for_anybody = is_for_anybody(&header);
        if !for_anybody && self.let_go.iter().any(|&(other, at, _)| (other, at) == (node, start)) {
            self.counters.unproven += 1;
            return;
        }
        let receiver = if for_anybody { 0 } else { self.settings.node };
        let stranger = self.strangers.iter().position(|other| (other.node, other.start) == (node, start));
        let key = match (stranger, known) {
            (Some(place), _) => Some(self.strangers[place].key.clone()),
            (None, Some(known)) if known.start == start => Some(known.key().clone()),
            _ => None,
        };
        // Of a key that is known the tag is of no matter.
        let keys = key.into_iter().map(Ok).chain(self.settings.keys.iter().map(Err));
        let mut opened = None;
        for key in keys {
            let key = match key {
                Ok(key) => key,
                Err(key) if key.tag() == header.key && opened.is_none() => key.of_node(node, start),
                Err(_) => continue,
            };
            if key.open(&header, receiver, bytes).is_some() {
                opened = Some(key);
                break;
            }
        }
        let Some(key) = opened else {
            self.counters.unauthenticated += 1;
            return;
        };
        let content = &bytes[HEADER_LEN..bytes.len() - SEAL_LEN];
        let hello = Frames::of(content).flatten().find_map(|frame| match frame {
            Frame::Hello(hello) => Some(hello),
            _ => None,
        });
        if node == self.settings.node || self.is_one_of_ours_elsewhere(node, hello.as_ref()) {
            self.counters.malformed += 1;
            self.outputs.push_back(Output::Notice(Notice::SameId { node, address: from }));
            return;
        }
        let place = match stranger {
            Some(place) => place,
            None => self.add_stranger(now, node, start, key),
        };
        if !for_anybody && !self.strangers[place].window.take(header.number) {
            self.counters.replayed += 1;
            return;
        }
        let echo = hello.map_or(0, |hello| hello.echo);
        let is_there = self.strangers[place].challenges.sent(echo).is_some()
            || self.contacts.iter().any(|contact| contact.challenges.sent(echo).is_some())
            || self
                .places
                .get(&node)
                .and_then(|&place| self.association(place))
                .is_some_and(|known| known.start == start && known.challenges.sent(echo).is_some());
        match hello {
            Some(hello) if is_there => {
                let stranger = self.strangers.swap_remove(place);
                self.confirm(now, from, header, stranger, &hello);
                if !for_anybody && let Some(&place) = self.places.get(&node) {
                    self.hear(now, place, content);
                }
            }
            hello => {
                if !for_anybody {
                    self.hold(place, header.number, content);
                }
                self.answer(now, from, place, hello.as_ref());
            }
        }
    }

    fn is_one_of_ours_elsewhere(&self, node: u32, hello: Option<&Hello>) -> bool {
        let is_ours = self.settings.nodes.iter().any(|&(ours, _)| ours == node);
        hello.is_some_and(|hello| is_ours != (hello.host == self.settings.host))
    }

    fn add_stranger(&mut self, now: Time, node: u32, start: u64, key: NodeKey) -> usize {
        self.forget_strangers(now);
        self.strangers.retain(|other| other.node != node);
        if self.strangers.len() >= MAX_STRANGERS {
            let oldest = self.strangers.remove(0);
            self.counters.unproven += oldest.held.len() as u64;
        }
        self.strangers.push(Stranger {
            node,
            start,
            key,
            window: Window::default(),
            challenges: Challenges::default(),
            since: now,
            answered: None,
            held: Vec::new(),
        });
        self.strangers.len() - 1
    }

    /// Who has not proved to be there in time has not been.
    pub(crate) fn forget_strangers(&mut self, now: Time) {
        let unproven = &mut self.counters.unproven;
        self.strangers.retain(|stranger| {
            let may_prove = now.since(stranger.since) < PROOF;
            *unproven += if may_prove { 0 } else { stranger.held.len() as u64 };
            may_prove
        });
    }

    /// What cannot be trusted yet waits.
    fn hold(&mut self, stranger: usize, number: u64, content: &[u8]) {
        let held: usize = self.strangers.iter().map(|stranger| stranger.held.len()).sum();
        if held >= MAX_HELD * 4 || self.strangers[stranger].held.len() >= MAX_HELD {
            self.counters.unproven += 1;
            return;
        }
        self.strangers[stranger].held.push((number, content.into()));
    }

    /// Asks a stranger to prove that it is there, and proves it in turn. Never more bytes than came.
    fn answer(&mut self, now: Time, to: Address, stranger: usize, hello: Option<&Hello>) {
        let stranger = &mut self.strangers[stranger];
        if stranger.answered.is_some_and(|at| now.since(at) < ANSWERS) {
            return;
        }
        stranger.answered = Some(now);
        let challenge = self.random.draw();
        stranger.challenges.add(challenge, now);
        let echo = hello.map_or(0, |hello| hello.challenge);
        self.call_out(now, to, challenge, echo);
    }

    /// Sends a greeting to whoever is there.
    fn call_out(&mut self, now: Time, to: Address, challenge: u64, echo: u64) {
        let mut hello = self.hello(now);
        (hello.challenge, hello.echo) = (challenge, echo);
        let mut out = [0; HEADER_LEN + HELLO_LEN + SEAL_LEN];
        let len = hello.encode(&mut out[HEADER_LEN..]);
        let key = self.settings.keys.first().map_or(0, |key| key.tag());
        let number = FOR_ANYBODY | self.contact_number;
        self.contact_number += 1;
        let header = Header { key, node: self.settings.node, start: self.start, number };
        if let Some(len) = self.key.seal(&header, 0, &mut out, len) {
            self.ready.push_back((to, out[..len].into()));
        }
    }

    fn hello(&mut self, now: Time) -> Hello {
        Hello {
            clock_us: now.0,
            host: self.settings.host,
            version: VERSION,
            transports: transport::Transport::Udp.bit(),
            digest: self.network.digest(),
            ..Hello::default()
        }
    }

    /// A node has proved to be there now: from here on it is listened to.
    fn confirm(&mut self, now: Time, from: Address, header: Header, stranger: Stranger, hello: &Hello) {
        let Stranger { node, start, key, mut held, .. } = stranger;
        for contact in &mut self.contacts {
            if contact.address == from || contact.challenges.sent(hello.echo).is_some() {
                contact.host = Some(hello.host);
                contact.wait = ATTEMPTS.0;
            }
        }
        let place = match self.places.get(&node) {
            Some(&place) => place,
            None => {
                let free =
                    self.associations.iter().position(Option::is_none).unwrap_or(self.associations.len());
                let Ok(place) = u16::try_from(free) else { return };
                if free == self.associations.len() {
                    self.associations.push(None);
                }
                place
            }
        };
        let slot = &mut self.associations[usize::from(place)];
        match slot {
            // The same node at another address.
            Some(known) if known.start == start => {
                known.address = from;
                known.hello_due = now;
            }
            slot => {
                let next = slot.as_ref().map_or(0, |known| known.next_number).max(self.number_floor);
                let mut known = Association::new(now, (node, hello.host), from, (start, key), next);
                known.is_sibling = hello.host == self.settings.host;
                known.keeps = [false, hello.keeps];
                if !is_for_anybody(&header) {
                    known.begin_at(now, header.number);
                    known.take(now, header.number, 0);
                }
                known.greeted(now, hello);
                *slot = Some(known);
            }
        }
        self.places.insert(node, place);
        let about = Fact::About {
            host: hello.host,
            port: from.socket.port(),
            transports: hello.transports,
            version: hello.version,
        };
        self.network.assume(node, start, about);
        self.network.change_ways();
        self.say(now, Fact::Link { node, is_up: true });
        self.refresh(now);
        // In the order in which they were sent.
        held.sort_by_key(|&(number, _)| number);
        for (number, content) in held {
            if self.association_mut(place).is_some_and(|known| known.take(now, number, content.len())) {
                self.hear(now, place, &content);
            }
        }
        self.send_early(now);
        self.greet_one(now, place);
        if let Some(known) = self.association_mut(place) {
            known.hurry();
        }
    }

    /// An association greets.
    pub(crate) fn greeted(&mut self, now: Time, place: u16, hello: &Hello) {
        let digest = self.network.digest();
        let Some(known) = self.association_mut(place) else { return };
        known.greeted(now, hello);
        if hello.digest != digest {
            self.summarize(now, place);
        }
    }

    /// Greets all whose turn it is.
    pub(crate) fn greet(&mut self, now: Time) {
        let due: Vec<u16> =
            self.all().filter(|(_, known)| known.hello_due <= now).map(|(place, _)| place).collect();
        due.into_iter().for_each(|place| self.greet_one(now, place));
    }

    fn greet_one(&mut self, now: Time, place: u16) {
        let mut hello = self.hello(now);
        let (challenge, spread) = (self.random.draw(), self.random.draw());
        let Some(known) = self.association_mut(place) else { return };
        known.fill_hello(now, challenge, &mut hello);
        // Not all at once.
        known.hello_due = now + GREETING.mul_f64(0.8 + (spread % 256) as f64 / 1280.0);
        let mut out = [0; HELLO_LEN];
        let len = hello.encode(&mut out);
        self.put(now, place, &out[..len]);
    }

    /// Looks for nodes that should be there and are not heard.
    pub(crate) fn look_for_nodes(&mut self, now: Time) {
        self.choose_nodes();
        let mut calls = Vec::new();
        let heard: FxHashSet<u32> = self.all().map(|(_, known)| known.host).collect();
        for place in 0..self.contacts.len() {
            let contact = &self.contacts[place];
            let is_heard = match (contact.node, contact.host) {
                (Some(node), _) => self.places.contains_key(&node),
                (None, Some(host)) => heard.contains(&host),
                (None, None) => false,
            };
            if is_heard || contact.due > now {
                continue;
            }
            let challenge = self.random.draw();
            let contact = &mut self.contacts[place];
            contact.challenges.add(challenge, now);
            contact.due = now + contact.wait;
            contact.wait = (contact.wait * 2).min(ATTEMPTS.1);
            calls.push((contact.address, challenge));
        }
        calls.into_iter().for_each(|(address, challenge)| self.call_out(now, address, challenge, 0));
    }

    /// Of each host that is configured, nodes are chosen to go on with, so that each node of either host has two of the other. Which
    /// ones differs from node to node, and is the same for both. The other host need not have this one configured.
    fn choose_nodes(&mut self) {
        let configured =
            self.contacts.iter().filter(|contact| contact.is_configured).filter_map(|contact| contact.host);
        let mut hosts: Vec<u32> = configured.filter(|&host| host != self.settings.host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let mut wanted: BTreeMap<u32, (u32, Address)> = BTreeMap::new();
        let mut addresses: FxHashMap<u32, Address> = FxHashMap::default();
        for (_, known) in self.all() {
            addresses.entry(known.host).or_insert(known.address);
        }
        let own = self.settings.node;
        let ours: Vec<u32> = self.network.nodes_of(self.settings.host).map(|(node, _)| node).collect();
        let mut hosts_wanted: FxHashSet<u32> = FxHashSet::default();
        for &host in &hosts {
            let Some(address) = addresses.get(&host) else { continue };
            let theirs: Vec<(u32, u16)> = self.network.nodes_of(host).collect();
            // How many of the same side are nearer to that one.
            let nearer = |node: u32, side: &mut dyn Iterator<Item = u32>, than: u32| {
                side.filter(|&other| affinity(other, node) < affinity(than, node)).count()
            };
            for &(node, port) in &theirs {
                if nearer(node, &mut ours.iter().copied(), own) < NODES_OF_A_HOST
                    || nearer(own, &mut theirs.iter().map(|&(other, _)| other), node) < NODES_OF_A_HOST
                {
                    wanted.insert(node, (host, address.at_port(port)));
                    hosts_wanted.insert(host);
                }
            }
        }
        for known in self.associations.iter_mut().flatten().filter(|known| !known.is_sibling) {
            known.keeps[0] = wanted.contains_key(&known.node)
                || hosts.binary_search(&known.host).is_ok() && !hosts_wanted.contains(&known.host);
        }
        let ours = |node: u32| self.settings.nodes.iter().any(|&(ours, _)| ours == node);
        self.contacts.retain(|contact| match contact.node {
            Some(node) => ours(node) || wanted.contains_key(&node),
            None => true,
        });
        for contact in &self.contacts {
            if let Some(node) = contact.node {
                wanted.remove(&node);
            }
        }
        for (node, (host, address)) in wanted {
            self.contacts.push(Contact { host: Some(host), ..Contact::of_node(address, node) });
        }
    }
}

/// The smaller, the sooner two nodes speak with each other: the same for both.
pub(crate) fn affinity(one: u32, other: u32) -> u64 {
    let mixed =
        (u64::from(one.max(other)) << 32 | u64::from(one.min(other))).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}
