//! OpenBridge, the link between DMR networks, on UDP 62035: the datagram of a burst of the Homebrew protocol, signed with
//! HMAC-SHA1, and nothing else; no login, no answer. With a peer that speaks them, FreeDMR's extensions too: keep-alive,
//! version, source quench, and `DMRE` of version 4 and 5, which says how far a burst has come.
//!
//! [`OpenBridge`] is the [`stack::Stack`] of one shard, and there is one shard: what is learned of a peer has one place. A
//! peer is a context that takes any number of calls out ([`stack::Line::Trunk`]); each call that comes from it has a context of
//! its own while it runs ([`stack::Line::Leg`]). What is not signed with the right key costs one look-up and one HMAC, is
//! counted, and is answered by nothing.
//!
//! It resolves no names (addresses are told to it), routes no calls, decodes no bursts, and knows which calls to carry only
//! by their talkgroups.

#![forbid(unsafe_code)]

mod driver;
mod enhanced;
mod fuzz;
mod legs;
mod packet;
mod peer;
mod peers;
mod record;
mod replay;
mod signer;
#[cfg(test)]
mod tests;

pub use driver::{OpenBridge, Settings};
#[doc(hidden)]
pub use fuzz::fuzz_driver;
pub use packet::{MAX_LEN, Packet, parse};
pub use record::{Described, read_record};
pub use signer::Signer;
