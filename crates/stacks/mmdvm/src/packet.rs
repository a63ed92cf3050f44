//! The datagrams of the protocol: those of a client taken apart without a copy, those of a master put together.

use dmr::{BURST_LEN, BurstKind, DataType};
use stack::{CallType, Datagram, Frame, Slot};

use crate::Error;
use crate::path::Path;

/// Longest text of an `RPTO`, in bytes.
const MAX_OPTIONS: usize = 300;

/// A datagram of a client.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    /// `RPTL`: asks for a salt.
    Login {
        /// The device's ID.
        id: u32,
    },
    /// `RPTK`: answers the salt.
    Key {
        /// The device's ID.
        id: u32,
        /// SHA-256 of salt and password.
        digest: &'a [u8; 32],
    },
    /// `RPTC`: what the device is, for [`crate::Config::parse`].
    Config {
        /// The device's ID.
        id: u32,
        /// What follows the ID.
        body: &'a [u8; 294],
    },
    /// `RPTO`: which talkgroups it wants.
    Options {
        /// The device's ID.
        id: u32,
        /// The text.
        text: &'a [u8],
    },
    /// `RPTPING`: still there.
    Ping {
        /// The device's ID.
        id: u32,
    },
    /// `RPTCL`: goodbye.
    Close {
        /// The device's ID.
        id: u32,
    },
    /// `DMRD`: a burst.
    Burst(Dmrd<'a>),
    /// `DMRA`: a talker alias that the device has heard. Its contents are of no use here.
    Alias {
        /// The device's ID.
        id: u32,
    },
    /// `DMRG`: a radio's location that the device has heard. Its contents are of no use here.
    Location {
        /// The device's ID.
        id: u32,
    },
    /// `RPTG`: where the device is.
    Position {
        /// The device's ID.
        id: u32,
        /// Latitude (8 bytes) and longitude (9 bytes) in degrees, as text.
        text: &'a [u8; 17],
    },
}

impl Packet<'_> {
    /// The ID that the client claims.
    #[must_use]
    pub fn id(&self) -> u32 {
        match *self {
            Self::Login { id }
            | Self::Key { id, .. }
            | Self::Config { id, .. }
            | Self::Options { id, .. }
            | Self::Ping { id }
            | Self::Close { id }
            | Self::Alias { id }
            | Self::Location { id }
            | Self::Position { id, .. } => id,
            Self::Burst(dmrd) => dmrd.id(),
        }
    }
}

/// Takes a client's datagram apart.
///
/// # Errors
/// [`Error::Tag`] or [`Error::Length`] where it is no packet of a client.
pub fn parse(bytes: &[u8]) -> Result<Packet<'_>, Error> {
    let len = bytes.len();
    let Some((tag, rest)) = bytes.split_first_chunk::<4>() else {
        let mut tag = [0; 4];
        tag[..len].copy_from_slice(bytes);
        return Err(Error::Tag { tag, len });
    };
    let wrong = |tag: &'static str, valid: &'static str| Error::Length { tag, len, valid };
    match tag {
        b"DMRD" => Dmrd::new(bytes).map(Packet::Burst),
        b"RPTP" => {
            let ping = rest.strip_prefix(b"ING").ok_or(Error::Tag { tag: *tag, len })?;
            Ok(Packet::Ping { id: exact(ping).ok_or_else(|| wrong("RPTPING", "11"))? })
        }
        b"RPTL" => Ok(Packet::Login { id: exact(rest).ok_or_else(|| wrong("RPTL", "8"))? }),
        b"RPTK" => {
            let (id, digest) = with_id(rest).ok_or_else(|| wrong("RPTK", "40"))?;
            Ok(Packet::Key { id, digest: digest.try_into().map_err(|_| wrong("RPTK", "40"))? })
        }
        b"RPTC" => {
            if let Some(id) = rest.strip_prefix(b"L").and_then(exact) {
                return Ok(Packet::Close { id });
            }
            let (id, body) = with_id(rest).ok_or_else(|| wrong("RPTC", "302, or 9 for RPTCL"))?;
            let body = body.try_into().map_err(|_| wrong("RPTC", "302, or 9 for RPTCL"))?;
            Ok(Packet::Config { id, body })
        }
        b"RPTO" => {
            let (id, text) = with_id(rest)
                .filter(|(_, text)| text.len() <= MAX_OPTIONS)
                .ok_or_else(|| wrong("RPTO", "8..=308"))?;
            Ok(Packet::Options { id, text })
        }
        b"DMRA" if len == 19 => Ok(Packet::Alias { id: first_id(rest) }),
        b"DMRA" => Err(wrong("DMRA", "19")),
        b"DMRG" if len == 18 => Ok(Packet::Location { id: first_id(rest) }),
        b"DMRG" => Err(wrong("DMRG", "18")),
        b"RPTG" => {
            let (id, text) = with_id(rest).ok_or_else(|| wrong("RPTG", "25"))?;
            Ok(Packet::Position { id, text: text.try_into().map_err(|_| wrong("RPTG", "25"))? })
        }
        _ => Err(Error::Tag { tag: *tag, len }),
    }
}

/// The ID that begins `bytes`, and what follows it.
fn with_id(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (id, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*id), rest))
}

/// The ID that `bytes` are.
fn exact(bytes: &[u8]) -> Option<u32> {
    with_id(bytes).filter(|(_, rest)| rest.is_empty()).map(|(id, _)| id)
}

/// The ID that begins `bytes`, whose length was checked.
fn first_id(bytes: &[u8]) -> u32 {
    with_id(bytes).map_or(0, |(id, _)| id)
}

/// A `DMRD` of legal length.
#[derive(Clone, Copy, Debug)]
pub struct Dmrd<'a> {
    head: &'a [u8; 53],
    ber: u8,
    rssi: u8,
}

impl<'a> Dmrd<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let wrong = || Error::Length { tag: "DMRD", len: bytes.len(), valid: "53 or 55" };
        let (head, tail) = bytes.split_first_chunk::<53>().ok_or_else(wrong)?;
        match *tail {
            [] => Ok(Self { head, ber: 0, rssi: 0 }),
            [ber, rssi] => Ok(Self { head, ber, rssi }),
            _ => Err(wrong()),
        }
    }

    /// The ID of the device that sent it.
    #[must_use]
    pub const fn id(&self) -> u32 {
        let h = self.head;
        u32::from_be_bytes([h[11], h[12], h[13], h[14]])
    }

    /// The stream that it belongs to: opaque.
    #[must_use]
    pub const fn stream(&self) -> u32 {
        let h = self.head;
        u32::from_be_bytes([h[16], h[17], h[18], h[19]])
    }

    /// The slot on which it was sent.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        if self.head[15] & 0x80 == 0 { Slot::One } else { Slot::Two }
    }

    /// The burst with what its header says of it.
    ///
    /// # Errors
    /// [`Error::Kind`] and [`Error::Nobody`] where that cannot be.
    pub fn frame(&self) -> Result<Frame, Error> {
        let h = self.head;
        let flags = h[15];
        let kind = match flags & 0x3F {
            0x10 => BurstKind::Voice(0),
            place @ 0x01..=0x05 => BurstKind::Voice(place),
            data @ 0x20..=0x2F => BurstKind::Data(DataType::from_bits(data)),
            _ => return Err(Error::Kind(flags)),
        };
        let source = u32::from_be_bytes([0, h[5], h[6], h[7]]);
        let destination = u32::from_be_bytes([0, h[8], h[9], h[10]]);
        if source == 0 || destination == 0 {
            return Err(Error::Nobody { talker: source, destination });
        }
        let mut burst = [0; BURST_LEN];
        burst.copy_from_slice(&h[20..]);
        Ok(Frame {
            source,
            destination,
            call: if flags & 0x40 == 0 { CallType::Group } else { CallType::Private },
            kind,
            sequence: h[4],
            ber: self.ber.min(141),
            rssi: self.rssi,
            burst,
        })
    }
}

/// `DMRD` to a device, always of 55 bytes: DMRGateway takes no other.
pub(crate) fn dmrd(path: &Path, id: u32, slot: Slot, stream: u32, frame: &Frame) -> Datagram {
    let mut flags = match frame.kind {
        BurstKind::Voice(0) => 0x10,
        BurstKind::Voice(place) => place & 0x0F,
        BurstKind::Data(data) => 0x20 | data.bits(),
    };
    if slot == Slot::Two {
        flags |= 0x80;
    }
    if frame.call == CallType::Private {
        flags |= 0x40;
    }
    path.datagram(&[
        b"DMRD",
        &[frame.sequence],
        &frame.source.to_be_bytes()[1..],
        &frame.destination.to_be_bytes()[1..],
        &id.to_be_bytes(),
        &[flags],
        &stream.to_be_bytes(),
        &frame.burst,
        &[frame.ber, frame.rssi],
    ])
}

/// `RPTACK` to `RPTL`.
pub(crate) fn salt(path: &Path, salt: [u8; 4]) -> Datagram {
    path.datagram(&[b"RPTACK", &salt])
}

/// `RPTACK` to all that follows.
pub(crate) fn ack(path: &Path, id: u32) -> Datagram {
    path.datagram(&[b"RPTACK", &id.to_be_bytes()])
}

/// `MSTNAK`: no; log in again.
pub(crate) fn nak(path: &Path, id: u32) -> Datagram {
    path.datagram(&[b"MSTNAK", &id.to_be_bytes()])
}

/// `MSTPONG`: heard.
pub(crate) fn pong(path: &Path, id: u32) -> Datagram {
    path.datagram(&[b"MSTPONG", &id.to_be_bytes()])
}

/// `MSTCL`: the master's goodbye.
pub(crate) fn close(path: &Path, id: u32) -> Datagram {
    path.datagram(&[b"MSTCL", &id.to_be_bytes()])
}
