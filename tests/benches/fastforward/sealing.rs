//! ChaCha20-Poly1305 as a datagram is sealed and opened with it, without all that is round it.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use fastforward::{BURST_FRAME_LEN, HEADER_LEN};

use crate::timed;

/// Sealing and opening so many datagrams with so many bursts: nanoseconds a burst.
pub(crate) fn measure(bursts: usize, datagrams: usize) -> [f64; 2] {
    let cipher = ChaCha20Poly1305::new(&[7; 32].into());
    let header = [1; HEADER_LEN];
    let nonce = |number: usize| {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&(number as u64).to_le_bytes());
        Nonce::from(nonce)
    };
    let mut contents = vec![vec![5; bursts * BURST_FRAME_LEN]; datagrams];
    let mut seals = Vec::with_capacity(datagrams);
    let sealing = timed(|| {
        for (number, content) in contents.iter_mut().enumerate() {
            let content = content.as_mut_slice().into();
            seals.push(cipher.encrypt_inout_detached(&nonce(number), &header, content).unwrap());
        }
    });
    let opening = timed(|| {
        for (number, (content, seal)) in contents.iter_mut().zip(&seals).enumerate() {
            let content = content.as_mut_slice().into();
            cipher.decrypt_inout_detached(&nonce(number), &header, content, seal).unwrap();
        }
    });
    assert!(contents.iter().flatten().all(|byte| *byte == 5));
    [sealing, opening].map(|ns| ns / (bursts * datagrams) as f64)
}
