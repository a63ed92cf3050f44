//! Days of the week, in three letters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::Weekday;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

const NAMES: [(Day, &str); 7] = [
    (Day::Mon, "mon"),
    (Day::Tue, "tue"),
    (Day::Wed, "wed"),
    (Day::Thu, "thu"),
    (Day::Fri, "fri"),
    (Day::Sat, "sat"),
    (Day::Sun, "sun"),
];

/// A text that names no day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write mon, tue, wed, thu, fri, sat or sun")]
pub struct DayError;

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let found = NAMES.iter().find(|(_, name)| text.eq_ignore_ascii_case(name));
        found.map(|(day, _)| *day).ok_or(DayError)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES[*self as usize].1)
    }
}

impl From<Weekday> for Day {
    fn from(day: Weekday) -> Self {
        NAMES[usize::from(day.number_days_from_monday())].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for (number, (day, name)) in NAMES.into_iter().enumerate() {
            assert_eq!((day.to_string().as_str(), name.parse()), (name, Ok(day)));
            assert_eq!(Day::from(Weekday::Monday.nth_next(u8::try_from(number).unwrap())), day);
        }
        assert_eq!("MON".parse(), Ok(Day::Mon));
        assert_eq!("monday".parse::<Day>(), Err(DayError));
    }
}
