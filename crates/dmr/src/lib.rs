//! The DMR air-interface codec (ETSI TS 102 361-1, call contents of TS 102 361-2): bursts with their syncs, slot types,
//! EMB and codes, and what they carry: link control with talker alias and position, control blocks, data headers
//! and data blocks. Pure: bytes in, bytes out. It knows no protocol that carries bursts, puts no data packets together
//! and keeps no state but that of an [`EmbeddedLc`], a [`TalkerAlias`] or a [`VoiceCall`] in the caller's hands.
//!
//! Reading takes any 33 bytes: what cannot be corrected is `None`, never a panic. Nothing allocates.
//!
//! The codes are modules of functions ([`bptc`], [`crc`], [`golay`], [`hamming`], [`qr`], [`rs`], [`trellis`]); all
//! else is here.

#![forbid(unsafe_code)]

pub mod bptc;
pub mod crc;
pub mod golay;
pub mod hamming;
pub mod qr;
pub mod rs;
pub mod trellis;

mod air;
mod alias_text;
mod block;
mod call;
mod csbk;
mod csbk_message;
mod cyclic;
mod data_block;
mod data_header;
mod data_packet;
mod emb;
mod embedded;
mod fuzz;
mod idle;
mod kind;
mod layout;
mod lc;
mod mbc;
mod position;
mod single_burst;
mod slot_type;
mod sync;
mod talker_alias;
mod voice;

pub use air::Air;
pub use alias_text::{AliasFormat, AliasText};
pub use call::VoiceCall;
pub use csbk::{Csbk, Csbko};
pub use csbk_message::{ANSWER_DENY, ANSWER_PROCEED, CsbkMessage, REASON_NOT_SUPPORTED};
pub use data_block::{DataBlock, DataRate};
pub use data_header::DataHeader;
pub use data_packet::{DataAddress, DataPacket};
pub use emb::{Emb, Lcss};
pub use embedded::{EmbeddedLc, embedded_fragment, set_embedded_fragment};
#[doc(hidden)]
pub use fuzz::fuzz_decode;
pub use idle::{IDLE, IDLE_INFO};
pub use kind::{BurstKind, DataType};
pub use lc::{Flco, FullLc, ServiceOptions};
pub use mbc::{MbcBlock, MbcHeader, PiHeader};
pub use position::{Position, PositionError};
pub use single_burst::{
    NULL_EMBEDDED, decode_reverse_channel, decode_single_burst, encode_reverse_channel, encode_single_burst,
};
pub use slot_type::SlotType;
pub use sync::Sync;
pub use talker_alias::TalkerAlias;
pub use voice::{
    AMBE_LEN, AMBE_SILENCE, ambe, rewrite_burst, set_ambe, terminator, voice_burst, voice_header,
};

/// Bytes of a burst: 264 bits (ETSI TS 102 361-1 section 4.2.2).
pub const BURST_LEN: usize = 33;
