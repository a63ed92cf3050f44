//! Datagrams are sealed with ChaCha20-Poly1305 (RFC 8439). Each node has a key of its own for each time it starts, made of the key that
//! all have (HMAC-SHA256), and counts its datagrams to each receiver, so no nonce comes twice.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::wire::{HEADER_LEN, Header, SEAL_LEN};

/// A key that all hosts of a network have, or two of them: 32 bytes. `Debug` shows `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct NetworkKey {
    bytes: [u8; 32],
    /// The byte that tells it from others, in clear.
    tag: u8,
}

impl NetworkKey {
    /// A key.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self { bytes, tag: mac(&bytes, &[b"FastForward 1 tag"])[0] }
    }

    /// The byte that tells it from others, in clear.
    pub(crate) fn tag(&self) -> u8 {
        self.tag
    }

    /// The key of a node that started then.
    pub(crate) fn of_node(&self, node: u32, start: u64) -> NodeKey {
        let key = mac(&self.bytes, &[b"FastForward 1 node", &node.to_le_bytes(), &start.to_le_bytes()[..6]]);
        NodeKey { made_of: self.clone(), cipher: ChaCha20Poly1305::new(&key.into()) }
    }
}

impl std::fmt::Debug for NetworkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // A key of any length is a key for it.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else { return [0; 32] };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Numbers of which nobody can guess the next: for challenges.
pub(crate) struct Random {
    seed: [u8; 32],
    drawn: u64,
}

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next one, never 0.
    pub(crate) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let mac = mac(&self.seed, &[&self.drawn.to_le_bytes()]);
        mac.first_chunk().map_or(1, |bytes| u64::from_le_bytes(*bytes)).max(1)
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The key of one node since it started.
#[derive(Clone)]
pub(crate) struct NodeKey {
    made_of: NetworkKey,
    cipher: ChaCha20Poly1305,
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// For a receiver, 0 where it is not known who that is.
fn nonce(number: u64, receiver: u32) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    nonce[8..].copy_from_slice(&receiver.to_le_bytes());
    nonce.into()
}

impl NodeKey {
    /// The key that it was made of.
    pub(crate) const fn made_of(&self) -> &NetworkKey {
        &self.made_of
    }

    /// Seals `len` bytes of content that lie behind the place for the header, and returns the length of the datagram. `out` has
    /// room for header, content and seal.
    pub(crate) fn seal(&self, header: &Header, receiver: u32, out: &mut [u8], len: usize) -> Option<usize> {
        let (head, rest) = out.split_at_mut_checked(HEADER_LEN)?;
        let (content, seal) = rest.split_at_mut_checked(len)?;
        head.copy_from_slice(&header.encode());
        let tag =
            self.cipher.encrypt_inout_detached(&nonce(header.number, receiver), head, content.into()).ok()?;
        seal.get_mut(..SEAL_LEN)?.copy_from_slice(&tag);
        Some(HEADER_LEN + len + SEAL_LEN)
    }

    /// Opens a datagram of this node in its place and returns what was sealed; `None` where the seal is not right, and then what
    /// `datagram` holds is nothing.
    pub(crate) fn open<'a>(
        &self,
        header: &Header,
        receiver: u32,
        datagram: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        let (head, rest) = datagram.split_at_mut_checked(HEADER_LEN)?;
        let (content, seal) = rest.split_at_mut_checked(rest.len().checked_sub(SEAL_LEN)?)?;
        let seal = seal.first_chunk::<SEAL_LEN>()?;
        let nonce = nonce(header.number, receiver);
        self.cipher.decrypt_inout_detached(&nonce, head, content.into(), &(*seal).into()).ok()?;
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { key: 7, node: 25_011, start: 0x0192_0000_0001, number: 9 };

    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut out = vec![0; HEADER_LEN + content.len() + SEAL_LEN];
        out[HEADER_LEN..HEADER_LEN + content.len()].copy_from_slice(content);
        let key = NetworkKey::new([1; 32]).of_node(HEADER.node, HEADER.start);
        let len = key.seal(&HEADER, 2, &mut out, content.len()).unwrap();
        assert_eq!(len, out.len());
        out
    }

    #[test]
    fn what_is_sealed_opens_for_whom_it_was_sealed_and_nobody_else() {
        let key = NetworkKey::new([1; 32]);
        let of_node = key.of_node(HEADER.node, HEADER.start);
        let datagram = sealed(b"bursts");
        assert_eq!(of_node.open(&HEADER, 2, &mut datagram.clone()), Some(&b"bursts"[..]));
        assert_eq!(of_node.open(&HEADER, 3, &mut datagram.clone()), None);
        assert_eq!(of_node.open(&Header { number: 10, ..HEADER }, 2, &mut datagram.clone()), None);
        for other in [key.of_node(1, HEADER.start), key.of_node(HEADER.node, 1)] {
            assert_eq!(other.open(&HEADER, 2, &mut datagram.clone()), None);
        }
        let other = NetworkKey::new([2; 32]).of_node(HEADER.node, HEADER.start);
        assert_eq!(other.open(&HEADER, 2, &mut datagram.clone()), None);
        for at in 0..datagram.len() {
            let mut changed = datagram.clone();
            changed[at] ^= 0x10;
            assert_eq!(of_node.open(&HEADER, 2, &mut changed), None, "byte {at}");
        }
        for len in 0..datagram.len() {
            assert_eq!(of_node.open(&HEADER, 2, &mut datagram[..len].to_vec()), None);
        }
    }

    #[test]
    fn keys_and_challenges_are_not_shown_and_not_guessed() {
        let key = NetworkKey::new([0xAB; 32]);
        let shown = format!("{key:?} {:?}", key.of_node(1, 2));
        assert!(!shown.contains("171") && !shown.to_lowercase().contains("ab"), "{shown}");
        let mut random = Random::new([3; 32]);
        let drawn: std::collections::BTreeSet<u64> = (0..1000).map(|_| random.draw()).collect();
        assert_eq!(drawn.len(), 1000);
    }
}
