//! What a process may do once it is set up, and what it may not do any more. Whoever gets hold of a worker by a datagram
//! has its sockets and its memory, and nothing else of the machine.
//!
//! [`enter`] is called once, by a process of one thread that has all it needs. A call that it does not allow ends the
//! process with SIGSYS, and its last words name the call ([`sys::keep_last_words`], to be called before). A kernel that
//! lacks a part of this stops no start: the part is left out, and said.
//!
//! A stack or a service with needs of its own names them in the list of its process, with a reason where no test sees
//! the call made.

#![forbid(unsafe_code)]

mod calls;
mod files;
mod filter;
mod privileges;

use std::io;
use std::path::Path;

pub use calls::{Call, NAMES, SERVICES, UPLINKS, WORKER};

/// The port of name servers: answers that are too long for a datagram come by TCP.
const DNS: u16 = 53;

/// What a process is, and with it what it may do.
#[derive(Clone, Copy, Debug)]
pub enum Profile<'a> {
    /// Serves the sockets and segments it was given, and takes more from its supervisor. Files, new sockets and other
    /// processes are not for it; where root starts it, it becomes nobody.
    Worker,
    /// Serve the listening sockets they have, and keep files below one directory, as the user who starts them.
    Services {
        /// That directory.
        data_dir: &'a Path,
        /// The TCP ports, on whatever host, that they may connect to; with them come Unix sockets and datagrams. `None`
        /// where they connect to nothing.
        uplinks: Option<&'a [u16]>,
        /// They look up names: by datagrams, and by TCP to port 53.
        names: bool,
    },
}

/// Enters the sandbox, which nothing leads out of, and says in short words what is in force and what could not be had:
/// `uid 65534, no capabilities, no_new_privs, landlock 6, seccomp`.
///
/// # Errors
/// ESRCH where the parent has ended meanwhile: the kernel would not end this process with it.
pub fn enter(profile: Profile<'_>) -> io::Result<String> {
    // It lies in a file.
    sys::warm_backtraces();
    privileges::drop_bounding();
    let (user, data_dir, mut ports) = match profile {
        Profile::Worker => (privileges::become_nobody()?, None, Vec::new()),
        Profile::Services { data_dir, uplinks, .. } => {
            (privileges::user(), Some(data_dir), uplinks.unwrap_or_default().to_vec())
        }
    };
    let calls: &[&[Call]] = match profile {
        Profile::Worker => &[WORKER],
        Profile::Services { uplinks: None, names: false, .. } => &[SERVICES],
        Profile::Services { uplinks: None, names: true, .. } => &[SERVICES, NAMES],
        Profile::Services { uplinks: Some(_), .. } => &[SERVICES, UPLINKS],
    };
    let families = match profile {
        Profile::Services { uplinks: None, .. } => filter::INTERNET,
        Profile::Worker | Profile::Services { .. } => filter::ALL,
    };
    if matches!(profile, Profile::Services { names: true, .. }) {
        ports.push(DNS);
    }
    let facts = [
        user,
        privileges::drop_capabilities(),
        privileges::gain_none(),
        files::restrict(data_dir, &ports),
        filter::restrict(calls.iter().copied().flatten(), families),
    ];
    Ok(facts.join(", "))
}
