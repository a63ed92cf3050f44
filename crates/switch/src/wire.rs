//! A burst on its way to sibling workers, of a session of this host or of another one: 56 bytes, so that it fits one cache line of the ring with its
//! sequence word. The layout belongs to the fabric's version: change both together.

use dmr::{BURST_LEN, BurstKind, DataType};
use stack::{CallType, Frame, Slot};

use crate::SessionId;

/// Bytes of an encoded [`Forward`].
pub const FORWARD_LEN: usize = 56;

/// Payload kinds: a burst of a session that began at this host, and one of a far session.
const KIND_BURST: u8 = 1;
const KIND_FAR: u8 = 2;
const FLAG_PRIVATE: u8 = 0x40;
const FLAG_DATA: u8 = 0x20;
const FLAG_SLOT: u8 = 0x80;

/// A burst of a session that comes in at this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The session, without the node where it began: in the ring that is a number which the workers of a host share.
    pub key: u64,
    /// The session's number at its worker, for a look-up without hashing.
    pub index: u16,
    /// The slot on which it came in.
    pub slot: Slot,
    /// Service options of its LC.
    pub options: u8,
    /// The burst.
    pub frame: Frame,
}

impl Forward {
    /// The session, with the node where it began.
    #[must_use]
    pub fn session(&self, node: u32) -> SessionId {
        SessionId { node, key: self.key }
    }

    /// As it lies in the ring; `origin` is the number of the node where the session began.
    #[must_use]
    #[inline]
    pub fn encode(&self, origin: u8) -> [u8; FORWARD_LEN] {
        self.encode_as(KIND_BURST, self.key, self.frame.sequence, origin)
    }

    #[inline]
    fn encode_as(&self, payload: u8, head: u64, sequence: u8, origin: u8) -> [u8; FORWARD_LEN] {
        let frame = &self.frame;
        let mut flags = match frame.kind {
            BurstKind::Voice(index) => index & 7,
            BurstKind::Data(data_type) => FLAG_DATA | data_type.bits(),
        };
        if frame.call == CallType::Private {
            flags |= FLAG_PRIVATE;
        }
        if self.slot == Slot::Two {
            flags |= FLAG_SLOT;
        }
        let mut out = [0; FORWARD_LEN];
        out[0..8].copy_from_slice(&head.to_le_bytes());
        out[8..10].copy_from_slice(&self.index.to_le_bytes());
        out[10..13].copy_from_slice(&frame.source.to_le_bytes()[..3]);
        out[13..16].copy_from_slice(&frame.destination.to_le_bytes()[..3]);
        out[16..21].copy_from_slice(&[payload, flags, sequence, frame.ber, frame.rssi]);
        out[21..21 + BURST_LEN].copy_from_slice(&frame.burst);
        out[54..].copy_from_slice(&[self.options, origin]);
        out
    }
}

/// A burst of a far session: one that began at another host. On its way from there bursts may get lost, or overtake each
/// other, so it carries what puts them in order again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FarBurst {
    /// The clock of the host where it came in, in ms, which wraps.
    pub sent_ms: u16,
    /// Counts the session's bursts where it came in, and wraps.
    pub sequence: u16,
    /// The burst, with the low byte of `sequence` in its frame. In the ring its `index` is the session's place in the
    /// table of who wrote it, and of `key` there are the low 32 bits alone: [`Self::whole`] has the rest.
    pub forward: Forward,
}

impl FarBurst {
    /// As it lies in the ring.
    #[must_use]
    pub fn encode(&self) -> [u8; FORWARD_LEN] {
        let head = self.forward.key & 0xFFFF_FFFF;
        let head = head | u64::from(self.sent_ms) << 32 | u64::from(self.sequence) << 48;
        self.forward.encode_as(KIND_FAR, head, self.sequence.to_le_bytes()[0], 0)
    }

    /// With the whole key that stands at its place in the table; `None` where another session has that place by now.
    #[must_use]
    pub fn whole(self, key: u64) -> Option<Self> {
        let is_its = (key ^ self.forward.key) & 0xFFFF_FFFF == 0;
        is_its.then_some(Self { forward: Forward { key, ..self.forward }, ..self })
    }
}

/// What lies in a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// A burst of a session that began at this host, and the number of the node where it did.
    Near(Forward, u8),
    /// A burst of a far session.
    Far(FarBurst),
}

impl Published {
    /// What a frame of a ring is; `None` for what has another layout.
    #[must_use]
    #[inline]
    pub fn decode(bytes: &[u8; FORWARD_LEN]) -> Option<Self> {
        let [k0, k1, k2, k3, k4, k5, k6, k7, i0, i1, s0, s1, s2, d0, d1, d2, kind, flags, rest @ ..] = *bytes;
        let [sequence, ber, rssi, payload @ ..] = rest;
        let burst = *payload.first_chunk::<BURST_LEN>()?;
        let options = payload[BURST_LEN];
        let burst_kind = match flags & FLAG_DATA {
            0 if flags & 7 > 5 => return None,
            0 => BurstKind::Voice(flags & 7),
            _ => BurstKind::Data(DataType::from_bits(flags)),
        };
        let (key, sequence) = match kind {
            KIND_BURST => (u64::from_le_bytes([k0, k1, k2, k3, k4, k5, k6, k7]), sequence),
            KIND_FAR => (u32::from_le_bytes([k0, k1, k2, k3]).into(), k6),
            _ => return None,
        };
        let forward = Forward {
            key,
            index: u16::from_le_bytes([i0, i1]),
            options,
            slot: if flags & FLAG_SLOT == 0 { Slot::One } else { Slot::Two },
            frame: Frame {
                source: u32::from_le_bytes([s0, s1, s2, 0]),
                destination: u32::from_le_bytes([d0, d1, d2, 0]),
                call: if flags & FLAG_PRIVATE == 0 { CallType::Group } else { CallType::Private },
                kind: burst_kind,
                sequence,
                ber,
                rssi,
                burst,
            },
        };
        Some(match kind {
            KIND_BURST => Self::Near(forward, payload[BURST_LEN + 1]),
            _ => Self::Far(FarBurst {
                sent_ms: u16::from_le_bytes([k4, k5]),
                sequence: u16::from_le_bytes([k6, k7]),
                forward,
            }),
        })
    }
}

/// Bytes of a burst on its way to a worker of another build.
pub const RELAYED_LEN: usize = 66;
/// Bytes of a far one.
pub const FAR_RELAYED_LEN: usize = RELAYED_LEN + 4;
/// "bmR", and the version of this form.
const RELAYED: [u8; 4] = *b"bmR\x01";

impl Forward {
    /// As a datagram for a worker of another build, with whom nothing but this form is shared; `node` is where the session
    /// began. Little-endian: header (4 bytes), key (8), node (4), number (2), slot (1), service options (1), source (4),
    /// destination (4), 1 for a private call (1), 0x20 and data type or number of the voice burst (1), sequence (1), BER (1),
    /// RSSI (1), burst (33).
    #[must_use]
    pub fn to_relayed(&self, node: u32) -> [u8; RELAYED_LEN] {
        let frame = &self.frame;
        let kind = match frame.kind {
            BurstKind::Voice(index) => index & 7,
            BurstKind::Data(data_type) => FLAG_DATA | data_type.bits(),
        };
        let is_private = u8::from(frame.call == CallType::Private);
        let mut out = [0; RELAYED_LEN];
        out[..4].copy_from_slice(&RELAYED);
        out[4..12].copy_from_slice(&self.key.to_le_bytes());
        out[12..16].copy_from_slice(&node.to_le_bytes());
        out[16..18].copy_from_slice(&self.index.to_le_bytes());
        out[18..20].copy_from_slice(&[self.slot.number(), self.options]);
        out[20..24].copy_from_slice(&frame.source.to_le_bytes());
        out[24..28].copy_from_slice(&frame.destination.to_le_bytes());
        out[28..33].copy_from_slice(&[is_private, kind, frame.sequence, frame.ber, frame.rssi]);
        out[33..].copy_from_slice(&frame.burst);
        out
    }

    /// The burst and the node where its session began; `None` for what is of another form.
    #[must_use]
    pub fn from_relayed(bytes: &[u8]) -> Option<(Self, u32)> {
        let bytes: &[u8; RELAYED_LEN] = bytes.try_into().ok()?;
        let (header, rest) = bytes.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_first_chunk::<8>()?;
        let (node, rest) = rest.split_first_chunk::<4>()?;
        let (&[i0, i1, slot, options], rest) = rest.split_first_chunk::<4>()?;
        let (source, rest) = rest.split_first_chunk::<4>()?;
        let (destination, rest) = rest.split_first_chunk::<4>()?;
        let (&[private, kind, sequence, ber, rssi], rest) = rest.split_first_chunk::<5>()?;
        let burst = *rest.first_chunk::<BURST_LEN>()?;
        let kind = match kind & FLAG_DATA {
            0 if kind > 5 => return None,
            0 => BurstKind::Voice(kind),
            _ => BurstKind::Data(DataType::from_bits(kind)),
        };
        let call = if private == 0 { CallType::Group } else { CallType::Private };
        let [source, destination] = [source, destination].map(|id| u32::from_le_bytes(*id) & 0xFF_FFFF);
        let frame = Frame { source, destination, call, kind, sequence, ber, rssi, burst };
        let slot = if slot == 1 { Slot::One } else { Slot::Two };
        let (key, index) = (u64::from_le_bytes(*key), u16::from_le_bytes([i0, i1]));
        let forward = Self { key, index, slot, options, frame };
        (*header == RELAYED).then_some((forward, u32::from_le_bytes(*node)))
    }
}

impl FarBurst {
    /// As a datagram for a worker of another build: as a near one, then sequence (2) and time of sending (2).
    #[must_use]
    pub fn to_relayed(&self, node: u32) -> [u8; FAR_RELAYED_LEN] {
        let mut out = [0; FAR_RELAYED_LEN];
        out[..RELAYED_LEN].copy_from_slice(&self.forward.to_relayed(node));
        out[RELAYED_LEN..RELAYED_LEN + 2].copy_from_slice(&self.sequence.to_le_bytes());
        out[RELAYED_LEN + 2..].copy_from_slice(&self.sent_ms.to_le_bytes());
        out
    }

    /// The burst and the node where its session began; `None` for what is of another form.
    #[must_use]
    pub fn from_relayed(bytes: &[u8]) -> Option<(Self, u32)> {
        let (near, rest) = bytes.split_first_chunk::<RELAYED_LEN>()?;
        let &[q0, q1, t0, t1] = rest else { return None };
        let (forward, node) = Forward::from_relayed(near)?;
        let (sequence, sent_ms) = (u16::from_le_bytes([q0, q1]), u16::from_le_bytes([t0, t1]));
        Some((Self { sent_ms, sequence, forward }, node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn survives_the_ring(
            (key, index, source, destination) in (any::<u64>(), any::<u16>(), 0..1_u32 << 24, 0..1_u32 << 24),
            (voice, kind, private, two) in (any::<bool>(), 0..16_u8, any::<bool>(), any::<bool>()),
            (sequence, ber, rssi, fill) in any::<(u8, u8, u8, u8)>(),
        ) {
            let kind = if voice { BurstKind::Voice(kind % 6) } else { BurstKind::Data(DataType::from_bits(kind)) };
            let call = if private { CallType::Private } else { CallType::Group };
            let slot = if two { Slot::Two } else { Slot::One };
            let burst = [fill; BURST_LEN];
            let frame = Frame { source, destination, call, kind, sequence, ber, rssi, burst };
            let forward = Forward { key, index, slot, options: fill, frame };
            prop_assert_eq!(Published::decode(&forward.encode(fill)), Some(Published::Near(forward, fill)));
            prop_assert_eq!(Forward::from_relayed(&forward.to_relayed(25_011)), Some((forward, 25_011)));
        }

        #[test]
        fn a_far_burst_survives_the_ring_but_for_half_of_its_key(
            (key, index, sent_ms, sequence) in any::<(u64, u16, u16, u16)>(), other in any::<u32>(), slot in 0..2_usize,
        ) {
            let (call, kind, burst) = (CallType::Group, BurstKind::Voice(5), [7; BURST_LEN]);
            let low = sequence.to_le_bytes()[0];
            let frame = Frame { source: 1, destination: 91, call, kind, sequence: low, ber: 3, rssi: 4, burst };
            let forward = Forward { key, index, slot: Slot::ALL[slot], options: 5, frame };
            let far = FarBurst { sent_ms, sequence, forward };
            let Some(Published::Far(read)) = Published::decode(&far.encode()) else { panic!("{far:?}") };
            prop_assert_eq!(read.whole(key), Some(far));
            prop_assert_eq!(read.whole(key ^ u64::from(other)).is_some(), other == 0);
            prop_assert_eq!(FarBurst::from_relayed(&far.to_relayed(other)), Some((far, other)));
            prop_assert_eq!(Forward::from_relayed(&far.to_relayed(other)), None);
            prop_assert_eq!(FarBurst::from_relayed(&forward.to_relayed(other)), None);
        }

        #[test]
        fn anything_decodes_or_is_refused(bytes in any::<[u8; 32]>(), more in any::<[u8; 24]>()) {
            let mut whole = [0; FORWARD_LEN];
            whole[..32].copy_from_slice(&bytes);
            whole[32..].copy_from_slice(&more);
            let _ = Published::decode(&whole);
            // Of each kind.
            for kind in [KIND_BURST, KIND_FAR] {
                whole[16] = kind;
                let is_far = Published::decode(&whole).map(|published| matches!(published, Published::Far(_)));
                prop_assert!(is_far.is_none_or(|is_far| is_far == (kind == KIND_FAR)));
            }
            let _ = Forward::from_relayed(&[RELAYED.as_slice(), &whole, &bytes[..6]].concat());
            let _ = FarBurst::from_relayed(&[RELAYED.as_slice(), &whole, &bytes[..10]].concat());
        }
    }
}
