//! What runs a scenario, and what it tells of it.

use std::time::Duration;

use stack::{Frame, Slot};

use crate::expected::Reason;
use crate::model::Order;

/// A master with devices: a simulated one or real processes. Time is that since the beginning; it never goes
/// back.
pub trait World {
    /// Lets everything happen until then.
    fn run_until(&mut self, at: Duration);

    /// A device sends a burst, now.
    fn send(&mut self, device: usize, slot: Slot, stream: u32, frame: &Frame);

    /// An operator steps in, now.
    fn order(&mut self, order: Order);

    /// A device says goodbye.
    fn leave(&mut self, device: usize);

    /// A device logs in again, at this worker.
    fn come_back(&mut self, device: usize, worker: usize);

    /// A device asks for these static talkgroups.
    fn set_statics(&mut self, device: usize, statics: &[Vec<u32>; 2]);

    /// Whether a device is subscribed to a talkgroup on a slot. A real world may take a while to become as
    /// `wished`; it is given that while.
    fn is_subscribed(&mut self, device: usize, slot: Slot, talkgroup: u32, wished: bool) -> bool;

    /// What it has to tell, once all is over.
    fn told(&mut self) -> Told;
}

/// A burst that a device was given.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When.
    pub at: Duration,
    /// The device.
    pub device: usize,
    /// The slot.
    pub slot: Slot,
    /// What marks the bursts of one call.
    pub stream: u32,
    /// The burst.
    pub frame: Frame,
}

/// A call that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: Duration,
    /// The session: the same words for the same session.
    pub session: String,
    /// The radio that called.
    pub radio: u32,
    /// Why.
    pub reason: Reason,
}

/// What a world has to tell.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// All that was heard.
    pub heard: Vec<Heard>,
    /// All that was refused.
    pub refused: Vec<Refusal>,
    /// Who said which alias.
    pub aliases: Vec<(u32, String)>,
    /// How many bursts were dropped: late, duplicate, too fast, data busy.
    pub dropped: [u32; 4],
}
