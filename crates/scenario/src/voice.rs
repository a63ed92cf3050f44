//! The bursts of a voice call as its repeater sends them. The vocoder payload names the call and its place in
//! it, so that loss, doubles and disorder show.

use dmr::{AMBE_LEN, BURST_LEN, BurstKind, DataType, Flco, FullLc, Lcss, Sync};
use stack::{CallType, Slots};

use crate::model::{Device, How, Target};

/// What begins the payload.
const MARK: [u8; 3] = *b"scn";
/// Emergency bit of the service options (ETSI TS 102 361-2 section 7.2.1).
const EMERGENCY: u8 = 0x80;
/// Privacy bit.
const PRIVACY: u8 = 0x40;
/// The place of the bursts whose EMB cannot be read, where the call has such: C.
const BAD_EMB: u8 = 2;

/// The LC of a call.
pub(crate) fn lc(source: u32, target: Target) -> FullLc {
    match target.call {
        CallType::Group => FullLc::group(source, target.id),
        CallType::Private => FullLc::private(source, target.id),
    }
}

/// The sync that a device's radios are heard with: a duplex repeater puts its own into what it sends on.
pub(crate) fn sync_of(device: &Device) -> Sync {
    if device.slots == Slots::Simplex { Sync::MsVoice } else { Sync::BsVoice }
}

/// A voice call.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    /// Number of the transmission, in its payloads.
    pub(crate) number: u32,
    /// What the headers say of it: the truth.
    pub(crate) lc: FullLc,
    /// What its own LC says.
    said: FullLc,
    /// The talker alias, block by block.
    alias: Vec<FullLc>,
    /// What is sent before the first voice burst.
    heads: Vec<DataType>,
    how: How,
    colour_code: u8,
    sync: Sync,
}

impl Voice {
    pub(crate) fn new(number: u32, source: u32, target: Target, how: &How, device: &Device) -> Self {
        let options = if how.emergency { EMERGENCY } else { 0 } | if how.encrypted { PRIVACY } else { 0 };
        let with_options = |mut lc: FullLc| {
            lc.0[2] |= options;
            lc
        };
        let (said_source, said_target) = how.lc.unwrap_or((source, target));
        let header = (!how.no_header).then_some(DataType::VOICE_HEADER);
        Self {
            number,
            lc: with_options(lc(source, target)),
            said: with_options(lc(said_source, said_target)),
            alias: how.alias.as_deref().map(alias_blocks).unwrap_or_default(),
            heads: header.into_iter().chain(how.pi_header.then_some(DataType::PI_HEADER)).collect(),
            how: how.clone(),
            colour_code: device.colour_code,
            sync: sync_of(device),
        }
    }

    /// The unit at this place of the call: headers, then voice bursts without end.
    pub(crate) fn unit(&self, place: u32) -> (BurstKind, [u8; BURST_LEN]) {
        match self.heads.get(place as usize) {
            Some(&data_type) => (BurstKind::Data(data_type), self.head(data_type)),
            None => self.voice(place - self.heads.len() as u32),
        }
    }

    fn head(&self, data_type: DataType) -> [u8; BURST_LEN] {
        let mut burst = dmr::voice_header(&self.said, self.colour_code, self.sync);
        if data_type == DataType::PI_HEADER {
            // Algorithm, key and initialisation vector are for the radios to make sense of.
            dmr::bptc::write(&mut burst, &[0x21, 0x10, 0x01, 1, 2, 3, 4, 0, 0, 1, 0x55, 0xAA]);
            dmr::SlotType { colour_code: self.colour_code, data_type }.write(&mut burst);
        }
        burst
    }

    fn voice(&self, index: u32) -> (BurstKind, [u8; BURST_LEN]) {
        let letter = self.letter(index);
        let fragments = self.superframe(index, self.said).to_embedded();
        let payload = payload(self.number, index);
        let mut burst = dmr::voice_burst(letter, &payload, self.colour_code, &fragments, self.sync);
        if self.is_bad(letter) {
            // Three wrong bits of the 16: one more than can be corrected.
            burst[13] ^= 0x08;
            burst[14] ^= 0x10;
            burst[19] ^= 0x20;
        }
        (BurstKind::Voice(letter), burst)
    }

    pub(crate) fn terminator(&self) -> (BurstKind, [u8; BURST_LEN]) {
        let burst = dmr::terminator(&self.said, self.colour_code, self.sync);
        (BurstKind::Data(DataType::TERMINATOR), burst)
    }

    /// The place in the superframe of a voice burst.
    pub(crate) fn letter(&self, index: u32) -> u8 {
        ((index + u32::from(self.how.first)) % 6) as u8
    }

    /// Whether the bursts of this place have an EMB that cannot be read.
    pub(crate) fn is_bad(&self, letter: u8) -> bool {
        self.how.bad_emb && letter == BAD_EMB
    }

    /// The embedded LC of the superframe that this voice burst is of: the call's, or by turns the alias.
    pub(crate) fn superframe(&self, index: u32, lc: FullLc) -> FullLc {
        let superframe = (index + u32::from(self.how.first)) / 6;
        match superframe as usize % (1 + self.alias.len()) {
            0 => lc,
            block => self.alias[block - 1],
        }
    }
}

/// A talker alias of 8-bit characters, at most 27 (ETSI TS 102 361-2 section 7.1.1.4 and 7.2.18).
fn alias_blocks(alias: &str) -> Vec<FullLc> {
    let bytes: Vec<u8> = alias.bytes().take(27).collect();
    let mut header = [Flco::TalkerAliasHeader.bits(), 0, 1 << 6 | (bytes.len() as u8) << 1, 0, 0, 0, 0, 0, 0];
    let (first, rest) = bytes.split_at(bytes.len().min(6));
    header[3..3 + first.len()].copy_from_slice(first);
    let mut blocks = vec![FullLc(header)];
    let flcos = [Flco::TalkerAliasBlock1, Flco::TalkerAliasBlock2, Flco::TalkerAliasBlock3];
    for (flco, part) in flcos.iter().zip(rest.chunks(7)) {
        let mut block = [0; 9];
        block[0] = flco.bits();
        block[2..2 + part.len()].copy_from_slice(part);
        blocks.push(FullLc(block));
    }
    blocks
}

/// The payload of a voice burst.
fn payload(number: u32, index: u32) -> [u8; AMBE_LEN] {
    let mut payload = [0; AMBE_LEN];
    payload[..3].copy_from_slice(&MARK);
    payload[3..7].copy_from_slice(&number.to_be_bytes());
    payload[7..11].copy_from_slice(&index.to_be_bytes());
    let mut noise = number.wrapping_mul(0x9E37_79B9) ^ index.wrapping_mul(0x85EB_CA6B) | 1;
    for byte in &mut payload[11..] {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        *byte = noise as u8;
    }
    payload
}

/// The number of the transmission and the place in it that a voice burst names; `None` where it is altered.
pub(crate) fn read_payload(burst: &[u8; BURST_LEN]) -> Option<(u32, u32)> {
    let found = dmr::ambe(burst);
    let word = |at: usize| found[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    let (number, index) = (word(3)?, word(7)?);
    (found == payload(number, index)).then_some((number, index))
}

/// What a burst says of its place with its EMB: for what is heard.
pub(crate) fn lcss_of(letter: u8) -> Lcss {
    Lcss::at(letter).unwrap_or(Lcss::Single)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(how: &How) -> Voice {
        let device = Device {
            name: "A".into(),
            id: 250_001,
            worker: 0,
            slots: Slots::Both,
            colour_code: 3,
            statics: [vec![], vec![]],
            blocked: vec![],
            single: false,
        };
        Voice::new(7, 2_500_001, Target { call: CallType::Group, id: 91 }, how, &device)
    }

    #[test]
    fn a_call_has_header_and_superframes_that_name_themselves() {
        let how = How { emergency: true, pi_header: true, ..How::default() };
        let voice = voice(&how);
        let (_, header) = voice.unit(0);
        let lc = FullLc::from_burst(&header, DataType::VOICE_HEADER).unwrap();
        assert_eq!((lc.source(), lc.destination()), (2_500_001, 91));
        assert!(lc.service_options().emergency() && !lc.service_options().privacy());
        assert_eq!(voice.unit(1).0, BurstKind::Data(DataType::PI_HEADER));
        for index in 0..14 {
            let (kind, burst) = voice.unit(2 + index);
            assert_eq!(kind, BurstKind::Voice((index % 6) as u8));
            assert_eq!(read_payload(&burst), Some((7, index)));
        }
    }

    #[test]
    fn what_is_wrong_is_wrong() {
        let lc = (9, Target { call: CallType::Group, id: 5 });
        let how = How { lc: Some(lc), bad_emb: true, first: 2, no_header: true, ..How::default() };
        let voice = voice(&how);
        let (kind, burst) = voice.unit(0);
        assert_eq!((kind, dmr::Emb::read(&burst)), (BurstKind::Voice(2), None));
        assert_eq!(read_payload(&burst), Some((7, 0)));
        let said = FullLc::from_burst(&voice.terminator().1, DataType::TERMINATOR).unwrap();
        assert_eq!((said.source(), said.destination()), (9, 5));
    }

    #[test]
    fn an_alias_comes_by_turns() {
        let voice = voice(&How { alias: Some("DL1ABC Hans".into()), ..How::default() });
        let flcos: Vec<_> = (0..4).map(|n| voice.superframe(6 * n, voice.lc).flco()).collect();
        assert_eq!(flcos, [Flco::Group, Flco::TalkerAliasHeader, Flco::TalkerAliasBlock1, Flco::Group]);
        let header = voice.superframe(6, voice.lc).0;
        assert_eq!((header[2] >> 6, header[2] >> 1 & 31, &header[3..]), (1, 11, &b"DL1ABC"[..]));
    }
}
