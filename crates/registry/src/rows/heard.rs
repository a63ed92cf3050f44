//! What was last heard of a radio. Whoever hears it describes it; here only its form is known.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{MAX_TALKGROUP, check_text};
use crate::{Key, Row, Space};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HeardRow {
    radio: u32,
    #[serde(default)]
    alias: Option<String>,
    destination: u32,
    group: bool,
    context: u32,
    #[serde(default)]
    call: String,
    slot: u8,
    session: String,
    started_ms: u64,
    seconds: f64,
    #[serde(default)]
    refused: Option<Value>,
    #[serde(default)]
    ended: Option<Value>,
}

impl Row for HeardRow {
    const SPACE: Space = Space::LastHeard;

    fn key(&self) -> Key {
        Key::Id(self.radio)
    }

    fn check(&self) -> Result<(), String> {
        // 24 bits, as all IDs on the air.
        if self.radio > MAX_TALKGROUP {
            return Err(format!("a radio is a number up to {MAX_TALKGROUP}"));
        }
        check_text("alias", self.alias.as_deref().unwrap_or_default(), 64)
    }
}
