//! The embedded form of a full LC (ETSI TS 102 361-1 section B.2.1): four fragments of 32 bits in voice bursts B to
//! E, so that who joins late learns who talks.
//!
//! The bits stand in 8 rows of 16 and are sent column by column. Rows 1 to 7 are words of Hamming(16,11), row 8
//! is the parity of the columns. Rows 1 and 2 have 11 bits of LC, rows 3 to 7 have 10 and one of the checksum.

use crate::hamming::{correct_16_11, encode_16_11};
use crate::{BURST_LEN, FullLc, Lcss, crc, layout};

/// The 32 bits of a fragment within the 48 in the middle of a burst.
const MASK: u64 = 0x00FF_FFFF_FF00;

/// How many columns may have a wrong parity where every row could be corrected: a row corrected into a wrong
/// word makes at least four.
const WRONG_COLUMNS: u32 = 3;

/// The rows, top first; in each the first column is bit 15.
type Matrix = [u16; 8];

/// The 32 bits of embedded signalling of a voice burst B to F.
#[must_use]
pub fn embedded_fragment(burst: &[u8; BURST_LEN]) -> u32 {
    ((layout::centre(burst) & MASK) >> 8) as u32
}

/// Sets the 32 bits of embedded signalling of a voice burst B to F; the EMB stays.
pub fn set_embedded_fragment(burst: &mut [u8; BURST_LEN], fragment: u32) {
    layout::set_centre(burst, MASK, u64::from(fragment) << 8);
}

impl FullLc {
    /// The four fragments for voice bursts B, C, D, E.
    #[must_use]
    pub fn to_embedded(&self) -> [u32; 4] {
        let bits = self.0.iter().fold(0, |bits: u128, &byte| bits << 8 | u128::from(byte));
        let checksum = u16::from(crc::checksum5(&self.0));
        let mut matrix = [0; 8];
        for r in 0..7 {
            let data = match r {
                0 | 1 => (bits >> (61 - 11 * r)) as u16,
                _ => ((bits >> (60 - 10 * r)) as u16) << 1 | checksum >> (6 - r) & 1,
            };
            matrix[r] = encode_16_11(data);
            matrix[7] ^= matrix[r];
        }
        transpose(&matrix)
    }

    /// Reads the four fragments of voice bursts B, C, D, E; `None` if too many bits are wrong.
    ///
    /// One wrong bit in each row is corrected, and more in one row where the others have none left.
    #[must_use]
    pub fn from_embedded(fragments: &[u32; 4]) -> Option<Self> {
        let mut matrix = rows(fragments);
        correct(&mut matrix)?;
        let mut bits = 0;
        let mut sent = 0;
        for (r, row) in matrix[..7].iter().map(|row| u128::from(row >> 5)).enumerate() {
            if r < 2 {
                bits = bits << 11 | row;
            } else {
                bits = bits << 10 | row >> 1;
                sent = sent << 1 | (row & 1) as u16;
            }
        }
        let lc = bits.to_be_bytes().last_chunk().copied()?;
        (u16::from(crc::checksum5(&lc)) == sent).then_some(Self(lc))
    }
}

fn transpose(matrix: &Matrix) -> [u32; 4] {
    let mut fragments = [0; 4];
    for column in 0..16 {
        for row in matrix {
            let fragment: &mut u32 = &mut fragments[column / 4];
            *fragment = *fragment << 1 | u32::from(row >> (15 - column) & 1);
        }
    }
    fragments
}

fn rows(fragments: &[u32; 4]) -> Matrix {
    let mut matrix = [0; 8];
    for column in fragments.iter().flat_map(|fragment| fragment.to_be_bytes()) {
        for (r, row) in matrix.iter_mut().enumerate() {
            *row = *row << 1 | u16::from(column >> (7 - r) & 1);
        }
    }
    matrix
}

/// Corrects the rows, and by the parity of the columns one that cannot be corrected alone.
fn correct(matrix: &mut Matrix) -> Option<()> {
    let mut broken = None;
    for (r, row) in matrix[..7].iter_mut().enumerate() {
        match correct_16_11(*row) {
            Some(word) => *row = word,
            None if broken.is_none() => broken = Some(r),
            None => return None,
        }
    }
    let wrong = matrix.iter().fold(0, |sum, row| sum ^ row);
    let Some(r) = broken else { return (wrong.count_ones() <= WRONG_COLUMNS).then_some(()) };
    matrix[r] ^= wrong;
    (correct_16_11(matrix[r]) == Some(matrix[r])).then_some(())
}

/// Puts the fragments of an embedded LC together as they come in. One per call and direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmbeddedLc {
    fragments: [u32; 4],
    filled: u8,
}

impl EmbeddedLc {
    /// One that waits for a first fragment.
    #[must_use]
    pub const fn new() -> Self {
        Self { fragments: [0; 4], filled: 0 }
    }

    /// Takes the next fragment and what it says it is: by its EMB, or by the place of its burst
    /// ([`Lcss::at`]). Returns the LC with its last fragment; a fragment out of order drops what there is.
    pub fn push(&mut self, lcss: Lcss, fragment: u32) -> Option<FullLc> {
        let place = match (lcss, self.filled) {
            (Lcss::First, _) => 0,
            (Lcss::Continuation, 1) => 1,
            (Lcss::Continuation, 2) => 2,
            (Lcss::Last, 3) => 3,
            _ => {
                self.filled = 0;
                return None;
            }
        };
        self.fragments[usize::from(place)] = fragment;
        self.filled = (place + 1) % 4;
        if lcss != Lcss::Last {
            return None;
        }
        FullLc::from_embedded(&self.fragments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LC: FullLc = FullLc([0x00, 0x10, 0x20, 0x00, 0x0C, 0x30, 0x2F, 0x9B, 0xE5]);
    const LCSS: [Lcss; 4] = [Lcss::First, Lcss::Continuation, Lcss::Continuation, Lcss::Last];

    fn flip(fragments: &mut [u32; 4], row: usize, column: usize) {
        let n = 8 * column + row;
        fragments[n / 32] ^= 0x8000_0000 >> (n % 32);
    }

    #[test]
    fn one_wrong_bit_in_every_row_is_corrected() {
        for first in 0..16 {
            let mut fragments = LC.to_embedded();
            for row in 0..8 {
                flip(&mut fragments, row, (first + 5 * row) % 16);
            }
            assert_eq!(FullLc::from_embedded(&fragments), Some(LC));
        }
    }

    #[test]
    fn every_double_error_is_corrected() {
        for a in 0..128 {
            for b in 0..a {
                let mut fragments = LC.to_embedded();
                flip(&mut fragments, a % 8, a / 8);
                flip(&mut fragments, b % 8, b / 8);
                assert_eq!(FullLc::from_embedded(&fragments), Some(LC), "{a} {b}");
            }
        }
    }

    #[test]
    fn two_broken_rows_are_refused() {
        let mut fragments = LC.to_embedded();
        for (row, column) in [(0, 1), (0, 2), (3, 4), (3, 5)] {
            flip(&mut fragments, row, column);
        }
        assert_eq!(FullLc::from_embedded(&fragments), None);
    }

    #[test]
    fn assembled_in_order_only() {
        let fragments = LC.to_embedded();
        let mut embedded = EmbeddedLc::new();
        let mut feed =
            |places: &[usize]| places.iter().fold(None, |_, &n| embedded.push(LCSS[n], fragments[n]));
        assert_eq!(feed(&[0, 1, 2, 3]), Some(LC));
        assert_eq!(feed(&[1, 2, 3]), None, "joined late");
        assert_eq!(feed(&[0, 1, 3]), None, "lost one");
        assert_eq!(feed(&[0, 0, 1, 2, 3]), Some(LC), "first twice");
        assert_eq!(feed(&[0, 1, 2, 1, 3]), None, "one too many");
        assert_eq!(feed(&[0, 1, 2, 3]), Some(LC));
        assert_eq!(embedded.push(Lcss::Single, 0), None);
    }

    proptest! {
        #[test]
        fn round_trips_with_an_error(lc: [u8; 9], row in 0..8usize, column in 0..16usize) {
            let mut fragments = FullLc(lc).to_embedded();
            prop_assert_eq!(FullLc::from_embedded(&fragments), Some(FullLc(lc)));
            flip(&mut fragments, row, column);
            prop_assert_eq!(FullLc::from_embedded(&fragments), Some(FullLc(lc)));
        }

        #[test]
        fn fragment_round_trips(fill: [u8; 33], fragment: u32) {
            let mut burst = fill;
            set_embedded_fragment(&mut burst, fragment);
            prop_assert_eq!(embedded_fragment(&burst), fragment);
            set_embedded_fragment(&mut burst, embedded_fragment(&fill));
            prop_assert_eq!(burst, fill);
        }
    }
}
