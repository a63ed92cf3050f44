//! What the switch has to know of a context.

use serde::{Deserialize, Serialize};

use crate::Slot;

/// How many static talkgroups one slot of a context can have.
pub const MAX_TALKGROUPS: usize = 32;

/// How many talkgroups can be blocked for a device.
pub const MAX_BLOCKED: usize = 8;

/// What the registry says of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSettings {
    /// Static talkgroups of TS1 and TS2, each at most [`MAX_TALKGROUPS`].
    pub statics: [Vec<u32>; 2],
    /// Talkgroups that neither reach it nor can be keyed at it, at most [`MAX_BLOCKED`].
    pub blocked: Vec<u32>,
    /// One dynamic talkgroup a slot at most: keying one ends the other.
    pub single: bool,
}

/// A context within one worker: its shard and its place there. The place is used again when the context is
/// gone, so a key is only good until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContextKey {
    /// Number of the shard, unique over all stacks of the host.
    pub shard: u16,
    /// Record in the shard's state segment.
    pub index: u16,
}

/// What is at the far end of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkType {
    /// Software; never moves a user's location.
    Application,
    /// Radio access equipment: a repeater or hotspot.
    Repeater,
    /// Something with many sites behind it.
    Network,
}

/// The timeslots that a context serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slots {
    /// A duplex repeater.
    Both,
    /// Only one of them.
    Only(Slot),
    /// A simplex hotspot: one slot, spoken of as TS2 on the wire.
    Simplex,
}

impl Slots {
    /// The slot on which traffic for `wanted` reaches this context, if any does.
    #[must_use]
    pub fn map(self, wanted: Slot) -> Option<Slot> {
        match self {
            Self::Both => Some(wanted),
            Self::Only(slot) => (slot == wanted).then_some(slot),
            Self::Simplex => Some(Slot::Two),
        }
    }
}

/// How many calls a context carries at once, and which way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Line {
    /// One on each slot, in or out: a radio channel.
    #[default]
    Channel,
    /// Any number, out only: what another network is sent.
    Trunk(Trunk),
    /// One, in only: a call that has come over the trunk with the same ID. What comes in over a leg goes out over that trunk
    /// in no case.
    Leg,
}

/// Which calls to talkgroups go out over a trunk. Private calls do where the radio was last heard behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trunk {
    /// Ranges of talkgroups, first and last.
    pub talkgroups: Vec<(u32, u32)>,
    /// Talkgroups that have another number there: the number here and the number there.
    pub renamed: Vec<(u32, u32)>,
}

impl Trunk {
    /// Whether calls to this talkgroup go out over it.
    #[must_use]
    pub fn carries(&self, talkgroup: u32) -> bool {
        self.talkgroups.iter().any(|&(first, last)| (first..=last).contains(&talkgroup))
    }

    /// The number that the talkgroup has there, where it is another one.
    #[must_use]
    pub fn renamed(&self, talkgroup: u32) -> Option<u32> {
        self.renamed.iter().find(|&&(here, _)| here == talkgroup).map(|&(_, there)| there)
    }
}

/// A context as the switch knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its ID, 32 bits: a repeater's, or a hotspot's with nine digits.
    pub id: u32,
    /// What is at its far end.
    pub link: LinkType,
    /// How many calls it carries at once.
    pub line: Line,
    /// The slots it serves.
    pub slots: Slots,
    /// Static talkgroups of TS1 and TS2, each at most [`MAX_TALKGROUPS`].
    pub statics: [Vec<u32>; 2],
    /// Talkgroups that neither reach it nor can be keyed at it, at most [`MAX_BLOCKED`].
    pub blocked: Vec<u32>,
    /// One dynamic talkgroup a slot at most: keying one ends the other.
    pub single: bool,
    /// How long its dynamic talkgroups stay, minutes; `None` for the cluster's default.
    pub dynamic_minutes: Option<u16>,
    /// Colour code of its carrier, 0..=15.
    pub colour_code: u8,
}

impl Profile {
    /// A repeater with these static talkgroups, colour code 1, and nothing special.
    #[must_use]
    pub const fn repeater(id: u32, slots: Slots, statics: [Vec<u32>; 2]) -> Self {
        Self {
            id,
            link: LinkType::Repeater,
            line: Line::Channel,
            slots,
            statics,
            blocked: Vec::new(),
            single: false,
            dynamic_minutes: None,
            colour_code: 1,
        }
    }
}
