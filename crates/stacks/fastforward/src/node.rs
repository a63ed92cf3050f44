//! One node: takes inputs, gives outputs and datagrams. Who it speaks with is in `contacts`, what nodes know of each other in `flood`, the
//! way of bursts in `carry`.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashMap;
use stack::{Now, Time};
use transport::Address;

use crate::association::{Association, SILENCE};
use crate::contacts::Contact;
use crate::io::{Counters, Input, Output, Settings};
use crate::network::Network;
use crate::seal::{NodeKey, Random};
use crate::sessions::{FarSessions, Local};
use crate::strangers::{SameId, Stranger};
use crate::wire::{Fact, Frame, Frames, HEADER_LEN, Header, SEAL_LEN, VERSION, WireBurst};

/// How often a node looks after what has no moment of its own.
const TICK: Duration = Duration::from_millis(100);

/// So long after a start calls that go on here wait until it is known who wants them.
const EARLY: Duration = Duration::from_millis(500);

/// One node of a network, without its sockets and clocks. It has no `Debug`: there are keys in it.
pub struct FastForward {
    pub(crate) settings: Settings,
    pub(crate) start: u64,
    pub(crate) key: NodeKey,
    pub(crate) random: Random,
    pub(crate) network: Network,
    pub(crate) associations: Vec<Option<Association>>,
    /// Places of them, by node.
    pub(crate) places: FxHashMap<u32, u16>,
    pub(crate) contacts: Vec<Contact>,
    /// This node's keys for hosts that have a key of their own, by host.
    pub(crate) host_keys: FxHashMap<u32, NodeKey>,
    /// Where nodes are reached that are reached elsewhere than they announce.
    pub(crate) overrides: FxHashMap<u32, Address>,
    pub(crate) strangers: Vec<Stranger>,
    /// Nodes that were let go, as they had started then, and until when what they still send is for nobody.
    pub(crate) let_go: Vec<(u32, u64, Time)>,
    /// Answers to strangers since the last tick.
    pub(crate) answers: usize,
    /// The network and contacts for which nodes were chosen last.
    pub(crate) chosen_for: Option<(u64, usize)>,
    /// When what a node has said was asked for last, and of which start.
    pub(crate) asked: FxHashMap<u32, (u64, Time)>,
    /// When this node gave itself a later start.
    pub(crate) began_again: Option<Time>,
    /// The wall clock at the last input, milliseconds since 1970.
    pub(crate) wall_ms: u64,
    /// Numbers of datagrams that are for whoever is there.
    pub(crate) contact_number: u64,
    /// No association that is new may use a number below.
    pub(crate) number_floor: u64,
    /// By the switch's number.
    pub(crate) locals: Vec<Option<Local>>,
    pub(crate) spare_locals: Vec<Local>,
    /// Bursts that wait until it is known who wants them.
    pub(crate) early: Vec<WireBurst>,
    /// Until then bursts wait.
    pub(crate) is_early_until: Option<Time>,
    pub(crate) far: FarSessions,
    /// What nodes have said that is to be handed on: since which version, and who has it already.
    pub(crate) floods: Vec<(u32, u32, Option<u16>)>,
    pub(crate) flood_due: Option<Time>,
    /// Talkgroups that are not wanted any more, and since when.
    pub(crate) unwanted: Vec<(Time, u32, u32)>,
    /// Places of associations for which something waits.
    pub(crate) waiting: Vec<u16>,
    /// Datagrams for whoever is there.
    pub(crate) ready: VecDeque<(Address, Box<[u8]>)>,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) counters: Counters,
    /// Who spoke last with an ID of ours.
    pub(crate) same_id: Option<SameId>,
    next_tick: Time,
}

impl FastForward {
    /// A node that knows nobody but the nodes of its host.
    ///
    /// # Panics
    /// Where it is given no key.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let start = settings.start & 0xFFFF_FFFF_FFFF;
        let key = settings.keys.first().expect("a node has a key").of_node(settings.node, start);
        let mut node = Self {
            start,
            key,
            random: Random::new(settings.seed),
            network: Network::new(settings.node, settings.host, start),
            associations: Vec::new(),
            places: FxHashMap::default(),
            contacts: Vec::new(),
            host_keys: FxHashMap::default(),
            overrides: FxHashMap::default(),
            strangers: Vec::new(),
            let_go: Vec::new(),
            answers: 0,
            chosen_for: None,
            asked: FxHashMap::default(),
            began_again: None,
            wall_ms: start,
            contact_number: 0,
            number_floor: 0,
            locals: Vec::new(),
            spare_locals: Vec::new(),
            early: Vec::new(),
            is_early_until: None,
            far: FarSessions::default(),
            floods: Vec::new(),
            flood_due: None,
            unwanted: Vec::new(),
            waiting: Vec::new(),
            ready: VecDeque::new(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
            same_id: None,
            next_tick: Time::default(),
            settings,
        };
        let port = node
            .settings
            .nodes
            .iter()
            .find(|&&(id, _)| id == node.settings.node)
            .map_or(0, |&(_, port)| port);
        let transports = transport::Transport::Udp.bit();
        node.network.say(Fact::About { host: node.settings.host, port, transports, version: VERSION });
        for (id, port) in node.settings.nodes.clone() {
            if id != node.settings.node {
                node.contacts.push(Contact::of_node(node.settings.local.at_port(port), id));
            }
        }
        node
    }

    /// Takes in what happened.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>) {
        self.wall_ms = now.wall_us / 1000;
        match input {
            Input::Datagram { from, bytes } => self.datagram(now.mono, from, bytes),
            Input::Host { address, host, is_wanted } => self.host(now.mono, address, host, is_wanted),
            Input::HostKey { host, key } => self.set_host_key(now.mono, host, key),
            Input::Override { node, address } => self.set_override(now.mono, node, address),
            Input::Range { first, last, is_wanted } => self.range(now.mono, first, last, is_wanted),
            Input::Started { index, report, goes_out } => self.started(now, index, report, goes_out),
            Input::Located { index, node } => self.located(index, node),
            Input::Stopped { index } => self.stopped(index),
            Input::Forward(forward) => self.forward(now.mono, forward),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        let now = now.mono;
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tick(now);
        }
        if self.network.refresh(now) {
            self.send_early(now);
        }
        if self.flood_due.is_some_and(|at| at <= now) {
            self.flood(now);
        }
    }

    /// When [`Self::handle_timeout`] or [`Self::poll_transmit`] is to be called, at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let waiting = self.waiting.iter().filter_map(|&place| self.association(place)?.goes());
        waiting.chain(self.flood_due).chain(self.network.refresh_due()).chain([self.next_tick]).min()
    }

    /// What is to be done next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next datagram to send: written to the beginning of `out`, which has room for [`crate::MAX_DATAGRAM`] bytes. Returned is where
    /// it goes and how long it is.
    pub fn poll_transmit(&mut self, now: Now, out: &mut [u8]) -> Option<(Address, usize)> {
        if let Some((to, bytes)) = self.ready.pop_front() {
            out.get_mut(..bytes.len())?.copy_from_slice(&bytes);
            return Some((to, bytes.len()));
        }
        let mut at = 0;
        while let Some(&place) = self.waiting.get(at) {
            let association = self.associations.get_mut(usize::from(place)).and_then(Option::as_mut);
            let Some(goes) = association.as_ref().and_then(|association| association.goes()) else {
                self.waiting.swap_remove(at);
                continue;
            };
            if goes > now.mono {
                at += 1;
                continue;
            }
            let Some(association) = association else { continue };
            let key = self.host_keys.get(&association.host).unwrap_or(&self.key);
            if let Some(len) = association.seal((self.settings.node, self.start, key), out) {
                let to = self.overrides.get(&association.node).unwrap_or(&association.address);
                return Some((*to, len));
            }
        }
        None
    }

    /// What has happened to datagrams and bursts since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    pub(crate) fn association(&self, place: u16) -> Option<&Association> {
        self.associations.get(usize::from(place))?.as_ref()
    }

    pub(crate) fn association_mut(&mut self, place: u16) -> Option<&mut Association> {
        self.associations.get_mut(usize::from(place))?.as_mut()
    }

    /// All associations, with their places.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u16, &Association)> {
        (0..).zip(&self.associations).filter_map(|(place, association)| Some((place, association.as_ref()?)))
    }

    /// Puts a frame into the next datagram to an association.
    pub(crate) fn put(&mut self, now: Time, place: u16, frame: &[u8]) {
        if let Some(association) = self.associations.get_mut(usize::from(place)).and_then(Option::as_mut)
            && association.put(now, frame)
        {
            self.waiting.push(place);
        }
    }

    fn datagram(&mut self, now: Time, from: Address, bytes: &mut [u8]) {
        let header = Header::decode(bytes).filter(|_| bytes.len() >= HEADER_LEN + SEAL_LEN);
        let Some(header) = header else {
            self.counters.malformed += 1;
            return;
        };
        let known = self.places.get(&header.node).copied();
        let known =
            known.filter(|&place| self.association(place).is_some_and(|known| known.start == header.start));
        match known {
            Some(place) if !crate::greetings::is_for_anybody(&header) => {
                let own = self.settings.node;
                let len = bytes.len();
                let Some(association) = self.association_mut(place) else { return };
                let Some(content) = association.key().open(&header, own, bytes) else {
                    self.counters.unauthenticated += 1;
                    return;
                };
                if !association.take(now, header.number, len) {
                    self.counters.replayed += 1;
                    return;
                }
                association.is_fresh = true;
                let has_moved = association.address != from;
                self.hear(now, place, content);
                if has_moved {
                    self.follow_to(now, place, from, &header, content);
                }
                self.send_early(now);
            }
            _ => self.meet(now, from, header, bytes),
        }
    }

    /// Takes in what an association has sent.
    pub(crate) fn hear(&mut self, now: Time, place: u16, content: &[u8]) {
        for frame in Frames::of(content) {
            match frame {
                Some(Frame::Burst(burst)) => self.burst(now, place, &burst),
                Some(Frame::Hello(hello)) => self.greeted(now, place, &hello),
                Some(Frame::Summary(summary)) => self.compare(now, place, summary),
                Some(Frame::Want(since)) => self.tell(now, place, since),
                Some(Frame::Update(update)) => self.learn(now, place, update),
                Some(Frame::Other) => {}
                None => self.counters.malformed += 1,
            }
        }
    }

    fn tick(&mut self, now: Time) {
        self.is_early_until.get_or_insert(now + EARLY);
        self.network.tidy(now);
        self.answers = 0;
        self.asked.retain(|_, (_, at)| now.since(*at) < crate::flood::ASKED);
        self.forget_strangers(now);
        self.drop_silent(now);
        self.say_unwanted(now);
        self.look_for_nodes(now);
        self.greet(now);
        let outputs = &mut self.outputs;
        self.far.tidy(now, |number| outputs.push_back(Output::Closed { number }));
        self.network.refresh(now);
    }

    /// Nodes that were not heard for long are gone; those that were not heard lately are given no calls.
    fn drop_silent(&mut self, now: Time) {
        let mut gone = Vec::new();
        self.let_go.retain(|&(.., until)| now < until);
        for (place, association) in (0_u16..).zip(&mut self.associations) {
            let Some(known) = association else { continue };
            if known.is_sibling || known.keeps != [false; 2] {
                known.wanted = now;
            }
            // Whom neither wants to go on with is let go, after both have said so.
            if now.since(known.heard) >= SILENCE {
                gone.push(place);
            } else if now.since(known.wanted) >= SILENCE {
                gone.push(place);
                self.let_go.push((known.node, known.start, now + SILENCE * 2));
            } else if known.is_fresh != known.may_be_used(now) {
                known.is_fresh = !known.is_fresh;
                self.network.change_ways();
            }
        }
        gone.into_iter().for_each(|place| self.drop_association(now, place));
    }

    pub(crate) fn drop_association(&mut self, now: Time, place: u16) {
        let Some(gone) = self.associations.get_mut(usize::from(place)).and_then(Option::take) else { return };
        self.number_floor = self.number_floor.max(gone.next_number);
        self.places.remove(&gone.node);
        self.network.change_ways();
        self.say(now, Fact::Link { node: gone.node, is_up: false });
    }
}
