//! The other hosts as an operator asks for them: those that this one is joined with, and how it is with each that is configured or in
//! the registry. What workers are told of them is in [`crate::hosts`], what they tell in [`crate::reach`].

use std::net::SocketAddr;

use config::{Config, PeerAddress};
use control::{ConfiguredHost, HostsInfo, OwnNodeInfo};
use stack::Time;

use crate::Error;
use crate::hosts::Hosts;
use crate::reach::Reach;
use crate::services::Services;

/// This host.
#[derive(Debug)]
pub(crate) struct ThisHost {
    /// Its ID.
    host: u32,
    /// Where workers listen, by slot.
    listen: Vec<SocketAddr>,
}

impl ThisHost {
    /// `None` where it is joined with no others.
    pub(crate) fn new(config: &Config) -> Option<Self> {
        let fastforward = config.stacks.fastforward.as_ref()?;
        let listen = (0..=u8::MAX).map_while(|slot| fastforward.address(slot)).collect();
        Some(Self { host: config.cluster.nodes.iter().next()?, listen })
    }
}

impl Hosts {
    /// How it is with each that is to be joined.
    fn states(&self, reach: &Reach) -> Vec<ConfiguredHost> {
        self.places().map(|host| self.state(host, reach)).collect()
    }

    fn state(&self, host: &PeerAddress, reach: &Reach) -> ConfiguredHost {
        let (socket, this) = (self.socket(host), self.this.as_ref());
        let found = socket.and_then(|socket| match this {
            Some(this) if this.listen.contains(&socket) => Some(this.host),
            _ => reach.found_at(socket),
        });
        let reached = found.is_some_and(|id| reach.reaches(id) || this.is_some_and(|this| this.host == id));
        let name_trouble = host.name().and_then(|name| self.names.trouble(name)).map(str::to_owned);
        let trouble = name_trouble.or_else(|| match (reached, socket, found) {
            (true, ..) => None,
            (_, None, _) => Some("its name is not looked up yet".to_owned()),
            (_, _, Some(id)) => Some(format!("host {id} has answered from there, and can be reached no longer")),
            (..) => Some(
                "nobody has answered from there: is the host up, does it listen there, do datagrams come through, have \
                 both a key in common, and each nodes that the other has not?"
                    .to_owned(),
            ),
        });
        ConfiguredHost { address: host.to_string(), socket, host: found, reached, trouble }
    }
}

impl Services {
    /// Forgets what workers no longer tell of other hosts, and says which of them came and went.
    pub(crate) fn look_after_hosts(&mut self, now: Time) {
        self.reach.forget(now, &self.host.slots());
        self.reach.take_changes().into_iter().for_each(|event| self.bus.emit(None, event));
    }

    /// This host and those that it is joined with.
    pub(crate) fn hosts_info(&self) -> Result<HostsInfo, Error> {
        let Some(ThisHost { host, listen }) = &self.hosts.this else { return Err(Error::NoHosts) };
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
            configured: self.hosts.states(&self.reach),
            same_ids: self.reach.same_ids(),
        })
    }
}

#[cfg(test)]
mod tests {
    use channel::{ContactReport, HostReport};

    use super::*;

    #[test]
    fn of_each_that_is_configured_it_is_known_whether_it_is_reached_or_why_not() {
        let addresses = ["192.0.2.7:1", "192.0.2.8:1", "a.test:1", "b.test:1", "192.0.2.1:54001"];
        let tables = addresses.map(|address| format!("[[hosts]]\naddress = \"{address}\"\n"));
        let text = format!("[stacks.fastforward]\nkey_file = \"/k\"\n{}", tables.concat());
        let mut hosts = Hosts::new(&Config::parse(&text).unwrap());
        hosts.this = Some(ThisHost { host: 25_011, listen: vec!["192.0.2.1:54001".parse().unwrap()] });
        let names = hosts.names.take_new();
        let (b, again_b) = &names[1];
        hosts.names.resolved(b, again_b, Err("it has no address".to_owned()));
        let mut reach = Reach::default();
        for (host, address) in [(7, "192.0.2.7:1"), (8, "192.0.2.8:1")] {
            let report = ContactReport { address: address.parse().unwrap(), host: Some(host) };
            reach.contact(0, Time(0), report);
        }
        reach.host(0, Time(0), HostReport { host: 7, hops: 1, nodes: 1, ranges: 0 });
        let list = hosts.states(&reach);
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
        let asked = &hosts.states(&reach)[2];
        assert_eq!((&*asked.address, asked.socket), ("a.test:1", "192.0.2.9:1".parse().ok()));
        assert!(asked.trouble.as_ref().unwrap().starts_with("nobody has answered from there: "));
    }
}
