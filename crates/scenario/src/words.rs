//! The words of one line, taken one after another. What does not fit is an error that says what would.

use std::fmt;
use std::time::Duration;

use stack::Slot;

use crate::expected::Count;

/// What is wrong with a scenario, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

impl std::error::Error for Error {}

/// One burst of a slot (ETSI TS 102 361-1 section 4.2.1).
pub const BURST_TIME: Duration = Duration::from_millis(60);

/// `about` so many: a superframe more or less.
const ABOUT: u32 = 6;

/// The words of a line that have not been taken yet.
pub(crate) struct Words {
    file: String,
    line: usize,
    words: Vec<String>,
    at: usize,
}

impl Words {
    /// Takes a line apart: words, `,` and `:`, and texts in quotation marks. What follows `#` is a comment.
    pub(crate) fn new(file: &str, line: usize, text: &str) -> Result<Self, Error> {
        let mut words: Vec<String> = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let len = match first {
                '#' => break,
                '"' => match rest[1..].find('"') {
                    Some(end) => end + 2,
                    None => {
                        let reason = "a text without its end: write it in quotation marks".to_owned();
                        return Err(Error { file: file.to_owned(), line, reason });
                    }
                },
                ',' | ':' => 1,
                _ => rest.find(|c: char| c.is_whitespace() || ",:\"#".contains(c)).unwrap_or(rest.len()),
            };
            words.push(rest[..len].to_owned());
            rest = rest[len..].trim_start();
        }
        Ok(Self { file: file.to_owned(), line, words, at: 0 })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The next word, without taking it.
    pub(crate) fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    pub(crate) fn next(&mut self) -> Option<String> {
        let word = self.words.get(self.at).cloned();
        self.at += usize::from(word.is_some());
        word
    }

    pub(crate) fn error(&self, reason: impl Into<String>) -> Error {
        Error { file: self.file.clone(), line: self.line, reason: reason.into() }
    }

    /// The next word does not fit: `valid` would.
    pub(crate) fn unknown(&self, valid: &str) -> Error {
        match self.peek() {
            Some(word) => self.error(format!("\"{word}\" is not understood here: write {valid}")),
            None => self.error(format!("the line ends too early: write {valid}")),
        }
    }

    /// Begins again at the first word.
    pub(crate) fn rewind(&mut self) {
        self.at = 0;
    }

    /// Whether one of these comes `ahead` words after the next one.
    pub(crate) fn follows(&self, ahead: usize, words: &[&str]) -> bool {
        self.words.get(self.at + ahead).is_some_and(|word| words.contains(&word.as_str()))
    }

    /// Takes these words, if they come next.
    pub(crate) fn eat(&mut self, words: &str) -> bool {
        let wanted: Vec<&str> = words.split(' ').collect();
        let found = self.words[self.at..].iter().take(wanted.len());
        let is_next = found.map(String::as_str).eq(wanted.iter().copied());
        if is_next {
            self.at += wanted.len();
        }
        is_next
    }

    /// Takes these words, which have to come next.
    pub(crate) fn expect(&mut self, words: &str) -> Result<(), Error> {
        if self.eat(words) { Ok(()) } else { Err(self.unknown(&format!("\"{words}\""))) }
    }

    /// Takes one of these.
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[(T, &str)]) -> Result<T, Error> {
        if let Some((value, _)) = all.iter().find(|(_, words)| self.eat(words)) {
            return Ok(*value);
        }
        let valid: Vec<_> = all.iter().map(|(_, words)| format!("\"{words}\"")).collect();
        Err(self.unknown(&valid.join(" or ")))
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<(), Error> {
        if self.at == self.words.len() { Ok(()) } else { Err(self.unknown("nothing more")) }
    }

    /// A comma, if it is not the end.
    pub(crate) fn comma_or_end(&mut self) -> Result<bool, Error> {
        if self.at == self.words.len() {
            return Ok(false);
        }
        self.expect(",").map(|()| true)
    }

    /// A whole number from `least` to `most`.
    pub(crate) fn number(&mut self, what: &str, least: u32, most: u32) -> Result<u32, Error> {
        let number = self.peek().and_then(|word| word.parse().ok());
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => {
                self.at += 1;
                Ok(number)
            }
            None => Err(self.unknown(&format!("{what}, a number from {least} to {most}"))),
        }
    }

    pub(crate) fn talkgroup(&mut self) -> Result<u32, Error> {
        self.number("a talkgroup", 1, 0xFF_FFFF)
    }

    /// Talkgroups, at least one.
    pub(crate) fn talkgroups(&mut self) -> Result<Vec<u32>, Error> {
        let mut all = vec![self.talkgroup()?];
        while self.peek().is_some_and(|word| word.parse::<u32>().is_ok()) {
            all.push(self.talkgroup()?);
        }
        Ok(all)
    }

    /// Numbers and ranges with commas: `1-5, 7`.
    pub(crate) fn ranges(&mut self) -> Result<Vec<(u32, u32)>, Error> {
        let mut ranges = Vec::new();
        loop {
            let word = self.peek().unwrap_or_default();
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            match (first.parse(), last.parse()) {
                (Ok(first), Ok(last)) if first <= last => ranges.push((first, last)),
                _ => return Err(self.unknown("a number or a range, e.g. 1-99")),
            }
            self.at += 1;
            if !self.comma_or_end()? {
                return Ok(ranges);
            }
        }
    }

    pub(crate) fn slot(&mut self) -> Result<Slot, Error> {
        self.one_of(&[(Slot::One, "TS1"), (Slot::Two, "TS2")])
    }

    /// A text in quotation marks.
    pub(crate) fn text(&mut self) -> Result<String, Error> {
        let text = self.peek().and_then(|word| word.strip_prefix('"')?.strip_suffix('"')).map(str::to_owned);
        self.at += usize::from(text.is_some());
        text.ok_or_else(|| self.unknown("a text in quotation marks"))
    }

    /// `2 s`, `1.5 s`, `500 ms`, `3 bursts`, `10 min`.
    pub(crate) fn time(&mut self) -> Result<Duration, Error> {
        const VALID: &str = "a time, e.g. 2 s, 1.5 s, 500 ms, 3 bursts or 15 min";
        let number: Option<f64> = self.peek().and_then(|word| word.parse().ok());
        let number =
            number.filter(|number| (0.0..1e6).contains(number)).ok_or_else(|| self.unknown(VALID))?;
        self.at += 1;
        let unit = match self.peek() {
            Some("s") => 1.0,
            Some("ms") => 0.001,
            Some("min") => 60.0,
            Some("burst" | "bursts") => BURST_TIME.as_secs_f64(),
            _ => return Err(self.unknown("\"s\", \"ms\", \"bursts\" or \"min\"")),
        };
        self.at += 1;
        // Whole microseconds: 17 bursts are 1.02 s to the point.
        Ok(Duration::from_micros((number * unit * 1e6).round() as u64))
    }

    /// `17`, `about 17`, `10 to 20`, `at least 3`, `at most 8`, `some`.
    pub(crate) fn count(&mut self) -> Result<Count, Error> {
        const MOST: u32 = 100_000;
        if self.eat("some") {
            return Ok(Count { least: 1, most: MOST });
        }
        if self.eat("about") {
            let number = self.number("how many", 0, MOST)?;
            return Ok(Count { least: number.saturating_sub(ABOUT), most: number + ABOUT });
        }
        if self.eat("at least") {
            return Ok(Count { least: self.number("how many", 0, MOST)?, most: MOST });
        }
        if self.eat("at most") {
            return Ok(Count { least: 0, most: self.number("how many", 0, MOST)? });
        }
        let least = self.number("how many", 0, MOST)?;
        let most = if self.eat("to") { self.number("how many", least, MOST)? } else { least };
        Ok(Count { least, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Words {
        Words::new("x.scn", 3, text).unwrap()
    }

    #[test]
    fn a_line_is_taken_apart() {
        let line = words("A keys group 1 on TS1, alias \"a, b\", 5:6 # and \"so on");
        let expected = ["A", "keys", "group", "1", "on", "TS1", ",", "alias", "\"a, b\"", ",", "5", ":", "6"];
        assert_eq!(line.words, expected);
        assert!(words("  # nothing").is_empty());
        let error = Words::new("x.scn", 3, "alias \"x").err().unwrap().to_string();
        assert_eq!(error, "x.scn:3: a text without its end: write it in quotation marks");
    }

    #[test]
    fn times_and_counts() {
        let ms = |text| words(text).time().unwrap().as_millis();
        assert_eq!([ms("2 s"), ms("1.5 s"), ms("500 ms"), ms("17 bursts")], [2000, 1500, 500, 1020]);
        let count = |text| words(text).count().map(|count| (count.least, count.most)).unwrap();
        assert_eq!([count("17"), count("about 17"), count("3 to 5")], [(17, 17), (11, 23), (3, 5)]);
        assert_eq!([count("at most 8"), count("about 2")], [(0, 8), (0, 8)]);
    }

    #[test]
    fn errors_say_what_would_be_right() {
        let reason = |error: Error| error.to_string();
        assert_eq!(
            reason(words("ts1").slot().unwrap_err()),
            "x.scn:3: \"ts1\" is not understood here: write \"TS1\" or \"TS2\""
        );
        assert_eq!(
            reason(words("").talkgroup().unwrap_err()),
            "x.scn:3: the line ends too early: write a talkgroup, a number from 1 to 16777215"
        );
        assert!(reason(words("2 h").time().unwrap_err()).contains("\"h\" is not understood here"));
        assert!(reason(words("5-1").ranges().unwrap_err()).contains("a range, e.g. 1-99"));
        assert!(words("1-5, 7").ranges().unwrap() == [(1, 5), (7, 7)]);
    }
}
