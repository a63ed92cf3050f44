//! The bursts of a data call: CSBKs, a data header and blocks (ETSI TS 102 361-1 section 9.2 and 9.3,
//! TS 102 361-4 section 7.2).

use dmr::{BURST_LEN, BurstKind, DataType, SlotType};
use stack::CallType;

use crate::model::{Data, Device, Target};
use crate::voice::sync_of;

/// CSBKO of a preamble.
const PREAMBLE: u8 = 0x3D;
/// CSBKO of a call to one unit, which announces nothing.
const UNIT_CALL: u8 = 0x04;
const LAST_BLOCK: u8 = 0x80;
const CSBK_MASK: u16 = 0xA5A5;
const HEADER_MASK: u16 = 0xCCCC;

/// The bursts of a data transmission, in order.
pub(crate) fn bursts(
    number: u32,
    source: u32,
    target: Target,
    data: Data,
    device: &Device,
) -> Vec<(BurstKind, [u8; BURST_LEN])> {
    let follow = u32::from(data.header) + data.blocks;
    let mut infos = Vec::new();
    for csbk in 0..data.csbks {
        infos.push((DataType::CSBK, csbk_info(source, target, data.header, data.csbks - 1 - csbk + follow)));
    }
    if data.header {
        infos.push((DataType::DATA_HEADER, header_info(source, target, data.blocks)));
    }
    for block in 0..data.blocks {
        let mut info = *b"scenario\0\0\0\0";
        info[8..].copy_from_slice(&(number << 8 | block).to_be_bytes());
        infos.push((DataType::RATE_1_2, info));
    }
    infos
        .into_iter()
        .map(|(data_type, info)| (BurstKind::Data(data_type), burst(data_type, &info, device)))
        .collect()
}

fn burst(data_type: DataType, info: &[u8; 12], device: &Device) -> [u8; BURST_LEN] {
    let mut burst = [0; BURST_LEN];
    dmr::bptc::write(&mut burst, info);
    SlotType { colour_code: device.colour_code, data_type }.write(&mut burst);
    sync_of(device).data().write(&mut burst);
    burst
}

/// A preamble for so many bursts that follow, or a call to one unit.
fn csbk_info(source: u32, target: Target, is_preamble: bool, follow: u32) -> [u8; 12] {
    let mut info = [0; 12];
    let group = if target.call == CallType::Group { 0x40 } else { 0 };
    info[0] = LAST_BLOCK | if is_preamble { PREAMBLE } else { UNIT_CALL };
    if is_preamble {
        // Data follows, and so many bursts of it.
        (info[2], info[3]) = (0x80 | group, follow.min(255) as u8);
    }
    [_, info[4], info[5], info[6]] = target.id.to_be_bytes();
    [_, info[7], info[8], info[9]] = source.to_be_bytes();
    with_crc(info, CSBK_MASK)
}

/// The header of unconfirmed data.
fn header_info(source: u32, target: Target, blocks: u32) -> [u8; 12] {
    let mut info = [0; 12];
    info[0] = if target.call == CallType::Group { 0x80 } else { 0 } | 0x02;
    // Short data, as radios send text messages.
    info[1] = 0xA0;
    [_, info[2], info[3], info[4]] = target.id.to_be_bytes();
    [_, info[5], info[6], info[7]] = source.to_be_bytes();
    info[8] = 0x80 | (blocks & 0x7F) as u8;
    with_crc(info, HEADER_MASK)
}

/// Puts the CRC of the first ten bytes behind them (ETSI TS 102 361-1 section B.3.8).
fn with_crc(mut info: [u8; 12], mask: u16) -> [u8; 12] {
    [info[10], info[11]] = (!crc(&info[..10]) ^ mask).to_be_bytes();
    info
}

/// CRC-CCITT without its inversion.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let crc = crc ^ u16::from(*byte) << 8;
        (0..8).fold(crc, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_ccitts() {
        assert_eq!(crc(b"123456789"), 0x31C3);
        let info = csbk_info(0x2F_9BE5, Target { call: CallType::Private, id: 0x0C30 }, true, 10);
        assert_eq!(info[..10], [0xBD, 0, 0x80, 10, 0, 0x0C, 0x30, 0x2F, 0x9B, 0xE5]);
        assert_eq!(u16::from_be_bytes([info[10], info[11]]), !crc(&info[..10]) ^ 0xA5A5);
    }

    #[test]
    fn preambles_count_down() {
        let device = Device {
            name: "A".into(),
            id: 1,
            worker: 0,
            slots: stack::Slots::Both,
            colour_code: 1,
            statics: [vec![], vec![]],
            blocked: vec![],
            single: false,
        };
        let data = Data { csbks: 2, header: true, blocks: 3, streams: false };
        let all = bursts(1, 7, Target { call: CallType::Group, id: 5 }, data, &device);
        let infos: Vec<_> = all.iter().map(|(_, burst)| dmr::bptc::read(burst).unwrap()).collect();
        assert_eq!((infos.len(), infos[0][3], infos[1][3]), (6, 5, 4));
        assert_eq!((infos[2][0], infos[2][8]), (0x82, 0x83));
    }
}
