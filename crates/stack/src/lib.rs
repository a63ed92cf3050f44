//! The vocabulary between protocol stacks, the switch and the worker: the [`Stack`] trait, its inputs and
//! outputs, and the words both sides share (context, slot, frame, time).
//!
//! A stack is a pure state machine for one shard: it is given bytes, time and answers, and is asked for what
//! it wants done. It does no I/O, reads no clock and draws no randomness; the worker does that for it.
//! Nothing here knows a protocol or routes a call.

#![forbid(unsafe_code)]

mod access;
mod frame;
mod io;
mod peer;
mod profile;
mod time;

pub use access::{Access, CallAccess};
pub use frame::{CallType, Frame, Slot};
pub use io::{
    Answer, Ask, Datagram, Envelope, Gone, Input, Login, MAX_DATAGRAM, MAX_RECORD, Notice, Output, Refusal,
    Stack, Verdict, delivered,
};
pub use peer::{Key, MAX_ENTRIES, MAX_KEY, PeerSettings, Talkgroups};
pub use profile::{
    ContextKey, DeviceSettings, Line, LinkType, MAX_BLOCKED, MAX_TALKGROUPS, Profile, Slots, Trunk,
};
pub use time::{Now, Time};
