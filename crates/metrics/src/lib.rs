//! Prometheus metrics made from the stats pages of the workers.
//!
//! [`render`] reads the pages and writes the text format; nothing is kept between two scrapes, and the
//! counters live in the pages, which survive their processes. This crate opens no socket and counts nothing
//! itself.

#![forbid(unsafe_code)]

mod families;
mod hosts;
mod text;

use fabric::Stats;

pub use prometheus::TEXT_FORMAT as CONTENT_TYPE;

/// A worker and its page.
#[derive(Clone, Copy, Debug)]
pub struct WorkerView<'a> {
    /// Its slot, the value of the label `worker`.
    pub slot: u8,
    /// Its node ID.
    pub node: u32,
    /// Whether it serves.
    pub up: bool,
    /// How often it was started again.
    pub restarts: u64,
    /// How its node's connection to a broker elsewhere is, where there is one.
    pub broker: Option<BrokerView>,
    /// The other hosts that it can reach.
    pub hosts: &'a [HostView],
    /// What it counts.
    pub stats: &'a Stats,
}

/// Another host, as a worker sees it: the worst of its nodes that the worker hears. `None` where nothing was measured yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostView {
    /// Its ID, the value of the label `host`.
    pub host: u32,
    /// There and back, microseconds.
    pub rtt_us: Option<u32>,
    /// How much the time of the way varies, microseconds.
    pub jitter_us: Option<u32>,
    /// Of 10,000 datagrams so many did not come here, and there.
    pub loss: Option<[u16; 2]>,
    /// Bursts of its calls that came.
    pub bursts: u64,
    /// Bursts that did not come in time.
    pub lost: u64,
    /// Those of them in whose place others were made up.
    pub concealed: u64,
}

/// A node's connection to a broker. The numbers count from the services' start.
#[derive(Clone, Copy, Debug)]
pub struct BrokerView {
    /// Whether it is there.
    pub connected: bool,
    /// Events that were handed to the broker.
    pub published: u64,
    /// Events that were not.
    pub dropped: u64,
}

/// How far the cluster and the registry that it shares agree.
#[derive(Clone, Copy, Debug)]
pub struct RegistryView {
    /// It is followed.
    pub followed: bool,
    /// Changes made here that it has not got yet.
    pub pending: u64,
    /// Records of it that cannot be, and are not followed.
    pub refused: u64,
    /// What it was never told of, since there was too much at once; from the services' start.
    pub dropped: u64,
}

/// The metrics of a registry, in the text format that [`CONTENT_TYPE`] names.
#[must_use]
pub fn render_registry(registry: &RegistryView) -> String {
    text::write(&families::registry(registry))
}

/// The metrics of these workers at `now_us` (monotonic microseconds), in the text format that
/// [`CONTENT_TYPE`] names; empty for no workers.
#[must_use]
pub fn render(workers: &[WorkerView<'_>], now_us: u64) -> String {
    text::write(&families::all(workers, now_us))
}
