//! What an operator may want to know of the nodes that are heard, and of the hosts behind them.

use std::collections::BTreeMap;

use stack::Time;
use switch::{FAR_TIMEOUT, FarCall};
use transport::Address;

use crate::association::Measured;
use crate::contacts::Contact;
use crate::node::FastForward;

/// A node that this one speaks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its ID.
    pub node: u32,
    /// Its host's.
    pub host: u32,
    /// Where it is reached.
    pub address: Address,
    /// It was heard lately.
    pub is_fresh: bool,
    /// What was measured.
    pub measured: Measured,
}

/// A host that can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostStatus {
    /// Its ID.
    pub host: u32,
    /// How many hosts away it is: 1 where it is heard itself.
    pub hops: u8,
    /// How many of its nodes can be reached.
    pub nodes: u16,
    /// How many ranges of talkgroups they want.
    pub ranges: u32,
}

impl FastForward {
    /// The nodes that this one speaks with, of its own host and of others.
    pub fn nodes(&self) -> impl Iterator<Item = NodeStatus> {
        self.all().map(|(_, known)| NodeStatus {
            node: known.node,
            host: known.host,
            address: self.reached_at(Some(known.node), known.address),
            is_fresh: known.is_fresh,
            measured: known.measured,
        })
    }

    /// The addresses that are configured for other hosts, each with the host that has answered from there, if one has.
    pub fn configured(&self) -> impl Iterator<Item = (Address, Option<u32>)> {
        self.contacts.iter().filter_map(Contact::configured_for)
    }

    /// The calls of other hosts that come here now.
    pub fn far_calls(&self, now: Time) -> impl Iterator<Item = FarCall> {
        self.far.running(now, FAR_TIMEOUT)
    }

    /// A node of another host that has an ID of this one, and where it is.
    #[must_use]
    pub fn same_id(&self, now: Time) -> Option<(u32, Address)> {
        self.same_id.filter(|same| same.is_to_be_told(now)).map(|same| (same.node, same.address))
    }

    /// The host of a node, as far as that has been said.
    #[must_use]
    pub fn host_of(&self, node: u32) -> Option<u32> {
        self.network.host_of(node)
    }

    /// The other hosts that can be reached, spoken with or behind others.
    #[must_use]
    pub fn hosts(&mut self) -> Vec<HostStatus> {
        let mut hosts: BTreeMap<u32, HostStatus> = BTreeMap::new();
        for (node, state) in self.network.nodes() {
            let Some(host) = self.network.host_of(node).filter(|&host| host != self.settings.host) else {
                continue;
            };
            let status = hosts.entry(host).or_insert(HostStatus { host, ..HostStatus::default() });
            status.nodes += 1;
            status.ranges += u32::try_from(state.ranges()).unwrap_or(u32::MAX);
        }
        let own = self.settings.host;
        for status in hosts.values_mut() {
            status.hops = self.network.topology().distance(own, status.host).unwrap_or(u8::MAX);
        }
        hosts.into_values().collect()
    }
}
