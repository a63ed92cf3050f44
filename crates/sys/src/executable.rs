//! Whether this process, and those that it starts, may make memory executable that was written: a service manager can forbid
//! it (systemd's MemoryDenyWriteExecute), and a program that compiles while it runs may not survive that.

use std::io;
use std::ptr::null_mut;

/// True where it may. A page is tried, and given back.
#[must_use]
pub fn may_make_code() -> bool {
    const PAGE: usize = 4096;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping of our own, at an address that the kernel chooses.
    let page = unsafe { libc::mmap(null_mut(), PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        // Of memory there is none, which says nothing of this.
        return io::Error::last_os_error().kind() != io::ErrorKind::PermissionDenied;
    }
    // SAFETY: the mapping is ours, nobody else knows it, and nothing in it is ever executed.
    let made = unsafe { libc::mprotect(page, PAGE, libc::PROT_READ | libc::PROT_EXEC) } == 0;
    // SAFETY: as above; it is not used any more.
    unsafe { libc::munmap(page, PAGE) };
    made
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    const FORBIDDEN: &str = "SYS_TEST_NO_CODE";

    #[test]
    fn code_is_made_where_it_is_not_forbidden() {
        if std::env::var_os(FORBIDDEN).is_some() {
            assert!(!may_make_code());
            return;
        }
        assert!(may_make_code());
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.arg("code_is_made_where_it_is_not_forbidden").env(FORBIDDEN, "1");
        // SAFETY: the closure makes one system call.
        unsafe { again.pre_exec(forbid_code) };
        match again.output() {
            Ok(output) => assert!(output.status.success(), "{output:?}"),
            // Kernels before 6.3 do not know it.
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Unsupported),
        }
    }

    fn forbid_code() -> io::Result<()> {
        const PR_SET_MDWE: libc::c_int = 65;
        // SAFETY: prctl takes integers here and touches no memory.
        let forbidden = unsafe { libc::prctl(PR_SET_MDWE, 1_u64, 0_u64, 0_u64, 0_u64) } == 0;
        if forbidden { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }
}
