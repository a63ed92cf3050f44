//! Both ways between the repeaters and another network, told apart.

use serde::Serialize;

use super::ear::{Ear, Said, is_of};
use super::{Counts, Spread, Times};
use crate::traffic::{AT_FLAGS, AT_ID};

/// One way of the calls: from the network to the repeaters, or from these to the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Way {
    /// Bursts that were said.
    pub sent: u64,
    /// What became of them at their receivers.
    #[serde(flatten)]
    pub counts: Counts,
    /// How long they were under way.
    pub latency: Spread,
}

/// What comes to the network, and how long to the repeaters takes what comes from it.
pub(super) struct Bridge {
    /// One for each call that it does not make itself.
    ears: Vec<Ear>,
    /// The server's network ID, as it was said first.
    server: Option<u32>,
    /// What no ear should hear.
    stray: u64,
    to_network: Times,
    pub(super) to_repeaters: Times,
}

impl Bridge {
    pub(super) fn new(said: &Said<'_>) -> Self {
        let others = (0..).zip(said.calls).filter(|(_, call)| !call.is_by_network());
        let ears = others.map(|(number, _)| Ear::new(said, 0, true, Some(number))).collect();
        Self { ears, server: None, stray: 0, to_network: Times::new(), to_repeaters: Times::new() }
    }

    /// The network got `bytes`, whose signature was right.
    pub(super) fn received(&mut self, said: &mut Said<'_>, bytes: &[u8], at_us: u64) {
        let is_for = |ear: &&mut Ear| ear.call.is_some_and(|number| is_of(&said.calls[number], bytes));
        let Some(ear) = self.ears.iter_mut().find(is_for) else {
            self.stray += 1;
            return;
        };
        let id = bytes.get(AT_ID..AT_FLAGS).and_then(|id| Some(u32::from_be_bytes(*id.first_chunk()?)));
        // It is the server's own, one and the same in all datagrams.
        if let Some(id) = self.server.or(id) {
            (self.server, ear.id) = (Some(id), id);
        }
        if let Some(us) = said.judge(ear, bytes, at_us) {
            self.to_network.record(us);
        }
    }

    /// How many ears a call has here.
    pub(super) fn fan_out(&self, call: usize) -> usize {
        self.ears.iter().filter(|ear| ear.call == Some(call)).count()
    }

    /// From the repeaters to the network.
    pub(super) fn way_in(&self, said: &Said<'_>) -> Way {
        let mut counts = Counts { stray: self.stray, ..Counts::default() };
        self.ears.iter().for_each(|ear| counts.add(&ear.counts(said)));
        Way { sent: counts.expected, counts, latency: self.to_network.spread() }
    }
}
