//! The other hosts that the configuration names: where they are, and what workers have been told. Those with an address
//! workers know by themselves. What is spoken with a host is theirs; names are looked up elsewhere ([`crate::resolve`]).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use channel::Order;
use config::{Config, PeerAddress};

use crate::names::{Names, Whose};
use crate::services::Services;

#[derive(Debug)]
pub(crate) struct Hosts {
    /// Those with a name.
    named: Vec<PeerAddress>,
    /// Where those without one are.
    fixed: BTreeSet<SocketAddr>,
    pub(crate) names: Names,
    /// Where workers were told that those with a name are.
    told: BTreeSet<SocketAddr>,
}

impl Hosts {
    pub(crate) fn new(config: &Config) -> Self {
        let listen = config.stacks.fastforward.as_ref().map(|fastforward| fastforward.listen);
        let families = [true, false].map(|is_v4| listen.is_some_and(|listen| listen.is_ipv4() == is_v4));
        let mut names = Names::new(Whose::Hosts, families);
        let named = config.hosts.iter().filter(|host| host.name().is_some()).cloned();
        let named: Vec<PeerAddress> = named.collect();
        names.want(&named.iter().filter_map(|host| host.name().map(str::to_owned)).collect());
        let fixed = config.hosts.iter().filter_map(PeerAddress::socket).collect();
        Self { named, fixed, names, told: BTreeSet::new() }
    }

    /// Whether there are names to look up.
    pub(crate) fn have_names(&self) -> bool {
        !self.named.is_empty()
    }

    /// What all workers are to be told: what has changed since they were told last.
    fn changes(&mut self) -> Vec<Order> {
        let at = |host: &PeerAddress| Some(SocketAddr::new(self.names.ip(host.name()?)?, host.port()));
        let found: BTreeSet<SocketAddr> =
            self.named.iter().filter_map(at).filter(|address| !self.fixed.contains(address)).collect();
        let before = std::mem::replace(&mut self.told, found);
        let gone = before.difference(&self.told).map(|&address| Order::Host { address, is_wanted: false });
        let new = self.told.difference(&before).map(|&address| Order::Host { address, is_wanted: true });
        gone.chain(new).collect()
    }

    /// What a worker is to be told that has been told nothing.
    fn all(&self) -> Vec<Order> {
        self.told.iter().map(|&address| Order::Host { address, is_wanted: true }).collect()
    }
}

impl Services {
    /// Tells the workers where hosts are now.
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
    use super::*;

    fn hosts(addresses: &[&str]) -> Hosts {
        let hosts = addresses.iter().map(|address| format!("[[hosts]]\naddress = \"{address}\"\n"));
        let text = format!("[stacks.fastforward]\nkey_file = \"/k\"\n{}", hosts.collect::<String>());
        Hosts::new(&Config::parse(&text).unwrap())
    }

    fn told(orders: Vec<Order>) -> Vec<(String, bool)> {
        let told = orders.into_iter().map(|order| match order {
            Order::Host { address, is_wanted } => (address.to_string(), is_wanted),
            other => panic!("{other:?}"),
        });
        told.collect()
    }

    fn at(address: &str, is_wanted: bool) -> (String, bool) {
        (address.to_owned(), is_wanted)
    }

    #[test]
    fn workers_are_told_where_names_are_and_when_they_no_longer_are() {
        let mut hosts = hosts(&["a.test:1", "a.test:2", "b.test:1", "192.0.2.7:1"]);
        let names = hosts.names.take_new();
        let [(a, again_a), (b, again_b)] = &names[..] else { panic!("{names:?}") };
        assert!(hosts.changes().is_empty() && hosts.have_names());
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
        assert!(!hosts(&["192.0.2.7:1"]).have_names() && hosts(&[]).names.take_new().is_empty());
        assert!(!Hosts::new(&Config::default()).have_names());
    }
}
