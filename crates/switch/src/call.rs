//! Who calls whom, and what becomes of such a call.

use dmr::{BurstKind, DataType};
use stack::{CallType, Frame};

use crate::io::Kind;
use crate::{LOCAL, PARROT, UNLINK};

/// Who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) source: u32,
    pub(crate) destination: u32,
    pub(crate) to: CallType,
    pub(crate) kind: Kind,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// It goes to a talkgroup's subscribers.
    Talkgroup,
    /// It goes to where the radio is.
    Radio,
    /// It is said again.
    Parrot,
    /// It ends the slot's dynamic talkgroups.
    Unlink,
    /// It concerns nobody but those who hear it anyway.
    Local,
}

impl Call {
    pub(crate) fn of(frame: &Frame) -> Self {
        let kind = match frame.kind {
            BurstKind::Voice(_)
            | BurstKind::Data(DataType::VOICE_HEADER | DataType::TERMINATOR | DataType::PI_HEADER) => {
                Kind::Voice
            }
            BurstKind::Data(DataType::CSBK | DataType::MBC_HEADER | DataType::MBC_CONTINUATION) => {
                Kind::Control
            }
            BurstKind::Data(_) => Kind::Data,
        };
        Self { source: frame.source, destination: frame.destination, to: frame.call, kind }
    }

    pub(crate) fn is_voice(self) -> bool {
        self.kind == Kind::Voice
    }

    pub(crate) fn target(self) -> Target {
        match (self.destination, self.to) {
            (PARROT, _) => Target::Parrot,
            (UNLINK, _) => Target::Unlink,
            (LOCAL, CallType::Group) => Target::Local,
            (_, CallType::Group) => Target::Talkgroup,
            (_, CallType::Private) => Target::Radio,
        }
    }

    /// The same radio calls the same target in the same way.
    pub(crate) fn is_same(self, other: Self) -> bool {
        (self.source, self.destination, self.to, self.is_voice())
            == (other.source, other.destination, other.to, other.is_voice())
    }
}
