//! A file that is read from its beginning to its end, however long it is: how far that is, and that nothing in it is
//! endless.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};

/// What is looked at to tell what a file is.
const HEAD: u64 = 64 * 1024;
/// The longest entry of a list: a quote that is never closed would else swallow the rest of the file.
const MAX_ENTRY: u64 = 64 * 1024;

/// How far a file is read.
#[derive(Debug, Default)]
pub(super) struct Place {
    bytes: Cell<u64>,
    lines: Cell<u64>,
    /// Bytes since the last entry began, where that is limited.
    since: Cell<Option<u64>>,
    size: Option<u64>,
}

impl Place {
    /// The line that is read.
    pub(super) fn line(&self) -> u64 {
        self.lines.get() + 1
    }

    /// How much of the whole is read, where that is known.
    pub(super) fn part(&self) -> Option<f64> {
        let size = self.size.filter(|size| *size > 0)?;
        // Of hundredths, since 64 bits do not fit a float.
        let hundredths = u32::try_from(self.bytes.get().saturating_mul(10_000) / size).ok()?;
        Some(f64::from(hundredths) / 10_000.0)
    }

    /// An entry ends here; the next one has a limited length.
    pub(super) fn next_entry(&self) {
        self.since.set(Some(0));
    }
}

/// The file.
pub(super) struct Input {
    reader: Box<dyn Read>,
    /// The beginning of the file, as far as it is text.
    pub(super) head: String,
    pub(super) place: Rc<Place>,
}

impl Input {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Self::new(io::stdin().lock(), None).context("cannot read standard input");
        }
        let open = || {
            let file = File::open(path)?;
            let meta = file.metadata()?;
            Self::new(file, meta.is_file().then_some(meta.len()))
        };
        open().with_context(|| format!("cannot read {}", path.display()))
    }

    pub(super) fn new(mut reader: impl Read + 'static, size: Option<u64>) -> io::Result<Self> {
        let mut head = Vec::new();
        reader.by_ref().take(HEAD).read_to_end(&mut head)?;
        let text = String::from_utf8_lossy(&head).into_owned();
        // Byte by byte is how some of those who read ask.
        let reader = Box::new(io::BufReader::new(Cursor::new(head).chain(reader)));
        Ok(Self { reader, head: text, place: Rc::new(Place { size, ..Place::default() }) })
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.reader.read(buffer)?;
        let Place { bytes, lines, since, .. } = &*self.place;
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        bytes.set(bytes.get() + count(len));
        lines.set(lines.get() + count(buffer[..len].iter().filter(|&&byte| byte == b'\n').count()));
        if let Some(before) = since.get() {
            let now = before + count(len);
            if now > MAX_ENTRY {
                let reason =
                    format!("an entry longer than {MAX_ENTRY} bytes: is a quote or bracket not closed?");
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            since.set(Some(now));
        }
        Ok(len)
    }
}
