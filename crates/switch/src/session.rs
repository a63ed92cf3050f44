//! Sessions: one transmission each, from first burst to end.

use std::time::Duration;

use dmr::{Air, BurstKind, DataType};
use serde::{Deserialize, Serialize};
use stack::{CallType, ContextKey, Frame, Slot, Time};

use crate::io::{Kind, SessionReport};
use crate::sequence::Sequence;
use crate::timers::Alarm;
use crate::voice::Voice;
use crate::{LOCAL, PARROT, STREAM_TIMEOUT, TERMINATOR, UNLINK};

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

impl Origin {
    /// The context here that it comes from.
    pub(crate) fn context(self) -> Option<ContextKey> {
        match self {
            Self::Local { context, .. } => Some(context),
            Self::Remote | Self::Parrot => None,
        }
    }

    pub(crate) fn is_local(self) -> bool {
        matches!(self, Self::Local { .. })
    }
}

/// Who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) source: u32,
    pub(crate) destination: u32,
    pub(crate) to: CallType,
    pub(crate) kind: Kind,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// It goes to a talkgroup's subscribers.
    Talkgroup,
    /// It goes to where the radio is.
    Radio,
    /// It is said again.
    Parrot,
    /// It ends the slot's dynamic talkgroups.
    Unlink,
    /// It concerns nobody but those who hear it anyway.
    Local,
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

    pub(crate) fn is_voice(self) -> bool {
        self.kind == Kind::Voice
    }

    pub(crate) fn target(self) -> Target {
        match (self.destination, self.to) {
            (PARROT, _) => Target::Parrot,
            (UNLINK, _) => Target::Unlink,
            (LOCAL, CallType::Group) => Target::Local,
            (_, CallType::Group) => Target::Talkgroup,
            (_, CallType::Private) => Target::Radio,
        }
    }

    /// The same radio calls the same target in the same way.
    pub(crate) fn is_same(self, other: Self) -> bool {
        (self.source, self.destination, self.to, self.is_voice())
            == (other.source, other.destination, other.to, other.is_voice())
    }
}

/// A slot of a context.
pub(crate) type Member = (ContextKey, Slot);

/// A receiver of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) to: Member,
    pub(crate) air: Air,
    /// It was given a header, so it hears what follows.
    pub(crate) is_open: bool,
}

/// Whether a session is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has not been decided yet.
    New,
    /// To its routes, and to siblings.
    Carried,
    /// Nowhere, since it concerns only those who hear it anyway.
    Local,
    /// Another talks on its talkgroup: it is carried when that one ends.
    Waiting,
    /// Nowhere, for good.
    Refused,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) origin: Origin,
    /// ID of the context whence it comes; 0 where a sibling knows.
    pub(crate) context: u32,
    pub(crate) slot: Slot,
    pub(crate) call: Call,
    pub(crate) standing: Standing,
    pub(crate) bursts: u32,
    /// Sequence number of the last burst that went out.
    pub(crate) number: u8,
    /// It was heard before this worker had it: its listeners hear on, without a header.
    pub(crate) is_resumed: bool,
    /// The first burst of a private call, until it is known where the radio is.
    pub(crate) held: Option<Frame>,
    pub(crate) begun: Time,
    pub(crate) last: Time,
    /// How long it may be silent.
    pub(crate) patience: Duration,
    pub(crate) sequence: Sequence,
    pub(crate) voice: Voice,
    /// Each is a slot that has this session as its outgoing one.
    pub(crate) routes: Vec<Route>,
    /// The group of a call to a talkgroup.
    pub(crate) group: Option<u32>,
    /// Where the radio of a private call is.
    pub(crate) callee: Option<Member>,
    /// The group's version when the routes were made; `None` where they were not made yet.
    pub(crate) version: Option<u32>,
    /// When a slot that was kept for another call gets free: the routes are made again then.
    pub(crate) recheck: Option<Time>,
}

impl Session {
    /// A session of which nothing has come yet, with the service options of its LC.
    pub(crate) fn new(id: SessionId, origin: Origin, slot: Slot, call: Call, options: u8, now: Time) -> Self {
        Self {
            id,
            origin,
            context: 0,
            slot,
            call,
            standing: Standing::New,
            bursts: 0,
            number: 0,
            is_resumed: false,
            held: None,
            begun: now,
            last: now,
            patience: STREAM_TIMEOUT,
            sequence: Sequence::default(),
            voice: Voice::new(call, options),
            routes: Vec::new(),
            group: None,
            callee: None,
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
            emergency: self.call.is_voice() && self.voice.lc.service_options().emergency(),
            bursts: self.bursts,
        }
    }

    /// It began here and wants to be heard on its talkgroup.
    pub(crate) fn contends(&self) -> bool {
        self.origin.is_local() && self.call.is_voice()
    }

    /// A burst from its context and slot is of this session: it says the same of who calls whom. Voice has the
    /// same stream ID too; data has a new one with each CSBK and with its header.
    pub(crate) fn is_of(&self, stream: u32, call: Call, kind: BurstKind) -> bool {
        let Origin::Local { stream: own, .. } = self.origin else { return false };
        let Call { source, destination, to, .. } = self.call;
        (source, destination, to) == (call.source, call.destination, call.to)
            && match self.call.kind {
                Kind::Voice => own == stream,
                Kind::Data | Kind::Control => !call.is_voice() || own == stream && kind == TERMINATOR,
            }
    }

    /// One more burst of a data call, maybe under another stream ID.
    pub(crate) fn go_on_with_data(&mut self, stream: u32, kind: Kind) {
        if let Origin::Local { stream: own, .. } = &mut self.origin
            && *own != stream
        {
            *own = stream;
            self.sequence = Sequence::default();
        }
        if kind == Kind::Data {
            self.call.kind = kind;
        }
    }

    /// When it has been silent for too long.
    pub(crate) fn times_out(&self) -> Time {
        self.last + self.patience
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
        self.local += usize::from(session.origin.is_local());
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
        self.local -= usize::from(session.origin.is_local());
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
        let local = self.iter().filter(|(_, session)| session.origin.is_local()).count();
        assert_eq!(running + self.free.len(), self.all.len(), "a number is lost or given twice");
        assert!(self.spare.len() <= self.all.len(), "route lists pile up");
        assert_eq!(local, self.local);
        for (place, session) in self.all.iter().filter_map(|place| Some((place, place.session.as_ref()?))) {
            let ends_by_itself = matches!(session.origin, Origin::Parrot);
            let timeout = session.times_out();
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
