//! What can be said about devices and their talkgroups.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Subcommand};
use schedule::{Date, Day, Schedule};

use super::Json;

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Add a device; a password is made up and printed once, unless one is given
    Add {
        /// Its ID as it sends it: usually 6 or 7 digits, 9 for a hotspot
        id: u32,
        /// Its call sign: a note, not checked when it logs in
        #[arg(long)]
        call: Option<String>,
        /// Static talkgroups of TS1, with commas
        #[arg(long, value_name = "TG,TG", value_delimiter = ',')]
        ts1: Vec<u32>,
        /// Static talkgroups of TS2, with commas
        #[arg(long, value_name = "TG,TG", value_delimiter = ',')]
        ts2: Vec<u32>,
        /// Talkgroups that neither reach it nor can be keyed at it, with commas; up to 8
        #[arg(long, value_name = "TG,TG", value_delimiter = ',')]
        block: Vec<u32>,
        /// One dynamic talkgroup a slot at most: keying one ends the other
        #[arg(long)]
        single: bool,
        /// Read its password from standard input
        #[arg(long)]
        password_stdin: bool,
        /// Give it none: the one of the configuration is good for it
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
    },
    /// Show all devices
    List(Json),
    /// Remove a device; one that is logged in stays so until it is kicked
    Remove {
        /// Its ID
        id: u32,
    },
    /// Block a talkgroup: it neither reaches the device nor can be keyed at it, from now on
    Block {
        /// The device's ID
        id: u32,
        /// The talkgroup
        talkgroup: u32,
    },
    /// Block a talkgroup no longer
    Unblock {
        /// The device's ID
        id: u32,
        /// The talkgroup
        talkgroup: u32,
    },
    /// Let a device have one dynamic talkgroup a slot at most, or several again
    Single {
        /// The device's ID
        id: u32,
        /// on: keying a talkgroup ends the one that was keyed before
        #[arg(
            value_name = "on|off",
            action = ArgAction::Set,
            value_parser = PossibleValuesParser::new(["on", "off"]).map(|word| word == "on"),
        )]
        on: bool,
    },
    /// Give a device another password, read from standard input; it is asked for it at its next login
    Password {
        /// Its ID
        id: u32,
    },
}

/// A static talkgroup.
#[derive(Debug, Args)]
pub(crate) struct Subscribe {
    /// The device's ID
    pub(crate) id: u32,
    /// The talkgroup
    pub(crate) talkgroup: u32,
    #[command(flatten)]
    pub(crate) slot: OneSlot,
    /// Only on these days, with commas; needs --from and --until
    #[arg(long, value_name = "mon,tue", value_delimiter = ',', requires = "from")]
    pub(crate) days: Vec<Day>,
    /// Only from this time of the day on, in UTC
    #[arg(long, value_name = "HH:MM", requires = "until", value_parser = schedule::parse_clock)]
    pub(crate) from: Option<u16>,
    /// Only until this time of the day, in UTC; the next morning where it is earlier than --from
    #[arg(long, value_name = "HH:MM", requires = "from", value_parser = schedule::parse_clock)]
    pub(crate) until: Option<u16>,
    /// Not before this day
    #[arg(long, value_name = "YYYY-MM-DD", requires = "from", value_parser = schedule::parse_date)]
    pub(crate) first: Option<Date>,
    /// Not after this day
    #[arg(long, value_name = "YYYY-MM-DD", requires = "from", value_parser = schedule::parse_date)]
    pub(crate) last: Option<Date>,
}

impl Subscribe {
    /// When, if not always.
    pub(crate) fn schedule(&self) -> Option<Schedule> {
        let (from, until) = self.from.zip(self.until)?;
        Some(Schedule { days: self.days.clone(), from, until, first: self.first, last: self.last })
    }
}

/// A timeslot.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OneSlot {
    /// The timeslot, 1 or 2
    #[arg(long, value_name = "1|2", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) slot: u8,
}

/// One of a context's timeslots, or both.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct AnySlot {
    /// Its ID, as `bmctl contexts` shows it
    pub(crate) id: u32,
    /// Only on this timeslot, 1 or 2
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) slot: Option<u8>,
}
