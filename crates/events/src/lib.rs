//! What happened, as the outside sees it: events and their JSON, with BrandMeister's topics and keys where it
//! has them, so that its listeners can read them.
//!
//! Only types and their text: nothing here queues, sends or decides.

#![forbid(unsafe_code)]

mod event;
mod reason;
mod record;
mod session;
mod status;

pub use event::Event;
pub use reason::{RefuseReason, StopReason};
pub use record::{Record, utc};
pub use session::{LinkType, MMDVM_HOST, OPENBRIDGE, Session, SessionKind, SessionState, session_type};
pub use status::{NodeState, NodeStatus};
