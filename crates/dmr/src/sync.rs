//! Synchronisation patterns (ETSI TS 102 361-1 section 9.1.1).

use crate::{BURST_LEN, layout};

/// How many of the 48 bits may be wrong. Any two patterns differ in more than twice as many.
const TOLERANCE: u32 = 4;

/// The pattern in the middle of a data burst and of voice burst A. It tells who sends, and voice from data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sync {
    /// Base station, voice.
    BsVoice,
    /// Base station, data.
    BsData,
    /// Mobile station, voice.
    MsVoice,
    /// Mobile station, data.
    MsData,
    /// TDMA direct mode, TS1, voice.
    Direct1Voice,
    /// TDMA direct mode, TS1, data.
    Direct1Data,
    /// TDMA direct mode, TS2, voice.
    Direct2Voice,
    /// TDMA direct mode, TS2, data.
    Direct2Data,
}

impl Sync {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::BsVoice,
        Self::BsData,
        Self::MsVoice,
        Self::MsData,
        Self::Direct1Voice,
        Self::Direct1Data,
        Self::Direct2Voice,
        Self::Direct2Data,
    ];

    /// The 48 bits of the pattern.
    #[must_use]
    pub const fn pattern(self) -> u64 {
        match self {
            Self::BsVoice => 0x755F_D7DF_75F7,
            Self::BsData => 0xDFF5_7D75_DF5D,
            Self::MsVoice => 0x7F7D_5DD5_7DFD,
            Self::MsData => 0xD5D7_F77F_D757,
            Self::Direct1Voice => 0x5D57_7F77_57FF,
            Self::Direct1Data => 0xF7FD_D5DD_FD55,
            Self::Direct2Voice => 0x7DFF_D5F5_5D5F,
            Self::Direct2Data => 0xD755_7F5F_F7F5,
        }
    }

    /// The sync of `burst`, up to 4 bits of which may be wrong; `None` for one without, such as voice B to F.
    #[must_use]
    pub fn of(burst: &[u8; BURST_LEN]) -> Option<Self> {
        let centre = layout::centre(burst);
        Self::ALL.into_iter().find(|sync| (sync.pattern() ^ centre).count_ones() <= TOLERANCE)
    }

    /// Puts the pattern into `burst`.
    pub fn write(self, burst: &mut [u8; BURST_LEN]) {
        layout::set_centre(burst, u64::MAX, self.pattern());
    }

    /// The voice sync of the same sender.
    #[must_use]
    pub const fn voice(self) -> Self {
        match self {
            Self::BsVoice | Self::BsData => Self::BsVoice,
            Self::MsVoice | Self::MsData => Self::MsVoice,
            Self::Direct1Voice | Self::Direct1Data => Self::Direct1Voice,
            Self::Direct2Voice | Self::Direct2Data => Self::Direct2Voice,
        }
    }

    /// The data sync of the same sender.
    #[must_use]
    pub const fn data(self) -> Self {
        match self {
            Self::BsVoice | Self::BsData => Self::BsData,
            Self::MsVoice | Self::MsData => Self::MsData,
            Self::Direct1Voice | Self::Direct1Data => Self::Direct1Data,
            Self::Direct2Voice | Self::Direct2Data => Self::Direct2Data,
        }
    }

    /// Whether it is the sync of voice burst A.
    #[must_use]
    pub fn is_voice(self) -> bool {
        self == self.voice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_with_four_wrong_bits_and_not_with_five() {
        for sync in Sync::ALL {
            for first in 0..44 {
                let mut burst = [0xA5; BURST_LEN];
                sync.write(&mut burst);
                assert_eq!(Sync::of(&burst), Some(sync));
                assert_eq!((burst[13] & 0xF0, burst[19] & 0x0F), (0xA0, 0x05));
                let pattern = layout::centre(&burst);
                layout::set_centre(&mut burst, u64::MAX, pattern ^ 0b1111 << first);
                assert_eq!(Sync::of(&burst), Some(sync));
                layout::set_centre(
                    &mut burst,
                    u64::MAX,
                    pattern ^ (0b1111 << first | 1 << ((first + 4) % 48)),
                );
                assert_eq!(Sync::of(&burst), None);
            }
        }
    }

    #[test]
    fn patterns_are_far_apart_and_data_is_voice_inverted() {
        for a in Sync::ALL {
            for b in Sync::ALL {
                assert!(a == b || (a.pattern() ^ b.pattern()).count_ones() > 2 * TOLERANCE, "{a:?} {b:?}");
            }
            // The outer symbols of the 4FSK change sign: the high bit of each dibit.
            assert_eq!(a.voice().pattern() ^ a.data().pattern(), 0xAAAA_AAAA_AAAA);
            assert_ne!(a.voice(), a.data());
        }
    }
}
