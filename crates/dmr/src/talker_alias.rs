//! Talker alias (ETSI TS 102 361-2 sections 7.1.1.4, 7.1.1.5, 7.2.18 and 7.2.19): a name for the talker in up to four
//! LCs, sent in turn with the LC of the call. How the text is written is in `alias_text`.

use crate::{AliasFormat, AliasText, Flco, FullLc};

/// Bytes of the alias in one LC: those behind its FID.
const BLOCK: usize = 7;

/// Another FID than the standard's under which radios send it in its form.
const HYTERA: u8 = 0x68;

/// Puts the LCs of an alias together as they come in. One per call and direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TalkerAlias {
    blocks: [[u8; BLOCK]; 4],
    /// Bit n for block n, the header being 0.
    have: u8,
}

impl TalkerAlias {
    /// One that waits for all of it.
    #[must_use]
    pub const fn new() -> Self {
        Self { blocks: [[0; BLOCK]; 4], have: 0 }
    }

    /// Takes the next LC of the call, in any order. Returns the text when it is as complete as its length says, and
    /// again when more or something else comes; `None` while it lacks something and for what brings no news.
    ///
    /// A header that differs from the last begins another alias. LCs of other kinds are passed over.
    pub fn push(&mut self, lc: &FullLc) -> Option<AliasText> {
        let [first, fid, block @ ..] = lc.0;
        let place = match lc.flco() {
            Flco::TalkerAliasHeader => 0,
            Flco::TalkerAliasBlock1 => 1,
            Flco::TalkerAliasBlock2 => 2,
            Flco::TalkerAliasBlock3 => 3,
            _ => return None,
        };
        if first & 0x80 != 0 || fid != 0 && fid != HYTERA {
            return None;
        }
        let known = self.have >> place & 1 == 1;
        if known && self.blocks[place] == block {
            return None;
        }
        if known && place == 0 {
            self.have = 0;
        }
        self.blocks[place] = block;
        self.have |= 1 << place;
        self.text()
    }

    fn text(&self) -> Option<AliasText> {
        let bytes = &self.blocks.as_flattened()[..self.have.trailing_ones() as usize * BLOCK];
        AliasText::read(bytes)
    }

    /// The LCs that carry `text`, header first; what is too long is left out, what the format does not have
    /// becomes a question mark.
    pub fn lcs(format: AliasFormat, text: &str) -> impl Iterator<Item = FullLc> + Clone + use<> {
        const FLCO: [Flco; 4] = [
            Flco::TalkerAliasHeader,
            Flco::TalkerAliasBlock1,
            Flco::TalkerAliasBlock2,
            Flco::TalkerAliasBlock3,
        ];
        let (bytes, used) = format.write(text);
        FLCO.into_iter().enumerate().take(used.div_ceil(BLOCK)).map(move |(n, flco)| {
            let mut lc = FullLc([flco.bits(), 0, 0, 0, 0, 0, 0, 0, 0]);
            lc.0[2..].copy_from_slice(&bytes[n * BLOCK..][..BLOCK]);
            lc
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lcs(text: &str) -> Vec<FullLc> {
        TalkerAlias::lcs(AliasFormat::for_text(text), text).collect()
    }

    fn feed(alias: &mut TalkerAlias, lcs: &[FullLc]) -> Vec<Option<String>> {
        lcs.iter().map(|lc| alias.push(lc).map(|text| text.to_string())).collect()
    }

    #[test]
    fn complete_when_the_length_says_so() {
        let mut alias = TalkerAlias::new();
        let sent = lcs("DL1ABC Jürgen");
        assert_eq!(
            (sent.len(), sent[0].flco(), sent[1].flco()),
            (2, Flco::TalkerAliasHeader, Flco::TalkerAliasBlock1)
        );
        let text = Some("DL1ABC Jürgen".to_owned());
        assert_eq!(feed(&mut alias, &sent), [None, text.clone()]);
        assert_eq!(feed(&mut alias, &sent), [None, None], "no news");
        assert_eq!(alias.push(&FullLc::group(1, 91)), None);
        let mut late = TalkerAlias::new();
        assert_eq!(feed(&mut late, &[sent[1], FullLc::group(1, 91), sent[0]]), [None, None, text]);
        assert_eq!(feed(&mut TalkerAlias::new(), &lcs("DL1ABC")), [Some("DL1ABC".to_owned())]);
    }

    #[test]
    fn another_header_begins_another_alias() {
        let mut alias = TalkerAlias::new();
        feed(&mut alias, &lcs("DL1ABC Jürgen"));
        let other = lcs("DL2XYZ Jörg in Köln");
        assert_eq!(feed(&mut alias, &other), [None, None, Some("DL2XYZ Jörg in Köln".to_owned())]);
        let last = lcs("DL2XYZ Jörg in Bonn")[2];
        assert_eq!(feed(&mut alias, &[last]), [Some("DL2XYZ Jörg in Bonn".to_owned())], "corrected");
    }

    #[test]
    fn characters_counted_as_bytes_come_with_the_next_block() {
        let mut sent = lcs("Łukasz Ł");
        sent[0].0[2] = AliasFormat::Utf8.bits() << 6 | 6 << 1;
        sent[0].0[3..].copy_from_slice("Łukas".as_bytes());
        sent[1].0[2..].copy_from_slice(b"z\0\0\0\0\0\0");
        let texts = feed(&mut TalkerAlias::new(), &sent);
        assert_eq!(texts, [Some("Łukas".to_owned()), Some("Łukasz".to_owned())]);
    }

    #[test]
    fn makers_own_and_encrypted_lcs_are_passed_over() {
        for (place, byte, taken) in [(1, 0x68, true), (1, 0x10, false), (0, 0x84, false)] {
            let mut lc = lcs("DL1ABC")[0];
            lc.0[place] = byte;
            assert_eq!(TalkerAlias::new().push(&lc).is_some(), taken);
        }
    }
}
