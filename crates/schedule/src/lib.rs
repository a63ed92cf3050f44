//! When a talkgroup is subscribed that is not always: days of the week, a time of the day, and the dates
//! between which it holds; all in UTC. Pure: time is handed in. Whose talkgroup it is, and what follows from
//! it, is not said here.

#![forbid(unsafe_code)]

mod day;

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

pub use day::{Day, DayError};
/// A day of the calendar.
pub use time::Date;

const DATE: StaticFormatDescription = format_description!("[year]-[month]-[day]");
/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A time of the day on some days. One that ends earlier than it begins goes on past midnight, and belongs to
/// the day on which it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Days on which it begins; none for all.
    #[serde(default)]
    pub days: Vec<Day>,
    /// Where it begins, minutes of the day in UTC: 0 to 1439.
    pub from: u16,
    /// Where it is over, minutes of the day in UTC: 0 to 1440, another than `from`.
    pub until: u16,
    /// The first day on which it begins.
    #[serde(default)]
    pub first: Option<Date>,
    /// The last day on which it begins.
    #[serde(default)]
    pub last: Option<Date>,
}

/// A talkgroup that is subscribed at times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timed {
    /// Which.
    pub talkgroup: u32,
    /// On which slot, 1 or 2.
    pub slot: u8,
    /// When.
    pub schedule: Schedule,
}

/// Why a schedule, or a part of one, cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No time of the day.
    #[error("{0:?}: write a time of the day in UTC, from 00:00 to 24:00, e.g. 19:30")]
    Time(String),
    /// No date.
    #[error("{0:?}: write a date, e.g. 2026-03-31")]
    Date(String),
    /// A time that does not begin within a day, or end within one.
    #[error("it begins at minute {from} and ends at minute {until}; a day has 1440")]
    Minutes {
        /// Where it begins.
        from: u16,
        /// Where it is over.
        until: u16,
    },
    /// It is over where it begins.
    #[error("it begins and ends at {}: for a whole day write 00:00 to 24:00", clock(*.0))]
    Empty(u16),
    /// Its last day is before its first.
    #[error("its last day, {last}, is before its first, {first}")]
    Dates {
        /// The first.
        first: Date,
        /// The last.
        last: Date,
    },
}

impl Schedule {
    /// Checks all its fields.
    ///
    /// # Errors
    /// [`Error`] with the first that cannot be.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { from, until, .. } = *self;
        if from >= DAY || until > DAY {
            return Err(Error::Minutes { from, until });
        }
        if from == until {
            return Err(Error::Empty(from));
        }
        match (self.first, self.last) {
            (Some(first), Some(last)) if last < first => Err(Error::Dates { first, last }),
            _ => Ok(()),
        }
    }

    /// Whether it is on, microseconds since 1970.
    #[must_use]
    pub fn is_on(&self, wall_us: u64) -> bool {
        let seconds = i64::try_from(wall_us / 1_000_000).unwrap_or(i64::MAX);
        let Ok(at) = OffsetDateTime::from_unix_timestamp(seconds) else { return false };
        let minute = u16::from(at.hour()) * 60 + u16::from(at.minute());
        let today = at.date();
        if self.from < self.until {
            return (self.from..self.until).contains(&minute) && self.begins_on(today);
        }
        let yesterday = today.previous_day();
        (minute >= self.from && self.begins_on(today))
            || (minute < self.until && yesterday.is_some_and(|day| self.begins_on(day)))
    }

    fn begins_on(&self, date: Date) -> bool {
        (self.days.is_empty() || self.days.contains(&date.weekday().into()))
            && self.first.is_none_or(|first| first <= date)
            && self.last.is_none_or(|last| date <= last)
    }
}

impl fmt::Display for Schedule {
    /// As `mon,tue 19:00-21:00 UTC from 2026-03-01 to 2026-03-31`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days.is_empty() {
            f.write_str("daily")?;
        }
        for (index, day) in self.days.iter().enumerate() {
            write!(f, "{}{day}", if index == 0 { "" } else { "," })?;
        }
        write!(f, " {}-{} UTC", clock(self.from), clock(self.until))?;
        self.first.map_or(Ok(()), |first| write!(f, " from {first}"))?;
        self.last.map_or(Ok(()), |last| write!(f, " to {last}"))
    }
}

fn clock(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Minutes of the day from `19:30`; `24:00` is the end of a day.
///
/// # Errors
/// [`Error::Time`].
pub fn parse_clock(text: &str) -> Result<u16, Error> {
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| two)
    };
    let parts = text.split_once(':').and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
    let minutes = parts.filter(|(_, minute)| *minute < 60).map(|(hour, minute)| hour * 60 + minute);
    minutes.filter(|minutes| *minutes <= DAY).ok_or_else(|| Error::Time(text.to_owned()))
}

/// A date from `2026-03-31`.
///
/// # Errors
/// [`Error::Date`].
pub fn parse_date(text: &str) -> Result<Date, Error> {
    Date::parse(text, DATE).map_err(|_| Error::Date(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    fn us(at: OffsetDateTime) -> u64 {
        u64::try_from(at.unix_timestamp_nanos() / 1000).unwrap()
    }

    fn schedule(days: &[Day], from: &str, until: &str) -> Schedule {
        let (from, until) = (parse_clock(from).unwrap(), parse_clock(until).unwrap());
        Schedule { days: days.to_vec(), from, until, first: None, last: None }
    }

    #[test]
    fn on_its_days_at_its_time() {
        // 2 March 2026 is a Monday.
        let net = schedule(&[Day::Mon, Day::Thu], "19:00", "21:00");
        assert!(net.is_on(us(datetime!(2026-03-02 19:00 UTC))));
        assert!(net.is_on(us(datetime!(2026-03-05 20:59:59.999 UTC))));
        assert!(!net.is_on(us(datetime!(2026-03-02 18:59:59 UTC))));
        assert!(!net.is_on(us(datetime!(2026-03-02 21:00 UTC))));
        assert!(!net.is_on(us(datetime!(2026-03-03 20:00 UTC))));
        let always = schedule(&[], "00:00", "24:00");
        assert!(always.is_on(0) && always.is_on(us(datetime!(2026-03-03 23:59:59 UTC))));
        assert!(!always.is_on(u64::MAX), "no time that a calendar knows");
    }

    #[test]
    fn past_midnight_it_belongs_to_the_day_before() {
        let mut night = schedule(&[Day::Sat], "22:00", "02:00");
        assert!(night.is_on(us(datetime!(2026-03-07 22:00 UTC))));
        assert!(night.is_on(us(datetime!(2026-03-08 01:59 UTC))));
        assert!(!night.is_on(us(datetime!(2026-03-08 02:00 UTC))));
        assert!(!night.is_on(us(datetime!(2026-03-07 01:00 UTC))));
        night.last = Some(date!(2026 - 03 - 07));
        assert!(night.is_on(us(datetime!(2026-03-08 01:59 UTC))));
        assert!(!night.is_on(us(datetime!(2026-03-14 23:00 UTC))));
        assert!(schedule(&[], "23:00", "00:00").is_on(us(datetime!(2026-03-02 23:30 UTC))));
    }

    #[test]
    fn between_its_dates() {
        let mut march = schedule(&[], "00:00", "24:00");
        (march.first, march.last) = (Some(date!(2026 - 03 - 01)), Some(date!(2026 - 03 - 31)));
        assert!(!march.is_on(us(datetime!(2026-02-28 23:59 UTC))));
        assert!(march.is_on(us(datetime!(2026-03-01 00:00 UTC))));
        assert!(march.is_on(us(datetime!(2026-03-31 23:59 UTC))));
        assert!(!march.is_on(us(datetime!(2026-04-01 00:00 UTC))));
        assert_eq!(march.to_string(), "daily 00:00-24:00 UTC from 2026-03-01 to 2026-03-31");
    }

    #[test]
    fn what_cannot_be_says_why() {
        for bad in ["", "7:00", "19", "24:01", "19:60", "+1:00", "1900", "19:00:00"] {
            assert!(parse_clock(bad).unwrap_err().to_string().contains("e.g. 19:30"), "{bad}");
        }
        for bad in ["", "2026-3-1", "2026-02-30", "yesterday"] {
            assert!(parse_date(bad).unwrap_err().to_string().contains("e.g. 2026-03-31"), "{bad}");
        }
        let error = |schedule: &Schedule| schedule.validate().unwrap_err().to_string();
        assert_eq!(
            error(&schedule(&[], "19:00", "19:00")),
            "it begins and ends at 19:00: for a whole day write 00:00 to 24:00"
        );
        assert!(error(&schedule(&[], "24:00", "01:00")).starts_with("it begins at minute 1440"));
        let mut dates = schedule(&[], "00:00", "24:00");
        (dates.first, dates.last) = (Some(date!(2026 - 03 - 02)), Some(date!(2026 - 03 - 01)));
        assert_eq!(error(&dates), "its last day, 2026-03-01, is before its first, 2026-03-02");
    }

    #[test]
    fn reads_back_what_it_writes() {
        let mut net = schedule(&[Day::Mon, Day::Tue], "19:00", "21:00");
        net.first = Some(date!(2026 - 03 - 01));
        assert_eq!(net.to_string(), "mon,tue 19:00-21:00 UTC from 2026-03-01");
        let timed = Timed { talkgroup: 91, slot: 2, schedule: net };
        let json = serde_json::to_string(&timed).unwrap();
        assert_eq!(
            json,
            r#"{"talkgroup":91,"slot":2,"schedule":{"days":["mon","tue"],"from":1140,"until":1260,"first":"2026-03-01","last":null}}"#
        );
        assert_eq!(serde_json::from_str::<Timed>(&json).unwrap(), timed);
    }
}
