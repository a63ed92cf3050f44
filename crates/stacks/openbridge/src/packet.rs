//! What a datagram is, by its tag and length. Nothing of it is to be believed before its signature was found right.

use mmdvm::Dmrd;
use stack::{CallType, Frame};

use crate::signer::{BLAKE2_LEN, SHA1_LEN, Signer};

/// The longest datagram to a peer, in bytes: a `DMRE` of version 5.
pub const MAX_LEN: usize = 89;
/// What all forms of a burst begin with: a `DMRD` without BER and RSSI.
pub(crate) const HEAD: usize = 53;
/// What a signature covers of a `DMRE` of version 4 and of version 5.
const ENHANCED: [usize; 2] = [69, 73];

/// A datagram of legal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A burst: `DMRD`, or `DMRE` with how it has come.
    Burst {
        /// Its first 53 bytes.
        head: &'a [u8; HEAD],
        /// What a `DMRE` says besides.
        way: Option<Way>,
    },
    /// `BCKA`: the peer is there.
    KeepAlive,
    /// `BCVE`: the version of the extensions that the peer speaks.
    Version(u8),
    /// `BCSQ`: the peer does not want this stream on this talkgroup.
    Quench {
        /// The talkgroup, by the peer's number.
        talkgroup: u32,
        /// The stream, as we have sent it.
        stream: u32,
    },
    /// `BCST`, of which nothing follows.
    Stun,
}

/// How a burst has come, as its `DMRE` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Bit errors and field strength, as in a long `DMRD`.
    pub ber: u8,
    /// -dBm.
    pub rssi: u8,
    /// When it was sent, nanoseconds since 1970 by the sender's clock.
    pub time_ns: u64,
    /// ID of the network where it began.
    pub server: u32,
    /// ID of the repeater where it began; 0 where that is not said.
    pub repeater: u32,
    /// How many networks it has come over.
    pub hops: u8,
}

/// A datagram, what of it is signed, and the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// What it says.
    pub packet: Packet<'a>,
    signed: &'a [u8],
    signature: &'a [u8],
}

impl Signed<'_> {
    /// Whether it is signed with this key.
    #[must_use]
    pub fn is_by(&self, signer: &Signer) -> bool {
        signer.is_signed(self.signed, self.signature)
    }
}

/// Reads a datagram; `None` for what is none of the protocol.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Signed<'_>> {
    let (tag, rest) = bytes.split_first_chunk::<4>()?;
    let at = |len: usize| (bytes.len() == len + SHA1_LEN).then(|| bytes.split_at(len));
    let (packet, (signed, signature)) = match tag {
        b"DMRD" => (Packet::Burst { head: bytes.first_chunk()?, way: None }, at(HEAD)?),
        b"DMRE" => return parse_enhanced(bytes),
        b"BCKA" => (Packet::KeepAlive, at(4)?),
        // Of the version alone.
        b"BCVE" => {
            (Packet::Version(*rest.first()?), at(5).map(|(signed, signature)| (&signed[4..], signature))?)
        }
        b"BCSQ" => {
            let (&[t0, t1, t2, s0, s1, s2, s3], _) = rest.split_first_chunk::<7>()?;
            let talkgroup = u32::from_be_bytes([0, t0, t1, t2]);
            (Packet::Quench { talkgroup, stream: u32::from_be_bytes([s0, s1, s2, s3]) }, at(11)?)
        }
        b"BCST" => (Packet::Stun, at(4)?),
        _ => return None,
    };
    Some(Signed { packet, signed, signature })
}

fn parse_enhanced(bytes: &[u8]) -> Option<Signed<'_>> {
    let version = *bytes.get(55)?;
    let len = ENHANCED[usize::from(version > 4)];
    if bytes.len() != len + BLAKE2_LEN || version < 4 {
        return None;
    }
    let (signed, signature) = bytes.split_at(len);
    let u32_at = |at: usize| signed.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    let way = Way {
        ber: signed[53].min(141),
        rssi: signed[54],
        time_ns: u64::from_be_bytes(*signed.get(56..)?.first_chunk()?),
        server: u32_at(64)?,
        repeater: if version > 4 { u32_at(68)? } else { 0 },
        hops: *signed.last()?,
    };
    Some(Signed { packet: Packet::Burst { head: bytes.first_chunk()?, way: Some(way) }, signed, signature })
}

/// What a burst's first 53 bytes say.
pub(crate) struct Head {
    pub(crate) stream: u32,
    /// It is on TS1, as all has to be.
    pub(crate) is_first_slot: bool,
    /// `None` where it cannot be.
    pub(crate) frame: Option<Frame>,
}

pub(crate) fn head(bytes: &[u8; HEAD], way: Option<Way>) -> Option<Head> {
    let dmrd = Dmrd::new(bytes).ok()?;
    let way = way.unwrap_or_default();
    let frame = dmrd.frame().ok().map(|frame| Frame { ber: way.ber, rssi: way.rssi, ..frame });
    let is_first_slot = dmrd.slot() == stack::Slot::One;
    Some(Head { stream: dmrd.stream(), is_first_slot, frame })
}

/// Writes a burst with its signature to the beginning of `out`, and returns its length. `way`: as a `DMRE` of the version
/// that comes with it.
pub(crate) fn write_burst(
    out: &mut [u8; stack::MAX_DATAGRAM],
    signer: &Signer,
    network: u32,
    stream: u32,
    frame: &Frame,
    way: Option<(u8, Way)>,
) -> Option<usize> {
    mmdvm::write_dmrd(out.first_chunk_mut()?, network, stack::Slot::One, stream, frame);
    let Some((version, way)) = way else {
        let signature = signer.sign(&out[..HEAD]);
        out[HEAD..HEAD + SHA1_LEN].copy_from_slice(&signature);
        return Some(HEAD + SHA1_LEN);
    };
    let len = ENHANCED[usize::from(version > 4)];
    out[..4].copy_from_slice(b"DMRE");
    out[53..56].copy_from_slice(&[way.ber, way.rssi, version]);
    out[56..64].copy_from_slice(&way.time_ns.to_be_bytes());
    out[64..68].copy_from_slice(&way.server.to_be_bytes());
    if version > 4 {
        out[68..72].copy_from_slice(&way.repeater.to_be_bytes());
    }
    out[len - 1] = way.hops;
    let signature = signer.sign_enhanced(&out[..len]);
    out[len..len + BLAKE2_LEN].copy_from_slice(&signature);
    Some(len + BLAKE2_LEN)
}

/// The talkgroup that a burst is for, if it is for one.
pub(crate) fn talkgroup(frame: &Frame) -> Option<u32> {
    (frame.call == CallType::Group).then_some(frame.destination)
}

/// `BCKA` with its signature.
pub(crate) fn keep_alive(signer: &Signer) -> Vec<u8> {
    [b"BCKA".as_slice(), &signer.sign(b"BCKA")].concat()
}

/// `BCVE` with its signature.
pub(crate) fn version(signer: &Signer, version: u8) -> Vec<u8> {
    [b"BCVE".as_slice(), &[version], &signer.sign(&[version])].concat()
}

/// `BCSQ` with its signature.
pub(crate) fn quench(signer: &Signer, talkgroup: u32, stream: u32) -> Vec<u8> {
    let bytes = [b"BCSQ".as_slice(), &talkgroup.to_be_bytes()[1..], &stream.to_be_bytes()].concat();
    [bytes.as_slice(), &signer.sign(&bytes)].concat()
}
