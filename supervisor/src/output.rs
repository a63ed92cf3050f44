//! What children print: line by line, with whose it is, and no more than somebody could read. A child never waits for
//! whoever reads: what is too much is counted and dropped.

use std::collections::VecDeque;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::policy::Process;
use crate::say;

/// Read at once; a pipe holds no more.
const CHUNK: usize = 64 * 1024;
/// Chunks read in one go: others have their turn between.
const CHUNKS: usize = 16;
/// A longer line is cut.
const MAX_LINE: usize = 1024;
/// Lines a second that are shown; the rest is counted.
const LINES: u32 = 100;
/// Lines that are kept.
const LAST: usize = 2;
const SECOND: Duration = Duration::from_secs(1);

/// The output of one child.
#[derive(Debug)]
pub(crate) struct Output {
    whose: Process,
    /// `None` at its end.
    reader: Option<PipeReader>,
    lines: Lines,
}

impl Output {
    pub(crate) fn new(whose: Process, reader: Option<PipeReader>) -> io::Result<Self> {
        if let Some(reader) = &reader {
            fcntl(reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { whose, reader, lines: Lines::default() })
    }

    /// What to wait for.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref().map(AsFd::as_fd)
    }

    /// The last lines, as far as there are any: of one that says nothing else, they are its last words.
    pub(crate) fn last_lines(&self) -> Option<String> {
        let lines: Vec<String> = self.lines.last.iter().map(|line| text(line)).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// Shows what has come.
    pub(crate) fn pass_on(&mut self, now: Duration) {
        let mut buffer = vec![0; CHUNK];
        for _ in 0..CHUNKS {
            let Some(reader) = &mut self.reader else { break };
            match reader.read(&mut buffer) {
                Ok(0) => self.reader = None,
                Ok(len) => self.lines.take(now, &buffer[..len], |line| {
                    say::passed_on(&tagged(self.whose, line));
                }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.reader = None,
            }
        }
    }
}

fn text(line: &[u8]) -> String {
    say::clean(&String::from_utf8_lossy(line))
}

/// A line with whose it is. The services say that themselves: some of their lines have a form that logs are searched for.
fn tagged(whose: Process, line: &str) -> String {
    match whose {
        Process::Services => line.to_owned(),
        Process::Worker(_) | Process::Registry | Process::Broker => format!("{whose}: {line}"),
    }
}

/// Cuts what comes into lines, and counts them.
#[derive(Debug, Default)]
struct Lines {
    /// The beginning of one that is not whole yet.
    begun: Vec<u8>,
    /// Those before it, the newest last.
    last: VecDeque<Vec<u8>>,
    since: Duration,
    shown: u32,
    dropped: u64,
}

impl Lines {
    fn take(&mut self, now: Duration, bytes: &[u8], mut show: impl FnMut(&str)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.keep(&rest[..end]);
            self.end(now, &mut show);
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.begun.len()).min(bytes.len());
        self.begun.extend_from_slice(&bytes[..room]);
    }

    fn end(&mut self, now: Duration, show: &mut impl FnMut(&str)) {
        if now >= self.since + SECOND {
            let dropped = std::mem::take(&mut self.dropped);
            if dropped > 0 {
                show(&format!("{dropped} lines more are not shown: {LINES} a second are"));
            }
            (self.since, self.shown) = (now, 0);
        }
        if self.shown < LINES {
            self.shown += 1;
            show(&text(&self.begun));
        } else {
            self.dropped += 1;
        }
        // The oldest one's place is used again.
        let mut next =
            if self.last.len() < LAST { Vec::new() } else { self.last.pop_front().unwrap_or_default() };
        next.clear();
        self.last.push_back(std::mem::replace(&mut self.begun, next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_keep_their_form() {
        let refused = "mmdvm: refused id=7 address=192.0.2.7 port=1 reason=\"wrong password\"";
        assert_eq!(tagged(Process::Services, refused), refused);
        assert_eq!(tagged(Process::Worker(3), "x"), "worker 3: x");
    }

    #[test]
    fn lines_are_put_together_cut_and_counted() {
        let mut lines = Lines::default();
        let mut shown = Vec::new();
        let mut take = |ms, bytes: &[u8]| {
            let mut all = Vec::new();
            lines.take(Duration::from_millis(ms), bytes, |line| all.push(line.to_owned()));
            shown.push(all.len());
            all
        };
        assert_eq!(take(0, b"one\ntw"), ["one"]);
        assert_eq!(take(1, b"o\x1b[2J\n"), ["two[2J"]);
        assert_eq!(take(2, &[b'x'; 5000]), [""; 0]);
        assert_eq!(take(3, b"\n"), ["x".repeat(MAX_LINE)]);
        assert_eq!(take(4, "y\n".repeat(1000).as_bytes()).len(), 97);
        let later = take(1005, b"z\n");
        assert_eq!(later, ["903 lines more are not shown: 100 a second are", "z"]);
        assert_eq!(lines.last, [b"y", b"z"]);
    }
}
