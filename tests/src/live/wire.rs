//! `DMRD`, as a client writes and reads it.

use dmr::{BURST_LEN, BurstKind, DataType};
use stack::{CallType, Frame, Slot};

const TS2: u8 = 0x80;
const PRIVATE: u8 = 0x40;
const DATA: u8 = 0x20;
const SYNC: u8 = 0x10;

/// The datagram of a device's burst.
pub(super) fn write(device: u32, slot: Slot, stream: u32, frame: &Frame) -> Vec<u8> {
    let mut flags = match frame.kind {
        BurstKind::Voice(0) => SYNC,
        BurstKind::Voice(place) => place,
        BurstKind::Data(data_type) => DATA | data_type.bits(),
    };
    if slot == Slot::Two {
        flags |= TS2;
    }
    if frame.call == CallType::Private {
        flags |= PRIVATE;
    }
    [
        b"DMRD",
        &[frame.sequence][..],
        &frame.source.to_be_bytes()[1..],
        &frame.destination.to_be_bytes()[1..],
        &device.to_be_bytes(),
        &[flags],
        &stream.to_be_bytes(),
        &frame.burst,
        &[frame.ber, frame.rssi],
    ]
    .concat()
}

/// Slot, stream ID and burst of a datagram; `None` for what is none.
pub(super) fn read(bytes: &[u8]) -> Option<(Slot, u32, Frame)> {
    let bytes: &[u8; 55] = bytes.try_into().ok()?;
    let flags = bytes[15];
    let kind = match flags & 0x3F {
        SYNC => BurstKind::Voice(0),
        place @ 1..=5 => BurstKind::Voice(place),
        data @ DATA..=0x2F => BurstKind::Data(DataType::from_bits(data)),
        _ => return None,
    };
    let id = |at: usize| u32::from_be_bytes([0, bytes[at], bytes[at + 1], bytes[at + 2]]);
    let frame = Frame {
        source: id(5),
        destination: id(8),
        call: if flags & PRIVATE == 0 { CallType::Group } else { CallType::Private },
        kind,
        sequence: bytes[4],
        ber: bytes[53],
        rssi: bytes[54],
        burst: *bytes[20..].first_chunk::<BURST_LEN>()?,
    };
    let stream = u32::from_be_bytes(*bytes[16..].first_chunk()?);
    Some((if flags & TS2 == 0 { Slot::One } else { Slot::Two }, stream, frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_written() {
        for (kind, call, slot) in [
            (BurstKind::Voice(0), CallType::Group, Slot::One),
            (BurstKind::Voice(5), CallType::Private, Slot::Two),
            (BurstKind::Data(DataType::TERMINATOR), CallType::Private, Slot::One),
        ] {
            let burst = [0x5A; BURST_LEN];
            let frame = Frame { source: 7, destination: 91, call, kind, sequence: 9, ber: 1, rssi: 2, burst };
            assert_eq!(read(&write(250_001, slot, 0xAABB_CCDD, &frame)), Some((slot, 0xAABB_CCDD, frame)));
        }
        assert_eq!(read(b"DMRD"), None);
    }
}
