//! Embedded signalling that fits into one burst (ETSI TS 102 361-1 section B.2.2): 11 bits in the 32 of voice burst F
//! or of a reverse channel burst.
//!
//! The bits are a word of Hamming(16,11), sent twice: as it is, and as the parity of its columns, which is odd on
//! the reverse channel. Bit by bit the copies are laced into each other.

use crate::crc::{REVERSE_CHANNEL_MASK, crc7};
use crate::hamming::{correct_16_11, encode_16_11};

/// What voice burst F carries when it has nothing to say (section 9.2.5).
pub const NULL_EMBEDDED: u32 = 0;

/// Whether a bit of the reverse channel's second copy differs from that of the first.
const ODD: u16 = 0xFFFF;

/// The fragment for [`set_embedded_fragment`](crate::set_embedded_fragment) with the 11 low bits of `data`.
#[must_use]
pub fn encode_single_burst(data: u16) -> u32 {
    lace(encode_16_11(data), encode_16_11(data))
}

/// The 11 bits in `fragment`, of which up to 3 may be wrong; `None` if more are.
#[must_use]
pub fn decode_single_burst(fragment: u32) -> Option<u16> {
    let (first, second) = unlace(fragment);
    decode(first, second)
}

/// The fragment of a reverse channel command, of which the low 4 bits are taken.
#[must_use]
pub fn encode_reverse_channel(command: u8) -> u32 {
    let check = crc7(command) ^ REVERSE_CHANNEL_MASK;
    let word = encode_16_11(u16::from(command & 0xF) << 7 | u16::from(check));
    lace(word, word ^ ODD)
}

/// The command (0..=15) of a reverse channel burst, of whose 32 bits up to 3 may be wrong; `None` if more are, or
/// if it is none.
#[must_use]
pub fn decode_reverse_channel(fragment: u32) -> Option<u8> {
    let (first, second) = unlace(fragment);
    let data = decode(first, second ^ ODD)?;
    let command = (data >> 7) as u8;
    (u16::from(crc7(command) ^ REVERSE_CHANNEL_MASK) == data & 0x7F).then_some(command)
}

/// With three wrong bits in both copies, one of them has one at most. Two words differ in four bits, so in eight
/// of both copies.
fn decode(first: u16, second: u16) -> Option<u16> {
    let near = |word: &u16| (word ^ first).count_ones() + (word ^ second).count_ones() <= 3;
    [first, second].into_iter().filter_map(correct_16_11).find(near).map(|word| word >> 5)
}

/// Bit n of the first copy goes to place 2·n, that of the second to 2·n+17 modulo 32, the highest bits being 0.
fn lace(first: u16, second: u16) -> u32 {
    (0..16).fold(0, |fragment, n| {
        let bit = |word: u16| u32::from(word >> (15 - n) & 1) << 31;
        fragment | bit(first) >> (2 * n) | bit(second) >> ((2 * n + 17) % 32)
    })
}

fn unlace(fragment: u32) -> (u16, u16) {
    let bit = |place: u32| (fragment >> (31 - place % 32) & 1) as u16;
    (0..16).fold((0, 0), |(first, second), n| (first << 1 | bit(2 * n), second << 1 | bit(2 * n + 17)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrects_every_pattern_of_three() {
        for data in [0, 0x7FF, 0x428, 0x155, 1] {
            let fragment = encode_single_burst(data);
            for a in 0..32 {
                for b in 0..=a {
                    for c in 0..=b {
                        let bad = fragment ^ (1 << a | 1 << b | 1 << c);
                        assert_eq!(decode_single_burst(bad), Some(data), "{a} {b} {c}");
                    }
                }
            }
            assert_eq!(decode_single_burst(fragment ^ 0b1111), None);
        }
    }

    #[test]
    fn all_data_and_all_commands_round_trip() {
        for data in 0..1 << 11 {
            assert_eq!(decode_single_burst(encode_single_burst(data)), Some(data));
            assert_eq!(decode_reverse_channel(encode_single_burst(data)), None);
        }
        for command in 0..16 {
            let fragment = encode_reverse_channel(command);
            assert_eq!(
                (decode_reverse_channel(fragment), decode_single_burst(fragment)),
                (Some(command), None)
            );
            for bit in 0..32 {
                assert_eq!(decode_reverse_channel(fragment ^ 1 << bit), Some(command));
            }
        }
        assert_eq!(encode_single_burst(0), NULL_EMBEDDED);
    }
}
