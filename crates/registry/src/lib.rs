//! What is known beyond one process: nodes, peers, devices with their passwords and talkgroups, users, bans, what was last heard
//! of each radio, and the rules of a login.
//!
//! It lies in [`Space`]s of [`Record`]s, which a [`Store`] keeps. [`Embedded`] is one: a database of its own in the data
//! directory, which can be the copy of another registry. Its methods block until the disk has what was written: call them
//! where nobody waits for packets. [`login`] is pure.
//!
//! This crate opens no socket and knows no context: who is logged in is not its business.

#![forbid(unsafe_code)]

mod embedded;
mod error;
pub mod login;
mod record;
mod rows;
mod space;
mod store;

pub use embedded::{Embedded, Listing, Mark, Pending};
pub use error::Error;
pub use record::{Change, MAX_RECORD, Record, Row};
pub use rows::{
    Ban, By, Device, DeviceRow, MAX_CALL, MAX_ID, MAX_NODE, MAX_REASON, MAX_STATICS, MAX_TALKGROUP,
    MAX_TIMED, Node, OverriddenNode, PeerRow, Profile, Range, StoredValue, SubscriptionsRow, Talkgroup,
    Transport, base_id,
};
pub use space::{Key, MAX_NAME, Space};
pub use store::{MAX_AT_ONCE, Page, Refused, Store};

/// A password, as in the configuration.
pub use config::Secret;
