//! The registry's own form in a file: a line that says so, then one record a line.

use std::io::{self, BufRead, BufReader, Read};

use anyhow::{Context, Result, bail};
use control::Fields;
use registry::{Record, Space};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::input::Input;
use super::writer::Writer;

/// What the first line says.
const FORMAT: &str = "bmctl registry";
const VERSION: u32 = 1;
/// The longest line: a record with every character escaped is not longer.
const MAX_LINE: usize = 128 * 1024;

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
}

/// A record with its space.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    space: String,
    record: Map<String, Value>,
}

/// The first line, with its end.
pub(super) fn header() -> Result<Vec<u8>> {
    Ok(control::to_line(&Header { format: FORMAT.to_owned(), version: VERSION })?)
}

/// The line of a record, with its end.
pub(super) fn line(space: Space, record: Fields) -> Result<Vec<u8>> {
    Ok(control::to_line(&Line { space: space.to_string(), record: record.0 })?)
}

/// Whether a file that begins so is one of these.
pub(super) fn is_header(line: &str) -> bool {
    serde_json::from_str::<Header>(line).is_ok_and(|header| header.format == FORMAT)
}

/// Puts all records of a file.
pub(super) fn import(input: Input, writer: &mut Writer<'_>) -> Result<()> {
    let mut reader = BufReader::new(input);
    let first = next(&mut reader)?.and_then(Result::ok).unwrap_or_default();
    let header: Option<Header> = serde_json::from_str(first.trim_start_matches('\u{feff}')).ok();
    match header.filter(|header| header.format == FORMAT) {
        Some(Header { version: VERSION, .. }) => {}
        Some(Header { version, .. }) => {
            bail!("a file of version {version}; this bmctl reads {VERSION}: take the one that has written it")
        }
        None => bail!("it does not begin with the line of `bmctl registry export`"),
    }
    let mut number = 1_u64;
    while let Some(text) = next(&mut reader)? {
        number += 1;
        match text.and_then(|text| if text.trim().is_empty() { Ok(None) } else { read(&text).map(Some) }) {
            Ok(None) => {}
            Ok(Some((record, object))) => writer.put(record.space, object)?,
            Err(reason) => writer.bad(&format!("line {number}"), &reason),
        }
    }
    Ok(())
}

fn read(text: &str) -> Result<(Record, Map<String, Value>), String> {
    // The parser's own words may repeat what is there, and that may be a password.
    let Line { space, record } = serde_json::from_str(text).map_err(|error| {
        let what = if error.is_data() { "no space with its record" } else { "no JSON" };
        format!("{what} at column {}", error.column())
    })?;
    let space = Space::named(&space).ok_or_else(|| "there is no space of this name".to_owned())?;
    let checked = Record::of_object(space, record.clone()).map_err(|error| error.to_string())?;
    Ok((checked, record))
}

/// The next line without its end, or why it cannot be read; `None` at the end.
fn next(reader: &mut BufReader<Input>) -> Result<Option<Result<String, String>>> {
    let mut line = Vec::new();
    if !read_line(reader, &mut line).context("it cannot be read")? {
        return Ok(None);
    }
    if line.len() > MAX_LINE {
        return Ok(Some(Err(format!("longer than {MAX_LINE} bytes"))));
    }
    let text = String::from_utf8(line).map_err(|_| "not UTF-8 text".to_owned());
    Ok(Some(text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned())))
}

/// False at the end. Of a line that is too long the rest is skipped.
fn read_line(reader: &mut BufReader<Input>, line: &mut Vec<u8>) -> io::Result<bool> {
    let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX) + 1;
    if reader.by_ref().take(most).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    let mut is_whole = line.len() <= MAX_LINE || line.ends_with(b"\n");
    while !is_whole {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let len = end.map_or(buffer.len(), |end| end + 1);
        is_whole = end.is_some() || buffer.is_empty();
        reader.consume(len);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use registry::{
        Ban, By, DeviceRow, Node, OverriddenNode, PeerRow, Profile, Range, Row, Secret, StoredValue,
        SubscriptionsRow, Talkgroup, Transport,
    };
    use serde_json::json;

    use super::*;

    fn round_trip(record: &Record) {
        let line = String::from_utf8(line(record.space, Fields(record.object())).unwrap()).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        let (read, object) = read(line.trim_end()).unwrap();
        assert_eq!(&read, record);
        // What is sent is checked again where it arrives.
        assert_eq!(&Record::of_object(record.space, object).unwrap(), record);
    }

    fn of<T: Row>(row: &T) {
        round_trip(&Record::of(row).unwrap());
    }

    proptest! {
        #[test]
        fn records_of_all_spaces_come_back_as_they_were(
            id in 1..=0x00ff_ffff_u32,
            port in 1..=u16::MAX,
            options: u32,
            text in r"[^\p{C}]{0,64}",
            short in r"[^\p{C}]{0,16}",
            call in "[!-~]{1,10}",
            secret in r"[^\p{C}]{1,64}",
            talkgroups in proptest::collection::btree_set(1..=0x00ff_ffff_u32, 0..8),
            time: Option<u64>,
            seconds in 0.0..1e6_f64,
            flag: bool,
            way in 0..4_usize,
        ) {
            let talkgroups: Vec<u32> = talkgroups.into_iter().collect();
            let key = Secret::new(format!("{id:064x}")).ok().filter(|_| flag);
            of(&Node { id, name: text.clone(), address: "node.example.org".to_owned(), port, key });
            let transport = [Transport::Udp, Transport::Tls, Transport::Vsock, Transport::Rdma][way];
            of(&OverriddenNode { id, options, transport, address: "3".to_owned(), port });
            let peer_key = json!(secret.chars().take(16).collect::<String>());
            of(&DeviceRow {
                id,
                password: Secret::new(secret).ok(),
                call: flag.then_some(call),
                blocked: talkgroups.clone(),
                single: flag,
            });
            let timed = json!([{"talkgroup": id, "slot": 2, "schedule": {
                "days": ["tue"], "from": port % 1440, "until": 1440, "first": null, "last": null}}]);
            of(&SubscriptionsRow {
                id,
                ts1: talkgroups.clone(),
                ts2: talkgroups.clone(),
                timed: serde_json::from_value(timed).unwrap(),
            });
            of(&PeerRow {
                id,
                address: flag.then(|| format!("[2001:db8::1]:{port}")),
                key: serde_json::from_value(peer_key).unwrap(),
                learn_address: true,
                enhanced: flag,
                talkgroups_in: talkgroups.iter().map(|talkgroup| Range::One(*talkgroup)).collect(),
                talkgroups_out: vec![Range::Text("1-16777215".to_owned())],
                rewrite: vec![format!("{id}={id}")],
                own_id: flag.then_some(id),
            });
            of(&Profile {
                id,
                key: text.clone(),
                interval: options,
                active: flag,
                call: short,
                name: text.clone(),
                country: text.clone(),
                ..Profile::default()
            });
            of(&Talkgroup { id, name: text.clone() });
            let by = if flag { By::Operator } else { By::KeyedUp };
            of(&Ban { id, until_ms: time, reason: text.clone(), by, made_ms: options.into() });
            of(&StoredValue { name: "x".to_owned(), value: json!({"a": [seconds, text, flag, null]}) });
            let Value::Object(heard) = json!({
                "radio": id, "alias": flag.then_some(&text), "destination": id, "group": flag, "context": id,
                "call": text, "slot": 2, "session": "x", "started_ms": time.unwrap_or(0), "seconds": seconds,
                "refused": null, "ended": "terminator",
            }) else { panic!() };
            round_trip(&Record::of_object(Space::LastHeard, heard).unwrap());
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_and_no_secret_repeated() {
        for (text, expected) in [
            ("{", "no JSON at column"),
            (r#"{"space":"Devices"}"#, "no space with its record at column"),
            (r#"{"space":"Users","record":{"id":7}}"#, "there is no space of this name"),
            (
                r#"{"space":"Devices","record":{"id":7,"password":["hidden"]}}"#,
                "device 7: password: not of the form that it has to have",
            ),
        ] {
            let error = read(text).map(|_| ()).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn a_line_too_long_costs_itself_alone() {
        let text = format!("{}\nnext\nlast", "x".repeat(300_000));
        let mut reader = BufReader::new(Input::new(io::Cursor::new(text), None).unwrap());
        let mut next = || next(&mut reader).unwrap();
        assert_eq!(next().unwrap().unwrap_err(), "longer than 131072 bytes");
        assert_eq!((next().unwrap().unwrap(), next().unwrap().unwrap()), ("next".into(), "last".into()));
        assert!(next().is_none());
    }
}
