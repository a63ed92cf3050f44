//! `DMRD`, the datagram of a burst: binary in both dialects.

use dmr::{BURST_LEN, BurstKind, DataType};
use stack::{CallType, Frame, Slot};

use crate::Error;

/// A `DMRD` of legal length.
#[derive(Clone, Copy, Debug)]
pub struct Dmrd<'a> {
    head: &'a [u8; 53],
    ber: u8,
    rssi: u8,
}

impl<'a> Dmrd<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// [`Error::Length`] where it is neither 53 nor 55 bytes long. The tag is not looked at.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
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

/// Bytes of the longest `DMRD`.
pub const MAX_LEN: usize = 55;

/// Writes a `DMRD` of [`MAX_LEN`] bytes; without the last two, BER and RSSI, it is the short form of 53.
#[inline]
pub fn write(out: &mut [u8; MAX_LEN], id: u32, slot: Slot, stream: u32, frame: &Frame) {
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
    out[..4].copy_from_slice(b"DMRD");
    out[4] = frame.sequence;
    out[5..8].copy_from_slice(&frame.source.to_be_bytes()[1..]);
    out[8..11].copy_from_slice(&frame.destination.to_be_bytes()[1..]);
    out[11..15].copy_from_slice(&id.to_be_bytes());
    out[15] = flags;
    out[16..20].copy_from_slice(&stream.to_be_bytes());
    out[20..53].copy_from_slice(&frame.burst);
    out[53..].copy_from_slice(&[frame.ber, frame.rssi]);
}
