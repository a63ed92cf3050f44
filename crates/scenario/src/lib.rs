//! Scenarios of calls: who keys what when, and who must hear what, each in a small file that an operator can
//! read (`tests/scenarios`; the language is in `docs/scenarios.md`).
//!
//! [`read_all`] reads them, [`play`] plays one on a [`World`], and [`judge`] holds what was heard against it.
//! Worlds are elsewhere: two switches in simulated time in the tests of `switch`, real processes in those of
//! `tests`. Nothing here does I/O but for reading the files; nothing here routes a call.

#![forbid(unsafe_code)]

mod data;
mod expected;
mod expects;
mod form;
mod heard;
mod judge;
mod model;
mod play;
mod read;
mod setup;
mod steps;
mod voice;
mod words;
mod world;

pub use expected::{Count, Dropped, Expect, Hears, Mark, Moment, Parts, Reason, What, Who};
pub use judge::judge;
pub use model::{Action, Data, Device, How, Lists, Order, Radio, Rules, Scenario, Step, Talker, Target};
pub use play::{Played, play};
pub use read::read_all;
pub use words::{BURST_TIME, Error};
pub use world::{Heard, Refusal, Told, World};

#[cfg(test)]
mod tests;
