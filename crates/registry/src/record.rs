//! A record of a space as it goes between stores: JSON that has been checked, in one form.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::rows::HeardRow;
use crate::{
    Ban, DeviceRow, Error, Key, Node, OverriddenNode, PeerRow, Profile, Space, StoredValue, SubscriptionsRow,
    Talkgroup,
};

/// The longest record, in bytes of JSON.
pub const MAX_RECORD: usize = 16 * 1024;

/// What a space has records of. JSON keys are [`Space::fields`].
pub trait Row: Serialize + DeserializeOwned {
    /// The space.
    const SPACE: Space;

    /// What it is found by.
    fn key(&self) -> Key;

    /// Checks all its fields.
    ///
    /// # Errors
    /// In words: what is wrong with the first that cannot be, and what would be valid.
    fn check(&self) -> Result<(), String>;
}

/// A record that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its space.
    pub space: Space,
    /// What it is found by.
    pub key: Key,
    json: String,
}

/// A record is there in this form from now on, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The space.
    pub space: Space,
    /// What it is found by.
    pub key: Key,
    /// The record; `None` where it goes.
    pub record: Option<Record>,
}

impl Record {
    /// The record of a row.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what cannot be.
    pub fn of<T: Row>(row: &T) -> Result<Self, Error> {
        let key = row.key();
        let invalid = |reason: String| Error::Invalid { space: T::SPACE, key: key.to_string(), reason };
        row.check().map_err(invalid)?;
        let json = serde_json::to_string(row).map_err(|error| invalid(error.to_string()))?;
        if json.len() > MAX_RECORD {
            return Err(invalid(format!("{} bytes; a record has at most {MAX_RECORD}", json.len())));
        }
        Ok(Self { space: T::SPACE, key, json })
    }

    /// The record that a JSON object describes. Keys that are `null` count as left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what cannot be.
    pub fn of_object(space: Space, object: Map<String, Value>) -> Result<Self, Error> {
        match space {
            Space::Nodes => read::<Node>(object),
            Space::OverriddenNodes => read::<OverriddenNode>(object),
            Space::Devices => read::<DeviceRow>(object),
            Space::Subscriptions => read::<SubscriptionsRow>(object),
            Space::GlobalProfiles => read::<Profile>(object),
            Space::Talkgroups => read::<Talkgroup>(object),
            Space::Bans => read::<Ban>(object),
            Space::LastHeard => read::<HeardRow>(object),
            Space::StoredValues => read::<StoredValue>(object),
            Space::Peers => read::<PeerRow>(object),
        }
    }

    /// The record that a store has kept under a key.
    pub(crate) fn of_stored(space: Space, key: &Key, json: &[u8]) -> Result<Self, Error> {
        let corrupt = |reason: String| Error::Corrupt { space, key: key.to_string(), reason };
        let object = serde_json::from_slice(json).map_err(|error| {
            // Not its own words: they may repeat what was stored.
            corrupt(format!("no object at line {} column {}", error.line(), error.column()))
        })?;
        let record = Self::of_object(space, object).map_err(|error| match error {
            Error::Invalid { reason, .. } => corrupt(reason),
            other => other,
        })?;
        if record.key != *key {
            return Err(corrupt(format!("it says that it is {}", record.key)));
        }
        Ok(record)
    }

    /// Its JSON: one line, secrets in clear.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Its JSON as an object.
    #[must_use]
    pub fn object(&self) -> Map<String, Value> {
        serde_json::from_str(&self.json).unwrap_or_default()
    }

    /// As a row. `None` where `T` is of another space.
    #[must_use]
    pub fn row<T: Row>(&self) -> Option<T> {
        if self.space != T::SPACE {
            return None;
        }
        serde_json::from_str(&self.json).ok()
    }
}

impl Change {
    /// A record that is put in the place of what was there.
    #[must_use]
    pub fn put(record: Record) -> Self {
        Self { space: record.space, key: record.key.clone(), record: Some(record) }
    }

    /// One that goes.
    #[must_use]
    pub const fn remove(space: Space, key: Key) -> Self {
        Self { space, key, record: None }
    }
}

fn read<T: Row>(mut object: Map<String, Value>) -> Result<Record, Error> {
    object.retain(|_, value| !value.is_null());
    let name = T::SPACE.fields().first().copied().unwrap_or_default();
    let said = object.get(name).map(shorten).unwrap_or_default();
    let invalid = |reason: String| Error::Invalid { space: T::SPACE, key: said, reason };
    if object.get(name).and_then(|key| T::SPACE.key(key)).is_none() {
        return Err(invalid(format!("its {name} cannot be one")));
    }
    if let Some(unknown) = object.keys().find(|key| !T::SPACE.fields().contains(&key.as_str())) {
        let fields = T::SPACE.fields().join(", ");
        return Err(invalid(format!(
            "{}: no such field; there are {fields}",
            shorten(&unknown.as_str().into())
        )));
    }
    // By fields, so that the error can name the one that is wrong without repeating what it says.
    let wrong = |object: &Map<String, Value>, error: serde_json::Error| {
        let is_wrong = |name: &&String| {
            let mut rest = object.clone();
            rest.remove(name.as_str());
            match serde_json::from_value::<T>(Value::Object(rest)) {
                Ok(_) => true,
                Err(error) => error.to_string() == format!("missing field `{name}`"),
            }
        };
        if error.to_string().starts_with("missing field") {
            return error.to_string();
        }
        match object.keys().find(is_wrong) {
            Some(field) => format!("{field}: not of the form that it has to have"),
            None => "more than one field is not of the form that it has to have".to_owned(),
        }
    };
    let row: T = match serde_json::from_value(Value::Object(object.clone())) {
        Ok(row) => row,
        Err(error) => return Err(invalid(wrong(&object, error))),
    };
    Record::of(&row)
}

/// What somebody wrote, not too long to be read.
fn shorten(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("{text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    };
    text.char_indices().nth(40).map_or_else(|| text.clone(), |(end, _)| format!("{}...", &text[..end]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(space: Space, value: Value) -> Result<Record, String> {
        let Value::Object(object) = value else { panic!("no object") };
        Record::of_object(space, object).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_wrong_is_named_and_not_repeated() {
        for (space, value, expected) in [
            (Space::Bans, json!({}), "ban of : its id cannot be one"),
            (Space::Bans, json!({"id": "x"}), "ban of \"x\": its id cannot be one"),
            (Space::Bans, json!({"id": 99_999_999_999_u64}), "ban of 99999999999: its id cannot be one"),
            (
                Space::Bans,
                json!({"id": 1_000_000_000}),
                "ban of 1000000000: an ID is a number from 1 to 999999999",
            ),
            (
                Space::Devices,
                json!({"id": 7, "password": ["hidden"]}),
                "device 7: password: not of the form that it has to have",
            ),
            (
                Space::Devices,
                json!({"id": 7, "password": 1, "call": 2}),
                "device 7: more than one field is not of the form that it has to have",
            ),
            (
                Space::Devices,
                json!({"id": 7, "pass": 1}),
                "device 7: \"pass\": no such field; there are id, password, call, blocked, single",
            ),
            (
                Space::OverriddenNodes,
                json!({"id": 7, "transport": "PIGEON"}),
                "overridden node 7: transport: not of the form that it has to have",
            ),
            (Space::OverriddenNodes, json!({"id": 7}), "overridden node 7: missing field `transport`"),
            (
                Space::StoredValues,
                json!({"name": "x", "value": "y".repeat(20_000)}),
                "stored value x: 20023 bytes; a record has at most 16384",
            ),
        ] {
            assert_eq!(read(space, value).unwrap_err(), expected);
        }
    }

    #[test]
    fn null_is_left_out_and_the_form_is_one() {
        let record = read(Space::Talkgroups, json!({"name": "World-wide", "id": 91})).unwrap();
        assert_eq!(record.json(), r#"{"id":91,"name":"World-wide"}"#);
        let device = read(Space::Devices, json!({"id": 7, "password": null, "call": null})).unwrap();
        assert_eq!(device, Record::of(&DeviceRow::new(7)).unwrap());
        assert_eq!(Record::of_stored(Space::Devices, &Key::Id(7), device.json().as_bytes()).unwrap(), device);
        let error = Record::of_stored(Space::Devices, &Key::Id(8), device.json().as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("the record of device 8 cannot be read: it says that it is 7"));
    }
}
