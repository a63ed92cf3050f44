//! Words and bursts as independent implementations of the standard make them.

use dmr::{
    AMBE_SILENCE, BURST_LEN, DataType, Emb, EmbeddedLc, FullLc, Lcss, SlotType, Sync, VoiceCall, golay,
    hamming, qr, rs, terminator, voice_header,
};

/// An LC, its parity, the 196 bits of BPTC of header and terminator, and its embedded fragments.
struct Answer {
    lc: u128,
    header_parity: [u8; 3],
    terminator_parity: [u8; 3],
    header: &'static str,
    terminator: &'static str,
    embedded: [u32; 4],
}

const ANSWERS: [Answer; 3] = [
    Answer {
        lc: 0x00_1020_000C_302F_9BE5,
        header_parity: [0xDA, 0xD4, 0x5A],
        terminator_parity: [0xD5, 0xDB, 0x55],
        header: "2b6004101f842dd00df07d410152e2070b20f803f88c695e20",
        terminator: "2b0f04c41f342da80d807de11012d1877d203c03788df95d10",
        embedded: [0x4E0F_0606, 0x1711_0047, 0x0C03_181B, 0x175A_0F4E],
    },
    Answer {
        lc: 0x03_0000_2600_0128_0001,
        header_parity: [0xEA, 0x77, 0x69],
        terminator_parity: [0xE5, 0x78, 0x66],
        header: "400322110b9a16583e509582018030062f00f62045529005d0",
        terminator: "406c22c50b2a16203e20952210c0038659003220c5530006e0",
        embedded: [0x0500_0000, 0x2109_81A0, 0x2803_2B84, 0x8BA0_2E8D],
    },
    Answer {
        lc: 0xC0_6880_1234_5600_ABCD,
        header_parity: [0x9E, 0x76, 0xF7],
        terminator_parity: [0x91, 0x79, 0xF8],
        header: "15f69340b3181b187fe0b4eb8842e064faf2f021210de169d0",
        terminator: "15999394b3a81b607f90b44b9902d3e48cf23421a10c716ae0",
        embedded: [0x82CA_121B, 0x0C71_0603, 0x2493_B417, 0x7E50_E7E4],
    },
];

impl Answer {
    fn lc(&self) -> FullLc {
        let bytes = self.lc.to_be_bytes();
        FullLc(std::array::from_fn(|n| bytes[n + 7]))
    }
}

/// The bits of `burst` outside 98..166, as hex, filled up with zeros.
fn bptc_bits(burst: &[u8; BURST_LEN]) -> String {
    let bits: Vec<u8> =
        (0..98).chain(166..264).map(|n: usize| burst[n / 8] >> (7 - n % 8) & 1).chain([0; 4]).collect();
    bits.chunks(8).map(|bits| format!("{:02x}", bits.iter().fold(0, |byte, bit| byte << 1 | bit))).collect()
}

#[test]
fn full_lc() {
    for answer in ANSWERS {
        let lc = answer.lc();
        assert_eq!(rs::encode(&lc.0, rs::HEADER_MASK)[9..], answer.header_parity);
        assert_eq!(rs::encode(&lc.0, rs::TERMINATOR_MASK)[9..], answer.terminator_parity);
        assert_eq!(bptc_bits(&voice_header(&lc, 1, Sync::BsData)), answer.header);
        assert_eq!(bptc_bits(&terminator(&lc, 1, Sync::BsData)), answer.terminator);
    }
}

#[test]
fn embedded_lc() {
    for answer in ANSWERS {
        assert_eq!(answer.lc().to_embedded(), answer.embedded);
        let mut embedded = EmbeddedLc::new();
        let parts = [Lcss::First, Lcss::Continuation, Lcss::Continuation, Lcss::Last];
        let lc =
            parts.into_iter().zip(answer.embedded).fold(None, |_, (lcss, part)| embedded.push(lcss, part));
        assert_eq!(lc, Some(answer.lc()));
    }
}

#[test]
fn words() {
    let golay = [(0x00, 0), (0x11, 0x1_1B8C), (0x12, 0x1_2A59), (0x71, 0x7_10D8), (0xF9, 0xF_9EC4)];
    for (data, word) in golay {
        assert_eq!((golay::encode(data), golay::decode(word)), (word, Some(data)));
    }
    let qr = [(0x11, 0x23C4), (0x13, 0x2721), (0x12, 0x2552), (0x10, 0x21B7), (0x29, 0x528F), (0x2B, 0x566A)];
    for (data, word) in qr {
        assert_eq!((qr::encode(data), qr::decode(word)), (word, Some(data)));
    }
    // The rows of the generator matrices of the standard for the first bit of data and the last.
    assert_eq!([hamming::encode_15_11(1 << 10), hamming::encode_15_11(1)], [0x4009, 0x0013]);
    assert_eq!([hamming::encode_13_9(1 << 8), hamming::encode_13_9(1)], [0x100F, 0x0013]);
    assert_eq!([hamming::encode_16_11(1 << 10), hamming::encode_16_11(1)], [0x8013, 0x0027]);
}

/// Two bursts as a whole: voice LC header and voice burst B of a call.
#[test]
fn bursts() {
    let mut call = VoiceCall::new(ANSWERS[0].lc(), 2, Sync::BsVoice, [AMBE_SILENCE]);
    let (_, header) = call.next().unwrap();
    let slot_type = SlotType { colour_code: 2, data_type: DataType::VOICE_HEADER };
    assert_eq!(SlotType::read(&header), Some(slot_type));
    let word = golay::encode(0x21);
    // Bits 96..168: two of information, ten of slot type, the sync, ten of slot type, two of information.
    let middle = header[12..21].iter().fold(0, |bits: u128, &byte| bits << 8 | u128::from(byte));
    assert_eq!((middle >> 60) as u32 & 0x3FF, word >> 10);
    assert_eq!((middle >> 12) as u64 & 0xFFFF_FFFF_FFFF, 0xDFF5_7D75_DF5D);
    assert_eq!((middle >> 2) as u32 & 0x3FF, word & 0x3FF);

    let (_, b) = call.nth(1).unwrap();
    assert_eq!(Emb::read(&b), Some(Emb { colour_code: 2, pi: false, lcss: Lcss::First }));
    let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
    // Half the silence, EMB 23C4 with the first fragment 4E0F0606 in it, the other half.
    assert_eq!(hex, "b9e881526173002a6bb9e881526234e0f0606c4173002a6bb9e881526173002a6b");
}
