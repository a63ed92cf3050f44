//! Data blocks behind a data header (ETSI TS 102 361-1 sections 8.2.2 and 9.2): rate 1/2, 3/4 and 1, confirmed and
//! not. Putting a packet together, and asking again for what is lost, is for others.

use crate::{BURST_LEN, DataType, Sync, block, bptc, crc, trellis};

/// How densely a block is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataRate {
    /// Rate 1/2: 12 bytes in BPTC(196,96).
    Half,
    /// Rate 3/4: 18 bytes in a trellis code.
    ThreeQuarters,
    /// Rate 1: 24 bytes, not coded.
    One,
}

impl DataRate {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Half, Self::ThreeQuarters, Self::One];

    /// That of a burst of this data type; `None` if it carries no data block.
    #[must_use]
    pub const fn of(data_type: DataType) -> Option<Self> {
        match data_type {
            DataType::RATE_1_2 => Some(Self::Half),
            DataType::RATE_3_4 => Some(Self::ThreeQuarters),
            DataType::RATE_1 => Some(Self::One),
            _ => None,
        }
    }

    /// The data type of its bursts.
    #[must_use]
    pub const fn data_type(self) -> DataType {
        match self {
            Self::Half => DataType::RATE_1_2,
            Self::ThreeQuarters => DataType::RATE_3_4,
            Self::One => DataType::RATE_1,
        }
    }

    /// Bytes of an unconfirmed block; a confirmed one has two less.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Half => 12,
            Self::ThreeQuarters => 18,
            Self::One => 24,
        }
    }

    const fn mask(self) -> u16 {
        match self {
            Self::Half => crc::RATE_1_2_MASK,
            Self::ThreeQuarters => crc::RATE_3_4_MASK,
            Self::One => crc::RATE_1_MASK,
        }
    }
}

/// What one burst of data carries. Whether it is confirmed only the data header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataBlock {
    rate: DataRate,
    /// The first [`DataRate::bytes`] are of use, the others 0.
    bytes: [u8; 24],
}

impl DataBlock {
    /// An unconfirmed block; what `data` lacks is filled with zeros, what it has too much is left out.
    #[must_use]
    pub fn unconfirmed(rate: DataRate, data: &[u8]) -> Self {
        let mut bytes = [0; 24];
        bytes.iter_mut().take(rate.bytes()).zip(data).for_each(|(byte, data)| *byte = *data);
        Self { rate, bytes }
    }

    /// A confirmed block with the 7 low bits of `serial` as its serial number and its CRC-9; `data` as in
    /// [`unconfirmed`](Self::unconfirmed).
    #[must_use]
    pub fn confirmed(rate: DataRate, serial: u8, data: &[u8]) -> Self {
        let mut bytes = [0; 24];
        bytes[2..].iter_mut().take(rate.bytes() - 2).zip(data).for_each(|(byte, data)| *byte = *data);
        let check = crc::crc9(&bytes[2..rate.bytes()], serial) ^ rate.mask();
        bytes[..2].copy_from_slice(&(u16::from(serial) << 9 | check).to_be_bytes());
        Self { rate, bytes }
    }

    /// How densely it is coded.
    #[must_use]
    pub const fn rate(&self) -> DataRate {
        self.rate
    }

    /// All its bytes: those of an unconfirmed block.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.bytes[..self.rate.bytes()]
    }

    /// Serial number (0..=127) and data of a confirmed block; `None` if its CRC-9 does not hold.
    #[must_use]
    pub fn confirmed_data(&self) -> Option<(u8, &[u8])> {
        let head = u16::from_be_bytes([self.bytes[0], self.bytes[1]]);
        let (serial, data) = ((head >> 9) as u8, &self.data()[2..]);
        (crc::crc9(data, serial) ^ self.rate.mask() == head & 0x1FF).then_some((serial, data))
    }

    /// Reads it from a burst of data type [`DataRate::data_type`]; `None` if too many bits are wrong. Rate 1 has no
    /// code: what was sent wrong is read wrong.
    #[must_use]
    pub fn from_burst(rate: DataRate, burst: &[u8; BURST_LEN]) -> Option<Self> {
        let mut bytes = [0; 24];
        match rate {
            DataRate::Half => bytes[..12].copy_from_slice(&bptc::read(burst)?),
            DataRate::ThreeQuarters => bytes[..18].copy_from_slice(&trellis::read(burst)?),
            DataRate::One => {
                bytes[..12].copy_from_slice(&burst[..12]);
                bytes[12..].copy_from_slice(&burst[21..]);
            }
        }
        Some(Self { rate, bytes })
    }

    /// Puts it into `burst` in place of what is there; slot type and sync stay.
    pub fn write(&self, burst: &mut [u8; BURST_LEN]) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, ..] = self.bytes;
        match self.rate {
            DataRate::Half => bptc::write(burst, &[a, b, c, d, e, f, g, h, i, j, k, l]),
            DataRate::ThreeQuarters => {
                trellis::write(burst, &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r]);
            }
            DataRate::One => {
                burst[..12].copy_from_slice(&self.bytes[..12]);
                burst[21..].copy_from_slice(&self.bytes[12..]);
                // Four bits in the middle are reserved.
                burst[12] &= 0x3F;
                burst[20] &= 0xFC;
            }
        }
    }

    /// A burst of it, with the data sync of `sync`'s sender.
    #[must_use]
    pub fn to_burst(&self, colour_code: u8, sync: Sync) -> [u8; BURST_LEN] {
        block::burst(self.rate.data_type(), colour_code, sync, |burst| self.write(burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SlotType;
    use crate::crc::MessageCrc;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_round_trip(rate in 0..3usize, serial in 0..128_u8, data: [u8; 24], fill: [u8; 33]) {
            let rate = DataRate::ALL[rate];
            prop_assert_eq!(DataRate::of(rate.data_type()), Some(rate));
            let unconfirmed = DataBlock::unconfirmed(rate, &data);
            prop_assert_eq!(unconfirmed.data(), &data[..rate.bytes()]);
            let confirmed = DataBlock::confirmed(rate, serial, &data);
            prop_assert_eq!(confirmed.confirmed_data(), Some((serial, &data[..rate.bytes() - 2])));
            for block in [unconfirmed, confirmed] {
                let mut burst = fill;
                block.write(&mut burst);
                prop_assert_eq!(DataBlock::from_burst(rate, &burst), Some(block));
                for n in 98..166 {
                    prop_assert_eq!((burst[n / 8] ^ fill[n / 8]) >> (7 - n % 8) & 1, 0, "{}", n);
                }
                let burst = block.to_burst(5, Sync::MsVoice);
                let slot_type = SlotType { colour_code: 5, data_type: rate.data_type() };
                prop_assert_eq!(SlotType::read(&burst), Some(slot_type));
                prop_assert_eq!(DataBlock::from_burst(rate, &burst), Some(block));
            }
        }

        #[test]
        fn a_wrong_bit_is_found(rate in 0..3usize, serial in 0..128_u8, data: [u8; 24], bit: usize) {
            let rate = DataRate::ALL[rate];
            let mut block = DataBlock::confirmed(rate, serial, &data);
            let bit = bit % (8 * rate.bytes());
            block.bytes[bit / 8] ^= 0x80 >> (bit % 8);
            prop_assert_eq!(block.confirmed_data(), None);
        }
    }

    /// A message that a radio sent, in blocks of rate 1/2.
    #[test]
    fn a_message_ends_in_its_crc() {
        let blocks: [[u8; 12]; 2] = [
            [0xD6, 0x79, 0x00, 0x62, 0x62, 0x00, 0x03, 0xBF, 0x00, 0x07, 0x00, 0x00],
            [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x21, 0x0B, 0x9A, 0x3D],
        ];
        let mut crc = MessageCrc::new();
        let bursts =
            blocks.map(|data| DataBlock::unconfirmed(DataRate::Half, &data).to_burst(1, Sync::MsData));
        let [first, last] = bursts.map(|burst| DataBlock::from_burst(DataRate::Half, &burst).unwrap());
        crc.push(first.data());
        let (data, sent) = last.data().split_last_chunk().unwrap();
        crc.push(data);
        assert_eq!(crc.bytes(), *sent);
    }

    #[test]
    fn short_data_is_filled_up() {
        assert_eq!(DataBlock::unconfirmed(DataRate::Half, b"ab").data(), b"ab\0\0\0\0\0\0\0\0\0\0");
        let block = DataBlock::confirmed(DataRate::One, 0xFF, &[1; 40]);
        assert_eq!(block.confirmed_data(), Some((127, &[1; 22][..])));
    }
}
