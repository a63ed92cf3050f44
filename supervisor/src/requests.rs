//! The supervisor's request socket: few connections, short lines, and nobody can make it wait.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use control::{MAX_REQUEST, Reply, SupervisorRequest};
use nix::sys::socket::{getsockopt, sockopt};
use serde::Serialize;

/// Connections at once.
const MAX_CLIENTS: usize = 32;
/// After a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(100);
/// A connection that has not asked by then is closed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request with the connection that its answer goes to.
pub(crate) struct Asked {
    pub(crate) request: SupervisorRequest,
    stream: UnixStream,
}

impl Asked {
    /// Answers and closes. Who does not read gets nothing.
    pub(crate) fn answer<T: Serialize>(mut self, reply: Reply<T>) {
        if let Ok(line) = control::to_line(&reply) {
            let _ = self.stream.write_all(&line);
        }
    }
}

struct Client {
    stream: UnixStream,
    line: Vec<u8>,
    since: Duration,
}

/// The socket and who is connected.
pub(crate) struct Requests {
    listener: UnixListener,
    clients: Vec<Client>,
    /// No new connection before: the system had no room for the last one.
    pause: Option<Duration>,
}

/// Binds a Unix socket that only this user may use.
pub(crate) fn listen(path: &Path) -> Result<UnixListener> {
    // We hold the lock of the directory: what lies there is left over from a dead cluster.
    let _ = std::fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot make the socket {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Requests {
    pub(crate) fn new(listener: UnixListener) -> Self {
        Self { listener, clients: Vec::new(), pause: None }
    }

    /// The socket.
    pub(crate) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// What to wait for.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let listener = self.pause.is_none().then(|| self.listener.as_fd());
        listener.into_iter().chain(self.clients.iter().map(|client| client.stream.as_fd()))
    }

    /// When the next connection has been silent for too long, or a pause is over.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.clients.iter().map(|client| client.since + PATIENCE).chain(self.pause).min()
    }

    /// Takes in what has come, and returns the requests that are complete.
    pub(crate) fn receive(&mut self, now: Duration) -> Vec<Asked> {
        self.pause = self.pause.filter(|&until| now < until);
        let mut asked = Vec::new();
        while self.pause.is_none() {
            match self.listener.accept() {
                Ok((stream, _)) if is_mine(&stream) && stream.set_nonblocking(true).is_ok() => {
                    // Whoever has been silent for longest gives way: nobody can keep others out by saying nothing.
                    if self.clients.len() == MAX_CLIENTS {
                        self.clients.remove(0);
                    }
                    let mut client = Client { stream, line: Vec::new(), since: now };
                    match client.read() {
                        Ok(Some(request)) => asked.push(Asked { request, stream: client.stream }),
                        Ok(None) => self.clients.push(client),
                        Err(reason) => client.refuse(reason),
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.pause = Some(now + PAUSE),
            }
        }
        for mut client in std::mem::take(&mut self.clients) {
            match client.read() {
                Ok(Some(request)) => asked.push(Asked { request, stream: client.stream }),
                Ok(None) if now < client.since + PATIENCE => self.clients.push(client),
                Ok(None) => {}
                Err(reason) => client.refuse(reason),
            }
        }
        asked
    }
}

/// The other side is of this user, or root.
fn is_mine(stream: &UnixStream) -> bool {
    getsockopt(stream, sockopt::PeerCredentials)
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == nix::unistd::geteuid().as_raw())
}

impl Client {
    fn refuse(mut self, reason: String) {
        let reply: Reply<()> = Reply::Error(reason);
        if let Ok(line) = control::to_line(&reply) {
            let _ = self.stream.write_all(&line);
        }
    }

    /// A request, once its line is whole.
    fn read(&mut self) -> Result<Option<SupervisorRequest>, String> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("the request has no end: send one JSON object on one line".to_owned()),
                Ok(n) => self.line.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.to_string()),
            }
            if self.line.len() > MAX_REQUEST {
                return Err(format!("the request is longer than {MAX_REQUEST} bytes"));
            }
            if self.line.contains(&b'\n') {
                break;
            }
        }
        let Some(end) = self.line.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
        let request = serde_json::from_slice(&self.line[..end]);
        request.map(Some).map_err(|error| format!("not a request: {error}"))
    }
}
