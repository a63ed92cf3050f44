//! Full link control (ETSI TS 102 361-1 section 7.1 and TS 102 361-2 section 7.1): who talks to whom, as voice
//! LC headers and terminators carry it. Its embedded form is in [`EmbeddedLc`](crate::EmbeddedLc).

use crate::{BURST_LEN, DataType, bptc, rs};

/// Full link control opcode: what the LC is (ETSI TS 102 361-2 section B.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flco {
    /// Group voice call.
    Group,
    /// Unit to unit voice call.
    Private,
    /// Talker alias: header.
    TalkerAliasHeader,
    /// Talker alias: block 1.
    TalkerAliasBlock1,
    /// Talker alias: block 2.
    TalkerAliasBlock2,
    /// Talker alias: block 3.
    TalkerAliasBlock3,
    /// Position of the talker.
    GpsInfo,
    /// Terminator of a data call.
    TerminatorData,
    /// Any other, 0..=63.
    Other(u8),
}

impl Flco {
    /// From the low six bits of `value`.
    #[must_use]
    pub const fn from_bits(value: u8) -> Self {
        match value & 0x3F {
            0x00 => Self::Group,
            0x03 => Self::Private,
            0x04 => Self::TalkerAliasHeader,
            0x05 => Self::TalkerAliasBlock1,
            0x06 => Self::TalkerAliasBlock2,
            0x07 => Self::TalkerAliasBlock3,
            0x08 => Self::GpsInfo,
            0x30 => Self::TerminatorData,
            other => Self::Other(other),
        }
    }

    /// 0..=63.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Group => 0x00,
            Self::Private => 0x03,
            Self::TalkerAliasHeader => 0x04,
            Self::TalkerAliasBlock1 => 0x05,
            Self::TalkerAliasBlock2 => 0x06,
            Self::TalkerAliasBlock3 => 0x07,
            Self::GpsInfo => 0x08,
            Self::TerminatorData => 0x30,
            Self::Other(value) => value & 0x3F,
        }
    }
}

/// Service options of a voice call (ETSI TS 102 361-2 section 7.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceOptions(pub u8);

impl ServiceOptions {
    /// An emergency call.
    #[must_use]
    pub const fn emergency(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// The call is encrypted.
    #[must_use]
    pub const fn privacy(self) -> bool {
        self.0 & 0x40 != 0
    }
}

/// The 72 bits of a full LC: protect flag and FLCO, FID, then for voice calls service options, destination
/// and source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FullLc(pub [u8; 9]);

impl FullLc {
    /// That of a group call without service options. Of IDs the low 24 bits are taken.
    #[must_use]
    pub const fn group(source: u32, destination: u32) -> Self {
        Self([0; 9]).with_source(source).with_destination(destination)
    }

    /// That of a private call without service options. Of IDs the low 24 bits are taken.
    #[must_use]
    pub const fn private(source: u32, destination: u32) -> Self {
        let lc = Self([Flco::Private.bits(), 0, 0, 0, 0, 0, 0, 0, 0]);
        lc.with_source(source).with_destination(destination)
    }

    /// What it is.
    #[must_use]
    pub const fn flco(&self) -> Flco {
        Flco::from_bits(self.0[0])
    }

    /// Feature set ID: 0 for the standard's own, else a maker's (ETSI TS 102 361-1 section 9.3.13).
    #[must_use]
    pub const fn fid(&self) -> u8 {
        self.0[1]
    }

    /// Service options; only of use for [`Flco::Group`] and [`Flco::Private`].
    #[must_use]
    pub const fn service_options(&self) -> ServiceOptions {
        ServiceOptions(self.0[2])
    }

    /// ID of the talkgroup or radio called; only of use for [`Flco::Group`] and [`Flco::Private`].
    #[must_use]
    pub const fn destination(&self) -> u32 {
        u32::from_be_bytes([0, self.0[3], self.0[4], self.0[5]])
    }

    /// ID of the talker; only of use for [`Flco::Group`] and [`Flco::Private`].
    #[must_use]
    pub const fn source(&self) -> u32 {
        u32::from_be_bytes([0, self.0[6], self.0[7], self.0[8]])
    }

    /// The same with another destination, of which the low 24 bits are taken.
    #[must_use]
    pub const fn with_destination(mut self, id: u32) -> Self {
        [_, self.0[3], self.0[4], self.0[5]] = id.to_be_bytes();
        self
    }

    /// The same with another source, of which the low 24 bits are taken.
    #[must_use]
    pub const fn with_source(mut self, id: u32) -> Self {
        [_, self.0[6], self.0[7], self.0[8]] = id.to_be_bytes();
        self
    }

    /// The same with other service options.
    #[must_use]
    pub const fn with_service_options(mut self, options: ServiceOptions) -> Self {
        self.0[2] = options.0;
        self
    }

    /// Reads the LC of a voice LC header or terminator; `None` for any other data type, and if too many bits
    /// are wrong.
    #[must_use]
    pub fn from_burst(burst: &[u8; BURST_LEN], data_type: DataType) -> Option<Self> {
        let mask = mask(data_type)?;
        rs::decode(&bptc::read(burst)?, mask).map(Self)
    }

    /// Puts it into a voice LC header or terminator in place of what is there; slot type and sync stay. Does
    /// nothing for any other data type.
    pub fn write(&self, burst: &mut [u8; BURST_LEN], data_type: DataType) {
        let Some(mask) = mask(data_type) else { return };
        bptc::write(burst, &rs::encode(&self.0, mask));
    }
}

const fn mask(data_type: DataType) -> Option<[u8; 3]> {
    match data_type {
        DataType::VOICE_HEADER => Some(rs::HEADER_MASK),
        DataType::TERMINATOR => Some(rs::TERMINATOR_MASK),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_where_the_standard_has_them() {
        let lc = FullLc::private(2_621_441, 0xFF26_0001);
        assert_eq!(lc.0, [0x03, 0, 0, 0x26, 0x00, 0x01, 0x28, 0x00, 0x01]);
        assert_eq!((lc.flco(), lc.source(), lc.destination()), (Flco::Private, 2_621_441, 0x26_0001));
        let lc = FullLc([0xC0, 0x10, 0x80, 0, 0, 9, 0, 0, 1]);
        assert_eq!((lc.flco(), lc.fid()), (Flco::Group, 0x10));
        assert!(lc.service_options().emergency() && !lc.service_options().privacy());
        assert_eq!(lc.with_destination(91).with_source(7).0, [0xC0, 0x10, 0x80, 0, 0, 91, 0, 0, 7]);
        assert_eq!(FullLc::group(1, 9).0, [0, 0, 0, 0, 0, 9, 0, 0, 1]);
    }

    #[test]
    fn flco_round_trips() {
        for bits in 0..64 {
            assert_eq!(Flco::from_bits(bits).bits(), bits);
        }
    }

    proptest! {
        #[test]
        fn round_trips_and_never_as_the_other(lc: [u8; 9], fill: [u8; 33]) {
            let (header, terminator) = (DataType::VOICE_HEADER, DataType::TERMINATOR);
            for (is, is_not) in [(header, terminator), (terminator, header)] {
                let mut burst = fill;
                FullLc(lc).write(&mut burst, is);
                prop_assert_eq!(FullLc::from_burst(&burst, is), Some(FullLc(lc)));
                prop_assert_eq!(FullLc::from_burst(&burst, is_not), None);
                prop_assert_eq!(FullLc::from_burst(&burst, DataType::CSBK), None);
            }
        }
    }
}
