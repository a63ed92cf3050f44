//! Who a node speaks with: how it finds the nodes of its own and of other hosts, how two nodes prove to each other that they are there
//! now, and how they greet from then on.
//!
//! Nothing of a node counts before it has sent back a challenge that only it and the challenger know: what was recorded earlier, before
//! either of them started, is worth nothing. What comes before that waits, for one way there and back.

use std::time::Duration;

use stack::Time;
use transport::Address;

use crate::association::{Association, Challenges, PROOF};
use crate::io::SameId;
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
/// What is known changes all the time in a large network: a summary is sent after so long for all that.
const UNSETTLED: Duration = Duration::from_secs(1);
/// Whoever has not proved to be there is answered once in this time.
const ANSWERS: Duration = Duration::from_millis(200);
/// How many can be about to prove it, and what of theirs can wait.
const MAX_STRANGERS: usize = 256;
const MAX_HELD: usize = 64;
/// Answers to those who have not proved to be there, in a tick.
pub(crate) const MAX_ANSWERS: usize = 64;
/// Nobody has started so long after this node: ten years, in milliseconds.
const PLAUSIBLE_MS: u64 = 10 * 366 * 86_400_000;
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
    /// Which one, where that is known.
    expected: Option<u32>,
    /// The host that was found there.
    host: Option<u32>,
    challenges: Challenges,
    due: Time,
    wait: Duration,
}

impl Contact {
    pub(crate) fn of_node(address: Address, node: u32) -> Self {
        Self { node: Some(node), is_configured: false, ..Self::configured(address, None) }
    }

    /// The node that is called there: a host has the ID of its first one.
    pub(crate) fn who(&self) -> Option<u32> {
        self.node.or(self.expected)
    }

    fn its_host(&self) -> Option<u32> {
        self.expected.or(self.host)
    }

    pub(crate) fn is_of(&self, host: u32) -> bool {
        self.its_host() == Some(host)
    }

    /// It is called at once, as for the first time.
    pub(crate) fn begin_anew(&mut self) {
        (self.due, self.wait) = (Time::default(), ATTEMPTS.0);
        self.host = self.host.filter(|&host| self.its_host() == Some(host));
    }

    #[cfg(test)]
    pub(crate) fn again(&self) -> Self {
        let Self { address, node, is_configured, expected, .. } = *self;
        Self { node, is_configured, ..Self::configured(address, expected) }
    }

    /// Where it looks for another host, and which one was found there; `None` where it looks for a node.
    pub(crate) fn configured_for(&self) -> Option<(Address, Option<u32>)> {
        self.is_configured.then_some((self.address, self.host))
    }

    fn configured(address: Address, expected: Option<u32>) -> Self {
        Self {
            address,
            node: None,
            is_configured: true,
            expected,
            host: None,
            challenges: Challenges::default(),
            due: Time::default(),
            wait: ATTEMPTS.0,
        }
    }
}

/// Somebody with a key that is known who has not proved yet to be there now.
#[derive(Debug)]
pub(crate) struct Stranger {
    node: u32,
    start: u64,
    pub(crate) key: NodeKey,
    window: Window,
    /// One more than the newest number of its datagrams for whoever is there.
    called: u64,
    challenges: Challenges,
    /// Where they were sent.
    asked_at: Address,
    since: Time,
    answered: Option<Time>,
    /// What it has sent, with the numbers.
    held: Vec<(u64, Box<[u8]>)>,
}

impl FastForward {
    /// An address is configured, or not any more.
    pub(crate) fn host(&mut self, now: Time, address: Address, host: Option<u32>, is_wanted: bool) {
        let known =
            self.contacts.iter().position(|contact| contact.is_configured && contact.address == address);
        self.chosen_for = None;
        match (known, is_wanted) {
            (None, true) => {
                self.contacts.push(Contact::configured(address, host));
                self.look_for_nodes(now);
            }
            (Some(place), true) if self.contacts[place].expected != host => {
                let contact = &mut self.contacts[place];
                contact.expected = host;
                contact.begin_anew();
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

    pub(crate) fn all_of_host(&self, host: u32) -> Vec<u16> {
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
        if !self.is_plausible(start) {
            self.counters.malformed += 1;
            return;
        }
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
        let opened = {
            let others = self.keys().filter(|key| key.tag() == header.key);
            let mut keys = key.into_iter().chain(others.map(|key| key.of_node(node, start)));
            keys.find(|key| key.open(&header, receiver, bytes).is_some())
        };
        let Some(key) = opened else {
            self.counters.unauthenticated += 1;
            return;
        };
        let content = &bytes[HEADER_LEN..bytes.len() - SEAL_LEN];
        let hello = Frames::of(content).flatten().find_map(|frame| match frame {
            Frame::Hello(hello) => Some(hello),
            _ => None,
        });
        let says = hello.as_ref().map(|hello| hello.host);
        if !self.may_speak(node, says, known.map(|known| known.host), key.made_of()) {
            self.counters.unauthenticated += 1;
            return;
        }
        if node == self.settings.node || self.is_one_of_ours_elsewhere(node, hello.as_ref()) {
            self.counters.malformed += 1;
            let first = self
                .same_id
                .filter(|same| same.node == node && same.is_fresh(now))
                .map_or(now, |same| same.first);
            self.same_id = Some(SameId { node, address: from, first, last: now });
            return;
        }
        // The same node under another key is met anew.
        let place = match stranger {
            Some(place) if self.strangers[place].key.made_of() == key.made_of() => place,
            _ => self.add_stranger(now, (node, start), from, key),
        };
        let is_new = if for_anybody {
            self.take_call(place, header.number)
        } else {
            self.strangers[place].window.take(header.number)
        };
        if !is_new {
            self.counters.replayed += 1;
            return;
        }
        let echo = hello.map_or(0, |hello| hello.echo);
        let len = bytes.len();
        // Where the challenge was sent, there it was read.
        let proved_at = if self.strangers[place].challenges.redeem(echo, now) {
            Some(self.strangers[place].asked_at)
        } else {
            let Self { contacts, overrides, host_keys, .. } = self;
            contacts.iter_mut().find_map(|contact| {
                contact.challenges.redeem(echo, now).then(|| {
                    // Who has a key of its own is no other.
                    let has_key = |expected: &u32| host_keys.contains_key(expected);
                    if contact.expected.filter(has_key).is_none_or(|expected| says == Some(expected)) {
                        contact.host = says;
                        contact.wait = ATTEMPTS.0;
                    }
                    contact.who().and_then(|node| overrides.get(&node)).copied().unwrap_or(contact.address)
                })
            })
        };
        match (hello, proved_at) {
            (Some(hello), Some(address)) => {
                let stranger = self.strangers.swap_remove(place);
                self.confirm(now, address, header, stranger, &hello);
                if !for_anybody && let Some(&place) = self.places.get(&node) {
                    self.hear(now, place, content);
                }
            }
            (hello, _) => {
                if !for_anybody {
                    self.hold(place, header.number, content);
                }
                // Nobody is sent more than came from there.
                if len >= HEADER_LEN + HELLO_LEN + SEAL_LEN {
                    self.answer(now, from, place, hello.as_ref());
                }
            }
        }
    }

    /// Takes the number of a datagram for whoever is there, of a stranger who may be known as well. False where a newer one or the same
    /// has come.
    fn take_call(&mut self, stranger: usize, number: u64) -> bool {
        let Self { strangers, places, associations, .. } = self;
        let stranger = &mut strangers[stranger];
        let place = places.get(&stranger.node).copied().unwrap_or(u16::MAX);
        let known = associations.get_mut(usize::from(place)).and_then(Option::as_mut);
        let mut known = known.filter(|known| known.start == stranger.start);
        if number < stranger.called.max(known.as_ref().map_or(0, |known| known.called)) {
            return false;
        }
        stranger.called = number + 1;
        if let Some(known) = &mut known {
            known.called = number + 1;
        }
        true
    }

    /// What is known of a node comes from another address: if it has read there what it was asked, it is there.
    #[cold]
    pub(crate) fn follow_to(
        &mut self,
        now: Time,
        place: u16,
        from: Address,
        header: &Header,
        content: &[u8],
    ) {
        let (node, start) = (header.node, header.start);
        let hello = Frames::of(content).flatten().find_map(|frame| match frame {
            Frame::Hello(hello) => Some(hello),
            _ => None,
        });
        let Some(hello) = hello else { return };
        let stranger = self.strangers.iter().position(|other| (other.node, other.start) == (node, start));
        let Some(known) = self.association(place) else { return };
        let key = known.key().clone();
        let stranger = stranger.unwrap_or_else(|| self.add_stranger(now, (node, start), from, key));
        let it = &mut self.strangers[stranger];
        if it.asked_at == from && it.challenges.redeem(hello.echo, now) {
            self.strangers.swap_remove(stranger);
            if let Some(known) = self.association_mut(place) {
                known.address = from;
            }
        } else {
            self.answer(now, from, stranger, Some(&hello));
        }
    }

    fn is_one_of_ours_elsewhere(&self, node: u32, hello: Option<&Hello>) -> bool {
        let is_ours = self.settings.nodes.iter().any(|&(ours, _)| ours == node);
        hello.is_some_and(|hello| is_ours != (hello.host == self.settings.host))
    }

    /// Whether a node can have started then.
    pub(crate) fn is_plausible(&self, start: u64) -> bool {
        start < self.settings.start.saturating_add(PLAUSIBLE_MS)
    }

    fn add_stranger(&mut self, now: Time, (node, start): (u32, u64), from: Address, key: NodeKey) -> usize {
        self.forget_strangers(now);
        if self.strangers.len() >= MAX_STRANGERS {
            let oldest = self.strangers.remove(0);
            self.counters.unproven += oldest.held.len() as u64;
        }
        self.strangers.push(Stranger {
            node,
            start,
            key,
            window: Window::default(),
            called: 0,
            challenges: Challenges::default(),
            asked_at: from,
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
        if self.answers >= MAX_ANSWERS || stranger.answered.is_some_and(|at| now.since(at) < ANSWERS) {
            return;
        }
        self.answers += 1;
        stranger.answered = Some(now);
        let challenge = self.random.draw();
        if stranger.asked_at != to {
            stranger.challenges = Challenges::default();
        }
        stranger.asked_at = to;
        stranger.challenges.add(challenge, now);
        let (node, spoken) = (stranger.node, stranger.key.made_of().clone());
        let echo = hello.map_or(0, |hello| hello.challenge);
        let key = self.key_in_turn(hello.map(|hello| hello.host), &spoken).clone();
        self.call_out(now, self.reached_at(Some(node), to), (challenge, echo), Some(node), &key);
    }

    /// Sends a greeting to whoever is there.
    fn call_out(
        &mut self,
        now: Time,
        to: Address,
        (challenge, echo): (u64, u64),
        node: Option<u32>,
        key: &NodeKey,
    ) {
        let mut hello = self.hello(now);
        (hello.challenge, hello.echo) = (challenge, echo);
        let known = node.and_then(|node| self.association(*self.places.get(&node)?));
        hello.first = known.map_or(self.number_floor, |known| known.marks[0]);
        let mut out = [0; HEADER_LEN + HELLO_LEN + SEAL_LEN];
        let len = hello.encode(&mut out[HEADER_LEN..]);
        let number = FOR_ANYBODY | self.contact_number;
        self.contact_number += 1;
        let tag = key.made_of().tag();
        let header = Header { key: tag, node: self.settings.node, start: self.start, number };
        if let Some(len) = key.seal(&header, 0, &mut out, len) {
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
        let Stranger { node, start, key, called, mut held, .. } = stranger;
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
            Some(known) if known.start == start && known.key().made_of() == key.made_of() => {
                known.address = from;
                known.greeted(now, hello);
            }
            slot => {
                let next = slot.as_ref().map_or(0, |known| known.next_number).max(self.number_floor);
                let marks = slot.as_ref().map(|known| known.marks);
                let mut known = Association::new(now, (node, hello.host), from, (start, key), next);
                known.marks = marks.unwrap_or(known.marks);
                known.called = called;
                known.is_sibling = hello.host == self.settings.host;
                known.keeps = [false, hello.keeps];
                known.begin_at(hello.first);
                if !is_for_anybody(&header) {
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
        self.network.refresh(now);
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
        // Where something new was heard meanwhile, it may be under way there.
        let is_settled = known.digest.replace(digest).is_none_or(|before| before == digest);
        if hello.digest != digest && (is_settled || now.since(known.summary_sent) >= UNSETTLED) {
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
        for place in 0..self.contacts.len() {
            let contact = &self.contacts[place];
            let is_heard = match (contact.node, contact.host) {
                (Some(node), _) => self.places.contains_key(&node),
                (None, Some(host)) => self.all().any(|(_, known)| known.host == host),
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
            calls.push((contact.who(), contact.address, contact.its_host(), challenge));
        }
        for (node, address, host, challenge) in calls {
            let key = self.key_for(host).clone();
            self.call_out(now, self.reached_at(node, address), (challenge, 0), None, &key);
        }
    }

    /// Of each host that is configured, nodes are chosen to go on with, so that each node of either host has two of the other. Which
    /// ones differs from node to node, and is the same for both. The other host need not have this one configured.
    fn choose_nodes(&mut self) {
        let seen = (self.network.version_of_ways(), self.contacts.len());
        if self.chosen_for.replace(seen) == Some(seen) {
            return;
        }
        let configured =
            self.contacts.iter().filter(|contact| contact.is_configured).filter_map(|contact| contact.host);
        let mut hosts: Vec<u32> = configured.filter(|&host| host != self.settings.host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let own = self.settings.node;
        let ours: Vec<u32> = self.network.nodes_of(self.settings.host).map(|(node, _)| node).collect();
        let mut wanted = Vec::new();
        for &host in &hosts {
            let Some(address) =
                self.all().find(|(_, known)| known.host == host).map(|(_, known)| known.address)
            else {
                continue;
            };
            let theirs: Vec<(u32, u16)> = self.network.nodes_of(host).collect();
            // How many of the same side are nearer to that one.
            let nearer = |node: u32, side: &mut dyn Iterator<Item = u32>, than: u32| {
                side.filter(|&other| affinity(other, node) < affinity(than, node)).count()
            };
            for &(node, port) in &theirs {
                if nearer(node, &mut ours.iter().copied(), own) < NODES_OF_A_HOST
                    || nearer(own, &mut theirs.iter().map(|&(other, _)| other), node) < NODES_OF_A_HOST
                {
                    wanted.push((node, host, address.at_port(port)));
                }
            }
        }
        for known in self.associations.iter_mut().flatten().filter(|known| !known.is_sibling) {
            known.keeps[0] = wanted.iter().any(|&(node, ..)| node == known.node)
                || hosts.contains(&known.host) && !wanted.iter().any(|&(_, host, _)| host == known.host);
        }
        let ours = |node: u32| self.settings.nodes.iter().any(|&(ours, _)| ours == node);
        self.contacts.retain(|contact| match contact.node {
            Some(node) => ours(node) || wanted.iter().any(|&(other, ..)| other == node),
            None => true,
        });
        for (node, host, address) in wanted {
            if !self.contacts.iter().any(|contact| contact.node == Some(node)) {
                self.contacts.push(Contact { host: Some(host), ..Contact::of_node(address, node) });
            }
        }
    }
}

/// The smaller, the sooner two nodes speak with each other: the same for both.
pub(crate) fn affinity(one: u32, other: u32) -> u64 {
    let mixed =
        (u64::from(one.max(other)) << 32 | u64::from(one.min(other))).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}
