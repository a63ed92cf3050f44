//! The packet loop of a worker, round any set of stacks: `runtime::run` is all that a worker binary calls.
//!
//! One thread: an epoll loop over its shards' sockets, its bell and a timer. It carries datagrams to stacks,
//! bursts between stacks and the switch, and what siblings want into the ring; it writes each changed record
//! down before what follows from it is sent. Per packet it blocks on nothing, allocates nothing and logs
//! nothing. It decides nothing: that is for the stacks and the switch.

#![forbid(unsafe_code)]

mod carrier;
mod carry;
mod counters;
mod deadlines;
mod export;
mod handover;
mod hosts;
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

use std::ffi::CString;
use std::net::SocketAddr;
use std::process::ExitCode;

use stack::{Access, CallAccess, Stack};

/// What a stack is given when it is made. It has no `Debug`: there are secrets in it.
pub struct StackOptions<'a> {
    /// Random bytes that are the same for all shards while the cluster runs.
    pub salt_key: [u8; 32],
    /// How many contexts its shard has room for.
    pub capacity: u16,
    /// Its listen addresses, in their order: what a datagram's listener counts.
    pub listen: &'a [SocketAddr],
    /// Which devices may log in.
    pub devices: Access,
    /// Which call signs they may have.
    pub call_signs: CallAccess,
    /// What its own part of the configuration says: `[stacks.NAME.options]` as JSON; null where it has none. It may hold
    /// secrets.
    pub options: &'a serde_json::Value,
}

/// A stack that a worker can serve.
#[derive(Clone, Copy)]
pub struct StackFactory {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Its longest datagram, in bytes: at most [`stack::MAX_DATAGRAM`].
    pub longest: usize,
    /// Makes one for a shard. An error is for the operator: what is wrong with the configuration, and what would be right.
    /// It ends the worker, and starting that again would change nothing.
    pub make: fn(&StackOptions<'_>) -> Result<Box<dyn Stack>, String>,
}

/// A record fits the cell for it.
const _: () = assert!(stack::MAX_RECORD == fabric::CELL_LEN);

/// Exit code after which another start makes no sense (EX_CONFIG).
const EX_CONFIG: u8 = 78;
/// Exit code of what should not happen (EX_SOFTWARE).
const EX_SOFTWARE: u8 = 70;

/// Runs the worker that the supervisor has started this process as, until it is told to end.
///
/// Before it serves it enters the sandbox of a worker ([`sandbox::Profile::Worker`]): what its stacks do from then on has
/// to be among the calls of [`sandbox::WORKER`]. A stack with needs of its own names them there.
///
/// The exit codes are 0 after an ordered end, 78 (EX_CONFIG) where a stack refuses its configuration or this program is built
/// for another version of the supervisor, and 70 (EX_SOFTWARE) where the set-up or the loop failed, with the reason on
/// standard error.
#[must_use]
pub fn run(stacks: &[StackFactory]) -> ExitCode {
    take_name();
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
            ExitCode::from(if error.is_lasting() { EX_CONFIG } else { EX_SOFTWARE })
        }
    }
}

/// The process is called what the supervisor calls it. The kernel takes the name of the file that was executed, which was
/// the number of a descriptor, and keeps 15 bytes.
fn take_name() {
    let name = std::env::args_os().next().unwrap_or_default().into_encoded_bytes();
    if let Ok(name) = CString::new(name) {
        let _ = nix::sys::prctl::set_name(&name);
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
    /// A stack cannot be made as it is configured.
    #[error("stacks.{stack}: {reason}")]
    Refused {
        /// Its name.
        stack: String,
        /// What it says.
        reason: String,
    },
    /// Supervisor and program do not understand each other's memory.
    #[error(
        "this program is built for ABI {ours} of the runtime library, and the supervisor has ABI {theirs}: build it \
         against the version that bmctl is of"
    )]
    OtherBuild {
        /// That of this program.
        ours: u32,
        /// That of the supervisor.
        theirs: u32,
    },
}

impl Error {
    /// Another start would end in the same way.
    fn is_lasting(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::OtherBuild { .. })
    }

    pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    pub(crate) fn errno(what: &'static str) -> impl FnOnce(nix::errno::Errno) -> Self {
        move |errno| Self::System { what, source: errno.into() }
    }
}
