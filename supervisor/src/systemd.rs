//! What a service manager is told (sd_notify(3)): that the cluster is ready, how it is, that it lives, that it ends. What
//! to say and when is worked out in [`notices`], which is pure; here are environment and socket. Without NOTIFY_SOCKET
//! nothing is said, and no word waits for a reader: what finds no room is said again later.
//!
//! The variables stay in this process, where a program that takes its place finds them; children are started without.

mod notices;

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use control::Status;

use self::notices::Notices;
use crate::say;

/// After a word that found no room.
const RETRY: Duration = Duration::from_secs(1);

/// The service manager, where there is one.
#[derive(Debug)]
pub(crate) struct Systemd {
    peer: Option<Peer>,
    notices: Notices,
    /// A word found no room: not again before.
    pause: Option<Duration>,
}

#[derive(Debug)]
struct Peer {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Systemd {
    /// The one that the environment names.
    pub(crate) fn from_env() -> Self {
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let peer = name.and_then(|name| {
            Peer::new(name.as_bytes())
                .inspect_err(|error| {
                    let name = name.display();
                    say::warning(&format!(
                        "NOTIFY_SOCKET={name}: {error}: the service manager is told nothing"
                    ));
                })
                .ok()
        });
        Self { peer, notices: Notices::new(sd_notify::watchdog_enabled()), pause: None }
    }

    /// Whether anybody wants to be told.
    pub(crate) fn listens(&self) -> bool {
        self.peer.is_some()
    }

    /// Tells what there is to tell at `now`, a time since the supervisor's start.
    pub(crate) fn note(&mut self, now: Duration, status: &Status) {
        self.pause = self.pause.filter(|&until| now < until);
        let Some(peer) = self.peer.as_ref().filter(|_| self.pause.is_none()) else { return };
        let Some((message, next)) = self.notices.due(now, status) else { return };
        match peer.send(&message) {
            Ok(()) => self.notices = next,
            Err(_) => self.pause = Some(now + RETRY),
        }
    }

    /// When [`Self::note`] is to be called next, even if nothing happens.
    pub(crate) fn poll_timeout(&self, now: Duration) -> Option<Duration> {
        self.peer.as_ref()?;
        self.pause.or_else(|| Some(self.notices.poll_timeout(now)))
    }

    /// A new configuration is about to be taken over: said at once. Until [`Self::reloaded`] it counts as not ready.
    pub(crate) fn reloading(&mut self) {
        let Some(peer) = &self.peer else { return };
        let (message, next) = self.notices.reloading(sys::Clocks::now().mono_us);
        // A service manager that has not heard of it needs not hear of its end.
        if peer.send(&message).is_ok() {
            self.notices = next;
        }
    }

    /// It was taken over, or not: the next [`Self::note`] says that the cluster is ready.
    pub(crate) fn reloaded(&mut self) {
        self.notices.reloaded();
    }
}

impl Peer {
    /// A name that begins with @ is one without a file.
    fn new(name: &[u8]) -> io::Result<Self> {
        let address = match name.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }

    fn send(&self, message: &str) -> io::Result<()> {
        self.socket.send_to_addr(message.as_bytes(), &self.address).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::notices::tests::status;
    use super::*;

    fn systemd(name: &[u8]) -> Systemd {
        Systemd { peer: Some(Peer::new(name).unwrap()), notices: Notices::new(None), pause: None }
    }

    fn read(socket: &UnixDatagram) -> Option<String> {
        let mut buffer = [0; 512];
        let len = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..len]).into_owned())
    }

    #[test]
    fn what_finds_no_room_is_said_again_and_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let mut systemd = systemd(path.as_os_str().as_bytes());
        let mut now = Duration::ZERO;
        systemd.note(now, &status(2, 2));
        assert_eq!(systemd.poll_timeout(now), Some(RETRY), "nobody is there");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        systemd.note(now, &status(2, 2));
        assert_eq!(read(&socket), None, "not before the pause is over");
        // More than anybody's queue holds.
        let other = UnixDatagram::unbound().unwrap();
        other.set_nonblocking(true).unwrap();
        while other.send_to(b"x", &path).is_ok() {}
        now += RETRY;
        systemd.note(now, &status(2, 2));
        while read(&socket).is_some_and(|message| message == "x") {}
        now += RETRY;
        systemd.note(now, &status(2, 2));
        let message = read(&socket).unwrap();
        assert!(message.starts_with("READY=1\n"), "{message}");
    }

    #[test]
    fn a_reload_is_a_time_in_which_it_is_not_ready() {
        let name = format!("bmctl-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut systemd = systemd(format!("@{name}").as_bytes());
        systemd.note(Duration::ZERO, &status(1, 1));
        assert!(read(&socket).unwrap().contains("READY=1"));
        systemd.reloading();
        let message = read(&socket).unwrap();
        let time = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(time.trim_end().parse::<u64>().unwrap() > 0);
        systemd.note(Duration::ZERO, &status(1, 1));
        assert_eq!(read(&socket), None);
        systemd.reloaded();
        systemd.note(Duration::ZERO, &status(1, 1));
        assert!(read(&socket).unwrap().starts_with("READY=1\n"));
    }

    #[test]
    fn without_a_service_manager_nothing_is_due() {
        let mut systemd = Systemd { peer: None, notices: Notices::new(None), pause: None };
        systemd.note(Duration::ZERO, &status(1, 1));
        assert_eq!((systemd.listens(), systemd.poll_timeout(Duration::ZERO)), (false, None));
    }
}
