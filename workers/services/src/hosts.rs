//! The other hosts that are to be joined: those of the configuration file and of the registry, where they are, the keys that they have
//! of their own, and which nodes are reached elsewhere than they announce; and what workers have been told of that. Of the file's
//! they know those with an address by themselves. What is spoken with a host is theirs; names are looked up elsewhere
//! ([`crate::resolve`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use channel::Order;
use config::{Config, HostKey, MAX_HOSTS, PeerAddress};
use registry::{Key, Node, OverriddenNode, Record, Space};

use crate::host_list::ThisHost;
use crate::log;
use crate::names::{Names, Whose};
use crate::services::Services;
use crate::ways::Ways;

#[derive(Debug)]
pub(crate) struct Hosts {
    /// Where workers listen; `None` where there is no way to other hosts.
    listen: Option<IpAddr>,
    /// Nodes that are our own.
    own: BTreeSet<u32>,
    /// This host; `None` where there is no way to others.
    pub(crate) this: Option<ThisHost>,
    /// Those of the file.
    configured: Vec<PeerAddress>,
    /// Those of them that have a name.
    named: Vec<PeerAddress>,
    /// Where those of the file are that have none.
    fixed: BTreeSet<SocketAddr>,
    /// Those of the registry, by ID.
    listed: BTreeMap<u32, PeerAddress>,
    /// The keys that hosts of the registry have, joined or not: without it, others could speak as them.
    keys: BTreeMap<u32, HostKey>,
    /// Nodes of the registry that are reached elsewhere.
    overridden: BTreeMap<u32, PeerAddress>,
    pub(crate) names: Names,
    /// What workers have been told.
    told: Told,
    /// What has been said of the records, so that it is said once.
    said: BTreeSet<String>,
}

/// What a worker knows of other hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    keys: BTreeMap<u32, HostKey>,
    overridden: BTreeMap<u32, SocketAddr>,
    /// Where hosts are, and which ones as far as that is known.
    hosts: BTreeMap<SocketAddr, Option<u32>>,
}

impl Told {
    /// What whoever knows this is to be told to know what `now` says. A host's key comes before its address.
    fn changes(&self, now: &Self) -> Vec<Order> {
        let gone = self.hosts.iter().filter(|(address, _)| !now.hosts.contains_key(address));
        let gone = gone.map(|(&address, &host)| Order::Host { address, host, is_wanted: false });
        let keys = differences(&self.keys, &now.keys).map(|(host, key)| Order::HostKey { host, key });
        let overridden = differences(&self.overridden, &now.overridden);
        let overridden = overridden.map(|(node, address)| Order::OverriddenNode { node, address });
        let new = now.hosts.iter().filter(|(address, host)| self.hosts.get(address) != Some(host));
        let new = new.map(|(&address, &host)| Order::Host { address, host, is_wanted: true });
        gone.chain(keys).chain(overridden).chain(new).collect()
    }
}

fn differences<V: Clone + PartialEq>(
    before: &BTreeMap<u32, V>,
    now: &BTreeMap<u32, V>,
) -> impl Iterator<Item = (u32, Option<V>)> {
    let gone = before.keys().filter(|id| !now.contains_key(id)).map(|&id| (id, None));
    let new = now.iter().filter(|(id, value)| before.get(id) != Some(value));
    gone.chain(new.map(|(&id, value)| (id, Some(value.clone()))))
}

impl Hosts {
    pub(crate) fn new(config: &Config) -> Self {
        let listen = config.stacks.fastforward.as_ref().map(|fastforward| fastforward.listen);
        let families = [true, false].map(|is_v4| listen.is_some_and(|listen| listen.is_ipv4() == is_v4));
        let mut hosts = Self {
            listen,
            own: config.cluster.nodes.iter().collect(),
            this: ThisHost::new(config),
            configured: config.hosts.clone(),
            named: config.hosts.iter().filter(|host| host.name().is_some()).cloned().collect(),
            fixed: config.hosts.iter().filter_map(PeerAddress::socket).collect(),
            listed: BTreeMap::new(),
            keys: BTreeMap::new(),
            overridden: BTreeMap::new(),
            names: Names::new(Whose::Hosts, families),
            told: Told::default(),
            said: BTreeSet::new(),
        };
        hosts.told = hosts.untold();
        hosts.name_all();
        hosts
    }

    /// Whether there can be any.
    pub(crate) const fn are_on(&self) -> bool {
        self.listen.is_some()
    }

    /// What a worker knows that has been told nothing.
    fn untold(&self) -> Told {
        Told { hosts: self.fixed.iter().map(|&address| (address, None)).collect(), ..Told::default() }
    }

    /// Those names that hosts and nodes have are to be looked up.
    fn name_all(&mut self) {
        let places = self.named.iter().chain(self.listed.values()).chain(self.overridden.values());
        self.names.want(&places.filter_map(|place| place.name().map(str::to_owned)).collect());
    }

    /// The registry has these, and hosts `unreadable` of which it is not known what. Returns what is new to say of them.
    fn list(
        &mut self,
        nodes: Vec<Node>,
        unreadable: Vec<u32>,
        overridden: Vec<OverriddenNode>,
        ways: &Ways,
    ) -> Vec<String> {
        let mut said = BTreeSet::new();
        // All hosts of a network may share a registry.
        let nodes = nodes.into_iter().filter(|node| !self.own.contains(&node.id));
        let (mut listed, mut keys) = (BTreeMap::new(), BTreeMap::new());
        // What cannot be read leaves the key in force.
        let stays = |id: u32| Some((id, self.keys.get(&id)?.clone()));
        keys.extend(unreadable.into_iter().filter_map(stays));
        for node in nodes {
            let key = node.host_key();
            match &key {
                Ok(key) => keys.extend(key.clone().map(|key| (node.id, key))),
                Err(_) => keys.extend(stays(node.id)),
            }
            match (self.reachable(node.place()), key) {
                (Ok(place), Ok(_)) => drop(listed.insert(node.id, place)),
                (Err(why), _) | (_, Err(why)) => {
                    said.insert(format!("host {}: it is not joined: {why}", node.id));
                }
            }
        }
        let file = self.named.len() + self.fixed.len();
        if listed.len() + file > MAX_HOSTS {
            let over: Vec<u32> = listed.keys().copied().skip(MAX_HOSTS.saturating_sub(file)).collect();
            said.insert(format!(
                "{} hosts, {file} of them in the configuration file: there can be {MAX_HOSTS}, and those of the registry from {} on \
                 are left out: take some out",
                listed.len() + file,
                over[0]
            ));
            listed.retain(|id, _| !over.contains(id));
        }
        let mut places: BTreeMap<String, u32> = BTreeMap::new();
        for (&id, place) in &listed {
            if let Some(other) = places.insert(place.to_string(), id) {
                said.insert(format!(
                    "hosts {other} and {id} have the same address, {place}, and {other} is not called there: correct one of them"
                ));
            }
        }
        (self.listed, self.keys) = (listed, keys);
        self.overridden = BTreeMap::new();
        for node in overridden.into_iter().filter(|node| !self.own.contains(&node.id)) {
            let place = match ways.why_not(node.transport) {
                Some(why) => Err(why.to_owned()),
                None => self.reachable(node.place()),
            };
            match place {
                Ok(place) => drop(self.overridden.insert(node.id, place)),
                Err(why) => {
                    said.insert(format!("node {} is reached as it announces: {why}", node.id));
                }
            }
        }
        self.name_all();
        let new: Vec<String> = said.difference(&self.said).cloned().collect();
        self.said = said;
        new
    }

    /// A place, where workers reach places of its kind.
    fn reachable(&self, place: Option<PeerAddress>) -> Result<PeerAddress, String> {
        let place = place.ok_or_else(|| "its address is none; correct it".to_owned())?;
        match (place.socket(), self.listen) {
            (Some(address), Some(listen)) if address.is_ipv4() != listen.is_ipv4() => Err(format!(
                "{address} cannot be reached from {listen}: stacks.fastforward.listen and all hosts are of IPv4, or all of IPv6"
            )),
            _ => Ok(place),
        }
    }

    /// Those that are to be joined, of the file and of the registry.
    pub(crate) fn places(&self) -> impl Iterator<Item = &PeerAddress> {
        let listed = self.listed.values();
        self.configured.iter().chain(listed.filter(|place| !self.configured.contains(place)))
    }

    /// Where a place is, as far as that is known.
    pub(crate) fn socket(&self, place: &PeerAddress) -> Option<SocketAddr> {
        let Some(name) = place.name() else { return place.socket() };
        Some(SocketAddr::new(self.names.ip(name)?, place.port()))
    }

    /// What workers are to know now.
    fn now(&self) -> Told {
        let at = |place: &PeerAddress| self.socket(place);
        let mut now = self.untold();
        now.hosts.extend(self.named.iter().filter_map(|place| Some((at(place)?, None))));
        // Of one place what the registry says holds: it says who is there.
        now.hosts.extend(self.listed.iter().filter_map(|(&id, place)| Some((at(place)?, Some(id)))));
        now.keys = self.keys.clone();
        now.overridden = self.overridden.iter().filter_map(|(&id, place)| Some((id, at(place)?))).collect();
        now
    }

    /// What all workers are to be told: what has changed since they were told last.
    fn changes(&mut self) -> Vec<Order> {
        let now = self.now();
        std::mem::replace(&mut self.told, now).changes(&self.told)
    }

    /// What a worker is to be told that has been told nothing.
    fn all(&self) -> Vec<Order> {
        self.untold().changes(&self.told)
    }
}

impl Services {
    /// Reads anew what the registry says of hosts and nodes, and tells of what has changed.
    pub(crate) fn hosts_changed(&mut self) {
        if !self.hosts.are_on() {
            return;
        }
        let read = || Ok((self.registry.all(Space::Nodes)?, self.registry.all(Space::OverriddenNodes)?));
        match read().map_err(|error: registry::Error| error.to_string()) {
            Ok((nodes, overridden)) => {
                for refused in nodes.refused.iter().chain(&overridden.refused) {
                    log::line(format_args!("services: {}; it does not hold meanwhile", refused.error));
                }
                let unreadable = nodes.refused.iter().filter_map(|refused| match refused.key {
                    Some(Key::Id(id)) => Some(id),
                    _ => None,
                });
                let unreadable = unreadable.collect();
                let nodes = nodes.records.iter().filter_map(Record::row).collect();
                let overridden = overridden.records.iter().filter_map(Record::row).collect();
                for said in self.hosts.list(nodes, unreadable, overridden, &self.ways) {
                    log::line(format_args!("services: {said}"));
                }
            }
            Err(error) => log::line(format_args!("services: the list of hosts stays: {error}")),
        }
        self.tell_hosts();
    }

    /// Tells the workers what has changed of hosts.
    pub(crate) fn tell_hosts(&mut self) {
        let changes = self.hosts.changes();
        for slot in self.host.slots() {
            changes.iter().for_each(|order| self.tell_host(slot, order));
        }
    }

    /// Tells a worker that has just begun where hosts are.
    pub(crate) fn tell_all_hosts(&mut self, slot: u8) {
        self.hosts.all().iter().for_each(|order| self.tell_host(slot, order));
    }

    /// Of two generations one knows hosts that the other does not: each is told by services of its own.
    fn tell_host(&mut self, slot: u8, order: &Order) {
        if self.host.info(slot).is_some_and(|info| info.generation == self.generation) {
            self.host.send(slot, order.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn hosts(addresses: &[&str]) -> Hosts {
        let hosts = addresses.iter().map(|address| format!("[[hosts]]\naddress = \"{address}\"\n"));
        let text = format!(
            "cluster.nodes = \"1000-1003\"\n[stacks.fastforward]\nkey_file = \"/k\"\n{}",
            hosts.collect::<String>()
        );
        Hosts::new(&Config::parse(&text).unwrap())
    }

    fn told(orders: Vec<Order>) -> Vec<(String, bool)> {
        let told = orders.into_iter().map(|order| match order {
            Order::Host { address, host: None, is_wanted } => (address.to_string(), is_wanted),
            Order::Host { address, host: Some(host), is_wanted } => {
                (format!("{host} at {address}"), is_wanted)
            }
            Order::HostKey { host, key } => (format!("key of {host}"), key.is_some()),
            Order::OverriddenNode { node, address: Some(address) } => {
                (format!("{node} is at {address}"), true)
            }
            Order::OverriddenNode { node, address: None } => (format!("{node} is elsewhere"), false),
            other => panic!("{other:?}"),
        });
        told.collect()
    }

    fn at(address: &str, is_wanted: bool) -> (String, bool) {
        (address.to_owned(), is_wanted)
    }

    /// The registry has these.
    fn list(hosts: &mut Hosts, nodes: &[Value], overridden: &[Value]) -> (Vec<String>, Vec<(String, bool)>) {
        let nodes = nodes.iter().map(|node| serde_json::from_value(node.clone()).unwrap()).collect();
        let overridden =
            overridden.iter().map(|node| serde_json::from_value(node.clone()).unwrap()).collect();
        let said = hosts.list(nodes, vec![], overridden, &Ways::default());
        (said, told(hosts.changes()))
    }

    #[test]
    fn records_are_told_and_taken_back() {
        let mut hosts = hosts(&["192.0.2.7:1"]);
        let own = json!({"id": 1001, "address": "192.0.2.1", "port": 1});
        let seven = json!({"id": 7, "address": "192.0.2.7", "port": 1, "key": KEY});
        let eight = json!({"id": 8, "address": "192.0.2.8", "port": 1});
        let moved = json!({"id": 8, "transport": "FORWARD_TRANSPORT_UDP", "address": "10.0.0.8", "port": 2});
        let (said, new) =
            list(&mut hosts, &[own.clone(), seven.clone(), eight.clone()], std::slice::from_ref(&moved));
        assert!(said.is_empty(), "{said:?}");
        let all = [
            at("key of 7", true),
            at("8 is at 10.0.0.8:2", true),
            at("7 at 192.0.2.7:1", true),
            at("8 at 192.0.2.8:1", true),
        ];
        assert_eq!((new, told(hosts.all())), (all.to_vec(), all.to_vec()));
        assert_eq!(list(&mut hosts, &[seven.clone(), eight.clone()], &[moved]).1, []);
        // Another key, and another place of a node.
        let other = json!({"id": 7, "address": "192.0.2.7", "port": 1, "key": KEY.replace("00", "01")});
        let (_, new) = list(&mut hosts, &[other, eight], &[]);
        assert_eq!(new, [at("key of 7", true), at("8 is elsewhere", false)]);
        // Without its record the file's host is one without a name.
        let (_, new) = list(&mut hosts, &[], &[]);
        assert_eq!(new, [at("8 at 192.0.2.8:1", false), at("key of 7", false), at("192.0.2.7:1", true)]);
        assert_eq!(told(hosts.all()), []);
    }

    #[test]
    fn what_of_records_cannot_hold_is_said_once_and_stops_no_other() {
        let mut hosts = hosts(&[]);
        let nodes = [
            json!({"id": 7, "address": "2001:db8::7", "port": 1}),
            json!({"id": 8, "address": "192.0.2.8", "port": 1}),
            json!({"id": 9, "address": "192.0.2.8", "port": 1}),
        ];
        let overridden = ["TLS", "DIRECT", "VSOCK", "RDMA"].iter().zip(20..).map(|(way, id)| {
            json!({"id": id, "transport": format!("FORWARD_TRANSPORT_{way}"), "address": "3", "port": 1})
        });
        let overridden: Vec<Value> = overridden.collect();
        let (said, new) = list(&mut hosts, &nodes, &overridden);
        assert_eq!(new, [at("9 at 192.0.2.8:1", true)]);
        assert_eq!(said.len(), 6, "{said:?}");
        assert!(
            said[0].starts_with("host 7: it is not joined: [2001:db8::7]:1 cannot be reached from 0.0.0.0")
        );
        assert!(
            said[1]
                .starts_with("hosts 8 and 9 have the same address, 192.0.2.8:1, and 8 is not called there")
        );
        for (said, id) in said[2..].iter().zip(20..) {
            assert!(said.starts_with(&format!("node {id} is reached as it announces: ")), "{said}");
            assert!(said.ends_with("choose udp"), "{said}");
        }
        assert_eq!(list(&mut hosts, &nodes, &overridden), (vec![], vec![]));
        let many: Vec<Value> =
            (2000..2300).map(|id| json!({"id": id, "address": "192.0.2.9", "port": id})).collect();
        let (said, new) = list(&mut hosts, &many, &[]);
        assert!(said[0].starts_with("300 hosts, 0 of them in the configuration file: there can be 256, and those of the registry from 2256"));
        assert_eq!(new.len(), 1 + MAX_HOSTS);
    }

    #[test]
    fn a_key_stays_whatever_else_is_wrong_with_its_record() {
        let mut hosts = hosts(&[]);
        let seven = |address: &str, key: &str| json!({"id": 7, "address": address, "port": 1, "key": key});
        let (_, new) = list(&mut hosts, &[seven("192.0.2.7", KEY)], &[]);
        assert_eq!(new, [at("key of 7", true), at("7 at 192.0.2.7:1", true)]);
        let (said, new) = list(&mut hosts, &[seven("2001:db8::7", KEY)], &[]);
        assert_eq!((said.len(), new), (1, vec![at("7 at 192.0.2.7:1", false)]));
        let (_, new) = list(&mut hosts, &[seven("192.0.2.7", "none")], &[]);
        assert_eq!(new, []);
        let said = hosts.list(vec![], vec![7], vec![], &Ways::default());
        assert_eq!((said.len(), told(hosts.changes())), (0, vec![]));
        assert_eq!(list(&mut hosts, &[], &[]).1, [at("key of 7", false)]);
    }

    #[test]
    fn names_of_records_are_looked_up() {
        let mut hosts = hosts(&["a.test:1"]);
        let named = json!({"id": 7, "address": "a.test", "port": 1});
        let moved = json!({"id": 8, "transport": "FORWARD_TRANSPORT_UDP", "address": "b.test", "port": 2});
        assert_eq!(list(&mut hosts, &[named], &[moved]), (vec![], vec![]));
        for (name, again) in hosts.names.take_new() {
            hosts.names.resolved(&name, &again, Ok(vec!["192.0.2.1".parse().unwrap()])).unwrap();
        }
        assert_eq!(told(hosts.changes()), [at("8 is at 192.0.2.1:2", true), at("7 at 192.0.2.1:1", true)]);
        assert_eq!(list(&mut hosts, &[], &[]).1, [at("8 is elsewhere", false), at("192.0.2.1:1", true)]);
    }

    #[test]
    fn workers_are_told_where_names_are_and_when_they_no_longer_are() {
        let mut hosts = hosts(&["a.test:1", "a.test:2", "b.test:1", "192.0.2.7:1"]);
        let names = hosts.names.take_new();
        let [(a, again_a), (b, again_b)] = &names[..] else { panic!("{names:?}") };
        assert!(hosts.changes().is_empty() && hosts.are_on());
        let find = |hosts: &mut Hosts, name: &str, again, ip: &str| {
            let found = ip.parse().map(|ip| vec![ip]).map_err(|_| "away".to_owned());
            hosts.names.resolved(name, again, found).unwrap();
            told(hosts.changes())
        };
        let first = find(&mut hosts, a, again_a, "192.0.2.1");
        assert_eq!(first, [at("192.0.2.1:1", true), at("192.0.2.1:2", true)]);
        assert_eq!(find(&mut hosts, b, again_b, "192.0.2.1"), [], "two names of one place");
        let moved = find(&mut hosts, a, again_a, "192.0.2.2");
        assert_eq!(moved, [at("192.0.2.1:2", false), at("192.0.2.2:1", true), at("192.0.2.2:2", true)]);
        assert_eq!(find(&mut hosts, a, again_a, "nowhere"), [], "it holds while it cannot be looked up");
        assert_eq!(
            find(&mut hosts, b, again_b, "192.0.2.7"),
            [at("192.0.2.1:1", false)],
            "workers know that one"
        );
        assert_eq!(find(&mut hosts, b, again_b, "2001:db8::7"), [], "nobody listens by IPv6");
        assert_eq!(told(hosts.all()), [at("192.0.2.2:1", true), at("192.0.2.2:2", true)]);
    }

    #[test]
    fn without_names_there_is_nothing_to_look_up() {
        assert!(hosts(&["192.0.2.7:1"]).names.take_new().is_empty());
        assert!(!Hosts::new(&Config::default()).are_on());
    }
}
