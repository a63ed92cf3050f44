//! Jitter buffers: between the bursts of calls of other hosts, as a network brings them, and the switch. In go bursts in
//! any order, doubled, late or not at all; out come bursts in order, each once, and in place of lost voice what a
//! receiver can live with.
//!
//! A pure state machine, one for all far sessions of a worker. It knows neither sockets nor rings nor the wire, delivers
//! nothing, and decides nothing about a call: what comes out is for the switch to judge. How it decides, and what it
//! promises, is in `docs/jitter-buffer.md`.

#![forbid(unsafe_code)]

mod alarms;
mod buffers;
mod conceal;
mod order;
mod origins;
mod session;
mod transit;

use std::time::Duration;

use switch::Forward;

pub use buffers::Buffers;
pub use origins::Health;

/// The sequence of the first burst of each session. Who sends counts from here; who receives waits a moment for what is
/// missing from here on.
pub const FIRST_SEQUENCE: u16 = 0;
/// The longest that a burst stays, and that a missing one is waited for.
pub const MAX_WAIT: Duration = Duration::from_millis(360);
/// The least that a missing burst is waited for, from when it was expected.
pub const MIN_PATIENCE: Duration = Duration::from_millis(120);
/// Lateness up to here delays nothing.
pub const TOLERANCE: Duration = Duration::from_millis(10);
/// The longest delay: with it a missing burst is still waited for a burst longer.
pub const MAX_DELAY: Duration = Duration::from_millis(300);
/// A sequence that is farther ahead than this is a new beginning: nothing is waited for.
pub const MAX_JUMP: u16 = 8;
/// How many lost voice bursts in a row are replaced.
pub const MAX_CONCEALED: u8 = 6;
/// How many sessions there may be at a time.
pub const MAX_SESSIONS: usize = 4096;
/// How long a session is remembered after its last burst, so that copies of it that come later are known as such.
pub const LINGER: Duration = Duration::from_secs(5);

/// How far apart voice bursts are (ETSI TS 102 361-1 section 4.2.1), and how much longer than the delay a missing burst is
/// waited for.
pub const BURST_TIME: Duration = Duration::from_millis(60);

/// A burst as it came.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    /// Counts the bursts of the session from [`FIRST_SEQUENCE`], modulo 65,536.
    pub sequence: u16,
    /// When its host sent it, by that host's monotonic clock: milliseconds, modulo 65,536.
    pub sent_ms: u16,
    /// What it carries. `index` and `frame.sequence` are of no matter.
    pub forward: Forward,
}

/// A burst in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// The node where its session began.
    pub node: u32,
    /// What it carries. `index` is the number of its session here, `frame.sequence` the low eight bits of its sequence.
    pub forward: Forward,
    /// It was made up in place of one that was lost.
    pub is_concealed: bool,
}

/// A duration as the difference of two moments.
const fn micros(duration: Duration) -> i64 {
    // All here are shorter than a minute.
    duration.as_micros() as i64
}
