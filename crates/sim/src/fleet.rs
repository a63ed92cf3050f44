//! Many clients with a socket each, and perhaps another network with its own, served by the calling thread: the part of the simulator that does I/O.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use sys::{Bind, Clocks, ReceiveBatch};

use crate::Error;
use crate::client::Client;
use crate::judge::NETWORK;
use crate::network::{Inbox, Network};
use crate::timers::Timers;

/// How many logins may wait for an answer at once.
const LOGIN_WINDOW: usize = 100;
/// When no login has succeeded for so long, the rest is given up: one repeat of a client and some more.
const LOGIN_PATIENCE_US: u64 = 12_000_000;
/// Sockets served before the clock is looked at again: what bounds how late a burst is sent.
const SOCKETS_A_ROUND: usize = 64;
/// A repeater hears 17 bursts a second, so more than one at once is rare.
const DATAGRAMS_A_READ: usize = 4;
/// The longest datagram of a master is a signed `DMRD` of 73 bytes; what is longer is cut, and judged altered.
const DATAGRAM: usize = 128;
/// Descriptors beyond those of the repeaters: standard streams, epoll, timer, the network, the floor, room.
const OTHER_FILES: u64 = 32;
const TIMER: u64 = u64::MAX;
/// Of the network's socket.
const BRIDGE: u64 = u64::MAX - 1;

/// What is told of each `DMRD`: number of the client, the datagram, kernel's time of arrival (microseconds
/// since 1970). To the network ([`NETWORK`]) it came rightly signed, and is told of without its signature.
pub(crate) type Heard<'a> = &'a mut dyn FnMut(usize, &[u8], u64);

struct Member {
    server: SocketAddr,
    socket: UdpSocket,
    client: Client,
}

struct Bridge {
    server: SocketAddr,
    socket: UdpSocket,
    inbox: Inbox,
}

/// The clients.
pub(crate) struct Fleet {
    server: SocketAddr,
    epoll: Epoll,
    timer: TimerFd,
    armed_us: u64,
    timers: Timers,
    members: Vec<Member>,
    bridge: Option<Bridge>,
    /// A server at which nothing listens.
    closed_port: Option<SocketAddr>,
    batch: ReceiveBatch,
    events: Vec<EpollEvent>,
    out: Vec<u8>,
}

impl Fleet {
    /// A fleet without clients, of this server unless another one is named.
    pub(crate) fn new(server: SocketAddr) -> Result<Self, Error> {
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Error::io("make an epoll instance"))?;
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(Error::io("make a timer"))?;
        epoll
            .add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))
            .map_err(Error::io("watch the timer"))?;
        Ok(Self {
            server,
            epoll,
            timer,
            armed_us: 0,
            timers: Timers::default(),
            members: Vec::new(),
            bridge: None,
            closed_port: None,
            batch: ReceiveBatch::new(DATAGRAMS_A_READ, DATAGRAM),
            events: vec![EpollEvent::empty(); SOCKETS_A_ROUND],
            out: Vec::with_capacity(512),
        })
    }

    /// Adds a client on a port of its own and returns its number.
    pub(crate) fn add(&mut self, client: Client) -> Result<usize, Error> {
        self.add_at(self.server, client)
    }

    /// Adds a client of another server.
    pub(crate) fn add_at(&mut self, server: SocketAddr, client: Client) -> Result<usize, Error> {
        let how = Bind { timestamps: true, ..Bind::default() };
        let socket = sys::bind(SocketAddr::new(local(server.ip()), 0), how)
            .map_err(Error::io("bind a repeater's socket"))?;
        socket.connect(server).map_err(Error::io("find a way to the server"))?;
        let index = self.members.len();
        self.epoll
            .add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))
            .map_err(Error::io("watch a repeater's socket"))?;
        self.members.push(Member { server, socket, client });
        Ok(index)
    }

    /// Links another network to its server.
    pub(crate) fn link(&mut self, network: &Network) -> Result<(), Error> {
        let Network { listen: address, server, .. } = *network;
        let how = Bind { timestamps: true, ..Bind::default() };
        let socket = sys::bind(address, how).map_err(|source| Error::Listen { address, source })?;
        socket.connect(server).map_err(Error::io("find a way from the network to its server"))?;
        self.epoll
            .add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, BRIDGE))
            .map_err(Error::io("watch the network's socket"))?;
        self.bridge = Some(Bridge { server, socket, inbox: Inbox::new(network.signer()?) });
        Ok(())
    }

    /// How many datagrams came to the network that were not signed with its key, and what the first was.
    pub(crate) fn unsigned(&self) -> (u64, Option<String>) {
        self.bridge.as_ref().map_or((0, None), |bridge| bridge.inbox.unsigned())
    }

    /// The client at `index`.
    pub(crate) fn client(&self, index: usize) -> &Client {
        &self.members[index].client
    }

    /// All clients.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.members.iter().map(|member| &member.client)
    }

    /// Logs in the clients from `first` on, and returns when each has been running.
    pub(crate) fn log_in(&mut self, first: usize, heard: Heard<'_>) -> Result<(), Error> {
        let mut waiting = Vec::with_capacity(LOGIN_WINDOW);
        let mut next = first;
        let mut progress_us = Clocks::now().mono_us;
        loop {
            let now_us = Clocks::now().mono_us;
            let before = waiting.len();
            waiting.retain(|&index: &usize| !self.members[index].client.is_running());
            if waiting.len() < before {
                progress_us = now_us;
            }
            while next < self.members.len() && waiting.len() < LOGIN_WINDOW {
                self.members[next].client.start(now_us);
                self.flush(next);
                waiting.push(next);
                next += 1;
            }
            if waiting.is_empty() && next == self.members.len() {
                return Ok(());
            }
            let gives_up_us = progress_us + LOGIN_PATIENCE_US;
            self.check_login(&waiting, next, now_us >= gives_up_us)?;
            self.round(gives_up_us, heard)?;
        }
    }

    /// Looks for a reason to give up: of the clients before `next` those in `waiting` are not running yet.
    fn check_login(&self, waiting: &[usize], next: usize, patience_is_over: bool) -> Result<(), Error> {
        for &index in waiting {
            let Member { server, ref client, .. } = self.members[index];
            let (id, all) = (client.id(), self.members.len());
            if let Some(step) = client.refused() {
                return Err(Error::Refused { server, id, step });
            }
            if patience_is_over {
                let missing = waiting.len() + all - next;
                return Err(Error::NotRunning { server, missing, all, id, step: client.step() });
            }
        }
        self.closed_port.map_or(Ok(()), |server| Err(Error::NoServer(server)))
    }

    /// Sends a datagram of client `index` or of the network; false where it is not logged in or the kernel does not take it.
    pub(crate) fn send(&self, index: usize, bytes: &[u8]) -> bool {
        if index == NETWORK {
            return self.bridge.as_ref().is_some_and(|bridge| bridge.socket.send(bytes).is_ok());
        }
        let member = &self.members[index];
        member.client.is_running() && member.socket.send(bytes).is_ok()
    }

    /// All say goodbye.
    pub(crate) fn close(&mut self) {
        for index in 0..self.members.len() {
            self.close_one(index);
        }
    }

    /// Client `index` says goodbye.
    pub(crate) fn close_one(&mut self, index: usize) {
        self.members[index].client.close();
        self.flush(index);
    }

    /// Serves all until `until_us`.
    pub(crate) fn serve(&mut self, until_us: u64, heard: Heard<'_>) -> Result<(), Error> {
        while Clocks::now().mono_us < until_us {
            self.round(until_us, heard)?;
        }
        Ok(())
    }

    /// Waits until something comes in or is due, at most until `until_us`, and serves what there is.
    pub(crate) fn round(&mut self, until_us: u64, heard: Heard<'_>) -> Result<(), Error> {
        self.arm(until_us.min(self.timers.next()))?;
        let ready = match self.epoll.wait(&mut self.events, EpollTimeout::NONE) {
            Ok(ready) => ready,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(Error::io("wait for datagrams")(error)),
        };
        for event in 0..ready {
            match self.events[event].data() {
                TIMER => self.armed_us = 0,
                BRIDGE => self.read_bridge(heard)?,
                index => self.read(usize::try_from(index).unwrap_or(usize::MAX), heard)?,
            }
        }
        let now_us = Clocks::now().mono_us;
        while let Some(index) = self.timers.pop(now_us) {
            self.members[index].client.handle_timeout(now_us);
            self.flush(index);
        }
        Ok(())
    }

    /// Sets the timer: epoll's own time-outs are of whole milliseconds.
    fn arm(&mut self, at_us: u64) -> Result<(), Error> {
        if at_us == self.armed_us {
            return Ok(());
        }
        self.armed_us = at_us;
        // Zero would disarm it, and u64::MAX is more than the kernel takes.
        let at_us = at_us.clamp(1, u64::from(u32::MAX) * 1_000_000);
        #[expect(clippy::cast_possible_wrap, reason = "at most 2^52")]
        let at = TimeSpec::new((at_us / 1_000_000) as i64, (at_us % 1_000_000 * 1_000) as i64);
        self.timer
            .set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
            .map_err(Error::io("set the timer"))
    }

    fn read(&mut self, index: usize, heard: Heard<'_>) -> Result<(), Error> {
        let Some(member) = self.members.get_mut(index) else { return Ok(()) };
        let count = match self.batch.receive(member.socket.as_fd()) {
            Ok(count) => count,
            // What comes back instead of a server's answer; whoever waits for one finds the mark.
            Err(error) if is_unreachable(&error) => {
                self.closed_port = Some(member.server);
                return Ok(());
            }
            Err(error) => return Err(Error::io("receive")(error)),
        };
        let mut control = false;
        for i in 0..count {
            let Some(got) = self.batch.get(i) else { continue };
            if got.bytes.starts_with(b"DMRD") {
                heard(index, got.bytes, got.at_us);
            } else {
                control = true;
                member.client.handle_input(Clocks::now().mono_us, got.bytes);
            }
        }
        if control {
            self.flush(index);
        }
        Ok(())
    }

    fn read_bridge(&mut self, heard: Heard<'_>) -> Result<(), Error> {
        let Some(bridge) = &mut self.bridge else { return Ok(()) };
        let count = self.batch.receive(bridge.socket.as_fd()).map_err(|error| {
            // Nobody answers on this link, so nobody waits for what would show it.
            if is_unreachable(&error) { Error::NoServer(bridge.server) } else { Error::io("receive")(error) }
        })?;
        for got in (0..count).filter_map(|i| self.batch.get(i)) {
            if let Some(burst) = bridge.inbox.take(got.bytes) {
                heard(NETWORK, burst, got.at_us);
            }
        }
        Ok(())
    }

    /// Sends what client `index` has to send and sets its timer.
    fn flush(&mut self, index: usize) {
        let member = &mut self.members[index];
        while member.client.poll_output(&mut self.out) {
            // A packet that cannot be sent is as good as one that is lost: the client repeats it.
            match member.socket.send(&self.out) {
                Err(error) if is_unreachable(&error) => self.closed_port = Some(member.server),
                _ => {}
            }
        }
        self.timers.set(index, member.client.poll_timeout());
    }
}

fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}

/// Where a client's socket is bound: on the host itself as far as possible.
fn local(server: IpAddr) -> IpAddr {
    match server {
        IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_loopback() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Makes room for so many sockets.
pub(crate) fn allow_files(sockets: usize) -> Result<(), Error> {
    let needed = sockets as u64 + OTHER_FILES;
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(Error::io("read the limit of open files"))?;
    if hard < needed {
        return Err(Error::Files { needed, allowed: hard });
    }
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(Error::io("raise the limit of open files"))?;
    }
    Ok(())
}
