//! The slot type of data and control bursts (ETSI TS 102 361-1 section 9.1.3).

use crate::{BURST_LEN, DataType, golay, layout};

/// What a burst with data sync says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotType {
    /// Colour code, 0..=15; of more only the low four bits are sent.
    pub colour_code: u8,
    /// What the burst carries.
    pub data_type: DataType,
}

impl SlotType {
    /// Reads it from `burst`, correcting up to 3 wrong bits of 20; `None` if more are wrong.
    #[must_use]
    pub fn read(burst: &[u8; BURST_LEN]) -> Option<Self> {
        let data = golay::decode(layout::slot_type(burst))?;
        Some(Self { colour_code: data >> 4, data_type: DataType::from_bits(data) })
    }

    /// Puts it into `burst`.
    pub fn write(self, burst: &mut [u8; BURST_LEN]) {
        layout::set_slot_type(burst, golay::encode(self.colour_code << 4 | self.data_type.bits()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_touches_nothing_else() {
        for data in 0..=255 {
            let slot_type = SlotType { colour_code: data >> 4, data_type: DataType::from_bits(data) };
            for fill in [0x00, 0xFF] {
                let mut burst = [fill; BURST_LEN];
                slot_type.write(&mut burst);
                assert_eq!(SlotType::read(&burst), Some(slot_type));
                layout::set_slot_type(&mut burst, if fill == 0 { 0 } else { u32::MAX });
                assert_eq!(burst, [fill; BURST_LEN]);
            }
        }
    }

    #[test]
    fn lies_on_both_sides_of_the_sync() {
        let mut burst = [0; BURST_LEN];
        layout::set_slot_type(&mut burst, 0xF_FFFF);
        let bits = |burst: &[u8; BURST_LEN], n: usize| burst[n / 8] >> (7 - n % 8) & 1 == 1;
        for n in 0..264 {
            assert_eq!(bits(&burst, n), (98..108).contains(&n) || (156..166).contains(&n), "{n}");
        }
    }
}
