//! The signatures of datagrams: HMAC-SHA1 (RFC 2104) with the key, and keyed BLAKE2b (RFC 7693) of 128 bits for `DMRE`.

use blake2::Blake2bMac;
use blake2::digest::consts::U16;
use blake2::digest::{KeyInit, Mac};
use hmac::Hmac;
use sha1::Sha1;
use stack::Key;

/// Bytes of an HMAC-SHA1.
pub(crate) const SHA1_LEN: usize = 20;
/// Bytes of the BLAKE2b of a `DMRE`.
pub(crate) const BLAKE2_LEN: usize = 16;

/// A key, made ready: to sign or to check costs no set-up.
#[derive(Clone)]
pub struct Signer {
    sha1: Hmac<Sha1>,
    blake2: Blake2bMac<U16>,
}

impl Signer {
    /// With this key; `None` where it is longer than either function takes, 64 bytes.
    #[must_use]
    pub fn new(key: &Key) -> Option<Self> {
        let key = key.expose();
        Some(Self { sha1: Hmac::new_from_slice(key).ok()?, blake2: Blake2bMac::new_from_slice(key).ok()? })
    }

    /// HMAC-SHA1 of `bytes`.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; SHA1_LEN] {
        let mut mac = self.sha1.clone();
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }

    /// BLAKE2b of `bytes`.
    #[must_use]
    pub fn sign_enhanced(&self, bytes: &[u8]) -> [u8; BLAKE2_LEN] {
        let mut mac = self.blake2.clone();
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }

    /// Whether `signature`, by its length, is the HMAC-SHA1 or the BLAKE2b of `bytes`. It takes as long for a wrong one as for
    /// the right one.
    #[must_use]
    pub fn is_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        if signature.len() == BLAKE2_LEN {
            let mut mac = self.blake2.clone();
            mac.update(bytes);
            return mac.verify_slice(signature).is_ok();
        }
        let mut mac = self.sha1.clone();
        mac.update(bytes);
        mac.verify_slice(signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn known_answers() {
        // RFC 2202, case 2; BLAKE2b from an independent implementation.
        let signer = Signer::new(&Key::new("Jefe").unwrap()).unwrap();
        let text = b"what do ya want for nothing?";
        assert_eq!(hex(&signer.sign(text)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(hex(&signer.sign_enhanced(text)), "dd524d94030b47252bb69dda5c9204d1");
        assert!(
            signer.is_signed(text, &signer.sign(text)) && signer.is_signed(text, &signer.sign_enhanced(text))
        );
        let mut wrong = signer.sign(text);
        wrong[19] ^= 1;
        assert!(
            !signer.is_signed(text, &wrong)
                && !signer.is_signed(text, &wrong[..10])
                && !signer.is_signed(text, &[])
        );
        assert!(Signer::new(&Key::new("k".repeat(64)).unwrap()).is_some());
    }
}
