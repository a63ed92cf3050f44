//! Hosts in one thread, with simulated time: a network that delays, loses, doubles and cuts; and who received what.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;

use dmr::{BURST_LEN, BurstKind, DataType};
use jitter::Buffers;
use stack::{CallType, Frame, Now, Slot, Time};
use switch::{FarCall, Forward, Kind, SessionId, SessionReport};
use transport::Address;

use crate::greetings::is_for_anybody;
use crate::wire::{Header, MAX_DATAGRAM};
use crate::{FastForward, Input, NetworkKey, Output, Settings};

pub(crate) const SECOND: u64 = 1_000_000;
pub(crate) const BURST_US: u64 = 60_000;
const EPOCH_US: u64 = 1_800_000_000 * SECOND;

/// A small generator, the same in each run.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit.max(1)
    }

    pub(crate) fn permille(&mut self, chance: u64) -> bool {
        self.below(1000) < chance
    }
}

/// How the network between hosts is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Path {
    pub(crate) delay_us: u64,
    pub(crate) jitter_us: u64,
    pub(crate) loss_permille: u64,
    pub(crate) double_permille: u64,
}

pub(crate) struct Member {
    /// `None` while it is dead.
    pub(crate) ff: Option<FastForward>,
    pub(crate) node: u32,
    pub(crate) host: usize,
    pub(crate) address: Address,
    /// How often each burst of a session went on to the switch of this node.
    pub(crate) received: BTreeMap<(SessionId, u64), u32>,
    /// Those that did since it started last, and one that did so twice.
    since_start: BTreeSet<(SessionId, u64)>,
    pub(crate) twice: Option<(SessionId, u64)>,
    /// The jitter buffers of the node.
    buffers: Buffers,
    /// The newest burst of each session, and its sequence.
    newest: BTreeMap<SessionId, u64>,
    /// What came while it was dead: its socket stays.
    socket: Vec<(Address, Vec<u8>)>,
    wanted: BTreeSet<u32>,
    wake: u64,
    pub(crate) starts: u64,
    /// Sessions that run here as far ones, as the table in its ring has them.
    far: BTreeMap<u16, SessionId>,
}

/// When it arrives, its number, where, whence and what.
type Flying = (u64, u64, usize, Address, Vec<u8>);

pub(crate) struct World {
    pub(crate) now_us: u64,
    pub(crate) members: Vec<Member>,
    pub(crate) path: Path,
    pub(crate) rng: Rng,
    /// Datagrams and bytes from host to host.
    pub(crate) wire: BTreeMap<(usize, usize), (u64, u64)>,
    /// Wall clocks of hosts, off by this.
    pub(crate) skew_us: Vec<i64>,
    /// Pairs of hosts between which nothing passes.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    flying: BinaryHeap<Reverse<Flying>>,
    places: BTreeMap<Address, usize>,
    workers: usize,
    links: Vec<(usize, usize)>,
    sent: u64,
    /// What nodes are given that start.
    pub(crate) keys: Vec<NetworkKey>,
    /// Keys that a host has for another one alone.
    host_keys: BTreeMap<(usize, usize), NetworkKey>,
    /// What was sent, where that is watched.
    pub(crate) watched: Option<Watched>,
    next_index: u16,
}

/// What nodes have sent.
#[derive(Default)]
pub(crate) struct Watched {
    /// Whose each was, of which start, its number and its receiver: so the nonce of each, whatever the key.
    nonces: BTreeSet<(u32, u64, u64, u32)>,
    /// The tags of keys that went from host to host.
    pub(crate) tags: BTreeMap<(usize, usize), BTreeSet<u8>>,
    /// How many went to each address.
    pub(crate) to: BTreeMap<Address, u64>,
}

/// A call that runs in the world.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) at: usize,
    pub(crate) index: u16,
    pub(crate) session: SessionId,
    call: CallType,
    source: u32,
    destination: u32,
    pub(crate) bursts: u16,
}

impl World {
    /// `hosts` hosts with `workers` nodes each; each of `links` is configured at its first host.
    pub(crate) fn new(seed: u64, hosts: usize, workers: usize, links: &[(usize, usize)]) -> Self {
        let mut world = Self {
            now_us: SECOND,
            members: Vec::new(),
            path: Path { delay_us: 5_000, ..Path::default() },
            rng: Rng::new(seed),
            wire: BTreeMap::new(),
            skew_us: vec![0; hosts],
            cut: BTreeSet::new(),
            flying: BinaryHeap::new(),
            places: BTreeMap::new(),
            workers,
            links: links.to_vec(),
            sent: 0,
            keys: vec![NetworkKey::new([7; 32])],
            host_keys: BTreeMap::new(),
            watched: None,
            next_index: 0,
        };
        for host in 0..hosts {
            for worker in 0..workers {
                let address =
                    Address::udp(SocketAddr::from(([10, 0, host as u8, 1], 54_000 + worker as u16)));
                world.places.insert(address, world.members.len());
                world.members.push(Member {
                    ff: None,
                    node: node_of(host, worker),
                    host,
                    address,
                    received: BTreeMap::new(),
                    since_start: BTreeSet::new(),
                    twice: None,
                    buffers: Buffers::new(),
                    newest: BTreeMap::new(),
                    socket: Vec::new(),
                    wanted: BTreeSet::new(),
                    wake: 0,
                    starts: 0,
                    far: BTreeMap::new(),
                });
            }
        }
        for place in 0..world.members.len() {
            world.start(place);
        }
        world
    }

    /// All hosts linked with all.
    pub(crate) fn mesh(hosts: usize) -> Vec<(usize, usize)> {
        (0..hosts).flat_map(|a| (a + 1..hosts).map(move |b| (a, b))).collect()
    }

    pub(crate) fn chain(hosts: usize) -> Vec<(usize, usize)> {
        (1..hosts).map(|b| (b - 1, b)).collect()
    }

    pub(crate) fn place(&self, host: usize, worker: usize) -> usize {
        host * self.workers + worker
    }

    pub(crate) fn now(&self, host: usize) -> Now {
        let wall_us = (EPOCH_US + self.now_us).saturating_add_signed(self.skew_us[host]);
        Now { mono: Time(self.now_us + host as u64 * 977 * SECOND), wall_us }
    }

    /// A node starts, for the first time or again.
    pub(crate) fn start(&mut self, place: usize) {
        let (host, node) = (self.members[place].host, self.members[place].node);
        let now = self.now(host);
        let first = node_of(host, 0);
        let address = self.members[self.place(host, 0)].address;
        self.members[place].starts += 1;
        let mut seed = [place as u8; 32];
        seed[..8].copy_from_slice(&self.members[place].starts.to_le_bytes());
        let settings = Settings {
            node,
            host: first,
            nodes: (0..self.workers).map(|worker| (node_of(host, worker), 54_000 + worker as u16)).collect(),
            local: address,
            keys: self.keys.clone(),
            start: now.wall_us / 1000,
            seed,
        };
        let mut ff = FastForward::new(settings);
        for (&(a, b), key) in &self.host_keys {
            if a == host {
                ff.handle_input(now, Input::HostKey { host: node_of(b, 0), key: Some(key.clone()) });
            }
        }
        for &(a, b) in &self.links {
            if a == host {
                let address = self.members[self.place(b, 0)].address;
                let host = self.host_keys.contains_key(&(a, b)).then(|| node_of(b, 0));
                ff.handle_input(now, Input::Host { address, host, is_wanted: true });
            }
        }
        for &talkgroup in &self.members[place].wanted {
            ff.handle_input(now, Input::Range { first: talkgroup, last: talkgroup, is_wanted: true });
        }
        self.members[place].ff = Some(ff);
        self.members[place].far.clear();
        self.members[place].since_start.clear();
        self.members[place].buffers = Buffers::new();
        self.settle(place);
        for (from, mut bytes) in std::mem::take(&mut self.members[place].socket) {
            self.tell(place, Input::Datagram { from, bytes: &mut bytes });
        }
    }

    /// What a node sends comes from another address from now on, and it hears what is sent there alone.
    pub(crate) fn move_to(&mut self, place: usize, address: Address) {
        let before = std::mem::replace(&mut self.members[place].address, address);
        self.places.remove(&before);
        self.places.insert(address, place);
    }

    /// All nodes of a host are told its key for another one.
    pub(crate) fn set_key(&mut self, a: usize, b: usize, key: Option<NetworkKey>) {
        match key.clone() {
            Some(key) => self.host_keys.insert((a, b), key),
            None => self.host_keys.remove(&(a, b)),
        };
        let (address, is_linked) = (self.members[self.place(b, 0)].address, self.links.contains(&(a, b)));
        for place in self.place(a, 0)..=self.place(a, self.workers - 1) {
            self.tell(place, Input::HostKey { host: node_of(b, 0), key: key.clone() });
            if is_linked {
                let host = key.is_some().then(|| node_of(b, 0));
                self.tell(place, Input::Host { address, host, is_wanted: true });
            }
        }
    }

    /// A node is at one more address.
    pub(crate) fn add_address(&mut self, place: usize, address: Address) {
        self.places.insert(address, place);
    }

    pub(crate) fn kill(&mut self, place: usize) {
        self.members[place].ff = None;
    }

    pub(crate) fn want(&mut self, place: usize, talkgroup: u32, is_wanted: bool) {
        let member = &mut self.members[place];
        match is_wanted {
            true => member.wanted.insert(talkgroup),
            false => member.wanted.remove(&talkgroup),
        };
        self.tell(place, Input::Range { first: talkgroup, last: talkgroup, is_wanted });
    }

    pub(crate) fn wants(&self, place: usize, talkgroup: u32) -> bool {
        self.members[place].wanted.contains(&talkgroup)
    }

    pub(crate) fn tell(&mut self, place: usize, input: Input<'_>) {
        let now = self.now(self.members[place].host);
        if let Some(ff) = &mut self.members[place].ff {
            ff.handle_input(now, input);
            self.settle(place);
        }
    }

    /// Takes all that a node gives out.
    pub(crate) fn settle(&mut self, place: usize) {
        let host = self.members[place].host;
        let now = self.now(host);
        loop {
            let Some(ff) = &mut self.members[place].ff else { return };
            let Some(output) = ff.poll_output() else { break };
            self.output(place, output);
        }
        let mut out = [0; MAX_DATAGRAM];
        let from = self.members[place].address;
        loop {
            let Some(ff) = &mut self.members[place].ff else { return };
            let Some((to, len)) = ff.poll_transmit(now, &mut out) else { break };
            self.send(place, from, to, &out[..len]);
        }
        let Some(ff) = &mut self.members[place].ff else { return };
        let at = ff.poll_timeout().map_or(u64::MAX, |at| at.0.saturating_sub(now.mono.0));
        let buffers = self.members[place].buffers.poll_timeout();
        let at = buffers.map_or(at, |then| at.min(then.0.saturating_sub(now.mono.0)));
        self.members[place].wake = self.now_us.saturating_add(at.max(1));
    }

    fn send(&mut self, place: usize, from: Address, to: Address, bytes: &[u8]) {
        let Some(&target) = self.places.get(&to) else { return };
        let (a, b) = (self.members[place].host, self.members[target].host);
        if let Some(watched) = &mut self.watched {
            let header = Header::decode(bytes).unwrap();
            let receiver = if is_for_anybody(&header) { 0 } else { self.members[target].node };
            let is_new = watched.nonces.insert((header.node, header.start, header.number, receiver));
            assert!(is_new, "{header:?} to {receiver} has the nonce of another");
            watched.tags.entry((a, b)).or_default().insert(header.key);
            *watched.to.entry(to).or_default() += 1;
        }
        if a == b {
            return self.fly(target, from, bytes, 50);
        }
        let count = self.wire.entry((a, b)).or_default();
        *count = (count.0 + 1, count.1 + bytes.len() as u64);
        if self.cut.contains(&(a.min(b), a.max(b))) || self.rng.permille(self.path.loss_permille) {
            return;
        }
        let copies = 1 + u64::from(self.rng.permille(self.path.double_permille));
        for _ in 0..copies {
            let delay = self.path.delay_us + self.rng.below(self.path.jitter_us + 1);
            self.fly(target, from, bytes, delay);
        }
    }

    /// A datagram is under way.
    pub(crate) fn fly(&mut self, target: usize, from: Address, bytes: &[u8], delay_us: u64) {
        self.sent += 1;
        self.flying.push(Reverse((self.now_us + delay_us, self.sent, target, from, bytes.to_vec())));
    }

    /// What is under way to a node.
    pub(crate) fn under_way(&self, target: usize) -> Vec<(Address, Vec<u8>)> {
        let to_it = self.flying.iter().filter(|Reverse((_, _, to, ..))| *to == target);
        to_it.map(|Reverse((_, _, _, from, bytes))| (*from, bytes.clone())).collect()
    }

    fn output(&mut self, place: usize, output: Output) {
        match output {
            Output::Opened { number, call: FarCall { session, .. } } => {
                assert!(self.members[place].far.insert(number, session).is_none());
            }
            Output::Closed { number } => {
                assert!(self.members[place].far.remove(&number).is_some());
            }
            Output::Burst { number, session, sequence, sent_ms, forward } => {
                assert_eq!(self.members[place].far.get(&number), Some(&session));
                assert_eq!((forward.key, forward.frame.sequence), (session.key, sequence as u8));
                let host = self.members[place].host;
                for worker in 0..self.workers {
                    let at = self.place(host, worker);
                    let member = &self.members[at];
                    if member.ff.is_some() && member.wanted.contains(&forward.frame.destination)
                        || forward.frame.call == CallType::Private
                    {
                        self.hear(at, session, jitter::Burst { sequence, sent_ms, forward });
                    }
                }
            }
        }
    }

    /// A burst comes to a node, by its socket or the ring of a sibling.
    fn hear(&mut self, place: usize, session: SessionId, burst: jitter::Burst) {
        let now = self.now(self.members[place].host).mono;
        let buffers = &mut self.members[place].buffers;
        let number = buffers.find_or_open(now, session).unwrap();
        assert!(buffers.push(now, number, session, burst));
        self.go_on(place);
    }

    /// What is next in the buffers of a node goes on to its switch.
    fn go_on(&mut self, place: usize) {
        let member = &mut self.members[place];
        while let Some(jitter::Output { node, forward, is_concealed }) = member.buffers.poll_output() {
            let session = SessionId { node, key: forward.key };
            let low = u64::from(forward.frame.sequence);
            // They are in order, so only the low bits need to be told.
            let newest = member.newest.entry(session).or_insert(low);
            *newest += u64::from(forward.frame.sequence.wrapping_sub(*newest as u8));
            if !is_concealed {
                *member.received.entry((session, *newest)).or_default() += 1;
                if !member.since_start.insert((session, *newest)) {
                    member.twice = Some((session, *newest));
                }
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time_us: u64) {
        let end = self.now_us + time_us;
        loop {
            let alive = self.members.iter().enumerate().filter(|(_, member)| member.ff.is_some());
            let next = alive.map(|(place, member)| (member.wake, place)).min();
            let flying = self.flying.peek().map(|Reverse((at, ..))| *at);
            let at = next.map_or(u64::MAX, |(at, _)| at).min(flying.unwrap_or(u64::MAX));
            if at > end {
                self.now_us = end;
                return;
            }
            self.now_us = self.now_us.max(at);
            if flying == Some(at) {
                let Some(Reverse((_, _, target, from, mut bytes))) = self.flying.pop() else { continue };
                match self.members[target].ff {
                    Some(_) => self.tell(target, Input::Datagram { from, bytes: &mut bytes }),
                    None => self.members[target].socket.push((from, bytes)),
                }
            } else if let Some((_, place)) = next {
                let now = self.now(self.members[place].host);
                if let Some(ff) = &mut self.members[place].ff {
                    ff.handle_timeout(now);
                }
                self.members[place].buffers.handle_timeout(now.mono);
                self.go_on(place);
                self.settle(place);
            }
        }
    }

    /// A call begins.
    pub(crate) fn call(&mut self, at: usize, call: CallType, source: u32, destination: u32) -> Call {
        let host = self.members[at].host;
        let now = self.now(host);
        self.next_index += 1;
        let session =
            SessionId { key: (now.wall_us << 12) + u64::from(self.next_index), node: self.members[at].node };
        let report = SessionReport {
            session,
            context: 1,
            slot: Slot::One,
            source,
            destination,
            call,
            kind: Kind::Voice,
            emergency: false,
            bursts: 0,
        };
        let index = self.next_index;
        let mut place = None;
        if call == CallType::Private
            && let Some(ff) = &self.members[at].ff
        {
            place = ff.locate(destination).map(|(node, _)| node);
        }
        self.tell(at, Input::Started { index, report: &report, goes_out: true });
        if call == CallType::Private {
            self.tell(at, Input::Located { index, node: place });
        }
        Call { at, index, session, call, source, destination, bursts: 0 }
    }

    /// The next burst of a call.
    pub(crate) fn talk(&mut self, call: &mut Call) {
        let place = call.bursts;
        let kind = match place {
            0 => BurstKind::Data(DataType::VOICE_HEADER),
            n => BurstKind::Voice(((n - 1) % 6) as u8),
        };
        self.burst(call, kind);
    }

    pub(crate) fn hang_up(&mut self, mut call: Call) {
        self.burst(&mut call, BurstKind::Data(DataType::TERMINATOR));
        self.tell(call.at, Input::Stopped { index: call.index });
    }

    fn burst(&mut self, call: &mut Call, kind: BurstKind) {
        let frame = Frame {
            source: call.source,
            destination: call.destination,
            call: call.call,
            kind,
            sequence: call.bursts as u8,
            ber: 1,
            rssi: 2,
            burst: [call.bursts as u8; BURST_LEN],
        };
        let forward =
            Forward { key: call.session.key, index: call.index, slot: Slot::Two, options: 3, frame };
        call.bursts += 1;
        self.tell(call.at, Input::Forward(&forward));
    }

    /// How many of the bursts of a session came to a node: different ones, and all.
    pub(crate) fn received(&self, place: usize, session: SessionId) -> (usize, u32) {
        let of_it = self.members[place].received.iter().filter(|((other, _), _)| *other == session);
        of_it.fold((0, 0), |(different, all), (_, count)| (different + 1, all + count))
    }

    /// Whether each node knows all others that `expected` says.
    /// The hosts that a member can reach.
    pub(crate) fn hosts_of(&mut self, place: usize) -> Vec<u32> {
        self.members[place].ff.as_mut().unwrap().hosts().iter().map(|host| host.host).collect()
    }

    pub(crate) fn all_know(&mut self, hosts: usize) -> bool {
        let mut alive = self.members.iter_mut().filter_map(|member| member.ff.as_mut());
        alive.all(|ff| ff.hosts().len() == hosts - 1)
    }
}

pub(crate) fn node_of(host: usize, worker: usize) -> u32 {
    1000 * (host as u32 + 1) + worker as u32
}
