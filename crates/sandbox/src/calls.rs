//! The system calls that each process may make: those that it is seen to make while a cluster serves, and others only
//! with the reason. `tests/tests/sandbox.rs` compares.

/// A call that is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Its number on this machine.
    pub number: i64,
    /// Its name.
    pub name: &'static str,
    /// What it is needed for, where it is not always seen.
    pub reason: Option<&'static str>,
}

impl Call {
    const fn new(number: i64, constant: &'static str, reason: &'static str) -> Self {
        // `SYS_openat` is openat.
        let (_, name) = constant.split_at(4);
        Self { number, name, reason: if reason.is_empty() { None } else { Some(reason) } }
    }
}

macro_rules! calls {
    ($($(#[$only:meta])? $call:ident $reason:literal)*) => {
        &[$($(#[$only])? Call::new(libc::$call, stringify!($call), $reason),)*]
    };
}

/// Those of a worker.
pub const WORKER: &[Call] = calls! {
    // Waits.
    #[cfg(target_arch = "x86_64")] SYS_epoll_wait ""
    #[cfg(not(target_arch = "x86_64"))] SYS_epoll_pwait ""
    SYS_restart_syscall "the kernel's own way on after a stop"
    // Datagrams, and who is to be woken.
    SYS_recvmmsg ""
    SYS_sendmmsg ""
    SYS_write ""
    // What the supervisor says and gives.
    SYS_recvmsg ""
    SYS_sendmsg ""
    SYS_newfstatat ""
    SYS_fstat "fstat(3) of glibc 2.39 and later"
    SYS_fcntl ""
    SYS_epoll_ctl "a shard that is given or taken while it runs"
    #[cfg(target_arch = "x86_64")] SYS_poll "standing still while it is given shards"
    #[cfg(not(target_arch = "x86_64"))] SYS_ppoll "standing still while it is given shards"
    SYS_close ""
    SYS_pread64 "whether the core is free: asked under load alone"
    // Memory.
    SYS_brk "the allocator"
    SYS_mmap ""
    SYS_munmap ""
    SYS_mremap "the allocator, for large tables that grow"
    SYS_madvise "the allocator, for memory given back"
    SYS_mprotect "the allocator, for more of its heap"
    // Its end.
    SYS_sigaltstack ""
    SYS_exit_group ""
    SYS_rt_sigprocmask "abort(3)"
    SYS_rt_sigaction "last words: after them the signal does what it always did"
    SYS_rt_sigreturn "the kernel's own way back from a signal"
    SYS_getpid "abort(3)"
    SYS_gettid "abort(3)"
    SYS_tgkill "abort(3)"
    // What there may be another way to.
    SYS_clock_gettime "clocks that only the kernel can read"
    SYS_getrandom "keys of the standard library's hash tables, when the first is made"
};

/// Those of the services.
pub const SERVICES: &[Call] = calls! {
    // Waits.
    #[cfg(target_arch = "x86_64")] SYS_epoll_wait ""
    #[cfg(not(target_arch = "x86_64"))] SYS_epoll_pwait ""
    SYS_epoll_ctl ""
    SYS_restart_syscall "the kernel's own way on after a stop"
    SYS_futex "tokio, where a task is woken while its thread sleeps"
    SYS_read "tokio, for a bell of its own that rang too often"
    SYS_write ""
    // Who asks.
    SYS_accept4 ""
    SYS_getsockname ""
    SYS_getsockopt ""
    SYS_geteuid "asked where somebody else than root asks"
    SYS_recvfrom ""
    SYS_sendto ""
    SYS_writev ""
    SYS_shutdown ""
    // What the supervisor says and gives.
    SYS_recvmsg ""
    SYS_sendmsg ""
    SYS_newfstatat "a segment that is given while they run"
    SYS_fstat "fstat(3) of glibc 2.39 and later"
    SYS_fcntl ""
    SYS_close ""
    // The registry. Which files can be opened is for Landlock to say.
    SYS_pread64 "what the registry's cache does not hold"
    SYS_pwrite64 ""
    SYS_fdatasync ""
    SYS_flock ""
    SYS_ftruncate "a registry that grows"
    SYS_statx "how long the registry is"
    SYS_openat "files below the data directory"
    SYS_lseek "files below the data directory"
    // Lines for the log.
    #[cfg(target_arch = "x86_64")] SYS_poll ""
    #[cfg(not(target_arch = "x86_64"))] SYS_ppoll ""
    // Memory.
    SYS_brk "the allocator"
    SYS_mmap "the allocator, and a segment that is given while they run"
    SYS_munmap "the allocator, and a segment that is given while they run"
    SYS_mremap "the allocator, for large tables that grow"
    SYS_madvise "the allocator, for memory given back"
    SYS_mprotect "the allocator, for more of its heap"
    // Their end.
    SYS_sigaltstack ""
    SYS_exit_group ""
    SYS_rt_sigprocmask "abort(3)"
    SYS_rt_sigaction "last words: after them the signal does what it always did"
    SYS_rt_sigreturn "the kernel's own way back from a signal"
    SYS_getpid "abort(3)"
    SYS_gettid "abort(3)"
    SYS_tgkill "abort(3)"
    // What there may be another way to.
    SYS_clock_gettime "clocks that only the kernel can read"
    SYS_getrandom "keys of the standard library's hash tables, when the first is made"
};

/// Those that the services make as well where there can be peers with names, and no uplinks.
pub const NAMES: &[Call] = calls! {
    SYS_socket "a question to a name server; none is asked where no peer has a name"
    SYS_connect "the same by TCP, where the answer is too long for a datagram"
    SYS_bind "a datagram to a name server; no TCP port can be bound"
    SYS_setsockopt "the same by TCP"
    SYS_getpeername "the same by TCP"
};

/// Those that the services make as well where a registry or a broker is elsewhere.
pub const UPLINKS: &[Call] = calls! {
    // TCP and Unix sockets to it. Which TCP ports is for Landlock to say.
    SYS_socket ""
    SYS_connect ""
    SYS_setsockopt ""
    SYS_getpeername ""
    // Names.
    SYS_bind "a datagram to a name server; no TCP port can be bound"
};
