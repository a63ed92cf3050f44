//! The other networks that calls go to and come from: those of the configuration file and of the registry, where their
//! names are, and what the shard that has them has been told. What a peer is doing is in the shard's state
//! ([`crate::contexts`]); names are looked up elsewhere ([`crate::resolve`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use channel::Order;
use config::{MAX_PEERS, OpenBridge, Peer};
use control::{PeerInfo, PeerSource};
use events::LinkType;
use registry::{PeerRow, Space};
use stack::{PeerSettings, Time};

use crate::Error;
use crate::contexts::{self, Bridged};
use crate::log;
use crate::names::{Names, Whose};
use crate::services::Services;

#[derive(Debug)]
pub(crate) struct Peers {
    /// The stack is on.
    is_on: bool,
    /// Those of the file.
    file: Vec<Peer>,
    /// All of them, by ID.
    listed: BTreeMap<u32, Listed>,
    /// Those names that peers have.
    pub(crate) names: Names,
    /// Where peers with names were told to be before this process began.
    before: BTreeMap<u32, SocketAddr>,
    /// What shards have been told.
    told: BTreeMap<u16, Told>,
    /// What has been said of the list, so that it is said once.
    said: BTreeSet<String>,
}

#[derive(Debug)]
struct Listed {
    peer: Peer,
    source: PeerSource,
}

/// Whom a shard's peers were told to, and what it knows since.
#[derive(Debug)]
struct Told {
    worker: u8,
    pid: Option<i32>,
    peers: BTreeMap<u32, PeerSettings>,
}

impl Peers {
    pub(crate) fn new(bridge: Option<&OpenBridge>) -> Self {
        let listens = |is_v4| {
            bridge.is_some_and(|bridge| bridge.listen.iter().any(|address| address.is_ipv4() == is_v4))
        };
        Self {
            is_on: bridge.is_some(),
            file: bridge.map(|bridge| bridge.peers.clone()).unwrap_or_default(),
            listed: BTreeMap::new(),
            names: Names::new(Whose::Peers, [listens(true), listens(false)]),
            before: BTreeMap::new(),
            told: BTreeMap::new(),
            said: BTreeSet::new(),
        }
    }

    /// Whether there can be any.
    pub(crate) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether it is the ID of one.
    pub(crate) fn has(&self, id: u32) -> bool {
        self.listed.contains_key(&id)
    }

    /// Where peers are, as a shard's state has it from before.
    pub(crate) fn remember(&mut self, bridged: impl Iterator<Item = Bridged>) {
        let known = bridged.filter_map(|peer| Some((peer.id, peer.settings.address?)));
        self.before.extend(known);
    }

    /// The list is made of the file's and of these of the registry. Returns what is new to say of it.
    pub(crate) fn list(&mut self, rows: Vec<PeerRow>) -> Vec<String> {
        let mut said = BTreeSet::new();
        let mut listed: BTreeMap<u32, Listed> = BTreeMap::new();
        for peer in self.file.iter().cloned() {
            listed.insert(peer.id, Listed { peer, source: PeerSource::File });
        }
        for row in rows {
            let Ok(peer) = row.peer() else { continue };
            let id = peer.id;
            if listed.insert(id, Listed { peer, source: PeerSource::Registry }).is_some() {
                said.insert(format!(
                    "peer {id} is in the configuration file and in the registry, whose record holds"
                ));
            }
        }
        if listed.len() > MAX_PEERS {
            let over: Vec<u32> = listed.keys().copied().skip(MAX_PEERS).collect();
            said.insert(format!(
                "{} peers: there can be {MAX_PEERS}, and those from {} on are left out: take some out",
                listed.len(),
                over[0]
            ));
            listed.retain(|id, _| !over.contains(id));
        }
        for (id, new) in &listed {
            let name = new.peer.address.as_ref().and_then(config::PeerAddress::name);
            let is_same = self.listed.get(id).is_some_and(|old| old.peer == new.peer);
            if let Some(name) = name.filter(|_| !is_same) {
                self.names.look_again(name);
            }
        }
        self.listed = listed;
        self.name_all();
        let new: Vec<String> = said.difference(&self.said).cloned().collect();
        self.said = said;
        new
    }

    /// Those names that peers have are to be looked up.
    fn name_all(&mut self) {
        let addresses = self.listed.values().filter_map(|listed| listed.peer.address.as_ref());
        let wanted = addresses.filter_map(|at| at.name().map(str::to_owned)).collect();
        self.names.want(&wanted);
    }

    /// What a shard is to know of each.
    fn settings(&self) -> BTreeMap<u32, PeerSettings> {
        self.listed.iter().filter_map(|(id, listed)| Some((*id, self.settings_of(&listed.peer)?))).collect()
    }

    fn settings_of(&self, peer: &Peer) -> Option<PeerSettings> {
        let address = peer.address.as_ref().and_then(|at| {
            let Some(name) = at.name() else { return at.socket() };
            let ip = self.names.ip(name);
            ip.map(|ip| SocketAddr::new(ip, at.port())).or_else(|| self.before.get(&peer.id).copied())
        });
        Some(PeerSettings {
            address,
            learns: peer.learn_address,
            key: peer.key.clone()?,
            own_id: peer.own_id,
            enhanced: peer.enhanced,
            talkgroups: peer.talkgroups.clone(),
        })
    }

    /// What a shard at this worker is told now: what has changed since it was told last, and all of it where somebody else
    /// was told. `there`: the peers in its state.
    fn orders(
        &mut self,
        shard: u16,
        worker: u8,
        pid: Option<i32>,
        there: impl FnOnce() -> Vec<u32>,
    ) -> Vec<Order> {
        let settings = self.settings();
        let told = self.told.remove(&shard).filter(|told| (told.worker, told.pid) == (worker, pid));
        let is_told = |id: &u32, settings: &PeerSettings| {
            told.as_ref().is_some_and(|told| told.peers.get(id) == Some(settings))
        };
        let mut orders: Vec<Order> = settings
            .iter()
            .filter(|(id, settings)| !is_told(id, settings))
            .map(|(id, settings)| Order::Peer { shard, id: *id, settings: Some(Box::new(settings.clone())) })
            .collect();
        let known = told.map_or_else(there, |told| told.peers.into_keys().collect());
        let gone = known.into_iter().filter(|id| !settings.contains_key(id));
        orders.extend(gone.map(|id| Order::Peer { shard, id, settings: None }));
        self.told.insert(shard, Told { worker, pid, peers: settings });
        orders
    }
}

impl Services {
    /// Reads the list of peers anew, and tells of what has changed.
    pub(crate) fn peers_changed(&mut self) {
        if !self.peers.is_on() {
            return;
        }
        match self.registry.all(Space::Peers) {
            Ok(page) => {
                for refused in page.refused {
                    log::line(format_args!("services: {}; it is no peer meanwhile", refused.error));
                }
                let rows = page.records.iter().filter_map(registry::Record::row).collect();
                for said in self.peers.list(rows) {
                    log::line(format_args!("services: {said}"));
                }
            }
            Err(error) => log::line(format_args!("services: the list of peers stays: {error}")),
        }
        self.tell_peers();
    }

    /// Tells each shard that has peers what it does not know of them.
    pub(crate) fn tell_peers(&mut self) {
        if !self.peers.is_on() {
            return;
        }
        let mut all = Vec::new();
        for shard in self.host.served_shards().filter(|shard| shard.is_bridge()) {
            let pid = self.host.info(shard.worker).and_then(|info| info.pid);
            let there = || shard.peers().map(|peer| peer.id).collect();
            all.push((shard.worker, self.peers.orders(shard.number, shard.worker, pid, there)));
        }
        for (worker, orders) in all {
            orders.into_iter().for_each(|order| self.host.send(worker, order));
        }
    }

    /// What is at the far end of a context.
    pub(crate) fn link(&self, context: u32) -> LinkType {
        if self.peers.has(context) { LinkType::Network } else { LinkType::Repeater }
    }

    /// All peers, by ID.
    pub(crate) fn peer_list(&self, now: Time) -> Result<Vec<PeerInfo>, Error> {
        if !self.peers.is_on() {
            return Err(Error::NoPeers);
        }
        let shards = || self.host.shards().filter(|shard| shard.is_bridge());
        let there: BTreeMap<u32, Bridged> =
            shards().flat_map(|shard| shard.peers().map(|peer| (peer.id, peer))).collect();
        let calls = contexts::bridged_calls(shards());
        let list = self.peers.listed.iter();
        Ok(list.map(|(id, listed)| self.peer_info(*id, listed, there.get(id), calls.get(id), now)).collect())
    }

    fn peer_info(
        &self,
        id: u32,
        listed: &Listed,
        there: Option<&Bridged>,
        calls_in: Option<&u32>,
        now: Time,
    ) -> PeerInfo {
        let peer = &listed.peer;
        let name = peer.address.as_ref().and_then(config::PeerAddress::name);
        let trouble = name.and_then(|name| self.peers.names.trouble(name));
        let carried =
            |talkgroup| peer.talkgroups.out.iter().any(|(first, last)| (*first..=*last).contains(&talkgroup));
        PeerInfo {
            id,
            source: listed.source,
            name: name.map(str::to_owned),
            trouble: trouble.map(str::to_owned),
            address: there.and_then(|there| there.address),
            learned: there.is_some_and(|there| there.learned),
            enhanced: peer.enhanced,
            version: there.filter(|_| peer.enhanced).map(|there| there.version),
            heard_seconds: there.and_then(|there| Some(now.since(there.heard?).as_secs_f64())),
            talkgroups_in: ranges(&peer.talkgroups.r#in),
            talkgroups_out: ranges(&peer.talkgroups.out),
            rewrite: peer.talkgroups.renamed.iter().map(|(here, there)| format!("{here}={there}")).collect(),
            calls_in: calls_in.copied().unwrap_or(0),
            calls_out: self.calls.going_out(id, carried),
        }
    }
}

/// As they are written.
fn ranges(ranges: &[(u32, u32)]) -> Vec<String> {
    let word = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn bridge(text: &str) -> Peers {
        let text = format!("[stacks.openbridge]\nlisten = \"127.0.0.1:0\"\n{text}");
        Peers::new(config::Config::parse(&text).unwrap().stacks.openbridge.as_ref())
    }

    fn peer(id: u32, address: &str) -> String {
        format!("[[stacks.openbridge.peers]]\nid = {id}\nkey = \"file\"\naddress = \"{address}\"\n")
    }

    fn row(id: u32, address: &str) -> PeerRow {
        let json = serde_json::json!({"id": id, "key": "registry", "address": address});
        serde_json::from_value(json).unwrap()
    }

    /// IDs of those that are set, each with its address, and of those that go.
    fn told(orders: Vec<Order>) -> (Vec<(u32, Option<String>)>, Vec<u32>) {
        let (mut set, mut gone) = (Vec::new(), Vec::new());
        for order in orders {
            match order {
                Order::Peer { shard: 64, id, settings: Some(settings) } => {
                    set.push((id, settings.address.map(|address| address.to_string())));
                }
                Order::Peer { shard: 64, id, settings: None } => gone.push(id),
                other => panic!("{other:?}"),
            }
        }
        (set, gone)
    }

    fn at(id: u32, address: &str) -> (u32, Option<String>) {
        (id, Some(address.to_owned()))
    }

    #[test]
    fn of_one_id_the_registrys_record_holds() {
        let mut peers = bridge(&[peer(1, "192.0.2.1:1"), peer(2, "192.0.2.2:2")].concat());
        let said = peers.list(vec![row(2, "192.0.2.22:2"), row(3, "192.0.2.3:3")]);
        assert_eq!(said, ["peer 2 is in the configuration file and in the registry, whose record holds"]);
        let (set, gone) = told(peers.orders(64, 0, Some(1), || vec![3, 4]));
        assert_eq!(set, [at(1, "192.0.2.1:1"), at(2, "192.0.2.22:2"), at(3, "192.0.2.3:3")]);
        assert_eq!(gone, [4], "what the shard has of before");
        assert!(peers.list(vec![row(2, "192.0.2.22:2")]).is_empty(), "that is said once");
        assert_eq!(told(peers.orders(64, 0, Some(1), Vec::new)), (vec![], vec![3]));
        assert_eq!(told(peers.orders(64, 0, Some(1), Vec::new)), (vec![], vec![]));
    }

    #[test]
    fn whoever_else_serves_the_shard_is_told_all() {
        let mut peers = bridge(&peer(1, "192.0.2.1:1"));
        peers.list(vec![]);
        for (worker, pid) in [(0, Some(1)), (0, Some(2)), (1, Some(3)), (0, Some(2))] {
            assert_eq!(
                told(peers.orders(64, worker, pid, || vec![1, 9])),
                (vec![at(1, "192.0.2.1:1")], vec![9])
            );
            assert_eq!(told(peers.orders(64, worker, pid, || vec![1, 9])), (vec![], vec![]));
        }
    }

    #[test]
    fn a_name_keeps_its_address_while_it_cannot_be_looked_up() {
        let mut peers = bridge(&[peer(1, "a.test:1"), peer(2, "a.test:2")].concat());
        peers.before.insert(2, "192.0.2.99:2".parse().unwrap());
        peers.list(vec![]);
        let names = peers.names.take_new();
        let [(name, again)] = &names[..] else { panic!("{names:?}") };
        assert!(name == "a.test" && peers.names.take_new().is_empty());
        let (set, _) = told(peers.orders(64, 0, None, Vec::new));
        assert_eq!(set, [(1, None), at(2, "192.0.2.99:2")], "where it was told to be before");
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut find =
            |found: Result<Vec<IpAddr>, String>| peers.names.resolved("a.test", again, found).unwrap();
        let away = || Err("away".to_owned());
        assert_eq!(find(away()).as_deref(), Some("a.test: away"));
        assert_eq!(find(away()), None, "that is said once");
        let both = || Ok(vec![ip("::1"), ip("192.0.2.1"), ip("192.0.2.2")]);
        assert_eq!(find(both()).as_deref(), Some("a.test is 192.0.2.1"), "nobody listens by IPv6");
        assert_eq!(find(Ok(vec![ip("192.0.2.2"), ip("192.0.2.1")])), None, "it stays what it is");
        assert_eq!(find(away()).as_deref(), Some("a.test: away; 192.0.2.1 holds"));
        assert_eq!(find(Ok(vec![ip("::1")])), None);
        let (set, _) = told(peers.orders(64, 0, None, Vec::new));
        assert_eq!(set, [at(1, "192.0.2.1:1"), at(2, "192.0.2.1:2")]);
        assert!(peers.names.trouble("a.test").unwrap().contains("stacks.openbridge.listen"));
    }

    #[test]
    fn a_name_that_nobody_has_is_looked_up_no_longer() {
        let mut peers = bridge("");
        peers.list(vec![row(1, "a.test:1")]);
        let (_, old) = peers.names.take_new().remove(0);
        peers.list(vec![]);
        assert_eq!(peers.names.resolved("a.test", &old, Ok(vec![])), None);
        peers.list(vec![row(1, "a.test:1")]);
        let (_, new) = peers.names.take_new().remove(0);
        assert_eq!(peers.names.resolved("a.test", &old, Ok(vec![])), None, "another looks it up");
        assert!(peers.names.resolved("a.test", &new, Ok(vec![])).is_some());
    }

    #[test]
    fn there_are_not_too_many() {
        let mut peers = bridge("");
        let rows = (1..=201).map(|id| row(id, "192.0.2.1:1")).collect();
        let said = peers.list(rows);
        assert!(said[0].starts_with("201 peers: there can be 200, and those from 201 on are left out"));
        assert!(peers.has(200) && !peers.has(201));
        assert!(!Peers::new(None).is_on());
    }
}
