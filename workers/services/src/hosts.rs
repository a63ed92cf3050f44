//! The other hosts that the configuration names: where they are, what workers have been told, and who has answered. Those with
//! an address workers know by themselves. What is spoken with a host is theirs, and kept elsewhere ([`crate::reach`]); names
//! are looked up elsewhere too ([`crate::resolve`]).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use channel::Order;
use config::{Config, PeerAddress};
use control::{ConfiguredHost, HostsInfo, OwnNodeInfo};
use stack::Time;

use crate::Error;
use crate::names::{Names, Whose};
use crate::reach::Reach;
use crate::services::Services;

#[derive(Debug)]
pub(crate) struct Hosts {
    /// This host; `None` where it is joined with no others.
    own: Option<Own>,
    /// All, as they are configured.
    configured: Vec<PeerAddress>,
    /// Where those without one are.
    fixed: BTreeSet<SocketAddr>,
    pub(crate) names: Names,
    /// Where workers were told that those with a name are.
    told: BTreeSet<SocketAddr>,
}

/// This host.
#[derive(Debug)]
struct Own {
    /// Its ID.
    host: u32,
    /// Where workers listen, by slot.
    listen: Vec<SocketAddr>,
}

impl Own {
    fn new(config: &Config) -> Option<Self> {
        let fastforward = config.stacks.fastforward.as_ref()?;
        let listen = (0..=u8::MAX).map_while(|slot| fastforward.address(slot)).collect();
        Some(Self { host: config.cluster.nodes.iter().next()?, listen })
    }
}

impl Hosts {
    pub(crate) fn new(config: &Config) -> Self {
        let listen = config.stacks.fastforward.as_ref().map(|fastforward| fastforward.listen);
        let families = [true, false].map(|is_v4| listen.is_some_and(|listen| listen.is_ipv4() == is_v4));
        let mut names = Names::new(Whose::Hosts, families);
        names.want(&config.hosts.iter().filter_map(|host| host.name().map(str::to_owned)).collect());
        let fixed = config.hosts.iter().filter_map(PeerAddress::socket).collect();
        Self { own: Own::new(config), configured: config.hosts.clone(), fixed, names, told: BTreeSet::new() }
    }

    /// Whether there are names to look up.
    pub(crate) fn have_names(&self) -> bool {
        self.configured.iter().any(|host| host.name().is_some())
    }

    /// What all workers are to be told: what has changed since they were told last.
    fn changes(&mut self) -> Vec<Order> {
        let named = self.configured.iter().filter(|host| host.name().is_some());
        let found = named.filter_map(|host| self.socket(host));
        let found: BTreeSet<SocketAddr> = found.filter(|address| !self.fixed.contains(address)).collect();
        let before = std::mem::replace(&mut self.told, found);
        let gone = before.difference(&self.told).map(|&address| Order::Host { address, is_wanted: false });
        let new = self.told.difference(&before).map(|&address| Order::Host { address, is_wanted: true });
        gone.chain(new).collect()
    }

    /// Where a host is, as far as that is known.
    fn socket(&self, host: &PeerAddress) -> Option<SocketAddr> {
        let Some(name) = host.name() else { return host.socket() };
        Some(SocketAddr::new(self.names.ip(name)?, host.port()))
    }

    /// How it is with each that is configured.
    fn list(&self, reach: &Reach) -> Vec<ConfiguredHost> {
        self.configured.iter().map(|host| self.configured(host, reach)).collect()
    }

    fn configured(&self, host: &PeerAddress, reach: &Reach) -> ConfiguredHost {
        let socket = self.socket(host);
        let own = self.own.as_ref();
        let found = socket.and_then(|socket| match own {
            Some(own) if own.listen.contains(&socket) => Some(own.host),
            _ => reach.found_at(socket),
        });
        let reached = found.is_some_and(|id| reach.reaches(id) || own.is_some_and(|own| own.host == id));
        let name_trouble = host.name().and_then(|name| self.names.trouble(name)).map(str::to_owned);
        let trouble = name_trouble.or_else(|| match (reached, socket, found) {
            (true, ..) => None,
            (_, None, _) => Some("its name is not looked up yet".to_owned()),
            (_, _, Some(id)) => Some(format!("host {id} has answered from there, and can be reached no longer")),
            (..) => Some(
                "nobody has answered from there: is the host up, does it listen there, do datagrams come through, and \
                 have both a key in common?"
                    .to_owned(),
            ),
        });
        ConfiguredHost { address: host.to_string(), socket, host: found, reached, trouble }
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

    /// Forgets what workers no longer tell of other hosts, and says which of them came and went.
    pub(crate) fn look_after_hosts(&mut self, now: Time) {
        self.reach.forget(now, &self.host.slots());
        self.reach.take_changes().into_iter().for_each(|event| self.bus.emit(None, event));
    }

    /// This host and those that it is joined with.
    pub(crate) fn hosts_info(&self) -> Result<HostsInfo, Error> {
        let Some(Own { host, listen }) = &self.hosts.own else { return Err(Error::NoHosts) };
        let own = |(slot, node): (u8, u32)| OwnNodeInfo {
            node,
            worker: slot.into(),
            address: listen.get(usize::from(slot)).copied(),
            state: self.host.info(slot).map(|info| info.state),
        };
        Ok(HostsInfo {
            host: *host,
            nodes: self.host.nodes().into_iter().map(own).collect(),
            hosts: self.reach.list(),
            configured: self.hosts.list(&self.reach),
        })
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
    use channel::{ContactReport, HostReport};

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
    fn of_each_that_is_configured_it_is_known_whether_it_is_reached_or_why_not() {
        let mut hosts = hosts(&["192.0.2.7:1", "192.0.2.8:1", "a.test:1", "b.test:1", "192.0.2.1:54001"]);
        hosts.own = Some(Own { host: 25_011, listen: vec!["192.0.2.1:54001".parse().unwrap()] });
        let names = hosts.names.take_new();
        let (b, again_b) = &names[1];
        hosts.names.resolved(b, again_b, Err("it has no address".to_owned()));
        let mut reach = Reach::default();
        for (host, address) in [(7, "192.0.2.7:1"), (8, "192.0.2.8:1")] {
            let report = ContactReport { address: address.parse().unwrap(), host: Some(host) };
            reach.contact(0, Time(0), report);
        }
        reach.host(0, Time(0), HostReport { host: 7, hops: 1, nodes: 1, ranges: 0 });
        let list = hosts.list(&reach);
        let all: Vec<_> =
            list.iter().map(|host| (host.host, host.reached, host.trouble.as_deref())).collect();
        let expected = [
            (Some(7), true, None),
            (Some(8), false, Some("host 8 has answered from there, and can be reached no longer")),
            (None, false, Some("its name is not looked up yet")),
            (None, false, Some("it has no address")),
            (Some(25_011), true, None),
        ];
        assert_eq!(all, expected);
        let (a, again_a) = &names[0];
        hosts.names.resolved(a, again_a, Ok(vec!["192.0.2.9".parse().unwrap()]));
        let asked = &hosts.list(&reach)[2];
        assert_eq!((&*asked.address, asked.socket), ("a.test:1", "192.0.2.9:1".parse().ok()));
        assert!(asked.trouble.as_ref().unwrap().starts_with("nobody has answered from there: "));
    }

    #[test]
    fn without_names_there_is_nothing_to_look_up() {
        assert!(!hosts(&["192.0.2.7:1"]).have_names() && hosts(&[]).names.take_new().is_empty());
        assert!(!Hosts::new(&Config::default()).have_names());
    }
}
