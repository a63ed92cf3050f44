//! All that reads a burst, in one call, for fuzz targets.

use crate::{
    Air, AliasFormat, BURST_LEN, BurstKind, Csbk, DataBlock, DataHeader, DataRate, DataType, Emb, EmbeddedLc,
    FullLc, Lcss, MbcBlock, MbcHeader, PiHeader, Position, SlotType, Sync, TalkerAlias, ambe, bptc, crc,
    decode_reverse_channel, decode_single_burst, embedded_fragment, golay, hamming, qr, rewrite_burst, rs,
    set_ambe, trellis,
};

/// Runs every decoder over the bursts in `data`; the last is filled up with zeros.
#[doc(hidden)]
pub fn fuzz_decode(data: &[u8]) {
    let (mut embedded, mut alias) = (EmbeddedLc::new(), TalkerAlias::new());
    for chunk in data.chunks(BURST_LEN) {
        let mut burst = [0; BURST_LEN];
        burst[..chunk.len()].copy_from_slice(chunk);
        decode(&burst, &mut embedded, &mut alias);
        blocks(&burst);
    }
    text(data);
}

fn decode(burst: &[u8; BURST_LEN], embedded: &mut EmbeddedLc, alias: &mut TalkerAlias) {
    std::hint::black_box((Sync::of(burst), SlotType::read(burst), bptc::read(burst)));
    let fragment = embedded_fragment(burst);
    let lcss = Emb::read(burst).map_or(Lcss::from_bits(burst[0]), |emb| emb.lcss);
    let assembled = embedded.push(lcss, fragment);
    let words: [u32; 4] = std::array::from_fn(|n| {
        u32::from_be_bytes([burst[4 * n], burst[4 * n + 1], burst[4 * n + 2], burst[4 * n + 3]])
    });
    let lc = FullLc::from_embedded(&words).unwrap_or(FullLc([burst[1]; 9]));
    for word in words {
        let short = word as u16;
        std::hint::black_box((golay::decode(word), qr::decode(short), hamming::correct_15_11(short)));
        std::hint::black_box((hamming::correct_13_9(short), hamming::correct_16_11(short)));
        std::hint::black_box((decode_single_burst(word), decode_reverse_channel(word), crc::crc8(word)));
    }
    let word: [u8; 12] = std::array::from_fn(|n| burst[n]);
    std::hint::black_box((rs::decode(&word, rs::HEADER_MASK), rs::decode(&word, rs::TERMINATOR_MASK)));
    // Any bytes as an LC of an alias or a position, which noise would not be.
    let mut contents = FullLc(std::array::from_fn(|n| burst[n]));
    contents.0[0] = 4 + burst[0] % 5;
    contents.0[1] = 0;
    for lc in assembled.into_iter().chain([lc, contents]) {
        std::hint::black_box((alias.push(&lc), Position::from_lc(&lc).map(Position::to_lc)));
    }
    for bits in 0..16 {
        let data_type = DataType::from_bits(bits);
        let lc = FullLc::from_burst(burst, data_type).unwrap_or(lc);
        for kind in [BurstKind::Data(data_type), BurstKind::Voice(burst[2]), BurstKind::Voice(bits)] {
            let mut burst = *burst;
            rewrite_burst(kind, &mut burst, &lc.to_embedded(), &lc);
            Air { colour_code: burst[3], sync: Sync::MsVoice }.apply(kind, bits & 1 == 1, &mut burst);
            let payload = ambe(&burst);
            set_ambe(&mut burst, &payload);
        }
    }
}

/// Control blocks and data: as they are in the burst, and with any bytes where noise would not have the CRC.
fn blocks(burst: &[u8; BURST_LEN]) {
    let bytes: [u8; 10] = std::array::from_fn(|n| burst[n]);
    for csbk in Csbk::from_burst(burst).into_iter().chain([Csbk(bytes)]) {
        if let Some(message) = csbk.message() {
            let again = Csbk::from(message).message();
            assert_eq!(again, Some(message));
        }
    }
    for header in DataHeader::from_burst(burst).into_iter().chain([DataHeader(bytes)]) {
        let packet = header.packet();
        std::hint::black_box((packet.address(), packet.blocks_to_follow()));
        assert_eq!(DataHeader::from(packet).packet(), packet);
    }
    std::hint::black_box((MbcHeader::from_burst(burst), PiHeader::from_burst(burst), trellis::read(burst)));
    let mut continuation = [MbcBlock(std::array::from_fn(|n| burst[n])), MbcBlock([0; 12])];
    std::hint::black_box((MbcBlock::from_burst(burst), MbcBlock::are_whole(&continuation)));
    MbcBlock::seal(&mut continuation);
    assert!(MbcBlock::are_whole(&continuation));
    for rate in DataRate::ALL {
        let Some(block) = DataBlock::from_burst(rate, burst) else { continue };
        std::hint::black_box((block.data(), block.confirmed_data()));
        let again = DataBlock::from_burst(rate, &block.to_burst(0, Sync::MsData));
        assert_eq!(again, Some(block));
    }
    let mut message = crc::MessageCrc::new();
    message.push(&burst[..]);
    std::hint::black_box(message.bytes());
}

/// Any text as an alias in each format.
fn text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for format in (0..4).map(AliasFormat::from_bits).chain([AliasFormat::for_text(text)]) {
        let mut alias = TalkerAlias::new();
        let texts = TalkerAlias::lcs(format, text).filter_map(|lc| alias.push(&lc)).count();
        assert!(texts > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice_header;

    /// xorshift64: the same bytes at each run.
    fn random(state: &mut u64) -> u8 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 24) as u8
    }

    #[test]
    fn no_burst_makes_it_panic() {
        let mut state = 0x9E37_79B9_7F4A_7C15;
        for _ in 0..20_000 {
            let noise: [u8; BURST_LEN] = std::array::from_fn(|_| random(&mut state));
            fuzz_decode(&noise);
            let lc = FullLc(std::array::from_fn(|_| random(&mut state)));
            let block: [u8; 10] = std::array::from_fn(|_| random(&mut state));
            let mut spoilt = match noise[0] % 4 {
                0 => voice_header(&lc, noise[0], Sync::MsData),
                1 => Csbk(block).to_burst(noise[0], Sync::MsData),
                2 => DataHeader(block).to_burst(noise[0], Sync::BsData),
                _ => DataBlock::confirmed(DataRate::ThreeQuarters, 1, &block).to_burst(1, Sync::BsData),
            };
            for _ in 0..noise[1] % 32 {
                spoilt[usize::from(random(&mut state)) % BURST_LEN] ^= 1 << (random(&mut state) % 8);
            }
            fuzz_decode(&spoilt);
        }
        for len in 0..100 {
            fuzz_decode(&[0xFF; 100][..len]);
            fuzz_decode(&"aä東🙂".repeat(10).as_bytes()[..len]);
        }
    }
}
