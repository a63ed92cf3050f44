//! What a burst carries, as the protocols' headers say it.

/// Data type of a burst with slot type, 0..=15 (ETSI TS 102 361-1 section 9.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataType(u8);

impl DataType {
    /// PI header.
    pub const PI_HEADER: Self = Self(0);
    /// Voice LC header.
    pub const VOICE_HEADER: Self = Self(1);
    /// Terminator with LC.
    pub const TERMINATOR: Self = Self(2);
    /// CSBK.
    pub const CSBK: Self = Self(3);
    /// MBC header.
    pub const MBC_HEADER: Self = Self(4);
    /// MBC continuation.
    pub const MBC_CONTINUATION: Self = Self(5);
    /// Data header.
    pub const DATA_HEADER: Self = Self(6);
    /// Rate 1/2 data.
    pub const RATE_1_2: Self = Self(7);
    /// Rate 3/4 data.
    pub const RATE_3_4: Self = Self(8);
    /// Idle.
    pub const IDLE: Self = Self(9);
    /// Rate 1 data.
    pub const RATE_1: Self = Self(10);
    /// Unified single block data.
    pub const UNIFIED_SINGLE_BLOCK: Self = Self(11);

    /// From the low four bits of `value`.
    #[must_use]
    pub const fn from_bits(value: u8) -> Self {
        Self(value & 15)
    }

    /// 0..=15.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// What a burst carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BurstKind {
    /// Voice, by its place in the superframe: 0..=5 for A..F. A has the sync, the others an EMB.
    Voice(u8),
    /// Data or control with a slot type.
    Data(DataType),
}
