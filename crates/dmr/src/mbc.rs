//! Multi-block control (ETSI TS 102 361-1 section 7.4) and the PI header of an encrypted call (section 9.1.8).
//! Both are carried, not understood: their contents are trunking's and the makers'.

use crate::{BURST_LEN, Csbko, DataType, Sync, block, bptc, crc};

/// The 80 bits of an MBC header without its CRC, laid out as a CSBK: last block (0) and opcode, FID, eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MbcHeader(pub [u8; 10]);

impl MbcHeader {
    /// What the whole of the blocks is.
    #[must_use]
    pub const fn opcode(&self) -> Csbko {
        Csbko::from_bits(self.0[0])
    }

    /// Feature set ID: 0 for the standard's own, else a maker's.
    #[must_use]
    pub const fn fid(&self) -> u8 {
        self.0[1]
    }

    /// Reads it from a burst of data type [`DataType::MBC_HEADER`]; `None` if too many bits are wrong.
    #[must_use]
    pub fn from_burst(burst: &[u8; BURST_LEN]) -> Option<Self> {
        block::read(burst, crc::MBC_HEADER_MASK).map(Self)
    }

    /// A burst of it, with the data sync of `sync`'s sender.
    #[must_use]
    pub fn to_burst(&self, colour_code: u8, sync: Sync) -> [u8; BURST_LEN] {
        let write = |burst: &mut _| block::write(burst, &self.0, crc::MBC_HEADER_MASK);
        block::burst(DataType::MBC_HEADER, colour_code, sync, write)
    }
}

/// The 96 bits of an MBC continuation block: last block and opcode, then content. The last block of a message ends
/// in a CRC over all continuation blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MbcBlock(pub [u8; 12]);

impl MbcBlock {
    /// Whether it is the last of its message.
    #[must_use]
    pub const fn last_block(&self) -> bool {
        self.0[0] & 0x80 != 0
    }

    /// Reads it from a burst of data type [`DataType::MBC_CONTINUATION`]; `None` if too many bits are wrong.
    #[must_use]
    pub fn from_burst(burst: &[u8; BURST_LEN]) -> Option<Self> {
        bptc::read(burst).map(Self)
    }

    /// A burst of it, with the data sync of `sync`'s sender.
    #[must_use]
    pub fn to_burst(&self, colour_code: u8, sync: Sync) -> [u8; BURST_LEN] {
        let write = |burst: &mut _| bptc::write(burst, &self.0);
        block::burst(DataType::MBC_CONTINUATION, colour_code, sync, write)
    }

    /// Whether `blocks` are all continuation blocks of a message: the last one is, and its CRC holds.
    #[must_use]
    pub fn are_whole(blocks: &[Self]) -> bool {
        let Some((last, others)) = blocks.split_last() else { return false };
        let sent = [last.0[10], last.0[11]];
        last.last_block()
            && !others.iter().any(Self::last_block)
            && mbc_crc(others, last).to_be_bytes() == sent
    }

    /// Marks the last of `blocks`, and only it, as the last and puts the CRC over all of them at its end.
    pub fn seal(blocks: &mut [Self]) {
        for block in &mut *blocks {
            block.0[0] &= 0x7F;
        }
        let Some((last, others)) = blocks.split_last_mut() else { return };
        last.0[0] |= 0x80;
        let crc = mbc_crc(others, last);
        last.0[10..].copy_from_slice(&crc.to_be_bytes());
    }
}

fn mbc_crc(others: &[MbcBlock], last: &MbcBlock) -> u16 {
    let [content @ .., _, _] = &last.0;
    crc::ccitt_of(others.iter().map(|block| &block.0[..]).chain([&content[..]]))
}

/// The 80 bits of a PI header without its CRC: how a call is encrypted, in the makers' layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PiHeader(pub [u8; 10]);

impl PiHeader {
    /// Reads it from a burst of data type [`DataType::PI_HEADER`]; `None` if too many bits are wrong.
    #[must_use]
    pub fn from_burst(burst: &[u8; BURST_LEN]) -> Option<Self> {
        block::read(burst, crc::PI_MASK).map(Self)
    }

    /// A burst of it, with the data sync of `sync`'s sender.
    #[must_use]
    pub fn to_burst(&self, colour_code: u8, sync: Sync) -> [u8; BURST_LEN] {
        let write = |burst: &mut _| block::write(burst, &self.0, crc::PI_MASK);
        block::burst(DataType::PI_HEADER, colour_code, sync, write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Csbk, DataHeader, SlotType};
    use proptest::prelude::*;

    proptest! {
        /// The mask tells the kinds apart, whatever the slot type says.
        #[test]
        fn headers_round_trip_as_themselves_only(bytes: [u8; 10]) {
            let (mbc, pi) = (MbcHeader(bytes).to_burst(3, Sync::BsData), PiHeader(bytes).to_burst(3, Sync::BsData));
            let slot_type = |data_type| Some(SlotType { colour_code: 3, data_type });
            prop_assert_eq!(SlotType::read(&mbc), slot_type(DataType::MBC_HEADER));
            prop_assert_eq!(SlotType::read(&pi), slot_type(DataType::PI_HEADER));
            prop_assert_eq!((MbcHeader::from_burst(&mbc), PiHeader::from_burst(&mbc)), (Some(MbcHeader(bytes)), None));
            prop_assert_eq!((PiHeader::from_burst(&pi), MbcHeader::from_burst(&pi)), (Some(PiHeader(bytes)), None));
            for burst in [mbc, pi] {
                prop_assert_eq!((Csbk::from_burst(&burst), DataHeader::from_burst(&burst)), (None, None));
            }
        }

        #[test]
        fn sealed_blocks_are_whole(bytes in prop::collection::vec(any::<[u8; 12]>(), 1..4), n: usize, bit in 0..96usize) {
            let mut blocks: Vec<_> = bytes.into_iter().map(MbcBlock).collect();
            MbcBlock::seal(&mut blocks);
            for block in &blocks {
                let burst = block.to_burst(1, Sync::BsData);
                prop_assert_eq!(MbcBlock::from_burst(&burst), Some(*block));
            }
            prop_assert!(MbcBlock::are_whole(&blocks));
            let n = n % blocks.len();
            blocks[n].0[bit / 8] ^= 0x80 >> (bit % 8);
            prop_assert!(!MbcBlock::are_whole(&blocks));
        }
    }

    #[test]
    fn no_blocks_are_not_whole() {
        assert!(!MbcBlock::are_whole(&[]));
        MbcBlock::seal(&mut []);
    }
}
