//! What is known beyond one process: devices with their passwords and talkgroups, bans, what was last heard of each
//! radio, and the rules of a login.
//!
//! [`Embedded`] keeps them in a database of its own in the data directory. Its methods block until the
//! disk has what was written: call them where nobody waits for packets. [`login`] is pure.
//!
//! This crate opens no socket and knows no context: who is logged in is not its business.

#![forbid(unsafe_code)]

mod ban;
mod device;
mod embedded;
mod error;
mod heard;
pub mod login;

pub use ban::{Ban, By, MAX_REASON};
pub use device::{Device, MAX_CALL, MAX_ID, MAX_STATICS, MAX_TALKGROUP, MAX_TIMED, base_id};
pub use embedded::{Embedded, Listing};
pub use error::Error;

/// A password, as in the configuration.
pub use config::Secret;
