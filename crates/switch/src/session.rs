//! Sessions: one transmission each, from first burst to end.

use std::time::Duration;

use dmr::{Air, BurstKind};
use serde::{Deserialize, Serialize};
use stack::{ContextKey, Frame, Slot, Time};

use crate::call::Call;
use crate::io::{Kind, SessionReport};
use crate::sequence::Sequence;
use crate::voice::Voice;
use crate::{FAR, FAR_TIMEOUT, SIBLING_TIMEOUT, STREAM_TIMEOUT, TERMINATOR};

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
    /// When it began by the wall clock, microseconds since 1970.
    pub(crate) fn begun_us(self) -> u64 {
        self.key >> 12
    }

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
    /// A sibling worker, or another host.
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

    pub(crate) fn is_remote(self) -> bool {
        matches!(self, Self::Remote)
    }

    pub(crate) fn is_local(self) -> bool {
        matches!(self, Self::Local { .. })
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
    /// The number that the talkgroup has there, where it is another one.
    pub(crate) renamed: Option<u32>,
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
    /// The sibling that its last burst came from, if one did; [`FAR`] where that came from another host.
    pub(crate) peer: Option<u8>,
    /// ID of the context whence it comes; 0 where another worker knows.
    pub(crate) context: u32,
    pub(crate) slot: Slot,
    pub(crate) call: Call,
    pub(crate) standing: Standing,
    pub(crate) bursts: u32,
    /// Sequence number of the last burst that went out.
    pub(crate) number: u8,
    /// It was decided what becomes of it. False for what goes on from another worker, until its next burst.
    pub(crate) is_placed: bool,
    /// It waits since it is a call that runs already, come back another way.
    pub(crate) is_echo: bool,
    /// The outside was told that it waits, and not yet that it is carried.
    pub(crate) is_told_to_wait: bool,
    /// Where the radio of a private call was for the worker that had it before: context ID and slot.
    pub(crate) hint: Option<(u32, Slot)>,
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
    /// It counts as one that contends for its group.
    pub(crate) contends: bool,
    /// Where the radio of a private call is.
    pub(crate) callee: Option<Member>,
}

impl Session {
    /// A session of which nothing has come yet, with the service options of its LC.
    pub(crate) fn new(id: SessionId, origin: Origin, slot: Slot, call: Call, options: u8, now: Time) -> Self {
        Self {
            id,
            origin,
            peer: None,
            context: 0,
            slot,
            call,
            standing: Standing::New,
            bursts: 0,
            number: 0,
            is_placed: true,
            is_echo: false,
            is_told_to_wait: false,
            hint: None,
            held: None,
            begun: now,
            last: now,
            patience: STREAM_TIMEOUT,
            sequence: Sequence::default(),
            voice: Voice::new(call, options),
            routes: Vec::new(),
            group: None,
            contends: false,
            callee: None,
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

    /// A burst from its context and slot is of this session: it says the same of who calls whom. Voice has the
    /// same stream ID too; data has a new one with each CSBK and with its header.
    pub(crate) fn is_of(&self, stream: u32, call: Call, kind: BurstKind) -> bool {
        let Origin::Local { stream: own, .. } = self.origin else { return false };
        let Call { source, destination, to, .. } = self.call;
        (source, destination, to) == (call.source, call.destination, call.to)
            && match self.call.kind {
                Kind::Voice => call.is_voice() && own == stream,
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

    /// It began at another host.
    pub(crate) fn is_far(&self) -> bool {
        self.peer == Some(FAR)
    }

    /// When it has been silent for so long that nobody need wait for it.
    pub(crate) fn falls_silent(&self) -> Time {
        self.last + self.patience
    }

    /// When it has been silent for too long.
    pub(crate) fn times_out(&self) -> Time {
        match self.origin {
            // Nobody says that data has ended.
            Origin::Remote if self.call.is_voice() => {
                self.last + if self.is_far() { FAR_TIMEOUT } else { SIBLING_TIMEOUT }
            }
            _ => self.falls_silent(),
        }
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
