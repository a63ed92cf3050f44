//! The rules that an operator can set.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stack::Access;

/// The rules of a switch; the same for all workers of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How long a slot is kept after a call for its talkgroup, or for the answer of a private call.
    pub hang_time: Duration,
    /// How long a talkgroup stays subscribed after it was last keyed.
    pub dynamic_time: Duration,
    /// The longest call: what is over is cut off. `None` for no limit.
    pub call_timeout: Option<Duration>,
    /// Bursts a second that a stream may have in the long run; 0 for no limit. The air carries 16.7.
    pub max_burst_rate: u16,
    /// Whether encrypted calls are carried.
    pub encrypted: bool,
    /// Which radios may call.
    pub radios: Access,
    /// Which talkgroups may be called.
    pub talkgroups: Access,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hang_time: Duration::from_secs(3),
            dynamic_time: Duration::from_secs(15 * 60),
            call_timeout: Some(Duration::from_secs(180)),
            max_burst_rate: 25,
            encrypted: false,
            radios: Access::default(),
            talkgroups: Access::default(),
        }
    }
}
