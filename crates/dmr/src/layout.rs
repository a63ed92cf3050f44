//! Where things lie in a burst (ETSI TS 102 361-1 sections 6.1 and 6.2): the 48 bits in its middle and what
//! lies on both sides of them.

use crate::BURST_LEN;

/// The bytes that hold the middle and the slot type: bits 96..168 of the burst.
const WINDOW: std::ops::Range<usize> = 12..21;

const CENTRE: u128 = 0xFFFF_FFFF_FFFF << 12;
const SLOT_TYPE: u128 = 0x3FF << 60 | 0x3FF << 2;

fn window(burst: &[u8; BURST_LEN]) -> u128 {
    burst[WINDOW].iter().fold(0, |bits, &byte| bits << 8 | u128::from(byte))
}

fn set_window(burst: &mut [u8; BURST_LEN], mask: u128, bits: u128) {
    let bits = window(burst) & !mask | bits & mask;
    burst[WINDOW].copy_from_slice(&bits.to_be_bytes()[7..]);
}

/// The 48 bits in the middle: a sync, or EMB and embedded signalling.
pub(crate) fn centre(burst: &[u8; BURST_LEN]) -> u64 {
    ((window(burst) & CENTRE) >> 12) as u64
}

/// Sets those of the middle 48 bits that are set in `mask` to those of `bits`.
pub(crate) fn set_centre(burst: &mut [u8; BURST_LEN], mask: u64, bits: u64) {
    set_window(burst, u128::from(mask) << 12 & CENTRE, u128::from(bits) << 12);
}

/// The 20 bits of slot type around the middle of a data burst.
pub(crate) fn slot_type(burst: &[u8; BURST_LEN]) -> u32 {
    let bits = window(burst);
    (bits >> 50) as u32 & 0xF_FC00 | (bits >> 2) as u32 & 0x3FF
}

/// Sets the 20 bits of slot type.
pub(crate) fn set_slot_type(burst: &mut [u8; BURST_LEN], bits: u32) {
    let bits = u128::from(bits);
    set_window(burst, SLOT_TYPE, (bits >> 10) << 60 | (bits & 0x3FF) << 2);
}
