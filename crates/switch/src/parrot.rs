//! The parrot: a call to it is kept and said again to the context whence it came.

use std::time::Duration;

use rustc_hash::FxHashMap;
use stack::{CallType, ContextKey, Frame, Now, Slot, Time};

use crate::io::{Ended, Output};
use crate::session::{Origin, Session, SessionId};
use crate::slots::Grant;
use crate::{PARROT, Switch};

/// From the end of a call to its answer.
const PAUSE: Duration = Duration::from_millis(1000);
/// One burst of a slot (ETSI TS 102 361-1 section 4.2.1).
const BURST_TIME: Duration = Duration::from_millis(60);
/// Two minutes: what is over is not kept.
const MAX_BURSTS: usize = 2000;
/// Calls that it listens to or answers at once; more are not kept.
const MAX_CALLS: usize = 64;

#[derive(Debug)]
struct Recording {
    context: ContextKey,
    context_id: u32,
    slot: Slot,
    bursts: Vec<Frame>,
}

#[derive(Debug)]
struct Answer {
    recording: Recording,
    /// When the next burst is due.
    due: Time,
    next: usize,
    /// The session that carries it, once it has begun.
    session: Option<(u16, SessionId)>,
}

/// What the parrot hears and says.
#[derive(Debug, Default)]
pub(crate) struct Parrot {
    listening: FxHashMap<u16, Recording>,
    answers: Vec<Answer>,
}

impl Parrot {
    /// The session is for the parrot.
    pub(crate) fn listen(&mut self, session: u16, context: ContextKey, context_id: u32, slot: Slot) {
        if self.listening.len() + self.answers.len() < MAX_CALLS {
            self.listening.insert(session, Recording { context, context_id, slot, bursts: Vec::new() });
        }
    }

    /// A burst of a session that may be for the parrot.
    pub(crate) fn hear(&mut self, session: u16, frame: &Frame) {
        if let Some(recording) = self.listening.get_mut(&session)
            && recording.bursts.len() < MAX_BURSTS
        {
            recording.bursts.push(*frame);
        }
    }

    /// A session has ended; where it was for the parrot, says when the answer begins.
    pub(crate) fn finish(&mut self, session: u16, now: Time) -> Option<Time> {
        let recording = self.listening.remove(&session)?;
        let due = now + PAUSE;
        self.answers.push(Answer { recording, due, next: 0, session: None });
        Some(due)
    }
}

impl Switch {
    /// Says what is due.
    pub(crate) fn play(&mut self, now: Now) {
        let mut answers = std::mem::take(&mut self.parrot.answers);
        answers.retain_mut(|answer| self.play_one(now, answer));
        self.parrot.answers.append(&mut answers);
        let next = self.parrot.answers.iter().map(|answer| answer.due).min();
        if let Some(at) = next {
            self.wake_parrot_at(at);
        }
    }

    /// False where the answer is over.
    fn play_one(&mut self, now: Now, answer: &mut Answer) -> bool {
        while answer.due <= now.mono {
            let session = match answer.session {
                Some(session) => session,
                None => match self.begin_answer(now, &answer.recording) {
                    Some(session) => *answer.session.insert(session),
                    None => return false,
                },
            };
            let (index, id) = session;
            let heard = self.sessions.get(index).is_some_and(|s| s.id == id && !s.routes.is_empty());
            let Some(burst) = answer.recording.bursts.get(answer.next).filter(|_| heard) else {
                if self.sessions.get(index).is_some_and(|s| s.id == id) {
                    self.end(now, index, Ended::Terminator);
                }
                return false;
            };
            let frame = said_by_the_parrot(burst, answer.next);
            let (context, slot) = (answer.recording.context, answer.recording.slot);
            self.out(Output::Deliver { context, slot, stream: id.stream(), frame });
            answer.next += 1;
            answer.due = answer.due + BURST_TIME;
        }
        true
    }

    /// Takes the slot for an answer; `None` where the context is gone or the slot is not free.
    fn begin_answer(&mut self, now: Now, recording: &Recording) -> Option<(u16, SessionId)> {
        let first = recording.bursts.first()?;
        let id = self.next_id(now);
        let context = self.contexts.get_mut(recording.context)?;
        let state = &mut context.slots[recording.slot.index()];
        if context.profile.id != recording.context_id
            || state.grant(u16::MAX, PARROT, now.mono) != Grant::Free
        {
            return None;
        }
        let index = self.sessions.insert(Session {
            id,
            origin: Origin::Parrot,
            context: 0,
            slot: recording.slot,
            source: PARROT,
            destination: first.destination,
            call: first.call,
            voice: true,
            bursts: 0,
            last: now.mono,
            routes: Vec::new(),
            group: None,
            version: 0,
            recheck: None,
        })?;
        self.contexts.get_mut(recording.context)?.slots[recording.slot.index()].outgoing = Some(index);
        self.sessions.get_mut(index)?.routes.push((recording.context, recording.slot));
        Some((index, id))
    }
}

/// A burst as the parrot says it: it is the talker, and a private call goes back to the caller.
fn said_by_the_parrot(burst: &Frame, number: usize) -> Frame {
    let destination = match burst.call {
        CallType::Group => burst.destination,
        CallType::Private => burst.source,
    };
    let sequence = u8::try_from(number % 256).unwrap_or(0);
    Frame { source: PARROT, destination, sequence, ..*burst }
}
