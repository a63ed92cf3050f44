//! One burst with its header, as it travels between stacks and the switch.

use dmr::{BURST_LEN, BurstKind};
use serde::{Deserialize, Serialize};

/// A timeslot of a DMR carrier (ETSI TS 102 361-1 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// TS1.
    One,
    /// TS2.
    Two,
}

impl Slot {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::One, Self::Two];

    /// 0 or 1, for arrays.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::One => 0,
            Self::Two => 1,
        }
    }

    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }

    /// 1 or 2, as people say it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// Whom a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CallType {
    /// A talkgroup.
    Group,
    /// One radio.
    Private,
}

/// One burst and what its protocol's header said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Radio ID of the talker, 24 bits.
    pub source: u32,
    /// Talkgroup or radio ID called, 24 bits.
    pub destination: u32,
    /// Which of the two `destination` is.
    pub call: CallType,
    /// What the burst carries.
    pub kind: BurstKind,
    /// Counts the bursts of a stream, modulo 256.
    pub sequence: u8,
    /// Bit errors seen by the receiver of the burst, 0..=141; 0 where unknown.
    pub ber: u8,
    /// Field strength, -dBm; 0 where unknown.
    pub rssi: u8,
    /// The 264 bits of the burst.
    pub burst: [u8; BURST_LEN],
}
