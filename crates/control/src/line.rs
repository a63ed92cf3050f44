//! One JSON value on one line.

use std::io::{self, BufRead, Read};

use serde::Serialize;

/// The longest request line to the supervisor, in bytes, without its end.
pub const MAX_REQUEST: usize = 64 * 1024;

/// The same to the services: a thousand profiles with all texts as long as they may be are one request.
pub const MAX_SERVICES_REQUEST: usize = 4 * 1024 * 1024;

/// The longest answer line, in bytes, without its end: the contexts of a large cluster are on one line.
pub const MAX_REPLY: usize = 64 * 1024 * 1024;

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Longer than allowed.
    #[error("a line longer than {limit} bytes: send one JSON object a line, and a shorter one")]
    TooLong {
        /// What is allowed.
        limit: usize,
    },
    /// No text.
    #[error("a line that is not UTF-8 text")]
    NotText,
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads one line of at most `limit` bytes, without its end; `None` at the end of the stream. The last line
/// may lack its end.
///
/// # Errors
/// When the line is longer, is no text, or the reader fails. What remains of a longer line is left in the
/// reader: close it.
pub fn read_line_limited(reader: &mut impl BufRead, limit: usize) -> Result<Option<String>, LineError> {
    let mut line = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    if reader.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > limit {
        return Err(LineError::TooLong { limit });
    }
    String::from_utf8(line).map(Some).map_err(|_| LineError::NotText)
}

/// The line of a value, with its end.
///
/// # Errors
/// When the value has no JSON form.
pub fn to_line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_within_the_limit() {
        let mut text: &[u8] = b"one\n\n1234\nend";
        let mut next = || read_line_limited(&mut text, 4).unwrap();
        assert_eq!(next().as_deref(), Some("one"));
        assert_eq!(next().as_deref(), Some(""));
        assert_eq!(next().as_deref(), Some("1234"));
        assert_eq!(next().as_deref(), Some("end"));
        assert_eq!(next(), None);
    }

    #[test]
    fn longer_ones_are_refused() {
        for mut text in [&b"12345\n"[..], b"12345"] {
            let error = read_line_limited(&mut text, 4).unwrap_err();
            assert!(error.to_string().starts_with("a line longer than 4 bytes"));
        }
        // An endless line is not read further than it has to be.
        let mut endless = io::BufReader::new(io::repeat(b'x'));
        assert!(matches!(read_line_limited(&mut endless, MAX_REQUEST), Err(LineError::TooLong { .. })));
        assert!(matches!(read_line_limited(&mut &b"\xff\n"[..], 4), Err(LineError::NotText)));
    }
}
