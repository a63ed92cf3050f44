//! Protection against radios that do what they should not: bans, key-ups again and again, calls that come back
//! another way.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashMap;
use stack::{LinkType, Now, Time};

use crate::call::{Call, Target};
use crate::io::{Output, Refused};
use crate::session::{Session, SessionId, Standing};
use crate::{BLOCK_TIME, Switch};

/// Voice calls shorter than this are looked at.
const SHORT: Duration = Duration::from_secs(2);
/// So many of them are tolerated within [`WITHIN`].
const TOLERATED: usize = 5;
const WITHIN: Duration = Duration::from_secs(60);
/// Radios whose short calls are remembered.
const MAX_RADIOS: usize = 4096;
/// How long a call is under way that comes back another way, at most, in microseconds.
const LOOP_US: u64 = 2_000_000;
/// How long after its end a call may come back another way.
const ECHO: Duration = Duration::from_secs(1);
/// Ended calls that are remembered.
const MAX_ENDED: usize = 256;

/// A call that has ended, and the ID of the context where it came in: 0 for one of another worker.
#[derive(Debug)]
struct PastCall {
    id: SessionId,
    call: Call,
    context: u32,
    is_far: bool,
    at: Time,
}

/// What is remembered of radios.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Until when each is banned, milliseconds since 1970.
    bans: FxHashMap<u32, u64>,
    /// The ends of each one's last short calls at a context, oldest first, by radio and context ID.
    short: FxHashMap<(u32, u32), [Time; TOLERATED]>,
    ended: VecDeque<PastCall>,
}

impl Default for Guard {
    fn default() -> Self {
        let (bans, short) = (FxHashMap::default(), FxHashMap::default());
        Self { bans, short, ended: VecDeque::with_capacity(MAX_ENDED) }
    }
}

impl Guard {
    pub(crate) fn ban(&mut self, radio: u32, until_ms: u64, now: Now) {
        let now_ms = now.wall_us / 1000;
        if self.bans.len() == self.bans.capacity() {
            self.bans.retain(|_, until| *until > now_ms);
        }
        if until_ms > now_ms {
            self.bans.insert(radio, until_ms);
        } else {
            self.bans.remove(&radio);
            self.short.retain(|(other, _), _| *other != radio);
        }
    }

    fn is_banned(&self, radio: u32, now: Now) -> bool {
        self.bans.get(&radio).is_some_and(|&until_ms| until_ms > now.wall_us / 1000)
    }

    /// A voice call of a radio at a context has ended that was this long. True where it was one short call too many.
    fn keyed_up(&mut self, radio: u32, context: u32, length: Duration, now: Time) -> bool {
        if length >= SHORT {
            return false;
        }
        if self.short.len() >= MAX_RADIOS && !self.short.contains_key(&(radio, context)) {
            self.short.retain(|_, ends| now.since(ends[TOLERATED - 1]) < WITHIN);
            if self.short.len() >= MAX_RADIOS {
                return false;
            }
        }
        let ends = self.short.entry((radio, context)).or_default();
        let first = ends[0];
        ends.rotate_left(1);
        ends[TOLERATED - 1] = now;
        first != Time::default() && now.since(first) < WITHIN
    }

    fn note_end(&mut self, ended: PastCall) {
        if self.ended.len() >= MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(ended);
    }

    /// Calls that have just ended and came in at another context than this session.
    fn past_calls(&self, session: &Session, now: Time) -> impl Iterator<Item = Original> {
        let recent = self.ended.iter().rev().take_while(move |ended| now.since(ended.at) < ECHO);
        let (call, context, key) = (session.call, session.context, session.id.key);
        let is_other = move |ended: &&PastCall| ended.context != context && ended.id.key != key;
        recent
            .filter(is_other)
            .filter(move |ended| ended.call.is_same(call))
            .map(|ended| Original { id: ended.id, is_far: ended.is_far })
    }
}

/// A call that another one may be a copy of.
struct Original {
    id: SessionId,
    is_far: bool,
}

/// A session that began so soon after another one of the same call is its copy, which came back another way.
pub(crate) fn is_copy(session: SessionId, original: SessionId) -> bool {
    session.begun_us().saturating_sub(original.begun_us()) < LOOP_US
}

impl Switch {
    /// Why a session that begins at a context here is refused, if it is.
    pub(crate) fn objection(&self, now: Now, session: &Session) -> Option<Refused> {
        let call = session.call;
        let context = self.contexts.get(session.origin.context()?)?;
        let to_talkgroup = call.target() == Target::Talkgroup;
        // What is special here is another network's own affair there.
        let is_special = !to_talkgroup && call.target() != Target::Radio;
        if is_special && context.profile.link == LinkType::Network {
            return Some(Refused::Denied);
        }
        if self.guard.is_banned(call.source, now) {
            return Some(Refused::Banned);
        }
        let permits = |talkgroup| self.settings.talkgroups.permits(talkgroup);
        if !self.settings.radios.permits(call.source) || to_talkgroup && !permits(call.destination) {
            return Some(Refused::Denied);
        }
        if to_talkgroup && context.profile.blocked.contains(&call.destination) {
            return Some(Refused::Blocked);
        }
        if self.is_unwanted_privacy(session) {
            return Some(Refused::Encrypted);
        }
        self.is_copy(now, session).then_some(Refused::Loop)
    }

    /// It is encrypted, and such calls are not carried.
    pub(crate) fn is_unwanted_privacy(&self, session: &Session) -> bool {
        session.call.is_voice() && session.voice.is_encrypted && !self.settings.encrypted
    }

    /// The same call runs already, or has just ended, and came in at another context: where it is a copy, it ends
    /// soon after the call itself.
    pub(crate) fn is_echo(&self, now: Now, session: &Session) -> bool {
        self.originals(now, session).next().is_some()
    }

    /// It began so soon after such a call that it is a copy of it, from its beginning. How long after one of another host
    /// no clock tells: where that of the host is ahead, a call that begins here later has its time, too.
    fn is_copy(&self, now: Now, session: &Session) -> bool {
        self.originals(now, session).any(|original| !original.is_far && is_copy(session.id, original.id))
    }

    fn originals(&self, now: Now, session: &Session) -> impl Iterator<Item = Original> {
        let may_be_copied = matches!(session.call.target(), Target::Talkgroup | Target::Radio);
        let (id, call, context) = (session.id, session.call, session.context);
        let running = self.sessions.iter().map(|(_, other)| other).filter(move |other| {
            let is_heard = other.standing != Standing::Refused && !other.is_echo;
            // Other legs of a trunk are the same place.
            let is_elsewhere = other.context != context;
            // One that has been silent for longer may have ended where it came in.
            let is_there = now.mono.since(other.falls_silent()) < ECHO;
            is_heard && is_there && is_elsewhere && other.call.is_same(call) && other.id < id
        });
        let past = self.guard.past_calls(session, now.mono);
        let original = |other: &Session| Original { id: other.id, is_far: other.is_far() };
        running.map(original).chain(past).filter(move |_| may_be_copied)
    }

    /// A call has ended that was carried.
    pub(crate) fn note_end(&mut self, now: Now, session: &Session) {
        self.guard.note_end(PastCall {
            id: session.id,
            call: session.call,
            context: session.context,
            is_far: session.is_far(),
            at: now.mono,
        });
    }

    /// A voice call from a context here was carried and has ended as its talker said: were there too many short
    /// ones? What is lost on the way, or refused, or comes in elsewhere too, is no key-up.
    pub(crate) fn count_key_up(&mut self, now: Now, session: &Session) {
        let length = session.last.since(session.begun);
        let (radio, context) = (session.call.source, session.context);
        if self.guard.keyed_up(radio, context, length, now.mono) && !self.guard.is_banned(radio, now) {
            let until_ms = now.after(BLOCK_TIME).wall_us / 1000;
            self.guard.ban(radio, until_ms, now);
            self.out(Output::Blocked { radio, context, time: BLOCK_TIME });
        }
    }
}
