//! Lines for whoever reads a pipe or a terminal, without ever waiting for him.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What a pipe that is ready for writing takes whole (PIPE_BUF).
const MAX_LEN: usize = 4096;

/// Writes a line, cut to 4 KiB, to a stream that has room for it. False where it has none, or nobody reads: the
/// line is lost then. A process that others depend on must not stop because its reader has.
pub fn write_line(mut stream: impl Write + AsFd, text: &str) -> bool {
    let mut line = Vec::with_capacity(text.len() + 1);
    line.extend_from_slice(&text.as_bytes()[..text.len().min(MAX_LEN - 1)]);
    line.push(b'\n');
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
    let ready = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|count| count == 1)
        && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLOUT));
    ready && stream.write_all(&line).and_then(|()| stream.flush()).map_err(|_: io::Error| ()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_reader_that_does_not_read_holds_nobody_up() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut written = 0;
        while write_line(&writer, &"x".repeat(MAX_LEN)) {
            written += MAX_LEN;
        }
        assert!(written >= MAX_LEN);
        assert!(!write_line(&writer, "lost"));
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text.len(), written);
    }

    #[test]
    fn no_reader_is_no_error_that_ends_anybody() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert!(!write_line(&writer, "nobody"));
    }
}
