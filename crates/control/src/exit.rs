//! The exit codes of `bmctl`.

use std::process::ExitCode;

/// How `bmctl` ends; scripts may rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It did not work; standard error says why.
    Failure = 1,
    /// The command line cannot be.
    Usage = 2,
    /// No cluster runs in this runtime directory.
    NotRunning = 3,
    /// A cluster runs in this runtime directory already.
    AlreadyRunning = 4,
    /// The cluster runs, but some part of it is not ready.
    Degraded = 5,
    /// No answer in time.
    TimedOut = 6,
    /// The configuration cannot be (`EX_CONFIG` of sysexits.h).
    BadConfiguration = 78,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
