//! Block product turbo code BPTC(196,96) (ETSI TS 102 361-1 section B.1.1), which guards the 12 bytes of
//! information of most data and control bursts.
//!
//! The bits stand in 13 rows of 15. Rows are words of Hamming(15,11), columns of Hamming(13,9). One more bit
//! and the first three of the first row are reserved and 0. Bit n of these 196 is sent as bit 181·n mod 196.

use crate::BURST_LEN;
use crate::hamming::{correct_13_9, correct_15_11, encode_13_9, encode_15_11};

const ROWS: usize = 13;
const COLUMNS: usize = 15;

/// More rounds than any pattern of errors needs that can be corrected at all.
const ROUNDS: usize = 5;

/// Where in the burst each of the 196 bits is sent: half of them before the slot type, half behind.
const PLACES: [u16; 196] = {
    let mut places = [0; 196];
    let mut n = 0;
    while n < 196 {
        let sent = n * 181 % 196;
        places[n] = if sent < 98 { sent } else { sent + 68 } as u16;
        n += 1;
    }
    places
};

/// The rows, top first; in each the first column is bit 14.
type Matrix = [u16; ROWS];

fn column(matrix: &Matrix, n: usize) -> u16 {
    matrix.iter().fold(0, |word, row| word << 1 | row >> (COLUMNS - 1 - n) & 1)
}

fn set_column(matrix: &mut Matrix, n: usize, word: u16) {
    let place = COLUMNS - 1 - n;
    for (r, row) in matrix.iter_mut().enumerate() {
        *row = *row & !(1 << place) | (word >> (ROWS - 1 - r) & 1) << place;
    }
}

/// Corrects by columns and rows in turn until nothing changes; `false` if then they do not agree.
fn correct(matrix: &mut Matrix) -> bool {
    for _ in 0..ROUNDS {
        let before = *matrix;
        for n in 0..COLUMNS {
            if let Some(word) = correct_13_9(column(matrix, n)) {
                set_column(matrix, n, word);
            }
        }
        for row in matrix.iter_mut() {
            *row = correct_15_11(*row);
        }
        if *matrix == before {
            break;
        }
    }
    (0..COLUMNS).all(|n| {
        let word = column(matrix, n);
        correct_13_9(word) == Some(word)
    })
}

/// Reads the 96 bits of information of `burst`; `None` if there are too many wrong bits.
///
/// Any three wrong bits of the 196 are corrected, and most patterns of several more.
#[must_use]
pub fn read(burst: &[u8; BURST_LEN]) -> Option<[u8; 12]> {
    let mut matrix = [0; ROWS];
    for (row, places) in matrix.iter_mut().zip(PLACES[1..].chunks_exact(COLUMNS)) {
        *row = places.iter().fold(0, |word, &place| {
            let place = usize::from(place);
            word << 1 | u16::from(burst[place / 8] >> (7 - place % 8) & 1)
        });
    }
    if !correct(&mut matrix) {
        return None;
    }
    let first = u128::from(matrix[0] >> 4 & 0xFF);
    let info = matrix[1..9].iter().fold(first, |info, row| info << 11 | u128::from(row >> 4));
    info.to_be_bytes().last_chunk().copied()
}

/// Puts the 96 bits of information into `burst` with their code.
pub fn write(burst: &mut [u8; BURST_LEN], info: &[u8; 12]) {
    let info = info.iter().fold(0, |info: u128, &byte| info << 8 | u128::from(byte));
    let mut matrix = [0; ROWS];
    for (r, row) in matrix[..9].iter_mut().enumerate() {
        *row = encode_15_11((info >> (88 - 11 * r)) as u16);
    }
    for n in 0..COLUMNS {
        let word = encode_13_9(column(&matrix, n) >> 4);
        set_column(&mut matrix, n, word);
    }
    put(burst, PLACES[0], false);
    for (row, places) in matrix.iter().zip(PLACES[1..].chunks_exact(COLUMNS)) {
        for (n, &place) in places.iter().enumerate() {
            put(burst, place, row >> (COLUMNS - 1 - n) & 1 == 1);
        }
    }
}

fn put(burst: &mut [u8; BURST_LEN], place: u16, bit: bool) {
    let (byte, mask) = (usize::from(place / 8), 0x80 >> (place % 8));
    burst[byte] = burst[byte] & !mask | if bit { mask } else { 0 };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flip(burst: &mut [u8; BURST_LEN], n: usize) {
        let place = usize::from(PLACES[n]);
        burst[place / 8] ^= 0x80 >> (place % 8);
    }

    /// Correction goes by syndromes alone, so one information stands for all.
    #[test]
    fn corrects_every_pattern_of_three() {
        let info = [0x00, 0x10, 0x20, 0x00, 0x0C, 0x30, 0x2F, 0x9B, 0xE5, 0xDA, 0xD4, 0x5A];
        let mut burst = [0; BURST_LEN];
        write(&mut burst, &info);
        for a in 0..196 {
            let mut one = burst;
            flip(&mut one, a);
            assert_eq!(read(&one), Some(info), "{a}");
            for b in 0..a {
                let mut two = one;
                flip(&mut two, b);
                assert_eq!(read(&two), Some(info), "{a} {b}");
                for c in 0..b {
                    let mut three = two;
                    flip(&mut three, c);
                    assert_eq!(read(&three), Some(info), "{a} {b} {c}");
                }
            }
        }
    }

    #[test]
    fn leaves_sync_and_slot_type_alone() {
        let mut burst = [0xFF; BURST_LEN];
        write(&mut burst, &[0; 12]);
        for n in 0..264 {
            assert_eq!(burst[n / 8] >> (7 - n % 8) & 1 == 1, (98..166).contains(&n), "{n}");
        }
    }

    proptest! {
        #[test]
        fn round_trips_with_three_errors(info: [u8; 12], fill: [u8; 33], a in 0..196usize, b in 0..196usize,
                                         c in 0..196usize) {
            let mut burst = fill;
            write(&mut burst, &info);
            prop_assert_eq!(read(&burst), Some(info));
            for n in [a, b, c] {
                flip(&mut burst, n);
            }
            prop_assert_eq!(read(&burst), Some(info));
        }
    }
}
