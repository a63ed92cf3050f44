//! Messages with descriptors over a Unix socket (SCM_RIGHTS).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// The most descriptors that one message carries; the kernel's own limit is 253.
pub const MAX_PASSED: usize = 200;

/// Sends `bytes` as one message with `fds` (at most [`MAX_PASSED`]).
///
/// # Errors
/// Those of sendmsg(2), among them EAGAIN on a socket that does not block.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<i32> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// The length of the message that [`receive`] would give next, which stays where it is; 0 at the end of the stream.
///
/// # Errors
/// Those of recvmsg(2).
pub fn next_len(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    // With MSG_TRUNC the kernel says how long it is, not how much of it fitted.
    Ok(recvmsg::<()>(socket.as_raw_fd(), &mut parts, None, flags)?.bytes)
}

/// Receives one message into `buffer` and returns its length, 0 at the end of the stream, with the
/// descriptors that came along, all close-on-exec.
///
/// # Errors
/// Those of recvmsg(2), and `InvalidData` for a message that did not fit `buffer`.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = nix::cmsg_space!([i32; MAX_PASSED]);
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = part {
            for fd in raw {
                // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
                fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    if message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message was larger than its buffer"));
    }
    Ok((message.bytes, fds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    #[test]
    fn descriptors_arrive_usable_and_close_on_exec() {
        let (a, b) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        send(a.as_fd(), b"two", &[writer.as_fd(), writer.as_fd()]).unwrap();
        drop(writer);
        assert_eq!(next_len(b.as_fd()).unwrap(), 3, "and it is still there");
        let mut buffer = [0; 16];
        let (len, mut fds) = receive(b.as_fd(), &mut buffer).unwrap();
        assert_eq!((&buffer[..len], fds.len()), (&b"two"[..], 2));
        let flags = nix::fcntl::fcntl(fds[0].as_fd(), nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        let mut file = std::fs::File::from(fds.remove(0));
        file.write_all(b"x").unwrap();
        drop((file, fds));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }

    #[test]
    fn what_is_handed_on_is_taken_once() {
        let (a, _b) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let number = std::os::fd::IntoRawFd::into_raw_fd(a);
        assert!(crate::take_inherited(number).is_err(), "it was made here");
        // SAFETY: the descriptor was let go of above, and is open.
        let kept = unsafe { BorrowedFd::borrow_raw(number) };
        crate::hand_on(kept, true).unwrap();
        let taken = crate::take_inherited(number).unwrap();
        assert!(crate::take_inherited(number).is_err(), "taken twice");
        drop(taken);
        assert!(crate::take_inherited(number).is_err(), "closed");
        assert!(crate::take_inherited(1).is_err(), "a standard stream");
    }

    #[test]
    fn a_message_too_large_is_an_error_and_an_end_is_zero() {
        let (a, b) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        send(a.as_fd(), &[7; 32], &[]).unwrap();
        assert_eq!(receive(b.as_fd(), &mut [0; 16]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        drop(a);
        assert_eq!(receive(b.as_fd(), &mut [0; 16]).unwrap().0, 0);
    }
}
