//! A process is replaced by another one in its slot: that is set up beside it, then the old one leaves, and the new one
//! takes all that it had. Whatever goes wrong, somebody serves: before the old one has left, that one; after it, one of
//! the old generation.

use std::time::Duration;

use super::{Action, LEAVE_TIME, Policy, Process, START_TIME};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The new one is set up.
    Preparing,
    /// The old one leaves.
    Leaving,
    /// The new one takes over.
    Starting,
}

#[derive(Debug)]
pub(super) struct Replacement {
    pub(super) process: Process,
    generation: u32,
    /// Of the one that is replaced.
    before: u32,
    stage: Stage,
    /// `None` while the deadline is the process's own.
    pub(super) deadline: Option<Duration>,
}

impl Replacement {
    /// The old one was told to leave.
    pub(super) fn is_leaving(&self, process: Process) -> bool {
        self.process == process && self.stage == Stage::Leaving
    }
}

impl Policy {
    pub(super) fn begin_replacing(&mut self, now: Duration, process: Process, generation: u32) {
        let Some(member) = self.members.get(&process) else { return };
        let (before, deadline) = (member.generation, Some(now + START_TIME));
        self.replacement =
            Some(Replacement { process, generation, before, stage: Stage::Preparing, deadline });
        self.actions.push_back(Action::StartStandby { process, generation });
    }

    fn replacement_of(&mut self, process: Process, stage: Stage) -> Option<&mut Replacement> {
        self.replacement.as_mut().filter(|it| it.process == process && it.stage == stage)
    }

    pub(super) fn prepared(&mut self, now: Duration, process: Process) {
        let Some(replacement) = self.replacement_of(process, Stage::Preparing) else { return };
        (replacement.stage, replacement.deadline) = (Stage::Leaving, Some(now + LEAVE_TIME));
        if self.members.get(&process).is_some_and(|member| member.runs) {
            self.actions.push_back(Action::Leave(process));
        } else {
            self.promote(now, process);
        }
    }

    pub(super) fn left(&mut self, now: Duration, process: Process) {
        if self.replacement_of(process, Stage::Leaving).is_some() {
            self.promote(now, process);
        }
    }

    fn promote(&mut self, now: Duration, process: Process) {
        let Some(replacement) = &mut self.replacement else { return };
        (replacement.stage, replacement.deadline) = (Stage::Starting, None);
        if let Some(member) = self.members.get_mut(&process) {
            member.generation = replacement.generation;
            member.begin(now);
        }
        self.actions.push_back(Action::Promote(process));
    }

    /// A process is ready: if it has taken the place of another, that is done.
    pub(super) fn replaced(&mut self, process: Process) {
        if self.replacement_of(process, Stage::Starting).is_some() {
            self.replacement = None;
            self.actions.push_back(Action::Progress(format!("{process} replaced")));
            self.step_done(process);
        }
    }

    /// A process has ended that is being replaced. True where the replacement goes on with it.
    pub(super) fn replacement_takes(&mut self, now: Duration, process: Process) -> bool {
        let Some(replacement) = self.replacement.as_mut().filter(|it| it.process == process) else {
            return false;
        };
        match replacement.stage {
            // It has not waited for the new one, which takes its place as soon as it can.
            Stage::Preparing => {}
            Stage::Leaving => self.promote(now, process),
            Stage::Starting => {
                let before = replacement.before;
                self.replacement = None;
                if let Some(member) = self.members.get_mut(&process) {
                    member.generation = before;
                }
                self.start(now, process);
                self.step_failed(process, format!("the new {process} ended before it was ready"));
            }
        }
        true
    }

    pub(super) fn standby_ended(&mut self, now: Duration, process: Process) {
        let is_it = |it: &mut Replacement| it.process == process && it.stage != Stage::Starting;
        if self.replacement.take_if(is_it).is_some() {
            self.give_up_replacing(now, process, "the new one ended before it was set up");
        }
    }

    pub(super) fn replacement_due(&mut self, now: Duration) {
        let Some(replacement) = &mut self.replacement else { return };
        if replacement.deadline.is_none_or(|at| at > now) {
            return;
        }
        let process = replacement.process;
        if replacement.stage == Stage::Leaving {
            replacement.deadline = None;
            self.actions.push_back(Action::Kill(process, "does not leave its place"));
        } else {
            self.replacement = None;
            self.actions.push_back(Action::Discard(process));
            self.give_up_replacing(now, process, "the new one was not set up in time");
        }
    }

    /// The old one goes on, or one of its kind, if it has not.
    fn give_up_replacing(&mut self, now: Duration, process: Process, why: &str) {
        // One that has left already is started again when it has ended.
        if self.members.get(&process).is_some_and(|member| !member.runs) {
            self.start(now, process);
        }
        self.step_failed(process, format!("{process} was not replaced: {why}"));
    }
}
