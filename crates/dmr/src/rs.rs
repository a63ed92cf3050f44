//! Reed-Solomon(12,9,4) (ETSI TS 102 361-1 section B.3.6), which guards a full LC: 9 bytes of data, one wrong
//! byte of 12 corrected. The field is GF(256) of x^8+x^4+x^3+x^2+1, the generator's roots are α, α^2, α^3.
//!
//! The parity goes out xored with a mask that tells header from terminator (section B.3.12).

/// Parity mask of a voice LC header.
pub const HEADER_MASK: [u8; 3] = [0x96; 3];
/// Parity mask of a terminator with LC.
pub const TERMINATOR_MASK: [u8; 3] = [0x99; 3];

/// (x+α)(x+α^2)(x+α^3), the highest coefficient left out.
const GENERATOR: [u8; 3] = [0x0E, 0x38, 0x40];

const fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = a << 1 ^ if a & 0x80 != 0 { 0x1D } else { 0 };
        b >>= 1;
    }
    product
}

/// α^n.
const fn power(n: usize) -> u8 {
    let mut value = 1;
    let mut i = 0;
    while i < n {
        value = multiply(value, 2);
        i += 1;
    }
    value
}

/// α^n and α^-n for the place n of each of the 12 bytes, counted from the last.
const PLACES: [(u8, u8); 12] = {
    let mut places = [(0, 0); 12];
    let mut n = 0;
    while n < 12 {
        places[n] = (power(n), power(255 - n));
        n += 1;
    }
    places
};

/// The three bytes of parity of `data`, without a mask.
fn parity(data: &[u8; 9]) -> [u8; 3] {
    let mut parity = [0; 3];
    for byte in data {
        let lead = byte ^ parity[0];
        parity = [
            parity[1] ^ multiply(lead, GENERATOR[0]),
            parity[2] ^ multiply(lead, GENERATOR[1]),
            multiply(lead, GENERATOR[2]),
        ];
    }
    parity
}

/// `data` and its parity under `mask`.
#[must_use]
pub fn encode(data: &[u8; 9], mask: [u8; 3]) -> [u8; 12] {
    let mut word = [0; 12];
    let (head, tail) = word.split_at_mut(9);
    head.copy_from_slice(data);
    for ((byte, parity), mask) in tail.iter_mut().zip(parity(data)).zip(mask) {
        *byte = parity ^ mask;
    }
    word
}

/// The data of `word`, one byte of which may be wrong; `None` if more are, or if it has another mask.
#[must_use]
pub fn decode(word: &[u8; 12], mask: [u8; 3]) -> Option<[u8; 9]> {
    let mut word = *word;
    for (byte, mask) in word[9..].iter_mut().zip(mask) {
        *byte ^= mask;
    }
    let [s1, s2, s3] = [2, 4, 8].map(|root| word.iter().fold(0, |sum, byte| multiply(sum, root) ^ byte));
    if (s1, s2, s3) != (0, 0, 0) {
        let place = PLACES.iter().position(|&(x, _)| multiply(s1, x) == s2 && multiply(s2, x) == s3)?;
        word[11 - place] ^= multiply(s1, PLACES[place].1);
    }
    word.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: [u8; 9] = [0x00, 0x10, 0x20, 0x00, 0x0C, 0x30, 0x2F, 0x9B, 0xE5];

    #[test]
    fn corrects_every_single_byte() {
        let word = encode(&DATA, HEADER_MASK);
        assert_eq!(decode(&word, HEADER_MASK), Some(DATA));
        for place in 0..12 {
            for error in 1..=255 {
                let mut bad = word;
                bad[place] ^= error;
                assert_eq!(decode(&bad, HEADER_MASK), Some(DATA), "{place} {error}");
            }
        }
    }

    #[test]
    fn refuses_every_pair_of_bytes_and_the_other_mask() {
        let word = encode(&DATA, HEADER_MASK);
        assert_eq!(decode(&word, TERMINATOR_MASK), None);
        for a in 0..12 {
            for b in 0..a {
                for error in 1..=255 {
                    let mut bad = word;
                    bad[a] ^= error;
                    bad[b] ^= error.wrapping_mul(37) | 1;
                    assert_eq!(decode(&bad, HEADER_MASK), None);
                }
            }
        }
    }
}
