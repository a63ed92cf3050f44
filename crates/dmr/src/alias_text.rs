//! The text of a talker alias, as the 28 bytes of its LCs have it (ETSI TS 102 361-2 sections 7.2.18 and 7.2.19): format
//! and length in seven bits, then text. Seven-bit text begins right there, all other in the second byte.

/// Bytes of all LCs behind their FIDs.
pub(crate) const BYTES: usize = 28;

/// Bytes of UTF-8 at most: each of 27 bytes may become a replacement character of three.
const TEXT: usize = 81;

/// How the text is written (section 7.2.18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AliasFormat {
    /// Seven bits a character: ASCII, at most 31 characters.
    SevenBit,
    /// ISO 8859-1, at most 27 characters.
    Iso8859_1,
    /// UTF-8, at most 27 bytes.
    Utf8,
    /// UTF-16, high byte first, at most 13 units.
    Utf16,
}

impl AliasFormat {
    /// From the low two bits of `value`.
    #[must_use]
    pub const fn from_bits(value: u8) -> Self {
        match value & 3 {
            0 => Self::SevenBit,
            1 => Self::Iso8859_1,
            2 => Self::Utf8,
            _ => Self::Utf16,
        }
    }

    /// 0..=3.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::SevenBit => 0,
            Self::Iso8859_1 => 1,
            Self::Utf8 => 2,
            Self::Utf16 => 3,
        }
    }

    /// The one that carries the most of `text` unchanged.
    #[must_use]
    pub fn for_text(text: &str) -> Self {
        let fit = |size: fn(char) -> usize, room| {
            text.chars()
                .scan(0, |sum, c| Some(*sum + size(c)).inspect(|&next| *sum = next))
                .filter(|&sum| sum <= room)
                .count()
        };
        if text.is_ascii() {
            Self::SevenBit
        } else if text.chars().all(|c| u32::from(c) <= 0xFF) {
            Self::Iso8859_1
        } else if fit(char::len_utf16, 13) > fit(char::len_utf8, 27) {
            Self::Utf16
        } else {
            Self::Utf8
        }
    }

    /// `text` with format and length, and how many bytes of it are of use.
    pub(crate) fn write(self, text: &str) -> ([u8; BYTES], usize) {
        let mut bytes = [0; BYTES];
        let mut length = 0;
        for c in text.chars() {
            let fits = match self {
                Self::SevenBit => push_seven_bits(&mut bytes, length, c),
                Self::Iso8859_1 => {
                    let byte = u8::try_from(u32::from(c)).unwrap_or(b'?');
                    bytes.get_mut(1 + length).map(|place| *place = byte).map(|()| 1)
                }
                Self::Utf8 => {
                    let end = 1 + length + c.len_utf8();
                    bytes.get_mut(1 + length..end).map(|place| c.encode_utf8(place).len())
                }
                Self::Utf16 => push_utf16(&mut bytes, length, c),
            };
            let Some(more) = fits else { break };
            length += more;
        }
        bytes[0] |= self.bits() << 6 | (length as u8) << 1;
        (bytes, self.bytes(length))
    }

    /// Of the 28 bytes, how many a text of `length` takes: characters of seven or eight bits, bytes of UTF-8 or
    /// units of UTF-16.
    fn bytes(self, length: usize) -> usize {
        let bytes = match self {
            Self::SevenBit => (7 * (length + 1)).div_ceil(8),
            Self::Iso8859_1 | Self::Utf8 => 1 + length,
            Self::Utf16 => 1 + 2 * length,
        };
        bytes.min(BYTES)
    }
}

/// The text of an alias. It has no control characters and no space at its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AliasText {
    bytes: [u8; TEXT],
    len: u8,
}

impl AliasText {
    const EMPTY: Self = Self { bytes: [0; TEXT], len: 0 };

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// Reads it from the first of the 28 bytes; `None` if its length says that there are more.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&head, text) = bytes.split_first()?;
        let (format, length) = (AliasFormat::from_bits(head >> 6), usize::from(head >> 1 & 0x1F));
        if bytes.len() < format.bytes(length) {
            return None;
        }
        Some(match format {
            AliasFormat::SevenBit => Self::of((0..length).map(|n| char::from(seven_bits(bytes, n)))),
            AliasFormat::Iso8859_1 => Self::of(text.iter().take(length).map(|&byte| char::from(byte))),
            // Some radios count characters instead of bytes. There are never more of them.
            AliasFormat::Utf8 => Self::of(utf8(text).take(length)),
            AliasFormat::Utf16 => {
                let units = text.as_chunks().0.iter().map(|&unit| u16::from_be_bytes(unit));
                let chars = char::decode_utf16(units.take(length));
                Self::of(chars.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)))
            }
        })
    }

    fn push(&mut self, c: char) {
        let at = usize::from(self.len);
        let end = at + c.len_utf8();
        if let Some(place) = self.bytes.get_mut(at..end)
            && !c.is_control()
        {
            c.encode_utf8(place);
            self.len = end as u8;
        }
    }

    /// Takes characters up to a zero, which is the filling of radios that count the filling too.
    fn of(chars: impl Iterator<Item = char>) -> Self {
        let mut text = Self::EMPTY;
        chars.take_while(|&c| c != '\0').for_each(|c| text.push(c));
        text.len = text.as_str().trim_end().len() as u8;
        text
    }
}

impl std::fmt::Display for AliasText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::fmt::Debug for AliasText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Character n of seven bits; the first is behind format and length, which have as many.
fn seven_bits(bytes: &[u8], n: usize) -> u8 {
    let bit = 7 * (n + 1);
    let byte = |n: usize| u16::from(bytes.get(n).copied().unwrap_or_default());
    ((byte(bit / 8) << 8 | byte(bit / 8 + 1)) >> (9 - bit % 8)) as u8 & 0x7F
}

fn push_seven_bits(bytes: &mut [u8; BYTES], n: usize, c: char) -> Option<usize> {
    let bit = 7 * (n + 1);
    let character = if c.is_ascii() { c as u16 } else { u16::from(b'?') };
    let bits = (character << (9 - bit % 8)).to_be_bytes();
    *bytes.get_mut(bit / 8)? |= bits[0];
    if bits[1] != 0 {
        *bytes.get_mut(bit / 8 + 1)? |= bits[1];
    }
    Some(1)
}

fn push_utf16(bytes: &mut [u8; BYTES], length: usize, c: char) -> Option<usize> {
    let mut units = [0; 2];
    let units = c.encode_utf16(&mut units);
    let at = 1 + 2 * length;
    let places = bytes.get_mut(at..at + 2 * units.len())?.as_chunks_mut().0;
    for (place, unit) in places.iter_mut().zip(&*units) {
        *place = unit.to_be_bytes();
    }
    Some(units.len())
}

/// The characters of `bytes`, with replacements for what is none. One that is cut off at the end is left out.
fn utf8(bytes: &[u8]) -> impl Iterator<Item = char> {
    let end = bytes.as_ptr_range().end;
    bytes.utf8_chunks().flat_map(move |chunk| {
        let spoilt = !chunk.invalid().is_empty() && chunk.invalid().as_ptr_range().end != end;
        chunk.valid().chars().chain(spoilt.then_some(char::REPLACEMENT_CHARACTER))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [AliasFormat; 4] =
        [AliasFormat::SevenBit, AliasFormat::Iso8859_1, AliasFormat::Utf8, AliasFormat::Utf16];

    fn round_trip(format: AliasFormat, text: &str) -> String {
        let (bytes, used) = format.write(text);
        assert!(AliasText::read(&bytes[..used - 1]).is_none());
        AliasText::read(&bytes[..used]).unwrap().to_string()
    }

    #[test]
    fn bytes_are_where_the_standard_has_them() {
        let (bytes, used) = AliasFormat::Iso8859_1.write("DL1ABC");
        assert_eq!((used, &bytes[..8]), (7, &b"\x4CDL1ABC\0"[..]));
        // A is 1000001 and B 1000010: the first bit is the last of the first byte.
        let (bytes, used) = AliasFormat::SevenBit.write("AB");
        assert_eq!((used, &bytes[..4]), (3, &[2 << 1 | 1, 0b0000_0110, 0b0001_0000, 0][..]));
        let (bytes, used) = AliasFormat::Utf16.write("Ж");
        assert_eq!((used, &bytes[..4]), (3, &[0xC2, 0x04, 0x16, 0][..]));
        for bits in 0..4 {
            assert_eq!(AliasFormat::from_bits(bits).bits(), bits);
        }
    }

    #[test]
    fn too_long_a_text_is_cut() {
        let long = "DL1ABC Bartholomäus Österreicher";
        assert_eq!(round_trip(AliasFormat::SevenBit, long), "DL1ABC Bartholom?us ?sterreiche");
        assert_eq!(round_trip(AliasFormat::Iso8859_1, long), "DL1ABC Bartholomäus Österre");
        assert_eq!(round_trip(AliasFormat::Utf8, long), "DL1ABC Bartholomäus Öster");
        assert_eq!(round_trip(AliasFormat::Utf16, long), "DL1ABC Bartho");
        assert_eq!(round_trip(AliasFormat::Utf16, "123456789012🙂"), "123456789012");
        assert_eq!(
            round_trip(AliasFormat::Utf8, "12345678901234567890123456ä"),
            "12345678901234567890123456"
        );
        assert_eq!(round_trip(AliasFormat::Utf8, ""), "");
    }

    #[test]
    fn the_format_that_carries_most() {
        for (text, format) in [
            ("DL1ABC", AliasFormat::SevenBit),
            ("Jürgen", AliasFormat::Iso8859_1),
            ("Łukasz", AliasFormat::Utf8),
            ("Сергей Иванович", AliasFormat::Utf8),
            ("東京都港区芝公園四丁目", AliasFormat::Utf16),
        ] {
            assert_eq!(AliasFormat::for_text(text), format, "{text}");
        }
    }

    /// Filling that is counted, control characters, bytes that are no text, and characters counted as bytes.
    #[test]
    fn radios_that_do_otherwise() {
        let read = |bytes: &[u8]| AliasText::read(bytes).unwrap().to_string();
        assert_eq!(read(b"\x5EAB  \0\0\0\0\0\0\0\0\0\0\0\0"), "AB");
        assert_eq!(read(b"\x4EA\x1B[1mB\n"), "A[1mB");
        assert_eq!(read(b"\x8AA\xFFB\xC3("), "A\u{FFFD}B\u{FFFD}(");
        assert_eq!(read("\u{8C}Jürgen\0\0\0\0\0\0".as_bytes().split_first().unwrap().1), "Jürgen");
        assert_eq!(read(&[0xC4, 0xD8, 0x00, 0, b'A']), "\u{FFFD}A");
        assert_eq!(read(&[0xBE; 28]).len(), 78);
    }

    proptest! {
        #[test]
        fn what_fits_round_trips(seven in "[ -~]{0,30}[!-~]", latin in "[ -~\u{A1}-\u{FF}]{0,26}[!-~]",
                                 any in "[^\\p{C}\\s]{0,6}", wide in "[А-я]{0,13}") {
            prop_assert_eq!(round_trip(AliasFormat::SevenBit, &seven), seven);
            prop_assert_eq!(round_trip(AliasFormat::Iso8859_1, &latin), latin);
            prop_assert_eq!(round_trip(AliasFormat::Utf8, &wide), &*wide);
            prop_assert_eq!(round_trip(AliasFormat::Utf16, &wide), wide);
            for format in [AliasFormat::Utf8, AliasFormat::Utf16, AliasFormat::for_text(&any)] {
                prop_assert_eq!(round_trip(format, &any), &*any);
            }
        }

        #[test]
        fn any_bytes_are_text_or_none(bytes in prop::collection::vec(any::<u8>(), 0..=28), text: String) {
            if let Some(text) = AliasText::read(&bytes) {
                prop_assert!(!text.as_str().contains(char::is_control));
            }
            for format in ALL {
                let (bytes, used) = format.write(&text);
                prop_assert!(AliasText::read(&bytes[..used]).is_some());
            }
        }
    }
}
