//! CSBKs, PI headers, data headers and data blocks. MBCs, raw short data and proprietary headers are unknown to both
//! judges; of them their CRC and code are judged elsewhere.

use dmr::{
    BURST_LEN, Csbk, CsbkMessage, DataAddress, DataBlock, DataHeader, DataPacket, DataRate, FullLc, PiHeader,
    ServiceOptions, Sync, voice_header,
};
use serde_json::{Value, json};

use crate::Judge::OkDmrlib;
use crate::{CASES, Random, burst_of, flip, hex};

/// One of each kind in turn, with the values that ok-dmrlib knows, and its names for the fields.
fn csbk(n: usize, random: &mut Random) -> (CsbkMessage, Value) {
    let (target, source) = (random.bits(24), random.bits(24));
    let service_options = ServiceOptions(random.byte());
    match n % 5 {
        0 => (
            CsbkMessage::UnitVoiceRequest { service_options, target, source },
            json!({"csbko": 4, "service_options": service_options.0, "target_address": target, "source_address": source}),
        ),
        1 => {
            let answer = random.of(&[dmr::ANSWER_PROCEED, dmr::ANSWER_DENY]);
            let fields = json!({
                "csbko": 5, "service_options": service_options.0, "answer_response": answer,
                "target_address": target, "source_address": source,
            });
            (CsbkMessage::UnitVoiceAnswer { service_options, answer, target, source }, fields)
        }
        2 => {
            let (from_radio, service) = (random.flag(), random.of(&[4, 5, 0x26, 0x38, 0x3D]));
            let reason = dmr::REASON_NOT_SUPPORTED;
            let fields = json!({
                "csbko": 0x26, "additional_information_field": 1, "source_type": u8::from(from_radio),
                "service_type": service, "reason_code": reason, "target_address": target,
                "source_address": source,
            });
            (CsbkMessage::Nack { has_source: true, from_radio, service, reason, source, target }, fields)
        }
        3 => (
            CsbkMessage::BsActivation { base_station: target, source },
            json!({"csbko": 0x38, "bs_address": target, "source_address": source}),
        ),
        _ => {
            let (data, group, blocks_to_follow) = (random.flag(), random.flag(), random.byte());
            let fields = json!({
                "csbko": 0x3D, "csbk_content_follows_preambles": !data, "target_address_is_individual": !group,
                "blocks_to_follow": blocks_to_follow, "target_address": target, "source_address": source,
            });
            (CsbkMessage::Preamble { data, group, blocks_to_follow, target, source }, fields)
        }
    }
}

#[test]
fn csbks() {
    let mut random = Random::new(40);
    let (mut messages, mut reads, mut makes) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..CASES {
        let (message, fields) = csbk(n, &mut random);
        let burst = Csbk::from(message).to_burst(random.small(4), Sync::BsData);
        let mut expected = fields.clone();
        expected["good"] = json!(true);
        expected["last_block"] = json!(true);
        expected["protect_flag"] = json!(false);
        reads.push((json!(["csbk", hex(&burst)]), expected));
        makes.push(json!(["csbk_make", fields]));
        messages.push(message);
    }
    OkDmrlib.agrees(reads);
    for (message, made) in messages.into_iter().zip(OkDmrlib.ask(&makes)) {
        let mut burst = burst_of(&made);
        assert_eq!(Csbk::from_burst(&burst), Some(Csbk::from(message)));
        for _ in 0..3 {
            flip(&mut burst, random.below(196));
        }
        assert_eq!(Csbk::from_burst(&burst).and_then(|csbk| csbk.message()), Some(message));
    }
}

#[test]
fn pi_headers() {
    let mut random = Random::new(41);
    let (mut headers, mut reads, mut makes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CASES / 2 {
        let header = PiHeader(random.bytes());
        let burst = header.to_burst(random.small(4), Sync::BsData);
        reads.push((json!(["pi_header", hex(&burst)]), json!({"data": hex(&header.0), "crc_ok": true})));
        makes.push(json!(["pi_header_make", hex(&header.0)]));
        headers.push(header);
    }
    OkDmrlib.agrees(reads);
    for (header, made) in headers.into_iter().zip(OkDmrlib.ask(&makes)) {
        assert_eq!(PiHeader::from_burst(&burst_of(&made)), Some(header));
    }
}

/// One of each format that ok-dmrlib knows in turn, with its names for the fields.
fn packet(n: usize, random: &mut Random) -> (DataPacket, Value) {
    let response = n % 5 == 1;
    let address = DataAddress {
        group: random.flag() && !response,
        response_requested: random.flag() && !response,
        sap: random.of(&[0, 2, 3, 4, 5, 9, 10]),
        target: random.bits(24),
        source: random.bits(24),
    };
    let (full, blocks, pad_octets, fragment) =
        (random.flag(), random.small(7), random.small(5), random.small(4));
    let mut fields = json!({
        "is_group": address.group, "is_response_requested": address.response_requested,
        "sap_identifier": address.sap, "llid_destination": address.target, "llid_source": address.source,
    });
    let (packet, more) = match n % 5 {
        0 => {
            let (emergency, option, supplementary) = (random.flag(), random.flag(), random.flag());
            let format = random.of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 10]);
            let (pad_nibbles, appended_blocks) = (random.small(5), random.small(2));
            let opcode = random.of(&[0x1A, 0x1B, 0x24, 0x25]);
            let more = json!({
                "dpf": 0, "is_emergency": emergency, "udt_option_flag": u8::from(option), "udt_format": format,
                "pad_nibbles_count": pad_nibbles, "appended_blocks": appended_blocks,
                "supplementary_flag": u8::from(supplementary), "udt_opcode": opcode,
            });
            let packet = DataPacket::Udt {
                address,
                emergency,
                option,
                format,
                pad_nibbles,
                appended_blocks,
                supplementary,
                protected: false,
                opcode,
            };
            (packet, more)
        }
        1 => {
            let (class, kind, status) = (random.small(2), random.small(3), random.small(3));
            let more = json!({
                "dpf": 1, "full_message_flag": u8::from(full), "blocks_to_follow": blocks,
                "response_class": class, "response_type": kind, "response_status": status,
            });
            (DataPacket::Response { address, full, blocks, class, kind, status }, more)
        }
        2 => {
            let more = json!({
                "dpf": 2, "full_message_flag": u8::from(full), "blocks_to_follow": blocks,
                "pad_octet_count": pad_octets, "fragment_sequence_number": fragment,
            });
            (DataPacket::Unconfirmed { address, pad_octets, full, blocks, fragment }, more)
        }
        3 => {
            let (resynchronise, send_sequence) = (random.flag(), random.small(3));
            let more = json!({
                "dpf": 3, "full_message_flag": u8::from(full), "blocks_to_follow": blocks,
                "pad_octet_count": pad_octets, "fragment_sequence_number": fragment,
                "resynchronize_flag": u8::from(resynchronise), "send_sequence_number": send_sequence,
            });
            let packet = DataPacket::Confirmed {
                address,
                pad_octets,
                full,
                blocks,
                resynchronise,
                send_sequence,
                fragment,
            };
            (packet, more)
        }
        _ => {
            let (appended_blocks, format, selective_repeat) =
                (random.small(6), random.byte() % 25, random.flag());
            let pad_bits = random.byte().max(1);
            let more = json!({
                "dpf": 13, "full_message_flag": u8::from(full), "appended_blocks": appended_blocks,
                "defined_data_format": format, "sarq": u8::from(selective_repeat), "bit_padding": pad_bits,
            });
            let packet = DataPacket::ShortDefined {
                address,
                appended_blocks,
                format,
                selective_repeat,
                full,
                pad_bits,
            };
            (packet, more)
        }
    };
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    (packet, fields)
}

#[test]
fn data_headers() {
    let mut random = Random::new(42);
    let (mut packets, mut reads, mut makes) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..CASES {
        let (packet, fields) = packet(n, &mut random);
        let burst = DataHeader::from(packet).to_burst(random.small(4), Sync::BsData);
        let mut expected = fields.clone();
        expected.as_object_mut().unwrap().remove("dpf");
        expected["data_packet_format"] = fields["dpf"].clone();
        expected["crc_ok"] = json!(true);
        reads.push((json!(["data_header", hex(&burst)]), expected));
        makes.push(json!(["data_header_make", fields]));
        packets.push(packet);
    }
    OkDmrlib.agrees(reads);
    for (packet, made) in packets.into_iter().zip(OkDmrlib.ask(&makes)) {
        let mut burst = burst_of(&made);
        assert_eq!(DataHeader::from_burst(&burst), Some(DataHeader::from(packet)));
        for _ in 0..3 {
            flip(&mut burst, random.below(196));
        }
        assert_eq!(DataHeader::from_burst(&burst).map(|header| header.packet()), Some(packet));
    }
}

/// Unconfirmed and confirmed blocks of all rates. ok-dmrlib reads the CRC-9 backwards (`bugs`), so it is asked for the
/// number alone.
#[test]
fn data_blocks() {
    let mut random = Random::new(43);
    let mut cases = Vec::new();
    for n in 0..CASES {
        let (rate, name, mask) = [
            (DataRate::Half, "half", dmr::crc::RATE_1_2_MASK),
            (DataRate::ThreeQuarters, "three_quarters", dmr::crc::RATE_3_4_MASK),
            (DataRate::One, "one", dmr::crc::RATE_1_MASK),
        ][n % 3];
        let data: [u8; 24] = random.bytes();
        let block = DataBlock::unconfirmed(rate, &data);
        let burst = block.to_burst(1, Sync::BsData);
        let request = json!(["data_block", hex(&burst), name, false, false]);
        cases.push((request, json!({"data": hex(block.data())})));
        let (content, check) = block.data().split_last_chunk::<4>().unwrap();
        let request = json!(["data_block", hex(&burst), name, false, true]);
        cases.push((request, json!({"data": hex(content), "crc32": u32::from_be_bytes(*check)})));

        let serial = random.small(7);
        let block = DataBlock::confirmed(rate, serial, &data);
        let burst = block.to_burst(1, Sync::MsData);
        let (_, content) = block.confirmed_data().unwrap();
        let check = u16::from_be_bytes([block.data()[0] & 1, block.data()[1]]);
        let request = json!(["data_block", hex(&burst), name, true, false]);
        let backwards = check.reverse_bits() >> 7;
        cases.push((request, json!({"data": hex(content), "dbsn": serial, "crc9": backwards})));
        cases.push((json!(["crc9", hex(content), serial, mask]), json!(check)));
    }
    OkDmrlib.agrees(cases);
}

/// Bursts as a whole, with a wrong bit in most: ok-dmrlib corrects it, reads everything and makes the burst anew.
#[test]
fn whole_bursts() {
    let mut random = Random::new(44);
    let mut cases = Vec::new();
    for n in 0..60 {
        let colour_code = random.small(4);
        let sync = random.of(&[(Sync::BsData, "BsSourcedData"), (Sync::MsData, "MsSourcedData")]);
        let lc = FullLc::group(random.bits(24), random.bits(24));
        let (message, csbk_fields) = csbk(n, &mut random);
        let (packet, mut packet_fields) = packet(n, &mut random);
        packet_fields.as_object_mut().unwrap().remove("dpf");
        let lc_fields = json!({"group_address": lc.destination(), "source_address": lc.source()});
        let bursts: [([u8; BURST_LEN], u8, Value); 3] = [
            (voice_header(&lc, colour_code, sync.0), 1, lc_fields),
            (Csbk::from(message).to_burst(colour_code, sync.0), 3, csbk_fields),
            (DataHeader::from(packet).to_burst(colour_code, sync.0), 6, packet_fields),
        ];
        for (burst, data_type, fields) in bursts {
            let mut sent = burst;
            if n % 4 > 0 {
                flip(&mut sent, random.below(196));
            }
            let request = json!(["burst", hex(&sent)]);
            cases.push((request, (burst, colour_code, data_type, sync.1, fields)));
        }
    }
    let (requests, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    for (answer, (burst, colour_code, data_type, sync, fields)) in
        OkDmrlib.ask(&requests).into_iter().zip(expected)
    {
        assert_eq!(answer["sync"], json!(sync), "{answer}");
        assert_eq!(answer["slot_type"]["colour_code"], json!(colour_code));
        assert_eq!(answer["slot_type"]["data_type"], json!(data_type));
        for (name, field) in fields.as_object().unwrap() {
            assert_eq!(answer["data"][name], *field, "{name} of {answer}");
        }
        assert_eq!(answer["again"], json!(hex(&burst)));
    }
}
