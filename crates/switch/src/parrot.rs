//! The parrot: a call to it is kept and said again to the context whence it came.

use std::time::Duration;

use dmr::{BurstKind, Flco, FullLc};
use rustc_hash::FxHashMap;
use stack::{CallType, ContextKey, Frame, Now, Slot, Time};

use crate::call::Call;
use crate::io::Ended;
use crate::session::Standing;
use crate::session::{Origin, Session, SessionId};
use crate::slots::Grant;
use crate::timers::{Alarm, Timer};
use crate::{BURST_TIME, PARROT, Switch, TERMINATOR};

/// From the end of a call to its answer.
const PAUSE: Duration = Duration::from_millis(1000);
/// Two minutes: what is over is not kept.
const MAX_BURSTS: usize = 2000;
/// Recordings that are kept for the next calls.
const MAX_SPARE: usize = 4;
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
    /// What carries it, once it has begun.
    said: Option<Said>,
}

/// An answer that is being said.
#[derive(Clone, Copy, Debug)]
struct Said {
    session: u16,
    id: SessionId,
    call: Call,
    lc: FullLc,
    /// The LC in its embedded form.
    fragments: [u32; 4],
}

impl Said {
    /// A burst of the recording as the parrot says it.
    fn frame(&self, burst: &Frame, number: usize) -> Frame {
        let sequence = u8::try_from(number % 256).unwrap_or(0);
        let Call { source, destination, .. } = self.call;
        let mut frame = Frame { source, destination, sequence, ..*burst };
        dmr::rewrite_burst(frame.kind, &mut frame.burst, &self.fragments, &self.lc);
        frame
    }
}

/// What the parrot hears and says.
#[derive(Debug, Default)]
pub(crate) struct Parrot {
    listening: FxHashMap<u16, Recording>,
    answers: Vec<Answer>,
    /// What was used and can be used again.
    spare: Vec<Vec<Frame>>,
    /// For the next burst of all answers.
    pub(crate) alarm: Alarm,
}

impl Parrot {
    /// The session is for the parrot.
    pub(crate) fn listen(&mut self, session: u16, context: ContextKey, context_id: u32, slot: Slot) {
        if self.listening.len() + self.answers.len() < MAX_CALLS {
            let bursts = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(MAX_BURSTS));
            self.listening.insert(session, Recording { context, context_id, slot, bursts });
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

    /// A session is not for the parrot after all.
    pub(crate) fn forget(&mut self, session: u16) {
        if let Some(recording) = self.listening.remove(&session) {
            self.recycle(recording.bursts);
        }
    }

    fn recycle(&mut self, mut bursts: Vec<Frame>) {
        if self.spare.len() < MAX_SPARE {
            bursts.clear();
            self.spare.push(bursts);
        }
    }

    /// A session has ended, with its last burst at `last`. Where it was for the parrot, its answer takes the
    /// place of one to the same slot that has not begun.
    fn finish(&mut self, session: u16, last: Time) {
        let recording = self.listening.remove(&session);
        // A call that goes on after its worker died may have ended since.
        let Some(recording) = recording.filter(|recording| !recording.bursts.is_empty()) else { return };
        let whither = |recording: &Recording| (recording.context, recording.slot);
        self.answers.retain(|other| other.said.is_some() || whither(&other.recording) != whither(&recording));
        self.answers.push(Answer { recording, due: last + PAUSE, next: 0, said: None });
    }

    /// What must always be true; the sessions that it listens to and those that it has made.
    #[cfg(test)]
    pub(crate) fn check(&self) -> (Vec<u16>, Vec<u16>) {
        assert!(self.listening.len() + self.answers.len() <= MAX_CALLS);
        for answer in &self.answers {
            assert!(self.alarm.is_set_until(answer.due), "an answer that nothing begins");
            assert!(!answer.recording.bursts.is_empty() && answer.recording.bursts.len() <= MAX_BURSTS);
        }
        let said = self.answers.iter().filter_map(|answer| Some(answer.said?.session));
        (self.listening.keys().copied().collect(), said.collect())
    }
}

impl Switch {
    /// A session has ended that may have been for the parrot.
    pub(crate) fn finish_recording(&mut self, session: u16, last: Time) {
        self.parrot.finish(session, last);
        self.wake_parrot();
    }

    fn wake_parrot(&mut self) {
        if let Some(at) = self.parrot.answers.iter().map(|answer| answer.due).min() {
            self.timers.set(&mut self.parrot.alarm, at, Timer::Parrot);
        }
    }

    /// Says what is due.
    pub(crate) fn play(&mut self, now: Now) {
        let mut answers = std::mem::take(&mut self.parrot.answers);
        answers.retain_mut(|answer| {
            let goes_on = self.play_one(now, answer);
            if !goes_on {
                self.parrot.recycle(std::mem::take(&mut answer.recording.bursts));
            }
            goes_on
        });
        self.parrot.answers = answers;
        self.wake_parrot();
    }

    /// False where the answer is over.
    fn play_one(&mut self, now: Now, answer: &mut Answer) -> bool {
        while answer.due <= now.mono {
            let said = match answer.said {
                Some(said) => said,
                None => match self.begin_answer(now, &answer.recording) {
                    Some(said) => *answer.said.insert(said),
                    None => return false,
                },
            };
            let Some(session) = self.sessions.get(said.session).filter(|session| session.id == said.id)
            else {
                return false;
            };
            // A call on its slot has taken the route away.
            let is_heard = !session.routes.is_empty();
            let Some(burst) = answer.recording.bursts.get(answer.next).filter(|_| is_heard) else {
                self.end(now, said.session, Ended::Timeout);
                return false;
            };
            let frame = said.frame(burst, answer.next);
            self.deliver(said.session, &frame);
            if frame.kind == TERMINATOR {
                // At once: who keys up next ends nothing twice.
                self.end(now, said.session, Ended::Terminator);
                return false;
            }
            answer.next += 1;
            answer.due = answer.due + BURST_TIME;
        }
        true
    }

    /// Takes the slot for an answer; `None` where the context is gone or the slot is not free.
    fn begin_answer(&mut self, now: Now, recording: &Recording) -> Option<Said> {
        let Recording { context: key, slot, .. } = *recording;
        let heard = Call::of(recording.bursts.first()?);
        let context = self.contexts.get(key).filter(|context| context.profile.id == recording.context_id)?;
        // The parrot is the talker, and a private call goes back to the caller.
        let destination = match heard.to {
            CallType::Group => PARROT,
            CallType::Private => heard.source,
        };
        let call = Call { source: PARROT, destination, ..heard };
        let state = &context.slots[slot.index()];
        if state.grant_new(call, now.mono) != Grant::Free {
            return None;
        }
        let id = self.next_id(now);
        let lc = lc_of(&recording.bursts, heard.to).with_source(PARROT).with_destination(destination);
        let mut session = Session::new(id, Origin::Parrot, slot, call, 0, now.mono);
        (session.standing, session.voice.lc) = (Standing::Carried, lc);
        let session = self.sessions.insert(session)?;
        self.route_only(session, (key, slot), false);
        Some(Said { session, id, call, lc, fragments: lc.to_embedded() })
    }
}

/// The LC of a recorded call, for the service options in it; a plain one where none can be read.
fn lc_of(bursts: &[Frame], to: CallType) -> FullLc {
    let (flco, plain) = match to {
        CallType::Group => (Flco::Group, FullLc::group(0, 0)),
        CallType::Private => (Flco::Private, FullLc::private(0, 0)),
    };
    let read = |frame: &Frame| match frame.kind {
        BurstKind::Data(data_type) => FullLc::from_burst(&frame.burst, data_type),
        BurstKind::Voice(_) => None,
    };
    bursts.iter().filter_map(read).find(|lc| lc.flco() == flco).unwrap_or(plain)
}
