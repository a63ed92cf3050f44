//! What can go wrong with a run; a call that goes wrong is no error but a result.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::client::Step;

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings contradict each other.
    #[error("{0}")]
    Settings(String),
    /// Each repeater needs a descriptor.
    #[error(
        "{needed} open files are needed and {allowed} are allowed: simulate fewer repeaters, or raise the hard \
         limit (ulimit -Hn)"
    )]
    Files {
        /// How many.
        needed: u64,
        /// The hard limit.
        allowed: u64,
    },
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Nobody has that port.
    #[error("nothing listens at {0}: start the server first, or name its address")]
    NoServer(SocketAddr),
    /// The network has no socket.
    #[error(
        "the network cannot listen at {address}: {source}; name another address, and tell the server of it"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A login was refused.
    #[error("{server} refused repeater {id} at {step}: {hint}", hint = hint(*step))]
    Refused {
        /// The server.
        server: SocketAddr,
        /// The repeater's ID.
        id: u32,
        /// What was answered with `MSTNAK`.
        step: Step,
    },
    /// Logins that lead nowhere.
    #[error("{missing} of {all} repeaters are not logged in: {server} gives no answer to {step} of {id}")]
    NotRunning {
        /// The server.
        server: SocketAddr,
        /// How many are not.
        missing: usize,
        /// Of how many.
        all: usize,
        /// One that is not.
        id: u32,
        /// The packet of it that waits for an answer.
        step: Step,
    },
    /// Hosts that do not hear each other.
    #[error(
        "after {seconds} s {deaf} of {all} talkers are not heard at all hosts, so nothing was measured: repeater {listener} at \
         {to} hears nothing of what repeater {talker} at {from} says. All of them have to be joined: one of two has an address of \
         the other under [[hosts]], and all have the same key (key_file of [stacks.fastforward])"
    )]
    Apart {
        /// How long it was tried.
        seconds: u64,
        /// How many talkers somebody does not hear.
        deaf: usize,
        /// Of how many.
        all: usize,
        /// One of them.
        talker: u32,
        /// His server.
        from: SocketAddr,
        /// Who does not hear him.
        listener: u32,
        /// The server of that one.
        to: SocketAddr,
    },
    /// Nobody could say which worker serves a repeater.
    #[error("cannot learn which worker serves repeater {id}: {reason}")]
    Place {
        /// The repeater's ID.
        id: u32,
        /// Why not.
        reason: String,
    },
    /// The floor believes everybody, so it serves this host alone.
    #[error("the floor listens on loopback addresses alone, not on {0}")]
    NotLoopback(IpAddr),
}

impl Error {
    pub(crate) fn io<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Io { what, source: source.into() }
    }
}

fn hint(step: Step) -> &'static str {
    match step {
        Step::Key => "is the password right?",
        Step::Config => "its log says which field it does not like",
        _ => "its log may say why",
    }
}
