//! Control signalling blocks (ETSI TS 102 361-1 section 7.2): requests, answers and announcements in one burst each.
//! What they say is in `csbk_message`.

use crate::{BURST_LEN, DataType, Sync, block, crc};

/// CSBK opcode: what the block is (ETSI TS 102 361-2 section B.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Csbko {
    /// UU_V_Req: a radio asks another whether it may call.
    UnitVoiceRequest,
    /// UU_Ans_Rsp: the answer to it.
    UnitVoiceAnswer,
    /// NACK_Rsp: a service is refused.
    Nack,
    /// BS_Dwn_Act: a radio wakes a repeater.
    BsActivation,
    /// Pre_CSBK: announces what follows.
    Preamble,
    /// Any other, 0..=63.
    Other(u8),
}

impl Csbko {
    /// From the low six bits of `value`.
    #[must_use]
    pub const fn from_bits(value: u8) -> Self {
        match value & 0x3F {
            0x04 => Self::UnitVoiceRequest,
            0x05 => Self::UnitVoiceAnswer,
            0x26 => Self::Nack,
            0x38 => Self::BsActivation,
            0x3D => Self::Preamble,
            other => Self::Other(other),
        }
    }

    /// 0..=63.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::UnitVoiceRequest => 0x04,
            Self::UnitVoiceAnswer => 0x05,
            Self::Nack => 0x26,
            Self::BsActivation => 0x38,
            Self::Preamble => 0x3D,
            Self::Other(value) => value & 0x3F,
        }
    }
}

/// The 80 bits of a CSBK without its CRC: last block, protect flag and opcode, FID, eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Csbk(pub [u8; 10]);

impl Csbk {
    /// A last block, not protected.
    #[must_use]
    pub const fn new(opcode: Csbko, fid: u8, content: [u8; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = content;
        Self([0x80 | opcode.bits(), fid, a, b, c, d, e, f, g, h])
    }

    /// Whether no further block belongs to it.
    #[must_use]
    pub const fn last_block(&self) -> bool {
        self.0[0] & 0x80 != 0
    }

    /// Whether its content is encrypted.
    #[must_use]
    pub const fn protected(&self) -> bool {
        self.0[0] & 0x40 != 0
    }

    /// What it is. Of use only with [`fid`](Self::fid) 0: makers have opcodes of their own.
    #[must_use]
    pub const fn opcode(&self) -> Csbko {
        Csbko::from_bits(self.0[0])
    }

    /// Feature set ID: 0 for the standard's own, else a maker's (ETSI TS 102 361-1 section 9.3.13).
    #[must_use]
    pub const fn fid(&self) -> u8 {
        self.0[1]
    }

    /// The eight bytes behind the FID.
    #[must_use]
    pub const fn content(&self) -> [u8; 8] {
        let [_, _, a, b, c, d, e, f, g, h] = self.0;
        [a, b, c, d, e, f, g, h]
    }

    /// Reads it from a burst of data type [`DataType::CSBK`]; `None` if too many bits are wrong.
    #[must_use]
    pub fn from_burst(burst: &[u8; BURST_LEN]) -> Option<Self> {
        block::read(burst, crc::CSBK_MASK).map(Self)
    }

    /// Puts it into `burst` with its CRC in place of what is there; slot type and sync stay.
    pub fn write(&self, burst: &mut [u8; BURST_LEN]) {
        block::write(burst, &self.0, crc::CSBK_MASK);
    }

    /// A burst of it, with the data sync of `sync`'s sender.
    #[must_use]
    pub fn to_burst(&self, colour_code: u8, sync: Sync) -> [u8; BURST_LEN] {
        block::burst(DataType::CSBK, colour_code, sync, |burst| self.write(burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SlotType;
    use proptest::prelude::*;

    #[test]
    fn opcodes_round_trip() {
        for bits in 0..64 {
            assert_eq!(Csbko::from_bits(bits).bits(), bits);
        }
    }

    proptest! {
        #[test]
        fn any_block_round_trips(bytes: [u8; 10], fill: [u8; 33]) {
            let burst = Csbk(bytes).to_burst(9, Sync::MsVoice);
            prop_assert_eq!(SlotType::read(&burst), Some(SlotType { colour_code: 9, data_type: DataType::CSBK }));
            prop_assert_eq!(Sync::of(&burst), Some(Sync::MsData));
            let mut burst = fill;
            Csbk(bytes).write(&mut burst);
            prop_assert_eq!(Csbk::from_burst(&burst), Some(Csbk(bytes)));
            let csbk = Csbk(bytes);
            let again = Csbk::new(csbk.opcode(), csbk.fid(), csbk.content());
            prop_assert_eq!((again.0[0] & 0x3F, &again.0[1..]), (bytes[0] & 0x3F, &bytes[1..]));
        }
    }
}
