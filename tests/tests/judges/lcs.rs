//! Full LC of headers and terminators: calls, talker aliases, positions.

use dmr::{
    AliasFormat, DataType, Flco, FullLc, Position, PositionError, Sync, TalkerAlias, terminator, voice_header,
};
use serde_json::{Value, json};

use crate::Judge::{OkDmrlib, Utils3};
use crate::{CASES, Random, burst_of, flip, hex, info};

/// FIDs that ok-dmrlib knows by name; of the others it knows only that they are a maker's.
const FIDS: [u8; 4] = [0x00, 0x10, 0x58, 0x68];

fn fields(lc: &FullLc) -> Value {
    let address = if lc.flco() == Flco::Group { "group_address" } else { "target_address" };
    json!({
        "full_link_control_opcode": lc.flco().bits(),
        "feature_set_id": lc.fid(),
        "service_options": lc.service_options().0,
        address: lc.destination(),
        "source_address": lc.source(),
        "good": true,
    })
}

/// Headers and terminators of group and private calls, both ways and with wrong bits.
#[test]
fn calls() {
    let mut random = Random::new(30);
    let (mut lcs, mut reads, mut utils3, mut makes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for n in 0..CASES {
        let mut lc = if random.flag() {
            FullLc::group(random.bits(24), random.bits(24))
        } else {
            FullLc::private(random.bits(24), random.bits(24))
        };
        (lc.0[1], lc.0[2]) = (random.of(&FIDS), random.byte());
        let (burst, name, data_type) = match n % 2 {
            0 => (voice_header(&lc, random.small(4), Sync::BsData), "header", DataType::VOICE_HEADER),
            _ => (terminator(&lc, random.small(4), Sync::MsData), "terminator", DataType::TERMINATOR),
        };
        reads.push((json!(["lc", hex(&burst), name]), fields(&lc)));
        utils3.push((json!([format!("{name}_lc"), hex(&lc.0)]), json!(info(&burst))));
        utils3.push((json!(["read_lc", hex(&burst)]), json!(hex(&lc.0))));
        let address = if lc.flco() == Flco::Group { "group_address" } else { "target_address" };
        makes.push(json!(["lc_make", name, {
            "flco": lc.flco().bits(),
            "fid": lc.fid(),
            "service_options": lc.service_options().0,
            address: lc.destination(),
            "source_address": lc.source(),
        }]));
        lcs.push((lc, data_type));
    }
    OkDmrlib.agrees(reads);
    Utils3.agrees(utils3);
    for ((lc, data_type), made) in lcs.into_iter().zip(OkDmrlib.ask(&makes)) {
        let mut burst = burst_of(&made);
        assert_eq!(FullLc::from_burst(&burst, data_type), Some(lc));
        for _ in 0..3 {
            flip(&mut burst, random.below(196));
        }
        assert_eq!(FullLc::from_burst(&burst, data_type), Some(lc));
    }
}

/// Texts of each length that fit the format.
fn texts(format: AliasFormat) -> Vec<String> {
    let (alphabet, limit): (Vec<char>, _) = match format {
        AliasFormat::SevenBit => ("DL1ABC /-Joe?z".chars().collect(), 31),
        AliasFormat::Iso8859_1 => ("DL1ABC Jürgen ß ÿ¿".chars().collect(), 27),
        AliasFormat::Utf8 => ("ŁódźЖ東a".chars().collect(), 9),
        AliasFormat::Utf16 => ("ŁódźЖ東a".chars().collect(), 13),
    };
    let mut random = Random::new(31 + u64::from(format.bits()));
    let mut text = |length| (0..length).map(|_| random.of(&alphabet)).chain(['z']).collect::<String>();
    (0..25).flat_map(|_| 0..limit).map(&mut text).collect()
}

/// What the text is in bytes, by Rust's own means.
fn encoded(format: AliasFormat, text: &str) -> Vec<u8> {
    match format {
        AliasFormat::SevenBit | AliasFormat::Utf8 => text.as_bytes().to_vec(),
        AliasFormat::Iso8859_1 => text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect(),
        AliasFormat::Utf16 => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    }
}

/// The fields of each LC, and the text that ok-dmrlib makes of their data. It does not unpack seven-bit text and takes
/// UTF-16 low byte first, so of these formats it judges the fields.
#[test]
fn talker_aliases() {
    let formats = [AliasFormat::SevenBit, AliasFormat::Iso8859_1, AliasFormat::Utf8, AliasFormat::Utf16];
    let mut cases = Vec::new();
    for format in formats {
        for text in texts(format) {
            let units = encoded(format, &text).len() / if format == AliasFormat::Utf16 { 2 } else { 1 };
            let mut data = Vec::new();
            let mut alias = TalkerAlias::new();
            let mut read = None;
            for lc in TalkerAlias::lcs(format, &text) {
                let burst = voice_header(&lc, 1, Sync::BsData);
                let fields = if lc.flco() == Flco::TalkerAliasHeader {
                    data.extend_from_slice(&lc.0[3..]);
                    json!({
                        "full_link_control_opcode": lc.flco().bits(),
                        "talker_alias_data_format": format.bits(),
                        "talker_alias_data_length": units,
                        "talker_alias_data_msb": lc.0[2] & 1 == 1,
                        "talker_alias_data": hex(&lc.0[3..]),
                        "good": true,
                    })
                } else {
                    data.extend_from_slice(&lc.0[2..]);
                    json!({"talker_alias_data": hex(&lc.0[2..]), "good": true})
                };
                cases.push((json!(["lc", hex(&burst), "header"]), fields));
                read = alias.push(&FullLc::from_burst(&burst, DataType::VOICE_HEADER).unwrap()).or(read);
            }
            assert_eq!(read.unwrap().as_str(), text);
            if format != AliasFormat::SevenBit {
                data.truncate(encoded(format, &text).len());
                assert_eq!(data, encoded(format, &text));
            }
            if matches!(format, AliasFormat::Iso8859_1 | AliasFormat::Utf8) {
                cases.push((json!(["alias_text", format.bits(), hex(&data)]), json!(text)));
            }
        }
    }
    OkDmrlib.agrees(cases);
}

/// Aliases in LCs that ok-dmrlib makes.
#[test]
fn talker_aliases_of_others() {
    for format in [AliasFormat::Iso8859_1, AliasFormat::Utf8, AliasFormat::Utf16] {
        let (mut makes, mut wanted) = (Vec::new(), Vec::new());
        for text in texts(format) {
            let mut data = encoded(format, &text);
            let length = data.len() / if format == AliasFormat::Utf16 { 2 } else { 1 };
            data.resize(27, 0);
            makes.push(json!(["lc_make", "header", {
                "flco": 4, "fid": 0, "talker_alias_data_format": format.bits(),
                "talker_alias_data_length": length, "talker_alias_data": hex(&data[..6]),
            }]));
            for (n, block) in data[6..].chunks(7).enumerate() {
                let values = json!({"flco": 5 + n, "fid": 0, "talker_alias_data": hex(block)});
                makes.push(json!(["lc_make", "header", values]));
            }
            wanted.push(text);
        }
        for (text, lcs) in wanted.iter().zip(OkDmrlib.ask(&makes).chunks(4)) {
            let mut alias = TalkerAlias::new();
            let lcs =
                lcs.iter().map(|made| FullLc::from_burst(&burst_of(made), DataType::VOICE_HEADER).unwrap());
            let read = lcs.filter_map(|lc| alias.push(&lc)).last();
            assert_eq!(read.unwrap().as_str(), text);
        }
    }
}

/// Degrees as the judge has them, to a millionth; half a step more where it cuts off.
#[test]
fn positions() {
    let mut random = Random::new(36);
    let udeg = |value: &Value| value.as_f64().unwrap() * 1e6;
    let (mut positions, mut reads, mut makes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CASES {
        let position = Position {
            latitude_udeg: i32::try_from(random.below(179_999_960)).unwrap() - 89_999_980,
            longitude_udeg: i32::try_from(random.below(359_999_960)).unwrap() - 179_999_980,
            error: random.of(&PositionError::ALL),
        };
        reads.push(json!(["lc", hex(&voice_header(&position.to_lc(), 1, Sync::BsData)), "header"]));
        makes.push(json!(["lc_make", "header", {
            "flco": 8, "fid": 0, "position_error": position.error.bits(),
            "latitude": f64::from(position.latitude_udeg) / 1e6,
            "longitude": f64::from(position.longitude_udeg) / 1e6,
        }]));
        positions.push(position);
    }
    for (position, answer) in positions.iter().zip(OkDmrlib.ask(&reads)) {
        assert_eq!(answer["position_error"], json!(position.error.bits()));
        assert!(
            (udeg(&answer["latitude"]) - f64::from(position.latitude_udeg)).abs() < 5.5,
            "{answer} {position:?}"
        );
        assert!(
            (udeg(&answer["longitude"]) - f64::from(position.longitude_udeg)).abs() < 5.5,
            "{answer} {position:?}"
        );
    }
    for (position, made) in positions.iter().zip(OkDmrlib.ask(&makes)) {
        let lc = FullLc::from_burst(&burst_of(&made), DataType::VOICE_HEADER).unwrap();
        let read = Position::from_lc(&lc).unwrap();
        assert_eq!(read.error, position.error);
        assert!((read.latitude_udeg - position.latitude_udeg).abs() <= 11, "{read:?} {position:?}");
        assert!((read.longitude_udeg - position.longitude_udeg).abs() <= 11, "{read:?} {position:?}");
    }
}
