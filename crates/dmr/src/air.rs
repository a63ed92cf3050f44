//! What a burst needs to be heard by one receiver: the colour code and the sync of the side that sends to it.
//!
//! A call comes from one repeater and goes to many, each with a colour code of its own, some duplex, some
//! simplex. [`Air`] is what differs between them. It does not look at what a burst carries, nor decode anything:
//! it runs once a recipient.

use crate::{BURST_LEN, BurstKind, Lcss, Sync, golay, qr};

/// Bits 96..160 of a burst as one number: two bits of information, ten of slot type, the 48 in the middle, four
/// more of slot type.
const WINDOW: std::ops::Range<usize> = 12..20;

const CENTRE: u64 = 0xFFFF_FFFF_FFFF << 4;
const EMB: u64 = 0xFF00_0000_00FF << 4;
const SLOT_TYPE: u64 = 0x3FF << 52 | 0xF;

/// The low six bits of slot type in the byte behind the window.
const SLOT_TYPE_TAIL: u8 = 0xFC;

/// How a receiver wants its bursts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Air {
    /// Colour code, 0..=15; of more only the low four bits are sent.
    pub colour_code: u8,
    /// A sync of the side that sends: [`Sync::BsVoice`] where a duplex repeater does, [`Sync::MsVoice`] where a
    /// simplex one does. Voice or data makes no difference.
    pub sync: Sync,
}

impl Air {
    /// Gives `burst` the colour code and the sync: data bursts get slot type and data sync, voice burst A the
    /// voice sync, B to F an EMB with the LCSS of their place and `privacy` as its privacy indicator (ETSI
    /// TS 102 361-1 sections 9.1.1 to 9.1.3).
    ///
    /// All else stays bit by bit, and all of a voice burst whose place is none. A burst that is so already does
    /// not change.
    pub fn apply(self, kind: BurstKind, privacy: bool, burst: &mut [u8; BURST_LEN]) {
        match kind {
            BurstKind::Data(data_type) => {
                let word = golay::encode(self.colour_code << 4 | data_type.bits());
                let tail = &mut burst[WINDOW.end];
                *tail = *tail & !SLOT_TYPE_TAIL | (word << 2) as u8;
                let word = u64::from(word);
                let slot_type = word >> 10 << 52 | word >> 6 & 0xF;
                set(burst, SLOT_TYPE | CENTRE, slot_type | self.sync.data().pattern() << 4);
            }
            BurstKind::Voice(0) => set(burst, CENTRE, self.sync.voice().pattern() << 4),
            BurstKind::Voice(index) => {
                let Some(lcss) = Lcss::at(index) else { return };
                let word = qr::encode(self.colour_code << 3 | u8::from(privacy) << 2 | lcss.bits());
                let word = u64::from(word);
                set(burst, EMB, (word & 0xFF00) << 36 | (word & 0xFF) << 4);
            }
        }
    }
}

fn set(burst: &mut [u8; BURST_LEN], mask: u64, bits: u64) {
    let Some(window) = burst[WINDOW].first_chunk_mut() else { return };
    *window = (u64::from_be_bytes(*window) & !mask | bits).to_be_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataType, Emb, SlotType};

    const SYNCS: [Sync; 4] = [Sync::BsVoice, Sync::MsData, Sync::Direct1Voice, Sync::Direct2Data];

    /// What it does, said by the parts that decode.
    fn slowly(air: Air, kind: BurstKind, privacy: bool, burst: &mut [u8; BURST_LEN]) {
        let Air { colour_code, sync } = air;
        match kind {
            BurstKind::Data(data_type) => {
                SlotType { colour_code, data_type }.write(burst);
                sync.data().write(burst);
            }
            BurstKind::Voice(0) => sync.voice().write(burst),
            BurstKind::Voice(index) => {
                if let Some(lcss) = Lcss::at(index) {
                    Emb { colour_code, pi: privacy, lcss }.write(burst);
                }
            }
        }
    }

    #[test]
    fn is_what_the_fields_make_of_it_and_idempotent() {
        let data = (0..16).map(|bits| BurstKind::Data(DataType::from_bits(bits)));
        let kinds: Vec<_> = data.chain((0..=255).map(BurstKind::Voice)).collect();
        for sync in SYNCS {
            for colour_code in 0..=255 {
                let air = Air { colour_code, sync };
                for &kind in &kinds {
                    for (privacy, fill) in [(false, 0x00), (true, 0xFF), (true, 0x00), (false, 0x5A)] {
                        let (mut burst, mut expected) = ([fill; BURST_LEN], [fill; BURST_LEN]);
                        air.apply(kind, privacy, &mut burst);
                        slowly(air, kind, privacy, &mut expected);
                        assert_eq!(burst, expected, "{air:?} {kind:?} {privacy}");
                        air.apply(kind, privacy, &mut burst);
                        assert_eq!(burst, expected);
                    }
                }
            }
        }
    }

    #[test]
    fn a_reader_finds_what_was_applied() {
        let air = Air { colour_code: 13, sync: Sync::MsVoice };
        let mut burst = [0xA5; BURST_LEN];
        air.apply(BurstKind::Data(DataType::TERMINATOR), false, &mut burst);
        let slot_type = SlotType { colour_code: 13, data_type: DataType::TERMINATOR };
        assert_eq!((SlotType::read(&burst), Sync::of(&burst)), (Some(slot_type), Some(Sync::MsData)));
        air.apply(BurstKind::Voice(0), false, &mut burst);
        assert_eq!(Sync::of(&burst), Some(Sync::MsVoice));
        for index in 1..6 {
            air.apply(BurstKind::Voice(index), index == 3, &mut burst);
            let lcss = Lcss::at(index).unwrap();
            assert_eq!(Emb::read(&burst), Some(Emb { colour_code: 13, pi: index == 3, lcss }));
        }
    }
}
