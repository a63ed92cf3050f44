//! UDP sockets with the options that a master needs, and whole batches of datagrams by one system call.

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, setsockopt, socket, sockopt,
};

/// Room for the control messages of one datagram: packet info of either family and a timestamp.
const CONTROL_LEN: usize = 96;

/// How a socket is bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bind {
    /// One of a group that shares the address (SO_REUSEPORT).
    pub group: bool,
    /// Size of both buffers in bytes; 0 leaves the system's. The system's limit holds unless we may pass it.
    pub buffer: usize,
    /// Datagrams come with the kernel's time of their arrival.
    pub timestamps: bool,
    /// What is sent over IPv4 says that it may not be fragmented (DF), whatever is known of the path: for datagrams that
    /// every path takes whole. The kernel need not number them then (RFC 6864, section 4.1), which it does at some cost.
    pub unfragmented: bool,
}

/// Makes a socket that does not block, bound to `address`; one bound to a wildcard tells the address that was
/// called. An IPv6 socket takes IPv6 alone.
///
/// # Errors
/// Those of socket(2), setsockopt(2) and bind(2).
pub fn bind(address: SocketAddr, how: Bind) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    if address.ip().is_unspecified() {
        if address.is_ipv4() {
            setsockopt(&fd, sockopt::Ipv4PacketInfo, &true)?;
        } else {
            setsockopt(&fd, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
    }
    if how.group {
        setsockopt(&fd, sockopt::ReusePort, &true)?;
    }
    if how.timestamps {
        setsockopt(&fd, sockopt::ReceiveTimestampns, &true)?;
    }
    if how.unfragmented && address.is_ipv4() {
        set_option(&fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)?;
    }
    if how.buffer > 0 {
        // The forced variant passes net.core.rmem_max where we have the right; the other is the fallback.
        setsockopt(&fd, sockopt::RcvBufForce, &how.buffer)
            .or_else(|_| setsockopt(&fd, sockopt::RcvBuf, &how.buffer))?;
        setsockopt(&fd, sockopt::SndBufForce, &how.buffer)
            .or_else(|_| setsockopt(&fd, sockopt::SndBuf, &how.buffer))?;
    }
    match address {
        SocketAddr::V4(v4) => nix::sys::socket::bind(fd.as_raw_fd(), &SockaddrIn::from(v4))?,
        SocketAddr::V6(v6) => nix::sys::socket::bind(fd.as_raw_fd(), &SockaddrIn6::from(v6))?,
    }
    Ok(UdpSocket::from(fd))
}

/// Sets an option of type int, for those that nix does not know.
fn set_option(fd: &OwnedFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the option's value is an int that lives through the call, and its length is given.
    let set = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), socklen::<libc::c_int>())
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A datagram that came in.
#[derive(Debug)]
pub struct Received<'a> {
    /// Whence.
    pub from: SocketAddr,
    /// The address that was called, on a socket bound to a wildcard.
    pub local: Option<IpAddr>,
    /// When the kernel took it in, microseconds since 1970; 0 without [`Bind::timestamps`].
    pub at_us: u64,
    /// What came.
    pub bytes: &'a [u8],
    /// It was longer than the batch's buffers, and cut.
    pub cut: bool,
}

/// Room for an address of either family. What is larger belongs to others, and of many the kernel would touch more memory.
type Name = libc::sockaddr_in6;

#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// Buffers for many datagrams to be received at once.
pub struct ReceiveBatch {
    size: usize,
    bytes: Box<[u8]>,
    names: Box<[Name]>,
    controls: Box<[Control]>,
    parts: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl ReceiveBatch {
    /// Room for `count` datagrams of at most `size` bytes.
    #[must_use]
    pub fn new(count: usize, size: usize) -> Self {
        // SAFETY: all-zero is a valid value of these plain C structs.
        let (name, header): (Name, libc::mmsghdr) = unsafe { zeroed() };
        let part = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            size,
            bytes: vec![0; count * size].into(),
            names: vec![name; count].into(),
            controls: (0..count).map(|_| Control([0; CONTROL_LEN])).collect(),
            parts: vec![part; count].into(),
            headers: vec![header; count].into(),
        }
    }

    /// Takes in what waits, as much as there is room for, and returns how many; 0 where nothing waits.
    ///
    /// # Errors
    /// Those of recvmmsg(2) but EAGAIN and EINTR.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        // All pointers are made here, from one base each: no later borrow stands between them and the call.
        let (bytes, names) = (self.bytes.as_mut_ptr(), self.names.as_mut_ptr());
        let (controls, parts) = (self.controls.as_mut_ptr(), self.parts.as_mut_ptr());
        for (i, header) in self.headers.iter_mut().enumerate() {
            let part = libc::iovec { iov_base: bytes.wrapping_add(i * self.size).cast(), iov_len: self.size };
            // SAFETY: there are as many parts as headers.
            unsafe { parts.wrapping_add(i).write(part) };
            let header = &mut header.msg_hdr;
            header.msg_name = names.wrapping_add(i).cast();
            header.msg_namelen = socklen::<Name>();
            header.msg_iov = parts.wrapping_add(i);
            header.msg_iovlen = 1;
            header.msg_control = controls.wrapping_add(i).cast();
            header.msg_controllen = CONTROL_LEN;
        }
        let count = u32::try_from(self.headers.len()).unwrap_or(u32::MAX);
        // SAFETY: each header points at a name, a buffer and a control area of ours that live through the
        // call, with their true lengths, and there are `count` headers.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(got).or_else(|_| match io::Error::last_os_error() {
            error if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
            error => Err(error),
        })
    }

    /// The datagram at `index`, below what [`Self::receive`] returned; `None` where its sender's address is
    /// of no IP family.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<Received<'_>> {
        let header = self.headers.get(index)?;
        let from = from_storage(&self.names[index])?;
        let len = usize::try_from(header.msg_len).ok()?.min(self.size);
        let bytes = &self.bytes[index * self.size..][..len];
        let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        let mut received = Received { from, local: None, at_us: 0, bytes, cut };
        self.read_control(&header.msg_hdr, &mut received);
        Some(received)
    }

    fn read_control(&self, header: &libc::msghdr, received: &mut Received<'_>) {
        if header.msg_controllen == 0 {
            return;
        }
        // SAFETY: the kernel has filled the control area that the header points at, which is ours and alive.
        let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
        while !next.is_null() {
            // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return headers that lie whole within the control area.
            let message = unsafe { *next };
            // SAFETY: the same; the data follows its header.
            let data = unsafe { libc::CMSG_DATA(next) };
            match (message.cmsg_level, message.cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    // SAFETY: the kernel puts an in_pktinfo behind this header; it may be unaligned.
                    let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                    received.local = Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    // SAFETY: the kernel puts an in6_pktinfo behind this header; it may be unaligned.
                    let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                    received.local = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    // SAFETY: the kernel puts a timespec behind this header; it may be unaligned.
                    let time = unsafe { data.cast::<libc::timespec>().read_unaligned() };
                    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
                    received.at_us = seconds * 1_000_000 + u64::try_from(time.tv_nsec / 1_000).unwrap_or(0);
                }
                _ => {}
            }
            // SAFETY: both pointers are of this header's control area.
            next = unsafe { libc::CMSG_NXTHDR(header, next) };
        }
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams handed to the kernel.
    pub sent: usize,
    /// Datagrams that it did not take.
    pub failed: usize,
}

/// Datagrams to be sent at once.
pub struct SendBatch {
    size: usize,
    len: usize,
    bytes: Box<[u8]>,
    names: Box<[Name]>,
    controls: Box<[Control]>,
    parts: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl SendBatch {
    /// Room for `count` datagrams (at most 1,024 go out by one call) of at most `size` bytes.
    #[must_use]
    pub fn new(count: usize, size: usize) -> Self {
        let ReceiveBatch { size, bytes, names, controls, parts, headers } = ReceiveBatch::new(count, size);
        Self { size, len: 0, bytes, names, controls, parts, headers }
    }

    /// How many wait to be sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// There is no room for one more.
    #[must_use]
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == self.headers.len()
    }

    /// Adds a datagram, from source address `local` where given; false where there is no room for it.
    #[inline]
    pub fn push(&mut self, to: SocketAddr, local: Option<IpAddr>, bytes: &[u8]) -> bool {
        if self.is_full() || bytes.len() > self.size {
            return false;
        }
        let i = self.len;
        let start = i * self.size;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        let name_len = to_storage(to, &mut self.names[i]);
        let control_len = local.map_or(0, |local| write_source(local, &mut self.controls[i]));
        self.parts[i].iov_len = bytes.len();
        let header = &mut self.headers[i].msg_hdr;
        (header.msg_namelen, header.msg_controllen) = (name_len, control_len);
        self.len += 1;
        true
    }

    /// Makes the headers of all that waits point at it. Only now: no later borrow stands between these pointers and
    /// the call.
    fn point(&mut self) {
        let (bytes, names) = (self.bytes.as_mut_ptr(), self.names.as_mut_ptr());
        let (controls, parts) = (self.controls.as_mut_ptr(), self.parts.as_mut_ptr());
        for (i, header) in self.headers[..self.len].iter_mut().enumerate() {
            let part = parts.wrapping_add(i);
            // SAFETY: there are as many parts as headers.
            unsafe { (*part).iov_base = bytes.wrapping_add(i * self.size).cast() };
            let header = &mut header.msg_hdr;
            header.msg_name = names.wrapping_add(i).cast();
            header.msg_iov = part;
            header.msg_iovlen = 1;
            header.msg_control = match header.msg_controllen {
                0 => std::ptr::null_mut(),
                _ => controls.wrapping_add(i).cast(),
            };
        }
    }

    /// Sends all that waits through `socket` and empties the batch. A datagram that the kernel refuses (no
    /// route, no room) is left out and counted; the others go.
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> Counts {
        self.point();
        let mut counts = Counts::default();
        let mut next = 0;
        while next < self.len {
            let waiting = u32::try_from(self.len - next).unwrap_or(u32::MAX);
            // SAFETY: the headers from `next` on were filled by `push` and `point` with pointers into our own
            // boxes and their true lengths, and there are `waiting` of them.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.headers[next..].as_mut_ptr(),
                    waiting,
                    libc::MSG_DONTWAIT,
                )
            };
            match usize::try_from(sent) {
                Ok(sent) if sent > 0 => {
                    counts.sent += sent;
                    next += sent;
                }
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    counts.failed += 1;
                    next += 1;
                }
            }
        }
        self.len = 0;
        counts
    }
}

/// Writes a control message that makes `local` the source address, and returns its length.
fn write_source(local: IpAddr, control: &mut Control) -> usize {
    match local {
        IpAddr::V4(ip) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(ip).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            write_control(control, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
        }
        IpAddr::V6(ip) => {
            let info =
                libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
            write_control(control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
        }
    }
}

fn write_control<T>(control: &mut Control, level: i32, kind: i32, data: T) -> usize {
    const { assert!(size_of::<libc::cmsghdr>() + size_of::<T>() + 16 <= CONTROL_LEN) };
    let len = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
    // SAFETY: CMSG_LEN only computes.
    let used = unsafe { libc::CMSG_LEN(len) };
    // SAFETY: CMSG_SPACE only computes.
    let space = unsafe { libc::CMSG_SPACE(len) };
    // SAFETY: all-zero is a valid value of this plain C struct.
    let mut header: libc::cmsghdr = unsafe { zeroed() };
    header.cmsg_len = used as usize;
    header.cmsg_level = level;
    header.cmsg_type = kind;
    let at = control.0.as_mut_ptr().cast::<libc::cmsghdr>();
    // SAFETY: the area is aligned to 8 and, by the assertion above, large enough for header and data.
    unsafe { at.write(header) };
    // SAFETY: CMSG_DATA points just behind the header just written, within the area.
    let data_at = unsafe { libc::CMSG_DATA(at) };
    // SAFETY: the same area; by the assertion above the data fits.
    unsafe { data_at.cast::<T>().write_unaligned(data) };
    space as usize
}

fn from_storage(name: &Name) -> Option<SocketAddr> {
    let at = std::ptr::from_ref(name);
    match i32::from(name.sin6_family) {
        libc::AF_INET => {
            // SAFETY: the family says that a sockaddr_in lies here, and a Name has room for it.
            let name = unsafe { at.cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that a sockaddr_in6 lies here, and a Name has room for it.
            let name = unsafe { at.cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(name.sin6_port), 0, name.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn to_storage(address: SocketAddr, name: &mut Name) -> libc::socklen_t {
    let at = std::ptr::from_mut(name);
    match address {
        SocketAddr::V4(v4) => {
            let value = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: a Name is larger than a sockaddr_in and at least as aligned.
            unsafe { at.cast::<libc::sockaddr_in>().write(value) };
            socklen::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let value = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: a Name is a sockaddr_in6.
            unsafe { at.cast::<libc::sockaddr_in6>().write(value) };
            socklen::<libc::sockaddr_in6>()
        }
    }
}

fn socklen<T>() -> libc::socklen_t {
    const { assert!(size_of::<T>() <= 128) };
    size_of::<MaybeUninit<T>>() as libc::socklen_t
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn wait(socket: &UdpSocket) {
        let mut fds = [nix::poll::PollFd::new(socket.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut fds, 10_000_u16).unwrap(), 1);
    }

    fn local(socket: &UdpSocket, ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), socket.local_addr().unwrap().port())
    }

    fn answers_leave_from_the_address_called(wildcard: &str, called: &str) {
        let how = Bind { timestamps: true, ..Bind::default() };
        let server = bind(wildcard.parse().unwrap(), how).unwrap();
        let client = bind(SocketAddr::new(called.parse().unwrap(), 0), Bind::default()).unwrap();
        let (mut out, mut inward) = (SendBatch::new(4, 64), ReceiveBatch::new(4, 64));
        assert!(out.push(local(&server, called), None, b"hello"));
        assert!(!out.push(local(&server, called), None, &[0; 65]));
        assert_eq!(out.flush(client.as_fd()), Counts { sent: 1, failed: 0 });
        wait(&server);
        assert_eq!(inward.receive(server.as_fd()).unwrap(), 1);
        let got = inward.get(0).unwrap();
        assert_eq!((got.bytes, got.from, got.cut), (&b"hello"[..], client.local_addr().unwrap(), false));
        assert_eq!(got.local, Some(called.parse().unwrap()));
        assert!(got.at_us > 1_700_000_000_000_000);
        assert!(out.push(got.from, got.local, b"answer"));
        out.flush(server.as_fd());
        wait(&client);
        assert_eq!(inward.receive(client.as_fd()).unwrap(), 1);
        assert_eq!(inward.get(0).unwrap().from, local(&server, called));
    }

    #[test]
    fn ipv4_answers_leave_from_the_address_called() {
        answers_leave_from_the_address_called("0.0.0.0:0", "127.0.0.2");
    }

    #[test]
    fn ipv6_answers_leave_from_the_address_called() {
        answers_leave_from_the_address_called("[::]:0", "::1");
    }

    #[test]
    fn one_bad_destination_does_not_stop_the_others() {
        let a = bind("127.0.0.1:0".parse().unwrap(), Bind::default()).unwrap();
        let b = bind("127.0.0.1:0".parse().unwrap(), Bind::default()).unwrap();
        let mut out = SendBatch::new(3, 8);
        assert!(out.push(b.local_addr().unwrap(), None, b"1"));
        assert!(out.push("[::1]:9".parse().unwrap(), None, b"2"));
        assert!(out.push(b.local_addr().unwrap(), None, b"3"));
        assert!(out.is_full());
        assert_eq!(out.flush(a.as_fd()), Counts { sent: 2, failed: 1 });
        wait(&b);
        let mut inward = ReceiveBatch::new(8, 8);
        assert_eq!(inward.receive(b.as_fd()).unwrap(), 2);
        assert_eq!(inward.get(1).unwrap().bytes, b"3");
        assert_eq!(inward.receive(b.as_fd()).unwrap(), 0);
    }

    #[test]
    fn a_long_datagram_is_cut_and_says_so() {
        let a = bind("127.0.0.1:0".parse().unwrap(), Bind::default()).unwrap();
        a.send_to(&[1; 100], a.local_addr().unwrap()).unwrap();
        wait(&a);
        let mut inward = ReceiveBatch::new(1, 16);
        assert_eq!(inward.receive(a.as_fd()).unwrap(), 1);
        let got = inward.get(0).unwrap();
        assert_eq!((got.bytes.len(), got.cut), (16, true));
    }
}
