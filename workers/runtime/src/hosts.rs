//! Other hosts: how their bursts come in, by this worker's socket and by the rings of siblings, are put in order and given to the switch,
//! and how bursts of calls that begin here go out.

use std::net::UdpSocket;

use channel::{
    ContactReport, FarReport, FastForwardSetup, HOSTS_TIME, HostReport, NodeReport, Report, SameIdReport,
};
use fabric::{Counter, Stats};
use fastforward::{Counters, FastForward, HostStatus, Input, MAX_DATAGRAM, NetworkKey, Output, Settings};
use jitter::Buffers;
use stack::{CallType, Now, Time};
use switch::{FAR, FarBurst, Forward, PARROT, SessionId, SessionReport};
use transport::{Address, Carrier};

use crate::carrier::{RECEIVED, Udp};
use crate::siblings::Heard;
use crate::worker::Worker;

/// Of the socket to other hosts.
pub(crate) const TOKEN: u64 = u64::MAX - 2;

/// Far calls of which the services are told.
const MOST_CALLS: usize = 512;

/// A far session as a sibling, or this worker itself, means it by a number.
#[derive(Clone, Copy)]
struct Meant {
    session: SessionId,
    /// Its buffer; `None` where nobody here wants it.
    buffer: Option<u16>,
    /// When that was asked, in changes of what is wanted here.
    asked: u64,
}

/// The way to other hosts, and what has come over it.
pub(crate) struct Hosts {
    node: FastForward,
    carrier: Udp,
    /// A datagram on its way in or out.
    scratch: Box<[u8; MAX_DATAGRAM]>,
    counters: Counters,
    next_report: Time,
}

/// What waits to be put in order, of all far sessions.
pub(crate) struct FarCalls {
    buffers: Buffers,
    /// By the slot of who took them in, and by their numbers there.
    meant: Vec<Vec<Option<Meant>>>,
    /// How often it has changed what is wanted here.
    changes: u64,
}

impl Default for FarCalls {
    fn default() -> Self {
        Self { buffers: Buffers::new(), meant: Vec::new(), changes: 0 }
    }
}

impl Hosts {
    /// `seed`: random bytes. `node`: of this worker.
    pub(crate) fn new(
        setup: &FastForwardSetup,
        node: u32,
        socket: UdpSocket,
        seed: [u8; 32],
        now: Now,
    ) -> Self {
        let local = if setup.listen.is_unspecified() {
            match setup.listen {
                std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            }
        } else {
            setup.listen
        };
        let mut node = FastForward::new(Settings {
            node,
            host: setup.nodes.first().map_or(node, |&(first, _)| first),
            nodes: setup.nodes.clone(),
            local: Address::udp((local, 0).into()),
            keys: setup.keys.iter().map(|&key| NetworkKey::new(key)).collect(),
            start: now.wall_us / 1000,
            seed,
        });
        for &host in &setup.hosts {
            let address = Address::udp(host);
            node.handle_input(now, Input::Host { address, host: None, is_wanted: true });
        }
        Self {
            node,
            carrier: Udp::new(socket),
            scratch: Box::new([0; MAX_DATAGRAM]),
            counters: Counters::default(),
            next_report: Time::default(),
        }
    }

    pub(crate) fn socket(&self) -> &UdpSocket {
        self.carrier.socket()
    }

    pub(crate) fn tell(&mut self, now: Now, input: Input<'_>) {
        self.node.handle_input(now, input);
    }

    /// A call began here.
    pub(crate) fn started(&mut self, now: Now, index: u16, report: &SessionReport) {
        let goes_out = is_routed(report.call, report.destination);
        self.node.handle_input(now, Input::Started { index, report, goes_out });
    }

    /// A radio was heard here. Returns the time to note for it.
    pub(crate) fn heard(&mut self, now: Now, radio: u32, at_ms: u64) -> u64 {
        self.node.heard(now, radio, at_ms)
    }

    /// Where another host has heard a radio last.
    pub(crate) fn locate(&self, radio: u32) -> Option<(u32, u64)> {
        self.node.locate(radio)
    }

    /// Sends what the round has made.
    fn flush(&mut self, now: Now, stats: &Stats) {
        while let Some((to, len)) = self.node.poll_transmit(now, &mut self.scratch[..]) {
            self.carrier.send(&to, &self.scratch[..len]);
        }
        self.carrier.flush();
        self.carrier.count(stats);
        let counters = self.node.counters();
        if counters != self.counters {
            let before = std::mem::replace(&mut self.counters, counters);
            let add = |counter, now: u64, before: u64| stats.add(counter, now - before);
            add(Counter::RefusedMalformed, counters.malformed, before.malformed);
            add(Counter::RefusedPassword, counters.unauthenticated, before.unauthenticated);
            add(Counter::RefusedReplayed, counters.replayed, before.replayed);
            add(Counter::RefusedNotLoggedIn, counters.unproven, before.unproven);
            add(Counter::RefusedTooFar, counters.too_far + counters.looped, before.too_far + before.looped);
            add(Counter::RefusedFull, counters.full, before.full);
            add(Counter::Duplicate, counters.doubled, before.doubled);
            add(Counter::Late, counters.late, before.late);
        }
    }
}

impl Worker {
    /// What came to the socket. Returns how much.
    pub(crate) fn hear_hosts(&mut self, now: Now) -> usize {
        self.work_on(None);
        let Some(hosts) = &mut self.hosts else { return 0 };
        let count = hosts.carrier.receive(&self.stats);
        for at in 0..count {
            let Some(hosts) = &mut self.hosts else { break };
            let Some((from, len)) = hosts.carrier.get(at, &mut hosts.scratch) else { continue };
            hosts.node.handle_input(now, Input::Datagram { from, bytes: &mut hosts.scratch[..len] });
            self.drain_hosts(now);
        }
        count
    }

    /// Whether there is more than fits a round.
    pub(crate) fn is_behind_hosts(count: usize) -> bool {
        count >= RECEIVED
    }

    /// Carries outputs of the node to where they belong.
    fn drain_hosts(&mut self, now: Now) {
        while let Some(output) = self.hosts.as_mut().and_then(|hosts| hosts.node.poll_output()) {
            match output {
                Output::Opened { number, call } => self.siblings.opened(number, &call),
                Output::Burst { number, session, sequence, sent_ms, forward } => {
                    let forward = Forward { index: number, ..forward };
                    let burst = FarBurst { sent_ms, sequence, forward };
                    self.siblings.pass_on(&self.stats, &burst);
                    if !self.relays.is_empty() {
                        self.relays.pass_on(&self.stats, session.node, &burst);
                    }
                    let slot = self.siblings.slot();
                    self.take_far(now, slot, session, burst);
                }
                Output::Closed { number } => self.siblings.closed(number),
            }
        }
    }

    /// A burst of a far session, as the worker in `slot` took it in: it waits for its turn, if somebody here wants it.
    fn take_far(&mut self, now: Now, slot: u8, session: SessionId, burst: FarBurst) {
        let (slot, index) = (usize::from(slot), usize::from(burst.forward.index));
        let changes = self.far.changes;
        let known = self.far.meant.get(slot).and_then(|numbers| *numbers.get(index)?);
        let known = known
            .filter(|meant| meant.session == session && (meant.buffer.is_some() || meant.asked == changes));
        let meant = match known {
            Some(meant) => meant,
            None => self.mean(now, slot, index, session, &burst.forward),
        };
        let Some(number) = meant.buffer else { return };
        let waiting =
            jitter::Burst { sequence: burst.sequence, sent_ms: burst.sent_ms, forward: burst.forward };
        if !self.far.buffers.push(now.mono, number, session, waiting) {
            let Meant { buffer: Some(number), .. } = self.mean(now, slot, index, session, &burst.forward)
            else {
                return;
            };
            self.far.buffers.push(now.mono, number, session, waiting);
        }
        self.release_far(now);
    }

    /// Finds out which buffer a session has, and whether it is to have one.
    #[cold]
    fn mean(&mut self, now: Now, slot: usize, index: usize, session: SessionId, forward: &Forward) -> Meant {
        let is_wanted = self.switch.wants(forward);
        let buffer = if is_wanted { self.far.buffers.find_or_open(now.mono, session) } else { None };
        let meant = Meant { session, buffer, asked: self.far.changes };
        let all = &mut self.far.meant;
        if all.len() <= slot {
            all.resize_with(slot + 1, Vec::new);
        }
        let numbers = &mut all[slot];
        if numbers.len() <= index {
            numbers.resize(index + 1, None);
        }
        numbers[index] = Some(meant);
        meant
    }

    /// Gives the switch what is next of far sessions.
    fn release_far(&mut self, now: Now) {
        while let Some(jitter::Output { node, forward, .. }) = self.far.buffers.poll_output() {
            self.stats.add(Counter::Frames, 1);
            self.switch.handle_input(now, switch::Input::Remote { peer: FAR, node, forward: &forward });
            self.warm();
            self.settle(now);
        }
    }

    /// Takes in what siblings have passed on of far sessions.
    pub(crate) fn hear_far(&mut self, now: Now, heard: &mut Heard) {
        for (slot, session, burst) in heard.far.drain(..) {
            self.take_far(now, slot, session, burst);
        }
    }

    /// What is wanted here has changed: who was turned away may be wanted now.
    pub(crate) fn note_wishes(&mut self) {
        self.far.changes += 1;
    }

    /// Does what is due for other hosts.
    pub(crate) fn do_what_is_due_for_hosts(&mut self, now: Now) {
        if self.far.buffers.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.work_on(None);
            self.far.buffers.handle_timeout(now.mono);
            self.release_far(now);
        }
        let is_due = |hosts: &Hosts| hosts.node.poll_timeout().is_some_and(|at| at <= now.mono);
        if let Some(hosts) = self.hosts.as_mut().filter(|hosts| is_due(hosts)) {
            hosts.node.handle_timeout(now);
            self.drain_hosts(now);
            self.report_hosts(now);
        }
    }

    /// Tells the services, now and then, how other hosts are.
    fn report_hosts(&mut self, now: Now) {
        let Some(hosts) = self.hosts.as_mut().filter(|hosts| now.mono >= hosts.next_report) else { return };
        hosts.next_report = now.mono + HOSTS_TIME;
        for status in hosts.node.nodes() {
            let measured = status.measured;
            let report = NodeReport {
                node: status.node,
                host: status.host,
                address: status.address.socket,
                is_heard: status.is_fresh,
                rtt_us: measured.rtt_us,
                jitter_us: measured.jitter_us,
                loss: [measured.loss_here, measured.loss_there],
                datagrams: measured.datagrams,
                bytes: measured.bytes,
            };
            self.services.report(&self.stats, &Report::Node(report));
        }
        for (address, host) in hosts.node.configured() {
            let report = ContactReport { address: address.socket, host };
            self.services.report(&self.stats, &Report::Contact(report));
        }
        if let Some((node, address)) = hosts.node.same_id(now.mono) {
            let report = SameIdReport { node, address: address.socket };
            self.services.report(&self.stats, &Report::SameId(report));
        }
        for HostStatus { host, hops, nodes, ranges } in hosts.node.hosts() {
            self.services.report(&self.stats, &Report::Host(HostReport { host, hops, nodes, ranges }));
        }
        for (node, health) in self.far.buffers.health() {
            let micros = |time: std::time::Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
            let report = FarReport {
                node,
                host: hosts.node.host_of(node).unwrap_or_default(),
                bursts: health.bursts,
                duplicates: health.duplicates,
                late: health.late,
                lost: health.lost,
                concealed: health.concealed,
                jitter_us: micros(health.jitter),
                delay_us: micros(health.delay),
            };
            self.services.report(&self.stats, &Report::Far(report));
        }
        // Last, and not all of very many: there is room for other reports as well.
        let calls = hosts.node.far_calls(now.mono).take(MOST_CALLS);
        for call in calls {
            self.services.report(&self.stats, &Report::FarCall(call));
        }
    }

    /// When something is due for other hosts.
    pub(crate) fn hosts_timeout(&self) -> Option<Time> {
        let node = self.hosts.as_ref().and_then(|hosts| hosts.node.poll_timeout());
        node.into_iter().chain(self.far.buffers.poll_timeout()).min()
    }

    /// Sends what goes to other hosts.
    pub(crate) fn flush_hosts(&mut self, now: Now) {
        if let Some(hosts) = &mut self.hosts {
            hosts.flush(now, &self.stats);
        }
    }

    /// Tells other hosts something, if there is a way to them.
    pub(crate) fn tell_hosts(&mut self, now: Now, input: Input<'_>) {
        if let Some(hosts) = &mut self.hosts {
            hosts.tell(now, input);
        }
    }

    /// Where the radio of a private call is, here, at a sibling or at another host: the newest place is right.
    pub(crate) fn locate(&mut self, now: Now, index: u16, radio: u32) -> switch::Place {
        let there = self.hosts.as_ref().and_then(|hosts| hosts.locate(radio));
        let (place, node) = self.siblings.locate(index, radio, there);
        self.tell_hosts(now, Input::Located { index, node });
        place
    }
}

/// Whether a call is for a talkgroup of which others may be members.
pub(crate) fn is_routed(call: CallType, destination: u32) -> bool {
    call == CallType::Group && destination != PARROT
}
