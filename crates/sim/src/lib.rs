//! Simulated repeaters: a user's first proof that a master works, and the load generator of its measurements.
//!
//! [`run`] logs in many MMDVM clients, makes calls and judges what comes out at the other repeaters, burst by
//! burst, and at another network over OpenBridge where there is one; where the repeaters are at several hosts, within a host and across
//! hosts apart; [`run_floor`] does the same with a bare `sendto` loop
//! in the master's place; [`demo`] makes one call between two workers and one to the parrot and tells what happened. It talks to a master as its
//! clients do and knows nothing of its inside. It starts no master and prints nothing.
//!
//! Latency is the kernel's time of receipt minus the time just before sending, both on the real-time clock: a
//! clock that is set meanwhile spoils it.

pub mod client;
pub mod cpu;
mod demo;
mod error;
mod fleet;
mod flood;
mod floor;
mod idle;
pub mod judge;
mod network;
mod report;
mod run;
mod settle;
mod timers;
pub mod traffic;

pub use demo::{Place, Story, WhereIs, demo};
pub use error::Error;
pub use floor::Floor;
pub use idle::Idle;
pub use network::Network;
pub use report::{Across, Bridged, Report, Table};
pub use run::{Settings, run, run_floor};
pub use stack::Key;
