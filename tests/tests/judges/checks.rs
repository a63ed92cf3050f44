//! The checks that find errors but correct none.

use dmr::crc::{self, MessageCrc};
use serde_json::json;

use crate::Judge::{OkDmrlib, Utils3};
use crate::{CASES, Random, hex};

#[test]
fn crcs_with_their_masks() {
    let mut random = Random::new(10);
    let mut cases = Vec::new();
    let masks = [
        crc::PI_MASK,
        crc::CSBK_MASK,
        crc::MBC_HEADER_MASK,
        crc::DATA_HEADER_MASK,
        crc::UNIFIED_SINGLE_BLOCK_MASK,
    ];
    for _ in 0..CASES {
        let (data, mask): ([u8; 10], _) = (random.bytes(), random.of(&masks));
        cases.push((json!(["ccitt", hex(&data), mask]), json!(crc::ccitt(&data) ^ mask)));
        let rates = [(crc::RATE_1_2_MASK, 10), (crc::RATE_3_4_MASK, 16), (crc::RATE_1_MASK, 22)];
        let (mask, length) = random.of(&rates);
        let (data, serial) = (&random.bytes::<22>()[..length], random.small(7));
        cases.push((json!(["crc9", hex(data), serial, mask]), json!(crc::crc9(data, serial) ^ mask)));
        let short = random.bits(28);
        cases.push((json!(["crc8", short]), json!(crc::crc8(short))));
    }
    OkDmrlib.agrees(cases);
}

/// Messages of up to 60 blocks of all rates, taken in block by block.
#[test]
fn messages() {
    let mut random = Random::new(11);
    let mut cases = Vec::new();
    for n in 0..CASES {
        let mut crc = MessageCrc::new();
        let mut message = Vec::new();
        for _ in 0..n % 60 {
            let (block, length): ([u8; 24], _) = (random.bytes(), random.of(&[10, 12, 16, 18, 22, 24]));
            crc.push(&block[..length]);
            message.extend_from_slice(&block[..length]);
        }
        cases.push((json!(["crc32", hex(&message)]), json!(u32::from_le_bytes(crc.bytes()))));
    }
    OkDmrlib.agrees(cases);
}

#[test]
fn five_bit_checksum() {
    let mut random = Random::new(12);
    let case = |lc: [u8; 9]| (json!(["checksum5", hex(&lc)]), json!(crc::checksum5(&lc)));
    let cases: Vec<_> = (0..CASES).map(|_| case(random.bytes())).collect();
    OkDmrlib.agrees(cases.clone());
    Utils3.agrees(cases);
}
