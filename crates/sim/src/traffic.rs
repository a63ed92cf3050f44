//! Voice calls with real framing, made beforehand: datagram by datagram, so that sending one costs nothing
//! and what is heard can be compared with what was said.
//!
//! The vocoder payload of each voice burst names its call and its place in it, so that loss, reordering and
//! doubles show. It is no speech: a vocoder would make noise of it.

use dmr::{AMBE_LEN, BURST_LEN, BurstKind, FullLc, Sync, VoiceCall};
use openbridge::Signer;

/// Bytes of a `DMRD` as current clients send and expect it.
pub const DMRD_LEN: usize = 55;
/// Bytes of a `DMRD` without error rate and field strength, which is what OpenBridge signs.
pub(crate) const HEAD_LEN: usize = 53;
/// Bytes of a burst on OpenBridge: the same with an HMAC-SHA1.
pub(crate) const SIGNED_LEN: usize = 73;
/// Time between two bursts of a call, in microseconds.
pub const BURST_US: u64 = 60_000;
/// Offset of the sequence number in a `DMRD`.
pub(crate) const AT_SEQUENCE: usize = 4;
/// Offset of the receiving repeater's ID in a `DMRD`.
pub(crate) const AT_ID: usize = 11;
/// Offset of the flags in a `DMRD`.
pub(crate) const AT_FLAGS: usize = 15;
/// Offset of the stream ID in a `DMRD`.
pub(crate) const AT_STREAM: usize = 16;
/// Offset of the burst in a `DMRD`.
pub(crate) const AT_BURST: usize = 20;
/// The colour code that the repeaters have.
pub(crate) const COLOUR_CODE: u8 = 1;
/// The bit of the flags that says TS2.
pub(crate) const TS2: u8 = 0x80;
/// What begins the payload of a simulated voice burst.
const MARK: [u8; 3] = *b"sim";

/// Numbers that look random and come again with the same seed (SplitMix64).
#[derive(Clone, Copy, Debug)]
pub struct Seed(pub u64);

impl Seed {
    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }
}

/// Who calls whom.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of the call, unique within a run.
    pub number: u32,
    /// ID of the repeater that the talker uses.
    pub repeater: u32,
    /// Radio ID of the talker, 24 bits, unique within a run.
    pub source: u32,
    /// The talkgroup, 24 bits.
    pub talkgroup: u32,
    /// TS2, or else TS1.
    pub ts2: bool,
    /// How many bursts it shall have: see [`Call::bursts`].
    pub bursts: usize,
}

/// A group call: what its talker's repeater sends, or another network.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls whom.
    pub plan: Plan,
    datagrams: Vec<[u8; DMRD_LEN]>,
    /// As a network sends them; none where a repeater does.
    signed: Vec<[u8; SIGNED_LEN]>,
}

/// What the flags of a `DMRD` say of its burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A voice LC header.
    Header,
    /// A voice burst.
    Voice,
    /// A terminator.
    Terminator,
}

impl Part {
    /// `None` for what a voice call does not have.
    pub(crate) fn of(flags: u8) -> Option<Self> {
        match flags & 0x3F {
            0x21 => Some(Self::Header),
            0x22 => Some(Self::Terminator),
            0x10 | 0x01..=0x05 => Some(Self::Voice),
            _ => None,
        }
    }
}

impl Call {
    /// A call with header, whole superframes of voice and terminator: as many bursts as were planned, or up
    /// to five fewer, and at least eight. Its stream ID and first sequence number are drawn.
    #[must_use]
    pub fn new(plan: Plan, seed: &mut Seed) -> Self {
        let drawn = seed.draw().to_be_bytes();
        let mut head = [0; AT_BURST];
        head[..4].copy_from_slice(b"DMRD");
        head[5..8].copy_from_slice(&plan.source.to_be_bytes()[1..]);
        head[8..11].copy_from_slice(&plan.talkgroup.to_be_bytes()[1..]);
        head[AT_ID..AT_FLAGS].copy_from_slice(&plan.repeater.to_be_bytes());
        head[AT_STREAM..AT_BURST].copy_from_slice(&drawn[..4]);
        let slot = if plan.ts2 { TS2 } else { 0 };
        let voice = (plan.bursts.saturating_sub(2) / 6).max(1) * 6;
        let payloads = (1..).take(voice).map(|index| payload(plan.number, index));
        // A duplex repeater has put its own syncs in place of the radio's.
        let bursts =
            VoiceCall::new(FullLc::group(plan.source, plan.talkgroup), COLOUR_CODE, Sync::BsVoice, payloads);
        let datagram = |((kind, burst), sequence): ((BurstKind, [u8; BURST_LEN]), u8)| {
            let mut datagram = [0; DMRD_LEN];
            datagram[..AT_BURST].copy_from_slice(&head);
            datagram[4] = drawn[4].wrapping_add(sequence);
            datagram[AT_FLAGS] = slot | flags(kind);
            datagram[AT_BURST..][..BURST_LEN].copy_from_slice(&burst);
            // A bit error rate and a field strength, so that it shows when they do not arrive.
            datagram[53..].copy_from_slice(&[2, 73]);
            datagram
        };
        let datagrams = bursts.zip((0..=u8::MAX).cycle()).map(datagram).collect();
        Self { plan, datagrams, signed: Vec::new() }
    }

    /// The same as another network says it over OpenBridge, whose ID stands for the repeater's: without error rate and field
    /// strength, and signed.
    #[must_use]
    pub fn by_network(mut self, signer: &Signer) -> Self {
        self.datagrams.iter_mut().for_each(|datagram| datagram[HEAD_LEN..].fill(0));
        self.signed = self.datagrams.iter().map(|datagram| sign(datagram, signer)).collect();
        self
    }

    /// Whether another network makes it.
    #[must_use]
    pub fn is_by_network(&self) -> bool {
        !self.signed.is_empty()
    }

    /// What is sent as burst `index`, by whoever makes the call.
    #[must_use]
    pub fn sent(&self, index: usize) -> Option<&[u8]> {
        if self.is_by_network() {
            return self.signed.get(index).map(<[u8; SIGNED_LEN]>::as_slice);
        }
        self.datagrams.get(index).map(<[u8; DMRD_LEN]>::as_slice)
    }

    /// How many bursts it has: header, voice, terminator.
    #[must_use]
    pub fn bursts(&self) -> usize {
        self.datagrams.len()
    }

    /// Its bursts, 60 ms apart, as a repeater sends them.
    #[must_use]
    pub fn datagrams(&self) -> &[[u8; DMRD_LEN]] {
        &self.datagrams
    }

    /// The payloads of its voice bursts.
    pub fn payloads(&self) -> impl Iterator<Item = [u8; AMBE_LEN]> {
        let voice = self.datagrams.iter().filter(|d| Part::of(d[AT_FLAGS]) == Some(Part::Voice));
        voice.filter_map(|datagram| payload_of(datagram))
    }
}

fn flags(kind: BurstKind) -> u8 {
    match kind {
        BurstKind::Voice(0) => 0x10,
        BurstKind::Voice(index) => index,
        BurstKind::Data(data_type) => 0x20 | data_type.bits(),
    }
}

/// A burst as it is sent over OpenBridge.
pub(crate) fn sign(datagram: &[u8; DMRD_LEN], signer: &Signer) -> [u8; SIGNED_LEN] {
    let mut signed = [0; SIGNED_LEN];
    signed[..HEAD_LEN].copy_from_slice(&datagram[..HEAD_LEN]);
    let signature = signer.sign(&datagram[..HEAD_LEN]);
    signed[HEAD_LEN..].copy_from_slice(&signature);
    signed
}

/// How many bursts fill so many seconds.
#[must_use]
pub fn bursts_in(seconds: u32) -> usize {
    usize::try_from(u64::from(seconds) * 1_000_000 / BURST_US).unwrap_or(usize::MAX)
}

/// The payload of the voice burst at `index` of call `number`.
#[must_use]
pub fn payload(number: u32, index: u32) -> [u8; AMBE_LEN] {
    let mut payload = [0; AMBE_LEN];
    payload[..3].copy_from_slice(&MARK);
    payload[3..7].copy_from_slice(&number.to_be_bytes());
    payload[7..11].copy_from_slice(&index.to_be_bytes());
    let mut noise = Seed(u64::from(number) << 32 | u64::from(index));
    payload[11..19].copy_from_slice(&noise.draw().to_be_bytes());
    payload[19..].copy_from_slice(&noise.draw().to_be_bytes());
    payload
}

/// Number of the call and index of the burst that a payload names.
pub(crate) fn read_payload(payload: &[u8; AMBE_LEN]) -> Option<(u32, u32)> {
    let rest = payload.strip_prefix(&MARK)?;
    let (number, rest) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), u32::from_be_bytes(*rest.first_chunk()?)))
}

/// The vocoder payload of a `DMRD` that carries voice.
pub(crate) fn payload_of(datagram: &[u8]) -> Option<[u8; AMBE_LEN]> {
    let burst = datagram.get(AT_BURST..)?.first_chunk::<BURST_LEN>()?;
    Some(dmr::ambe(burst))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dmr::{DataType, Emb, EmbeddedLc, SlotType, embedded_fragment};

    fn call(bursts: usize) -> Call {
        let plan =
            Plan { number: 7, repeater: 2_501_001, source: 2_590_001, talkgroup: 91, ts2: true, bursts };
        Call::new(plan, &mut Seed(1))
    }

    fn burst(datagram: &[u8; DMRD_LEN]) -> &[u8; BURST_LEN] {
        datagram[AT_BURST..].first_chunk().unwrap()
    }

    #[test]
    fn a_call_has_real_framing() {
        let call = call(14);
        let flags: Vec<u8> = call.datagrams().iter().map(|d| d[AT_FLAGS]).collect();
        let superframe = [0x90, 0x81, 0x82, 0x83, 0x84, 0x85];
        assert_eq!(flags, [&[0xA1][..], &superframe, &superframe, &[0xA2]].concat());
        let lc = FullLc::group(2_590_001, 91);
        let header = burst(&call.datagrams()[0]);
        assert_eq!(FullLc::from_burst(header, DataType::VOICE_HEADER), Some(lc));
        let slot_type = SlotType { colour_code: COLOUR_CODE, data_type: DataType::VOICE_HEADER };
        assert_eq!((SlotType::read(header), Sync::of(header)), (Some(slot_type), Some(Sync::BsData)));
        let last = burst(&call.datagrams()[13]);
        assert_eq!(FullLc::from_burst(last, DataType::TERMINATOR), Some(lc));
        assert_eq!(Sync::of(burst(&call.datagrams()[1])), Some(Sync::BsVoice));
        let mut embedded = EmbeddedLc::new();
        let heard = call.datagrams()[2..6].iter().filter_map(|datagram| {
            let (emb, fragment) = (Emb::read(burst(datagram))?, embedded_fragment(burst(datagram)));
            embedded.push(emb.lcss, fragment)
        });
        assert_eq!(heard.collect::<Vec<_>>(), [lc]);
        assert_eq!(Emb::read(burst(&call.datagrams()[6])).unwrap().colour_code, COLOUR_CODE);
    }

    #[test]
    fn the_header_says_who_calls_whom() {
        let call = call(400);
        assert_eq!(call.bursts(), 398, "whole superframes");
        let first = call.datagrams()[0];
        assert_eq!(first[..4], *b"DMRD");
        assert_eq!(first[5..AT_FLAGS], [0x27, 0x85, 0x31, 0, 0, 91, 0, 0x26, 0x29, 0x89]);
        for (index, datagram) in call.datagrams().iter().enumerate() {
            assert_eq!(datagram[4], first[4].wrapping_add((index % 256) as u8));
            assert_eq!(datagram[AT_STREAM..AT_BURST], first[AT_STREAM..AT_BURST]);
        }
    }

    #[test]
    fn each_voice_burst_names_its_place() {
        let call = call(50);
        assert_eq!((call.bursts(), call.payloads().count()), (50, 48));
        for (payload, index) in call.payloads().zip(1..) {
            assert_eq!(read_payload(&payload), Some((7, index)));
            assert_eq!(payload, super::payload(7, index));
        }
        assert_eq!(read_payload(&dmr::AMBE_SILENCE), None);
    }

    #[test]
    fn a_network_signs_what_it_says() {
        let signer = Signer::new(&stack::Key::new("k3y").unwrap()).unwrap();
        let call = call(14);
        assert_eq!((call.is_by_network(), call.sent(3)), (false, Some(&call.datagrams()[3][..])));
        let by_network = call.clone().by_network(&signer);
        assert!(by_network.is_by_network() && by_network.sent(14).is_none());
        for index in 0..14 {
            let sent = by_network.sent(index).unwrap();
            let (head, signature) = sent.split_at(HEAD_LEN);
            assert_eq!((head, sent.len()), (&call.datagrams()[index][..HEAD_LEN], 73));
            assert!(signer.is_signed(head, signature));
            assert_eq!(by_network.datagrams()[index][HEAD_LEN..], [0, 0]);
        }
    }

    #[test]
    fn lengths_are_whole_superframes() {
        assert_eq!((bursts_in(3), bursts_in(60)), (50, 1_000));
        assert_eq!([0, 8, 13, 14].map(|bursts| call(bursts).bursts()), [8, 8, 8, 14]);
    }

    #[test]
    fn a_seed_gives_the_same_again() {
        let draw = |seed| Seed(seed).draw();
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
        assert_ne!(call(8).datagrams()[0][AT_STREAM..AT_BURST], [0; 4]);
    }
}
