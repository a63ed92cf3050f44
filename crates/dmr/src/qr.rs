//! Quadratic residue code QR(16,7,6) (ETSI TS 102 361-1 section B.3.2), the code of the EMB: 7 bits of data, up
//! to 2 wrong bits of 16 corrected.
//!
//! It is the cyclic (17,9) code of generator x^8+x^5+x^4+x^3+1, extended by an even parity bit and shortened
//! by 2.

use crate::cyclic::{parity, remainder};

const GENERATOR: u32 = 0x139;

const WORDS: [u16; 128] = {
    let mut words = [0; 128];
    let mut data = 0;
    while data < 128 {
        words[data] = codeword(data as u32);
        data += 1;
    }
    words
};

const fn codeword(data: u32) -> u16 {
    let word = data << 8 | remainder(data << 8, GENERATOR);
    (word << 1 | parity(word)) as u16
}

/// The code word of the 7 low bits of `data`: 16 bits, the data first.
#[must_use]
pub const fn encode(data: u8) -> u16 {
    WORDS[(data & 0x7F) as usize]
}

/// The 7 bits of data of `word`, of which up to 2 may be wrong; `None` if more are.
#[must_use]
pub fn decode(word: u16) -> Option<u8> {
    let data = (word >> 9) as u8;
    if encode(data) == word {
        return Some(data);
    }
    (0..128).find(|&data| (encode(data) ^ word).count_ones() <= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrects_every_pattern_of_two() {
        for data in 0..128 {
            let word = encode(data);
            assert_eq!(decode(word), Some(data));
            for a in 0..16 {
                for b in 0..16 {
                    assert_eq!(decode(word ^ (1 << a | 1 << b)), Some(data));
                }
            }
        }
    }

    #[test]
    fn words_differ_in_six_bits_at_least() {
        assert_eq!((1..128).map(|data| encode(data).count_ones()).min(), Some(6));
    }

    #[test]
    fn refuses_three_errors() {
        assert_eq!(decode(encode(0x21) ^ 0b111), None);
    }
}
