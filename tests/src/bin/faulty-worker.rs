//! A worker that does what no worker should, when a test orders it: by a datagram, `FAULT` and what, or by a file in the
//! directory that `BMCTL_TEST_FAULTS` names, at its start. Else it is the worker that it stands for.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::StackFactory;
use stack::{Envelope, Frame, Input, MAX_DATAGRAM, Now, Output, Slot, Stack, Time};

/// The context whose record kills whoever reads it.
static POISON: OnceLock<u32> = OnceLock::new();
/// Begins to print. Looked at again and again: who waits for another thread in the sandbox makes a call too many.
static PRINT: AtomicBool = AtomicBool::new(false);
/// What is printed in all.
const PRINTED: usize = 1 << 30;

struct Faulty(Box<dyn Stack>);

impl Stack for Faulty {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Datagram { bytes, .. } if bytes.starts_with(b"FAULT ") => fail(&bytes[6..]),
            Input::Restore { bytes, .. } => {
                let id = mmdvm::read_record(bytes).map(|record| record.id);
                assert!(id.is_none() || id != POISON.get().copied(), "poisoned by a test");
            }
            _ => {}
        }
        self.0.handle_input(now, input);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.0.handle_timeout(now);
    }

    fn deliver(
        &mut self,
        now: Now,
        context: u16,
        slot: Slot,
        stream: u32,
        frame: &Frame,
        out: &mut [u8; MAX_DATAGRAM],
    ) -> Option<(Envelope, usize)> {
        self.0.deliver(now, context, slot, stream, frame, out)
    }

    fn warm(&self, context: u16) {
        self.0.warm(context);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.0.poll_output()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.0.poll_timeout()
    }

    fn encode_record(&self, context: u16, out: &mut [u8]) -> Option<usize> {
        self.0.encode_record(context, out)
    }
}

fn fail(how: &[u8]) {
    match how {
        b"busy" => run_in_circles(),
        b"panic" => panic!("ordered by a test"),
        b"print" => PRINT.store(true, Ordering::Relaxed),
        b"open" => drop(File::open("/etc/passwd")),
        b"connect" => drop(TcpStream::connect("127.0.0.1:9")),
        b"ptrace" => drop(nix::sys::ptrace::traceme()),
        b"exec" => drop(Command::new("/bin/true").spawn()),
        _ => {}
    }
}

#[inline(never)]
fn run_in_circles() {
    loop {
        std::hint::black_box(0);
    }
}

fn print_when_told() {
    while !PRINT.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let line = [[b'x'; 99].as_slice(), b"\n"].concat().repeat(100);
    let mut out = std::io::stdout();
    for _ in 0..PRINTED / line.len() {
        if out.write_all(&line).is_err() {
            return;
        }
    }
}

fn main() -> ExitCode {
    let faults = std::env::var_os("BMCTL_TEST_FAULTS").unwrap_or_default();
    let fault = |name: &str| Path::new(&faults).join(name);
    if fault("exit78").exists() {
        return ExitCode::from(78);
    }
    if fault("dies").exists() {
        return ExitCode::FAILURE;
    }
    if fault("never-ready").exists() {
        loop {
            std::thread::park();
        }
    }
    if let Some(id) = std::fs::read_to_string(fault("poison")).ok().and_then(|id| id.trim().parse().ok()) {
        let _ = POISON.set(id);
    }
    if fault("printer").exists() {
        std::thread::spawn(print_when_told);
    }
    let mmdvm = StackFactory {
        make: |options| Ok(Box::new(Faulty((worker::mmdvm().make)(options)?))),
        ..worker::mmdvm()
    };
    let openbridge = StackFactory {
        make: |options| Ok(Box::new(Faulty((worker::openbridge().make)(options)?))),
        ..worker::openbridge()
    };
    runtime::run(&[mmdvm, openbridge])
}
