//! All that reads a burst, in one call, for fuzz targets.

use crate::{
    Air, BURST_LEN, BurstKind, DataType, Emb, EmbeddedLc, FullLc, Lcss, SlotType, Sync, ambe, bptc,
    embedded_fragment, golay, hamming, qr, rewrite_burst, rs, set_ambe,
};

/// Runs every decoder over the bursts in `data`; the last is filled up with zeros.
#[doc(hidden)]
pub fn fuzz_decode(data: &[u8]) {
    let mut embedded = EmbeddedLc::new();
    for chunk in data.chunks(BURST_LEN) {
        let mut burst = [0; BURST_LEN];
        burst[..chunk.len()].copy_from_slice(chunk);
        decode(&burst, &mut embedded);
    }
}

fn decode(burst: &[u8; BURST_LEN], embedded: &mut EmbeddedLc) {
    std::hint::black_box((Sync::of(burst), SlotType::read(burst), bptc::read(burst)));
    let fragment = embedded_fragment(burst);
    let lcss = Emb::read(burst).map_or(Lcss::from_bits(burst[0]), |emb| emb.lcss);
    std::hint::black_box(embedded.push(lcss, fragment));
    let words: [u32; 4] = std::array::from_fn(|n| {
        u32::from_be_bytes([burst[4 * n], burst[4 * n + 1], burst[4 * n + 2], burst[4 * n + 3]])
    });
    let lc = FullLc::from_embedded(&words).unwrap_or(FullLc([burst[1]; 9]));
    for word in words {
        let short = word as u16;
        std::hint::black_box((golay::decode(word), qr::decode(short), hamming::correct_15_11(short)));
        std::hint::black_box((hamming::correct_13_9(short), hamming::correct_16_11(short)));
    }
    let word: [u8; 12] = std::array::from_fn(|n| burst[n]);
    std::hint::black_box((rs::decode(&word, rs::HEADER_MASK), rs::decode(&word, rs::TERMINATOR_MASK)));
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
        for _ in 0..50_000 {
            let noise: [u8; BURST_LEN] = std::array::from_fn(|_| random(&mut state));
            fuzz_decode(&noise);
            let lc = FullLc(std::array::from_fn(|_| random(&mut state)));
            let mut spoilt = voice_header(&lc, noise[0], Sync::MsData);
            for _ in 0..noise[1] % 32 {
                spoilt[usize::from(random(&mut state)) % BURST_LEN] ^= 1 << (random(&mut state) % 8);
            }
            fuzz_decode(&spoilt);
        }
        for len in 0..100 {
            fuzz_decode(&[0xFF; 100][..len]);
        }
    }
}
