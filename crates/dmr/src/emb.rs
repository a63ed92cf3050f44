//! The EMB field of voice bursts B to F (ETSI TS 102 361-1 section 9.1.2): 8 bits before and 8 behind the 32 bits
//! of embedded signalling.

use crate::{BURST_LEN, layout, qr};

/// The 16 bits of EMB within the 48 in the middle of a burst.
const MASK: u64 = 0xFF00_0000_00FF;

/// Link control start/stop: which part of an embedded LC a fragment is (ETSI TS 102 361-1 section 9.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lcss {
    /// A message in one fragment, or none.
    Single,
    /// The first fragment of an LC.
    First,
    /// The last fragment of an LC.
    Last,
    /// A fragment between these.
    Continuation,
}

impl Lcss {
    /// From the low two bits of `value`.
    #[must_use]
    pub const fn from_bits(value: u8) -> Self {
        match value & 3 {
            0 => Self::Single,
            1 => Self::First,
            2 => Self::Last,
            _ => Self::Continuation,
        }
    }

    /// 0..=3.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Single => 0,
            Self::First => 1,
            Self::Last => 2,
            Self::Continuation => 3,
        }
    }

    /// That of a voice burst by its place in the superframe, 0..=5 for A..F, as in
    /// [`BurstKind::Voice`](crate::BurstKind::Voice); `None` for A, which has no EMB, and for what is no place.
    #[must_use]
    pub const fn at(index: u8) -> Option<Self> {
        match index {
            1 => Some(Self::First),
            2 | 3 => Some(Self::Continuation),
            4 => Some(Self::Last),
            5 => Some(Self::Single),
            _ => None,
        }
    }
}

/// What a voice burst without sync says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Emb {
    /// Colour code, 0..=15; of more only the low four bits are sent.
    pub colour_code: u8,
    /// Privacy indicator.
    pub pi: bool,
    /// Which part of an embedded LC the burst carries.
    pub lcss: Lcss,
}

impl Emb {
    /// Reads it from `burst`, correcting up to 2 wrong bits of 16; `None` if more are wrong.
    #[must_use]
    pub fn read(burst: &[u8; BURST_LEN]) -> Option<Self> {
        let centre = layout::centre(burst);
        let data = qr::decode((centre >> 32) as u16 & 0xFF00 | centre as u16 & 0xFF)?;
        Some(Self { colour_code: data >> 3, pi: data & 4 != 0, lcss: Lcss::from_bits(data) })
    }

    /// Puts it into `burst`.
    pub fn write(self, burst: &mut [u8; BURST_LEN]) {
        let data = self.colour_code << 3 | u8::from(self.pi) << 2 | self.lcss.bits();
        let word = u64::from(qr::encode(data));
        layout::set_centre(burst, MASK, (word & 0xFF00) << 32 | word & 0xFF);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_touches_nothing_else() {
        for data in 0..128 {
            let emb = Emb { colour_code: data >> 3, pi: data & 4 != 0, lcss: Lcss::from_bits(data) };
            for fill in [0x00, 0xFF] {
                let mut burst = [fill; BURST_LEN];
                emb.write(&mut burst);
                assert_eq!(Emb::read(&burst), Some(emb));
                layout::set_centre(&mut burst, MASK, if fill == 0 { 0 } else { u64::MAX });
                assert_eq!(burst, [fill; BURST_LEN]);
            }
        }
    }
}
