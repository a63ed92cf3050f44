//! GPS info (ETSI TS 102 361-2 sections 7.1.1.3 and 7.2.15 to 7.2.17): where the talker is, sent in turn with the LC of
//! the call.

use crate::{Flco, FullLc};

/// Longitude has 25 bits for 360 degrees, latitude 24 bits for 180: both the same step.
const STEPS: i64 = 1 << 25;
const CIRCLE_UDEG: i64 = 360_000_000;

/// How far off a position may be (section 7.2.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PositionError {
    /// Less than 2 m.
    Below2Metres,
    /// Less than 20 m.
    Below20Metres,
    /// Less than 200 m.
    Below200Metres,
    /// Less than 2 km.
    Below2Kilometres,
    /// Less than 20 km.
    Below20Kilometres,
    /// Less than 200 km, or the same.
    Below200Kilometres,
    /// More than 200 km.
    Above200Kilometres,
    /// Nobody knows, or there is no position.
    Unknown,
}

impl PositionError {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Below2Metres,
        Self::Below20Metres,
        Self::Below200Metres,
        Self::Below2Kilometres,
        Self::Below20Kilometres,
        Self::Below200Kilometres,
        Self::Above200Kilometres,
        Self::Unknown,
    ];

    /// From the low three bits of `value`.
    #[must_use]
    pub const fn from_bits(value: u8) -> Self {
        Self::ALL[(value & 7) as usize]
    }

    /// 0..=7.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// Where a talker is. It is sent in steps of 10.7 millionths of a degree, 1.2 m of latitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Millionths of a degree north, south below 0: -90,000,000..=90,000,000.
    pub latitude_udeg: i32,
    /// Millionths of a degree east, west below 0: -180,000,000..=180,000,000.
    pub longitude_udeg: i32,
    /// How far off it may be.
    pub error: PositionError,
}

impl Position {
    /// Reads it from an LC; `None` if that is not GPS info of the standard's own feature set.
    #[must_use]
    pub fn from_lc(lc: &FullLc) -> Option<Self> {
        let [first, fid, bytes @ ..] = lc.0;
        if lc.flco() != Flco::GpsInfo || fid != 0 || first & 0x80 != 0 {
            return None;
        }
        let [head, a, b, c, d, e, f] = bytes;
        // Both signed and moved to the top of their words.
        let longitude =
            i32::from_be_bytes([head << 7 | a >> 1, a << 7 | b >> 1, b << 7 | c >> 1, c << 7]) >> 7;
        let latitude = i32::from_be_bytes([d, e, f, 0]) >> 8;
        Some(Self {
            latitude_udeg: to_udeg(latitude),
            longitude_udeg: to_udeg(longitude),
            error: PositionError::from_bits(head >> 1),
        })
    }

    /// The LC that carries it, to the nearest step. A latitude beyond a pole is taken for the pole, a longitude
    /// beyond 180 degrees goes on round the globe.
    #[must_use]
    pub fn to_lc(self) -> FullLc {
        let latitude = to_steps(self.latitude_udeg).clamp(-(STEPS / 4), STEPS / 4 - 1);
        let longitude = to_steps(self.longitude_udeg) & (STEPS - 1);
        let [.., a, b, c, d] = longitude.to_be_bytes();
        let [.., e, f, g] = latitude.to_be_bytes();
        FullLc([Flco::GpsInfo.bits(), 0, self.error.bits() << 1 | a, b, c, d, e, f, g])
    }
}

fn to_udeg(steps: i32) -> i32 {
    nearest(i64::from(steps) * CIRCLE_UDEG, STEPS) as i32
}

fn to_steps(udeg: i32) -> i64 {
    nearest(i64::from(udeg) * STEPS, CIRCLE_UDEG)
}

/// `value` by `divisor`, to the nearest whole number.
const fn nearest(value: i64, divisor: i64) -> i64 {
    (value + divisor / 2).div_euclid(divisor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_where_the_standard_has_them() {
        let position = Position {
            latitude_udeg: 45_000_000,
            longitude_udeg: -90_000_000,
            error: PositionError::Below20Metres,
        };
        let lc = position.to_lc();
        // An eighth of the circle in 24 bits, minus a quarter in 25, the sign of which is next to the error.
        assert_eq!(lc.0, [0x08, 0, 0b011, 0x80, 0x00, 0x00, 0x40, 0x00, 0x00]);
        assert_eq!(Position::from_lc(&lc), Some(position));
        for bits in 0..8 {
            assert_eq!(PositionError::from_bits(bits).bits(), bits);
        }
    }

    #[test]
    fn poles_and_the_date_line() {
        let at = |latitude_udeg, longitude_udeg| {
            let position = Position { latitude_udeg, longitude_udeg, error: PositionError::Unknown };
            let position = Position::from_lc(&position.to_lc()).unwrap();
            (position.latitude_udeg, position.longitude_udeg)
        };
        assert_eq!(at(-90_000_000, -180_000_000), (-90_000_000, -180_000_000));
        assert_eq!(at(90_000_000, 180_000_000), (89_999_989, -180_000_000));
        assert_eq!(at(i32::MAX, 190_000_000), (89_999_989, -169_999_995));
        assert_eq!(at(i32::MIN, i32::MIN).0, -90_000_000);
    }

    #[test]
    fn other_lcs_are_none() {
        let lc = Position { latitude_udeg: 1, longitude_udeg: 1, error: PositionError::Unknown }.to_lc();
        for (place, byte) in [(0, 0x00), (0, 0x88), (1, 0x10)] {
            let mut other = lc;
            other.0[place] = byte;
            assert_eq!(Position::from_lc(&other), None);
        }
    }

    proptest! {
        #[test]
        fn every_position_sent_round_trips(bytes: [u8; 7]) {
            let [head, a, b, c, d, e, f] = bytes;
            let lc = FullLc([0x08, 0, head & 0x0F, a, b, c, d, e, f]);
            prop_assert_eq!(Position::from_lc(&lc).map(Position::to_lc), Some(lc));
        }

        #[test]
        fn positions_keep_to_half_a_step(latitude_udeg in -89_999_980..89_999_980, longitude_udeg in -180_000_000..179_999_990) {
            let position = Position { latitude_udeg, longitude_udeg, error: PositionError::Below2Metres };
            let read = Position::from_lc(&position.to_lc()).unwrap();
            prop_assert!((read.latitude_udeg - latitude_udeg).abs() <= 6);
            prop_assert!((read.longitude_udeg - longitude_udeg).abs() <= 6);
        }
    }
}
