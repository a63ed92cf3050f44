//! What workers tell of other hosts, kept for as long as they tell it again: who can be reached, how well, and what came of the
//! calls from there. Where other hosts should be is elsewhere ([`crate::hosts`]); nothing here sends or asks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use channel::{ContactReport, FarReport, HOSTS_TIME, HostReport, NodeReport, SameIdReport};
use control::{FarCallsInfo, HostInfo, LinkInfo, SameIdInfo};
use events::Event;
use metrics::HostView;
use stack::Time;
use switch::{FarCall, SessionId};

/// What was not told again for so long is no longer so.
const KEPT: Duration = HOSTS_TIME.saturating_mul(3);
/// A call that was not told again for so long is over.
const LATELY: Duration = HOSTS_TIME.saturating_mul(3).checked_div(2).unwrap();
/// Of each kind so much is kept of one worker.
const MAX_KEPT: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// By slot.
    workers: BTreeMap<u8, Told>,
    /// The hosts that were said to be reached.
    up: BTreeSet<u32>,
}

/// What one worker has told.
#[derive(Debug, Default)]
struct Told {
    /// Nodes, by their IDs.
    nodes: Kept<u32, NodeReport>,
    /// Other hosts, by their IDs.
    hosts: Kept<u32, HostReport>,
    /// By node where calls began.
    far: Kept<u32, FarReport>,
    /// What came of a host's calls, nodes that are forgotten among it, without times.
    calls: Kept<u32, FarCallsInfo>,
    /// Where other hosts should be, and who was found there.
    contacts: Kept<SocketAddr, Option<u32>>,
    /// Calls that come in there.
    running: Kept<SessionId, FarCall>,
    /// IDs of this host that nodes elsewhere have.
    same_ids: Kept<SocketAddr, u32>,
}

/// Values by key, each with when it was told last.
#[derive(Debug)]
struct Kept<K, T>(BTreeMap<K, (Time, T)>);

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, T> Kept<K, T> {
    /// What is beyond the room there is goes unheard.
    fn note(&mut self, now: Time, key: K, value: T) {
        if self.0.len() < MAX_KEPT || self.0.contains_key(&key) {
            self.0.insert(key, (now, value));
        }
    }

    fn forget(&mut self, now: Time) {
        self.0.retain(|_, (at, _)| now.since(*at) < KEPT);
    }

    fn get(&self, key: &K) -> Option<&T> {
        self.0.get(key).map(|(_, value)| value)
    }

    fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values().map(|(_, value)| value)
    }
}

impl Told {
    /// A worker counts from its start, and forgets nodes: what is new is added to what was before.
    fn far(&mut self, now: Time, report: FarReport) {
        let before = self.far.get(&report.node).copied();
        let host = if report.host > 0 { report.host } else { before.map_or(0, |before| before.host) };
        let base = before.filter(|before| before.bursts <= report.bursts);
        let since =
            |count: fn(&FarReport) -> u64| count(&report).saturating_sub(base.as_ref().map_or(0, count));
        let new = FarCallsInfo {
            bursts: since(|far| far.bursts),
            lost: since(|far| far.lost),
            concealed: since(|far| far.concealed),
            late: since(|far| far.late),
            duplicates: since(|far| far.duplicates),
            ..FarCallsInfo::default()
        };
        let calls = self.calls.get(&host).map_or(new, |before| together(before, &new));
        self.calls.note(now, host, calls);
        self.far.note(now, report.node, FarReport { host, ..report });
    }

    fn forget(&mut self, now: Time) {
        self.nodes.forget(now);
        self.hosts.forget(now);
        self.far.forget(now);
        self.calls.forget(now);
        self.contacts.forget(now);
        self.running.forget(now);
        self.same_ids.forget(now);
    }

    fn nodes_of(&self, host: u32) -> impl Iterator<Item = &NodeReport> {
        self.nodes.values().filter(move |node| node.host == host)
    }

    /// How a host is for this worker: of several nodes that are heard the worst counts.
    fn view(&self, host: u32) -> HostView {
        let heard = || self.nodes_of(host).filter(|node| node.is_heard && node.rtt_us > 0);
        let calls = self.calls.get(&host).copied().unwrap_or_default();
        HostView {
            host,
            rtt_us: heard().map(|node| node.rtt_us).max(),
            jitter_us: heard().map(|node| node.jitter_us).max(),
            loss: heard()
                .map(|node| node.loss)
                .reduce(|one, other| [one[0].max(other[0]), one[1].max(other[1])]),
            bursts: calls.bursts,
            lost: calls.lost,
            concealed: calls.concealed,
        }
    }
}

impl Reach {
    /// A worker speaks with a node.
    pub(crate) fn node(&mut self, slot: u8, now: Time, report: NodeReport) {
        self.of(slot).nodes.note(now, report.node, report);
    }

    /// A worker can reach another host.
    pub(crate) fn host(&mut self, slot: u8, now: Time, report: HostReport) {
        self.of(slot).hosts.note(now, report.host, report);
    }

    /// What came to a worker of calls that began at a node.
    pub(crate) fn far(&mut self, slot: u8, now: Time, report: FarReport) {
        self.of(slot).far(now, report);
    }

    /// Who answers a worker from where another host should be.
    pub(crate) fn contact(&mut self, slot: u8, now: Time, report: ContactReport) {
        self.of(slot).contacts.note(now, report.address, report.host);
    }

    /// A call of another host comes in at a worker.
    pub(crate) fn call(&mut self, slot: u8, now: Time, report: FarCall) {
        self.of(slot).running.note(now, report.session, report);
    }

    /// A node elsewhere has an ID of this host.
    pub(crate) fn same_id(&mut self, slot: u8, now: Time, report: SameIdReport) {
        self.of(slot).same_ids.note(now, report.address, report.node);
    }

    fn of(&mut self, slot: u8) -> &mut Told {
        self.workers.entry(slot).or_default()
    }

    /// What workers have told that are no more is forgotten at once, and what is not told any more.
    pub(crate) fn forget(&mut self, now: Time, slots: &[u8]) {
        self.workers.retain(|slot, _| slots.contains(slot));
        self.workers.values_mut().for_each(|told| told.forget(now));
    }

    /// Hosts that are reached now and were not, or the other way round, since this was asked last.
    pub(crate) fn take_changes(&mut self) -> Vec<Event> {
        let now = self.by_id();
        let gone = self.up.iter().filter(|host| !now.contains_key(host));
        let mut changes: Vec<Event> = gone.map(|&host_id| Event::HostGone { host_id }).collect();
        let new = now.values().filter(|report| !self.up.contains(&report.host));
        changes.extend(new.map(|report| Event::HostReached { host_id: report.host, hops: report.hops }));
        self.up = now.into_keys().collect();
        changes
    }

    /// The other hosts that some worker can reach: the nearest way, and the most that one knows of it.
    fn by_id(&self) -> BTreeMap<u32, HostReport> {
        let mut all: BTreeMap<u32, HostReport> = BTreeMap::new();
        for report in self.workers.values().flat_map(|told| told.hosts.values()) {
            let known = all.entry(report.host).or_insert(*report);
            known.hops = known.hops.min(report.hops);
            known.nodes = known.nodes.max(report.nodes);
            known.ranges = known.ranges.max(report.ranges);
        }
        all
    }

    /// Whether some worker can reach a host.
    pub(crate) fn reaches(&self, host: u32) -> bool {
        self.workers.values().any(|told| told.hosts.get(&host).is_some())
    }

    /// The host that has answered from an address, if one has: one that can be reached, where there are several.
    pub(crate) fn found_at(&self, address: SocketAddr) -> Option<u32> {
        let found = self.workers.values().filter_map(|told| *told.contacts.get(&address)?);
        found.max_by_key(|&host| self.reaches(host))
    }

    /// The calls of other hosts that were told of lately, the oldest first, each with the worker that it comes in at.
    pub(crate) fn running(&self, now: Time) -> impl Iterator<Item = (u8, FarCall)> {
        let mut calls: BTreeMap<SessionId, (Time, u8, FarCall)> = BTreeMap::new();
        for (&slot, told) in &self.workers {
            let lately = told.running.0.values().filter(|(at, _)| now.since(*at) < LATELY);
            for &(at, call) in lately {
                let known = calls.entry(call.session).or_insert((at, slot, call));
                // It goes on at another worker.
                *known = if known.0 < at { (at, slot, call) } else { *known };
            }
        }
        calls.into_values().map(|(_, slot, call)| (slot, call))
    }

    /// Nodes elsewhere that have IDs of this host, by address.
    pub(crate) fn same_ids(&self) -> Vec<SameIdInfo> {
        let all = self.workers.values().flat_map(|told| &told.same_ids.0);
        let all: BTreeMap<SocketAddr, u32> = all.map(|(&address, &(_, node))| (address, node)).collect();
        all.into_iter().map(|(address, node)| SameIdInfo { node, address }).collect()
    }

    /// The other hosts, by ID.
    pub(crate) fn list(&self) -> Vec<HostInfo> {
        let hosts = self.by_id().into_values();
        hosts
            .map(|HostReport { host, hops, nodes, ranges }| HostInfo {
                host,
                hops,
                nodes,
                ranges,
                links: self.links(host),
                calls: self.calls(host),
            })
            .collect()
    }

    fn links(&self, host: u32) -> Vec<LinkInfo> {
        let all = self.workers.iter();
        all.flat_map(|(&slot, told)| told.nodes_of(host).map(move |node| link(slot, node))).collect()
    }

    fn calls(&self, host: u32) -> Option<FarCallsInfo> {
        let all = self.workers.values().filter_map(|told| told.calls.get(&host));
        let mut calls = all.copied().reduce(|one, other| together(&one, &other))?;
        for far in self.workers.values().flat_map(|told| told.far.values()).filter(|far| far.host == host) {
            calls.jitter_us = calls.jitter_us.max(far.jitter_us);
            calls.delay_us = calls.delay_us.max(far.delay_us);
        }
        Some(calls)
    }

    /// The other hosts as metrics see them, by slot of who can reach them.
    pub(crate) fn views(&self) -> BTreeMap<u8, Vec<HostView>> {
        let of = |told: &Told| told.hosts.values().map(|report| told.view(report.host)).collect();
        self.workers.iter().map(|(&slot, told)| (slot, of(told))).collect()
    }
}

/// The bursts of both; what a worker says is not trusted to be little.
fn together(one: &FarCallsInfo, other: &FarCallsInfo) -> FarCallsInfo {
    FarCallsInfo {
        bursts: one.bursts.saturating_add(other.bursts),
        lost: one.lost.saturating_add(other.lost),
        concealed: one.concealed.saturating_add(other.concealed),
        late: one.late.saturating_add(other.late),
        duplicates: one.duplicates.saturating_add(other.duplicates),
        ..FarCallsInfo::default()
    }
}

fn link(slot: u8, report: &NodeReport) -> LinkInfo {
    let NodeReport { node, address, is_heard, rtt_us, jitter_us, loss, datagrams, bytes, .. } = *report;
    let is_measured = rtt_us > 0;
    let percent = |of_ten_thousand: u16| is_measured.then(|| f64::from(of_ten_thousand) / 100.0);
    LinkInfo {
        worker: slot.into(),
        node,
        transport: "udp".to_owned(),
        address,
        heard: is_heard,
        rtt_us: is_measured.then_some(rtt_us),
        jitter_us: is_measured.then_some(jitter_us),
        loss_out_percent: percent(loss[1]),
        loss_in_percent: percent(loss[0]),
        datagrams_out: datagrams[0],
        datagrams_in: datagrams[1],
        bytes_out: bytes[0],
        bytes_in: bytes[1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn node(node: u32, host: u32, rtt_us: u32) -> NodeReport {
        NodeReport {
            node,
            host,
            address: "192.0.2.1:54000".parse().unwrap(),
            is_heard: true,
            rtt_us,
            jitter_us: rtt_us / 10,
            loss: [25, 100],
            datagrams: [1, 2],
            bytes: [3, 4],
        }
    }

    fn host(host: u32, hops: u8) -> HostReport {
        HostReport { host, hops, nodes: 2, ranges: 7 }
    }

    fn far(node: u32, host: u32, bursts: u64, lost: u64) -> FarReport {
        FarReport {
            node,
            host,
            bursts,
            duplicates: 0,
            late: 0,
            lost,
            concealed: lost,
            jitter_us: node,
            delay_us: 60_000,
        }
    }

    #[test]
    fn what_is_not_told_again_is_forgotten() {
        let mut reach = Reach::default();
        reach.host(0, Time(0), host(7, 2));
        reach.host(1, Time(SECOND), host(7, 1));
        reach.node(0, Time(0), node(70, 7, 0));
        reach.node(1, Time(SECOND), node(71, 7, 500));
        reach.node(1, Time(SECOND), node(12, 1, 5));
        assert_eq!(reach.take_changes(), [Event::HostReached { host_id: 7, hops: 1 }]);
        let [info] = &reach.list()[..] else { panic!("one host") };
        assert_eq!((info.host, info.hops, info.nodes, info.ranges, info.calls), (7, 1, 2, 7, None));
        let [first, second] = &info.links[..] else { panic!("{info:?}: siblings are none") };
        assert_eq!((first.worker, first.node, first.rtt_us, first.loss_in_percent), (0, 70, None, None));
        assert_eq!(
            (second.worker, second.node, second.rtt_us, second.jitter_us),
            (1, 71, Some(500), Some(50))
        );
        assert_eq!((second.loss_in_percent, second.loss_out_percent), (Some(0.25), Some(1.0)));
        reach.forget(Time(3 * SECOND), &[0, 1]);
        assert_eq!(reach.list()[0].links.len(), 1, "the first worker tells nothing any more");
        assert_eq!(reach.take_changes(), []);
        reach.forget(Time(4 * SECOND), &[0, 1]);
        assert_eq!(reach.take_changes(), [Event::HostGone { host_id: 7 }]);
        assert!(reach.list().is_empty() && reach.take_changes().is_empty());
    }

    #[test]
    fn of_a_worker_that_is_no_more_nothing_is_kept() {
        let mut reach = Reach::default();
        reach.host(0, Time(0), host(7, 1));
        reach.host(1, Time(0), host(8, 1));
        reach.take_changes();
        reach.forget(Time(0), &[0]);
        assert_eq!(reach.take_changes(), [Event::HostGone { host_id: 8 }]);
    }

    #[test]
    fn what_came_of_calls_is_counted_on_whoever_starts_anew() {
        let mut reach = Reach::default();
        reach.host(0, Time(0), host(7, 1));
        reach.host(1, Time(0), host(7, 1));
        reach.far(0, Time(0), far(70, 7, 100, 3));
        reach.far(0, Time(0), far(70, 7, 150, 4));
        reach.far(0, Time(0), far(71, 7, 10, 0));
        reach.far(1, Time(0), far(70, 7, 100, 2));
        // Another process counts from its own start; whose node it is it may not know yet.
        reach.far(1, Time(0), far(70, 0, 5, 1));
        let calls = reach.list()[0].calls.unwrap();
        assert_eq!((calls.bursts, calls.lost, calls.concealed), (265, 7, 7));
        assert_eq!((calls.jitter_us, calls.delay_us), (71, 60_000));
        let views = reach.views();
        let [view] = &views[&1][..] else { panic!("{views:?}") };
        assert_eq!((view.host, view.bursts, view.lost, view.rtt_us, view.loss), (7, 105, 3, None, None));
    }

    #[test]
    fn of_several_nodes_the_worst_is_told_and_of_several_answers_the_one_that_holds() {
        let mut reach = Reach::default();
        let address = "192.0.2.1:54000".parse().unwrap();
        assert_eq!(reach.found_at(address), None);
        for (slot, found) in [(0, Some(8)), (1, Some(7)), (2, None)] {
            reach.contact(slot, Time(0), ContactReport { address, host: found });
        }
        reach.host(0, Time(0), host(7, 1));
        assert_eq!(reach.found_at(address), Some(7));
        reach.node(0, Time(0), node(70, 7, 900));
        reach.node(0, Time(0), NodeReport { loss: [90, 0], ..node(71, 7, 500) });
        reach.node(0, Time(0), NodeReport { is_heard: false, ..node(72, 7, 5000) });
        let view = reach.views()[&0][0];
        assert_eq!((view.rtt_us, view.jitter_us, view.loss), (Some(900), Some(90), Some([90, 100])));
    }

    #[test]
    fn a_call_of_another_host_runs_while_it_is_told_of_where_it_was_told_of_last() {
        let mut reach = Reach::default();
        let call = |key| FarCall {
            session: SessionId { key, node: 70 },
            slot: stack::Slot::Two,
            source: 2_621_370,
            destination: 91,
            call: stack::CallType::Group,
        };
        reach.call(0, Time(0), call(2));
        reach.call(0, Time(0), call(1));
        reach.call(1, Time(SECOND), call(2));
        let running = |reach: &Reach, at| {
            reach.running(Time(at)).map(|(slot, call)| (slot, call.session.key)).collect::<Vec<_>>()
        };
        assert_eq!(running(&reach, SECOND), [(0, 1), (1, 2)]);
        assert_eq!(running(&reach, 2 * SECOND), [(1, 2)]);
        assert_eq!(running(&reach, 3 * SECOND), []);
        reach.same_id(1, Time(0), SameIdReport { node: 12, address: "192.0.2.8:1".parse().unwrap() });
        assert_eq!(reach.same_ids()[0].node, 12);
        reach.forget(Time(3 * SECOND), &[0, 1]);
        assert!(reach.same_ids().is_empty());
    }

    #[test]
    fn there_is_room_for_so_much() {
        let mut reach = Reach::default();
        for id in 1..=5000 {
            reach.host(0, Time(0), host(id, 1));
            reach.far(0, Time(0), far(id, id, 1, 0));
        }
        reach.host(0, Time(0), host(1, 3));
        let list = reach.list();
        assert_eq!((list.len(), list[0].hops), (MAX_KEPT, 3));
    }
}
