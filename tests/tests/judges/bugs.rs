//! Where the judges are wrong. Each is the smallest case, asked of the judge as it is: when it is mended, the test
//! fails and the judge can be asked more.

use dmr::{AliasFormat, DataBlock, DataRate, FullLc, Sync, TalkerAlias, crc, golay, qr};
use serde_json::json;

use crate::Judge::{OkDmrlib, Utils3};
use crate::{hex, unhex};

/// ok-dmrlib puts the five bits of the checksum into an embedded LC lowest first, but reads them highest first: it
/// does not understand itself. dmr_utils3, as other programs, has them highest first both times.
#[test]
fn ok_dmrlib_encodes_the_checksum_of_an_embedded_lc_backwards() {
    let lc = [0, 0, 0, 0, 0, 0, 0, 0, 1];
    let encoded = OkDmrlib.ask(&[json!(["embedded_encode", hex(&lc)])]).remove(0);
    let read = json!([hex(&lc), 0b10000]);
    OkDmrlib.agrees(vec![(json!(["embedded_decode", encoded]), read)]);
    assert_eq!(crc::checksum5(&lc), 0b00001);
    let ours: Vec<_> = FullLc(lc).to_embedded().iter().flat_map(|fragment| fragment.to_be_bytes()).collect();
    assert_ne!(unhex(&encoded), ours);
    Utils3.agrees(vec![(json!(["embedded_encode", hex(&lc)]), json!(hex(&ours)))]);
}

/// dmr_utils3 sends bit 24 of its matrix twice and bit 25 never: in burst D the second row of the tenth column is that
/// of the ninth.
#[test]
fn dmr_utils3_spoils_one_bit_of_an_embedded_lc() {
    // Row 2 of the matrix has bits 11 to 21 of the LC: bit 20 is set, bit 19 is not.
    let lc = [0, 0, 0b0000_1000, 0, 0, 0, 0, 0, 0];
    let encoded = unhex(&Utils3.ask(&[json!(["embedded_encode", hex(&lc)])]).remove(0));
    let ours =
        FullLc(lc).to_embedded().iter().flat_map(|fragment| fragment.to_be_bytes()).collect::<Vec<_>>();
    let wrong: Vec<_> = encoded.iter().zip(&ours).map(|(theirs, ours)| theirs ^ ours).collect();
    assert_eq!(hex(&wrong), "00000000000000000040000000000000");
}

/// dmr_utils3 takes the 20 bits of a slot type for the 19 of the code without parity: with bit 19 set it goes on for
/// ever, and of three wrong bits it corrects some to another word.
#[test]
fn dmr_utils3_decodes_not_all_slot_types() {
    Utils3.agrees(vec![
        (json!(["golay_decode", golay::encode(0x7F)]), json!(0x7F)),
        (json!(["golay_decode", golay::encode(0x80)]), json!({"raised": "TimeoutError"})),
        (json!(["golay_decode", golay::encode(1) ^ 0b1110]), json!(37)),
    ]);
}

/// dmr_utils3 divides to a fraction where it corrects an EMB, and fails with any word but those of few data.
#[test]
fn dmr_utils3_cannot_decode_an_emb() {
    Utils3.agrees(vec![
        (json!(["qr_decode", qr::encode(0)]), json!(0)),
        (json!(["qr_decode", qr::encode(0x11)]), json!({"raised": "TypeError"})),
    ]);
}

/// ok-dmrlib reads the CRC-9 of a confirmed block lowest bit first, but computes it highest bit first. Blocks that
/// radios sent have it as it is computed, one in ok-dmrlib's own tests among them.
#[test]
fn ok_dmrlib_reads_the_crc_9_backwards() {
    let data = b"Confirmed block!";
    let block = DataBlock::confirmed(DataRate::ThreeQuarters, 5, data);
    assert_eq!(block.data()[..2], [5 << 1 | 1, 0xE6]);
    let burst = block.to_burst(1, Sync::MsData);
    OkDmrlib.agrees(vec![
        (json!(["crc9", hex(data), 5, crc::RATE_3_4_MASK]), json!(0b1_1110_0110)),
        (
            json!(["data_block", hex(&burst), "three_quarters", true, false]),
            json!({"crc9": 0b0_1100_1111, "crc9_ok": false}),
        ),
    ]);
}

/// ok-dmrlib takes UTF-16 of a talker alias low byte first; the standard has it high byte first (UTF-16BE).
#[test]
fn ok_dmrlib_swaps_the_bytes_of_utf_16() {
    let header = TalkerAlias::lcs(AliasFormat::Utf16, "AB").next().unwrap();
    assert_eq!(header.0[2..7], [3 << 6 | 2 << 1, 0, b'A', 0, b'B']);
    OkDmrlib.agrees(vec![
        (json!(["alias_text", 3, "00410042"]), json!("\u{4100}\u{4200}")),
        (json!(["alias_text", 3, "41004200"]), json!("AB")),
    ]);
}
