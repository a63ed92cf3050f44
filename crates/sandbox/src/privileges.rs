//! Users and capabilities, and no way back to them.

use std::io;

use caps::CapSet;
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, getppid, setgroups, setresgid, setresuid};

/// User and group without rights of their own, by the kernel's own number for them.
const NOBODY: u32 = 65_534;

/// Who it is.
pub(crate) fn user() -> String {
    format!("uid {}", Uid::effective())
}

/// Becomes nobody, where root may, and says who it is then.
pub(crate) fn become_nobody() -> io::Result<String> {
    if !Uid::effective().is_root() {
        return Ok(user());
    }
    let parent = getppid();
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    let changed =
        setgroups(&[]).and_then(|()| setresgid(gid, gid, gid)).and_then(|()| setresuid(uid, uid, uid));
    // The kernel forgets both with the user: whose end is ours, and that we may be looked at and leave a core.
    sys::die_with_parent(parent)?;
    prctl::set_dumpable(true)?;
    Ok(match changed {
        Ok(()) => user(),
        Err(errno) => format!("{} (not {NOBODY}: {})", user(), errno.desc()),
    })
}

/// Before the user is changed: only who has CAP_SETPCAP may take from this set. Who has not can gain nothing from it
/// either: no program that it could start gives it more ([`gain_none`]).
pub(crate) fn drop_bounding() {
    let _ = caps::clear(None, CapSet::Bounding);
}

pub(crate) fn drop_capabilities() -> String {
    let sets = [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted];
    match sets.into_iter().find_map(|set| caps::clear(None, set).err()) {
        None => "no capabilities".to_owned(),
        Some(error) => format!("capabilities as they were ({error})"),
    }
}

pub(crate) fn gain_none() -> String {
    match prctl::set_no_new_privs() {
        Ok(()) => "no_new_privs".to_owned(),
        Err(errno) => format!("not no_new_privs ({})", errno.desc()),
    }
}
