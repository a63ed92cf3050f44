//! The packet loop of a worker, round any set of stacks: `runtime::run` is all that a worker binary calls.
//!
//! One thread: an epoll loop over its shards' sockets, its bell and a timer. It carries datagrams to stacks,
//! bursts between stacks and the switch, and what siblings want into the ring; it writes each changed record
//! down before what follows from it is sent. Per packet it blocks on nothing, allocates nothing and logs
//! nothing. It decides nothing: that is for the stacks and the switch.

#![forbid(unsafe_code)]

mod carry;
mod counters;
mod deadlines;
mod export;
mod handover;
mod orders;
mod outlets;
mod relays;
mod services;
mod setup;
mod shard;
mod siblings;
mod spin;
#[cfg(test)]
mod tests;
mod worker;

use std::process::ExitCode;

use stack::{Access, CallAccess, Stack};

/// What a stack is given when it is made.
#[derive(Debug)]
pub struct StackOptions {
    /// Random bytes that are the same for all shards while the cluster runs.
    pub salt_key: [u8; 32],
    /// How many contexts its shard has room for.
    pub capacity: u16,
    /// Which devices may log in.
    pub devices: Access,
    /// Which call signs they may have.
    pub call_signs: CallAccess,
}

/// A stack that a worker can serve.
#[derive(Clone, Copy)]
pub struct StackFactory {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Its longest datagram, in bytes: at most [`stack::MAX_DATAGRAM`].
    pub longest: usize,
    /// Makes one for a shard.
    pub make: fn(&StackOptions) -> Box<dyn Stack>,
}

/// Runs the worker that the supervisor has started this process as, until it is told to end.
///
/// Before it serves it enters the sandbox of a worker ([`sandbox::Profile::Worker`]): what its stacks do from then on has
/// to be among the calls of [`sandbox::WORKER`]. A stack with needs of its own names them there.
///
/// The exit codes are 0 after an ordered end, and 70 (EX_SOFTWARE) where the set-up or the loop failed, with
/// the reason on standard error.
#[must_use]
pub fn run(stacks: &[StackFactory]) -> ExitCode {
    let result = channel::Socket::of_child()
        .map_err(Error::from)
        .and_then(|socket| setup::receive(socket, stacks))
        .and_then(|worker| {
            let Some(mut worker) = worker else { return Ok(()) };
            let sandbox = sandbox::enter(sandbox::Profile::Worker).map_err(Error::system("the sandbox"))?;
            worker.run(sandbox)
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            // Nobody may be reading: then there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(70)
        }
    }
}

/// What can stop a worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The supervisor's socket.
    #[error(transparent)]
    Channel(#[from] channel::Error),
    /// Shared memory.
    #[error(transparent)]
    Fabric(#[from] fabric::Error),
    /// The kernel refused.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The supervisor's orders make no sense.
    #[error("the supervisor's orders: {0}; do supervisor and worker have the same version?")]
    Orders(String),
}

impl Error {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    pub(crate) fn errno(what: &'static str) -> impl FnOnce(nix::errno::Errno) -> Self {
        move |errno| Self::System { what, source: errno.into() }
    }
}
