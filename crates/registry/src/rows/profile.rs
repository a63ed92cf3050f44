//! Who uses a radio, and what talkgroups are called: for people. No call asks for either.

use serde::{Deserialize, Serialize};

use super::{MAX_TALKGROUP, check_id, check_text};
use crate::{Key, Row, Space};

/// A user. The places of `call`, `ssid`, `symbol` and `text` in its tuple, 7 to 10, are those that BrandMeister's tools
/// read; what comes before is kept for them as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// The radio's ID.
    pub id: u32,
    /// Of its encryption.
    pub algorithm: u32,
    /// Of its encryption.
    pub key: String,
    /// Between two positions, seconds.
    pub interval: u32,
    /// What it can do, as flags.
    pub capabilities: u32,
    /// In which it is spoken to.
    pub language: String,
    /// Whether it is in use.
    pub active: bool,
    /// Call sign.
    pub call: String,
    /// Of its APRS station.
    pub ssid: u32,
    /// APRS symbol.
    pub symbol: String,
    /// APRS text.
    pub text: String,
    /// For people.
    pub name: String,
    /// For people.
    pub city: String,
    /// For people.
    pub state: String,
    /// For people.
    pub country: String,
}

/// What a talkgroup is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talkgroup {
    /// 1 to [`MAX_TALKGROUP`].
    pub id: u32,
    /// At most 64 characters.
    pub name: String,
}

impl Row for Profile {
    const SPACE: Space = Space::GlobalProfiles;

    fn key(&self) -> Key {
        Key::Id(self.id)
    }

    fn check(&self) -> Result<(), String> {
        check_id(self.id)?;
        let short = [("language", &self.language), ("call", &self.call), ("symbol", &self.symbol)];
        short.into_iter().try_for_each(|(field, text)| check_text(field, text, 16))?;
        let long = [
            ("key", &self.key),
            ("text", &self.text),
            ("name", &self.name),
            ("city", &self.city),
            ("state", &self.state),
            ("country", &self.country),
        ];
        long.into_iter().try_for_each(|(field, text)| check_text(field, text, 128))
    }
}

impl Row for Talkgroup {
    const SPACE: Space = Space::Talkgroups;

    fn key(&self) -> Key {
        Key::Id(self.id)
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=MAX_TALKGROUP).contains(&self.id) {
            return Err(format!("a talkgroup is a number from 1 to {MAX_TALKGROUP}"));
        }
        check_text("name", &self.name, 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;

    #[test]
    fn fields_are_in_their_places() {
        let profile = Profile { id: 2_621_370, call: "N0CALL".to_owned(), ..Profile::default() };
        let record = Record::of(&profile).unwrap();
        let object = record.object();
        assert!(Space::GlobalProfiles.fields().iter().all(|field| object.contains_key(*field)));
        assert_eq!(record.row::<Profile>(), Some(profile.clone()));
        for (bad, reason) in [
            (Profile { id: 0, ..profile.clone() }, "an ID is a number from 1 to 999999999"),
            (Profile { call: "x".repeat(17), ..profile.clone() }, "call: at most 16 characters, on one line"),
            (Profile { city: "a\nb".to_owned(), ..profile }, "city: at most 128 characters, on one line"),
        ] {
            assert_eq!(bad.check().unwrap_err(), reason);
        }
        let talkgroup = |id, name: &str| Talkgroup { id, name: name.to_owned() };
        assert!(talkgroup(91, "World-wide").check().is_ok());
        assert!(talkgroup(0, "").check().is_err() && talkgroup(1, &"x".repeat(65)).check().is_err());
    }
}
