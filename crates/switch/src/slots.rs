//! The state of one timeslot of a context: who talks on it, who is heard on it, whom it is kept for.

use stack::Time;

use crate::{HANG_TIME, session};

#[derive(Debug, Default)]
pub(crate) struct SlotState {
    /// Session that comes in by radio.
    pub(crate) incoming: Option<u16>,
    /// Session that goes out to the radios.
    pub(crate) outgoing: Option<u16>,
    /// Talkgroup for which the slot is kept, and until when.
    hang: Option<(u32, Time)>,
    /// Stream that ended last, and when: its late bursts begin no new session.
    ended: Option<(u32, Time)>,
}

/// Whether a session may go out on a slot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// It may.
    Free,
    /// Another call is on it: its end makes the routes again.
    Busy,
    /// It is kept for another talkgroup until then.
    Kept(Time),
}

impl SlotState {
    pub(crate) fn grant(&self, session: u16, talkgroup: u32, now: Time) -> Grant {
        if self.outgoing == Some(session) {
            return Grant::Free;
        }
        if self.incoming.is_some() || self.outgoing.is_some() {
            return Grant::Busy;
        }
        match self.hang {
            Some((kept, until)) if kept != talkgroup && now < until => Grant::Kept(until),
            _ => Grant::Free,
        }
    }

    /// A call for `talkgroup` has ended on the slot.
    pub(crate) fn release(&mut self, talkgroup: u32, now: Time) {
        self.hang = Some((talkgroup, now + HANG_TIME));
    }

    /// The stream that came in has ended.
    pub(crate) fn end_stream(&mut self, stream: u32, now: Time) {
        self.ended = Some((stream, now));
    }

    /// A burst of `stream` comes after its terminator.
    pub(crate) fn is_late(&self, stream: u32, now: Time) -> bool {
        self.ended.is_some_and(|(ended, at)| ended == stream && now.since(at) < session::LATE)
    }
}
