//! What scripts keep under a name.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Key, Row, Space};

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
        if is_name { Ok(()) } else { Err(format!("a name has 1 to {} bytes, on one line", crate::MAX_NAME)) }
    }
}
