//! Thin safe wrappers round the Linux calls that no crate offers safely: batches of datagrams, descriptors
//! passed over sockets, children that die with their parent. No policy, no protocol.

mod clock;
mod pass;
mod process;
mod run_queue;
mod say;
mod udp;

pub use clock::Clocks;
pub use pass::{MAX_PASSED, receive, send};
pub use process::{
    CHANNEL_FD, Child, Ended, Spawn, cpus, hand_on, take_channel, take_inherited, watch_children,
};
pub use run_queue::RunQueue;
pub use say::write_line;
pub use udp::{Bind, Counts, ReceiveBatch, Received, SendBatch, bind};
