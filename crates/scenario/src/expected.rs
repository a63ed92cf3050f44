//! What a scenario expects to be heard and told.

use std::time::Duration;

use stack::Slot;

use crate::model::{Talker, Target};

/// Something that must be so, and the line that says so.
#[derive(Clone, Debug)]
pub struct Expect {
    /// The line in the file.
    pub line: usize,
    /// The words of that line.
    pub words: String,
    /// What must be so.
    pub what: What,
}

/// What can be expected.
#[derive(Clone, Debug)]
pub enum What {
    /// A device hears a call.
    Hears(Hears),
    /// A radio is refused; the refusals of a radio are expected in order.
    Refused(Who, Reason),
    /// A radio has said its alias.
    Alias(Who, String),
    /// So many bursts were dropped for this reason, in the whole scenario.
    Dropped(Dropped, Count),
}

/// A call that a device hears.
#[derive(Clone, Debug)]
pub struct Hears {
    /// The device.
    pub device: usize,
    /// The slot.
    pub slot: Slot,
    /// It may hear it or not.
    pub optional: bool,
    /// Data, not voice.
    pub is_data: bool,
    /// Whom the call is for.
    pub target: Target,
    /// Who talks.
    pub from: Who,
    /// What it hears, in this order.
    pub parts: Parts,
    /// What must be so of the call.
    pub marks: Vec<Mark>,
}

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A radio, by its ID.
    Radio(u32),
    /// One of these; the same one wherever they are named.
    OneOf(Vec<u32>),
    /// The other one of the two that were named so.
    Other,
}

/// What a call that is heard is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// CSBKs, before all else.
    pub csbks: Count,
    /// A voice LC header, or a data header.
    pub header: bool,
    /// A PI header.
    pub pi_header: bool,
    /// Voice bursts, or data blocks.
    pub body: Count,
    /// Voice bursts of the talker between the first and the last one that are missing.
    pub lost: Count,
    /// A terminator.
    pub terminator: Count,
}

/// A number with its tolerance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// At least so many.
    pub least: u32,
    /// At most so many.
    pub most: u32,
}

impl Count {
    /// None.
    pub const NONE: Self = Self { least: 0, most: 0 };
    /// One.
    pub const ONE: Self = Self { least: 1, most: 1 };
    /// None or one.
    pub const MAYBE: Self = Self { least: 0, most: 1 };

    /// Whether a number is within it.
    #[must_use]
    pub const fn admits(self, number: u32) -> bool {
        self.least <= number && number <= self.most
    }
}

/// What else can be said of a call that is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The emergency bit is set in its headers.
    Emergency,
    /// The privacy bit is set in its headers.
    Encrypted,
    /// This colour code is in all its bursts.
    ColourCode(u8),
    /// Its syncs are a base station's, or else a radio's.
    BaseStation(bool),
    /// It begins so long after another moment.
    Begins {
        /// At least.
        least: Duration,
        /// At most.
        most: Duration,
        /// After that.
        after: Moment,
    },
}

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The first burst of a radio's latest transmission, as of the step before which this was written.
    Begin(Talker, usize),
    /// The last burst of that.
    End(Talker, usize),
    /// The last burst of the call that the device heard before on this slot.
    Before,
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Nobody has heard the radio called.
    NoRoute,
    /// Its slot is busy.
    Busy,
    /// The talkgroup has a talker.
    Taken,
    /// The call is running already.
    Loop,
    /// Not let in.
    Denied,
    /// Banned.
    Banned,
    /// Blocked for the device.
    Blocked,
    /// Encrypted.
    Encrypted,
}

impl Reason {
    /// All of them, with the words for them: as scenarios and as events say it.
    pub const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::NoRoute, "no route", "no_route"),
        (Self::Busy, "busy", "busy"),
        (Self::Taken, "taken", "taken"),
        (Self::Loop, "loop", "loop"),
        (Self::Denied, "denied", "denied"),
        (Self::Banned, "banned", "banned"),
        (Self::Blocked, "blocked", "blocked"),
        (Self::Encrypted, "encrypted", "encrypted"),
    ];

    /// The words of a scenario for it.
    #[must_use]
    pub fn words(self) -> &'static str {
        Self::ALL.iter().find(|(reason, ..)| *reason == self).map_or("", |(_, words, _)| words)
    }
}

/// Why a burst was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Too late.
    Late,
    /// Twice.
    Duplicate,
    /// Too fast.
    TooFast,
    /// The slot has another call than this data.
    DataBusy,
}

impl Dropped {
    /// All of them, with the words for them.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Late, "late"),
        (Self::Duplicate, "duplicate"),
        (Self::TooFast, "too fast"),
        (Self::DataBusy, "data busy"),
    ];
}
