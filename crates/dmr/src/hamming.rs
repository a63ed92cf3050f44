//! Hamming codes (15,11,3), (13,9,3) and (16,11,4) (ETSI TS 102 361-1 section B.3.4), from which the block
//! product turbo codes are made. Words are right-aligned, data first.
//!
//! All three rest on the cyclic code of generator x^4+x+1: (13,9) is shortened by 2, (16,11) extended by an
//! even parity bit.

use crate::cyclic::{parity, remainder};

const GENERATOR: u32 = 0x13;

/// The wrong bit of a word, by the word's syndrome.
const ERRORS: [u16; 16] = {
    let mut errors = [0; 16];
    let mut n = 0;
    while n < 15 {
        errors[syndrome(1 << n) as usize] = 1 << n;
        n += 1;
    }
    errors
};

const fn syndrome(word: u16) -> u16 {
    remainder(word as u32, GENERATOR) as u16
}

/// The 15-bit word of the 11 low bits of `data`.
#[must_use]
pub const fn encode_15_11(data: u16) -> u16 {
    let word = (data & 0x7FF) << 4;
    word | syndrome(word)
}

/// The code word nearest to the 15 low bits of `word`, one bit away at most: the code is perfect, so that more
/// than one error is made worse.
#[must_use]
pub const fn correct_15_11(word: u16) -> u16 {
    let word = word & 0x7FFF;
    word ^ ERRORS[syndrome(word) as usize]
}

/// The 13-bit word of the 9 low bits of `data`.
#[must_use]
pub const fn encode_13_9(data: u16) -> u16 {
    encode_15_11(data & 0x1FF)
}

/// The code word one bit away at most from the 13 low bits of `word`; `None` if there is none.
#[must_use]
pub const fn correct_13_9(word: u16) -> Option<u16> {
    let word = correct_15_11(word & 0x1FFF);
    if word < 1 << 13 { Some(word) } else { None }
}

/// The 16-bit word of the 11 low bits of `data`.
#[must_use]
pub const fn encode_16_11(data: u16) -> u16 {
    let word = encode_15_11(data);
    word << 1 | parity(word as u32) as u16
}

/// The code word one bit away at most from `word`; `None` if there is none, as with any two wrong bits.
#[must_use]
pub const fn correct_16_11(word: u16) -> Option<u16> {
    let corrected = encode_16_11(correct_15_11(word >> 1) >> 4);
    if (corrected ^ word).count_ones() <= 1 { Some(corrected) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrects_every_single_error() {
        for data in 0..1 << 11 {
            let (word, long) = (encode_15_11(data), encode_16_11(data));
            assert_eq!((word >> 4, long >> 5), (data, data));
            assert_eq!((correct_15_11(word), correct_16_11(long)), (word, Some(long)));
            for n in 0..15 {
                assert_eq!(correct_15_11(word ^ 1 << n), word);
            }
            for n in 0..16 {
                assert_eq!(correct_16_11(long ^ 1 << n), Some(long));
            }
        }
        for data in 0..1 << 9 {
            let word = encode_13_9(data);
            assert_eq!((word >> 4, correct_13_9(word)), (data, Some(word)));
            for n in 0..13 {
                assert_eq!(correct_13_9(word ^ 1 << n), Some(word));
            }
        }
    }

    #[test]
    fn sixteen_eleven_refuses_every_double_error() {
        for data in 0..1 << 11 {
            for a in 0..16 {
                for b in 0..a {
                    assert_eq!(correct_16_11(encode_16_11(data) ^ (1 << a | 1 << b)), None);
                }
            }
        }
    }
}
