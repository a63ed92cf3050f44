//! A whole voice call as bursts, for whoever makes one up: simulators, announcements, tests. It keeps no time:
//! a burst is due every 60 ms.

use std::iter::Fuse;

use crate::{AMBE_LEN, AMBE_SILENCE, BURST_LEN, BurstKind, DataType, FullLc, Sync};
use crate::{terminator, voice_burst, voice_header};

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Header,
    Voice(u8),
    Nothing,
}

/// Yields the bursts of a voice call: voice LC header, superframes of A to F, terminator with LC.
///
/// `ambe` gives the vocoder payload of each burst; when it ends, the superframe is filled up with silence and
/// the call ends.
#[derive(Clone, Debug)]
pub struct VoiceCall<I> {
    lc: FullLc,
    fragments: [u32; 4],
    colour_code: u8,
    sync: Sync,
    ambe: Fuse<I>,
    next: Next,
}

impl<I: Iterator<Item = [u8; AMBE_LEN]>> VoiceCall<I> {
    /// A call with this LC, the colour code (0..=15) and the syncs of `sync`'s sender.
    pub fn new(lc: FullLc, colour_code: u8, sync: Sync, ambe: impl IntoIterator<IntoIter = I>) -> Self {
        let fragments = lc.to_embedded();
        Self { lc, fragments, colour_code, sync, ambe: ambe.into_iter().fuse(), next: Next::Header }
    }
}

impl<I: Iterator<Item = [u8; AMBE_LEN]>> Iterator for VoiceCall<I> {
    type Item = (BurstKind, [u8; BURST_LEN]);

    fn next(&mut self) -> Option<Self::Item> {
        let index = match self.next {
            Next::Nothing => return None,
            Next::Header => {
                self.next = Next::Voice(0);
                let burst = voice_header(&self.lc, self.colour_code, self.sync);
                return Some((BurstKind::Data(DataType::VOICE_HEADER), burst));
            }
            Next::Voice(index) => index,
        };
        let ambe = match self.ambe.next() {
            Some(ambe) => ambe,
            None if index > 0 => AMBE_SILENCE,
            None => {
                self.next = Next::Nothing;
                let burst = terminator(&self.lc, self.colour_code, self.sync);
                return Some((BurstKind::Data(DataType::TERMINATOR), burst));
            }
        };
        self.next = Next::Voice((index + 1) % 6);
        let burst = voice_burst(index, &ambe, self.colour_code, &self.fragments, self.sync);
        Some((BurstKind::Voice(index), burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambe;

    #[test]
    fn superframes_are_filled_up() {
        let lc = FullLc::group(2_621_370, 91);
        let payloads = (0..7).map(|n| [n; AMBE_LEN]);
        let call: Vec<_> = VoiceCall::new(lc, 1, Sync::BsVoice, payloads).collect();
        assert_eq!(call.len(), 14);
        assert_eq!(call[0], (BurstKind::Data(DataType::VOICE_HEADER), voice_header(&lc, 1, Sync::BsData)));
        assert_eq!(call[13], (BurstKind::Data(DataType::TERMINATOR), terminator(&lc, 1, Sync::BsData)));
        for (n, (kind, burst)) in (0..12).zip(&call[1..13]) {
            assert_eq!(*kind, BurstKind::Voice(n % 6));
            assert_eq!(ambe(burst), if n < 7 { [n; AMBE_LEN] } else { AMBE_SILENCE });
        }
    }

    #[test]
    fn an_empty_call_has_header_and_terminator() {
        let mut call = VoiceCall::new(FullLc::private(1, 2), 1, Sync::MsVoice, []);
        assert!(
            call.by_ref()
                .map(|(kind, _)| kind)
                .eq([BurstKind::Data(DataType::VOICE_HEADER), BurstKind::Data(DataType::TERMINATOR)])
        );
        assert_eq!(call.next(), None);
    }
}
