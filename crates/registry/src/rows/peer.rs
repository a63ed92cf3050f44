//! Other networks that calls go to and come from. What is valid in one is what is valid in the configuration file.

use std::fmt;

use config::{Peer, PeerAddress, read_key, talkgroups};
use serde::{Deserialize, Serialize};

use crate::{Key, Row, Space};

/// Another network, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// Its network ID, from 1 on.
    pub id: u32,
    /// IP address or name, with a port; may be left out where `learn_address` is set.
    #[serde(default)]
    pub address: Option<String>,
    /// The key that both have.
    pub key: stack::Key,
    /// What comes from elsewhere with the right key shows where it is.
    #[serde(default)]
    pub learn_address: bool,
    /// It speaks the extensions of the protocol.
    #[serde(default)]
    pub enhanced: bool,
    /// Our own network ID there, from 1 on; none for that of the configuration.
    #[serde(default)]
    pub own_id: Option<u32>,
    /// Talkgroups that are taken from there, by their numbers here.
    #[serde(default)]
    pub talkgroups_in: Vec<Range>,
    /// Those that are sent there.
    #[serde(default)]
    pub talkgroups_out: Vec<Range>,
    /// Those that have another number there: `91=3191` is 91 here.
    #[serde(default)]
    pub rewrite: Vec<String>,
}

/// A talkgroup, or a range of them: `91`, `"3100-3199"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Range {
    /// One.
    One(u32),
    /// What a text says.
    Text(String),
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(talkgroup) => write!(f, "{talkgroup}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl PeerRow {
    /// What it says.
    ///
    /// # Errors
    /// In words: what is wrong with the first field that cannot be, and what would be valid; never the key.
    pub fn peer(&self) -> Result<Peer, String> {
        if self.id == 0 {
            return Err(format!("a network ID is a number from 1 to {}", u32::MAX));
        }
        if self.own_id == Some(0) {
            return Err(format!("own_id: a network ID is a number from 1 to {}", u32::MAX));
        }
        let address = self.address.as_deref().map(str::parse::<PeerAddress>).transpose();
        let address = address.map_err(|reason| format!("address: {reason}"))?;
        if address.is_none() && !self.learn_address {
            return Err("address: there is none; give one, or learn_address: true".to_owned());
        }
        let key = std::str::from_utf8(self.key.expose()).map_err(|error| error.to_string());
        let key = key.and_then(read_key).map_err(|reason| format!("key: {reason}"))?;
        let ranges = |field: &str, list: &[Range]| {
            let ranges = list.iter().map(|range| talkgroups::range(&range.to_string()));
            ranges.collect::<Result<Vec<_>, _>>().map_err(|reason| format!("{field}: {reason}"))
        };
        let r#in = ranges("talkgroups_in", &self.talkgroups_in)?;
        let out = ranges("talkgroups_out", &self.talkgroups_out)?;
        let renamed = self.rewrite.iter().map(|text| talkgroups::rename(text));
        let renamed = renamed.collect::<Result<_, _>>().map_err(|reason| format!("rewrite: {reason}"))?;
        Ok(Peer {
            id: self.id,
            address,
            learn_address: self.learn_address,
            key: Some(key),
            key_file: None,
            own_id: self.own_id,
            enhanced: self.enhanced,
            talkgroups: talkgroups::of(r#in, out, renamed)?,
        })
    }
}

impl Row for PeerRow {
    const SPACE: Space = Space::Peers;

    fn key(&self) -> Key {
        Key::Id(self.id)
    }

    fn check(&self) -> Result<(), String> {
        self.peer().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Record;

    fn read(value: Value) -> Result<Record, String> {
        let Value::Object(object) = value else { panic!("no object") };
        Record::of_object(Space::Peers, object).map_err(|error| error.to_string())
    }

    #[test]
    fn a_record_is_what_the_file_has() {
        let record = read(json!({
            "id": u32::MAX, "address": "bridge.example.org:62035", "key": "hidden", "enhanced": true,
            "talkgroups_in": [91, "3100-3199", "3200-3210"], "talkgroups_out": ["91"], "rewrite": ["91=3191"],
        }));
        let row: PeerRow = record.unwrap().row().unwrap();
        assert!(!format!("{row:?}").contains("hidden"));
        let peer = row.peer().unwrap();
        assert_eq!((peer.id, peer.enhanced, peer.learn_address), (u32::MAX, true, false));
        assert_eq!(peer.talkgroups.r#in, [(91, 91), (3100, 3210)]);
        assert_eq!((peer.talkgroups.out, peer.talkgroups.renamed), (vec![(91, 91)], vec![(91, 3191)]));
        assert_eq!(peer.address.unwrap().name(), Some("bridge.example.org"));
        assert_eq!(peer.key, stack::Key::new("hidden"));
        assert!(read(json!({"id": 7, "key": "x", "learn_address": true})).is_ok());
    }

    #[test]
    fn what_cannot_be_is_said_without_the_key() {
        let with = |field: &str, value: Value| {
            let mut peer = json!({"id": 7, "address": "a:1", "key": "hidden", "talkgroups_in": [1]});
            peer[field] = value;
            read(peer).unwrap_err()
        };
        for (field, value, expected) in [
            ("id", json!(0), "peer 0: a network ID is a number from 1 to 4294967295"),
            ("address", json!(null), "peer 7: address: there is none; give one, or learn_address: true"),
            ("address", json!("a"), "peer 7: address: \"a\": not an address with a port; write e.g."),
            ("key", json!(null), "peer 7: missing field `key`"),
            ("key", json!(5), "peer 7: key: not of the form that it has to have"),
            ("key", json!(""), "peer 7: key: a key has 1 to 64 bytes, on one line"),
            ("key", json!("hidden\n"), "peer 7: key: a key has 1 to 64 bytes, on one line"),
            ("key", json!("ü".repeat(33)), "peer 7: key: a key has 1 to 64 bytes, on one line"),
            ("talkgroups_out", json!(["9-1"]), "peer 7: talkgroups_out: \"9-1\": write talkgroups from 1 to"),
            ("talkgroups_out", json!([0]), "peer 7: talkgroups_out: \"0\": write talkgroups from 1 to"),
            ("talkgroups_out", json!([1.5]), "peer 7: talkgroups_out: not of the form"),
            ("rewrite", json!(["1"]), "peer 7: rewrite: \"1\": write two talkgroups, e.g. \"91=3191\""),
            ("rewrite", json!(["2=3"]), "peer 7: rewrite: 2 is in none of its lists of talkgroups"),
        ] {
            let error = with(field, value);
            assert!(error.starts_with(expected) && !error.contains("hidden"), "{error}");
        }
    }
}
