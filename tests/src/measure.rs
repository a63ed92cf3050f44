//! What benchmarks have in common: medians with their spread, and what machine it was.

use std::fmt;

/// The median of some values, and the quartiles below and above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quartiles {
    /// A quarter of the values are at most this.
    pub low: f64,
    /// Half of them are.
    pub median: f64,
    /// Three quarters are.
    pub high: f64,
}

impl Quartiles {
    /// Those of `values`; NaN where there are none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |part: f64| percentile(&values, part);
        Self { low: at(0.25), median: at(0.5), high: at(0.75) }
    }
}

/// The value below which `part` (0 to 1) of the sorted `values` lie; NaN where there are none.
#[must_use]
pub fn percentile(values: &[f64], part: f64) -> f64 {
    let place = part * (values.len().max(1) - 1) as f64;
    let at = |place: f64| values.get(place as usize).copied().unwrap_or(f64::NAN);
    let (below, above) = (at(place.floor()), at(place.ceil()));
    below + (above - below) * place.fract()
}

impl fmt::Display for Quartiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2} [{:.2}..{:.2}]", self.median, self.low, self.high))
    }
}

/// A line that says what machine this is.
#[must_use]
pub fn machine() -> String {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores of {}, Linux {}", model.unwrap_or("an unknown model"), kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_the_values() {
        let quartiles = Quartiles::of([5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!(quartiles, Quartiles { low: 2.0, median: 3.0, high: 4.0 });
        assert_eq!(Quartiles::of([1.0, 2.0]).median, 1.5);
        assert!(Quartiles::of([]).median.is_nan());
        assert_eq!(quartiles.to_string(), "3.00 [2.00..4.00]");
    }
}
