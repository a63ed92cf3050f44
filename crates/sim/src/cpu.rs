//! CPU time of processes and threads, by the scheduler's own nanosecond counters.

use std::fs;
use std::io;
use std::path::Path;

use crate::Error;

/// CPU time that each of `ids` has used, together, in microseconds. An ID is that of a process, which counts
/// with all its present threads, or of one thread of this process.
///
/// # Errors
/// Where there is no such process, or the kernel keeps no counters (`/proc/PID/schedstat`).
pub fn used_us(ids: &[i32]) -> Result<u64, Error> {
    let mut sum_ns = 0;
    for id in ids {
        sum_ns += used_ns(*id).map_err(Error::io("read the CPU time of a measured process"))?;
    }
    Ok(sum_ns / 1_000)
}

/// CPU time that the calling thread has used, in microseconds.
pub(crate) fn own_us() -> Result<u64, Error> {
    used_us(&[nix::unistd::gettid().as_raw()])
}

fn used_ns(id: i32) -> io::Result<u64> {
    let thread = format!("/proc/self/task/{id}");
    if Path::new(&thread).exists() {
        return task_ns(Path::new(&thread));
    }
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{id}/task"))? {
        sum += task_ns(&task?.path())?;
    }
    Ok(sum)
}

fn task_ns(task: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(task.join("schedstat"))?;
    let first = text.split_ascii_whitespace().next().and_then(|number| number.parse().ok());
    first.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{task:?}/schedstat: {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_used_is_counted() {
        let before = own_us().unwrap();
        let mut x = 1_u64;
        while own_us().unwrap() < before + 2_000 {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        let parent = nix::unistd::getppid().as_raw();
        assert!(used_us(&[parent, parent]).unwrap() > 0);
        assert!(matches!(used_us(&[i32::MAX]), Err(Error::Io { .. })));
    }
}
