//! Why a session ended, or was refused: the values of `Reason`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// By its terminator.
    #[serde(rename = "terminator")]
    Terminator,
    /// Nothing came of it any more.
    #[serde(rename = "timeout")]
    Timeout,
    /// Another call began on its slot.
    #[serde(rename = "superseded")]
    Superseded,
    /// Its repeater is gone.
    #[serde(rename = "context gone")]
    ContextGone,
    /// It was longer than is allowed.
    #[serde(rename = "too long")]
    TooLong,
    /// An operator ended it.
    #[serde(rename = "dropped by operator")]
    Dropped,
    /// The report of its end was lost, e.g. with its worker.
    #[serde(rename = "unknown")]
    Unknown,
}

impl StopReason {
    /// As in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminator => "terminator",
            Self::Timeout => "timeout",
            Self::Superseded => "superseded",
            Self::ContextGone => "context gone",
            Self::TooLong => "too long",
            Self::Dropped => "dropped by operator",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a session was refused. `Display` says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefuseReason {
    /// Nobody has heard the radio called.
    NoRoute,
    /// The slot of the radio called has another call.
    Busy,
    /// The talkgroup has a talker.
    Taken,
    /// It is a call that is running already, come back another way.
    Loop,
    /// The configuration does not let the radio or the talkgroup in.
    Denied,
    /// The radio is banned.
    Banned,
    /// The talkgroup is blocked for the device.
    Blocked,
    /// It is encrypted.
    Encrypted,
}

impl fmt::Display for RefuseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoute => "the radio called was not heard anywhere",
            Self::Busy => "the radio called is busy",
            Self::Taken => "somebody else talks on it",
            Self::Loop => "the call came back another way",
            Self::Denied => "not allowed by the configuration",
            Self::Banned => "the radio is banned",
            Self::Blocked => "the talkgroup is blocked for this device",
            Self::Encrypted => "it is encrypted",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_words_agree() {
        for reason in [
            StopReason::Terminator,
            StopReason::Timeout,
            StopReason::Superseded,
            StopReason::ContextGone,
            StopReason::TooLong,
            StopReason::Dropped,
            StopReason::Unknown,
        ] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        assert_eq!(serde_json::to_value(RefuseReason::NoRoute).unwrap(), "no_route");
        assert_eq!(serde_json::from_str::<RefuseReason>("\"taken\"").unwrap(), RefuseReason::Taken);
    }
}
