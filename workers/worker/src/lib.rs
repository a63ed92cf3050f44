//! The stacks that come with the project, as the runtime of workers takes them: for the worker's own program, and for
//! workers of one's own that serve these stacks, too.

#![forbid(unsafe_code)]

use runtime::StackFactory;

/// Repeaters and hotspots that speak the Homebrew protocol.
#[must_use]
pub fn mmdvm() -> StackFactory {
    StackFactory {
        name: "mmdvm",
        make: |options| {
            Ok(Box::new(mmdvm::Mmdvm::new(mmdvm::Settings {
                salt_key: options.salt_key,
                capacity: options.capacity,
                devices: options.devices.clone(),
                call_signs: options.call_signs.clone(),
            })))
        },
    }
}
