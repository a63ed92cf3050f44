//! Repeaters that log in and say nothing: what they cost a server.

use std::time::Duration;

use sys::Clocks;

use crate::fleet::{Fleet, allow_files};
use crate::run::make_fleet;
use crate::{Error, Settings};

/// Repeaters that are logged in and silent; they say goodbye when they are dropped.
pub struct Idle {
    fleet: Fleet,
    /// How long it took until the last was logged in.
    pub login_time: Duration,
}

impl Idle {
    /// Logs in the repeaters of `settings`, whose calls are not made.
    ///
    /// # Errors
    /// Those of [`crate::run`].
    pub fn log_in(settings: &Settings) -> Result<Self, Error> {
        settings.check()?;
        allow_files(settings.repeaters)?;
        let mut fleet = make_fleet(settings, &settings.listeners())?;
        let start_us = Clocks::now().mono_us;
        fleet.log_in(0, &mut |_, _, _| {})?;
        let login_time = Duration::from_micros(Clocks::now().mono_us - start_us);
        Ok(Self { fleet, login_time })
    }

    /// Keeps them alive for so long.
    ///
    /// # Errors
    /// A system call that failed.
    pub fn serve(&mut self, time: Duration) -> Result<(), Error> {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.fleet.serve(Clocks::now().mono_us.saturating_add(us), &mut |_, _, _| {})
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.fleet.close();
    }
}
