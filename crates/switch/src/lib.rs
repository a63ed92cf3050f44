//! Call control: contexts, sessions, routes, slots and talkgroup subscriptions of one worker.
//!
//! A pure state machine. It is told of contexts and bursts, by the stacks of its worker and by sibling
//! workers, and says what is to be delivered, forwarded and written down. It knows no protocol, no socket and
//! no shared memory; which siblings want a call is its worker's affair.

#![forbid(unsafe_code)]

mod call;
mod calls;
mod contest;
mod contexts;
mod groups;
mod guard;
mod io;
mod leave;
mod parrot;
mod private;
mod record;
mod remote;
mod resume;
mod routes;
mod sequence;
mod session;
mod sessions;
mod settings;
mod slots;
mod subscriptions;
mod switch;
mod timers;
mod trunks;
mod voice;
mod wire;

pub use io::{Dropped, Ended, FarCall, Input, Kind, Output, Place, Refused, SessionReport};
pub use record::{Dynamic, Record, Running, read_record};
pub use session::SessionId;
pub use settings::Settings;
pub use switch::Switch;
pub use wire::{FAR_RELAYED_LEN, FORWARD_LEN, FarBurst, Forward, Published, RELAYED_LEN};

use std::time::Duration;

use dmr::{BurstKind, DataType};

/// A call without a burst for this long has ended.
pub const STREAM_TIMEOUT: Duration = Duration::from_millis(600);
/// A voice call from a sibling without a burst for this long has ended. The sibling says when it ends; without a word from
/// it, it may hang until it is replaced, and the call then goes on.
pub const SIBLING_TIMEOUT: Duration = Duration::from_millis(5600);
/// A voice call from another host without a burst for this long has ended. What got lost on the way is concealed before it
/// comes here: who is silent for longer cannot be heard from there, and its receivers' slots are for others.
pub const FAR_TIMEOUT: Duration = Duration::from_secs(1);
/// In place of a sibling's number: the burst is of a far session, one that began at another host.
pub const FAR: u8 = 127;
/// How many dynamic talkgroups one slot can have; the one nearest its end makes room for a new one.
pub const MAX_DYNAMICS: usize = 8;
/// How long a radio is blocked that keys up again and again.
pub const BLOCK_TIME: Duration = Duration::from_secs(10 * 60);
/// Talkgroup and radio ID of the parrot, which says again what it heard.
pub const PARROT: u32 = 9990;
/// Talkgroup and radio ID that ends the dynamic talkgroups of the slot where it is called.
pub const UNLINK: u32 = 4000;
/// Talkgroup that stays at the repeater where it is called.
pub const LOCAL: u32 = 9;
/// Talkgroup of all radios (ETSI TS 102 361-1 annex A): a static one, or none.
pub const ALL_CALL: u32 = 0xFF_FFFF;

/// One burst of a slot (ETSI TS 102 361-1 section 4.2.1).
const BURST_TIME: Duration = Duration::from_millis(60);
const HEADER: BurstKind = BurstKind::Data(DataType::VOICE_HEADER);
const TERMINATOR: BurstKind = BurstKind::Data(DataType::TERMINATOR);

#[cfg(test)]
mod tests;
