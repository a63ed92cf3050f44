//! The codes that correct errors.

use dmr::{
    BURST_LEN, FullLc, bptc, crc, decode_reverse_channel, decode_single_burst, encode_reverse_channel,
    encode_single_burst, golay, hamming, qr, rs, trellis,
};
use serde_json::{Value, json};

use crate::Judge::{OkDmrlib, Utils3};
use crate::{CASES, Random, burst_of, flip, hex, info, unhex};

/// dmr_utils3 decodes no word that begins with 1, and not all with three wrong bits (`bugs`).
#[test]
fn golay() {
    let mut random = Random::new(1);
    let words: Vec<_> =
        (0..=255).map(|data| (json!(["golay_encode", data]), json!(golay::encode(data)))).collect();
    OkDmrlib.agrees(words.clone());
    Utils3.agrees(words);
    let (mut checks, mut nearest, mut decodes) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..CASES {
        let data = random.byte();
        let errors = u32::try_from(n % 4).unwrap();
        let word = golay::encode(data) ^ random.errors(20, errors);
        assert_eq!(golay::decode(word), Some(data));
        checks.push((json!(["golay_check", word]), json!(errors == 0)));
        nearest.push((json!(["golay_nearest", word]), json!(data)));
        if errors < 3 && data < 0x80 && word >> 19 == 0 {
            decodes.push((json!(["golay_decode", word]), json!(data)));
        }
    }
    OkDmrlib.agrees(checks);
    OkDmrlib.agrees(nearest);
    Utils3.agrees(decodes);
}

#[test]
fn quadratic_residue() {
    let mut random = Random::new(2);
    let words: Vec<_> = (0..128).map(|data| (json!(["qr_encode", data]), json!(qr::encode(data)))).collect();
    OkDmrlib.agrees(words.clone());
    Utils3.agrees(words);
    let (mut checks, mut nearest) = (Vec::new(), Vec::new());
    for n in 0..CASES {
        let data = random.small(7);
        let errors = u32::try_from(n % 3).unwrap();
        let word = qr::encode(data) ^ u16::try_from(random.errors(16, errors)).unwrap();
        assert_eq!(qr::decode(word), Some(data));
        checks.push((json!(["qr_check", word]), json!(errors == 0)));
        nearest.push((json!(["qr_nearest", word]), json!(data)));
    }
    OkDmrlib.agrees(checks);
    OkDmrlib.agrees(nearest.clone());
    Utils3.agrees(nearest);
}

/// All words, and words with up to two wrong bits: what one corrects and what it refuses is the same.
#[test]
fn hamming() {
    type Code = (&'static str, u32, u32, fn(u16) -> u16, fn(u16) -> Option<u16>);
    let codes: [Code; 3] = [
        ("15_11", 11, 15, hamming::encode_15_11, |word| Some(hamming::correct_15_11(word))),
        ("13_9", 9, 13, hamming::encode_13_9, hamming::correct_13_9),
        ("16_11", 11, 16, hamming::encode_16_11, hamming::correct_16_11),
    ];
    let mut random = Random::new(3);
    for (name, size, length, encode, correct) in codes {
        let words: Vec<_> = (0..1 << size)
            .map(|data| (json!([format!("hamming_{name}"), data]), json!(encode(data))))
            .collect();
        OkDmrlib.agrees(words.clone());
        Utils3.agrees(words);
        let mut spoilt = Vec::new();
        for n in 0..CASES {
            let data = u16::try_from(random.bits(size)).unwrap();
            let errors = random.errors(length, u32::try_from(n % 3).unwrap());
            let word = encode(data) ^ u16::try_from(errors).unwrap();
            if n % 3 < 2 {
                assert_eq!(correct(word), Some(encode(data)));
            }
            spoilt.push((json!([format!("correct_{name}"), word]), json!(correct(word))));
        }
        OkDmrlib.agrees(spoilt);
    }
}

#[test]
fn reed_solomon() {
    let mut random = Random::new(4);
    let (mut ours, mut theirs, mut checks) = (Vec::new(), Vec::new(), Vec::new());
    for (name, mask) in [("rs_header", rs::HEADER_MASK), ("rs_terminator", rs::TERMINATOR_MASK)] {
        for n in 0..CASES {
            let lc = random.bytes();
            let mut word = rs::encode(&lc, mask);
            ours.push((json!(["rs_encode", hex(&lc), hex(&mask)]), json!(hex(&word))));
            theirs.push((json!([name, hex(&lc)]), json!(hex(&word[9..]))));
            let wrong = n % 2 == 1;
            if wrong {
                word[random.below(12)] ^= random.byte().max(1);
            }
            assert_eq!(rs::decode(&word, mask), Some(lc));
            checks.push((json!(["rs_check", hex(&word), hex(&mask)]), json!(!wrong)));
        }
    }
    OkDmrlib.agrees(ours);
    OkDmrlib.agrees(checks);
    Utils3.agrees(theirs);
}

/// Both encode as we do. ok-dmrlib corrects row by row and then column by column: with up to two wrong bits it comes to
/// the same.
#[test]
fn block_product_turbo_code() {
    let mut random = Random::new(5);
    let (mut encodes, mut reads, mut repairs) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..CASES {
        let data = random.bytes();
        let mut burst: [u8; BURST_LEN] = random.bytes();
        bptc::write(&mut burst, &data);
        encodes.push((json!(["bptc_encode", hex(&data)]), json!(info(&burst))));
        reads.push((json!(["bptc_read", hex(&burst)]), json!(hex(&data))));
        if n % 10 == 0 {
            for _ in 0..1 + n % 2 {
                flip(&mut burst, random.below(196));
            }
            assert_eq!(bptc::read(&burst), Some(data));
            repairs.push((json!(["bptc_repair", hex(&burst)]), json!(hex(&data))));
        }
    }
    Utils3.agrees(encodes.clone());
    OkDmrlib.agrees(encodes);
    OkDmrlib.agrees(reads);
    OkDmrlib.agrees(repairs);
}

/// ok-dmrlib does not correct: it is asked without wrong bits, and we read its words with some.
#[test]
fn trellis() {
    let mut random = Random::new(6);
    let (mut data, mut encodes, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CASES {
        let bytes: [u8; 18] = random.bytes();
        let mut burst: [u8; BURST_LEN] = random.bytes();
        trellis::write(&mut burst, &bytes);
        data.push(bytes);
        encodes.push(json!(["trellis_encode", hex(&bytes)]));
        reads.push((json!(["trellis_read", hex(&burst)]), json!(hex(&bytes))));
        assert_eq!(trellis::read(&burst), Some(bytes));
    }
    OkDmrlib.agrees(reads);
    for (bytes, encoded) in data.iter().zip(OkDmrlib.ask(&encodes)) {
        let mut burst = burst_of(&encoded);
        assert_eq!(info(&burst), encoded.as_str().unwrap());
        flip(&mut burst, random.below(196));
        assert_eq!(trellis::read(&burst), Some(*bytes));
    }
}

fn fragments(lc: &[u8; 9]) -> Vec<u8> {
    FullLc(*lc).to_embedded().iter().flat_map(|fragment| fragment.to_be_bytes()).collect()
}

fn embedded(answer: &Value) -> [u32; 4] {
    let bytes = unhex(answer);
    std::array::from_fn(|n| u32::from_be_bytes(bytes[4 * n..4 * n + 4].try_into().unwrap()))
}

/// Both read what we encode. Of what they encode, ok-dmrlib has the checksum backwards and dmr_utils3 one bit wrong
/// (`bugs`): the one is read where the checksum is the same backwards, the other always, that bit corrected.
#[test]
fn embedded_lc() {
    let mut random = Random::new(7);
    let (mut ok, mut utils3, mut ok_encodes, mut encodes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CASES {
        let lc = random.bytes();
        let checksum = crc::checksum5(&lc);
        ok.push((json!(["embedded_decode", hex(&fragments(&lc))]), json!([hex(&lc), checksum])));
        utils3.push((json!(["embedded_decode", hex(&fragments(&lc))]), json!(hex(&lc))));
        encodes.push((json!(["embedded_encode", hex(&lc)]), lc));
        if checksum.reverse_bits() >> 3 == checksum {
            ok_encodes.push((json!(["embedded_encode", hex(&lc)]), json!(hex(&fragments(&lc)))));
        }
    }
    OkDmrlib.agrees(ok);
    OkDmrlib.agrees(ok_encodes);
    Utils3.agrees(utils3);
    let (requests, lcs): (Vec<_>, Vec<_>) = encodes.into_iter().unzip();
    for (lc, answer) in lcs.into_iter().zip(Utils3.ask(&requests)) {
        let mut fragments = embedded(&answer);
        assert_eq!(FullLc::from_embedded(&fragments), Some(FullLc(lc)));
        // A wrong bit more, in another row than that of the judge.
        let n = 8 * random.below(16) + random.of(&[0, 2, 3, 4, 5, 6, 7]);
        fragments[n / 32] ^= 0x8000_0000 >> (n % 32);
        assert_eq!(FullLc::from_embedded(&fragments), Some(FullLc(lc)));
    }
}

/// ok-dmrlib knows no reverse channel: it reads its words with the second copy turned over.
#[test]
fn single_burst() {
    let mut cases = Vec::new();
    for data in 0..1 << 11 {
        let fragment = encode_single_burst(data);
        cases.push((json!(["single_encode", data]), json!(fragment)));
        cases.push((json!(["single_decode", fragment]), json!(data)));
        assert_eq!(decode_single_burst(fragment), Some(data));
    }
    let odd = (0..16).fold(0, |odd: u32, n| odd | 0x8000_0000 >> ((2 * n + 17) % 32));
    for command in 0..16 {
        let fragment = encode_reverse_channel(command);
        let data = decode_single_burst(fragment ^ odd).unwrap();
        cases.push((json!(["single_encode", data]), json!(fragment ^ odd)));
        assert_eq!((data >> 7, decode_reverse_channel(fragment)), (u16::from(command), Some(command)));
    }
    OkDmrlib.agrees(cases);
}
