//! What a process leaves behind when it dies by a panic or by a signal: why, then where.

use std::fmt::Write;
use std::io;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use libc::{c_int, c_void};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

use crate::names;
use crate::words::Words;

/// This file, in whose frames nobody is interested.
pub(crate) const FILE: &str = file!();
/// Room for the handler where the stack has overflowed: symbols take more than the standard library provides.
const STACK: usize = 256 * 1024;
/// Signals that end a process for a fault of its own. SIGABRT may come from outside, to one that hangs.
const FATAL: [Signal; 6] =
    [Signal::SIGABRT, Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGSYS];

type Report = Box<dyn Fn(&str) + Send + Sync>;

static REPORT: OnceLock<Report> = OnceLock::new();
/// The handler's stack. Only the kernel uses it, which who looks for lost memory cannot see.
static LAST_STACK: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
/// Last words are being made.
static SPEAKING: AtomicBool = AtomicBool::new(false);

/// From now on a panic, or a signal that ends this process for a fault of its own, hands a text of at most 1 KiB to
/// `report`: what it was, and then the same with the head of a backtrace. The signal ends the process as it had without
/// this. Nothing is printed: whoever reads standard error might not.
///
/// `report` runs in a signal handler: it must take neither memory nor locks. The backtrace does both, which is why it
/// comes second: whoever hangs over it has said the rest. Of several calls in one process the first counts.
///
/// # Errors
/// Those of sigaction(2) and sigaltstack(2).
pub fn keep_last_words(report: impl Fn(&str) + Send + Sync + 'static) -> io::Result<()> {
    if REPORT.set(Box::new(report)).is_err() {
        return Ok(());
    }
    std::panic::set_hook(Box::new(on_panic));
    let stack = Box::leak(vec![0_u8; STACK].into_boxed_slice());
    LAST_STACK.store(stack.as_mut_ptr(), Ordering::Relaxed);
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    // SAFETY: the stack was leaked, so it is there for as long as the thread, and nobody else uses it.
    let done = unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    // Not deferred: a fault in the handler ends the process by the handler, not by a signal that waits for its end.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK | SaFlags::SA_NODEFER;
    let action = SigAction::new(SigHandler::SigAction(on_signal), flags, SigSet::empty());
    for signal in FATAL {
        // SAFETY: the handler does not return. What it does that a process in any state cannot may hang or fault once
        // more, and ends the process either way.
        unsafe { sigaction(signal, &action)? };
    }
    Ok(())
}

/// Reads now what a backtrace needs of this program's file, for a process that can open none later.
pub fn warm_backtraces() {
    let mut words = Words::new();
    words.add_backtrace();
    std::hint::black_box(words.as_str());
}

fn on_panic(info: &PanicHookInfo<'_>) {
    // One who panics over his last words has said them.
    if !SPEAKING.swap(true, Ordering::Relaxed) {
        let mut words = Words::new();
        let _ = write!(words, "{info}");
        speak(&mut words);
        // It may be caught.
        SPEAKING.store(false, Ordering::Relaxed);
    }
}

fn speak(words: &mut Words) {
    let Some(report) = REPORT.get() else { return };
    report(words.as_str());
    words.add_backtrace();
    report(words.as_str());
}

extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    let speaking = SPEAKING.swap(true, Ordering::Relaxed);
    // What a panic has said says more than the SIGABRT that follows.
    if !speaking && !std::thread::panicking() {
        let mut words = Words::new();
        // SAFETY: the kernel gives a handler with SA_SIGINFO a valid siginfo_t.
        describe(&mut words, signal, unsafe { &*info });
        speak(&mut words);
    }
    die(signal);
}

/// What the kernel tells with a SIGSYS by seccomp; libc has no names for these fields.
#[repr(C)]
struct Refused {
    head: [c_int; 4],
    address: *const c_void,
    call: c_int,
    arch: u32,
}

const _: () = assert!(size_of::<Refused>() <= size_of::<libc::siginfo_t>());
const _: () = assert!(align_of::<Refused>() <= align_of::<libc::siginfo_t>());
/// `si_code` of a SIGSYS by seccomp.
const SYS_SECCOMP: c_int = 1;

fn describe(words: &mut Words, signal: c_int, info: &libc::siginfo_t) {
    let name = Signal::try_from(signal).map_or("a signal", Signal::as_str);
    let _ = match signal {
        libc::SIGSYS if info.si_code == SYS_SECCOMP => {
            let info: *const libc::siginfo_t = info;
            // SAFETY: it is large enough, aligned, and holds this where the code is SYS_SECCOMP.
            let call = unsafe { &*info.cast::<Refused>() }.call;
            let name = names::of(call.into()).unwrap_or("see ausyscall(8)");
            write!(words, "system call {call} ({name}) is not allowed here")
        }
        // Of the kernel, not sent by a process.
        libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE if info.si_code > 0 => {
            // SAFETY: the kernel gives an address with these signals where it made them itself.
            let address = unsafe { info.si_addr() };
            write!(words, "{name} at address {address:?}")
        }
        _ => write!(words, "{name}"),
    };
}

/// Ends the process as the signal had without a handler, so that its exit status tells.
fn die(signal: c_int) -> ! {
    if let Ok(signal) = Signal::try_from(signal) {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: the default action runs no code of ours.
        let _ = unsafe { sigaction(signal, &default) };
        let _ = raise(signal);
    }
    // SAFETY: ends the process without running anything of it.
    unsafe { libc::_exit(70) }
}
