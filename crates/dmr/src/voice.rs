//! Voice bursts and what goes around them: superframes of bursts A to F between a voice LC header and a
//! terminator (ETSI TS 102 361-1 section 5.1.2), and how the LC of a running call is replaced.

use crate::{BURST_LEN, BurstKind, DataType, Emb, FullLc, Lcss, Sync, block, set_embedded_fragment};

/// Bytes of vocoder payload in a burst: three frames of 72 bits, 20 ms each.
pub const AMBE_LEN: usize = 27;

/// Three vocoder frames of silence.
pub const AMBE_SILENCE: [u8; AMBE_LEN] = [
    0xB9, 0xE8, 0x81, 0x52, 0x61, 0x73, 0x00, 0x2A, 0x6B, 0xB9, 0xE8, 0x81, 0x52, 0x61, 0x73, 0x00, 0x2A,
    0x6B, 0xB9, 0xE8, 0x81, 0x52, 0x61, 0x73, 0x00, 0x2A, 0x6B,
];

/// The vocoder payload of a voice burst: its first and its last 108 bits.
#[must_use]
pub fn ambe(burst: &[u8; BURST_LEN]) -> [u8; AMBE_LEN] {
    let mut ambe = [0; AMBE_LEN];
    ambe[..13].copy_from_slice(&burst[..13]);
    ambe[13] = burst[13] & 0xF0 | burst[19] & 0x0F;
    ambe[14..].copy_from_slice(&burst[20..]);
    ambe
}

/// Sets the vocoder payload of a voice burst; sync, EMB and embedded signalling stay.
pub fn set_ambe(burst: &mut [u8; BURST_LEN], ambe: &[u8; AMBE_LEN]) {
    burst[..13].copy_from_slice(&ambe[..13]);
    burst[13] = ambe[13] & 0xF0 | burst[13] & 0x0F;
    burst[19] = burst[19] & 0xF0 | ambe[13] & 0x0F;
    burst[20..].copy_from_slice(&ambe[14..]);
}

/// A voice LC header, with the data sync of `sync`'s sender.
#[must_use]
pub fn voice_header(lc: &FullLc, colour_code: u8, sync: Sync) -> [u8; BURST_LEN] {
    lc_burst(lc, DataType::VOICE_HEADER, colour_code, sync)
}

/// A terminator with LC, with the data sync of `sync`'s sender.
#[must_use]
pub fn terminator(lc: &FullLc, colour_code: u8, sync: Sync) -> [u8; BURST_LEN] {
    lc_burst(lc, DataType::TERMINATOR, colour_code, sync)
}

fn lc_burst(lc: &FullLc, data_type: DataType, colour_code: u8, sync: Sync) -> [u8; BURST_LEN] {
    block::burst(data_type, colour_code, sync, |burst| lc.write(burst, data_type))
}

/// The voice burst at place `index` of a superframe, 0..=5 for A..F, more is taken for F. A has the voice sync
/// of `sync`'s sender, B to E have the `fragments` ([`FullLc::to_embedded`]), F has no embedded message.
#[must_use]
pub fn voice_burst(
    index: u8,
    ambe: &[u8; AMBE_LEN],
    colour_code: u8,
    fragments: &[u32; 4],
    sync: Sync,
) -> [u8; BURST_LEN] {
    let mut burst = [0; BURST_LEN];
    set_ambe(&mut burst, ambe);
    if index == 0 {
        sync.voice().write(&mut burst);
        return burst;
    }
    let lcss = Lcss::at(index).unwrap_or(Lcss::Single);
    Emb { colour_code, pi: false, lcss }.write(&mut burst);
    if let Some(&fragment) = fragments.get(usize::from(index) - 1) {
        set_embedded_fragment(&mut burst, fragment);
    }
    burst
}

/// Replaces the LC of a burst of a running call: all of it in a voice LC header or terminator, a fragment in
/// voice bursts B to E. Colour code, sync, privacy indicator and vocoder payload stay, and all of other bursts.
///
/// `fragments` are those of `lc` ([`FullLc::to_embedded`]), made once per call. Whatever B to E carried goes,
/// a talker alias too. An EMB with too many wrong bits to be read stays as it is.
pub fn rewrite_burst(kind: BurstKind, burst: &mut [u8; BURST_LEN], fragments: &[u32; 4], lc: &FullLc) {
    let index = match kind {
        BurstKind::Data(data_type) => return lc.write(burst, data_type),
        BurstKind::Voice(index) => index,
    };
    let (Some(lcss), Some(&fragment)) = (Lcss::at(index), fragments.get(usize::from(index).wrapping_sub(1)))
    else {
        return;
    };
    if let Some(emb) = Emb::read(burst) {
        Emb { lcss, ..emb }.write(burst);
    }
    set_embedded_fragment(burst, fragment);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EmbeddedLc, SlotType, embedded_fragment};
    use proptest::prelude::*;

    const LC: FullLc = FullLc([0x00, 0x10, 0x20, 0x00, 0x0C, 0x30, 0x2F, 0x9B, 0xE5]);

    #[test]
    fn header_and_terminator_read_back() {
        for (burst, data_type) in [
            (voice_header(&LC, 7, Sync::MsVoice), DataType::VOICE_HEADER),
            (terminator(&LC, 7, Sync::MsVoice), DataType::TERMINATOR),
        ] {
            assert_eq!(SlotType::read(&burst), Some(SlotType { colour_code: 7, data_type }));
            assert_eq!(Sync::of(&burst), Some(Sync::MsData));
            assert_eq!(FullLc::from_burst(&burst, data_type), Some(LC));
        }
    }

    #[test]
    fn voice_bursts_read_back() {
        let fragments = LC.to_embedded();
        let mut embedded = EmbeddedLc::new();
        for index in 0..6 {
            let burst = voice_burst(index, &AMBE_SILENCE, 3, &fragments, Sync::BsData);
            assert_eq!(ambe(&burst), AMBE_SILENCE);
            assert_eq!(Sync::of(&burst), (index == 0).then_some(Sync::BsVoice));
            let Some(lcss) = Lcss::at(index) else { continue };
            assert_eq!(Emb::read(&burst), Some(Emb { colour_code: 3, pi: false, lcss }));
            let lc = embedded.push(lcss, embedded_fragment(&burst));
            assert_eq!(lc, (index == 4).then_some(LC));
        }
        assert_eq!(embedded_fragment(&voice_burst(5, &AMBE_SILENCE, 3, &fragments, Sync::BsData)), 0);
    }

    /// A call of one superframe, as another LC would have made it, is what rewriting makes of it.
    #[test]
    fn rewriting_is_making_anew() {
        let new = LC.with_source(2_621_370).with_destination(26_256);
        let (old_fragments, fragments) = (LC.to_embedded(), new.to_embedded());
        for index in 0..8 {
            let mut burst = voice_burst(index, &AMBE_SILENCE, 3, &old_fragments, Sync::BsData);
            rewrite_burst(BurstKind::Voice(index), &mut burst, &fragments, &new);
            assert_eq!(burst, voice_burst(index, &AMBE_SILENCE, 3, &fragments, Sync::BsData));
        }
        for (data_type, make) in [
            (DataType::VOICE_HEADER, voice_header as fn(&_, _, _) -> _),
            (DataType::TERMINATOR, terminator),
            (DataType::CSBK, |_, colour_code, sync| voice_header(&LC, colour_code, sync)),
        ] {
            let mut burst = make(&LC, 5, Sync::Direct2Data);
            rewrite_burst(BurstKind::Data(data_type), &mut burst, &fragments, &new);
            assert_eq!(burst, make(&new, 5, Sync::Direct2Data));
        }
    }

    #[test]
    fn rewriting_keeps_an_emb_and_sets_its_lcss() {
        let mut burst = [0x5A; BURST_LEN];
        Emb { colour_code: 9, pi: true, lcss: Lcss::Single }.write(&mut burst);
        rewrite_burst(BurstKind::Voice(1), &mut burst, &LC.to_embedded(), &LC);
        assert_eq!(Emb::read(&burst), Some(Emb { colour_code: 9, pi: true, lcss: Lcss::First }));
        assert_eq!(ambe(&burst), [0x5A; AMBE_LEN]);
    }

    proptest! {
        #[test]
        fn payload_round_trips(fill: [u8; 33], payload in any::<[u8; 27]>()) {
            let mut burst = fill;
            set_ambe(&mut burst, &payload);
            prop_assert_eq!(ambe(&burst), payload);
            set_ambe(&mut burst, &ambe(&fill));
            prop_assert_eq!(burst, fill);
        }
    }
}
