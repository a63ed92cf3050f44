//! What the events of a session have in common, and BrandMeister's numbers for it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The name of the MMDVM stack in `LinkName`, as listeners know it.
pub const MMDVM_HOST: &str = "MMDVM Host";

/// The name of the stack of other networks in `LinkName`.
pub const OPENBRIDGE: &str = "OpenBridge";

/// One transmission, by whom and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Session {
    /// The stack it came in by, e.g. [`MMDVM_HOST`].
    pub link_name: String,
    /// What is at the far end of that context.
    pub link_type: LinkType,
    /// ID of the context it came from.
    #[serde(rename = "ContextID")]
    pub context_id: u32,
    /// Its UUID.
    #[serde(rename = "SessionID")]
    pub session_id: Uuid,
    /// From [`session_type`].
    pub session_type: u8,
    /// The timeslot it came from, 1 or 2.
    pub slot: u8,
    /// Radio ID of the talker.
    #[serde(rename = "SourceID")]
    pub source_id: u32,
    /// Talkgroup or radio ID called.
    #[serde(rename = "DestinationID")]
    pub destination_id: u32,
    /// The talker is in distress; left out where he is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub emergency: bool,
}

/// What is at the far end of a context: a number in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum LinkType {
    /// Software.
    Application = 0,
    /// Radio access equipment.
    Repeater = 1,
    /// Something with many sites behind it.
    Network = 2,
}

/// How far a session is: a number in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum SessionState {
    /// It begins.
    Initial = 0,
    /// It runs.
    Progress = 1,
    /// It is over.
    Final = 2,
}

/// What a session carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// Speech.
    Voice,
    /// Data blocks.
    Data,
    /// Signalling (CSBK) alone.
    Control,
}

/// The flag of a group call in a `SessionType`.
const GROUP: u8 = 2;

/// BrandMeister's `SessionType`: KNOWN 1, GROUP 2, VOICE 4, DATA 8, CONTROL 16, as a sum.
#[must_use]
pub const fn session_type(group: bool, kind: SessionKind) -> u8 {
    let known = 1;
    let group = if group { GROUP } else { 0 };
    let kind = match kind {
        SessionKind::Voice => 4,
        SessionKind::Data => 8,
        SessionKind::Control => 16,
    };
    known | group | kind
}

impl Session {
    /// Whether its destination is a talkgroup.
    #[must_use]
    pub const fn is_group(&self) -> bool {
        self.session_type & GROUP != 0
    }

    /// What it carries.
    #[must_use]
    pub const fn kind(&self) -> SessionKind {
        match self.session_type {
            flags if flags & 8 != 0 => SessionKind::Data,
            flags if flags & 16 != 0 => SessionKind::Control,
            _ => SessionKind::Voice,
        }
    }
}

impl From<LinkType> for u8 {
    fn from(link: LinkType) -> Self {
        link as Self
    }
}

impl TryFrom<u8> for LinkType {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            0 => Ok(Self::Application),
            1 => Ok(Self::Repeater),
            2 => Ok(Self::Network),
            _ => Err(format!("link type {number}: 0, 1 or 2 is valid")),
        }
    }
}

impl From<SessionState> for u8 {
    fn from(state: SessionState) -> Self {
        state as Self
    }
}

impl TryFrom<u8> for SessionState {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            0 => Ok(Self::Initial),
            1 => Ok(Self::Progress),
            2 => Ok(Self::Final),
            _ => Err(format!("session state {number}: 0, 1 or 2 is valid")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_types_are_those_that_listeners_know() {
        assert_eq!(session_type(false, SessionKind::Voice), 5);
        assert_eq!(session_type(true, SessionKind::Voice), 7);
        assert_eq!(session_type(false, SessionKind::Data), 9);
        assert_eq!(session_type(true, SessionKind::Data), 11);
        assert_eq!(session_type(false, SessionKind::Control), 17);
    }

    #[test]
    fn numbers_are_read_back() {
        for number in 0..=2 {
            assert_eq!(u8::from(LinkType::try_from(number).unwrap()), number);
            assert_eq!(u8::from(SessionState::try_from(number).unwrap()), number);
        }
        assert!(LinkType::try_from(3).is_err());
        assert!(SessionState::try_from(3).is_err());
    }
}
