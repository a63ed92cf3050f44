//! Sessions: one transmission each, from first burst to end.

use dmr::{BurstKind, DataType};
use serde::{Deserialize, Serialize};
use stack::{CallType, ContextKey, Frame, Slot, Time};

use crate::PARROT;
use crate::io::{Kind, SessionReport};
use crate::timers::Alarm;

/// A session, unique over all nodes and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId {
    /// Its start in microseconds since 1970, times 4096, plus a count: unique at its node. Earlier sessions
    /// have smaller keys, so that two nodes can tell which of two sessions was first.
    pub key: u64,
    /// The node where it began.
    pub node: u32,
}

impl SessionId {
    /// As a UUID (RFC 9562 version 8).
    #[must_use]
    pub fn uuid(self) -> u128 {
        let high = (self.key >> 16) << 16 | 0x8000 | (self.key >> 4 & 0xfff);
        let low = 2 << 62 | (self.key & 0xf) << 58 | u64::from(self.node);
        u128::from(high) << 64 | u128::from(low)
    }

    /// A stream ID for protocols that have 32 bits for it.
    #[must_use]
    pub fn stream(self) -> u32 {
        let mixed = (self.key ^ u64::from(self.node) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as u32
    }
}

/// Whence a session comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A context here, under the sender's stream ID.
    Local { context: ContextKey, slot: Slot, stream: u32 },
    /// A sibling worker.
    Remote,
    /// The parrot.
    Parrot,
}

/// Who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) source: u32,
    pub(crate) destination: u32,
    pub(crate) to: CallType,
    pub(crate) kind: Kind,
}

impl Call {
    pub(crate) fn of(frame: &Frame) -> Self {
        let kind = match frame.kind {
            BurstKind::Voice(_)
            | BurstKind::Data(DataType::VOICE_HEADER | DataType::TERMINATOR | DataType::PI_HEADER) => {
                Kind::Voice
            }
            BurstKind::Data(DataType::CSBK | DataType::MBC_HEADER | DataType::MBC_CONTINUATION) => {
                Kind::Control
            }
            BurstKind::Data(_) => Kind::Data,
        };
        Self { source: frame.source, destination: frame.destination, to: frame.call, kind }
    }

    /// It goes to a talkgroup's subscribers.
    pub(crate) fn is_routed(self) -> bool {
        self.to == CallType::Group && self.destination != PARROT
    }
}

/// A receiver of a session.
pub(crate) type Route = (ContextKey, Slot);

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) origin: Origin,
    /// ID of the context whence it comes; 0 where a sibling knows.
    pub(crate) context: u32,
    pub(crate) slot: Slot,
    pub(crate) call: Call,
    pub(crate) bursts: u32,
    pub(crate) last: Time,
    /// Each is a subscriber of the group whose slot has this session as its outgoing one.
    pub(crate) routes: Vec<Route>,
    /// The group of a routed call.
    pub(crate) group: Option<u32>,
    /// The group's version when the routes were made; `None` where they were not made yet.
    pub(crate) version: Option<u32>,
    /// When a slot that was kept for another talkgroup gets free: the routes are made again then.
    pub(crate) recheck: Option<Time>,
}

impl Session {
    pub(crate) fn new(
        id: SessionId,
        origin: Origin,
        context: u32,
        slot: Slot,
        call: Call,
        now: Time,
    ) -> Self {
        Self {
            id,
            origin,
            context,
            slot,
            call,
            bursts: 0,
            last: now,
            routes: Vec::new(),
            group: None,
            version: None,
            recheck: None,
        }
    }

    pub(crate) fn report(&self) -> SessionReport {
        SessionReport {
            session: self.id,
            context: self.context,
            slot: self.slot,
            source: self.call.source,
            destination: self.call.destination,
            call: self.call.to,
            kind: self.call.kind,
            emergency: false,
            bursts: self.bursts,
        }
    }

    /// The burst is of this stream and says the same of who calls whom. A stream ID with another talker or
    /// talkgroup is another call: some senders always use the same.
    pub(crate) fn is_of(&self, stream: u32, frame: &Frame) -> bool {
        let Call { source, destination, to, .. } = self.call;
        matches!(self.origin, Origin::Local { stream: own, .. } if own == stream)
            && (source, destination, to) == (frame.source, frame.destination, frame.call)
    }
}

#[derive(Debug, Default)]
struct Place {
    session: Option<Session>,
    silence: Alarm,
}

/// All sessions that this worker takes part in, by a small number each.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    all: Vec<Place>,
    free: Vec<u16>,
    /// Route lists of ended sessions, so that a call allocates only while the worker warms up.
    spare: Vec<Vec<Route>>,
    /// How many began at a context here.
    local: usize,
}

impl Sessions {
    /// Adds one; `None` where there is no number left. `u16::MAX` is never given.
    pub(crate) fn insert(&mut self, mut session: Session) -> Option<u16> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u16::try_from(self.all.len()).ok().filter(|&index| index < u16::MAX)?;
                self.all.push(Place::default());
                index
            }
        };
        session.routes = self.spare.pop().unwrap_or_default();
        self.local += usize::from(matches!(session.origin, Origin::Local { .. }));
        self.all[usize::from(index)].session = Some(session);
        Some(index)
    }

    pub(crate) fn get(&self, index: u16) -> Option<&Session> {
        self.all.get(usize::from(index))?.session.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: u16) -> Option<&mut Session> {
        self.all.get_mut(usize::from(index))?.session.as_mut()
    }

    /// Looks at all of them: for the beginning of a session, not for each burst.
    pub(crate) fn find(&self, id: SessionId) -> Option<(u16, Origin)> {
        self.iter().find(|(_, session)| session.id == id).map(|(index, session)| (index, session.origin))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &Session)> {
        self.all.iter().zip(0..=u16::MAX).filter_map(|(place, index)| Some((index, place.session.as_ref()?)))
    }

    /// The alarm for the silence of the session with this number.
    pub(crate) fn silence(&mut self, index: u16) -> Option<&mut Alarm> {
        self.all.get_mut(usize::from(index)).map(|place| &mut place.silence)
    }

    /// Takes one out. Its routes are to be given back by [`Self::recycle`].
    pub(crate) fn remove(&mut self, index: u16) -> Option<Session> {
        let session = self.all.get_mut(usize::from(index))?.session.take()?;
        self.free.push(index);
        self.local -= usize::from(matches!(session.origin, Origin::Local { .. }));
        Some(session)
    }

    pub(crate) fn recycle(&mut self, mut routes: Vec<Route>) {
        routes.clear();
        self.spare.push(routes);
    }

    /// How many began at a context here.
    pub(crate) fn local(&self) -> usize {
        self.local
    }

    /// What must always be true, and how many numbers were ever given.
    #[cfg(test)]
    pub(crate) fn check(&self) -> usize {
        let running = self.iter().count();
        let local = self.iter().filter(|(_, session)| matches!(session.origin, Origin::Local { .. })).count();
        assert_eq!(running + self.free.len(), self.all.len(), "a number is lost or given twice");
        assert!(self.spare.len() <= self.all.len(), "route lists pile up");
        assert_eq!(local, self.local);
        for (place, session) in self.all.iter().filter_map(|place| Some((place, place.session.as_ref()?))) {
            let ends_by_itself = matches!(session.origin, Origin::Parrot);
            let timeout = session.last + crate::STREAM_TIMEOUT;
            assert!(ends_by_itself || place.silence.is_set_until(timeout), "nothing ends {session:?}");
        }
        self.all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_sessions_apart_and_are_valid_uuids() {
        let id = SessionId { key: 0x1234_5678_9abc_def1, node: 25_011 };
        let uuid = id.uuid();
        assert_eq!((uuid >> 76 & 0xf, uuid >> 62 & 3), (8, 2));
        let mut seen = std::collections::BTreeSet::new();
        for key in 0..200 {
            for node in 0..50 {
                assert!(seen.insert(SessionId { key, node }.uuid()));
            }
        }
        assert_ne!(id.stream(), SessionId { key: id.key + 1, ..id }.stream());
        assert_ne!(id.stream(), SessionId { node: id.node + 1, ..id }.stream());
    }
}
