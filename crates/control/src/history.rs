//! What the services remember of radios: who was last heard, and who is banned.

use events::{RefuseReason, StopReason};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The last session of a radio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeardInfo {
    /// The radio's ID.
    pub radio: u32,
    /// What it called itself, then or earlier: never with a control character.
    pub alias: Option<String>,
    /// Talkgroup or radio ID called.
    pub destination: u32,
    /// Whether `destination` is a talkgroup.
    pub group: bool,
    /// ID of the context that it came from.
    pub context: u32,
    /// That context's call sign; empty while not known.
    pub call: String,
    /// The timeslot it came from, 1 or 2.
    pub slot: u8,
    /// The session's UUID.
    pub session: Uuid,
    /// When it began, milliseconds since 1970.
    pub started_ms: u64,
    /// How long it was, or is so far.
    pub seconds: f64,
    /// Why it was refused, if it was.
    pub refused: Option<RefuseReason>,
    /// Why it ended; `None` while it goes on.
    pub ended: Option<StopReason>,
}

/// A ban that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanInfo {
    /// ID of the radio or device.
    pub id: u32,
    /// When it ends, milliseconds since 1970; `None` for never.
    pub until_ms: Option<u64>,
    /// Who made it: `operator` or `keyed up too often`.
    pub by: String,
    /// Why, in words.
    pub reason: String,
    /// When it was made, milliseconds since 1970.
    pub made_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_documented() {
        let heard = HeardInfo {
            radio: 2_621_370,
            alias: Some("N0CALL".to_owned()),
            destination: 91,
            group: true,
            context: 262_137,
            call: String::new(),
            slot: 2,
            session: Uuid::nil(),
            started_ms: 1,
            seconds: 1.5,
            refused: Some(RefuseReason::NoRoute),
            ended: Some(StopReason::ContextGone),
        };
        let json = serde_json::to_string(&heard).unwrap();
        let expected = concat!(
            r#"{"radio":2621370,"alias":"N0CALL","destination":91,"group":true,"context":262137,"call":"","slot":2,"#,
            r#""session":"00000000-0000-0000-0000-000000000000","started_ms":1,"seconds":1.5,"#,
            r#""refused":"no_route","ended":"context gone"}"#
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<HeardInfo>(&json).unwrap(), heard);
    }
}
