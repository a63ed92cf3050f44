//! Lists of users as they are published, in CSV and JSON: of each its radio's ID, call sign, name and place.

use std::fmt;

use anyhow::{Context, Result, anyhow, bail};
use registry::{Profile, Record, Space};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::input::Input;
use super::writer::Writer;

/// What such a list says nothing of: it stays as it is.
pub(super) const KEEP: [&str; 9] =
    ["algorithm", "key", "interval", "capabilities", "language", "active", "ssid", "symbol", "text"];
/// The longest call sign of a profile, in characters.
const MAX_CALL: usize = 16;
/// The longest other text.
const MAX_TEXT: usize = 128;

/// The columns that are read, each with the names it goes by.
const COLUMNS: [&[&str]; 7] = [
    &["radio_id", "id"],
    &["callsign", "call"],
    &["first_name", "fname", "name"],
    &["last_name", "surname"],
    &["city"],
    &["state"],
    &["country"],
];

/// Whether a file that begins with this line is such a list in CSV.
pub(super) fn is_header(line: &str) -> bool {
    let names: Vec<&str> = line.split(',').map(|name| name.trim().trim_matches('"')).collect();
    let has = |column: &[&str]| {
        column.iter().any(|name| names.iter().any(|other| other.eq_ignore_ascii_case(name)))
    };
    has(COLUMNS[0]) && has(COLUMNS[1])
}

/// The record of a user, and how many of its texts were cut.
fn record(texts: [&str; 7]) -> Result<(Map<String, Value>, usize), String> {
    let [id, call, first, last, city, state, country] = texts;
    let id: u32 = id.trim().parse().map_err(|_| "its ID is no number of a radio".to_owned())?;
    let mut cut = 0;
    let mut clean = |text: &str, most: usize| {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        let text = text.trim();
        let short: String = text.chars().take(most).collect();
        cut += usize::from(short.len() < text.len());
        short
    };
    let profile = Profile {
        id,
        call: clean(call, MAX_CALL),
        name: clean(&format!("{} {}", first.trim(), last.trim()), MAX_TEXT),
        city: clean(city, MAX_TEXT),
        state: clean(state, MAX_TEXT),
        country: clean(country, MAX_TEXT),
        ..Profile::default()
    };
    let mut object = Record::of(&profile).map_err(|error| error.to_string())?.object();
    object.retain(|name, _| !KEEP.contains(&name.as_str()));
    Ok((object, cut))
}

fn put(writer: &mut Writer<'_>, place: &str, texts: [&str; 7]) -> Result<()> {
    match record(texts) {
        Ok((object, cut)) => {
            writer.cut += cut;
            writer.put(Space::GlobalProfiles, object)
        }
        Err(reason) => {
            writer.bad(place, &reason);
            Ok(())
        }
    }
}

/// Puts all users of a list in CSV.
pub(super) fn import_csv(input: Input, writer: &mut Writer<'_>) -> Result<()> {
    let place = input.place.clone();
    place.next_entry();
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let header = reader.headers().map_err(|error| anyhow!("its first line: {}", words(&error)))?;
    let column = |names: &[&str]| {
        let is_it = |head: &str| names.iter().any(|name| head.eq_ignore_ascii_case(name));
        header.iter().position(|head| is_it(head.trim_start_matches('\u{feff}').trim()))
    };
    let columns = COLUMNS.map(column);
    if columns[0].is_none() {
        bail!(
            "its first line names no column RADIO_ID; it has to name the columns: RADIO_ID,CALLSIGN,FIRST_NAME,..."
        );
    }
    let mut user = csv::StringRecord::new();
    loop {
        place.next_entry();
        let line = reader.position().line();
        match reader.read_record(&mut user) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                let line = user.position().map_or(line, csv::Position::line);
                let text =
                    |column: Option<usize>| column.and_then(|index| user.get(index)).unwrap_or_default();
                put(writer, &format!("line {line}"), columns.map(text))?;
            }
            Err(error) if error.is_io_error() => bail!("line {line}: {}", words(&error)),
            // The next one begins after it.
            Err(error) => writer.bad(&format!("line {line}"), &words(&error)),
        }
    }
}

fn words(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) => error.to_string(),
        csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".to_owned(),
        _ => "no CSV".to_owned(),
    }
}

/// Puts all users of a list in JSON: the list alone, or as `users` of an object.
pub(super) fn import_json(input: Input, writer: &mut Writer<'_>) -> Result<()> {
    let place = input.place.clone();
    let mut failed = None;
    let mut number = 0_u64;
    let mut each = |value: Value| -> Result<(), ()> {
        number += 1;
        let at = format!("entry {number} (line {})", place.line());
        place.next_entry();
        let result = match &value {
            Value::Object(user) => {
                let texts = COLUMNS.map(|names| names.iter().find_map(|name| text(user.get(*name)?)));
                put(writer, &at, texts.each_ref().map(|text| text.as_deref().unwrap_or_default()))
            }
            _ => {
                writer.bad(&at, "no object");
                Ok(())
            }
        };
        result.map_err(|error| failed = Some(error))
    };
    input.place.next_entry();
    let mut json = serde_json::Deserializer::from_reader(input);
    let result = Top(&mut each).deserialize(&mut json).and_then(|()| json.end());
    match (failed, result) {
        (Some(error), _) => Err(error),
        (None, result) => result.context("no list of users"),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The list, or the object that has it. What comes is handed on one by one: the list may be longer than memory.
struct Top<'a, F>(&'a mut F);

impl<'de, F: FnMut(Value) -> Result<(), ()>> DeserializeSeed<'de> for Top<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Value) -> Result<(), ()>> Visitor<'de> for Top<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of users, or an object with one under \"users\"")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element()? {
            self.0(value).map_err(|()| A::Error::custom("stopped"))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut is_found = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "users" && !is_found {
                map.next_value_seed(Top(&mut *self.0))?;
                is_found = true;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if is_found { Ok(()) } else { Err(A::Error::custom("no \"users\" in it")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_control_characters_dropped() {
        let long = "ü".repeat(200);
        let user = [" 2621370 ", "N0CALLLLLLLLLLLLLLL", "Ann\u{1b}[2J", "Other", &long, "", "x"];
        let (object, cut) = record(user).unwrap();
        assert_eq!(cut, 2);
        assert_eq!(object["call"].as_str().map(str::len), Some(16));
        assert_eq!(object["city"].as_str().map(|text| text.chars().count()), Some(128));
        assert_eq!((&object["name"], &object["id"]), (&"Ann[2J Other".into(), &2_621_370.into()));
        for bad in ["", "x", "0", "-1", "4294967296", "1000000000"] {
            assert!(record([bad, "", "", "", "", "", ""]).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_kept_and_what_is_read_is_the_whole_profile() {
        let (object, _) = record(["1", "", "", "", "", "", ""]).unwrap();
        let fields = Space::GlobalProfiles.fields();
        assert!(fields.iter().all(|name| KEEP.contains(name) != object.contains_key(*name)));
    }

    #[test]
    fn a_header_names_the_columns() {
        assert!(is_header("RADIO_ID,CALLSIGN,FIRST_NAME"));
        assert!(is_header("callsign, \"id\""));
        assert!(!is_header("1023001,VE3THW"));
    }

    #[test]
    fn a_nested_list_has_an_end() {
        let mut json =
            serde_json::Deserializer::from_str("{\"users\":{\"users\":{\"users\":[1,[2]]}},\"x\":[]}");
        let mut seen = 0;
        let mut each = |_: Value| {
            seen += 1;
            Ok(())
        };
        Top(&mut each).deserialize(&mut json).unwrap();
        assert_eq!(seen, 2);
        let mut json = serde_json::Deserializer::from_str("{}");
        assert!(
            Top(&mut |_: Value| Ok(())).deserialize(&mut json).unwrap_err().to_string().contains("users")
        );
    }
}
