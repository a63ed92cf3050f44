//! The machine: two cores to measure between, and what an instant costs.

use std::fmt;
use std::time::Instant;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tests::measure;

/// Where is measured.
pub(crate) struct Machine {
    pub(crate) near: usize,
    pub(crate) far: usize,
    /// What one reading of the clock costs.
    pub(crate) clock_ns: f64,
}

impl Machine {
    /// Takes two cores.
    pub(crate) fn find() -> Option<Self> {
        let cores = sys::cpus().unwrap();
        let near = *cores.first()?;
        let siblings = siblings(near);
        let far = *cores.iter().find(|core| !siblings.contains(core))?;
        let mut costs: Vec<f64> = (0..1000).map(|_| Instant::now().elapsed().as_nanos() as f64).collect();
        Some(Self { near, far, clock_ns: measure::median(&mut costs) })
    }

    /// Nanoseconds from one reading of the clock to the next, without what a reading costs.
    pub(crate) fn ns_between(&self, since: Instant, until: Instant) -> f64 {
        (until.duration_since(since).as_nanos() as f64 - self.clock_ns).max(0.0)
    }
}

/// Cores that are threads of the same physical one, itself among them.
fn siblings(core: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let text = std::fs::read_to_string(path).unwrap_or_else(|_| core.to_string());
    let number = |text: &str| text.trim().parse::<usize>().unwrap_or(core);
    let range = |text: &str| match text.split_once('-') {
        Some((first, last)) => number(first)..=number(last),
        None => number(text)..=number(text),
    };
    text.split(',').flat_map(range).collect()
}

/// Pins the calling thread.
pub(crate) fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { near, far, .. } = self;
        writeln!(f, "fabric: {}; threads pinned to cores {near} and {far}", measure::machine())?;
        write!(
            f,
            "Only ratios are portable, times are not. A ratio is taken within each chunk, where all are measured\n\
             in turns; shown is the median over the chunks and in brackets its quartiles."
        )
    }
}
