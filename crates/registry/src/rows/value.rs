//! What scripts keep under a name.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Key, Row, Space};

/// How deep a value may be nested: a record goes through more forms than JSON.
const MAX_DEPTH: usize = 12;

/// A value under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredValue {
    /// Its name.
    pub name: String,
    /// Anything but `null`. A whole number has no fraction, not even `.0`: some stores know only one form of it.
    #[serde(deserialize_with = "in_one_form")]
    pub value: Value,
}

impl Row for StoredValue {
    const SPACE: Space = Space::StoredValues;

    fn key(&self) -> Key {
        Key::Name(self.name.clone())
    }

    fn check(&self) -> Result<(), String> {
        let name = Value::from(self.name.as_str());
        let is_name = Space::StoredValues.key(&name).is_some();
        if !is_name {
            return Err(format!("a name has 1 to {} bytes, on one line", crate::MAX_NAME));
        }
        if is_deeper(&self.value, MAX_DEPTH) {
            return Err(format!("value: nested more than {MAX_DEPTH} deep"));
        }
        Ok(())
    }
}

fn in_one_form<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let mut value = Value::deserialize(deserializer)?;
    make_whole(&mut value);
    Ok(value)
}

fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or_default();
            // Beyond, neighbours are more than one apart.
            if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 {
                *value = Value::from(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(object) => object.values_mut().for_each(make_whole),
        _ => {}
    }
}

fn is_deeper(value: &Value, depth: usize) -> bool {
    let deeper = |value: &Value| depth.checked_sub(1).is_none_or(|depth| is_deeper(value, depth));
    match value {
        Value::Array(items) => items.iter().any(deeper),
        Value::Object(object) => object.values().any(deeper),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_one_form() {
        let read = |text: &str| serde_json::from_str::<StoredValue>(text).unwrap().value.to_string();
        let text = r#"{"name":"x","value":{"a":[1.0,-2.0,0.5,1e300,7,-0.0]}}"#;
        assert_eq!(read(text), r#"{"a":[1,-2,0.5,1e+300,7,0]}"#);
    }

    #[test]
    fn values_are_not_nested_too_deep() {
        let nested = |depth| (0..depth).fold(Value::Null, |value, _| Value::Array(vec![value]));
        let stored = |value| StoredValue { name: "x".to_owned(), value };
        assert!(stored(nested(MAX_DEPTH)).check().is_ok());
        assert_eq!(stored(nested(MAX_DEPTH + 1)).check().unwrap_err(), "value: nested more than 12 deep");
    }
}
