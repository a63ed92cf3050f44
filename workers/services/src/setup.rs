//! Takes what the supervisor gives the services, opens the registry and binds the sockets.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use channel::{Parent, ServicesSetup, Socket};
use fabric::Stats;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use registry::Embedded;

use crate::Error;
use crate::host::{Host, take_fds};
use crate::services::Services;

/// What is needed to begin.
pub(crate) struct Begin {
    pub(crate) setup: ServicesSetup,
    pub(crate) services: Services,
    /// The descriptor of our bell.
    pub(crate) wake: OwnedFd,
    /// The request socket.
    pub(crate) requests: UnixListener,
}

/// Receives everything; ends when the supervisor says "go".
pub(crate) fn receive(socket: &Socket) -> Result<Begin, Error> {
    let (Parent::Services(setup), fds) = wait(socket)? else {
        return Err(Error::Orders("the first was not the services' set-up".to_owned()));
    };
    let [bells, wake, stats, requests] = take_fds(fds)?;
    leave_last_words(Stats::writer(stats.as_fd())?);
    let mut host = Host::new(setup.nodes.clone(), &bells, &stats)?;
    loop {
        match wait(socket)? {
            (Parent::Go, _) => break,
            (message, fds) => drop(host.take(message, fds)?),
        }
    }
    let registry = Embedded::open(&setup.data_dir)?;
    let services = Services::new(host, registry, setup.config.stacks.mmdvm.password.clone());
    Ok(Begin { setup: *setup, services, wake, requests: requests.into() })
}

/// The next message, waited for.
fn wait(socket: &Socket) -> Result<(Parent, Vec<OwnedFd>), Error> {
    loop {
        if let Some(message) = socket.receive()? {
            return Ok(message);
        }
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::system("waiting for the supervisor")(errno.into())),
        }
    }
}

/// A panic leaves its message on the stats page, where the supervisor finds it.
fn leave_last_words(stats: Stats) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        stats.set_last_words(&info.to_string());
        before(info);
    }));
}
