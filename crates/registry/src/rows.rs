//! The rows of the spaces, with what is valid in each.

mod ban;
mod device;
mod heard;
mod node;
mod peer;
mod profile;
mod value;

pub use ban::{Ban, By, MAX_REASON};
pub use device::base_id;
pub use device::{
    Device, DeviceRow, MAX_CALL, MAX_ID, MAX_STATICS, MAX_TALKGROUP, MAX_TIMED, SubscriptionsRow,
};
pub(crate) use heard::HeardRow;
pub use node::{MAX_NODE, Node, OverriddenNode, Transport};
pub use peer::{PeerRow, Range};
pub use profile::{Profile, Talkgroup};
pub use value::StoredValue;

/// Checks a text for people: at most so many characters, none of control.
fn check_text(field: &str, text: &str, most: usize) -> Result<(), String> {
    if text.chars().count() > most || text.chars().any(char::is_control) {
        return Err(format!("{field}: at most {most} characters, on one line"));
    }
    Ok(())
}

/// Checks a radio's or device's ID.
fn check_id(id: u32) -> Result<(), String> {
    if (1..=MAX_ID).contains(&id) { Ok(()) } else { Err(format!("an ID is a number from 1 to {MAX_ID}")) }
}
