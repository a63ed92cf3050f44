//! Sessions: one transmission each, from first burst to end.

use serde::{Deserialize, Serialize};
use stack::{CallType, ContextKey, Frame, Slot, Time};

use crate::io::SessionReport;

/// Bursts of a stream this long after its terminator are its late ones.
pub(crate) const LATE: std::time::Duration = std::time::Duration::from_secs(1);

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

/// A receiver of a session.
pub(crate) type Route = (ContextKey, Slot);

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) origin: Origin,
    /// ID of the context whence it comes; 0 where a sibling knows.
    pub(crate) context: u32,
    pub(crate) slot: Slot,
    pub(crate) source: u32,
    pub(crate) destination: u32,
    pub(crate) call: CallType,
    pub(crate) voice: bool,
    pub(crate) bursts: u32,
    pub(crate) last: Time,
    pub(crate) routes: Vec<Route>,
    /// The group of a group call, and its version when the routes were made.
    pub(crate) group: Option<u32>,
    pub(crate) version: u32,
    /// When a slot that was kept for another talkgroup gets free: the routes are made again then.
    pub(crate) recheck: Option<Time>,
}

impl Session {
    pub(crate) fn report(&self) -> SessionReport {
        SessionReport {
            session: self.id,
            context: self.context,
            slot: self.slot,
            source: self.source,
            destination: self.destination,
            call: self.call,
            voice: self.voice,
            bursts: self.bursts,
        }
    }

    /// The burst says the same of who calls whom.
    pub(crate) fn matches(&self, frame: &Frame) -> bool {
        (self.source, self.destination, self.call) == (frame.source, frame.destination, frame.call)
    }

    pub(crate) fn is_voice(frame: &Frame) -> bool {
        use dmr::{BurstKind, DataType};
        matches!(
            frame.kind,
            BurstKind::Voice(_)
                | BurstKind::Data(DataType::VOICE_HEADER | DataType::TERMINATOR | DataType::PI_HEADER)
        )
    }
}

/// All sessions that this worker takes part in, by a small number each.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    all: Vec<Option<Session>>,
    free: Vec<u16>,
    /// Route lists of ended sessions, so that a call allocates only while the worker warms up.
    spare: Vec<Vec<Route>>,
    /// How many began at a context here.
    local: usize,
}

impl Sessions {
    /// Adds one; `None` where there is no number left.
    pub(crate) fn insert(&mut self, mut session: Session) -> Option<u16> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u16::try_from(self.all.len()).ok()?;
                self.all.push(None);
                index
            }
        };
        session.routes = self.spare.pop().unwrap_or_default();
        self.local += usize::from(matches!(session.origin, Origin::Local { .. }));
        self.all[usize::from(index)] = Some(session);
        Some(index)
    }

    pub(crate) fn get(&self, index: u16) -> Option<&Session> {
        self.all.get(usize::from(index))?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: u16) -> Option<&mut Session> {
        self.all.get_mut(usize::from(index))?.as_mut()
    }

    /// Takes one out. Its routes are to be given back by [`Self::recycle`].
    pub(crate) fn remove(&mut self, index: u16) -> Option<Session> {
        let session = self.all.get_mut(usize::from(index))?.take()?;
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
