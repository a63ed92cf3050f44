//! What is set for single hosts and nodes: keys of their own, and where they are reached. Which key opens and seals is in `seal`, who
//! is looked for in `contacts`, who is met in `strangers`.

use stack::Time;
use transport::Address;

use crate::node::FastForward;
use crate::seal::{NetworkKey, NodeKey};

impl FastForward {
    /// A host is spoken with under another key from now on: all that was agreed on under the one before is forgotten. Numbers go on,
    /// so that no key seals two datagrams with the same one, whatever keys come and come back.
    pub(crate) fn set_host_key(&mut self, now: Time, host: u32, key: Option<NetworkKey>) {
        // Nodes of one host have no others to be taken for.
        if host == self.settings.host || self.host_keys.get(&host).map(NodeKey::made_of) == key.as_ref() {
            return;
        }
        match key {
            Some(key) => self.host_keys.insert(host, key.of_node(self.settings.node, self.start)),
            None => self.host_keys.remove(&host),
        };
        // Whoever has its ID is taken for its first node, whatever host it has named.
        let of_it = self.all_of_host(host).into_iter().chain(self.places.get(&host).copied());
        of_it.collect::<Vec<_>>().into_iter().for_each(|place| self.drop_association(now, place));
        let mut strangers = std::mem::take(&mut self.strangers);
        strangers.retain(|stranger| self.keys().any(|key| key == stranger.key.made_of()));
        self.strangers = strangers;
        self.contacts
            .iter_mut()
            .filter(|contact| contact.is_of(host))
            .for_each(|contact| contact.begin_anew());
        self.chosen_for = None;
        self.look_for_nodes(now);
        self.network.refresh(now);
    }

    /// A node is reached there, or where it says.
    pub(crate) fn set_override(&mut self, now: Time, node: u32, address: Option<Address>) {
        let before = match address {
            Some(address) => self.overrides.insert(node, address),
            None => self.overrides.remove(&node),
        };
        if before != address {
            self.contacts
                .iter_mut()
                .filter(|contact| contact.who() == Some(node))
                .for_each(|contact| contact.begin_anew());
            self.look_for_nodes(now);
        }
    }

    /// Where a node is reached that is at this address, for all that others know.
    pub(crate) fn reached_at(&self, node: Option<u32>, address: Address) -> Address {
        node.and_then(|node| self.overrides.get(&node)).copied().unwrap_or(address)
    }

    /// All keys that a datagram can be sealed with: those of the network first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &NetworkKey> {
        self.settings.keys.iter().chain(self.host_keys.values().map(NodeKey::made_of))
    }

    /// This node's own key for a host.
    pub(crate) fn key_for(&self, host: Option<u32>) -> &NodeKey {
        host.and_then(|host| self.host_keys.get(&host)).unwrap_or(&self.key)
    }

    /// This node's own key for whoever has spoken under that key, and says that it is of that host, or does not say it yet.
    pub(crate) fn key_in_turn(&self, host: Option<u32>, spoken: &NetworkKey) -> &NodeKey {
        let is_the_networks = host.is_some() || self.settings.keys.contains(spoken);
        let of_a_host = self.host_keys.values().find(|own| !is_the_networks && own.made_of() == spoken);
        of_a_host.unwrap_or_else(|| self.key_for(host))
    }

    /// Whether a node may speak under a key: where the host that it says it is of has one of its own, or the one that it is known to be
    /// of, under that alone, and else under one of the network. A node whose ID is a host's is of that host.
    pub(crate) fn may_speak(
        &self,
        node: u32,
        says: Option<u32>,
        known: Option<u32>,
        key: &NetworkKey,
    ) -> bool {
        let of = |host: u32| self.host_keys.get(&host).map(NodeKey::made_of);
        let is_right = match says.map(of) {
            Some(None) => self.settings.keys.contains(key),
            Some(Some(own)) => own == key,
            None => true,
        };
        is_right && [Some(node), known].into_iter().flatten().filter_map(of).all(|own| own == key)
    }
}
