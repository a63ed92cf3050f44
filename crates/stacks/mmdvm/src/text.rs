//! The control datagrams of the text dialect, taken apart: DL5DI 2015 with what BrandMeister's wiki adds.
//!
//! All that is a number in the binary dialect is hexadecimal digits here, in either case; the master writes upper
//! case. `docs/mmdvm.md` says what is known of this dialect and what is not.

use stack::Slot;

use crate::config::Fields;
use crate::packet::{MAX_OPTIONS, Packet};

/// Length of an `RPTC`, in bytes.
const CONFIG_LEN: usize = 306;

/// Longest field strength of an `RPTRSSI`, in bytes: `-120.0` and a little more.
const MAX_RSSI: usize = 8;

/// The packet that `bytes` are; `None` where they are none of this dialect: they may be one of the other.
pub(crate) fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    let (tag, rest) = bytes.split_first_chunk::<4>()?;
    match tag {
        b"RPTL" => Some(Packet::Login { id: exact(rest)? }),
        b"RPTK" => {
            let (id, digest) = with_id(rest)?;
            Some(Packet::Key { id, digest: unhex(digest)? })
        }
        // A call sign may begin with L: the length tells a configuration from a goodbye.
        b"RPTC" if bytes.len() == CONFIG_LEN => config(rest),
        b"RPTC" => Some(Packet::Close { id: exact(rest.strip_prefix(b"L")?)? }),
        b"RPTO" => {
            let (id, text) = with_id(rest).filter(|(_, text)| text.len() <= MAX_OPTIONS)?;
            Some(Packet::Options { id, text })
        }
        b"RPTP" => Some(Packet::Ping { id: exact(rest.strip_prefix(b"ING")?)? }),
        b"MSTP" => Some(Packet::MasterPing { id: exact(rest.strip_prefix(b"ING")?)? }),
        b"RPTR" => match with_id(rest.strip_prefix(b"SSI")?)? {
            (id, [b':', b'0'..=b'2', rssi @ ..]) if rssi.len() <= MAX_RSSI => Some(Packet::Rssi { id }),
            _ => None,
        },
        b"RPTI" => match with_id(rest.strip_prefix(b"NTR")?)? {
            (id, b":1") => Some(Packet::Interrupt { id, slot: Slot::One }),
            // 0 is the one slot of a simplex hotspot.
            (id, b":0" | b":2") => Some(Packet::Interrupt { id, slot: Slot::Two }),
            _ => None,
        },
        _ => None,
    }
}

/// What follows `RPTC`. The call sign is before the ID in the specification and in all clients that are public;
/// one that has the ID first, as in the binary dialect, is understood too.
fn config(rest: &[u8]) -> Option<Packet<'_>> {
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (second, rest) = rest.split_first_chunk::<8>()?;
    let (id, call) = match number(second) {
        Some(id) => (id, first),
        None => (number(first)?, second),
    };
    Some(Packet::Config { id, fields: Fields { call, rest: rest.try_into().ok()?, slots: false } })
}

/// The ID that begins `bytes`, and what follows it.
fn with_id(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (id, rest) = bytes.split_first_chunk::<8>()?;
    Some((number(id)?, rest))
}

/// The ID that `bytes` are.
fn exact(bytes: &[u8]) -> Option<u32> {
    number(bytes.try_into().ok()?)
}

fn number(digits: &[u8; 8]) -> Option<u32> {
    unhex(digits).map(u32::from_be_bytes)
}

/// The `N` bytes that twice as many digits stand for.
fn unhex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

const fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Eight digits, upper case.
pub(crate) fn hex(bytes: [u8; 4]) -> [u8; 8] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut digits = [0; 8];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Dialect, parse as either};

    #[test]
    fn the_examples_of_the_specification() {
        assert!(matches!(parse(b"RPTL00040178"), Some(Packet::Login { id: 0x0004_0178 })));
        let key = b"RPTK00040178cbf0e29abbd11c6573825d36a664e3064441f91fc815ac5dc5ca570d4c4a5f85";
        let Some(Packet::Key { id, digest }) = parse(key) else { panic!() };
        assert_eq!((id, digest[0], digest[31]), (0x0004_0178, 0xCB, 0x85));
        assert!(matches!(parse(b"MSTPING00040178"), Some(Packet::MasterPing { id: 0x0004_0178 })));
        assert!(matches!(parse(b"RPTCL00040178"), Some(Packet::Close { id: 0x0004_0178 })));
        assert!(matches!(parse(b"RPTRSSI01234567:1-120.0"), Some(Packet::Rssi { id: 0x0123_4567 })));
        let interrupt = parse(b"RPTINTR01234567:1");
        assert!(matches!(interrupt, Some(Packet::Interrupt { id: 0x0123_4567, slot: Slot::One })));
    }

    #[test]
    fn options_are_told_apart_by_the_digits_of_the_id() {
        let text = either(b"RPTO00040178TS1=91").unwrap();
        assert!(matches!(text, (Packet::Options { id: 0x0004_0178, text: b"TS1=91" }, Some(Dialect::Text))));
        let binary = either(b"RPTO\0\x04\x01\x78TS1=91;T").unwrap();
        assert!(matches!(binary, (Packet::Options { id: 0x0004_0178, .. }, Some(Dialect::Binary))));
        let long = [&b"RPTO00040178"[..], &[b' '; MAX_OPTIONS]].concat();
        assert!(parse(&long).is_some() && parse(&[&long[..], b" "].concat()).is_none());
    }

    proptest! {
        #[test]
        fn digits_come_back_as_written(bytes: [u8; 4]) {
            let digits = hex(bytes);
            let expected = format!("{:08X}", u32::from_be_bytes(bytes));
            prop_assert_eq!(&digits[..], expected.as_bytes());
            prop_assert_eq!(unhex(&digits), Some(bytes));
            prop_assert_eq!(unhex(&digits.to_ascii_lowercase()), Some(bytes));
            prop_assert_eq!(unhex::<4>(&digits[..7]), None);
            prop_assert_eq!(unhex::<3>(&digits), None);
        }

        #[test]
        fn a_binary_packet_of_a_real_id_is_none(id in 1_u32..=799_999_999, options in "[ -~]{0,40}") {
            let packet = |tag: &[u8], rest: &[u8]| [tag, &id.to_be_bytes(), rest].concat();
            for bytes in [
                packet(b"RPTL", &[]),
                packet(b"RPTK", &[b'0'; 32]),
                packet(b"RPTC", &[b'0'; 294]),
                packet(b"RPTCL", &[]),
                packet(b"RPTO", options.as_bytes()),
                packet(b"RPTPING", &[]),
            ] {
                prop_assert!(parse(&bytes).is_none());
                prop_assert!(matches!(either(&bytes), Ok((_, Some(Dialect::Binary)))));
            }
        }

        #[test]
        fn any_bytes_are_an_answer(
            tag in 0_usize..9,
            rest in proptest::collection::vec(any::<u8>(), 0..320),
            digits in "[0-9a-fA-F]{8}",
        ) {
            let tags = ["RPTL", "RPTK", "RPTC", "RPTCL", "RPTO", "RPTPING", "MSTPING", "RPTRSSI", "RPTINTR"];
            let _ = either(&[tags[tag].as_bytes(), &rest].concat());
            if let Some(packet) = parse(&[tags[tag].as_bytes(), digits.as_bytes(), &rest].concat()) {
                let id = u32::from_str_radix(&digits, 16).unwrap();
                let config = matches!(packet, Packet::Config { .. });
                prop_assert!(config || packet.id() == id);
            }
        }
    }
}
