//! Those who speak and have not proved yet to be there now, and how they prove it.
//!
//! Nothing of a node counts before it has sent back a challenge that only it and the challenger know: what was recorded earlier, before
//! either of them started, is worth nothing. What comes before that waits, for one way there and back.

use std::time::Duration;

use stack::Time;
use transport::Address;

use crate::association::{Association, Challenges, PROOF};
use crate::greetings::is_for_anybody;
use crate::node::FastForward;
use crate::seal::NodeKey;
use crate::window::Window;
use crate::wire::{Fact, Frame, Frames, HEADER_LEN, HELLO_LEN, Header, Hello, SEAL_LEN};

/// Whoever has not proved to be there is answered once in this time.
const ANSWERS: Duration = Duration::from_millis(200);
/// How many can be about to prove it, and what of theirs can wait.
const MAX_STRANGERS: usize = 256;
const MAX_HELD: usize = 64;
/// Answers to those who have not proved to be there, in a tick.
pub(crate) const MAX_ANSWERS: usize = 64;
/// Nobody has started so long after this node: ten years, in milliseconds.
const PLAUSIBLE_MS: u64 = 10 * 366 * 86_400_000;

/// Whoever is not answered calls each 5 s at least: who has not for so long has an ID of ours no longer.
const SAME_UNTIL: Duration = Duration::from_secs(15);
/// Who has one is told of after it has called for so long: what a worker sent before it died may come back to the next one, all at once.
const SAME_FOR: Duration = Duration::from_secs(2);

/// A node that is not of this host and has an ID of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SameId {
    pub(crate) node: u32,
    pub(crate) address: Address,
    /// Its start and the number of its newest datagram: recordings have no newer one.
    said: (u64, u64),
    first: Time,
    last: Time,
}

impl SameId {
    fn is_fresh(&self, now: Time) -> bool {
        now.since(self.last) < SAME_UNTIL
    }

    pub(crate) fn is_to_be_told(&self, now: Time) -> bool {
        self.is_fresh(now) && self.last.since(self.first) >= SAME_FOR
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
        let hello = hello_of(content);
        let says = hello.as_ref().map(|hello| hello.host);
        if !self.may_speak(node, says, known.map(|known| known.host), key.made_of()) {
            self.counters.unauthenticated += 1;
            return;
        }
        if node == self.settings.node || self.is_one_of_ours_elsewhere(node, hello.as_ref()) {
            self.counters.malformed += 1;
            let (said, before) = ((start, header.number), self.same_id);
            if before.is_none_or(|before| before.said < said) {
                let first = before.filter(|before| before.is_fresh(now)).map_or(now, |before| before.first);
                self.same_id = Some(SameId { node, address: from, said, first, last: now });
            }
            return;
        }
        // The same node under another key is met anew.
        let is_it = |other: &Stranger| {
            (other.node, other.start) == (node, start) && other.key.made_of() == key.made_of()
        };
        let place = match self.strangers.iter().position(is_it) {
            Some(place) => place,
            None => self.add_stranger(now, (node, start), from, key),
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
            self.found(now, echo, says)
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
        let hello = hello_of(content);
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
}

/// The greeting among frames, if there is one.
fn hello_of(content: &[u8]) -> Option<Hello> {
    Frames::of(content).flatten().find_map(|frame| match frame {
        Frame::Hello(hello) => Some(hello),
        _ => None,
    })
}
