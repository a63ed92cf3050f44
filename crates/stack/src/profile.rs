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

/// A context as the switch knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its ID, 32 bits: a repeater's, or a hotspot's with nine digits.
    pub id: u32,
    /// What is at its far end.
    pub link: LinkType,
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
            slots,
            statics,
            blocked: Vec::new(),
            single: false,
            dynamic_minutes: None,
            colour_code: 1,
        }
    }
}
