//! The master side of the MMDVM protocol: the dialect of the Homebrew protocol that the G4KLX programs
//! (MMDVMHost, DMRGateway), DMRHost and hblink3 speak, with binary IDs, on UDP 62031.
//!
//! [`Mmdvm`] is the [`stack::Stack`] of one shard. A device logs in with `RPTL` and `RPTK` (salt and digest),
//! says what it is with `RPTC` and `RPTO`, keeps itself alive with `RPTPING`, and sends and gets bursts as
//! `DMRD`. Nothing is kept of a login until its password was found right: the salt is computed, not stored.
//!
//! It knows no passwords (the digest is handed on as an [`stack::Ask`]), routes no calls, decodes no bursts,
//! and does not speak the text form of the protocol (port 62030) nor the trunking extension (`DTC*`).

#![forbid(unsafe_code)]

mod config;
mod context;
mod described;
mod driver;
mod error;
mod fuzz;
mod options;
mod packet;
mod path;
mod pending;
mod salt;
mod statics;
mod table;
#[cfg(test)]
mod tests;

pub use config::{Config, Position};
pub use described::{Described, read_record};
pub use driver::{Mmdvm, Settings, TIMEOUT};
pub use error::Error;
#[doc(hidden)]
pub use fuzz::fuzz_driver;
pub use packet::{Dmrd, Packet, parse};
