//! Records as Tarantool has them: tuples with a field for each key of their JSON, in the order of `Space::fields`. What a
//! server sends is checked like all that comes from elsewhere.

use registry::{Change, Error, Key, Record, Space};
use rmpv::Value;
use serde_json::{Map, Number, Value as Json};

/// How deep a value may be nested.
const MAX_DEPTH: u8 = 16;

/// A record's tuple. Fields at its end that it does not have are left out.
pub(crate) fn tuple_of(record: &Record) -> Value {
    let object = record.object();
    let field = |name: &&str| object.get(*name).map_or(Value::Nil, value_of);
    let mut fields: Vec<Value> = record.space.fields().iter().map(field).collect();
    while fields.last().is_some_and(Value::is_nil) {
        fields.pop();
    }
    Value::Array(fields)
}

/// What `dmr_registry_write` is told of a change. `weakly`: it does not take an operator's place.
pub(crate) fn change_of(change: &Change, weakly: bool) -> Value {
    let space = Value::from(change.space.name());
    match &change.record {
        Some(record) if weakly => Value::Array(vec![space, tuple_of(record), Value::Nil, true.into()]),
        Some(record) => Value::Array(vec![space, tuple_of(record)]),
        None => Value::Array(vec![space, Value::Nil, value_of(&change.key.to_value())]),
    }
}

/// A row of an answer: its key and its tuple, its key and its size where that is too large, or its key alone where there
/// is none. The key is `None` where it cannot be one.
pub(crate) fn change_from(space: Space, row: &[Value]) -> (Option<Key>, Result<Change, Error>) {
    let name = row.first().map(words).unwrap_or_default();
    let key = row.first().and_then(json_of).and_then(|key| space.key(&key));
    let invalid = |reason: &str| Err(Error::Invalid { space, key: name.clone(), reason: reason.to_owned() });
    let change = match (&key, row.get(1)) {
        (None, _) => invalid("no record has such a key"),
        (Some(key), None | Some(Value::Nil)) => Ok(Change::remove(space, key.clone())),
        (Some(_), Some(Value::Integer(size))) => invalid(&format!("{size} bytes are too many")),
        (Some(key), Some(Value::Array(fields))) => record_from(space, fields).and_then(|record| {
            if record.key == *key { Ok(Change::put(record)) } else { invalid("its tuple has another key") }
        }),
        (Some(_), Some(_)) => invalid("no tuple"),
    };
    (key, change)
}

fn record_from(space: Space, fields: &[Value]) -> Result<Record, Error> {
    let mut object = Map::new();
    for (&name, value) in space.fields().iter().zip(fields) {
        let Some(value) = json_of(value) else {
            let key = fields.first().map(words).unwrap_or_default();
            return Err(Error::Invalid {
                space,
                key,
                reason: format!("{name}: of a kind that no record has"),
            });
        };
        object.insert(name.to_owned(), value);
    }
    Record::of_object(space, object)
}

/// A key as people read it.
fn words(value: &Value) -> String {
    let text = match value {
        Value::String(text) => {
            text.as_str().map_or_else(|| "(no text)".to_owned(), |text| format!("{text:?}"))
        }
        Value::Integer(_) | Value::F32(_) | Value::F64(_) | Value::Boolean(_) => value.to_string(),
        _ => "(no number or text)".to_owned(),
    };
    text.char_indices().nth(40).map_or_else(|| text.clone(), |(end, _)| format!("{}...", &text[..end]))
}

/// JSON as Tarantool keeps it.
pub(crate) fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(bool) => Value::Boolean(*bool),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(unsigned), _) => Value::from(unsigned),
            (None, Some(signed)) => Value::from(signed),
            (None, None) => number.as_f64().map_or(Value::Nil, Value::F64),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().map(value_of).collect()),
        Json::Object(object) => Value::Map(
            object.iter().map(|(key, value)| (Value::from(key.as_str()), value_of(value))).collect(),
        ),
    }
}

/// What Tarantool keeps as JSON; `None` for what has no form there: bytes, extensions, texts that are no UTF-8, maps by
/// anything else than texts.
pub(crate) fn json_of(value: &Value) -> Option<Json> {
    json_within(value, MAX_DEPTH)
}

fn json_within(value: &Value, depth: u8) -> Option<Json> {
    let deeper = |value: &Value| json_within(value, depth.checked_sub(1)?);
    Some(match value {
        Value::Nil => Json::Null,
        Value::Boolean(bool) => Json::Bool(*bool),
        Value::Integer(number) => match (number.as_u64(), number.as_i64()) {
            (Some(unsigned), _) => unsigned.into(),
            (None, Some(signed)) => signed.into(),
            (None, None) => return None,
        },
        Value::F32(number) => Json::Number(Number::from_f64((*number).into())?),
        Value::F64(number) => Json::Number(Number::from_f64(*number)?),
        Value::String(text) => Json::String(text.as_str()?.to_owned()),
        Value::Array(items) => Json::Array(items.iter().map(deeper).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let entry = |(key, value): &(Value, Value)| Some((key.as_str()?.to_owned(), deeper(value)?));
            Json::Object(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        Value::Binary(_) | Value::Ext(..) => return None,
    })
}

#[cfg(test)]
mod tests {
    use registry::{Ban, By, Talkgroup};
    use serde_json::json;

    use super::*;

    fn ban() -> Record {
        let ban = Ban { id: 7, until_ms: None, reason: "noise".to_owned(), by: By::Operator, made_ms: 5 };
        Record::of(&ban).unwrap()
    }

    #[test]
    fn records_are_tuples_and_back() {
        let tuple = tuple_of(&ban());
        assert_eq!(tuple.to_string(), r#"[7, nil, "noise", "operator", 5]"#);
        let (key, change) = change_from(Space::Bans, &[Value::from(7), tuple.clone()]);
        assert_eq!((key, change.unwrap()), (Some(Key::Id(7)), Change::put(ban())));
        let (_, change) = change_from(Space::Bans, &[Value::from(7)]);
        assert_eq!(change.unwrap(), Change::remove(Space::Bans, Key::Id(7)));
        let short = Value::Array(vec![7.into()]);
        let (_, change) = change_from(Space::Bans, &[7.into(), short]);
        assert_eq!(change.unwrap().record.unwrap().row::<Ban>().unwrap().by, By::Operator);
        let put = change_of(&Change::put(ban()), true);
        assert_eq!(put.to_string(), format!(r#"["Bans", {tuple}, nil, true]"#));
        let device = json!({"id": 7});
        let Json::Object(device) = device else { unreachable!() };
        let tuple = tuple_of(&Record::of_object(Space::Devices, device).unwrap());
        assert_eq!(tuple.to_string(), "[7, nil, nil, [], false]");
    }

    #[test]
    fn what_cannot_be_is_named() {
        let text = |bytes: &[u8]| Value::String(String::from_utf8_lossy(bytes).into_owned().into());
        let deep = (0..20).fold(Value::Nil, |value, _| Value::Array(vec![value]));
        let bytes = Value::Binary(vec![1]);
        for (space, row, expected) in [
            (Space::Bans, vec![], "ban of : no record has such a key"),
            (
                Space::Bans,
                vec![Value::from(u64::MAX)],
                "ban of 18446744073709551615: no record has such a key",
            ),
            (Space::Bans, vec![deep.clone()], "ban of (no number or text): no record has such a key"),
            (Space::Bans, vec![7.into(), 10_000_000.into()], "ban of 7: 10000000 bytes are too many"),
            (Space::Bans, vec![7.into(), text(b"x")], "ban of 7: no tuple"),
            (
                Space::Bans,
                vec![7.into(), Value::Array(vec![8.into()])],
                "ban of 7: its tuple has another key",
            ),
            (
                Space::Devices,
                vec![7.into(), Value::Array(vec![7.into(), bytes])],
                "device 7: password: of a kind that no record has",
            ),
            (
                Space::StoredValues,
                vec![text(b"a"), Value::Array(vec![text(b"a"), deep])],
                "stored value \"a\": value: of a kind that no record has",
            ),
            (
                Space::Talkgroups,
                vec![91.into(), Value::Array(vec![91.into(), 5.into()])],
                "talkgroup 91: name: not of the form that it has to have",
            ),
        ] {
            assert_eq!(change_from(space, &row).1.unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn numbers_and_nested_values_are_kept() {
        let json = json!({"a": [1, -2, 1.5, u64::MAX, true, null, "ü"], "b": {"c": {}}});
        assert_eq!(json_of(&value_of(&json)), Some(json));
        assert_eq!(json_of(&Value::F64(f64::NAN)), None);
        let record = Record::of(&Talkgroup { id: 91, name: "x".to_owned() }).unwrap();
        assert_eq!(
            change_from(Space::Talkgroups, &[91.into(), tuple_of(&record)]).1.unwrap(),
            Change::put(record)
        );
    }
}
