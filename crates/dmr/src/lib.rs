//! The DMR air-interface codec: bursts, syncs, slot types, EMB and link control with their codes
//! (ETSI TS 102 361-1). Pure: bytes in, bytes out. It knows no protocol that carries bursts and keeps no state.

#![forbid(unsafe_code)]

mod kind;

pub use kind::{BurstKind, DataType};

/// Bytes of a burst: 264 bits (ETSI TS 102 361-1 section 4.2.2).
pub const BURST_LEN: usize = 33;
