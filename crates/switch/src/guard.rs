//! Protection against radios that do what they should not: bans, key-ups again and again, calls that come back
//! another way.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashMap;
use stack::{ContextKey, Now, Time};

use crate::call::{Call, Target};
use crate::io::{Output, Refused};
use crate::session::{Session, Standing};
use crate::{BLOCK_TIME, Switch};

/// Voice calls shorter than this are looked at.
const SHORT: Duration = Duration::from_secs(2);
/// So many of them are tolerated within [`WITHIN`].
const TOLERATED: usize = 5;
const WITHIN: Duration = Duration::from_secs(60);
/// Radios whose short calls are remembered.
const MAX_RADIOS: usize = 4096;
/// How long after its end a call may come back another way.
const ECHO: Duration = Duration::from_secs(1);
/// Ended calls that are remembered.
const MAX_ENDED: usize = 256;

/// A call that has ended, and where it came in: `None` for another worker.
#[derive(Debug)]
struct Ended {
    call: Call,
    context: Option<ContextKey>,
    at: Time,
}

/// What is remembered of radios.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Until when each is banned, milliseconds since 1970.
    bans: FxHashMap<u32, u64>,
    /// The ends of each one's last short calls, oldest first.
    short: FxHashMap<u32, [Time; TOLERATED]>,
    ended: VecDeque<Ended>,
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
            self.short.remove(&radio);
        }
    }

    fn is_banned(&self, radio: u32, now: Now) -> bool {
        self.bans.get(&radio).is_some_and(|&until_ms| until_ms > now.wall_us / 1000)
    }

    /// A voice call of a radio has ended that was this long. True where it was one short call too many.
    fn keyed_up(&mut self, radio: u32, length: Duration, now: Time) -> bool {
        if length >= SHORT {
            return false;
        }
        if self.short.len() >= MAX_RADIOS && !self.short.contains_key(&radio) {
            self.short.retain(|_, ends| now.since(ends[TOLERATED - 1]) < WITHIN);
            if self.short.len() >= MAX_RADIOS {
                return false;
            }
        }
        let ends = self.short.entry(radio).or_default();
        let first = ends[0];
        ends.rotate_left(1);
        ends[TOLERATED - 1] = now;
        first != Time::default() && now.since(first) < WITHIN
    }

    fn note_end(&mut self, ended: Ended) {
        if self.ended.len() >= MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(ended);
    }

    /// Whether the same call has just ended that came in elsewhere.
    fn has_just_ended(&self, call: Call, context: Option<ContextKey>, now: Time) -> bool {
        let recent = self.ended.iter().rev().take_while(|ended| now.since(ended.at) < ECHO);
        recent.into_iter().any(|ended| ended.call.is_same(call) && ended.context != context)
    }
}

impl Switch {
    /// Why a session that begins at a context here is refused, if it is.
    pub(crate) fn objection(&self, now: Now, session: &Session) -> Option<Refused> {
        let call = session.call;
        let context = self.contexts.get(session.origin.context()?)?;
        let to_talkgroup = call.target() == Target::Talkgroup;
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
        self.is_echo(now, session).then_some(Refused::Loop)
    }

    /// It is encrypted, and such calls are not carried.
    pub(crate) fn is_unwanted_privacy(&self, session: &Session) -> bool {
        session.call.is_voice() && session.voice.is_encrypted && !self.settings.encrypted
    }

    /// The same call runs already, or has just ended, and came in elsewhere.
    fn is_echo(&self, now: Now, session: &Session) -> bool {
        if !matches!(session.call.target(), Target::Talkgroup | Target::Radio) {
            return false;
        }
        let context = session.origin.context();
        let runs = self.sessions.iter().any(|(_, other)| {
            let is_elsewhere = other.standing != Standing::Refused && other.origin.context() != context;
            is_elsewhere && other.call.is_same(session.call) && other.id < session.id
        });
        runs || self.guard.has_just_ended(session.call, context, now.mono)
    }

    /// A call has ended that was carried.
    pub(crate) fn note_end(&mut self, now: Now, session: &Session) {
        let (call, context) = (session.call, session.origin.context());
        self.guard.note_end(Ended { call, context, at: now.mono });
    }

    /// A voice call from a context here has ended: were there too many short ones?
    pub(crate) fn count_key_up(&mut self, now: Now, session: &Session) {
        let length = session.last.since(session.begun);
        let radio = session.call.source;
        if self.guard.keyed_up(radio, length, now.mono) && !self.guard.is_banned(radio, now) {
            let until_ms = now.after(BLOCK_TIME).wall_us / 1000;
            self.guard.ban(radio, until_ms, now);
            self.out(Output::Blocked { radio, time: BLOCK_TIME });
        }
    }
}
