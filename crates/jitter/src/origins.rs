//! What is known of the nodes where sessions begin: how well their bursts come, and what the next session of a node
//! begins with.

use std::time::Duration;

use rustc_hash::FxHashMap;
use stack::Time;

use crate::MAX_SESSIONS;
use crate::transit::{Legacy, Transit};

/// How well the bursts of a node come. Counts are since it was first heard here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Bursts that came, each once.
    pub bursts: u64,
    /// Copies of these.
    pub duplicates: u64,
    /// Bursts that came when their place was past. Those of them that were waited for are among `lost` too.
    pub late: u64,
    /// Bursts that were waited for and did not come in time.
    pub lost: u64,
    /// Those of them in place of which one was made up.
    pub concealed: u64,
    /// By how much transit differs from burst to burst: the mean that RFC 3550 section 6.4.1 defines.
    pub jitter: Duration,
    /// How long the session that was heard last is delayed.
    pub delay: Duration,
}

/// A node where sessions begin.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    pub(crate) node: u32,
    pub(crate) health: Health,
    sessions: usize,
    heard: Time,
    legacy: Option<Legacy>,
}

impl Origin {
    /// A burst of one of its sessions came.
    pub(crate) fn note(&mut self, now: Time, transit: &Transit, step_us: u32) {
        self.health.bursts += 1;
        let jitter = self.health.jitter;
        self.health.jitter = jitter - jitter / 16 + Duration::from_micros(step_us.into()) / 16;
        self.health.delay = Duration::from_micros(transit.delay().unsigned_abs());
        (self.heard, self.legacy) = (now, transit.legacy());
    }

    /// What its next session begins with.
    pub(crate) fn legacy(&self) -> Option<Legacy> {
        self.legacy
    }
}

/// All nodes that were heard: as many as there may be sessions, so that each session has one.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    all: Vec<Origin>,
    by_node: FxHashMap<u32, u16>,
}

impl Origins {
    /// The place of a node that has one session more. Where there is no room, whoever has none and was silent for longest
    /// is forgotten.
    pub(crate) fn begin(&mut self, node: u32) -> Option<u16> {
        let place = match self.by_node.get(&node) {
            Some(&place) => place,
            None => {
                let place = self.make_room()?;
                self.by_node.insert(node, place);
                self.all[usize::from(place)].node = node;
                place
            }
        };
        self.all[usize::from(place)].sessions += 1;
        Some(place)
    }

    /// It has one less.
    pub(crate) fn end(&mut self, place: u16) {
        if let Some(origin) = self.get_mut(place) {
            origin.sessions = origin.sessions.saturating_sub(1);
        }
    }

    pub(crate) fn get_mut(&mut self, place: u16) -> Option<&mut Origin> {
        self.all.get_mut(usize::from(place))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.all.iter()
    }

    fn make_room(&mut self) -> Option<u16> {
        if self.all.len() < MAX_SESSIONS {
            self.all.push(Origin::default());
            return u16::try_from(self.all.len() - 1).ok();
        }
        let idle = self.all.iter().zip(0..).filter(|(origin, _)| origin.sessions == 0);
        let (_, place) = idle.min_by_key(|(origin, _)| origin.heard)?;
        let forgotten = std::mem::take(&mut self.all[usize::from(place)]);
        self.by_node.remove(&forgotten.node);
        Some(place)
    }
}
