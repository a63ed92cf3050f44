//! Thin safe wrappers round the Linux calls that no crate offers safely: batches of datagrams, descriptors
//! passed over sockets, children that die with their parent, last words, what a process may do. No policy, no protocol.

mod clock;
mod executable;
mod last_words;
mod names;
mod pass;
mod process;
mod run_queue;
mod say;
mod udp;
mod words;

pub use clock::Clocks;
pub use executable::may_make_code;
pub use last_words::{keep_last_words, warm_backtraces};
pub use pass::{MAX_PASSED, next_len, receive, send};
pub use process::{
    CHANNEL_FD, Child, Ended, Spawn, SpawnSystems, cpus, die_with_parent, hand_on, take_channel,
    take_inherited, watch_children,
};
pub use run_queue::RunQueue;
pub use say::write_line;
pub use udp::{Bind, Counts, ReceiveBatch, Received, SendBatch, bind};
