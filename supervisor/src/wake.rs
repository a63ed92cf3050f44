//! What it costs to wake a process on another core, measured at the start: workers need it to tell when looking for more
//! is cheaper than sleeping.

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::eventfd::EventFd;
use nix::unistd::Pid;

/// How often two threads wake each other: about five milliseconds in all.
const ROUNDS: usize = 32;
/// A machine that takes longer is busy with something else.
const LONGEST: Duration = Duration::from_micros(200);
/// Who was not woken after this time is given up, in milliseconds.
const PATIENCE_MS: u16 = 100;

/// The time from a write to an event counter until its reader runs, on two different cores of `cores`: half the median
/// round. Zero where there is only one core, or the system refuses.
pub(crate) fn measure(cores: &[usize]) -> Duration {
    let [first, second, ..] = *cores else { return Duration::ZERO };
    round_trip(first, second).map_or(Duration::ZERO, |time| (time / 2).min(LONGEST))
}

fn round_trip(first: usize, second: usize) -> io::Result<Duration> {
    let (there, back) = (EventFd::new()?, EventFd::new()?);
    thread::scope(|scope| {
        let echo = thread::Builder::new().spawn_scoped(scope, || {
            // Where it cannot be pinned the figure may be too small, and nothing else is wrong.
            let _ = keep_to(second);
            for _ in 0..ROUNDS {
                if sleep(&there).is_err() || back.write(1).is_err() {
                    return;
                }
            }
        })?;
        let ask = thread::Builder::new().spawn_scoped(scope, || {
            let _ = keep_to(first);
            let mut rounds = [Duration::ZERO; ROUNDS];
            for round in &mut rounds {
                let since = Instant::now();
                there.write(1)?;
                sleep(&back)?;
                *round = since.elapsed();
            }
            rounds.sort_unstable();
            Ok(rounds[ROUNDS / 2])
        })?;
        let median = ask.join().unwrap_or_else(|_| Err(io::Error::other("the measuring thread panicked")));
        let _ = echo.join();
        median
    })
}

/// Sleeps until somebody writes to `bell`.
fn sleep(bell: &EventFd) -> io::Result<()> {
    let mut fds = [PollFd::new(bell.as_fd(), PollFlags::POLLIN)];
    if nix::poll::poll(&mut fds, PATIENCE_MS)? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    bell.read()?;
    Ok(())
}

fn keep_to(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_takes_time_and_no_second() {
        let cores = sys::cpus().unwrap();
        let time = measure(&cores);
        assert_eq!(time.is_zero(), cores.len() < 2);
        assert!(time <= LONGEST);
        assert_eq!((measure(&[]), measure(&[0])), (Duration::ZERO, Duration::ZERO));
    }
}
