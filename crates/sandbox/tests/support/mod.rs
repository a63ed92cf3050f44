//! A test that starts itself anew as a process in a sandbox.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use sandbox::Profile;

/// Tells the process that it is to enter the sandbox.
const INSIDE: &str = "SANDBOX_INSIDE";

/// What a process in a sandbox left.
pub(crate) struct Left {
    output: Output,
    /// What it said, last words among it.
    pub(crate) said: String,
}

/// Runs the test with this name as a process of its own, which does `prepare`, enters the sandbox, and then does
/// `act` with what was made. In that process it does not return.
pub(crate) fn inside<T>(name: &str, profile: Profile<'_>, prepare: impl Fn() -> T, act: impl Fn(T)) -> Left {
    if std::env::var_os(INSIDE).is_some() {
        sys::keep_last_words(say).unwrap();
        let made = prepare();
        say(&sandbox::enter(profile).unwrap());
        act(made);
        std::process::exit(0);
    }
    let me = std::env::current_exe().unwrap();
    let output = Command::new(me).args(["--exact", name, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Left { output, said }
}

/// Says something without a lock and without memory.
pub(crate) fn say(text: &str) {
    let _ = nix::unistd::write(std::io::stdout(), text.as_bytes());
}

impl Left {
    /// It came to its end by itself.
    pub(crate) fn assert_done(&self) {
        assert!(self.output.status.success(), "{}: {}", self.output.status, self.said);
    }

    /// A signal ended it.
    pub(crate) fn assert_ended_by(&self, signal: Signal) {
        assert_eq!(self.output.status.signal(), Some(signal as i32), "{}: {}", self.output.status, self.said);
    }

    /// It tried this system call, which ended it, and said so.
    pub(crate) fn assert_refused(&self, call: &str) {
        self.assert_ended_by(Signal::SIGSYS);
        let words = format!("({call}) is not allowed here\n  ");
        assert!(self.said.contains(&words), "{call}: {}", self.said);
    }
}
