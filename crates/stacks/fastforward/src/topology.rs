//! Which hosts hear each other, and the way of a call over them: of each host where a call begins there is one tree, the same for all who
//! know the same, so each host gets one copy, whatever loops there are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rustc_hash::{FxHashMap, FxHashSet};

/// Hosts that hear each other.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    hosts: BTreeMap<u32, BTreeSet<u32>>,
    /// Nodes that are reached from here.
    reached: FxHashSet<u32>,
    /// Those of each host.
    nodes: FxHashMap<u32, Vec<u32>>,
    /// By the root: the host from which each host is given a copy.
    trees: FxHashMap<u32, FxHashMap<u32, u32>>,
}

impl Topology {
    /// What can be reached from `own`. `neighbours` gives the nodes that a node hears and is heard by, `host` its host where that is
    /// known.
    pub(crate) fn build<N: IntoIterator<Item = u32>>(
        own: u32,
        neighbours: impl Fn(u32) -> N,
        host: impl Fn(u32) -> Option<u32>,
    ) -> Self {
        let mut topology = Self::default();
        let mut next = VecDeque::from([own]);
        topology.reached.insert(own);
        while let Some(node) = next.pop_front() {
            let at = host(node);
            if let Some(at) = at {
                topology.hosts.entry(at).or_default();
                topology.nodes.entry(at).or_default().push(node);
            }
            for other in neighbours(node) {
                if let (Some(a), Some(b)) = (at, host(other))
                    && a != b
                {
                    topology.hosts.entry(a).or_default().insert(b);
                    topology.hosts.entry(b).or_default().insert(a);
                }
                if topology.reached.insert(other) {
                    next.push_back(other);
                }
            }
        }
        topology
    }

    pub(crate) fn reaches(&self, node: u32) -> bool {
        self.reached.contains(&node)
    }

    /// The nodes of a host that are reached.
    pub(crate) fn nodes_of(&self, host: u32) -> &[u32] {
        self.nodes.get(&host).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has_host(&self, host: u32) -> bool {
        self.hosts.contains_key(&host)
    }

    /// The tree of calls that begin at `root`: nearest first, and of equally near ones the copy comes from the host with the
    /// smallest ID.
    fn tree(&mut self, root: u32) -> &FxHashMap<u32, u32> {
        let hosts = &self.hosts;
        self.trees.entry(root).or_insert_with(|| {
            let mut parents = FxHashMap::default();
            let mut ring = BTreeSet::from([root]);
            let mut done = BTreeSet::from([root]);
            while !ring.is_empty() {
                let mut outer = BTreeSet::new();
                for parent in &ring {
                    for child in hosts.get(parent).into_iter().flatten() {
                        if done.insert(*child) {
                            parents.insert(*child, *parent);
                            outer.insert(*child);
                        }
                    }
                }
                ring = outer;
            }
            parents
        })
    }

    /// The next call finds its tree anew.
    #[cfg(test)]
    pub(crate) fn forget_trees(&mut self) {
        self.trees.clear();
    }

    /// How many hosts away a host is.
    pub(crate) fn distance(&mut self, from: u32, to: u32) -> Option<u8> {
        let tree = self.tree(from);
        let (mut at, mut distance) = (to, 0_u8);
        while at != from {
            at = *tree.get(&at)?;
            distance = distance.saturating_add(1);
        }
        Some(distance)
    }

    /// The host that `here` hands a call from `root` on to, so that it comes to `to`; `None` where another host does that, or
    /// nobody can.
    pub(crate) fn next_hop(&mut self, root: u32, here: u32, to: u32) -> Option<u32> {
        if !self.has_host(root) {
            return None;
        }
        let tree = self.tree(root);
        let mut at = to;
        while at != root {
            let parent = *tree.get(&at)?;
            if parent == here {
                return Some(at);
            }
            at = parent;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hosts with one node each, of the same ID.
    fn topology(links: &[(u32, u32)]) -> Topology {
        let neighbours = |node: u32| {
            let other = move |&(a, b): &(u32, u32)| match node {
                _ if node == a => Some(b),
                _ if node == b => Some(a),
                _ => None,
            };
            links.iter().filter_map(other).collect::<Vec<_>>()
        };
        Topology::build(1, neighbours, Some)
    }

    #[test]
    fn in_a_ring_each_host_gets_one_copy() {
        let mut ring = topology(&[(1, 2), (2, 3), (3, 4), (4, 5), (5, 1)]);
        for root in 1..=5 {
            for to in (1..=5).filter(|&to| to != root) {
                let givers: Vec<_> =
                    (1..=5).filter(|&here| ring.next_hop(root, here, to) == Some(to)).collect();
                assert_eq!(givers.len(), 1, "{to} from {root}: {givers:?}");
            }
        }
        assert_eq!(
            (ring.next_hop(1, 1, 3), ring.next_hop(1, 2, 3), ring.next_hop(1, 5, 4)),
            (Some(2), Some(3), Some(4))
        );
        assert_eq!(
            (ring.next_hop(1, 4, 3), ring.next_hop(9, 1, 3), ring.next_hop(1, 1, 9)),
            (None, None, None)
        );
    }

    #[test]
    fn of_two_ways_all_choose_the_same() {
        let mut diamond = topology(&[(1, 2), (1, 3), (2, 4), (3, 4)]);
        assert_eq!(
            (diamond.next_hop(1, 1, 4), diamond.next_hop(1, 2, 4), diamond.next_hop(1, 3, 4)),
            (Some(2), Some(4), None)
        );
        assert!(diamond.reaches(4) && !diamond.reaches(5));
    }
}
