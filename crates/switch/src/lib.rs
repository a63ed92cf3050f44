//! Call control: contexts, sessions, routes, slots and talkgroup subscriptions of one worker.
//!
//! A pure state machine. It is told of contexts and bursts, by the stacks of its worker and by sibling
//! workers, and says what is to be delivered, forwarded and written down. It knows no protocol, no socket and
//! no shared memory; which siblings want a call is its worker's affair.

#![forbid(unsafe_code)]

mod calls;
mod contexts;
mod groups;
mod io;
mod parrot;
mod record;
mod routes;
mod session;
mod settings;
mod slots;
mod subscriptions;
mod switch;
mod timers;
mod wire;

pub use io::{Dropped, Ended, Input, Kind, Output, Place, Refused, SessionReport};
pub use record::{Dynamic, Record, Running, read_record};
pub use session::SessionId;
pub use settings::Settings;
pub use switch::Switch;
pub use wire::{FORWARD_LEN, Forward};

use std::time::Duration;

/// A call without a burst for this long has ended.
pub const STREAM_TIMEOUT: Duration = Duration::from_millis(600);
/// How many dynamic talkgroups one slot can have; the one nearest its end makes room for a new one.
pub const MAX_DYNAMICS: usize = 8;
/// Set in what [`Output::Interest`] names: it is no talkgroup, but the ID of a context.
pub const INTEREST_ID: u32 = 1 << 31;
/// Talkgroup and radio ID of the parrot, which says again what it heard.
pub const PARROT: u32 = 9990;

#[cfg(test)]
mod tests;
