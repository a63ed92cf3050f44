//! Whom a node looks for: the nodes of its own host, the hosts that are configured, and which of their nodes it goes on with. How they
//! prove to be there is elsewhere ([`crate::strangers`]).

use std::time::Duration;

use stack::Time;
use transport::Address;

use crate::association::Challenges;
use crate::node::FastForward;

/// Between the first attempts to reach a node that does not answer, and the most it gets.
const ATTEMPTS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// With so many nodes of another host a node speaks: the second is for when the first one dies.
const NODES_OF_A_HOST: usize = 2;

/// Where a node is looked for.
#[derive(Debug)]
pub(crate) struct Contact {
    address: Address,
    /// Who should be there, where that is known.
    node: Option<u32>,
    /// It is configured: another host.
    is_configured: bool,
    /// Which one, where that is known.
    expected: Option<u32>,
    /// The host that was found there.
    host: Option<u32>,
    challenges: Challenges,
    due: Time,
    wait: Duration,
}

impl Contact {
    pub(crate) fn of_node(address: Address, node: u32) -> Self {
        Self { node: Some(node), is_configured: false, ..Self::configured(address, None) }
    }

    /// The node that is called there: a host has the ID of its first one.
    pub(crate) fn who(&self) -> Option<u32> {
        self.node.or(self.expected)
    }

    fn its_host(&self) -> Option<u32> {
        self.expected.or(self.host)
    }

    pub(crate) fn is_of(&self, host: u32) -> bool {
        self.its_host() == Some(host)
    }

    /// It is called at once, as for the first time.
    pub(crate) fn begin_anew(&mut self) {
        (self.due, self.wait) = (Time::default(), ATTEMPTS.0);
        self.host = self.host.filter(|&host| self.its_host() == Some(host));
    }

    #[cfg(test)]
    pub(crate) fn again(&self) -> Self {
        let Self { address, node, is_configured, expected, .. } = *self;
        Self { node, is_configured, ..Self::configured(address, expected) }
    }

    /// Where it looks for another host, and which one was found there; `None` where it looks for a node.
    pub(crate) fn configured_for(&self) -> Option<(Address, Option<u32>)> {
        self.is_configured.then_some((self.address, self.host))
    }

    fn configured(address: Address, expected: Option<u32>) -> Self {
        Self {
            address,
            node: None,
            is_configured: true,
            expected,
            host: None,
            challenges: Challenges::default(),
            due: Time::default(),
            wait: ATTEMPTS.0,
        }
    }
}

impl FastForward {
    /// An address is configured, or not any more.
    pub(crate) fn host(&mut self, now: Time, address: Address, host: Option<u32>, is_wanted: bool) {
        let known =
            self.contacts.iter().position(|contact| contact.is_configured && contact.address == address);
        self.chosen_for = None;
        match (known, is_wanted) {
            (None, true) => {
                self.contacts.push(Contact::configured(address, host));
                self.look_for_nodes(now);
            }
            (Some(place), true) if self.contacts[place].expected != host => {
                let contact = &mut self.contacts[place];
                contact.expected = host;
                contact.begin_anew();
                self.look_for_nodes(now);
            }
            (Some(place), false) => {
                let host = self.contacts.swap_remove(place).host;
                let is_still =
                    self.contacts.iter().any(|contact| contact.is_configured && contact.host == host);
                if let Some(host) = host.filter(|_| !is_still) {
                    self.contacts.retain(|contact| contact.is_configured || contact.host != Some(host));
                    self.all_of_host(host).into_iter().for_each(|place| {
                        if let Some(association) = self.association_mut(place) {
                            association.keeps[0] = false;
                        }
                    });
                }
            }
            _ => {}
        }
    }

    pub(crate) fn all_of_host(&self, host: u32) -> Vec<u16> {
        self.all().filter(|(_, known)| known.host == host).map(|(place, _)| place).collect()
    }

    /// Where a challenge was read that was sent to look for somebody, if it is one: who brings it back is who was looked for, of the
    /// host `says`.
    pub(crate) fn found(&mut self, now: Time, challenge: u64, says: Option<u32>) -> Option<Address> {
        let Self { contacts, overrides, host_keys, .. } = self;
        contacts.iter_mut().find_map(|contact| {
            contact.challenges.redeem(challenge, now).then(|| {
                // Who has a key of its own is no other.
                let has_key = |expected: &u32| host_keys.contains_key(expected);
                if contact.expected.filter(has_key).is_none_or(|expected| says == Some(expected)) {
                    contact.host = says;
                    contact.wait = ATTEMPTS.0;
                }
                contact.who().and_then(|node| overrides.get(&node)).copied().unwrap_or(contact.address)
            })
        })
    }

    /// Looks for nodes that should be there and are not heard.
    pub(crate) fn look_for_nodes(&mut self, now: Time) {
        self.choose_nodes();
        let mut calls = Vec::new();
        for place in 0..self.contacts.len() {
            let contact = &self.contacts[place];
            let is_heard = match (contact.node, contact.host) {
                (Some(node), _) => self.places.contains_key(&node),
                (None, Some(host)) => self.all().any(|(_, known)| known.host == host),
                (None, None) => false,
            };
            if is_heard || contact.due > now {
                continue;
            }
            let challenge = self.random.draw();
            let contact = &mut self.contacts[place];
            contact.challenges.add(challenge, now);
            contact.due = now + contact.wait;
            contact.wait = (contact.wait * 2).min(ATTEMPTS.1);
            calls.push((contact.who(), contact.address, contact.its_host(), challenge));
        }
        for (node, address, host, challenge) in calls {
            let key = self.key_for(host).clone();
            self.call_out(now, self.reached_at(node, address), (challenge, 0), None, &key);
        }
    }

    /// Of each host that is configured, nodes are chosen to go on with, so that each node of either host has two of the other. Which
    /// ones differs from node to node, and is the same for both. The other host need not have this one configured.
    fn choose_nodes(&mut self) {
        let seen = (self.network.version_of_ways(), self.contacts.len());
        if self.chosen_for.replace(seen) == Some(seen) {
            return;
        }
        let configured =
            self.contacts.iter().filter(|contact| contact.is_configured).filter_map(|contact| contact.host);
        let mut hosts: Vec<u32> = configured.filter(|&host| host != self.settings.host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let own = self.settings.node;
        let ours: Vec<u32> = self.network.nodes_of(self.settings.host).map(|(node, _)| node).collect();
        let mut wanted = Vec::new();
        for &host in &hosts {
            let Some(address) =
                self.all().find(|(_, known)| known.host == host).map(|(_, known)| known.address)
            else {
                continue;
            };
            let theirs: Vec<(u32, u16)> = self.network.nodes_of(host).collect();
            // How many of the same side are nearer to that one.
            let nearer = |node: u32, side: &mut dyn Iterator<Item = u32>, than: u32| {
                side.filter(|&other| affinity(other, node) < affinity(than, node)).count()
            };
            for &(node, port) in &theirs {
                if nearer(node, &mut ours.iter().copied(), own) < NODES_OF_A_HOST
                    || nearer(own, &mut theirs.iter().map(|&(other, _)| other), node) < NODES_OF_A_HOST
                {
                    wanted.push((node, host, address.at_port(port)));
                }
            }
        }
        for known in self.associations.iter_mut().flatten().filter(|known| !known.is_sibling) {
            known.keeps[0] = wanted.iter().any(|&(node, ..)| node == known.node)
                || hosts.contains(&known.host) && !wanted.iter().any(|&(_, host, _)| host == known.host);
        }
        let ours = |node: u32| self.settings.nodes.iter().any(|&(ours, _)| ours == node);
        self.contacts.retain(|contact| match contact.node {
            Some(node) => ours(node) || wanted.iter().any(|&(other, ..)| other == node),
            None => true,
        });
        for (node, host, address) in wanted {
            if !self.contacts.iter().any(|contact| contact.node == Some(node)) {
                self.contacts.push(Contact { host: Some(host), ..Contact::of_node(address, node) });
            }
        }
    }
}

/// The smaller, the sooner two nodes speak with each other: the same for both.
pub(crate) fn affinity(one: u32, other: u32) -> u64 {
    let mixed =
        (u64::from(one.max(other)) << 32 | u64::from(one.min(other))).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}
