//! A ban: an ID that is kept out, for a time or for ever.

use redb::TableDefinition;
use serde::{Deserialize, Serialize};

use crate::{Embedded, Error, MAX_ID};

pub(crate) const BANS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("bans");

/// The longest reason, in characters.
pub const MAX_REASON: usize = 200;

/// Who made a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// An operator.
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
    /// Its ID: 1 to [`MAX_ID`].
    pub id: u32,
    /// When the ban ends, milliseconds since 1970; `None` for never.
    pub until_ms: Option<u64>,
    /// Why, in words: at most [`MAX_REASON`] characters.
    pub reason: String,
    /// Who made it.
    pub by: By,
    /// When it was made, milliseconds since 1970.
    pub made_ms: u64,
}

impl Ban {
    /// Whether it holds at this moment, milliseconds since 1970.
    #[must_use]
    pub fn holds(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until| now_ms < until)
    }

    /// Checks all its fields.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the first that cannot be.
    pub fn validate(&self) -> Result<(), Error> {
        let invalid = |reason: String| Err(Error::Invalid { id: self.id, reason });
        if !(1..=MAX_ID).contains(&self.id) {
            return invalid(format!("an ID is a number from 1 to {MAX_ID}"));
        }
        if self.reason.chars().count() > MAX_REASON || self.reason.chars().any(char::is_control) {
            return invalid(format!("a reason has at most {MAX_REASON} characters, on one line"));
        }
        Ok(())
    }
}

impl Embedded {
    /// Keeps a ban, in place of one of the same ID; when this returns, the disk has it.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the ban cannot be; [`Error::Store`].
    pub fn put_ban(&self, ban: &Ban) -> Result<(), Error> {
        ban.validate()?;
        let json = serde_json::to_vec(ban)
            .map_err(|error| Error::Invalid { id: ban.id, reason: error.to_string() })?;
        self.write(BANS, |table| table.insert(ban.id, json.as_slice()).map(drop))
    }

    /// Drops the bans of these IDs, readable or not; says how many there were.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn remove_bans(&self, ids: &[u32]) -> Result<usize, Error> {
        self.write(BANS, |table| {
            ids.iter().try_fold(0, |count, id| Ok(count + usize::from(table.remove(id)?.is_some())))
        })
    }

    /// All bans by ID, and the IDs of records that cannot be read.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn bans(&self) -> Result<(Vec<Ban>, Vec<u32>), Error> {
        let (mut bans, mut unreadable) = (Vec::new(), Vec::new());
        self.read(BANS, |id, json| match serde_json::from_slice::<Ban>(json) {
            Ok(ban) if ban.id == id && ban.validate().is_ok() => bans.push(ban),
            _ => unreadable.push(id),
        })?;
        Ok((bans, unreadable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(id: u32, until_ms: Option<u64>) -> Ban {
        Ban { id, until_ms, reason: "noise".to_owned(), by: By::Operator, made_ms: 1 }
    }

    #[test]
    fn bans_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Embedded::open(dir.path()).unwrap();
        store.put_ban(&ban(8, Some(5))).unwrap();
        store.put_ban(&ban(7, Some(5))).unwrap();
        store.put_ban(&ban(7, None)).unwrap();
        drop(store);
        let store = Embedded::open(dir.path()).unwrap();
        assert_eq!(store.bans().unwrap(), (vec![ban(7, None), ban(8, Some(5))], vec![]));
        store.write(BANS, |table| table.insert(9, b"{}".as_slice()).map(drop)).unwrap();
        store.write(BANS, |table| table.insert(10, b"\xff".as_slice()).map(drop)).unwrap();
        assert_eq!(store.remove_bans(&[7, 70]).unwrap(), 1);
        assert_eq!(store.bans().unwrap(), (vec![ban(8, Some(5))], vec![9, 10]));
    }

    #[test]
    fn holds_until_its_end() {
        assert!(ban(1, Some(10)).holds(9) && !ban(1, Some(10)).holds(10) && ban(1, None).holds(u64::MAX));
        assert_eq!(serde_json::to_value(By::KeyedUp).unwrap(), By::KeyedUp.as_str());
        assert_eq!(serde_json::to_value(By::Operator).unwrap(), By::Operator.as_str());
        for bad in [ban(0, None), ban(MAX_ID + 1, None), Ban { reason: "a\nb".to_owned(), ..ban(1, None) }] {
            assert!(matches!(bad.validate(), Err(Error::Invalid { .. })), "{bad:?}");
        }
        let long = Ban { reason: "ü".repeat(201), ..ban(1, None) };
        assert!(long.validate().unwrap_err().to_string().contains("at most 200 characters"));
    }
}
