//! Takes what the supervisor gives the services, opens the registry and binds the sockets.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use channel::{Child, Parent, ServicesSetup, Socket};
use config::Url;
use fabric::Stats;
use registry::Embedded;

use crate::Error;
use crate::follow::Following;
use crate::host::Host;
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

/// A process that was killed keeps what it had open for a moment after it has vanished from the lists of processes.
const LAST_GASP: Duration = Duration::from_secs(1);

/// Opens the registry. Whoever has it may just have been killed.
fn open(dir: &Path, follows: bool) -> Result<Embedded, registry::Error> {
    let since = Instant::now();
    loop {
        match Embedded::open(dir, follows) {
            Err(registry::Error::InUse { .. }) if since.elapsed() < LAST_GASP => {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

/// Receives everything; ends when the supervisor says "go".
pub(crate) fn receive(socket: &Socket) -> Result<Begin, Error> {
    let (Parent::Services(setup), fds) = socket.wait()? else {
        return Err(Error::Orders("the first was not the services' set-up".to_owned()));
    };
    let [bells, wake, stats, requests] = channel::descriptors(fds)?;
    Stats::writer(stats.as_fd())?.keep_last_words()?;
    let mut host = Host::new(&bells, &stats)?;
    loop {
        match socket.wait()? {
            (Parent::Go, _) => break,
            // All that comes now only one process can have: the registry, the address for metrics.
            (Parent::Prepare, _) => socket.send(&Child::Prepared, &[])?,
            (message, fds) => drop(host.take(message, fds)?),
        }
    }
    host.bell.retract();
    let follows = matches!(setup.config.registry.url, Url::Remote(_));
    let registry =
        open(&setup.data_dir, follows).map_err(Error::from).map_err(Error::if_first(setup.again))?;
    let mut services = Services::new(host, registry, &setup)?;
    if follows {
        services.following = Following::on(&services.registry)?;
    }
    Ok(Begin { setup: *setup, services, wake, requests: requests.into() })
}
