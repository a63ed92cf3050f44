//! A stack of a third party: sends each datagram back, with what its options say before it. By a datagram a test can have it run
//! in circles, or do what its sandbox does not allow.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use runtime::{StackFactory, StackOptions};
use stack::{Datagram, Envelope, Frame, Input, MAX_DATAGRAM, Now, Output, Slot, Stack, Time};

struct Echo {
    prefix: String,
    answers: Vec<Datagram>,
}

impl Echo {
    fn answer(&mut self, envelope: Envelope, bytes: &[u8]) {
        let room = MAX_DATAGRAM.saturating_sub(self.prefix.len());
        let parts: [&[u8]; 2] = [self.prefix.as_bytes(), &bytes[..bytes.len().min(room)]];
        self.answers.push(Datagram::new(envelope, &parts));
    }
}

impl Stack for Echo {
    fn handle_input(&mut self, _: Now, input: Input<'_>) {
        let Input::Datagram { listener, from, local, bytes } = input else { return };
        match bytes {
            b"busy" => loop {
                std::hint::black_box(0);
            },
            b"open" => drop(std::fs::File::open("/etc/passwd")),
            _ => self.answer(Envelope { listener, local, to: from }, bytes),
        }
    }

    fn handle_timeout(&mut self, _: Now) {}

    fn deliver(
        &mut self,
        _: Now,
        _: u16,
        _: Slot,
        _: u32,
        _: &Frame,
        _: &mut [u8; MAX_DATAGRAM],
    ) -> Option<(Envelope, usize)> {
        None
    }

    fn warm(&self, _: u16) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.answers.pop().map(Output::Send)
    }

    fn poll_timeout(&self) -> Option<Time> {
        None
    }

    fn encode_record(&self, _: u16, _: &mut [u8]) -> Option<usize> {
        None
    }
}

fn make(options: &StackOptions<'_>) -> Result<Box<dyn Stack>, String> {
    let prefix = options.options.get("prefix").and_then(|prefix| prefix.as_str());
    let prefix = prefix.ok_or("options.prefix: missing, or no text; write e.g. prefix = \"> \"")?;
    Ok(Box::new(Echo { prefix: prefix.to_owned(), answers: Vec::new() }))
}

fn main() -> ExitCode {
    runtime::run(&[StackFactory { name: "echo", longest: MAX_DATAGRAM, make }])
}
