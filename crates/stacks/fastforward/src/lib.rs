//! FastForward: how the nodes of one network on many hosts are joined. The protocol is specified in `docs/fastforward.md`.
//!
//! A node is a pure state machine, one for each worker. It finds other nodes, proves and measures them, floods what each says of itself
//! (who it hears, which talkgroups it wants, where radios were heard), and carries bursts: one copy for each host that wants a call,
//! each burst taken once. It knows no socket, no ring and no repeater, and puts nothing in order: that is for the jitter buffer at
//! whoever delivers.

#![forbid(unsafe_code)]

mod association;
mod bytes;
mod carry;
mod contacts;
mod flood;
mod fuzz;
mod greetings;
mod io;
mod keys;
mod network;
mod node;
mod seal;
mod sessions;
mod state;
mod status;
mod strangers;
#[cfg(test)]
mod tests;
mod topology;
mod window;
mod wire;

pub use association::Measured;
#[doc(hidden)]
pub use fuzz::fuzz_node;
pub use io::{Counters, Input, Output, Settings};
pub use node::FastForward;
pub use seal::NetworkKey;
pub use status::{HostStatus, NodeStatus};
pub use wire::{BURST_FRAME_LEN, HEADER_LEN, MAX_DATAGRAM, SEAL_LEN};
