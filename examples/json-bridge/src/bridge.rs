//! Who is there, and what becomes of datagrams: the state machine of the shard.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stack::{
    Datagram, Envelope, Frame, Gone, Input, LinkType, MAX_DATAGRAM, Notice, Now, Output, Profile, Refusal,
    Slot, Slots, Stack, Time,
};
use subtle::ConstantTimeEq;

use crate::message::{Burst, Hello, Reply, Request};

/// Who has not said hello for so long is gone.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The record of a client has room for no more.
const MAX_TALKGROUPS: usize = 16;
const MAX_NAME: usize = 32;

/// A client, and its record.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Client {
    name: String,
    talkgroups: Vec<u32>,
    listener: u8,
    local: Option<IpAddr>,
    from: SocketAddr,
    #[serde(skip)]
    heard: Time,
}

/// The bridge, for one shard.
pub struct Bridge {
    token: String,
    clients: Vec<Option<Client>>,
    by_address: BTreeMap<SocketAddr, u16>,
    outputs: VecDeque<Output>,
}

impl Client {
    fn envelope(&self) -> Envelope {
        Envelope { listener: self.listener, local: self.local, to: self.from }
    }

    /// FNV-1a of its name, above all IDs of radios and repeaters.
    fn id(&self) -> u32 {
        let step = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        self.name.bytes().fold(0x811C_9DC5, step) | 0x8000_0000
    }

    fn profile(&self) -> Box<Profile> {
        let profile = Profile::repeater(self.id(), Slots::Only(Slot::Two), [vec![], self.talkgroups.clone()]);
        Box::new(Profile { link: LinkType::Application, ..profile })
    }

    fn is_sound(&self) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=MAX_NAME).contains(&self.name.len())
            && self.name.bytes().all(is_plain)
            && self.talkgroups.len() <= MAX_TALKGROUPS
            && self.talkgroups.iter().all(|talkgroup| (1..=0xFF_FFFF).contains(talkgroup))
            && self.from.ip().is_loopback()
    }
}

impl Stack for Bridge {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Datagram { listener, from, local, bytes } => {
                self.datagram(now.mono, Envelope { listener, local, to: from }, bytes);
            }
            Input::Evict { id, keep, gone } => {
                let its = |client: &Client| client.id() == id && Some(client.from) != keep;
                self.leave_all(gone, its);
            }
            Input::Restore { context, bytes } => self.restore(now.mono, context, bytes),
            Input::Shutdown => self.leave_all(Gone::Shutdown, |_| true),
            // It asks nothing, and knows neither devices nor other networks.
            Input::Answer(_) | Input::Settings { .. } | Input::Unwanted { .. } | Input::Peer { .. } => {}
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        self.leave_all(Gone::Silent, |client| now.mono.since(client.heard) >= TIMEOUT);
    }

    fn deliver(
        &mut self,
        _: Now,
        context: u16,
        _: Slot,
        stream: u32,
        frame: &Frame,
        out: &mut [u8; MAX_DATAGRAM],
    ) -> Option<(Envelope, usize)> {
        let client = self.get(context)?;
        let mut room = out.as_mut_slice();
        serde_json::to_writer(&mut room, &Reply::Burst(Burst::new(stream, frame))).ok()?;
        let left = room.len();
        Some((client.envelope(), MAX_DATAGRAM - left))
    }

    fn warm(&self, context: u16) {
        std::hint::black_box(self.get(context).map(|client| client.from));
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.clients.iter().flatten().map(|client| client.heard + TIMEOUT).min()
    }

    fn encode_record(&self, context: u16, out: &mut [u8]) -> Option<usize> {
        let (size, mut room) = (out.len(), out);
        serde_json::to_writer(&mut room, self.get(context)?).ok()?;
        Some(size - room.len())
    }
}

impl Bridge {
    /// One that lets in whoever has this token, up to so many clients.
    #[must_use]
    pub fn new(token: &str, capacity: u16) -> Self {
        let clients = (0..capacity).map(|_| None).collect();
        Self { token: token.to_owned(), clients, by_address: BTreeMap::new(), outputs: VecDeque::new() }
    }

    fn get(&self, row: u16) -> Option<&Client> {
        self.clients.get(usize::from(row))?.as_ref()
    }

    fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn reply(&mut self, envelope: Envelope, reply: &Reply) {
        if let Ok(bytes) = serde_json::to_vec(reply) {
            self.push(Output::Send(Datagram::new(envelope, &[&bytes])));
        }
    }

    fn refuse(&mut self, envelope: Envelope, why: Refusal, reason: &'static str) {
        self.push(Output::Refused(why));
        self.reply(envelope, &Reply::Refused(reason));
    }

    fn datagram(&mut self, now: Time, envelope: Envelope, bytes: &[u8]) {
        if !envelope.to.ip().is_loopback() {
            return self.push(Output::Refused(Refusal::Denied));
        }
        match serde_json::from_slice(bytes) {
            Ok(Request::Hello(hello)) => self.hello(now, envelope, hello),
            Ok(Request::Burst(burst)) => self.burst(envelope, &burst),
            Err(_) => self.push(Output::Refused(Refusal::Malformed)),
        }
    }

    fn hello(&mut self, now: Time, envelope: Envelope, hello: Hello) {
        if !bool::from(hello.token.as_bytes().ct_eq(self.token.as_bytes())) {
            return self.refuse(envelope, Refusal::WrongPassword, "token");
        }
        let Envelope { listener, local, to: from } = envelope;
        let Hello { name, talkgroups, .. } = hello;
        let client = Client { name, talkgroups, listener, local, from, heard: now };
        if !client.is_sound() {
            return self.refuse(envelope, Refusal::BadConfiguration, "name or talkgroups");
        }
        let id = client.id();
        // A name is one client's, and an address is.
        self.leave_all(Gone::Replaced, |other| (other.name == client.name) != (other.from == from));
        let known = self.by_address.get(&from).copied();
        let Some(row) = known.or_else(|| self.free()) else {
            return self.refuse(envelope, Refusal::Full, "full");
        };
        let before = self.clients[usize::from(row)].replace(client.clone());
        self.by_address.insert(from, row);
        // That it was heard again is not written down.
        if before.as_ref().map(|before| Client { heard: now, ..before.clone() }) != Some(client.clone()) {
            self.push(Output::Changed(row));
            self.push(Output::Up { context: row, profile: client.profile() });
        }
        if before.is_none() {
            let (call, software) = (client.name, "json-bridge".to_owned());
            self.push(Output::Notice(Box::new(Notice::Up { id, from, call, software })));
        }
        self.reply(envelope, &Reply::Welcome(id));
    }

    fn burst(&mut self, envelope: Envelope, burst: &Burst) {
        let Some(&context) = self.by_address.get(&envelope.to) else {
            return self.push(Output::Refused(Refusal::NotLoggedIn));
        };
        let stream = burst.stream;
        self.push(match burst.frame() {
            Some(frame) => Output::Frame { context, slot: Slot::Two, stream, frame },
            None => Output::Refused(Refusal::BadFrame),
        });
    }

    fn free(&self) -> Option<u16> {
        (0..).zip(&self.clients).find(|(_, client)| client.is_none()).map(|(row, _)| row)
    }

    fn leave_all(&mut self, gone: Gone, its: impl Fn(&Client) -> bool) {
        for (row, place) in (0..).zip(&mut self.clients) {
            let Some(client) = place.take_if(|client| its(client)) else { continue };
            self.by_address.remove(&client.from);
            let (id, from) = (client.id(), client.from);
            self.outputs.extend([Output::Changed(row), Output::Down(row)]);
            self.outputs.push_back(Output::Notice(Box::new(Notice::Down { id, from, gone })));
            let why = match gone {
                Gone::Kicked => "kicked",
                Gone::Shutdown => "shutdown",
                _ => continue,
            };
            if let Ok(bytes) = serde_json::to_vec(&Reply::Bye(why)) {
                self.outputs.push_back(Output::Send(Datagram::new(client.envelope(), &[&bytes])));
            }
        }
    }

    fn restore(&mut self, now: Time, row: u16, bytes: &[u8]) {
        let client = serde_json::from_slice(bytes).ok().filter(Client::is_sound);
        let place = self.clients.get_mut(usize::from(row)).filter(|place| place.is_none());
        let (Some(client), Some(place)) = (client, place) else {
            return self.push(Output::Refused(Refusal::Malformed));
        };
        if self.by_address.contains_key(&client.from) {
            return self.push(Output::Refused(Refusal::Malformed));
        }
        self.by_address.insert(client.from, row);
        let profile = client.profile();
        *place = Some(Client { heard: now, ..client });
        self.push(Output::Up { context: row, profile });
    }
}
