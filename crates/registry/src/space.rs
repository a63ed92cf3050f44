//! The spaces of a registry, and how their records are named. Names are BrandMeister's where it has them.

use std::fmt;

use serde_json::Value;

/// The longest name of a stored value, in bytes.
pub const MAX_NAME: usize = 64;

/// What is kept: records of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// Hosts of the network, by the ID of their first node.
    Nodes,
    /// How nodes are reached that are reached in another way than the rest, by node ID.
    OverriddenNodes,
    /// Repeaters and hotspots, by ID.
    Devices,
    /// Their static talkgroups, by the device's ID.
    Subscriptions,
    /// Users, by radio ID.
    GlobalProfiles,
    /// Names of talkgroups, by ID.
    Talkgroups,
    /// Who is kept out, by ID.
    Bans,
    /// The newest session of each radio, by its ID.
    LastHeard,
    /// What scripts keep, by name.
    StoredValues,
    /// Other networks that calls go to and come from, by network ID.
    Peers,
}

impl Space {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Nodes,
        Self::OverriddenNodes,
        Self::Devices,
        Self::Subscriptions,
        Self::GlobalProfiles,
        Self::Talkgroups,
        Self::Bans,
        Self::LastHeard,
        Self::StoredValues,
        Self::Peers,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nodes => "Nodes",
            Self::OverriddenNodes => "OverriddenNodes",
            Self::Devices => "Devices",
            Self::Subscriptions => "Subscriptions",
            Self::GlobalProfiles => "GlobalProfiles",
            Self::Talkgroups => "Talkgroups",
            Self::Bans => "Bans",
            Self::LastHeard => "LastHeard",
            Self::StoredValues => "StoredValues",
            Self::Peers => "Peers",
        }
    }

    /// The space of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|space| space.name().eq_ignore_ascii_case(name))
    }

    /// Fields of a record: keys of its JSON, and places in its tuple. The first is its key.
    #[must_use]
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Nodes => &["id", "name", "address", "port", "key"],
            Self::OverriddenNodes => &["id", "options", "transport", "address", "port"],
            Self::Devices => &["id", "password", "call", "blocked", "single"],
            Self::Subscriptions => &["id", "ts1", "ts2", "timed"],
            Self::GlobalProfiles => &[
                "id",
                "algorithm",
                "key",
                "interval",
                "capabilities",
                "language",
                "active",
                "call",
                "ssid",
                "symbol",
                "text",
                "name",
                "city",
                "state",
                "country",
            ],
            Self::Talkgroups => &["id", "name"],
            Self::Bans => &["id", "until_ms", "reason", "by", "made_ms"],
            Self::LastHeard => &[
                "radio",
                "alias",
                "destination",
                "group",
                "context",
                "call",
                "slot",
                "session",
                "started_ms",
                "seconds",
                "refused",
                "ended",
            ],
            Self::StoredValues => &["name", "value"],
            Self::Peers => &[
                "id",
                "address",
                "key",
                "learn_address",
                "enhanced",
                "talkgroups_in",
                "talkgroups_out",
                "rewrite",
                "own_id",
            ],
        }
    }

    /// The field that is for nobody's eyes, if it has one: a text.
    #[must_use]
    pub const fn secret(self) -> Option<&'static str> {
        match self {
            Self::Devices => Some("password"),
            Self::Nodes | Self::GlobalProfiles | Self::Peers => Some("key"),
            _ => None,
        }
    }

    /// What a record of it is, before its key.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Nodes => "node",
            Self::OverriddenNodes => "overridden node",
            Self::Devices => "device",
            Self::Subscriptions => "subscriptions of device",
            Self::GlobalProfiles => "profile",
            Self::Talkgroups => "talkgroup",
            Self::Bans => "ban of",
            Self::LastHeard => "last heard of",
            Self::StoredValues => "stored value",
            Self::Peers => "peer",
        }
    }

    /// Where its records are named by a text.
    const fn has_names(self) -> bool {
        matches!(self, Self::StoredValues)
    }

    /// The key that a text or number names.
    #[must_use]
    pub fn key(self, value: &Value) -> Option<Key> {
        match value {
            Value::String(name) if self.has_names() => {
                let valid = (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
                valid.then(|| Key::Name(name.clone()))
            }
            Value::Number(id) if !self.has_names() => Some(Key::Id(u32::try_from(id.as_u64()?).ok()?)),
            _ => None,
        }
    }

    /// The key that an operator names.
    #[must_use]
    pub fn key_of_text(self, text: &str) -> Option<Key> {
        let value = if self.has_names() { Value::from(text) } else { Value::from(text.parse::<u32>().ok()?) };
        self.key(&value)
    }

    /// A key from the bytes under which a store keeps it.
    pub(crate) fn key_of_bytes(self, bytes: &[u8]) -> Option<Key> {
        if self.has_names() {
            return std::str::from_utf8(bytes).ok().map(|name| Key::Name(name.to_owned()));
        }
        bytes.try_into().ok().map(|id| Key::Id(u32::from_be_bytes(id)))
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a record is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// An ID.
    Id(u32),
    /// A name: 1 to [`MAX_NAME`] bytes, no control characters.
    Name(String),
}

impl Key {
    /// As a store keeps it: the order of the bytes is that of the keys.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Id(id) => id.to_be_bytes().to_vec(),
            Self::Name(name) => name.clone().into_bytes(),
        }
    }

    /// As in JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Id(id) => Value::from(*id),
            Self::Name(name) => Value::from(name.as_str()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spaces_have_names_and_keys() {
        for space in Space::ALL {
            assert_eq!(Space::named(&space.name().to_lowercase()), Some(space));
            assert!(space.fields().len() >= 2);
        }
        assert_eq!(Space::named("Users"), None);
        assert_eq!(Space::GlobalProfiles.fields()[7..11], ["call", "ssid", "symbol", "text"]);
        assert_eq!(Space::Bans.key(&json!(7)), Some(Key::Id(7)));
        for bad in [json!(-1), json!(4_294_967_296_u64), json!(1.5), json!("7"), json!(null)] {
            assert_eq!(Space::Bans.key(&bad), None);
        }
        assert_eq!(Space::StoredValues.key_of_text("7"), Some(Key::Name("7".to_owned())));
        for bad in [json!(""), json!("a\nb"), json!("x".repeat(65)), json!(7)] {
            assert_eq!(Space::StoredValues.key(&bad), None);
        }
        assert_eq!(Space::Bans.key_of_text("x"), None);
    }

    #[test]
    fn bytes_of_keys_are_in_their_order() {
        let keys = [1, 255, 256, 70_000, u32::MAX].map(Key::Id);
        assert!(keys.windows(2).all(|pair| pair[0].to_bytes() < pair[1].to_bytes()));
        for key in keys {
            assert_eq!(Space::Bans.key_of_bytes(&key.to_bytes()), Some(key));
        }
        let name = Key::Name("ä".to_owned());
        assert_eq!(Space::StoredValues.key_of_bytes(&name.to_bytes()), Some(name));
        assert_eq!(Space::Bans.key_of_bytes(b"abc"), None);
    }
}
