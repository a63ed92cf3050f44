//! The checks that find errors but correct none (ETSI TS 102 361-1 sections B.3.7 to B.3.13), and the masks that
//! tell one kind of block from another.
//!
//! All start at 0 and take the most significant bit first. CRC-CCITT and CRC-9 are inverted, the others not.
//! Where a mask belongs to a check, it is xored onto what these functions return, by whoever uses them.

use crate::cyclic::remainder;

/// CRC-CCITT mask of a PI header.
pub const PI_MASK: u16 = 0x6969;
/// CRC-CCITT mask of a CSBK.
pub const CSBK_MASK: u16 = 0xA5A5;
/// CRC-CCITT mask of an MBC header.
pub const MBC_HEADER_MASK: u16 = 0xAAAA;
/// CRC-CCITT mask of a data header.
pub const DATA_HEADER_MASK: u16 = 0xCCCC;
/// CRC-CCITT mask of unified single block data.
pub const UNIFIED_SINGLE_BLOCK_MASK: u16 = 0x3333;
/// CRC-9 mask of rate 1/2 data.
pub const RATE_1_2_MASK: u16 = 0x0F0;
/// CRC-9 mask of rate 3/4 data.
pub const RATE_3_4_MASK: u16 = 0x1FF;
/// CRC-9 mask of rate 1 data.
pub const RATE_1_MASK: u16 = 0x10F;
/// 7-bit CRC mask of the reverse channel.
pub const REVERSE_CHANNEL_MASK: u8 = 0x7A;

/// x^7+x^5+x^2+x+1.
const GENERATOR_7: u32 = 0xA7;

/// Where a byte leads from a register of 0, for CRCs of at least 8 bits.
struct Table {
    width: u32,
    steps: [u32; 256],
}

impl Table {
    /// `generator` without its highest coefficient.
    const fn new(width: u32, generator: u32) -> Self {
        let mut steps = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut register = (byte as u32) << (width - 8);
            let mut bit = 0;
            while bit < 8 {
                register = step(register, width, generator);
                bit += 1;
            }
            steps[byte] = register;
            byte += 1;
        }
        Self { width, steps }
    }

    fn run(&self, register: u32, data: &[u8]) -> u32 {
        data.iter().fold(register, |register, &byte| {
            let lead = (register >> (self.width - 8)) as u8 ^ byte;
            register << 8 & mask(self.width) ^ self.steps[usize::from(lead)]
        })
    }
}

const fn mask(width: u32) -> u32 {
    u32::MAX >> (32 - width)
}

/// Takes one bit: the highest of `register`, onto which it was xored.
const fn step(register: u32, width: u32, generator: u32) -> u32 {
    let shifted = register << 1 & mask(width);
    if register >> (width - 1) & 1 == 1 { shifted ^ generator } else { shifted }
}

const GENERATOR_9: u32 = 0x059;

static CRC_8: Table = Table::new(8, 0x07);
static CRC_9: Table = Table::new(9, GENERATOR_9);
static CRC_CCITT: Table = Table::new(16, 0x1021);
static CRC_32: Table = Table::new(32, 0x04C1_1DB7);

/// CRC-CCITT of `data`, inverted (section B.3.8). To be xored with the mask of the block's kind.
#[must_use]
pub fn ccitt(data: &[u8]) -> u16 {
    ccitt_of([data])
}

/// The same of `parts`, one after the other.
pub(crate) fn ccitt_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u16 {
    !parts.into_iter().fold(0, |register, part| CRC_CCITT.run(register, part)) as u16
}

/// CRC-9 of a confirmed data block, inverted: of its `data`, then of the 7 low bits of its `serial` number
/// (section B.3.10). To be xored with the mask of the rate.
#[must_use]
pub fn crc9(data: &[u8], serial: u8) -> u16 {
    let mut register = CRC_9.run(0, data);
    for bit in (0..7).rev() {
        register = step(register ^ u32::from(serial >> bit & 1) << 8, 9, GENERATOR_9);
    }
    (!register & 0x1FF) as u16
}

/// 8-bit CRC of the 28 low bits of `data`, those of a short LC (section B.3.7). It has no mask.
#[must_use]
pub fn crc8(data: u32) -> u8 {
    CRC_8.run(0, &(data & 0x0FFF_FFFF).to_be_bytes()) as u8
}

/// 7-bit CRC of the 4 low bits of `data`, those of a reverse channel command (section B.3.13).
#[must_use]
pub const fn crc7(data: u8) -> u8 {
    remainder((data as u32 & 0xF) << 7, GENERATOR_7) as u8
}

/// 5-bit checksum of an embedded LC, 0..=30 (section B.3.11).
#[must_use]
pub fn checksum5(lc: &[u8; 9]) -> u8 {
    (lc.iter().map(|&byte| u16::from(byte)).sum::<u16>() % 31) as u8
}

/// The CRC-32 over the data of all blocks of a message (section B.3.9), taken in block by block.
///
/// The bytes of each pair are taken in reverse, so all pieces but the last have an even length, as those of
/// the standard's blocks do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCrc(u32);

impl MessageCrc {
    /// That of no data.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// Takes the data of the next block, without the CRC itself.
    pub fn push(&mut self, data: &[u8]) {
        for pair in data.chunks(2) {
            match *pair {
                [first, second] => self.0 = CRC_32.run(self.0, &[second, first]),
                _ => self.0 = CRC_32.run(self.0, pair),
            }
        }
    }

    /// The four bytes at the end of the last block: least significant first.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Division bit by bit, with `bits` the data.
    fn divide(bits: impl Iterator<Item = bool>, width: u32, generator: u32) -> u32 {
        bits.fold(0, |register, bit| step(register ^ u32::from(bit) << (width - 1), width, generator))
    }

    fn bits(data: &[u8]) -> impl Iterator<Item = bool> {
        data.iter().flat_map(|byte| (0..8).rev().map(move |n| byte >> n & 1 == 1))
    }

    /// What radios have sent: CSBK, data header, confirmed block, messages and short LCs.
    #[test]
    fn known_answers() {
        let header = [0x02, 0x3A, 0x23, 0x37, 0xFC, 0x23, 0x37, 0xFE, 0x82, 0x00];
        assert_eq!(ccitt(&header) ^ DATA_HEADER_MASK, 0x81A3);
        let block = [0x45, 0, 0, 0x2E, 0xFF, 0xFF, 0, 0, 0x40, 0x11, 0xF2, 0x7F, 0x0C, 0x23, 0x37, 0xFC];
        assert_eq!(crc9(&block, 0) ^ RATE_3_4_MASK, 0x017);
        let mut message = MessageCrc::new();
        message.push(&[0xD6, 0x79, 0, 0x62, 0x62, 0, 0x03, 0xBF, 0, 0x07]);
        message.push(&[0; 10]);
        assert_eq!(message.bytes(), [0x21, 0x0B, 0x9A, 0x3D]);
        assert_eq!((crc8(0x100_0000), crc8(0x103_00DA)), (0x16, 0xA3));
        assert_eq!(checksum5(&[0, 0x10, 0x20, 0, 0x0C, 0x30, 0x2F, 0x9B, 0xE5]), 12);
    }

    proptest! {
        #[test]
        fn tables_divide(data in prop::collection::vec(any::<u8>(), 0..40), serial in 0..128u8, short: u32) {
            prop_assert_eq!(u32::from(!ccitt(&data)), divide(bits(&data), 16, 0x1021));
            let with_serial = bits(&data).chain((0..7).rev().map(|n| serial >> n & 1 == 1));
            prop_assert_eq!(u32::from(!crc9(&data, serial) & 0x1FF), divide(with_serial, 9, 0x59));
            let word = (0..28).rev().map(|n| short >> n & 1 == 1);
            prop_assert_eq!(u32::from(crc8(short)), divide(word, 8, 7));
        }

        #[test]
        fn a_message_is_the_sum_of_its_blocks(data in prop::collection::vec(any::<[u8; 2]>(), 0..20), cut in 0..20usize) {
            let (mut whole, mut parts) = (MessageCrc::new(), MessageCrc::new());
            whole.push(data.as_flattened());
            let (head, tail) = data.split_at(cut.min(data.len()));
            parts.push(head.as_flattened());
            parts.push(tail.as_flattened());
            prop_assert_eq!(whole, parts);
            let swapped: Vec<u8> = data.iter().flat_map(|[a, b]| [*b, *a]).collect();
            prop_assert_eq!(u32::from_le_bytes(whole.bytes()), divide(bits(&swapped), 32, 0x04C1_1DB7));
        }
    }

    #[test]
    fn seven_bits_tell_all_commands_apart() {
        let mut words: Vec<_> = (0..16).map(|data| u16::from(data) << 7 | u16::from(crc7(data))).collect();
        words.dedup();
        assert_eq!(words.len(), 16);
        for (n, a) in words.iter().enumerate() {
            for b in &words[..n] {
                assert!((a ^ b).count_ones() >= 3);
            }
        }
    }
}
