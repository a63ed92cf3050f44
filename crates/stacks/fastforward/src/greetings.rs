//! How nodes greet: those that know each other, and whoever is there.

use std::time::Duration;

use stack::Time;
use transport::Address;

use crate::node::FastForward;
use crate::seal::NodeKey;
use crate::wire::{HEADER_LEN, HELLO_LEN, Header, Hello, SEAL_LEN, VERSION};

/// Between two greetings of nodes that know each other.
pub(crate) const GREETING: Duration = Duration::from_millis(500);
/// What is known changes all the time in a large network: a summary is sent after so long for all that.
const UNSETTLED: Duration = Duration::from_secs(1);
/// Set in the number of a datagram that is for whoever is there.
const FOR_ANYBODY: u64 = 1 << 39;

/// Whether a datagram is for whoever is there.
pub(crate) fn is_for_anybody(header: &Header) -> bool {
    header.number & FOR_ANYBODY != 0
}

impl FastForward {
    /// Sends a greeting to whoever is there.
    pub(crate) fn call_out(
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

    pub(crate) fn greet_one(&mut self, now: Time, place: u16) {
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
}
