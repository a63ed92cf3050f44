//! Rate 3/4 trellis code (ETSI TS 102 361-1 section B.2.4), the code of rate 3/4 data: 18 bytes of data in the 196
//! bits of information of a burst.
//!
//! Each group of three bits moves the encoder to the state of its value and sends a constellation point of four
//! bits, which depends on where it came from. A last group of zeros brings it home. The 49 points are sent
//! interleaved.

use crate::BURST_LEN;

const POINTS: usize = 49;

/// How many of the 196 bits may differ from the nearest word. Of noise, one burst in some hundreds is as near.
const TOLERANCE: u8 = 9;

/// The point sent on the way from a state to another: a row a state, a nibble for each next one, highest first.
const TRANSITIONS: [u32; 8] =
    [0x084C_2A6E, 0x4C2A_6E08, 0x195D_3B7F, 0x5D3B_7F19, 0x3B7F_195D, 0x7F19_5D3B, 0x2A6E_084C, 0x6E08_4C2A];

/// The two dibits of each point, as four bits.
const DIBITS: [u8; 16] = [0x2, 0xA, 0x7, 0xF, 0xE, 0x6, 0xB, 0x3, 0xD, 0x5, 0x8, 0x0, 0x1, 0x9, 0x4, 0xC];

/// The four bits sent on the way from a state to another.
const SENT: [[u8; 8]; 8] = {
    let mut sent = [[0; 8]; 8];
    let mut n = 0;
    while n < 64 {
        let point = TRANSITIONS[n / 8] >> (28 - 4 * (n % 8)) & 0xF;
        sent[n / 8][n % 8] = DIBITS[point as usize];
        n += 1;
    }
    sent
};

/// Where in the order of sending each point is: every fourth one from the first, then from the second, and so on.
const fn place(point: usize) -> usize {
    point / 4 + [0, 13, 25, 37][point % 4]
}

/// The four bits of information at `place`: half of them lie before the slot type, half behind, and two and two
/// of those in the middle.
fn nibble(burst: &[u8; BURST_LEN], place: usize) -> u8 {
    match place {
        24 => burst[12] >> 4 & 0xC | burst[20] & 0x3,
        _ => {
            let n = if place < 24 { place } else { place + 17 };
            burst[n / 2] >> (4 * (1 - n % 2)) & 0xF
        }
    }
}

fn set_nibble(burst: &mut [u8; BURST_LEN], place: usize, bits: u8) {
    match place {
        24 => {
            burst[12] = burst[12] & 0x3F | bits << 4 & 0xC0;
            burst[20] = burst[20] & 0xFC | bits & 0x3;
        }
        _ => {
            let n = if place < 24 { place } else { place + 17 };
            let shift = 4 * (1 - n % 2);
            burst[n / 2] = burst[n / 2] & !(0xF << shift) | bits << shift;
        }
    }
}

/// Reads the 18 bytes of `burst` that the fewest wrong bits explain; `None` if that are too many.
///
/// Every single wrong bit is corrected, up to nine that lie six points or more apart in the order of the encoder,
/// and about half of the pairs that do not. What is corrected wrongly only a CRC over the data can tell.
#[must_use]
pub fn read(burst: &[u8; BURST_LEN]) -> Option<[u8; 18]> {
    // Viterbi: for each state how many bits differ on the best way there, and where that way came from.
    let mut wrong = [u8::MAX / 2; 8];
    wrong[0] = 0;
    let mut from = [[0; 8]; POINTS];
    for (point, from) in from.iter_mut().enumerate() {
        let received = nibble(burst, place(point));
        let mut next = [u8::MAX; 8];
        for (state, sent) in SENT.iter().enumerate() {
            for (to, bits) in sent.iter().enumerate() {
                let differ = wrong[state].saturating_add((bits ^ received).count_ones() as u8);
                if differ < next[to] {
                    next[to] = differ;
                    from[to] = state as u8;
                }
            }
        }
        wrong = next;
    }
    if wrong[0] > TOLERANCE {
        return None;
    }
    let mut data = [0; 18];
    let mut state = from[POINTS - 1][0];
    for n in (0..POINTS - 1).rev() {
        // The state is the three bits that led to it.
        let bit = 3 * n;
        let bits = u16::from(state) << (13 - bit % 8);
        data[bit / 8] |= (bits >> 8) as u8;
        if let Some(byte) = data.get_mut(bit / 8 + 1) {
            *byte |= bits as u8;
        }
        state = from[n][usize::from(state)];
    }
    Some(data)
}

/// Puts 18 bytes into `burst` with their code.
pub fn write(burst: &mut [u8; BURST_LEN], data: &[u8; 18]) {
    let mut state = 0;
    for point in 0..POINTS {
        let bit = 3 * point;
        let byte = |n: usize| u16::from(data.get(n).copied().unwrap_or_default());
        let next = usize::from((byte(bit / 8) << 8 | byte(bit / 8 + 1)) >> (13 - bit % 8) & 7);
        set_nibble(burst, place(point), SENT[state][next]);
        state = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flip(burst: &mut [u8; BURST_LEN], n: usize) {
        let place = if n < 98 { n } else { n + 68 };
        burst[place / 8] ^= 0x80 >> (place % 8);
    }

    fn samples() -> [[u8; 18]; 4] {
        [[0; 18], [0xFF; 18], std::array::from_fn(|n| (n * 83 + 7) as u8), *b"trellis three/four"]
    }

    /// The wrong bits by point and bit; all single ones and all pairs far apart, and half of the other pairs.
    #[test]
    fn corrects_every_error_and_every_pair_apart() {
        for data in samples() {
            let mut burst = [0x5A; BURST_LEN];
            write(&mut burst, &data);
            let (mut near, mut corrected) = (0, 0);
            for a in 0..196 {
                let mut one = burst;
                flip(&mut one, 4 * place(a / 4) + a % 4);
                assert_eq!(read(&one), Some(data), "{a}");
                for b in 0..a {
                    let mut two = one;
                    flip(&mut two, 4 * place(b / 4) + b % 4);
                    if a / 4 - b / 4 >= 6 {
                        assert_eq!(read(&two), Some(data), "{a} {b}");
                    } else {
                        near += 1;
                        corrected += usize::from(read(&two) == Some(data));
                    }
                }
            }
            assert!(corrected * 2 > near, "{corrected} of {near}");
        }
    }

    #[test]
    fn leaves_sync_and_slot_type_alone() {
        for fill in [0x00, 0xFF] {
            let mut burst = [fill; BURST_LEN];
            write(&mut burst, &samples()[2]);
            for n in 98..166 {
                assert_eq!(burst[n / 8] >> (7 - n % 8) & 1, fill & 1, "{n}");
            }
        }
    }

    #[test]
    fn refuses_noise() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut taken = 0;
        for _ in 0..2_000 {
            let noise = std::array::from_fn(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 24) as u8
            });
            taken += usize::from(read(&noise).is_some());
        }
        assert!(taken < 20, "{taken}");
    }

    proptest! {
        #[test]
        fn round_trips_with_errors_apart(data: [u8; 18], fill: [u8; 33], at in 0..24usize, which: [u8; 8]) {
            let mut burst = fill;
            write(&mut burst, &data);
            prop_assert_eq!(read(&burst), Some(data));
            // One wrong bit in every sixth point.
            for (n, bit) in which.into_iter().enumerate() {
                flip(&mut burst, 4 * place((at + 6 * n) % 49) + usize::from(bit % 4));
            }
            prop_assert_eq!(read(&burst), Some(data));
        }
    }
}
