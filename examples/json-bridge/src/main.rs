//! The worker of the JSON bridge: what `program` names in the configuration.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::run(&[json_bridge::factory()])
}
