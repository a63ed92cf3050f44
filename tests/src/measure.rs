//! The statistics of the measurements: a figure is a median over chunks with its quartiles, and a ratio is taken
//! within each chunk, since a machine changes its pace from one to the next. It measures nothing itself.

use std::fmt;

/// The middle of some values and how far they spread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// A quarter of the values are below.
    pub low: f64,
    /// The median.
    pub middle: f64,
    /// A quarter of the values are above.
    pub high: f64,
}

impl Spread {
    /// That of `values`, which it sorts.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn of(values: &mut [f64]) -> Self {
        let [low, middle, high] = [0.25, 0.5, 0.75].map(|part| percentile(values, part));
        Self { low, middle, high }
    }

    /// That of `values` to `base`, chunk by chunk.
    ///
    /// # Panics
    /// Where there is no chunk.
    #[must_use]
    pub fn of_ratios(values: &[f64], base: &[f64]) -> Self {
        let mut ratios: Vec<f64> = values.iter().zip(base).map(|(value, base)| value / base).collect();
        Self::of(&mut ratios)
    }
}

/// As a ratio with its quartiles.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} [{:.2} {:.2}]", self.middle, self.low, self.high)
    }
}

/// The value that this part (0 to 1) of `values`, which it sorts, does not exceed.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1).expect("nothing was measured");
    values[(last as f64 * part).round() as usize]
}

/// The median of `values`, which it sorts.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn median(values: &mut [f64]) -> f64 {
    percentile(values, 0.5)
}

/// What the machine is, in a line.
#[must_use]
pub fn machine() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, Linux {}, {model}", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_its_chunk() {
        let mut values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(Spread::of(&mut values), Spread { low: 2.0, middle: 3.0, high: 4.0 });
        assert_eq!((percentile(&mut values, 0.99), median(&mut values)), (5.0, 3.0));
        // The machine runs at half its pace in the second chunk.
        let ratios = Spread::of_ratios(&[110.0, 220.0], &[100.0, 200.0]);
        assert_eq!(ratios.to_string(), "1.10 [1.10 1.10]");
    }
}
