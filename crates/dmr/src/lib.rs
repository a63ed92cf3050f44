//! The DMR air-interface codec: bursts, syncs, slot types, EMB and link control with their codes
//! (ETSI TS 102 361-1). Pure: bytes in, bytes out. It knows no protocol that carries bursts and keeps no state
//! but that of an [`EmbeddedLc`] or a [`VoiceCall`] in the caller's hands.
//!
//! Reading takes any 33 bytes: what cannot be corrected is `None`, never a panic. Nothing allocates.
//!
//! The codes are modules of functions ([`bptc`], [`golay`], [`hamming`], [`qr`], [`rs`]); all else is here.

#![forbid(unsafe_code)]

pub mod bptc;
pub mod crc;
pub mod golay;
pub mod hamming;
pub mod qr;
pub mod rs;
pub mod trellis;

mod air;
mod call;
mod cyclic;
mod emb;
mod embedded;
mod fuzz;
mod kind;
mod layout;
mod lc;
mod slot_type;
mod sync;
mod voice;

pub use air::Air;
pub use call::VoiceCall;
pub use emb::{Emb, Lcss};
pub use embedded::{EmbeddedLc, embedded_fragment, set_embedded_fragment};
#[doc(hidden)]
pub use fuzz::fuzz_decode;
pub use kind::{BurstKind, DataType};
pub use lc::{Flco, FullLc, ServiceOptions};
pub use slot_type::SlotType;
pub use sync::Sync;
pub use voice::{
    AMBE_LEN, AMBE_SILENCE, ambe, rewrite_burst, set_ambe, terminator, voice_burst, voice_header,
};

/// Bytes of a burst: 264 bits (ETSI TS 102 361-1 section 4.2.2).
pub const BURST_LEN: usize = 33;
