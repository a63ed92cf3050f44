//! The state machine of the shard: datagrams, settings and time in, datagrams, frames and news out. What comes from a peer is
//! here, the extensions are in `enhanced.rs`.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use dmr::{BurstKind, DataType};
use stack::{
    Envelope, Frame, Gone, Input, MAX_DATAGRAM, Notice, Now, Output, PeerSettings, Refusal, Slot, Stack, Time,
};

use crate::legs::{Leg, Legs, MAX_OF_PEER};
use crate::packet::{self, HEAD, Packet, Signed, Way, parse};
use crate::peer::{Path, Peer, path_back, path_to};
use crate::peers::Peers;
use crate::record::{self, Decoded, Restored};

/// Rows of peers: the first ones. All others are for calls that come from them.
const MAX_PEERS: u16 = 200;
/// A burst that has come over more networks than this goes no further.
pub(crate) const MAX_HOPS: u8 = 10;

/// What the shard has to be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our own network ID, which all datagrams bear, unless a peer is to get another one.
    pub network: u32,
    /// The listen addresses, in their order.
    pub listen: Vec<SocketAddr>,
    /// How many rows there are, for peers and their calls.
    pub capacity: u16,
}

/// Our side of the protocol.
pub struct OpenBridge {
    pub(crate) network: u32,
    listen: Vec<SocketAddr>,
    pub(crate) peers: Peers,
    pub(crate) legs: Legs,
    outputs: VecDeque<Output>,
    /// Nothing is due before this.
    check_at: Option<Time>,
}

/// Something that came.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) now: Now,
    pub(crate) listener: u8,
    pub(crate) local: Option<IpAddr>,
    pub(crate) from: SocketAddr,
}

impl Stack for OpenBridge {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Datagram { listener, from, local, bytes } => {
                self.datagram(Arrival { now, listener, local, from }, bytes);
            }
            Input::Peer { id, settings: Some(settings) } => self.set_peer(now.mono, id, *settings),
            Input::Peer { id, settings: None } => {
                if let Some(row) = self.peers.of(id) {
                    self.drop_peer(row);
                }
            }
            Input::Unwanted { context, .. } => self.unwanted(now.mono, context),
            Input::Evict { id, gone: Gone::Kicked, .. } => self.kick(id),
            // An ID here is a network's, whatever device logs in elsewhere under the same.
            Input::Evict { .. } | Input::Settings { .. } | Input::Answer(_) => {}
            Input::Restore { context, bytes } => self.restore(now.mono, context, bytes),
            Input::Shutdown => {
                let all: Vec<u16> = self.peers.iter().map(|(row, _)| row).collect();
                all.into_iter().for_each(|row| self.drop_peer(row));
            }
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        let now = now.mono;
        if self.check_at.is_none_or(|at| now < at) {
            return;
        }
        self.legs.idle(now).into_iter().for_each(|row| self.drop_leg(row, true));
        self.keep_alive(now);
        self.check_at = self.legs.next_idle().into_iter().chain(self.next_keep_alive()).min();
    }

    fn deliver(
        &mut self,
        now: Now,
        context: u16,
        _slot: Slot,
        stream: u32,
        frame: &Frame,
        out: &mut [u8; MAX_DATAGRAM],
    ) -> Option<(Envelope, usize)> {
        let peer = self.peers.get(context)?;
        let path = peer.path.filter(|_| peer.is_there(now.mono) && !peer.is_quenched(stream))?;
        let way = (peer.settings.enhanced && peer.version >= 4).then(|| {
            let here = Way { server: self.network, hops: 1, ..Way::default() };
            let way = self.legs.way_of(frame.source).map_or(here, |leg| leg.way);
            (
                peer.version,
                Way { ber: frame.ber, rssi: frame.rssi, time_ns: now.wall_us.saturating_mul(1000), ..way },
            )
        });
        let network = peer.settings.own_id.unwrap_or(self.network);
        let len = packet::write_burst(out, &peer.signer, network, stream, frame, way)?;
        Some((path.envelope, len))
    }

    fn warm(&self, context: u16) {
        std::hint::black_box(self.peers.get(context).map(|peer| (peer.path, peer.legs)));
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.check_at
    }

    fn encode_record(&self, context: u16, out: &mut [u8]) -> Option<usize> {
        if let Some(peer) = self.peers.get(context) {
            return record::encode_peer(peer, out);
        }
        let leg = self.legs.get(context)?;
        record::encode_leg(self.peers.get(leg.peer)?.id, leg, out)
    }
}

impl OpenBridge {
    /// A shard that knows no peers yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { network, listen, capacity } = settings;
        let first_leg = MAX_PEERS.min(capacity / 2);
        Self {
            network,
            listen,
            peers: Peers::new(first_leg),
            legs: Legs::new(first_leg, capacity),
            outputs: VecDeque::new(),
            check_at: None,
        }
    }

    /// How many peers, calls and remembered streams there are, for tests.
    pub(crate) fn load(&self) -> (usize, usize, usize) {
        let streams = self.peers.iter().map(|(_, peer)| peer.replay.len()).sum();
        (self.peers.iter().count(), self.legs.iter().count(), streams)
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn refuse(&mut self, why: Refusal) {
        self.push(Output::Refused(why));
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.push(Output::Notice(Box::new(notice)));
    }

    pub(crate) fn wake_at(&mut self, at: Time) {
        self.check_at = Some(self.check_at.map_or(at, |check_at| check_at.min(at)));
    }

    fn datagram(&mut self, arrival: Arrival, bytes: &[u8]) {
        let Some(signed) = parse(bytes) else { return self.refuse(Refusal::Malformed) };
        let Some(row) = self.sender(arrival, &signed) else { return };
        if self.peers.get(row).and_then(Peer::address) == Some(arrival.from) {
            self.heard(arrival, row);
        }
        match signed.packet {
            Packet::Burst { head, way } => self.burst(arrival, row, head, way),
            Packet::KeepAlive | Packet::Version(_) | Packet::Quench { .. } | Packet::Stun => {
                self.control(row, signed.packet);
            }
        }
    }

    /// The peer whose key has signed it.
    fn sender(&mut self, arrival: Arrival, signed: &Signed<'_>) -> Option<u16> {
        let id = match signed.packet {
            Packet::Burst { head, .. } => {
                head.get(11..15).and_then(|id| Some(u32::from_be_bytes(*id.first_chunk()?)))
            }
            _ => None,
        };
        let (mut asked, mut found) = (None, None);
        for row in self.peers.senders(arrival.from, id) {
            asked = Some(row);
            if self.peers.get(row).is_some_and(|peer| signed.is_by(&peer.signer)) {
                found = Some(row);
                break;
            }
        }
        if found.is_none() {
            self.refuse_unsigned(arrival, asked);
        }
        found
    }

    /// Nobody's key has signed it. `asked`: whose it should have been.
    fn refuse_unsigned(&mut self, arrival: Arrival, asked: Option<u16>) {
        let Some(peer) = asked.and_then(|row| self.peers.get_mut(row)) else {
            return self.refuse(Refusal::NotLoggedIn);
        };
        let may_tell = peer.address() == Some(arrival.from) && peer.tell(arrival.now.mono);
        let id = peer.id;
        self.refuse(Refusal::WrongPassword);
        if may_tell {
            let reason =
                "not signed with the key that is set for this network: compare the keys of both sides"
                    .to_owned();
            self.notice(Notice::Refused { id, from: arrival.from, reason });
        }
    }

    /// Something came from a peer, and is its own. From another address than before only what cannot have been recorded
    /// and sent again counts as that: the beginning of a call, or a time that is newer than all.
    fn heard(&mut self, arrival: Arrival, row: u16) {
        let Arrival { now, listener, local, from } = arrival;
        let Some(peer) = self.peers.get_mut(row) else { return };
        let is_learned = peer.address() != Some(from) || peer.path.is_some_and(|path| path.is_learned);
        let path = path_back(listener, local, from, is_learned);
        let has_moved = peer.path != Some(path);
        let is_due = peer.hear(now.mono);
        if has_moved {
            self.peers.set_path(row, Some(path));
        }
        if has_moved || is_due {
            self.push(Output::Changed(row));
        }
        self.is_alive(row);
    }

    fn burst(&mut self, arrival: Arrival, row: u16, head: &[u8; HEAD], way: Option<Way>) {
        let now = arrival.now.mono;
        let head = packet::head(head, way);
        let Some(head) = head.filter(|head| head.frame.is_some()) else {
            return self.refuse(Refusal::BadFrame);
        };
        if !head.is_first_slot {
            return self.refuse(Refusal::WrongSlot);
        }
        let Some(peer) = self.peers.get_mut(row) else { return };
        let is_newest = match way.map(|way| peer.is_newest(way.time_ns)) {
            Some(None) => return self.refuse(Refusal::Replayed),
            is_newest => is_newest.flatten(),
        };
        let Some(mut frame) = head.frame else { return };
        let theirs = packet::talkgroup(&frame);
        if let Some(theirs) = theirs {
            let Some(here) = peer.takes(theirs) else { return self.refuse(Refusal::Denied) };
            frame.destination = here;
        }
        let known = self.legs.of(row, head.stream);
        let is_fresh = is_newest.unwrap_or(known.is_none());
        let leg = match known {
            Some(leg) => leg,
            None => {
                let from = peer.id;
                let way = way.map_or(Way { server: from, hops: 1, ..Way::default() }, |way| Way {
                    hops: way.hops.saturating_add(1),
                    ..way
                });
                let (stream, source, talkgroup) = (head.stream, frame.source, theirs.unwrap_or(0));
                let leg = Leg {
                    peer: row,
                    stream,
                    source,
                    talkgroup,
                    way,
                    heard: now,
                    is_over: false,
                    quenched: None,
                };
                let Some(leg) = self.begin(now, leg) else { return };
                leg
            }
        };
        let is_terminator = frame.kind == BurstKind::Data(DataType::TERMINATOR);
        if !self.legs.get_mut(leg).is_some_and(|leg| leg.take(now, is_terminator)) {
            return self.refuse(Refusal::Replayed);
        }
        if is_fresh && self.peers.get(row).and_then(Peer::address) != Some(arrival.from) {
            self.heard(arrival, row);
        }
        self.push(Output::Frame { context: leg, slot: Slot::One, stream: head.stream, frame });
    }

    /// A call begins that comes from a peer; `None` where it does not.
    fn begin(&mut self, now: Time, leg: Leg) -> Option<u16> {
        let peer = self.peers.get_mut(leg.peer)?;
        if peer.replay.is_over(leg.stream) {
            let (may_tell, id, from) = (peer.tell(now), peer.id, peer.address());
            self.refuse(Refusal::Replayed);
            if let Some(from) = from.filter(|_| may_tell) {
                let reason =
                    format!("stream {:08x} has come before: a replay, or each call has the same", leg.stream);
                self.notice(Notice::Refused { id, from, reason });
            }
            return None;
        }
        if leg.way.hops > MAX_HOPS {
            self.refuse(Refusal::TooFar);
            // Once: what follows of it begins no call either.
            if let Some(peer) = self.peers.get_mut(leg.peer) {
                peer.replay.remember(leg.stream);
            }
            self.send_quench(leg.peer, leg.talkgroup, leg.stream);
            return None;
        }
        let row = if peer.legs < MAX_OF_PEER { self.legs.insert(leg) } else { None };
        let Some(row) = row else {
            self.refuse(Refusal::Full);
            return None;
        };
        let peer = self.peers.get_mut(leg.peer)?;
        peer.legs += 1;
        let profile = Box::new(peer.leg_profile());
        self.push(Output::Changed(row));
        self.push(Output::Up { context: row, profile });
        self.wake_at(now + crate::legs::IDLE);
        Some(row)
    }

    /// A call that came from a peer has no row any more. `remember`: what still comes of it is a replay.
    fn drop_leg(&mut self, row: u16, remember: bool) {
        let Some(leg) = self.legs.remove(row) else { return };
        if let Some(peer) = self.peers.get_mut(leg.peer) {
            peer.legs = peer.legs.saturating_sub(1);
            if remember {
                peer.replay.remember(leg.stream);
            }
        }
        self.push(Output::Changed(row));
        self.push(Output::Down(row));
    }

    fn drop_legs_of(&mut self, peer: u16, remember: bool) {
        let its = self.legs.iter().filter(|(_, leg)| leg.peer == peer).map(|(row, _)| row);
        its.collect::<Vec<_>>().into_iter().for_each(|row| self.drop_leg(row, remember));
    }

    /// What is set for a peer has changed, or it is new.
    fn set_peer(&mut self, now: Time, id: u32, settings: PeerSettings) {
        let Some(row) = self.peers.of(id) else { return self.add_peer(now, id, settings) };
        let Some(peer) = self.peers.get_mut(row).filter(|peer| peer.settings != settings) else { return };
        let Some(signer) = crate::Signer::new(&settings.key) else { return };
        let is_learned = peer.path.is_some_and(|path| path.is_learned);
        let keeps_path = peer.settings.address == settings.address && (settings.learns || !is_learned);
        let (address, was_enhanced) = (settings.address, peer.settings.enhanced);
        (peer.settings, peer.signer) = (settings, signer);
        if !peer.settings.enhanced {
            peer.version = 1;
        } else if !was_enhanced {
            peer.keep_alive_at = now;
        }
        let kept = peer.path.filter(|_| keeps_path);
        let profile = Box::new(peer.profile());
        let path = kept.or_else(|| address.and_then(|address| path_to(&self.listen, address)));
        self.peers.set_path(row, path);
        self.push(Output::Changed(row));
        self.push(Output::Up { context: row, profile });
        self.tell_of_unreachable(row);
        self.wake_at(now);
    }

    fn add_peer(&mut self, now: Time, id: u32, settings: PeerSettings) {
        let address = settings.address;
        let Some(mut peer) = Peer::new(id, settings, now) else { return };
        peer.path = address.and_then(|address| path_to(&self.listen, address));
        let profile = Box::new(peer.profile());
        let Some(row) = self.peers.free().filter(|&row| self.peers.insert(row, peer)) else {
            let from = address.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
            let reason = "there is no room for one more network".to_owned();
            self.refuse(Refusal::Full);
            return self.notice(Notice::Refused { id, from, reason });
        };
        self.push(Output::Changed(row));
        self.push(Output::Up { context: row, profile });
        self.tell_of_unreachable(row);
        self.wake_at(now);
    }

    /// A peer with an address that none of our sockets can reach.
    fn tell_of_unreachable(&mut self, row: u16) {
        let Some(peer) = self.peers.get(row).filter(|peer| peer.path.is_none()) else { return };
        let (id, address) = (peer.id, peer.settings.address);
        if let Some(from) = address {
            let family = if from.is_ipv4() { "IPv4" } else { "IPv6" };
            let reason = format!(
                "no address of stacks.openbridge.listen is of {family}, as this network's is: add one"
            );
            self.notice(Notice::Refused { id, from, reason });
        }
    }

    fn drop_peer(&mut self, row: u16) {
        self.drop_legs_of(row, false);
        if self.peers.remove(row).is_some() {
            self.push(Output::Changed(row));
            self.push(Output::Down(row));
        }
    }

    /// An operator has thrown a network out: its calls end, and a learned address is forgotten.
    fn kick(&mut self, id: u32) {
        let Some(row) = self.peers.of(id) else { return };
        self.drop_legs_of(row, true);
        let Some(Path { is_learned: true, .. }) = self.peers.get(row).and_then(|peer| peer.path) else {
            return;
        };
        let address = self.peers.get(row).and_then(|peer| peer.settings.address);
        self.peers.set_path(row, address.and_then(|address| path_to(&self.listen, address)));
        self.push(Output::Changed(row));
    }

    fn restore(&mut self, now: Time, row: u16, bytes: &[u8]) {
        match record::decode(now, bytes) {
            Some(Decoded::Peer(mut peer)) => {
                // What was noted may be of before.
                peer.heard = peer.heard.map(|at| at.min(now));
                peer.noted = peer.heard;
                let listeners = self.listen.len();
                peer.path = peer.path.filter(|path| usize::from(path.envelope.listener) < listeners);
                let profile = Box::new(peer.profile());
                if !self.peers.insert(row, *peer) {
                    return self.refuse(Refusal::Malformed);
                }
                self.push(Output::Up { context: row, profile });
                self.wake_at(now);
            }
            Some(Decoded::Leg(Restored { peer, leg })) => {
                let known =
                    self.peers.of(peer).and_then(|peer| Some((peer, self.peers.get(peer)?.leg_profile())));
                let Some((peer, profile)) =
                    known.filter(|&(peer, _)| self.legs.put(row, Leg { peer, ..leg }))
                else {
                    return self.refuse(Refusal::Malformed);
                };
                if let Some(peer) = self.peers.get_mut(peer) {
                    peer.legs += 1;
                }
                self.push(Output::Up { context: row, profile: Box::new(profile) });
                self.wake_at(now + crate::legs::IDLE);
            }
            None => self.refuse(Refusal::Malformed),
        }
    }
}
