//! A blocking client for both sockets.

use std::io::{self, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::sockopt::SendTimeout;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket};
use nix::sys::time::{TimeVal, TimeValLike};
use serde::de::DeserializeOwned;

use crate::{
    Exit, LineError, MAX_REPLY, Paths, Peer, Reply, Request, ServicesRequest, read_line_limited, to_line,
};

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody listens.
    #[error("no supervisor runs on {}: start one with `bmctl start`", dir.display())]
    NotRunning {
        /// The runtime directory.
        dir: PathBuf,
    },
    /// The supervisor runs, the services do not.
    #[error("the services of {} do not run now: see `bmctl status`, and try again", dir.display())]
    NoServices {
        /// The runtime directory.
        dir: PathBuf,
    },
    /// The socket belongs to somebody else.
    #[error("not allowed to open {}: run this as the user who started the cluster, or as root", path.display())]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// The directory's name does not fit into a socket address.
    #[error("{}: too long for the name of a socket: choose a shorter --runtime-dir", path.display())]
    PathTooLong {
        /// The socket.
        path: PathBuf,
    },
    /// No answer in time.
    #[error("no answer on {} within {} s", path.display(), timeout.as_secs_f64())]
    TimedOut {
        /// The socket.
        path: PathBuf,
        /// How long was waited.
        timeout: Duration,
    },
    /// The answer was an error.
    #[error("{0}")]
    Refused(String),
    /// The answer is not of this protocol.
    #[error("{}: an answer that cannot be read: {reason}: are cluster and bmctl of one version", path.display())]
    BadAnswer {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The socket failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// How.
        source: io::Error,
    },
}

impl Error {
    /// How `bmctl` ends on this.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NotRunning { .. } => Exit::NotRunning,
            Self::NoServices { .. } => Exit::Degraded,
            Self::TimedOut { .. } => Exit::TimedOut,
            _ => Exit::Failure,
        }
    }
}

/// Sends one request and waits for its answer; `timeout` (not zero) is for each step: the connection, the
/// request, the answer.
///
/// # Errors
/// When nobody listens, the answer is an error, or there is none in time.
pub fn request<T: DeserializeOwned, R: Request>(
    paths: &Paths,
    request: &R,
    timeout: Duration,
) -> Result<T, Error> {
    send(paths, request, timeout)?.reply(timeout)
}

/// Asks the services for events and hands them out line by line, for as long as the cluster runs; `timeout` is
/// for the answer to the request, not for the events.
///
/// # Errors
/// As [`request`].
pub fn events(paths: &Paths, timeout: Duration) -> Result<Lines, Error> {
    let mut lines = send(paths, &ServicesRequest::Events, timeout)?;
    lines.reply::<()>(timeout)?;
    let forever = lines.reader.get_ref().set_read_timeout(None);
    forever.map_err(|source| Error::Io { path: lines.path.clone(), source })?;
    Ok(lines)
}

/// The lines that come from a socket.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    reader: BufReader<UnixStream>,
}

impl Lines {
    fn reply<T: DeserializeOwned>(&mut self, timeout: Duration) -> Result<T, Error> {
        let bad = |reason: String| Error::BadAnswer { path: self.path.clone(), reason };
        let line = match read_line_limited(&mut self.reader, MAX_REPLY) {
            Ok(Some(line)) => line,
            Ok(None) => return Err(bad("the connection was closed".to_owned())),
            Err(LineError::Io(source)) => return Err(failed(&self.path, timeout, source)),
            Err(error) => return Err(bad(error.to_string())),
        };
        match serde_json::from_str(&line) {
            Ok(Reply::Ok(body)) => Ok(body),
            Ok(Reply::Error(reason)) => Err(Error::Refused(reason)),
            Err(error) => Err(bad(error.to_string())),
        }
    }
}

impl Iterator for Lines {
    type Item = Result<String, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        read_line_limited(&mut self.reader, MAX_REPLY).transpose()
    }
}

fn send<R: Request>(paths: &Paths, request: &R, timeout: Duration) -> Result<Lines, Error> {
    let path = match R::PEER {
        Peer::Supervisor => paths.control(),
        Peer::Services => paths.services(),
    };
    let mut stream = open(&path, timeout).map_err(|errno| match errno {
        Errno::ENOENT | Errno::ECONNREFUSED => {
            let dir = paths.dir().to_owned();
            match R::PEER {
                Peer::Services if open(&paths.control(), timeout).is_ok() => Error::NoServices { dir },
                _ => Error::NotRunning { dir },
            }
        }
        Errno::EACCES | Errno::EPERM => Error::NotAllowed { path: path.clone() },
        Errno::ENAMETOOLONG => Error::PathTooLong { path: path.clone() },
        errno => failed(&path, timeout, errno.into()),
    })?;
    let line = to_line(request).map_err(|error| failed(&path, timeout, error.into()))?;
    let sent = stream.set_read_timeout(Some(timeout)).and_then(|()| stream.write_all(&line));
    sent.map_err(|source| failed(&path, timeout, source))?;
    Ok(Lines { path, reader: BufReader::new(stream) })
}

/// Connects. The kernel takes the send time-out for the wait in a listener's queue too (unix(7) has no other
/// way), and it must be set before: the standard library cannot.
fn open(path: &Path, timeout: Duration) -> nix::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let most = TimeVal::microseconds(i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX));
    setsockopt(&socket, SendTimeout, &most)?;
    connect(socket.as_raw_fd(), &address)?;
    Ok(UnixStream::from(socket))
}

fn failed(path: &Path, timeout: Duration, source: io::Error) -> Error {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::TimedOut { path, timeout },
        _ => Error::Io { path, source },
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use nix::sys::socket::{Backlog, listen};

    use super::*;
    use crate::SupervisorRequest;

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(20);

    fn runtime_dir() -> (tempfile::TempDir, Paths) {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path());
        (dir, paths)
    }

    /// Answers one request with `answer`, and returns the request.
    fn serve(path: &Path, answer: &'static [u8]) -> thread::JoinHandle<String> {
        let listener = UnixListener::bind(path).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            stream.write_all(answer).unwrap();
            line
        })
    }

    fn ask(answer: &'static [u8]) -> Result<u32, Error> {
        let (_dir, paths) = runtime_dir();
        let server = serve(&paths.control(), answer);
        let result = request(&paths, &SupervisorRequest::Status, LONG);
        assert_eq!(server.join().unwrap(), "{\"request\":\"status\"}\n");
        result
    }

    #[test]
    fn one_request_one_answer() {
        assert_eq!(ask(b"{\"ok\":7}\n").unwrap(), 7);
        let refused = ask(b"{\"error\":\"not now\"}\n").unwrap_err();
        assert_eq!((refused.to_string().as_str(), refused.exit()), ("not now", Exit::Failure));
        assert!(matches!(ask(b"{\"ok\":\"seven\"}\n"), Err(Error::BadAnswer { .. })));
        assert!(ask(b"").unwrap_err().to_string().contains("the connection was closed"));
    }

    #[test]
    fn events_come_line_by_line() {
        let (_dir, paths) = runtime_dir();
        let server = serve(&paths.services(), b"{\"ok\":null}\n{\"a\":1}\n{\"b\":2}\n");
        let lines: Vec<_> = events(&paths, LONG).unwrap().map(Result::unwrap).collect();
        assert_eq!(lines, [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert_eq!(server.join().unwrap(), "{\"request\":\"events\"}\n");
    }

    #[test]
    fn nobody_there() {
        let (dir, paths) = runtime_dir();
        let error = request::<(), _>(&paths, &SupervisorRequest::Stop, LONG).unwrap_err();
        let expected =
            format!("no supervisor runs on {}: start one with `bmctl start`", dir.path().display());
        assert_eq!((error.to_string(), error.exit()), (expected, Exit::NotRunning));
        // A socket that a killed supervisor left behind.
        drop(UnixListener::bind(paths.control()).unwrap());
        let error = request::<(), _>(&paths, &SupervisorRequest::Stop, LONG).unwrap_err();
        assert_eq!(error.exit(), Exit::NotRunning);
        let error = request::<(), _>(&paths, &ServicesRequest::Calls, LONG).unwrap_err();
        assert_eq!(error.exit(), Exit::NotRunning);
        std::fs::remove_file(paths.control()).unwrap();
        let _supervisor = UnixListener::bind(paths.control()).unwrap();
        let error = request::<(), _>(&paths, &ServicesRequest::Calls, LONG).unwrap_err();
        assert!(matches!(error, Error::NoServices { .. }));
    }

    #[test]
    fn waits_no_longer_than_told() {
        let (_dir, paths) = runtime_dir();
        // It accepts nobody: first the answer is late, and once its short queue is full, the connection.
        let listener = UnixListener::bind(paths.control()).unwrap();
        listen(&listener, Backlog::new(0).unwrap()).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = open(&paths.control(), SHORT) {
            waiting.push(stream);
            assert!(waiting.len() < 10);
        }
        let error = request::<(), _>(&paths, &SupervisorRequest::Status, SHORT).unwrap_err();
        assert_eq!(error.exit(), Exit::TimedOut, "{error}");
        while listener.set_nonblocking(true).and_then(|()| listener.accept()).is_ok() {}
        let error = request::<(), _>(&paths, &SupervisorRequest::Status, SHORT).unwrap_err();
        assert_eq!(error.exit(), Exit::TimedOut, "{error}");
    }

    #[test]
    fn a_name_too_long_says_so() {
        let error =
            request::<(), _>(&Paths::new("/x".repeat(60)), &SupervisorRequest::Status, LONG).unwrap_err();
        assert!(error.to_string().contains("choose a shorter --runtime-dir"));
    }
}
