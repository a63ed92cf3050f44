//! The switch itself: takes inputs and gives outputs. What it does with them is in `subscriptions`, `calls`,
//! `routes` and `parrot`.

use std::collections::VecDeque;

use stack::{ContextKey, Now, Time};

use crate::Settings;
use crate::contexts::Contexts;
use crate::groups::Groups;
use crate::guard::Guard;
use crate::io::{Ended, Input, Output};
use crate::parrot::Parrot;
use crate::record::write_record;
use crate::session::{Origin, SessionId};
use crate::sessions::Sessions;
use crate::timers::{Timer, Timers};
use crate::trunks::Trunks;

/// Sessions of other workers that began by so many microseconds later than now, at most, are taken at their word.
const MAX_LEAD_US: u64 = 10 * 60 * 1_000_000;
/// At most so much is added to the key of such a session: a quarter of a millisecond.
const LEAP: u64 = 0xF_FFFF;

/// Call control of one worker.
#[derive(Debug)]
pub struct Switch {
    pub(crate) node: u32,
    /// The nodes of this host; none where there is no other host.
    pub(crate) near: Vec<u32>,
    pub(crate) settings: Settings,
    pub(crate) contexts: Contexts,
    pub(crate) groups: Groups,
    pub(crate) trunks: Trunks,
    pub(crate) sessions: Sessions,
    /// Sessions of siblings, by the sibling's number and the session's number there.
    pub(crate) remote: Vec<Vec<u16>>,
    pub(crate) parrot: Parrot,
    pub(crate) guard: Guard,
    pub(crate) timers: Timers,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) last_key: u64,
}

impl Switch {
    /// The switch of the node with this ID.
    #[must_use]
    pub fn new(node: u32, settings: Settings) -> Self {
        Self {
            node,
            near: Vec::new(),
            settings,
            contexts: Contexts::default(),
            groups: Groups::default(),
            trunks: Trunks::default(),
            sessions: Sessions::default(),
            remote: Vec::new(),
            parrot: Parrot::default(),
            guard: Guard::default(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            last_key: 0,
        }
    }

    /// There are other hosts; this one has these nodes, or may have them.
    pub fn set_host(&mut self, nodes: Vec<u32>) {
        self.near = nodes;
    }

    /// Takes in what happened.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Up { context, profile } => self.up(now, context, profile),
            Input::Down(context) => self.down(now, context),
            Input::Frame { context, slot, stream, frame } => self.frame(now, context, slot, stream, frame),
            Input::Remote { peer, node, forward } => {
                self.remote_frame(now, peer & 0x7f, node, forward);
            }
            Input::Moved { peer, node, forward } => self.moved_frame(now, peer & 0x7f, node, forward),
            Input::Leave(shard) => self.leave(now, shard),
            Input::Restore { context, bytes } => self.restore(now, context, bytes),
            Input::Located { index, session, place } => self.located(now, index, session, place),
            Input::Ban { radio, until_ms } => self.ban(now, radio, until_ms),
            Input::DropCall { id, slot } => self.drop_call(now, id, slot),
            Input::DropDynamic { id, slot } => {
                if let Some(key) = self.contexts.of(id) {
                    let slot = self.contexts.mapped(key, slot);
                    self.unlink(now, key, slot);
                }
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((at, timer)) = self.timers.pop(now.mono) {
            match timer {
                Timer::Session(index) => {
                    if self.sessions.silence(index).is_some_and(|alarm| alarm.rings(at)) {
                        self.check_silence(now, index);
                    }
                }
                Timer::Hang(context, slot) => {
                    if self.contexts.hang(context, slot).is_some_and(|alarm| alarm.rings(at)) {
                        self.offer(now, context, slot);
                    }
                }
                Timer::Dynamic(context) => {
                    if self.contexts.expiry(context).is_some_and(|alarm| alarm.rings(at)) {
                        self.expire(now, context);
                    }
                }
                Timer::Parrot => {
                    if self.parrot.alarm.rings(at) {
                        self.play(now);
                    }
                }
            }
        }
    }

    /// What is to be done next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The contexts that bursts are about to go to.
    pub fn receivers(&self) -> impl Iterator<Item = ContextKey> {
        self.outputs.iter().filter_map(|output| match output {
            Output::Deliver { context, .. } => Some(*context),
            _ => None,
        })
    }

    /// When [`Self::handle_timeout`] is to be called, at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Writes the record of a context into `out` and returns its length; `None` where there is nothing to
    /// write down.
    #[must_use]
    pub fn encode_record(&self, context: ContextKey, out: &mut [u8]) -> Option<usize> {
        write_record(self.contexts.get(context)?, &self.contexts, &self.sessions, out)
    }

    /// Whether a context with this ID is here.
    #[must_use]
    pub fn is_here(&self, id: u32) -> bool {
        self.contexts.of(id).is_some()
    }

    /// How many contexts there are, without those of single calls.
    #[must_use]
    pub fn contexts(&self) -> usize {
        self.contexts.len()
    }

    /// How many sessions run that began at a context here.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.local()
    }

    pub(crate) fn out(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// A session of another worker was met: whoever begins here from now on has begun after it, though the clock of its host
    /// may be ahead of ours. Far ahead, it is wrong, and no reason for ours to be wrong, too.
    pub(crate) fn begin_after(&mut self, now: Now, id: SessionId) {
        let begun_us = id.begun_us();
        if id.key <= self.last_key || begun_us > now.wall_us.saturating_add(MAX_LEAD_US) {
            return;
        }
        // A worker that is replaced forgets how far it was ahead, and the next one may meet the same session again: what is
        // added keeps the two from giving a key twice.
        let leap = if begun_us < now.wall_us { 0 } else { now.wall_us & LEAP };
        self.last_key = id.key.saturating_add(leap);
    }

    /// A new session's ID. Keys only grow, whatever the wall clock does.
    pub(crate) fn next_id(&mut self, now: Now) -> SessionId {
        self.last_key = self.last_key.wrapping_add(1).max(now.wall_us << 12);
        SessionId { key: self.last_key, node: self.node }
    }

    fn check_silence(&mut self, now: Now, index: u16) {
        let Some(session) = self.sessions.get(index) else { return };
        // The parrot ends its own.
        if session.origin == Origin::Parrot {
            return;
        }
        if session.times_out() <= now.mono {
            self.end(now, index, Ended::Timeout);
        } else {
            self.watch(index);
        }
    }

    /// Sets the timer for the silence of a session.
    pub(crate) fn watch(&mut self, index: u16) {
        let Some(session) = self.sessions.get(index) else { return };
        let at = session.times_out();
        if let Some(alarm) = self.sessions.silence(index) {
            self.timers.set(alarm, at, Timer::Session(index));
        }
    }
}
