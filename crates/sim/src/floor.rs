//! The least that a master can do, as a mark to hold a real one against: one socket, and a plain `sendto` for
//! each receiver. What it takes is the kernel's own cost. With another network also that of the signatures: what comes from
//! there is checked, and what goes there signed anew, after the repeaters have got it.
//!
//! It answers logins without looking at them, believes every datagram and forgets only who says goodbye, so
//! it serves loopback addresses alone.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::Pid;
use openbridge::Signer;
use stack::Key;
use sys::Bind;

use crate::Error;
use crate::network::signer;
use crate::traffic::{AT_FLAGS, AT_ID, DMRD_LEN, HEAD_LEN, SIGNED_LEN, TS2, sign};

/// Both buffers of the socket, in bytes.
const BUFFER: usize = 4 << 20;
/// Nobody simulates more.
const MAX_CLIENTS: usize = 65_536;

/// Its network ID.
const NETWORK_ID: u32 = 1;

/// A running floor; it ends when it is dropped.
pub struct Floor {
    address: SocketAddr,
    thread_id: i32,
    stop: std::sync::Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Floor {
    /// Starts it on a free port of `ip`, in a thread of its own on core `cpu` where given. With a `key`, the network that
    /// has it is linked at the same port.
    ///
    /// # Errors
    /// For an address that is not loopback, a core that there is not, a key that is too long, and those of the system.
    pub fn start(ip: IpAddr, cpu: Option<usize>, key: Option<&Key>) -> Result<Self, Error> {
        if !ip.is_loopback() {
            return Err(Error::NotLoopback(ip));
        }
        let signer = key.map(signer).transpose()?;
        let how = Bind { buffer: BUFFER, ..Bind::default() };
        let socket = sys::bind(SocketAddr::new(ip, 0), how).map_err(Error::io("bind the floor's socket"))?;
        let address = socket.local_addr().map_err(Error::io("read the floor's address"))?;
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(Error::io("make an event"))?;
        let stop = std::sync::Arc::new(stop);
        let (tell, told) = mpsc::channel();
        let stopped = stop.clone();
        let body = move || {
            let ready = cpu.map_or(Ok(()), pin);
            let pinned = ready.is_ok();
            let _ = tell.send(ready.map(|()| nix::unistd::gettid().as_raw()));
            if pinned {
                let _ = Forwarder::new(socket, signer).serve(&stopped);
            }
        };
        let thread = std::thread::Builder::new()
            .name("floor".into())
            .spawn(body)
            .map_err(Error::io("start the floor's thread"))?;
        let ready = told.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended at once")));
        let thread_id = ready.map_err(Error::io("pin the floor to its core"))?;
        Ok(Self { address, thread_id, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The ID of its thread, for [`crate::Settings::pids`].
    #[must_use]
    pub fn thread_id(&self) -> i32 {
        self.thread_id
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

struct Forwarder {
    socket: UdpSocket,
    /// Each client's address, to its ID and talkgroup.
    clients: HashMap<SocketAddr, (u32, u32)>,
    /// Each talkgroup's listeners.
    listeners: HashMap<u32, Vec<(SocketAddr, u32)>>,
    signer: Option<Signer>,
    /// Where the network is, once it has said something.
    network: Option<SocketAddr>,
}

impl Forwarder {
    fn new(socket: UdpSocket, signer: Option<Signer>) -> Self {
        Self { socket, clients: HashMap::new(), listeners: HashMap::new(), signer, network: None }
    }

    fn serve(&mut self, stop: &EventFd) -> io::Result<()> {
        let mut buffer = [0; 512];
        loop {
            let mut fds = [self.socket.as_fd(), stop.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match nix::poll::poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if fds[1].any().unwrap_or(false) {
                return Ok(());
            }
            while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
                self.handle(&mut buffer[..len], from);
            }
        }
    }

    fn handle(&mut self, bytes: &mut [u8], from: SocketAddr) {
        if bytes.starts_with(b"DMRD") {
            if let Ok(datagram) = <&mut [u8; DMRD_LEN]>::try_from(&mut *bytes) {
                self.forward(datagram, from);
                self.forward_to_network(datagram);
            } else if let Ok(signed) = <&mut [u8; SIGNED_LEN]>::try_from(bytes) {
                self.forward_from_network(signed, from);
            }
            return;
        }
        if let Some(id) = bytes.strip_prefix(b"RPTPING") {
            return self.answer(b"MSTPONG", id, from);
        }
        if bytes.starts_with(b"RPTCL") {
            return self.forget(from);
        }
        let Some((tag, rest)) = bytes.split_first_chunk::<4>() else { return };
        match tag {
            b"RPTL" | b"RPTK" | b"RPTC" => self.answer(b"RPTACK", rest, from),
            b"RPTO" => {
                self.remember(rest, from);
                self.answer(b"RPTACK", rest, from);
            }
            _ => {}
        }
    }

    /// Answers with the ID that begins `rest`; for a login it serves as the salt.
    fn answer(&self, tag: &[u8], rest: &[u8], to: SocketAddr) {
        let Some(id) = rest.get(..4) else { return };
        let mut answer = [0; 11];
        answer[..tag.len()].copy_from_slice(tag);
        answer[tag.len()..tag.len() + 4].copy_from_slice(id);
        let _ = self.socket.send_to(&answer[..tag.len() + 4], to);
    }

    /// The client asks for a talkgroup on TS2 (`rest`: ID and options).
    fn remember(&mut self, rest: &[u8], from: SocketAddr) {
        let Some((id, text)) = rest.split_first_chunk() else { return };
        let Some(talkgroup) = std::str::from_utf8(text).ok().and_then(ts2) else { return };
        self.forget(from);
        if self.clients.len() < MAX_CLIENTS {
            let id = u32::from_be_bytes(*id);
            self.clients.insert(from, (id, talkgroup));
            self.listeners.entry(talkgroup).or_default().push((from, id));
        }
    }

    fn forget(&mut self, from: SocketAddr) {
        let Some((_, talkgroup)) = self.clients.remove(&from) else { return };
        if let Some(listeners) = self.listeners.get_mut(&talkgroup) {
            listeners.retain(|(address, _)| *address != from);
        }
    }

    fn forward_from_network(&mut self, signed: &[u8; SIGNED_LEN], from: SocketAddr) {
        let (head, signature) = signed.split_at(HEAD_LEN);
        if !self.signer.as_ref().is_some_and(|signer| signer.is_signed(head, signature)) {
            return;
        }
        self.network = Some(from);
        let mut datagram = [0; DMRD_LEN];
        datagram[..HEAD_LEN].copy_from_slice(head);
        datagram[AT_FLAGS] |= TS2;
        self.forward(&mut datagram, from);
    }

    fn forward_to_network(&self, datagram: &mut [u8; DMRD_LEN]) {
        let Some((signer, network)) = self.signer.as_ref().zip(self.network) else { return };
        datagram[AT_ID..AT_FLAGS].copy_from_slice(&NETWORK_ID.to_be_bytes());
        datagram[AT_FLAGS] &= !TS2;
        let _ = self.socket.send_to(&sign(datagram, signer), network);
    }

    fn forward(&self, bytes: &mut [u8; DMRD_LEN], from: SocketAddr) {
        let talkgroup = u32::from_be_bytes([0, bytes[8], bytes[9], bytes[10]]);
        for (address, id) in self.listeners.get(&talkgroup).into_iter().flatten() {
            if *address != from {
                bytes[AT_ID..AT_FLAGS].copy_from_slice(&id.to_be_bytes());
                let _ = self.socket.send_to(bytes, *address);
            }
        }
    }
}

/// The first talkgroup of TS2 in the options.
fn ts2(options: &str) -> Option<u32> {
    let list = options.split(';').find_map(|option| option.trim().strip_prefix("TS2="))?;
    list.split(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn serves_this_host_alone() {
        let wildcard = Floor::start(Ipv4Addr::UNSPECIFIED.into(), None, None);
        assert!(matches!(wildcard, Err(Error::NotLoopback(_))));
        assert!(matches!(
            Floor::start(Ipv4Addr::LOCALHOST.into(), Some(100_000), None),
            Err(Error::Io { .. })
        ));
    }

    #[test]
    fn reads_the_talkgroup_from_the_options() {
        assert_eq!(ts2("TS1=;TS2=91,92"), Some(91));
        assert_eq!(ts2("TS1=5; TS2=7;"), Some(7));
        assert_eq!(ts2("TS1=5;TS2="), None);
        assert_eq!(ts2(""), None);
    }
}
