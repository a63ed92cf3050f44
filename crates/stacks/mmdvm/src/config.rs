//! What a device says of itself in `RPTC`: fields of fixed width, text padded with spaces.
//!
//! What the switch or the log depends on is checked; what is only shown (power, height, position, texts) is
//! taken as well as it can be read. The URL is not kept.

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};
use stack::{Slot, Slots};

use crate::Error;

/// A place on Earth, in millionths of a degree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// North of the equator, -90000000..=90000000.
    pub latitude: i32,
    /// East of Greenwich, -180000000..=180000000.
    pub longitude: i32,
}

impl Position {
    /// From two texts of degrees; `None` where they are none or out of range.
    pub(crate) fn parse(latitude: &[u8], longitude: &[u8]) -> Option<Self> {
        Some(Self { latitude: degrees(latitude, 90.0)?, longitude: degrees(longitude, 180.0)? })
    }
}

/// What a device is. The texts lie in it: a shard has many of them, and each piece of memory of its own costs as
/// much again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Call sign: 1..=8 letters, digits, `-` and `/`.
    pub call: ArrayString<8>,
    /// The frequency on which it listens, Hz; 0 where it has none.
    pub rx_frequency: u32,
    /// The frequency on which it sends, Hz; 0 where it has none.
    pub tx_frequency: u32,
    /// Power, W; 0 where unknown.
    pub power: u8,
    /// Colour code, 0..=15.
    pub colour_code: u8,
    /// Where it is, if it says so.
    pub position: Option<Position>,
    /// Height above ground, m; 0 where unknown.
    pub height: i16,
    /// Name of the place.
    pub location: ArrayString<20>,
    /// A description.
    pub description: ArrayString<20>,
    /// The timeslots that it serves.
    pub slots: Slots,
    /// Its software.
    pub software: ArrayString<MAX_SOFTWARE>,
    /// The package or modem it runs with.
    pub package: ArrayString<MAX_SOFTWARE>,
}

/// How much of the texts of software and package is kept, in bytes: a record has no room for all 40.
const MAX_SOFTWARE: usize = 32;

/// The parts of an `RPTC`, in whichever dialect.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// The call sign.
    pub call: &'a [u8; 8],
    /// What follows call sign and ID.
    pub rest: &'a [u8; 286],
    /// Whether there may be a byte that says which slots it serves. The specification of 2015 has none: its
    /// description is one byte longer.
    pub slots: bool,
}

impl Config {
    /// Takes apart what a device says.
    ///
    /// # Errors
    /// [`Error::Field`] names the field that cannot be.
    pub fn parse(Fields { call, rest, slots }: Fields<'_>) -> Result<Self, Error> {
        let rx_frequency = frequency("RX frequency", &rest[0..9])?;
        let tx_frequency = frequency("TX frequency", &rest[9..18])?;
        let (description, slots) = if slots && rest[81].is_ascii_digit() {
            (&rest[62..81], rest[81])
        } else {
            (&rest[62..82], b'3')
        };
        let simplex = rx_frequency == tx_frequency && rx_frequency != 0;
        Ok(Self {
            call: call_sign(call)?,
            rx_frequency,
            tx_frequency,
            power: number(&rest[18..20]).unwrap_or(0),
            colour_code: colour_code(&rest[20..22])?,
            position: Position::parse(&rest[22..30], &rest[30..39]),
            height: number(&rest[39..42]).unwrap_or(0),
            location: text(&rest[42..62]),
            description: text(description),
            slots: if simplex { Slots::Simplex } else { slots_of(slots)? },
            software: text(&rest[206..246]),
            package: text(&rest[246..286]),
        })
    }
}

fn wrong(field: &'static str, value: &[u8], valid: &'static str) -> Error {
    let value = trim(value);
    let value = value.iter().map(|&b| if (b' '..=b'~').contains(&b) { char::from(b) } else { '?' }).collect();
    Error::Field { field, value, valid }
}

fn call_sign(bytes: &[u8; 8]) -> Result<ArrayString<8>, Error> {
    let call = trim(bytes);
    let legal = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'/');
    if call.is_empty() || !call.iter().all(legal) {
        return Err(wrong("call sign", bytes, "letters, digits, - and /, and not empty"));
    }
    Ok(text(call))
}

fn frequency(field: &'static str, bytes: &[u8]) -> Result<u32, Error> {
    digits(bytes).ok_or_else(|| wrong(field, bytes, "digits: a frequency in Hz, or 000000000"))
}

fn colour_code(bytes: &[u8]) -> Result<u8, Error> {
    digits(bytes)
        .and_then(|code| u8::try_from(code).ok())
        .filter(|code| *code <= 15)
        .ok_or_else(|| wrong("colour code", bytes, "0..=15"))
}

fn slots_of(byte: u8) -> Result<Slots, Error> {
    match byte {
        b'0' | b'3' => Ok(Slots::Both),
        b'1' => Ok(Slots::Only(Slot::One)),
        b'2' => Ok(Slots::Only(Slot::Two)),
        b'4' => Ok(Slots::Simplex),
        _ => Err(wrong("slots", &[byte], "0, 1, 2, 3 (both) or 4 (simplex)")),
    }
}

/// A field without its padding.
fn trim(bytes: &[u8]) -> &[u8] {
    let padding = |b: &u8| b.is_ascii_whitespace() || *b == 0;
    let Some(start) = bytes.iter().position(|b| !padding(b)) else { return &[] };
    let end = bytes.iter().rposition(|b| !padding(b)).map_or(bytes.len(), |last| last + 1);
    &bytes[start..end]
}

/// At most nine digits.
fn digits(bytes: &[u8]) -> Option<u32> {
    let bytes = trim(bytes);
    if bytes.iter().any(|b| !b.is_ascii_digit()) {
        return None;
    }
    number(bytes)
}

fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(trim(bytes)).ok()?.parse().ok()
}

fn degrees(bytes: &[u8], most: f64) -> Option<i32> {
    let degrees: f64 = number(bytes)?;
    #[expect(clippy::cast_possible_truncation, reason = "at most 180 million")]
    (-most..=most).contains(&degrees).then(|| (degrees * 1e6).round() as i32)
}

/// A character that would change how a terminal or a log shows what stands round it.
fn is_deceptive(c: char) -> bool {
    let invisible = [
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{e0000}'..='\u{e007f}',
    ];
    c.is_control() || c == '\u{feff}' || invisible.iter().any(|range| range.contains(&c))
}

/// A text as UTF-8, or else as Latin-1, without control characters; what is over the room for it is cut off.
fn text<const ROOM: usize>(bytes: &[u8]) -> ArrayString<ROOM> {
    let field = trim(bytes);
    let latin_1 = || field.iter().copied().map(char::from).collect();
    let decoded = std::str::from_utf8(field).map_or_else(|_| latin_1(), str::to_owned);
    let mut text = ArrayString::new();
    for c in decoded.chars().map(|c| if is_deceptive(c) { '?' } else { c }) {
        if text.try_push(c).is_err() {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What DMRHost sends by default.
    fn body() -> [u8; 294] {
        let text = format!(
            "{:<8}{:09}{:09}{:02}{:02}{:>8}{:>9}{:03}{:<20}{:<19}{}{:<124}{:<40}{:<40}",
            "N0CALL",
            435_000_000,
            431_000_000,
            10,
            1,
            "50.12345",
            "008.67890",
            75,
            "Here",
            "A hill",
            3,
            "www",
            "v1",
            "MMDVM",
        );
        text.as_bytes().try_into().unwrap()
    }

    fn with(at: usize, bytes: &[u8]) -> Result<Config, Error> {
        let mut body = body();
        body[at..at + bytes.len()].copy_from_slice(bytes);
        Config::parse(fields(&body))
    }

    fn fields(body: &[u8; 294]) -> Fields<'_> {
        let (call, rest) = body.split_first_chunk().unwrap();
        Fields { call, rest: rest.try_into().unwrap(), slots: true }
    }

    #[test]
    fn takes_every_field() {
        let config = Config::parse(fields(&body())).unwrap();
        let position = Some(Position { latitude: 50_123_450, longitude: 8_678_900 });
        let expected = Config {
            call: text("N0CALL".as_bytes()),
            rx_frequency: 435_000_000,
            tx_frequency: 431_000_000,
            power: 10,
            colour_code: 1,
            position,
            height: 75,
            location: text("Here".as_bytes()),
            description: text("A hill".as_bytes()),
            slots: Slots::Both,
            software: text("v1".as_bytes()),
            package: text("MMDVM".as_bytes()),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn refuses_what_cannot_be_and_says_why() {
        let reason = |at, bytes: &[u8]| with(at, bytes).unwrap_err().to_string();
        let call = "must be letters, digits, - and /, and not empty";
        assert_eq!(reason(0, b"        "), format!("call sign \"\" in the configuration: {call}"));
        assert_eq!(
            reason(0, b"N0\x1bCALL\xff"),
            format!("call sign \"N0?CALL?\" in the configuration: {call}")
        );
        assert_eq!(reason(28, b"16"), "colour code \"16\" in the configuration: must be 0..=15");
        assert_eq!(reason(28, b"-1"), "colour code \"-1\" in the configuration: must be 0..=15");
        assert!(reason(8, b"43500000x").starts_with("RX frequency \"43500000x\""));
        assert!(reason(17, b"+43500000").starts_with("TX frequency \"+43500000\""));
        assert!(reason(17, b"         ").starts_with("TX frequency \"\""));
        assert!(reason(89, b"7").starts_with("slots \"7\""));
    }

    #[test]
    fn is_lenient_about_what_is_only_shown() {
        assert_eq!(with(30, b"0.00000000.000000").unwrap().position, Position::parse(b"0", b"0"));
        assert_eq!(with(30, &[b' '; 17]).unwrap().position, None);
        assert_eq!(with(30, b"     nan").unwrap().position, None);
        assert_eq!(with(30, b"91.00000").unwrap().position, None);
        assert_eq!(with(47, b"-12").unwrap().height, -12);
        assert_eq!(with(47, b"abc").unwrap().height, 0);
        assert_eq!(with(26, b"xx").unwrap().power, 0);
        assert_eq!(with(28, b" 1").unwrap().colour_code, 1);
        assert_eq!(with(50, b"M\xfcnchen\0\x01x").unwrap().location.as_str(), "München??x");
        assert_eq!(with(50, "Zürich".as_bytes()).unwrap().location.as_str(), "Zürich");
        assert_eq!(with(50, &[0xFC; 20]).unwrap().location.as_str(), "ü".repeat(10));
        assert_eq!(with(0, b"m0abc/p\0").unwrap().call.as_str(), "m0abc/p");
    }

    #[test]
    fn knows_the_slots() {
        let slots = |byte| with(89, &[byte]).unwrap().slots;
        assert_eq!(slots(b'0'), Slots::Both);
        assert_eq!(slots(b'1'), Slots::Only(Slot::One));
        assert_eq!(slots(b'2'), Slots::Only(Slot::Two));
        assert_eq!(slots(b'4'), Slots::Simplex);
        let zero = with(8, b"000000000000000000").unwrap();
        assert_eq!(zero.slots, Slots::Both, "no frequency at all is no simplex hotspot");
        assert_eq!(with(8, b"434000000434000000").unwrap().slots, Slots::Simplex);
        let long = with(70, b"twenty characters ok").unwrap();
        assert_eq!((long.slots, long.description.as_str()), (Slots::Both, "twenty characters ok"));
    }

    #[test]
    fn a_digit_is_no_slot_where_there_is_no_byte_for_it() {
        let mut body = body();
        body[70..90].copy_from_slice(b"on the tower, floor4");
        let config = Config::parse(Fields { slots: false, ..fields(&body) }).unwrap();
        assert_eq!((config.slots, config.description.as_str()), (Slots::Both, "on the tower, floor4"));
        assert_eq!(Config::parse(fields(&body)).unwrap().slots, Slots::Simplex);
    }

    #[test]
    fn of_software_and_package_the_beginning_is_kept() {
        let config = with(214, &[b'v'; 80]).unwrap();
        assert_eq!((config.software.as_str(), config.package.as_str()), (&*"v".repeat(32), &*"v".repeat(32)));
    }

    proptest! {
        #[test]
        fn texts_stay_within_their_fields(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let (whole, cut) = (text::<128>(&bytes), text::<7>(&bytes));
            prop_assert!(cut.len() <= 7 && whole.starts_with(cut.as_str()));
            // A character more would not have fitted.
            let next = whole[cut.len()..].chars().next();
            prop_assert!(next.is_none_or(|next| cut.len() + next.len_utf8() > 7));
            prop_assert!(whole.chars().all(|c| !is_deceptive(c)));
        }
    }
}
