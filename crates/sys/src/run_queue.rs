//! How many threads want to run.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// How long an answer is good.
const FRESH: Duration = Duration::from_millis(10);

/// Tells whether more threads want to run than there are cores, as the kernel counts them.
#[derive(Debug)]
pub struct RunQueue {
    /// `None` where the kernel shows none.
    file: Option<File>,
    cores: usize,
    crowded: bool,
    asked: Option<Instant>,
}

impl RunQueue {
    /// Opens the kernel's count; it can be asked from then on whatever the process may open.
    #[must_use]
    pub fn open() -> Self {
        let cores = nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
        let cores = cores.and_then(|cores| usize::try_from(cores).ok()).unwrap_or(1);
        Self { file: File::open("/proc/loadavg").ok(), cores, crowded: true, asked: None }
    }

    /// Whether more threads want to run than there are cores, the calling one included. The kernel is asked anew where the
    /// last answer is older than 10 ms; where it cannot be asked, the answer is yes.
    pub fn is_crowded(&mut self, now: Instant) -> bool {
        if self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= FRESH) {
            self.asked = Some(now);
            self.crowded = self.count().is_none_or(|count| count > self.cores);
        }
        self.crowded
    }

    /// Threads that run or want to (proc_loadavg(5), fourth field).
    fn count(&self) -> Option<usize> {
        let mut buffer = [0; 64];
        let len = self.file.as_ref()?.read_at(&mut buffer, 0).ok()?;
        let text = std::str::from_utf8(&buffer[..len]).ok()?;
        text.split(' ').nth(3)?.split('/').next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_counted() {
        let queue = RunQueue::open();
        assert!(queue.cores >= 1);
        assert!(queue.count().is_some_and(|count| count >= 1));
    }

    #[test]
    fn more_threads_than_cores_are_a_crowd() {
        let mut queue = RunQueue::open();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..queue.cores {
                scope.spawn(|| {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            // They may not all have begun.
            let since = Instant::now();
            while !queue.is_crowded(Instant::now()) && since.elapsed() < Duration::from_secs(30) {}
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert!(queue.crowded);
    }
}
