//! The worker with the stacks that come with the project.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use runtime::StackFactory;

fn main() -> ExitCode {
    let mmdvm = StackFactory {
        name: "mmdvm",
        make: |options| {
            Box::new(mmdvm::Mmdvm::new(mmdvm::Settings {
                salt_key: options.salt_key,
                capacity: options.capacity,
                devices: options.devices.clone(),
                call_signs: options.call_signs.clone(),
            }))
        },
    };
    runtime::run(&[mmdvm])
}
