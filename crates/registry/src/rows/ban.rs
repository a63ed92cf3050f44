//! A ban: an ID that is kept out, for a time or for ever.

use serde::{Deserialize, Serialize};

use super::{check_id, check_text};
use crate::{Key, Row, Space};

/// The longest reason, in characters.
pub const MAX_REASON: usize = 200;

/// Who made a ban.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// An operator.
    #[default]
    #[serde(rename = "operator")]
    Operator,
    /// The protection against radios that key up again and again.
    #[serde(rename = "keyed up too often")]
    KeyedUp,
}

impl By {
    /// As in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::KeyedUp => "keyed up too often",
        }
    }
}

/// A radio or device that is kept out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Its ID: 1 to [`crate::MAX_ID`].
    pub id: u32,
    /// When the ban ends, milliseconds since 1970; `None` for never.
    #[serde(default)]
    pub until_ms: Option<u64>,
    /// Why, in words: at most [`MAX_REASON`] characters.
    #[serde(default)]
    pub reason: String,
    /// Who made it.
    #[serde(default)]
    pub by: By,
    /// When it was made, milliseconds since 1970; 0 where that is not known.
    #[serde(default)]
    pub made_ms: u64,
}

impl Ban {
    /// Whether it holds at this moment, milliseconds since 1970.
    #[must_use]
    pub fn holds(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until| now_ms < until)
    }
}

impl Row for Ban {
    const SPACE: Space = Space::Bans;

    fn key(&self) -> Key {
        Key::Id(self.id)
    }

    fn check(&self) -> Result<(), String> {
        check_id(self.id)?;
        check_text("reason", &self.reason, MAX_REASON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(id: u32, until_ms: Option<u64>) -> Ban {
        Ban { id, until_ms, reason: "noise".to_owned(), by: By::Operator, made_ms: 1 }
    }

    #[test]
    fn holds_until_its_end() {
        assert!(ban(1, Some(10)).holds(9) && !ban(1, Some(10)).holds(10) && ban(1, None).holds(u64::MAX));
        assert_eq!(serde_json::to_value(By::KeyedUp).unwrap(), By::KeyedUp.as_str());
        assert_eq!(serde_json::to_value(By::Operator).unwrap(), By::Operator.as_str());
        for bad in [ban(0, None), ban(1_000_000_000, None), Ban { reason: "a\nb".to_owned(), ..ban(1, None) }]
        {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        let long = Ban { reason: "ü".repeat(201), ..ban(1, None) };
        assert!(long.check().unwrap_err().contains("at most 200 characters"));
        let written: Ban = serde_json::from_str(r#"{"id":7}"#).unwrap();
        assert_eq!((written.by, written.until_ms), (By::Operator, None), "as short as by hand");
    }
}
