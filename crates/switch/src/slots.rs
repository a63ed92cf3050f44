//! The state of one timeslot of a context: who talks on it, who is heard on it, whom it is kept for.

use std::time::Duration;

use stack::{CallType, Time};

use crate::call::Call;
use crate::session::SessionId;

/// Bursts of a stream this long after its end are its late ones.
const LATE: Duration = Duration::from_secs(1);
/// A header this long after the end that counts as before it is late, too.
const LATE_HEADER: Duration = Duration::from_millis(200);
/// How many bursts may come at once where the rate is limited: what waits in a socket while a worker that hangs is
/// replaced. For longer than these take, 6 s, nobody waits for a call.
const MAX_AT_ONCE: u64 = 100;
/// Calls on a talkgroup end one after the other: of those taken off, few can run still.
const MAX_DEAF: usize = 4;
const SECOND_US: u64 = 1_000_000;

#[derive(Debug, Default)]
pub(crate) struct SlotState {
    /// Session that comes in by radio.
    pub(crate) incoming: Option<u16>,
    /// Session that goes out to the radios.
    pub(crate) outgoing: Option<u16>,
    /// A call that may go out on it found it taken or kept.
    pub(crate) has_turned_away: bool,
    /// The private call among them.
    pub(crate) awaited_by: Option<u16>,
    /// The last sessions that an operator took off the slot, at most [`MAX_DEAF`]: they do not come back.
    deaf_to: Vec<SessionId>,
    /// Whom the slot is kept for, and until when.
    hang: Option<(Kept, Time)>,
    ended: Option<EndedStream>,
    /// The rate limit: a burst costs its time in this account.
    paid_until: Time,
}

/// The stream that ended last on a slot: its late bursts begin no new session.
#[derive(Clone, Copy, Debug)]
struct EndedStream {
    stream: u32,
    call: Call,
    at: Time,
    /// Sequence number of its last burst.
    sequence: u8,
    /// It was cut off: all that comes of it without a pause is late.
    is_cut: bool,
}

/// For whom a slot is kept after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Calls to a talkgroup.
    Talkgroup(u32),
    /// Private calls between these two, in either direction.
    Radios([u32; 2]),
}

impl Kept {
    /// For whom a slot is kept after this call.
    pub(crate) fn after(call: Call) -> Self {
        match call.to {
            CallType::Group => Self::Talkgroup(call.destination),
            CallType::Private => {
                let (a, b) = (call.source, call.destination);
                Self::Radios([a.min(b), a.max(b)])
            }
        }
    }
}

/// Whether a session may go out on a slot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// It may.
    Free,
    /// Another call is on it.
    Busy,
    /// It is kept for another call until then.
    Kept(Time),
}

impl SlotState {
    /// Whether a session that is not on the slot yet may go out on it.
    pub(crate) fn grant(&self, session: SessionId, call: Call, now: Time) -> Grant {
        if self.is_deaf_to(session) {
            return Grant::Busy;
        }
        self.grant_new(call, now)
    }

    /// Whether a session that has just begun may go out on the slot.
    pub(crate) fn grant_new(&self, call: Call, now: Time) -> Grant {
        if self.incoming.is_some() || self.outgoing.is_some() {
            return Grant::Busy;
        }
        match self.hang {
            Some((kept, until)) if kept != Kept::after(call) && now < until => Grant::Kept(until),
            _ => Grant::Free,
        }
    }

    /// An operator did not want to hear this session here.
    pub(crate) fn is_deaf_to(&self, session: SessionId) -> bool {
        self.deaf_to.contains(&session)
    }

    /// An operator does not want to hear this session here.
    pub(crate) fn be_deaf_to(&mut self, session: SessionId) {
        if self.deaf_to.len() == MAX_DEAF {
            self.deaf_to.remove(0);
        }
        self.deaf_to.push(session);
    }

    /// A call has ended on the slot.
    pub(crate) fn keep(&mut self, kept: Kept, until: Time) {
        self.hang = Some((kept, until));
    }

    /// The stream that came in is over: what still comes of it is late. `is_cut`: it goes on, but is not heard.
    pub(crate) fn end_stream(&mut self, stream: u32, call: Call, at: Time, sequence: u8, is_cut: bool) {
        self.ended = Some(EndedStream { stream, call, at, sequence, is_cut });
    }

    /// A burst of `stream` comes after its end. The call is compared too: some senders use one stream ID for
    /// all their calls.
    pub(crate) fn is_late(&mut self, stream: u32, call: Call, now: Time) -> bool {
        let Some(ended) = &mut self.ended else { return false };
        let is_late = (ended.stream, ended.call) == (stream, call) && now.since(ended.at) < LATE;
        if is_late && ended.is_cut {
            ended.at = now;
        }
        is_late
    }

    /// A header of `stream` is one of the call that has ended: it came twice, or late.
    pub(crate) fn is_late_header(&self, stream: u32, call: Call, sequence: u8, now: Time) -> bool {
        self.ended.is_some_and(|ended| {
            let is_before = ended.sequence.wrapping_sub(sequence) < 0x80;
            (ended.stream, ended.call) == (stream, call) && is_before && now.since(ended.at) < LATE_HEADER
        })
    }

    /// Whether one more burst is within `rate` bursts a second.
    pub(crate) fn admit(&mut self, rate: u16, now: Time) -> bool {
        let Some(cost) = SECOND_US.checked_div(rate.into()) else { return true };
        let paid_until = self.paid_until.max(now);
        if paid_until.0 - now.0 > cost * (MAX_AT_ONCE - 1) {
            return false;
        }
        self.paid_until = Time(paid_until.0.saturating_add(cost));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waited_for_seconds_at_once_and_then_the_rate() {
        let mut slot = SlotState::default();
        let now = Time(5_000_000);
        let admitted = |slot: &mut SlotState, now| (0..200).filter(|_| slot.admit(25, now)).count();
        assert_eq!(admitted(&mut slot, now), 100);
        assert_eq!(admitted(&mut slot, now + Duration::from_millis(39)), 0);
        assert_eq!(admitted(&mut slot, now + Duration::from_millis(40)), 1);
        assert_eq!(admitted(&mut slot, now + Duration::from_millis(4040)), 100);
        // The air's own rate goes on for ever.
        for n in 0..1000 {
            assert!(slot.admit(25, now + Duration::from_secs(5) + Duration::from_millis(60) * n));
        }
        assert_eq!((0..1000).filter(|_| slot.admit(0, now)).count(), 1000);
    }

    #[test]
    fn a_private_call_keeps_the_slot_for_its_answer() {
        let call = |source, destination, to| Call { source, destination, to, kind: crate::Kind::Voice };
        let ask = Kept::after(call(7, 9, CallType::Private));
        assert_eq!(ask, Kept::after(call(9, 7, CallType::Private)));
        assert_ne!(ask, Kept::after(call(9, 8, CallType::Private)));
        assert_eq!(Kept::after(call(7, 9, CallType::Group)), Kept::after(call(8, 9, CallType::Group)));
    }
}
