//! Golay(20,8,7) (ETSI TS 102 361-1 section B.3.1), the code of the slot type: 8 bits of data, up to 3 wrong
//! bits of 20 corrected.
//!
//! It is the cyclic (23,12) code of generator x^11+x^10+x^6+x^5+x^4+x^2+1, extended by an even parity bit and
//! shortened by 4.

use crate::cyclic::{parity, remainder};

const GENERATOR: u32 = 0xC75;

const WORDS: [u32; 256] = {
    let mut words = [0; 256];
    let mut data = 0;
    while data < 256 {
        words[data] = codeword(data as u32);
        data += 1;
    }
    words
};

const fn codeword(data: u32) -> u32 {
    let word = data << 11 | remainder(data << 11, GENERATOR);
    word << 1 | parity(word)
}

/// The code word of `data`: 20 bits, the data first.
#[must_use]
pub const fn encode(data: u8) -> u32 {
    WORDS[data as usize]
}

/// The data of the 20 low bits of `word`, of which up to 3 may be wrong; `None` if more are.
#[must_use]
pub fn decode(word: u32) -> Option<u8> {
    let word = word & 0xF_FFFF;
    let data = (word >> 12) as u8;
    if encode(data) == word {
        return Some(data);
    }
    (0..=255).find(|&data| (encode(data) ^ word).count_ones() <= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrects_every_pattern_of_three() {
        for data in 0..=255 {
            let word = encode(data);
            assert_eq!(decode(word), Some(data));
            for a in 0..20 {
                for b in 0..=a {
                    for c in 0..=b {
                        assert_eq!(decode(word ^ (1 << a | 1 << b | 1 << c)), Some(data));
                    }
                }
            }
        }
    }

    #[test]
    fn words_differ_in_seven_bits_at_least() {
        let least = (1..=255).map(|data| encode(data).count_ones()).min();
        assert!(least >= Some(7), "{least:?}");
    }

    #[test]
    fn refuses_four_errors() {
        assert_eq!(decode(encode(0x21) ^ 0b1111), None);
    }
}
