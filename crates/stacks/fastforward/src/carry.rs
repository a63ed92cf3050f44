//! The way of bursts: those of sessions that begin here out to each host that wants them, those of other hosts in, each once, and on to
//! the hosts behind this one.

use dmr::{BurstKind, DataType};
use stack::{CallType, Now, Time};
use switch::{FarCall, Forward, SessionId, SessionReport};

use crate::contacts::affinity;
use crate::io::Output;
use crate::node::FastForward;
use crate::sessions::{Local, Routes, Standing, Target};
use crate::wire::{MAX_HOPS, WireBurst};

/// Set in the number that a session of another host has for those whom it is handed on to.
const RELAYED: u16 = 0x8000;
/// A session that began earlier goes on here from another worker: of a new one it is told as it begins.
const IS_NEW_US: u64 = 1_000;
/// Then its bursts are counted from more than there can have been: one comes in 60 ms, and some more at its beginning.
const FASTEST_US: u64 = 50_000;
const JUMP: u64 = 16;
/// What is older has not been measured with one clock.
const LONGEST_US: u64 = 600_000_000;
/// Bursts that wait at most.
const MAX_EARLY: usize = 1024;

impl FastForward {
    /// A session of a context here began.
    pub(crate) fn started(&mut self, now: Now, index: u16, report: &SessionReport, goes_out: bool) {
        let target = match report.call {
            CallType::Group if goes_out => Target::Talkgroup(report.destination),
            _ => Target::Radio(None),
        };
        let age_us = now.wall_us.saturating_sub(report.session.key >> 12).min(LONGEST_US);
        let is_new = report.bursts == 0 && age_us < IS_NEW_US;
        // Whoever had it before has counted fewer: more come in no time.
        let most = (age_us / FASTEST_US).max(u64::from(report.bursts) * 6 / 5) + JUMP;
        #[expect(clippy::cast_possible_truncation, reason = "sequences wrap")]
        let next = if is_new { 0 } else { most as u16 };
        let place = usize::from(index);
        if self.locals.len() <= place {
            self.locals.resize_with(place + 1, || None);
        }
        let mut routes = self.spare_locals.pop().map_or_else(Routes::default, |spare| spare.routes);
        routes.made_for = None;
        self.locals[place] = Some(Local { session: report.session, target, next, routes });
    }

    /// Where the radio of a private call that began here is.
    pub(crate) fn located(&mut self, index: u16, node: Option<u32>) {
        if let Some(Some(local)) = self.locals.get_mut(usize::from(index))
            && let Target::Radio(target) = &mut local.target
        {
            *target = node;
            local.routes.made_for = None;
        }
    }

    pub(crate) fn stopped(&mut self, index: u16) {
        if let Some(local) = self.locals.get_mut(usize::from(index)).and_then(Option::take) {
            self.spare_locals.push(local);
        }
    }

    /// A burst of a session that began here goes to each host that wants it.
    #[inline]
    pub(crate) fn forward(&mut self, now: Time, forward: &Forward) {
        let Some(Some(local)) = self.locals.get_mut(usize::from(forward.index)) else { return };
        let (session, target, sequence) = (local.session, local.target, local.next);
        local.next = sequence.wrapping_add(1);
        if local.routes.made_for != Some(self.network.version_of(target.talkgroup())) {
            let mut routes = std::mem::take(&mut local.routes);
            self.make_routes(&mut routes, session, target, self.settings.host, self.settings.host);
            if let Some(Some(local)) = self.locals.get_mut(usize::from(forward.index)) {
                local.routes = routes;
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "it wraps")]
        let sent_ms = (now.0 / 1000) as u16;
        let burst =
            WireBurst { hops: MAX_HOPS, session, index: forward.index, sequence, sent_ms, forward: *forward };
        let Some(Some(local)) = self.locals.get(usize::from(forward.index)) else { return };
        if local.routes.to.is_empty() {
            return self.wait_early(now, burst);
        }
        let frame = burst.encode();
        for at in 0..local.routes.to.len() {
            let Some(Some(local)) = self.locals.get(usize::from(forward.index)) else { return };
            let place = local.routes.to[at];
            self.put(now, place, &frame);
        }
    }

    /// Just after a start nobody is known who wants a call, but may be in a moment.
    fn wait_early(&mut self, now: Time, burst: WireBurst) {
        if self.is_early_until.is_none_or(|until| now < until) && self.early.len() < MAX_EARLY {
            self.early.push(burst);
        }
    }

    /// Sends what waits for those who want it: they are known now, or there are none.
    pub(crate) fn send_early(&mut self, now: Time) {
        if self.early.is_empty() {
            return;
        }
        let is_over = self.is_early_until.is_some_and(|until| now >= until);
        let mut early = std::mem::take(&mut self.early);
        early.retain(|burst| {
            let place = usize::from(burst.index);
            let local = self.locals.get_mut(place).and_then(Option::as_mut);
            let Some(local) = local.filter(|local| local.session == burst.session) else { return false };
            let target = local.target;
            let mut routes = std::mem::take(&mut local.routes);
            if routes.made_for != Some(self.network.version_of(target.talkgroup())) {
                self.make_routes(&mut routes, burst.session, target, self.settings.host, self.settings.host);
            }
            let frame = burst.encode();
            routes.to.iter().for_each(|&to| self.put(now, to, &frame));
            let is_sent = !routes.to.is_empty();
            if let Some(Some(local)) = self.locals.get_mut(place) {
                local.routes = routes;
            }
            !is_sent && !is_over
        });
        self.early = early;
    }

    /// A burst of another host came.
    #[inline]
    pub(crate) fn burst(&mut self, now: Time, place: u16, burst: &WireBurst) {
        let Some(number) = self.number_of(place, burst) else { return };
        let is_end = burst.forward.frame.kind == BurstKind::Data(DataType::TERMINATOR);
        match self.far.take(now, number, burst.sequence, is_end) {
            Standing::New => {}
            Standing::Double => {
                self.counters.doubled += 1;
                return;
            }
            Standing::Late => {
                self.counters.late += 1;
                return;
            }
        }
        self.hand_over(now, number, burst);
        let WireBurst { session, sequence, sent_ms, forward, .. } = *burst;
        self.outputs.push_back(Output::Burst { number, session, sequence, sent_ms, forward });
    }

    /// The session of a burst; `None` where it is not taken.
    fn number_of(&mut self, place: u16, burst: &WireBurst) -> Option<u16> {
        let (session, index) = (burst.session, usize::from(burst.index));
        let known = self.association(place)?.numbers.get(index).copied();
        match known.filter(|&number| self.far.is(number, session)) {
            Some(number) => Some(number),
            None => {
                let number = self.find_or_open(place, burst)?;
                let numbers = &mut self.association_mut(place)?.numbers;
                if numbers.len() <= index {
                    numbers.resize(index + 1, u16::MAX);
                }
                numbers[index] = number;
                Some(number)
            }
        }
    }

    #[cold]
    fn find_or_open(&mut self, place: u16, burst: &WireBurst) -> Option<u16> {
        let session = burst.session;
        if self.network.host_of(session.node) == Some(self.settings.host)
            || self.settings.nodes.iter().any(|&(node, _)| node == session.node)
        {
            self.counters.looped += 1;
            return None;
        }
        if let Some(number) = self.far.find(session) {
            return Some(number);
        }
        let frame = &burst.forward.frame;
        if frame.kind == BurstKind::Data(DataType::TERMINATOR) {
            // Nothing is known of what it ends.
            self.counters.late += 1;
            return None;
        }
        let from = self.association(place)?.host;
        let call = FarCall {
            session,
            slot: burst.forward.slot,
            source: frame.source,
            destination: frame.destination,
            call: frame.call,
        };
        let Some(number) = self.far.open(call, from) else {
            self.counters.full += 1;
            return None;
        };
        self.outputs.push_back(Output::Opened { number, call });
        Some(number)
    }

    /// Hands a burst on to the hosts behind this one.
    fn hand_over(&mut self, now: Time, number: u16, burst: &WireBurst) {
        let Some(far) = self.far.get(number) else { return };
        let Some(FarCall { call, destination, .. }) = far.call else { return };
        let talkgroup = (call == CallType::Group).then_some(destination);
        if far.routes.made_for != Some(self.network.version_of(talkgroup)) {
            let from = far.from;
            let mut routes = std::mem::take(&mut far.routes);
            let target = match call {
                CallType::Group => Target::Talkgroup(destination),
                CallType::Private => Target::Radio(self.network.heard(destination).map(|(node, _)| node)),
            };
            let root = self.network.host_of(burst.session.node);
            let root = root.filter(|&root| self.network.topology().has_host(root)).unwrap_or(from);
            self.make_routes(&mut routes, burst.session, target, root, from);
            if let Some(far) = self.far.get(number) {
                far.routes = routes;
            }
        }
        let Some(far) = self.far.get(number) else { return };
        if far.routes.to.is_empty() {
            return;
        }
        if burst.hops <= 1 {
            self.counters.too_far += 1;
            return;
        }
        let frame = WireBurst { hops: burst.hops - 1, index: RELAYED | number, ..*burst }.encode();
        let count = far.routes.to.len();
        for at in 0..count {
            if let Some(place) = self.far.get(number).and_then(|far| far.routes.to.get(at).copied()) {
                self.put(now, place, &frame);
            }
        }
    }

    /// Finds out which hosts are handed a session from here, and which of their nodes takes it: one copy for each host.
    fn make_routes(&mut self, routes: &mut Routes, session: SessionId, target: Target, root: u32, from: u32) {
        routes.to.clear();
        routes.made_for = Some(self.network.version_of(target.talkgroup()));
        let own = self.settings.host;
        let (mut hosts, mut wanting) = (Vec::new(), Vec::new());
        let wants = |node: u32| {
            hosts.extend(self.network.host_of(node));
            wanting.extend(self.places.get(&node).copied());
        };
        match target {
            Target::Talkgroup(talkgroup) => self.network.wanting(talkgroup).for_each(wants),
            Target::Radio(node) => node.into_iter().for_each(wants),
        }
        hosts.sort_unstable();
        hosts.dedup();
        let mut hops: Vec<u32> = Vec::new();
        for host in hosts.into_iter().filter(|&host| host != own && host != root && host != from) {
            if let Some(hop) = self.network.topology().next_hop(root, own, host)
                && !hops.contains(&hop)
            {
                hops.push(hop);
            }
        }
        for hop in hops {
            #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
            let lot = |node: u32| affinity((session.key >> 12) as u32 ^ session.key as u32, node);
            let best = self
                .all()
                .filter(|(_, known)| known.host == hop)
                .min_by_key(|(place, known)| (!known.is_fresh, !wanting.contains(place), lot(known.node)));
            routes.to.extend(best.map(|(place, _)| place));
        }
    }
}
