//! The salt of a login, computed instead of stored, so that a flood of `RPTL` costs no memory.
//!
//! It is a keyed digest of who asks, whence and when. It is known only to whom it was sent: a login with a
//! forged address cannot answer it.

use std::net::{IpAddr, SocketAddr};

use sha2::{Digest, Sha256};
use stack::Time;

/// How long a salt is given out, in microseconds. It is taken for one such window more.
const WINDOW_US: u64 = 30_000_000;

/// Gives out salts.
pub(crate) struct Salter {
    key: [u8; 32],
}

impl Salter {
    /// `key` must be secret, and the same for all who may serve the shard.
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The salts that the device may have been given: the present one and the one before.
    pub(crate) fn salts(&self, id: u32, from: SocketAddr, now: Time) -> [[u8; 4]; 2] {
        let window = now.0 / WINDOW_US;
        [self.salt(id, from, window), self.salt(id, from, window.wrapping_sub(1))]
    }

    /// The present salt of the device.
    pub(crate) fn present(&self, id: u32, from: SocketAddr, now: Time) -> [u8; 4] {
        self.salt(id, from, now.0 / WINDOW_US)
    }

    fn salt(&self, id: u32, from: SocketAddr, window: u64) -> [u8; 4] {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(id.to_be_bytes());
        // Every part has a fixed length but the address, and 4 and 16 bytes cannot be mistaken for each other:
        // the whole is longer with the one than with the other.
        match from.ip() {
            IpAddr::V4(ip) => hash.update(ip.octets()),
            IpAddr::V6(ip) => hash.update(ip.octets()),
        }
        hash.update(from.port().to_be_bytes());
        hash.update(window.to_be_bytes());
        let digest = hash.finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn salt_depends_on_all_of_it_and_lasts_a_window() {
        let salter = Salter::new([7; 32]);
        let from: SocketAddr = "192.0.2.1:62031".parse().unwrap();
        let salt = salter.present(1, from, Time(0));
        assert_eq!(salt, salter.present(1, from, Time(30 * SECOND - 1)));
        assert_ne!(salt, salter.present(1, from, Time(30 * SECOND)));
        assert_ne!(salt, salter.present(2, from, Time(0)));
        assert_ne!(salt, salter.present(1, "192.0.2.2:62031".parse().unwrap(), Time(0)));
        assert_ne!(salt, salter.present(1, "192.0.2.1:62032".parse().unwrap(), Time(0)));
        assert_ne!(salt, Salter::new([8; 32]).present(1, from, Time(0)));
        assert_eq!(salter.salts(1, from, Time(59 * SECOND))[1], salt);
        assert!(!salter.salts(1, from, Time(60 * SECOND)).contains(&salt));
    }
}
