//! Names of system calls that somebody may try who should not.

/// The name of a call; `None` where this list has none.
pub(crate) fn of(number: i64) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

macro_rules! names {
    ($($(#[$only:meta])? $call:ident)*) => {
        const NAMES: &[(i64, &str)] = &[$($(#[$only])? (libc::$call, name(stringify!($call))),)*];
    };
}

/// `SYS_openat` is openat.
const fn name(constant: &'static str) -> &'static str {
    constant.split_at(4).1
}

names! {
    SYS_read SYS_readv SYS_pread64 SYS_preadv SYS_write SYS_writev SYS_pwrite64 SYS_pwritev SYS_sendfile SYS_splice
    SYS_openat SYS_openat2 SYS_close_range SYS_newfstatat SYS_fstat SYS_statx SYS_statfs SYS_lseek SYS_getdents64
    SYS_readlinkat SYS_faccessat SYS_faccessat2 SYS_unlinkat SYS_mkdirat SYS_renameat2 SYS_linkat SYS_symlinkat
    SYS_fchmodat SYS_fchownat SYS_ftruncate SYS_fallocate SYS_fsync SYS_fdatasync SYS_flock SYS_utimensat
    SYS_chdir SYS_fchdir SYS_chroot SYS_getcwd SYS_mount SYS_umount2 SYS_pivot_root SYS_unshare SYS_setns
    SYS_socket SYS_socketpair SYS_bind SYS_connect SYS_listen SYS_accept SYS_accept4 SYS_getsockname SYS_getpeername
    SYS_getsockopt SYS_setsockopt SYS_shutdown SYS_sendto SYS_recvfrom SYS_sendmsg SYS_recvmsg
    SYS_execve SYS_execveat SYS_clone SYS_clone3 SYS_wait4 SYS_waitid SYS_kill SYS_tkill SYS_tgkill SYS_exit
    SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_pidfd_open SYS_pidfd_getfd SYS_pidfd_send_signal
    SYS_futex SYS_sched_yield SYS_sched_getaffinity SYS_sched_setaffinity SYS_set_robust_list SYS_rseq
    SYS_set_tid_address SYS_membarrier SYS_mmap SYS_mprotect SYS_mlock SYS_memfd_create SYS_shmget
    SYS_prctl SYS_capset SYS_setuid SYS_setgid SYS_setresuid SYS_setresgid SYS_setgroups SYS_seccomp SYS_bpf
    SYS_getuid SYS_geteuid SYS_getppid SYS_prlimit64 SYS_uname SYS_sysinfo SYS_getrusage
    SYS_nanosleep SYS_clock_nanosleep SYS_timerfd_create SYS_timerfd_settime SYS_timer_create SYS_setitimer
    SYS_epoll_create1 SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_signalfd4 SYS_inotify_init1 SYS_pipe2
    SYS_ppoll SYS_pselect6 SYS_ioctl SYS_dup SYS_dup3 SYS_io_uring_setup SYS_io_uring_enter SYS_userfaultfd
    SYS_perf_event_open SYS_getrandom SYS_init_module SYS_finit_module SYS_kexec_load SYS_keyctl SYS_add_key
    #[cfg(target_arch = "x86_64")] SYS_open
    #[cfg(target_arch = "x86_64")] SYS_stat
    #[cfg(target_arch = "x86_64")] SYS_lstat
    #[cfg(target_arch = "x86_64")] SYS_access
    #[cfg(target_arch = "x86_64")] SYS_readlink
    #[cfg(target_arch = "x86_64")] SYS_unlink
    #[cfg(target_arch = "x86_64")] SYS_mkdir
    #[cfg(target_arch = "x86_64")] SYS_rename
    #[cfg(target_arch = "x86_64")] SYS_fork
    #[cfg(target_arch = "x86_64")] SYS_vfork
    #[cfg(target_arch = "x86_64")] SYS_pipe
    #[cfg(target_arch = "x86_64")] SYS_dup2
    #[cfg(target_arch = "x86_64")] SYS_poll
    #[cfg(target_arch = "x86_64")] SYS_select
    #[cfg(target_arch = "x86_64")] SYS_epoll_wait
    #[cfg(target_arch = "x86_64")] SYS_arch_prctl
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_its_own_name() {
        assert_eq!(of(libc::SYS_openat), Some("openat"));
        assert_eq!(of(-1), None);
    }
}
