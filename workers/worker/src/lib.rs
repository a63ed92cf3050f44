//! The stacks that come with the project, as the runtime of workers takes them: for the worker's own program, and for
//! workers of one's own that serve these stacks, too.

#![forbid(unsafe_code)]

use runtime::StackFactory;

/// Repeaters and hotspots that speak the Homebrew protocol.
#[must_use]
pub fn mmdvm() -> StackFactory {
    StackFactory {
        name: "mmdvm",
        longest: mmdvm::MAX_LEN,
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

/// Other networks, over OpenBridge. Its options have our own network ID: `{"id": 25011}`.
#[must_use]
pub fn openbridge() -> StackFactory {
    StackFactory {
        name: "openbridge",
        longest: openbridge::MAX_LEN,
        make: |options| {
            let id = options.options.get("id").and_then(serde_json::Value::as_u64);
            let network = id.and_then(|id| u32::try_from(id).ok()).ok_or("id: missing, or no network ID")?;
            let settings =
                openbridge::Settings { network, listen: options.listen.to_vec(), capacity: options.capacity };
            Ok(Box::new(openbridge::OpenBridge::new(settings)))
        },
    }
}
