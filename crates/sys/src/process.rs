//! Children that die with their parent and are known by a pidfd: our own programs, which hold one socket to it, and the
//! system's, which hold nothing of it.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// The descriptor at which a child finds its socket to the supervisor.
pub const CHANNEL_FD: RawFd = 3;

/// What is for the supervisor alone: with what a service manager tells it (sd_notify(3)) a child could speak in its name,
/// and passwords are given to the one child that needs them.
const NOT_INHERITED: [&str; 5] =
    ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "BMCTL_REGISTRY_PASSWORD", "BMCTL_EVENTS_PASSWORD"];

/// All that a program of the system gets of the environment.
const INHERITED_BY_SYSTEMS: [&str; 2] = ["PATH", "TZ"];

/// A program of ours that is to be started.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// The executable, held open so that a file replaced on disk does not change what a restart starts.
    pub program: BorrowedFd<'a>,
    /// Its name in the process list.
    pub name: &'a str,
    /// The child's end of the socket to its parent; it becomes [`CHANNEL_FD`].
    pub channel: BorrowedFd<'a>,
    /// Where its standard output and error go.
    pub output: BorrowedFd<'a>,
    /// The core it is pinned to.
    pub cpu: Option<usize>,
}

/// A program of the system that is to be started. It knows nothing of us: it has no socket, none of our descriptors, and of
/// the environment `PATH` and `TZ` alone.
#[derive(Debug)]
pub struct SpawnSystems<'a> {
    /// Its absolute path.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: &'a [OsString],
    /// Where it works.
    pub dir: &'a Path,
    /// Where its standard output and error go; there is nothing on its standard input.
    pub output: BorrowedFd<'a>,
}

/// A running child.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Spawn<'_> {
    /// Starts it. To be called from one thread that lives as long as the process: the kernel kills the child
    /// when the *thread* that made it ends.
    ///
    /// # Errors
    /// Those of fork(2), execve(2) and pidfd_open(2).
    pub fn start(&self) -> io::Result<Child> {
        // A copy at or above CHANNEL_FD: with it that number is taken, and the standard library's own pipe to
        // the child cannot come to lie there.
        let channel = fcntl(self.channel, FcntlArg::F_DUPFD_CLOEXEC(CHANNEL_FD))?;
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        let held = unsafe { OwnedFd::from_raw_fd(channel) };
        // A copy above CHANNEL_FD, since that one is overwritten before the exec.
        let program = fcntl(self.program, FcntlArg::F_DUPFD_CLOEXEC(CHANNEL_FD + 1))?;
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        let program = unsafe { OwnedFd::from_raw_fd(program) };
        let cpus = self.cpu.map(one_cpu).transpose()?;
        let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
        command.arg0(self.name);
        NOT_INHERITED.into_iter().for_each(|name| _ = command.env_remove(name));
        let child = start(command, self.output, move || {
            if let Some(cpus) = &cpus {
                // A core that has been taken away since costs speed, not the worker.
                let _ = sched_setaffinity(Pid::from_raw(0), cpus);
            }
            inherit(channel)?;
            close_from(CHANNEL_FD + 1);
            Ok(())
        });
        drop(held);
        child
    }
}

impl SpawnSystems<'_> {
    /// Starts it, as [`Spawn::start`] does.
    ///
    /// # Errors
    /// Those of fork(2), execve(2) and pidfd_open(2).
    pub fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(self.program);
        command.args(self.arguments).current_dir(self.dir).stdin(Stdio::null()).env_clear();
        for name in INHERITED_BY_SYSTEMS {
            std::env::var_os(name).into_iter().for_each(|value| _ = command.env(name, value));
        }
        start(command, self.output, || {
            close_from(CHANNEL_FD);
            Ok(())
        })
    }
}

/// Starts a command that dies with us. `prepare` is done in the child before the exec: it may only make system calls, and
/// neither allocate nor lock.
fn start(
    mut command: Command,
    output: BorrowedFd<'_>,
    prepare: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> io::Result<Child> {
    let parent = nix::unistd::getpid();
    command.stdout(output.try_clone_to_owned()?);
    command.stderr(output.try_clone_to_owned()?);
    let prepare = move || {
        die_with_parent(parent)?;
        nix::sys::signal::SigSet::empty().thread_set_mask()?;
        // Of a session of its own: Ctrl-C at the terminal is for the supervisor, which ends its children, and
        // the terminal cannot stop one that writes to it.
        nix::unistd::setsid()?;
        prepare()
    };
    // SAFETY: between fork and exec the closure only makes system calls: it neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
    let mut child = command.spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    match pidfd_open(pid) {
        Ok(pidfd) => Ok(Child { pid, pidfd }),
        Err(error) => {
            // A child that cannot be watched is worse than none.
            child.kill()?;
            child.wait()?;
            Err(error)
        }
    }
}

/// From now on the kernel kills this process when its parent, which is known to have been `parent`, ends. To be called
/// again after a change of the user, with which the kernel forgets it.
///
/// # Errors
/// ESRCH where the parent has ended already: nobody would ever end this process.
pub fn die_with_parent(parent: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have died before the line above.
    if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}

fn one_cpu(cpu: usize) -> io::Result<CpuSet> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(set)
}

/// Makes `channel` the descriptor [`CHANNEL_FD`] of this process, open across exec.
fn inherit(channel: RawFd) -> io::Result<()> {
    let result = if channel == CHANNEL_FD {
        // SAFETY: fcntl takes integers here and touches no memory.
        unsafe { libc::fcntl(channel, libc::F_SETFD, 0) }
    } else {
        // SAFETY: dup2 touches no memory; what CHANNEL_FD was is not used after the fork.
        unsafe { libc::dup2(channel, CHANNEL_FD) }
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What this process was itself given open is not for its children: all from this one on closes at the exec.
fn close_from(first: RawFd) {
    // SAFETY: close_range only marks descriptors; none of those from `first` on is used after exec. An old
    // kernel that refuses it leaves them as they are.
    unsafe { libc::close_range(first as u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) };
}

/// Makes sure that ended children can be waited for: a parent may have left SIGCHLD ignored.
///
/// # Errors
/// Those of sigaction(2).
pub fn watch_children() -> io::Result<()> {
    // SAFETY: the default action replaces a handler by none.
    unsafe { nix::sys::signal::signal(Signal::SIGCHLD, nix::sys::signal::SigHandler::SigDfl)? };
    Ok(())
}

fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

impl Child {
    /// A child of this process that was started before an exec, and has not been waited for.
    ///
    /// # Errors
    /// Those of pidfd_open(2).
    pub fn known(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid);
        Ok(Self { pid, pidfd: pidfd_open(pid)? })
    }

    /// Its process ID.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Sends a signal; a child that has gone already is no error.
    ///
    /// # Errors
    /// Those of pidfd_send_signal(2) but ESRCH.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // By the pidfd: the number may be another's once the child was waited for.
        // SAFETY: the call takes integers and a null pointer, which stands for no further information.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.pidfd.as_raw_fd(),
                signal as i32,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        match io::Error::last_os_error() {
            _ if sent == 0 => Ok(()),
            error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            error => Err(error),
        }
    }

    /// How it ended, if it has: "exit code 3", "signal SIGKILL". The process is reaped.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Some(Ended::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(Ended::Signal(signal as i32)),
            Err(Errno::ECHILD) => Some(Ended::Unknown),
            _ => None,
        }
    }
}

impl AsFd for Child {
    /// A pidfd, readable when the child has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Somebody else has reaped it.
    Unknown,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Unknown => f.write_str("a cause that is not known"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "signal {signal}"),
                Err(_) => write!(f, "signal {number}"),
            },
        }
    }
}

/// In a child: takes the socket to the supervisor, once.
///
/// # Errors
/// Where the process was not started by a supervisor: [`CHANNEL_FD`] is no socket.
pub fn take_channel() -> io::Result<OwnedFd> {
    let by_hand = |_| io::Error::other("this program is started by `bmctl start`, not by hand");
    let fd = take_inherited(CHANNEL_FD).map_err(by_hand)?;
    // It was started through a descriptor, so the kernel took the descriptor's number for its name.
    if let Some(name) = std::env::args().next().and_then(|name| CString::new(name).ok()) {
        nix::sys::prctl::set_name(&name)?;
    }
    nix::sys::socket::getsockopt(&fd, nix::sys::socket::sockopt::SockType)
        .map_err(|errno| by_hand(errno.into()))?;
    Ok(fd)
}

/// Takes a descriptor that came by exec, once; it is close-on-exec from then on. Not for standard streams.
///
/// # Errors
/// Where it is not open, or did not come by exec.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl takes two integers and touches no memory of ours.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    // Exec leaves only descriptors without close-on-exec, so one that has it was made here since.
    if number < CHANNEL_FD || flags < 0 || flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::other(format!("descriptor {number} was not handed on")));
    }
    // SAFETY: the descriptor is open, came by exec, and the flag set below keeps it from being taken twice.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}

/// Whether a descriptor stays open over an exec: [`take_inherited`] takes it then.
///
/// # Errors
/// Those of fcntl(2).
pub fn hand_on(fd: BorrowedFd<'_>, is_handed_on: bool) -> io::Result<()> {
    let flags = if is_handed_on { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    fcntl(fd, FcntlArg::F_SETFD(flags))?;
    Ok(())
}

/// The cores that this process may run on, in order.
///
/// # Errors
/// Those of sched_getaffinity(2).
pub fn cpus() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

    fn start(program: &str) -> (Child, OwnedFd) {
        let program = std::fs::File::open(program).unwrap();
        let output = io::stderr();
        let (mine, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let spawn = Spawn {
            program: program.as_fd(),
            name: "cat",
            channel: theirs.as_fd(),
            output: output.as_fd(),
            cpu: Some(0),
        };
        (spawn.start().unwrap(), mine)
    }

    #[test]
    fn a_child_is_known_by_its_pidfd_and_its_end() {
        // cat waits for what never comes.
        let (stdin, _writer) = io::pipe().unwrap();
        nix::unistd::dup2_stdin(stdin.as_fd()).unwrap();
        let (child, _channel) = start("/bin/cat");
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.pid())).unwrap();
        assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
        child.signal(Signal::SIGKILL).unwrap();
        let mut fds = [nix::poll::PollFd::new(child.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut fds, 10_000_u16).unwrap(), 1);
        let ended = child.ended().unwrap();
        assert_eq!(ended, Ended::Signal(9));
        assert_eq!(ended.to_string(), "signal SIGKILL");
    }

    #[test]
    fn a_child_that_ends_by_itself_has_a_code() {
        let (child, _channel) = start("/bin/false");
        let mut fds = [nix::poll::PollFd::new(child.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut fds, 10_000_u16).unwrap(), 1);
        assert_eq!(child.ended().unwrap().to_string(), "exit code 1");
    }

    #[test]
    fn a_program_of_the_system_has_nothing_of_ours() {
        use std::io::Read;
        // As if it had come to us without close-on-exec.
        let leak = std::fs::File::open("/dev/zero").unwrap();
        hand_on(leak.as_fd(), true).unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let script = "pwd; env; ls -l /proc/self/fd; grep SigBlk /proc/self/status; read x || echo no input";
        let arguments = ["-c", script].map(OsString::from);
        let spawn = SpawnSystems {
            program: Path::new("/bin/sh"),
            arguments: &arguments,
            dir: Path::new("/usr"),
            output: writer.as_fd(),
        };
        let child = spawn.start().unwrap();
        drop(writer);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("/usr\n") && said.contains("no input"), "{said}");
        assert!(said.contains("PATH=") && !said.contains("CARGO"), "{said}");
        assert!(!said.contains("/dev/zero"), "{said}");
        // Its three streams, and the directory that ls reads.
        assert_eq!(said.lines().filter(|line| line.contains(" -> ")).count(), 4, "{said}");
        let mut fds = [nix::poll::PollFd::new(child.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut fds, 10_000_u16).unwrap(), 1);
        assert_eq!(child.ended(), Some(Ended::Code(0)));
    }
}
