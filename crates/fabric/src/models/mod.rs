//! Models of what the words of a segment promise, over every interleaving and every value that the memory
//! model lets a load return: `RUSTFLAGS="--cfg loom" cargo test -p fabric --lib --release models`.
//!
//! A writer that is stopped at any point for as long as a reader runs is what a reader sees of one that died
//! there: that, too, is one of the interleavings.

#![allow(clippy::unwrap_used, reason = "a failed model is to stop")]

mod bell;
mod cell;
mod location;
mod origin;
mod queue;
mod ring;

use std::sync::Arc;

use crate::sync::AtomicU64;

/// So many words of shared memory, all zero.
fn words(count: usize) -> Arc<[AtomicU64]> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

/// Bytes all of whose words say `n`.
fn bytes<const LEN: usize>(n: u64) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes.as_chunks_mut().0.fill(n.to_ne_bytes());
    bytes
}

/// The number that all words say.
#[track_caller]
fn number(bytes: &[u8]) -> u64 {
    let words = bytes.as_chunks().0;
    assert!(words.iter().all(|word| *word == words[0]), "torn: {bytes:?}");
    u64::from_ne_bytes(words[0])
}

/// Runs a model in all its interleavings with at most four preemptions of a thread that could have gone on, or
/// as many as LOOM_MAX_PREEMPTIONS says.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(4);
    builder.check(model);
}
