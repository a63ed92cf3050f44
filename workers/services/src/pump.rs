//! The main task: sleeps until a worker rings, the supervisor speaks or a tick is due, and lets the services
//! do what there is to do.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use channel::{Child, Parent, Socket};
use events::Event;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{MissedTickBehavior, interval};

use crate::Error;
use crate::services::Shared;

/// How often everything is looked at, whatever the bell says.
const TICK: Duration = Duration::from_millis(250);

enum Woken {
    ByBell,
    BySupervisor,
    ByTick,
    /// There is more to do.
    NotAsleep,
}

/// Runs until the supervisor says stop, or is gone. `wake` is the descriptor of our bell.
pub(crate) async fn run(shared: &Shared, socket: &Socket, wake: OwnedFd) -> Result<(), Error> {
    let copy = socket.as_fd().try_clone_to_owned().map_err(Error::system("copying a descriptor"))?;
    let (bell, supervisor) = (watch(wake)?, watch(copy)?);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tell_facts(shared, socket);
        let busy = shared.borrow_mut().turn() || !shared.borrow().host.bell.sleep();
        let failed = Error::system("waiting for a descriptor");
        // Readiness is by edges: the bell's counter need not be read, and the socket is read until it is empty.
        let woken = tokio::select! {
            biased;
            ready = supervisor.readable() => ready.map(|mut ready| {
                ready.clear_ready();
                Woken::BySupervisor
            }),
            _ = tick.tick() => Ok(Woken::ByTick),
            ready = bell.readable() => ready.map(|mut ready| {
                ready.clear_ready();
                Woken::ByBell
            }),
            () = tokio::task::yield_now(), if busy => Ok(Woken::NotAsleep),
        };
        shared.borrow().host.bell.awake();
        match woken.map_err(failed)? {
            Woken::BySupervisor => {
                if obey(shared, socket)? {
                    return Ok(());
                }
            }
            Woken::ByTick => shared.borrow_mut().tick(),
            Woken::ByBell | Woken::NotAsleep => {}
        }
    }
}

/// Tells the supervisor what has changed; what it does not take now it is told later.
fn tell_facts(shared: &Shared, socket: &Socket) {
    let changes = shared.borrow_mut().facts.take_changes();
    let Some(facts) = changes else { return };
    if socket.send(&Child::Facts { facts: facts.clone() }, &[]).is_err() {
        shared.borrow_mut().facts.not_told(facts);
    }
}

/// A descriptor whose readiness can be waited for.
#[expect(
    deprecated,
    reason = "the safe constructor; an OwnedFd never changes its descriptor, which is all it lacks"
)]
fn watch(fd: OwnedFd) -> Result<AsyncFd<OwnedFd>, Error> {
    AsyncFd::with_interest(fd, Interest::READABLE).map_err(Error::system("watching a descriptor"))
}

/// Does what the supervisor says. True where that is the end; its own end is ours.
fn obey(shared: &Shared, socket: &Socket) -> Result<bool, Error> {
    loop {
        match socket.receive() {
            Ok(None) => return Ok(false),
            // Others go on with all that is here, once this process is gone.
            Ok(Some((Parent::Leave, _))) => return Ok(true),
            Ok(Some((Parent::Stop, _))) => {
                let reason = "the supervisor was told to stop".to_owned();
                shared.borrow().bus.emit(None, Event::SystemStopping { reason });
                // It may not wait for an answer any more.
                let _ = socket.send(&Child::Stopped, &[]);
                return Ok(true);
            }
            Ok(Some((message, fds))) => shared.borrow_mut().obey(message, fds)?,
            Err(channel::Error::System(_)) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}
