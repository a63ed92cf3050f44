//! The master side of the Homebrew protocol in its two dialects: the binary one that the G4KLX programs
//! (MMDVMHost, DMRGateway), DMRHost and hblink3 speak, on UDP 62031, and the text form of the specification of
//! 2015, on UDP 62030. Both are understood on every socket: a device is answered in the one it logs in with.
//!
//! [`Mmdvm`] is the [`stack::Stack`] of one shard. A device logs in with `RPTL` and `RPTK` (salt and digest),
//! says what it is with `RPTC` and `RPTO`, keeps itself alive with `RPTPING`, and sends and gets bursts as
//! `DMRD`. Nothing is kept of a login until its password was found right: the salt is computed, not stored.
//!
//! It knows no passwords (the digest is handed on as an [`stack::Ask`]), routes no calls, decodes no bursts,
//! and does not speak the trunking extension (`DTC*`) nor that for sleeping telephones (`RPTIDLE`, `RPTWAKE`).

#![forbid(unsafe_code)]

mod admission;
mod answer;
mod config;
mod context;
mod described;
mod device;
mod dmrd;
mod driver;
mod error;
mod fuzz;
mod options;
mod packet;
mod path;
mod pending;
mod rules;
mod salt;
mod statics;
mod table;
#[cfg(test)]
mod tests;
mod text;

pub use config::{Config, Fields, Position};
pub use described::{Described, read_record};
pub use dmrd::{Dmrd, MAX_LEN, write as write_dmrd};
pub use driver::{Mmdvm, Settings, TIMEOUT};
pub use error::Error;
#[doc(hidden)]
pub use fuzz::fuzz_driver;
pub use packet::{Packet, parse};
pub use path::Dialect;
