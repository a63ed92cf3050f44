//! The datagrams of a client, taken apart without a copy: what is in them, and those of the binary dialect.

use stack::Slot;

use crate::config::Fields;
use crate::path::Dialect;
use crate::{Dmrd, Error, text};

/// Longest text of an `RPTO`, in bytes.
pub(crate) const MAX_OPTIONS: usize = 300;

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
        digest: [u8; 32],
    },
    /// `RPTC`: what the device is, for [`crate::Config::parse`].
    Config {
        /// The device's ID.
        id: u32,
        /// What it says besides its ID.
        fields: Fields<'a>,
    },
    /// `RPTO`: which talkgroups it wants.
    Options {
        /// The device's ID.
        id: u32,
        /// The text.
        text: &'a [u8],
    },
    /// `RPTPING`: still there. Answered by `MSTPONG`.
    Ping {
        /// The device's ID.
        id: u32,
    },
    /// `MSTPING`, which is how the specification of 2015 spells it: still there. Answered by `RPTPONG`.
    MasterPing {
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
    /// `RPTRSSI`: how strong the device hears a radio. `DMRD` says it burst by burst, so it is of no use here.
    Rssi {
        /// The device's ID.
        id: u32,
    },
    /// `RPTINTR`: the call that it hears is to end.
    Interrupt {
        /// The device's ID.
        id: u32,
        /// The slot on which it hears it.
        slot: Slot,
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
            | Self::MasterPing { id }
            | Self::Close { id }
            | Self::Alias { id }
            | Self::Location { id }
            | Self::Position { id, .. }
            | Self::Rssi { id }
            | Self::Interrupt { id, .. } => id,
            Self::Burst(dmrd) => dmrd.id(),
        }
    }
}

/// Takes a client's datagram apart, and says in which dialect it is; `DMRD` and its like are the same in both.
///
/// # Errors
/// [`Error::Tag`] or [`Error::Length`] where it is no packet of a client.
pub fn parse(bytes: &[u8]) -> Result<(Packet<'_>, Option<Dialect>), Error> {
    if bytes.starts_with(b"DMRD") {
        return Dmrd::new(bytes).map(|dmrd| (Packet::Burst(dmrd), None));
    }
    if let Some(packet) = text::parse(bytes) {
        return Ok((packet, Some(Dialect::Text)));
    }
    let packet = binary(bytes)?;
    let either = matches!(packet, Packet::Alias { .. } | Packet::Location { .. } | Packet::Position { .. });
    Ok((packet, (!either).then_some(Dialect::Binary)))
}

/// A datagram of the binary dialect. Whatever of the text dialect comes here has a wrong length or digits that
/// are none.
fn binary(bytes: &[u8]) -> Result<Packet<'_>, Error> {
    let len = bytes.len();
    let Some((tag, rest)) = bytes.split_first_chunk::<4>() else {
        let mut tag = [0; 4];
        tag[..len].copy_from_slice(bytes);
        return Err(Error::Tag { tag, len });
    };
    let unknown = Error::Tag { tag: *tag, len };
    let wrong = |tag: &'static str, valid: &'static str| Error::Length { tag, len, valid };
    match tag {
        b"RPTP" => {
            let ping = rest.strip_prefix(b"ING").ok_or(unknown)?;
            Ok(Packet::Ping { id: exact(ping).ok_or_else(|| wrong("RPTPING", "11, or 15 as text"))? })
        }
        b"RPTL" => Ok(Packet::Login { id: exact(rest).ok_or_else(|| wrong("RPTL", "8, or 12 as text"))? }),
        b"RPTK" => {
            let wrong = || wrong("RPTK", "40, or 76 as text");
            let (id, digest) = with_id(rest).ok_or_else(wrong)?;
            Ok(Packet::Key { id, digest: digest.try_into().map_err(|_| wrong())? })
        }
        b"RPTC" => {
            if let Some(id) = rest.strip_prefix(b"L").and_then(exact) {
                return Ok(Packet::Close { id });
            }
            let wrong = || wrong("RPTC", "302, or 306 as text; for RPTCL 9, or 13 as text");
            let (id, body) = with_id(rest).ok_or_else(wrong)?;
            let (call, rest) = body.split_first_chunk().ok_or_else(wrong)?;
            let rest = rest.try_into().map_err(|_| wrong())?;
            Ok(Packet::Config { id, fields: Fields { call, rest, slots: true } })
        }
        b"RPTO" => {
            let (id, text) = with_id(rest)
                .filter(|(_, text)| text.len() <= MAX_OPTIONS)
                .ok_or_else(|| wrong("RPTO", "8..=308, or 12..=312 as text"))?;
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
        b"MSTP" if bytes.starts_with(b"MSTPING") => Err(wrong("MSTPING", "15, with an ID as text")),
        b"RPTR" if bytes.starts_with(b"RPTRSSI") => Err(wrong("RPTRSSI", "23: ID, :, slot and dBm as text")),
        b"RPTI" if bytes.starts_with(b"RPTINTR") => Err(wrong("RPTINTR", "17: ID, : and slot as text")),
        _ => Err(unknown),
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
