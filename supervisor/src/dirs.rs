//! The runtime directory and its lock: one cluster in each.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use control::Paths;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// Who has the lock has written its pid by then.
const PID_TIME: Duration = Duration::from_secs(1);

/// Held while the cluster runs; the kernel releases it however the process ends.
#[derive(Debug)]
pub(crate) struct Locked {
    lock: Flock<File>,
    paths: Paths,
}

/// Another supervisor has the runtime directory.
#[derive(Debug)]
pub(crate) struct AlreadyRunning {
    dir: String,
    pid: String,
}

impl std::fmt::Display for AlreadyRunning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { dir, pid } = self;
        write!(
            f,
            "a cluster runs on {dir} already (pid {pid}): see it with `bmctl --runtime-dir {dir} status`, or start \
             another with a --runtime-dir of its own"
        )
    }
}

impl std::error::Error for AlreadyRunning {}

/// Makes a directory for this user alone, if it is not there.
pub(crate) fn make_private(dir: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the directory {}: choose another one", dir.display()))
}

/// Refuses a runtime directory that somebody else could have laid out for us.
pub(crate) fn check_owner(dir: &Path) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(dir) else { return Ok(()) };
    let me = nix::unistd::geteuid().as_raw();
    if !found.is_dir() || ![me, 0].contains(&found.uid()) && me != 0 || found.mode() & 0o022 != 0 {
        let dir = dir.display();
        bail!("{dir} is not trusted: it must be a directory of this user that nobody else can write to");
    }
    Ok(())
}

/// Takes the runtime directory for this process.
///
/// # Errors
/// [`AlreadyRunning`] where another has it.
pub(crate) fn lock(paths: &Paths) -> Result<Locked> {
    make_private(paths.dir())?;
    check_owner(paths.dir())?;
    let path = paths.lock();
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&path)
        .with_context(|| format!("cannot open the lock file {}", path.display()))?;
    let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => return Err(already_running(paths).into()),
        Err((_, errno)) => return Err(errno).with_context(|| format!("cannot lock {}", path.display())),
    };
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(paths.pid())
        .with_context(|| format!("cannot write {}", paths.pid().display()))?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Locked { lock, paths: paths.clone() })
}

fn already_running(paths: &Paths) -> AlreadyRunning {
    let since = Instant::now();
    // The winner writes its pid a moment after it has the lock. Until then the file may have that of one who was killed.
    let pid = loop {
        let pid = fs::read_to_string(paths.pid()).unwrap_or_default().trim().to_owned();
        if runs(&pid) || since.elapsed() > PID_TIME {
            break if pid.is_empty() { "not known yet".to_owned() } else { pid };
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    AlreadyRunning { dir: paths.dir().display().to_string(), pid }
}

/// There is a process with this pid.
fn runs(pid: &str) -> bool {
    let pid = pid.parse().ok().filter(|&pid| pid > 0);
    pid.is_some_and(|pid| kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
}

impl AsFd for Locked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }
}

/// Keeps the lock that the supervisor before has left.
pub(crate) fn inherit(paths: &Paths, lock: OwnedFd) -> Result<Locked> {
    // Of one open file, so this takes nothing from anybody.
    let lock = Flock::lock(File::from(lock), FlockArg::LockExclusiveNonblock)
        .map_err(|(_, errno)| errno)
        .context("cannot keep the lock")?;
    Ok(Locked { lock, paths: paths.clone() })
}

impl Drop for Locked {
    fn drop(&mut self) {
        // The lock file stays: removing it would let two processes lock two files of one name.
        let generated = self.paths.generated();
        for path in
            generated.into_iter().chain([self.paths.pid(), self.paths.services(), self.paths.control()])
        {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_refusal_names_the_pid() {
        let dir = std::env::temp_dir().join(format!("bmctl-lock-{}", std::process::id()));
        let paths = Paths::new(&dir);
        let held = lock(&paths).unwrap();
        let refusal = lock(&paths).unwrap_err().to_string();
        assert!(refusal.contains(&format!("(pid {})", std::process::id())), "{refusal}");
        drop(held);
        drop(lock(&paths).unwrap());
        fs::remove_dir_all(dir).unwrap();
    }
}
