//! Records of the registry as they are asked for and answered: JSON objects, whose fields the registry alone knows.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A record's fields. `Debug` shows their names alone: one may be a password.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fields(pub Map<String, Value>);

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A record that is to be put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryPut {
    /// Name of its space.
    pub space: String,
    /// All its fields, with its key.
    pub record: Fields,
}

/// A record by what it is found by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryKey {
    /// Name of its space.
    pub space: String,
    /// A number, or a name.
    pub key: Value,
}

/// Records of a space in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryPage {
    /// Those that can be read.
    pub records: Vec<Fields>,
    /// What is wrong with those that cannot.
    pub unreadable: Vec<String>,
    /// The key after which the next page begins; `None` where this was the last.
    pub next: Option<Value>,
}

/// A node that is reached in a way of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its ID.
    pub id: u32,
    /// `udp`, `tls`, `direct`, `vsock` or `rdma`.
    pub transport: String,
    /// As the transport needs it; empty for `direct`.
    pub address: String,
    /// 0 for `direct`.
    pub port: u16,
    /// Flags of the transport.
    pub options: u32,
    /// Why this host cannot reach it so, if it cannot.
    pub refused: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_in_debug_output() {
        let put: RegistryPut =
            serde_json::from_str(r#"{"space":"Devices","record":{"id":7,"password":"hidden"}}"#).unwrap();
        let debug = format!("{put:?}");
        assert!(debug.contains("password") && !debug.contains("hidden"), "{debug}");
    }
}
