//! The host's clocks, in microseconds.

use nix::time::{ClockId, clock_gettime};

/// The two clocks at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clocks {
    /// CLOCK_MONOTONIC, microseconds since boot; the same in all processes of the host.
    pub mono_us: u64,
    /// CLOCK_REALTIME, microseconds since 1970.
    pub wall_us: u64,
}

impl Clocks {
    /// Reads both.
    #[must_use]
    #[inline]
    pub fn now() -> Self {
        Self { mono_us: read(ClockId::CLOCK_MONOTONIC), wall_us: read(ClockId::CLOCK_REALTIME) }
    }
}

fn read(clock: ClockId) -> u64 {
    // These two clocks exist on every Linux: the error cannot happen, and zero would only mean "long ago".
    let Ok(time) = clock_gettime(clock) else { return 0 };
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(time.tv_nsec() / 1_000).unwrap_or(0)
}
