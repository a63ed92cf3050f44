//! What scripts keep under a name.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Key, Row, Space};

/// How deep a value may be nested: a record goes through more forms than JSON.
const MAX_DEPTH: usize = 12;

/// A value under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredValue {
    /// Its name.
    pub name: String,
    /// Anything but `null`.
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
    fn values_are_not_nested_too_deep() {
        let nested = |depth| (0..depth).fold(Value::Null, |value, _| Value::Array(vec![value]));
        let stored = |value| StoredValue { name: "x".to_owned(), value };
        assert!(stored(nested(MAX_DEPTH)).check().is_ok());
        assert_eq!(stored(nested(MAX_DEPTH + 1)).check().unwrap_err(), "value: nested more than 12 deep");
    }
}
