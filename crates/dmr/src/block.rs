//! What control blocks and headers have in common: ten bytes and their CRC-CCITT under the mask of their kind, in
//! BPTC(196,96) (ETSI TS 102 361-1 table B.1), and the burst around them.

use crate::{BURST_LEN, DataType, SlotType, Sync, bptc, crc};

/// Reads the ten bytes; `None` if too many bits are wrong, or if they have another mask.
pub(crate) fn read(burst: &[u8; BURST_LEN], mask: u16) -> Option<[u8; 10]> {
    let [data @ .., high, low] = bptc::read(burst)?;
    (crc::ccitt(&data) ^ mask == u16::from_be_bytes([high, low])).then_some(data)
}

/// Puts the ten bytes and their CRC into `burst`; slot type and sync stay.
pub(crate) fn write(burst: &mut [u8; BURST_LEN], data: &[u8; 10], mask: u16) {
    let mut info = [0; 12];
    info[..10].copy_from_slice(data);
    info[10..].copy_from_slice(&(crc::ccitt(data) ^ mask).to_be_bytes());
    bptc::write(burst, &info);
}

/// A data burst of `sync`'s sender, with the information that `fill` puts in.
pub(crate) fn burst(
    data_type: DataType,
    colour_code: u8,
    sync: Sync,
    fill: impl FnOnce(&mut [u8; BURST_LEN]),
) -> [u8; BURST_LEN] {
    let mut burst = [0; BURST_LEN];
    fill(&mut burst);
    SlotType { colour_code, data_type }.write(&mut burst);
    sync.data().write(&mut burst);
    burst
}

/// The ID in three bytes.
pub(crate) const fn id(bytes: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}

/// The low 24 bits of an ID.
pub(crate) const fn id_bytes(id: u32) -> [u8; 3] {
    let [_, high, middle, low] = id.to_be_bytes();
    [high, middle, low]
}
