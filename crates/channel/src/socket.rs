//! The socket between the supervisor and a child: messages with descriptors, both ways.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of the longest message. Where the supervisor may not raise the buffer of a socket beyond `net.core.wmem_max`, about
/// twice that is the end.
const MAX_LEN: usize = 1024 * 1024;

/// What can go wrong on the socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused.
    #[error("the socket between supervisor and child: {0}")]
    System(#[from] io::Error),
    /// The other side sent what is no message.
    #[error("the socket between supervisor and child: not a message: {0}; do both have the same version?")]
    Foreign(#[from] serde_json::Error),
    /// A message came with other descriptors than it should.
    #[error(
        "the socket between supervisor and child: {got} descriptors instead of {wanted}; do both have the same version?"
    )]
    Descriptors {
        /// How many came.
        got: usize,
        /// How many belong to the message.
        wanted: usize,
    },
}

/// The descriptors of a message, where there are as many as belong to it.
///
/// # Errors
/// [`Error::Descriptors`].
pub fn descriptors<const N: usize>(fds: Vec<OwnedFd>) -> Result<[OwnedFd; N], Error> {
    fds.try_into().map_err(|fds: Vec<OwnedFd>| Error::Descriptors { got: fds.len(), wanted: N })
}

/// One end.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Two ends; neither blocks, both close on exec.
    ///
    /// # Errors
    /// Those of socketpair(2).
    pub fn pair() -> Result<(Self, Self), Error> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (a, b) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).map_err(io::Error::from)?;
        for end in [&a, &b] {
            // The whole set-up of a worker must fit, since the supervisor waits for nobody.
            setsockopt(end, sockopt::SndBufForce, &(4 << 20))
                .or_else(|_| setsockopt(end, sockopt::SndBuf, &(4 << 20)))
                .map_err(io::Error::from)?;
        }
        Ok((Self(a), Self(b)))
    }

    /// The end that a child was given by its supervisor.
    ///
    /// # Errors
    /// Where this process was not started by a supervisor.
    pub fn of_child() -> Result<Self, Error> {
        Ok(Self(sys::take_channel()?))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// `WouldBlock` where the other side does not read.
    pub fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let bytes = serde_json::to_vec(message)?;
        if bytes.len() > MAX_LEN {
            return Err(too_long(bytes.len()).into());
        }
        Ok(sys::send(self.as_fd(), &bytes, fds)?)
    }

    /// The next message, if one has come; an error of kind `UnexpectedEof` where the other side is gone.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn receive<T: DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>, Error> {
        // Most are short, and a worker is given them between bursts: no more memory is taken than each needs.
        let next = match sys::next_len(self.as_fd()) {
            // The other side has ended with something unread. That is said once, and before what it has said last.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => sys::next_len(self.as_fd()),
            next => next,
        };
        let received = next.and_then(|len| {
            if len > MAX_LEN {
                return Err(too_long(len));
            }
            let mut buffer = vec![0; len];
            sys::receive(self.as_fd(), &mut buffer).map(|(len, fds)| (buffer, len, fds))
        });
        match received {
            Ok((_, 0, _)) => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other side is gone").into())
            }
            Ok((buffer, len, fds)) => Ok(Some((serde_json::from_slice(&buffer[..len])?, fds))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The next message, waited for.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn wait<T: DeserializeOwned>(&self) -> Result<(T, Vec<OwnedFd>), Error> {
        loop {
            if let Some(message) = self.wait_for(None)? {
                return Ok(message);
            }
        }
    }

    /// The next message, waited for until then; `None` where none has come.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn wait_until<T: DeserializeOwned>(&self, end: Instant) -> Result<Option<(T, Vec<OwnedFd>)>, Error> {
        self.wait_for(Some(end))
    }

    fn wait_for<T: DeserializeOwned>(
        &self,
        end: Option<Instant>,
    ) -> Result<Option<(T, Vec<OwnedFd>)>, Error> {
        loop {
            if let Some(message) = self.receive()? {
                return Ok(Some(message));
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX)
            });
            let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
        }
    }
}

fn too_long(len: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a message of {len} bytes; at most {MAX_LEN} are allowed"),
    )
}

impl From<OwnedFd> for Socket {
    /// One end that was kept by its descriptor.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_heard_of_one_that_has_not_listened_to_the_end() {
        let (ours, theirs) = Socket::pair().unwrap();
        ours.send(&"unread", &[]).unwrap();
        theirs.send(&"last words", &[]).unwrap();
        drop(theirs);
        assert_eq!(ours.receive::<String>().unwrap().unwrap().0, "last words");
        let error = ours.receive::<String>().unwrap_err().to_string();
        assert!(error.contains("the other side is gone"), "{error}");
    }

    #[test]
    fn long_messages_come_whole_and_longer_ones_do_not_go() {
        let (ours, theirs) = Socket::pair().unwrap();
        // What everybody may send; root, whose buffers have no limit, sends the longest.
        let len = if nix::unistd::geteuid().is_root() { MAX_LEN - 2 } else { 300_000 };
        for text in ["x".to_owned(), "y".repeat(len), String::new()] {
            ours.send(&text, &[]).unwrap();
            assert!(theirs.receive::<String>().unwrap().unwrap().0 == text);
        }
        assert!(theirs.receive::<String>().unwrap().is_none());
        let error = ours.send(&"z".repeat(MAX_LEN), &[]).unwrap_err().to_string();
        assert!(error.contains("1048578 bytes; at most 1048576"), "{error}");
        drop(ours);
        let error = theirs.receive::<String>().unwrap_err().to_string();
        assert!(error.contains("the other side is gone"), "{error}");
    }
}
