//! The worker with the stacks that come with the project.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::run(&[worker::mmdvm(), worker::openbridge()])
}
