//! The state of one timeslot of a context: who talks on it, who is heard on it, whom it is kept for.

use std::time::Duration;

use stack::Time;

use crate::session::Call;

/// Bursts of a stream this long after its end are its late ones.
const LATE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct SlotState {
    /// Session that comes in by radio.
    pub(crate) incoming: Option<u16>,
    /// Session that goes out to the radios.
    pub(crate) outgoing: Option<u16>,
    /// Talkgroup for which the slot is kept, and until when.
    hang: Option<(u32, Time)>,
    /// Stream and call that ended last, and when: late bursts begin no new session.
    ended: Option<(u32, Call, Time)>,
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
    /// Whether a session for `talkgroup` that is not on the slot yet may go out on it.
    pub(crate) fn grant(&self, talkgroup: u32, now: Time) -> Grant {
        if self.incoming.is_some() || self.outgoing.is_some() {
            return Grant::Busy;
        }
        match self.hang {
            Some((kept, until)) if kept != talkgroup && now < until => Grant::Kept(until),
            _ => Grant::Free,
        }
    }

    /// A call for `talkgroup` has ended on the slot.
    pub(crate) fn keep(&mut self, talkgroup: u32, until: Time) {
        self.hang = Some((talkgroup, until));
    }

    /// The stream that came in is over: what still comes of it is late.
    pub(crate) fn end_stream(&mut self, stream: u32, call: Call, now: Time) {
        self.ended = Some((stream, call, now));
    }

    /// A burst of `stream` comes after its end. The call is compared too: some senders use one stream ID for
    /// all their calls.
    pub(crate) fn is_late(&self, stream: u32, call: Call, now: Time) -> bool {
        self.ended.is_some_and(|(ended, what, at)| (ended, what) == (stream, call) && now.since(at) < LATE)
    }
}
