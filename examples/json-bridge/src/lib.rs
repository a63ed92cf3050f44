//! Calls to and from JSON, one object a datagram, for dashboards, recorders and scripts on the same machine. `message.rs` has
//! the form of the datagrams, `bridge.rs` who is there and what becomes of them.
//!
//! It speaks with loopback only: the token and the bursts go in clear.

#![forbid(unsafe_code)]

mod bridge;
mod message;
#[cfg(test)]
mod tests;

pub use bridge::Bridge;
use runtime::{StackFactory, StackOptions};
use serde_json::Value;

/// The longest datagram to a client, in bytes.
pub const MAX_LEN: usize = 320;

/// The stack, as the runtime of workers takes it.
#[must_use]
pub fn factory() -> StackFactory {
    StackFactory { name: "json", longest: MAX_LEN, make }
}

fn make(options: &StackOptions<'_>) -> Result<Box<dyn stack::Stack>, String> {
    let token = options.options.get("token").and_then(Value::as_str).filter(|token| token.len() >= 8);
    let token =
        token.ok_or("options.token: missing, or less than 8 characters; write e.g. token = \"...\"")?;
    Ok(Box::new(Bridge::new(token, options.capacity)))
}
