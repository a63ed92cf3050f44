//! How far a long verb is, on standard error: a line that is redrawn on a terminal, else one every few seconds.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::say;

/// Between two looks of a terminal's line.
const REDRAW: Duration = Duration::from_millis(200);
/// Between two lines where nobody looks.
const TELL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Progress {
    /// What is done with records, e.g. `imported`.
    done: &'static str,
    on_terminal: bool,
    told: Instant,
    drawn: bool,
}

impl Progress {
    pub(super) fn new(done: &'static str) -> Self {
        let on_terminal = io::stderr().is_terminal();
        Self { done, on_terminal, told: Instant::now(), drawn: false }
    }

    /// So many records so far, and so much of the whole where that is known.
    pub(super) fn at(&mut self, records: usize, part: Option<f64>) {
        let between = if self.on_terminal { REDRAW } else { TELL };
        if self.told.elapsed() < between {
            return;
        }
        self.told = Instant::now();
        let line = line(self.done, records, part);
        if self.on_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
            self.drawn = true;
        } else {
            say::log(&line);
        }
    }

    /// Takes the line off the terminal, before something else is said.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn line(done: &str, records: usize, part: Option<f64>) -> String {
    let percent = part.map(|part| format!(" ({:.0} %)", part.clamp(0.0, 1.0) * 100.0)).unwrap_or_default();
    format!("{records} records {done}{percent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_shown_where_it_is_known() {
        assert_eq!(line("imported", 7, None), "7 records imported");
        assert_eq!(line("imported", 7, Some(0.256)), "7 records imported (26 %)");
    }
}
