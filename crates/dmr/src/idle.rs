//! The idle burst: what a repeater sends in a slot that has nothing to carry.

use crate::BURST_LEN;

/// The 96 bits of information of an idle burst, from a pseudo-random sequence (ETSI TS 102 361-1 table D.2).
pub const IDLE_INFO: [u8; 12] = [0xFF, 0x83, 0xDF, 0x17, 0x32, 0x09, 0x4E, 0xD1, 0xE7, 0xCD, 0x8A, 0x91];

/// An idle burst of a repeater with colour code 0; [`Air`](crate::Air) gives it another one.
pub const IDLE: [u8; BURST_LEN] = [
    0x53, 0xC2, 0x5E, 0xAB, 0xA8, 0x67, 0x1D, 0xC7, 0x38, 0x3B, 0xD9, 0x36, 0x02, 0x5D, 0xFF, 0x57, 0xD7,
    0x5D, 0xF5, 0xD4, 0xB7, 0xF6, 0xE4, 0x65, 0x17, 0x1B, 0x48, 0xCA, 0x6D, 0x4F, 0xC6, 0x10, 0xB4,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Air, BurstKind, DataType, SlotType, Sync, block, bptc};

    #[test]
    fn is_what_its_information_makes() {
        assert_eq!(
            IDLE,
            block::burst(DataType::IDLE, 0, Sync::BsData, |burst| bptc::write(burst, &IDLE_INFO))
        );
        let mut burst = IDLE;
        let air = Air { colour_code: 7, sync: Sync::MsVoice };
        air.apply(BurstKind::Data(DataType::IDLE), false, &mut burst);
        assert_eq!(SlotType::read(&burst), Some(SlotType { colour_code: 7, data_type: DataType::IDLE }));
        assert_eq!((bptc::read(&burst), Sync::of(&burst)), (Some(IDLE_INFO), Some(Sync::MsData)));
    }
}
