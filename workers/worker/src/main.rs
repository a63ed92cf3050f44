//! The worker with the stacks that come with the project.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use runtime::StackFactory;

fn main() -> ExitCode {
    let mmdvm = StackFactory {
        name: "mmdvm",
        make: |options| {
            let settings = mmdvm::Settings { salt_key: options.salt_key, capacity: options.capacity };
            Box::new(mmdvm::Mmdvm::new(settings))
        },
    };
    runtime::run(&[mmdvm])
}
