//! The bits of data headers (ETSI TS 102 361-1 section 8.2.1). What they say is in `data_packet`.

use crate::block::{id, id_bytes};
use crate::{BURST_LEN, DataAddress, DataPacket, DataType, Sync, block, crc};

/// The 80 bits of a data header without its CRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataHeader(pub [u8; 10]);

impl DataHeader {
    /// Data packet format, 0..=15 (section 9.3.17).
    #[must_use]
    pub const fn format(&self) -> u8 {
        self.0[0] & 0xF
    }

    /// What it says. Reserved bits are passed over.
    #[must_use]
    pub const fn packet(&self) -> DataPacket {
        let [first, second, a, b, c, d, e, f, eighth, ninth] = self.0;
        let address = DataAddress {
            group: first & 0x80 != 0,
            response_requested: first & 0x40 != 0,
            sap: second >> 4,
            target: id([a, b, c]),
            source: id([d, e, f]),
        };
        let (full, blocks) = (eighth & 0x80 != 0, eighth & 0x7F);
        let pad_octets = first & 0x10 | second & 0xF;
        let appended_blocks = first & 0x30 | second & 0xF;
        match self.format() {
            0 => DataPacket::Udt {
                address,
                emergency: first & 0x20 != 0,
                option: first & 0x10 != 0,
                format: second & 0xF,
                pad_nibbles: eighth >> 3,
                appended_blocks: eighth & 3,
                supplementary: ninth & 0x80 != 0,
                protected: ninth & 0x40 != 0,
                opcode: ninth & 0x3F,
            },
            1 => DataPacket::Response {
                address,
                full,
                blocks,
                class: ninth >> 6,
                kind: ninth >> 3 & 7,
                status: ninth & 7,
            },
            2 => DataPacket::Unconfirmed { address, pad_octets, full, blocks, fragment: ninth & 0xF },
            3 => DataPacket::Confirmed {
                address,
                pad_octets,
                full,
                blocks,
                resynchronise: ninth & 0x80 != 0,
                send_sequence: ninth >> 4 & 7,
                fragment: ninth & 0xF,
            },
            13 => DataPacket::ShortDefined {
                address,
                appended_blocks,
                format: eighth >> 2,
                selective_repeat: eighth & 2 != 0,
                full: eighth & 1 != 0,
                pad_bits: ninth,
            },
            14 if appended_blocks == 0 => DataPacket::ShortStatus {
                address,
                source_port: eighth >> 5,
                destination_port: eighth >> 2 & 7,
                status: u16::from_be_bytes([eighth & 3, ninth]),
            },
            14 => DataPacket::ShortRaw {
                address,
                appended_blocks,
                source_port: eighth >> 5,
                destination_port: eighth >> 2 & 7,
                selective_repeat: eighth & 2 != 0,
                full: eighth & 1 != 0,
                pad_bits: ninth,
            },
            15 => DataPacket::Proprietary {
                sap: first >> 4,
                fid: second,
                content: [a, b, c, d, e, f, eighth, ninth],
            },
            format => DataPacket::Reserved { format },
        }
    }

    /// Reads it from a burst of data type [`DataType::DATA_HEADER`]; `None` if too many bits are wrong.
    #[must_use]
    pub fn from_burst(burst: &[u8; BURST_LEN]) -> Option<Self> {
        block::read(burst, crc::DATA_HEADER_MASK).map(Self)
    }

    /// Puts it into `burst` with its CRC in place of what is there; slot type and sync stay.
    pub fn write(&self, burst: &mut [u8; BURST_LEN]) {
        block::write(burst, &self.0, crc::DATA_HEADER_MASK);
    }

    /// A burst of it, with the data sync of `sync`'s sender.
    #[must_use]
    pub fn to_burst(&self, colour_code: u8, sync: Sync) -> [u8; BURST_LEN] {
        block::burst(DataType::DATA_HEADER, colour_code, sync, |burst| self.write(burst))
    }
}

/// The header that says it, with zeros where the standard reserves bits.
impl From<DataPacket> for DataHeader {
    fn from(packet: DataPacket) -> Self {
        let flag = |flag: bool, bit: u8| u8::from(flag) << bit;
        // The format with the high nibble of the first byte, the low nibble of the second, and the last two.
        let (first, second, eighth, ninth) = match packet {
            DataPacket::Udt {
                emergency,
                option,
                format,
                pad_nibbles,
                appended_blocks,
                supplementary,
                protected,
                opcode,
                ..
            } => (
                flag(emergency, 5) | flag(option, 4),
                format,
                pad_nibbles << 3 | appended_blocks & 3,
                flag(supplementary, 7) | flag(protected, 6) | opcode & 0x3F,
            ),
            DataPacket::Response { full, blocks, class, kind, status, .. } => {
                (1, 0, flag(full, 7) | blocks & 0x7F, class << 6 | (kind & 7) << 3 | status & 7)
            }
            DataPacket::Unconfirmed { pad_octets, full, blocks, fragment, .. } => {
                (2 | pad_octets & 0x10, pad_octets, flag(full, 7) | blocks & 0x7F, fragment & 0xF)
            }
            DataPacket::Confirmed {
                pad_octets,
                full,
                blocks,
                resynchronise,
                send_sequence,
                fragment,
                ..
            } => (
                3 | pad_octets & 0x10,
                pad_octets,
                flag(full, 7) | blocks & 0x7F,
                flag(resynchronise, 7) | (send_sequence & 7) << 4 | fragment & 0xF,
            ),
            DataPacket::ShortDefined {
                appended_blocks, format, selective_repeat, full, pad_bits, ..
            } => (
                13 | appended_blocks & 0x30,
                appended_blocks,
                format << 2 | flag(selective_repeat, 1) | flag(full, 0),
                pad_bits,
            ),
            DataPacket::ShortRaw {
                appended_blocks,
                source_port,
                destination_port,
                selective_repeat,
                full,
                pad_bits,
                ..
            } => (
                14 | appended_blocks & 0x30,
                appended_blocks,
                source_port << 5 | (destination_port & 7) << 2 | flag(selective_repeat, 1) | flag(full, 0),
                pad_bits,
            ),
            DataPacket::ShortStatus { source_port, destination_port, status, .. } => {
                let [high, low] = status.to_be_bytes();
                (14, 0, source_port << 5 | (destination_port & 7) << 2 | high & 3, low)
            }
            DataPacket::Proprietary { sap, fid, content: [a, b, c, d, e, f, g, h] } => {
                return Self([sap << 4 | 15, fid, a, b, c, d, e, f, g, h]);
            }
            DataPacket::Reserved { format } => (format & 0xF, 0, 0, 0),
        };
        let Some(address) = packet.address() else { return Self([first, 0, 0, 0, 0, 0, 0, 0, 0, 0]) };
        let first = first | flag(address.group, 7) | flag(address.response_requested, 6);
        let ([a, b, c], [d, e, f]) = (id_bytes(address.target), id_bytes(address.source));
        Self([first, address.sap << 4 | second & 0xF, a, b, c, d, e, f, eighth, ninth])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SlotType;
    use proptest::prelude::*;

    /// Headers that radios have sent.
    #[test]
    fn fields_are_where_the_standard_has_them() {
        let header = |hex: u128| {
            let bytes = hex.to_be_bytes();
            DataHeader(std::array::from_fn(|n| bytes[n + 6])).packet()
        };
        let address = |sap, target, source| DataAddress {
            group: false,
            response_requested: false,
            sap,
            target,
            source,
        };
        let unconfirmed = header(0x023A_2337_FC23_37FE_8200);
        assert_eq!(
            unconfirmed,
            DataPacket::Unconfirmed {
                address: address(3, 2_308_092, 2_308_094),
                pad_octets: 10,
                full: true,
                blocks: 2,
                fragment: 0
            }
        );
        assert_eq!(unconfirmed.blocks_to_follow(), Some(2));
        let response = header(0x0140_2337_FC23_37FE_000F);
        let to = address(4, 2_308_092, 2_308_094);
        assert_eq!(
            response,
            DataPacket::Response { address: to, full: false, blocks: 0, class: 0, kind: 1, status: 7 }
        );
        let to = DataAddress { response_requested: true, ..address(4, 2_308_094, 2_308_092) };
        assert_eq!(
            header(0x434E_2337_FE23_37FC_8478),
            DataPacket::Confirmed {
                address: to,
                pad_octets: 14,
                full: true,
                blocks: 4,
                resynchronise: false,
                send_sequence: 7,
                fragment: 8
            }
        );
        let to = DataAddress { response_requested: true, ..address(10, 1_189_987, 2_308_155) };
        assert_eq!(
            header(0x4DA1_1228_6323_383B_0500),
            DataPacket::ShortDefined {
                address: to,
                appended_blocks: 1,
                format: 1,
                selective_repeat: false,
                full: true,
                pad_bits: 0
            }
        );
        let to = DataAddress { group: true, ..address(0, 1, 403_452) };
        assert_eq!(
            header(0x8005_0000_0106_27FC_001B),
            DataPacket::Udt {
                address: to,
                emergency: false,
                option: false,
                format: 5,
                pad_nibbles: 0,
                appended_blocks: 0,
                supplementary: false,
                protected: false,
                opcode: 0x1B
            }
        );
    }

    /// The bits that a format reserves.
    fn reserved(first: u8) -> (u8, u8, u8, u8) {
        match first & 0xF {
            0 => (0, 0, 0x04, 0),
            1 => (0x30, 0x0F, 0, 0),
            2 => (0x20, 0, 0, 0xF0),
            3 => (0x20, 0, 0, 0),
            13..=15 => (0, 0, 0, 0),
            _ => (0xF0, 0xFF, 0xFF, 0xFF),
        }
    }

    proptest! {
        #[test]
        fn any_header_round_trips_but_for_reserved_bits(bytes: [u8; 10], colour_code in 0..16_u8) {
            let header = DataHeader(bytes);
            let burst = header.to_burst(colour_code, Sync::BsVoice);
            let slot_type = SlotType { colour_code, data_type: DataType::DATA_HEADER };
            prop_assert_eq!(SlotType::read(&burst), Some(slot_type));
            prop_assert_eq!(DataHeader::from_burst(&burst), Some(header));
            let mut expected = bytes;
            let (first, second, eighth, ninth) = reserved(bytes[0]);
            expected[0] &= !first;
            expected[1] &= !second;
            expected[8] &= !eighth;
            expected[9] &= !ninth;
            if matches!(bytes[0] & 0xF, 4..=12) {
                expected[2..8].fill(0);
            }
            prop_assert_eq!(DataHeader::from(header.packet()).0, expected);
        }
    }
}
