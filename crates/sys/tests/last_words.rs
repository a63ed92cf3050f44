//! What is left of a process that dies: each test starts itself anew as the process that does.

#![allow(clippy::unwrap_used, reason = "a failed test is to stop")]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use nix::sys::signal::{Signal, raise};

/// Tells the process that is to die so.
const DIES: &str = "SYS_DIES";

/// Runs the test with this name as a process that does `harm`, and returns how that ended; in that process it does not
/// return.
fn process(name: &str, harm: fn()) -> Output {
    if std::env::var_os(DIES).is_some() {
        let say = |text: &str| {
            let _ = nix::unistd::write(std::io::stdout(), text.as_bytes());
        };
        sys::keep_last_words(say).unwrap();
        sys::warm_backtraces();
        harm();
        std::process::exit(0);
    }
    let me = std::env::current_exe().unwrap();
    Command::new(me).args(["--exact", name, "--nocapture"]).env(DIES, "1").output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[inline(never)]
fn abort() {
    std::process::abort();
}

#[test]
fn an_abort_says_where() {
    let output = process("an_abort_says_where", abort);
    assert_eq!(output.status.signal(), Some(Signal::SIGABRT as i32), "{output:?}");
    let said = said(&output);
    let place = format!("abort last_words.rs:{}", line!() - 8);
    assert!(said.contains("SIGABRT\n  ") && said.contains(&place), "{place}: {said}");
    assert!(!said.contains("sys/src/") && !said.contains("/rustc/"), "{said}");
}

#[test]
fn a_fault_says_at_which_address() {
    let output = process("a_fault_says_at_which_address", || {
        // SAFETY: there is none. That is what is tested.
        let value = unsafe { std::ptr::without_provenance::<u8>(16).read_volatile() };
        std::hint::black_box(value);
    });
    assert_eq!(output.status.signal(), Some(Signal::SIGSEGV as i32), "{output:?}");
    assert!(said(&output).contains("SIGSEGV at address 0x10"), "{output:?}");
}

#[test]
fn a_signal_from_elsewhere_has_no_address() {
    let output = process("a_signal_from_elsewhere_has_no_address", || raise(Signal::SIGBUS).unwrap());
    assert_eq!(output.status.signal(), Some(Signal::SIGBUS as i32), "{output:?}");
    assert!(said(&output).contains("SIGBUS\n  "), "{output:?}");
}

#[expect(unconditional_recursion, reason = "that is what is tested")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth) + 1)) + depth
}

#[test]
fn a_stack_that_overflows_has_last_words_and_few() {
    let output = process("a_stack_that_overflows_has_last_words_and_few", || {
        recurse(0);
    });
    assert_eq!(output.status.signal(), Some(Signal::SIGSEGV as i32), "{output:?}");
    let said = said(&output);
    assert!(said.contains("SIGSEGV at address 0x") && said.contains("\n  recurse"), "{said}");
}

#[test]
fn a_panic_says_what_it_was_and_then_where() {
    let output = process("a_panic_says_what_it_was_and_then_where", || {
        let _ = std::panic::catch_unwind(|| panic!("over"));
        // What follows, where nothing catches it.
        std::process::exit(7);
    });
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let said = said(&output);
    // Once the message alone, and once with the backtrace.
    assert_eq!(said.matches(":\nover").count(), 2, "{said}");
    assert!(said.rsplit(":\nover").next().unwrap().contains("last_words.rs:"), "{said}");
}

/// What the end of a process that panics looks like, where nothing may be caught.
struct Aborts;

impl Drop for Aborts {
    fn drop(&mut self) {
        std::process::abort();
    }
}

#[test]
fn the_abort_that_follows_a_panic_does_not_talk_over_it() {
    let output = process("the_abort_that_follows_a_panic_does_not_talk_over_it", || {
        let _aborts = Aborts;
        panic!("over");
    });
    assert_eq!(output.status.signal(), Some(Signal::SIGABRT as i32), "{output:?}");
    let said = said(&output);
    assert!(said.contains(":\nover\n  ") && !said.contains("SIGABRT"), "{said}");
}
