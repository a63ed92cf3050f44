//! A process is replaced by another one in its slot: that is set up beside it, then the old one leaves, and the new one
//! takes all that it had. Whatever goes wrong, somebody serves: before the old one has left, that one; after it, one of
//! the old generation.

use std::collections::BTreeSet;
use std::time::Duration;

use super::member::Member;
use super::{Action, LAST_BACKOFF, LEAVE_TIME, PATIENCE, Policy, Process, START_TIME};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The new one is set up.
    Preparing,
    /// The old one is of another build, and all others stand still so that nothing is said while it leaves.
    Quieting,
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
    /// A step of what an operator ordered.
    is_ordered: bool,
    stage: Stage,
    /// Who stands still for it, and who still has to.
    quiet: BTreeSet<u8>,
    awaited: BTreeSet<u8>,
    /// Of their pause.
    pause: u64,
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
    /// New services take the place of those that do not know where registry and broker are now, once nothing else is to
    /// be done. True where that begins.
    pub(super) fn begin_renewing(&mut self, now: Duration) -> bool {
        let services = Process::Services;
        let is_well = |member: &&Member| member.is_ready() && !member.is_stalled && !member.is_condemned;
        let member = self.members.get(&services).filter(is_well);
        let is_due = self.renew_at.is_some_and(|at| at <= now) && self.operation.is_none();
        let Some(generation) = member.filter(|_| is_due).map(|member| member.generation) else {
            return false;
        };
        self.say("registry or broker have another address: new services are told".to_owned());
        self.begin_replacing(now, services, generation, false);
        true
    }

    /// `is_ordered`: it is a step of what an operator ordered, which goes on or fails with it.
    pub(super) fn begin_replacing(
        &mut self,
        now: Duration,
        process: Process,
        generation: u32,
        is_ordered: bool,
    ) {
        let Some(member) = self.members.get(&process) else { return };
        if process == Process::Services {
            self.renew_at = None;
        }
        let (before, deadline) = (member.generation, Some(now + START_TIME));
        self.replacement = Some(Replacement {
            process,
            generation,
            before,
            is_ordered,
            stage: Stage::Preparing,
            quiet: BTreeSet::new(),
            awaited: BTreeSet::new(),
            pause: 0,
            deadline,
        });
        self.actions.push_back(Action::StartStandby { process, generation });
    }

    fn replacement_of(&mut self, process: Process, stage: Stage) -> Option<&mut Replacement> {
        self.replacement.as_mut().filter(|it| it.process == process && it.stage == stage)
    }

    pub(super) fn prepared(&mut self, now: Duration, process: Process) {
        if self.replacement_of(process, Stage::Preparing).is_none() {
            return;
        }
        let is_foreign_worker = self.foreign.contains(&process) && process.is_worker();
        let others: BTreeSet<u8> = match is_foreign_worker {
            true => self.ready_slots().filter(|&slot| Process::Worker(slot) != process).collect(),
            false => BTreeSet::new(),
        };
        let pause = self.pause(others.iter().copied());
        let Some(replacement) = &mut self.replacement else { return };
        (replacement.stage, replacement.deadline) = (Stage::Quieting, Some(now + LEAVE_TIME));
        (replacement.quiet, replacement.awaited, replacement.pause) = (others.clone(), others.clone(), pause);
        if others.is_empty() {
            self.begin_leaving(now, process);
        }
    }

    fn ready_slots(&self) -> impl Iterator<Item = u8> + '_ {
        self.slots()
            .filter(|&slot| self.members.get(&Process::Worker(slot)).is_some_and(|member| member.is_ready()))
    }

    /// A worker stands still.
    pub(super) fn is_quiet(&mut self, now: Duration, slot: u8, number: u64) {
        let is_awaited = |it: &&mut Replacement| (it.stage, it.pause) == (Stage::Quieting, number);
        let Some(replacement) = self.replacement.as_mut().filter(is_awaited) else { return };
        if replacement.awaited.remove(&slot) && replacement.awaited.is_empty() {
            let process = replacement.process;
            self.begin_leaving(now, process);
        }
    }

    fn begin_leaving(&mut self, now: Duration, process: Process) {
        let Some(replacement) = self.replacement_of(process, Stage::Quieting) else { return };
        (replacement.stage, replacement.deadline) = (Stage::Leaving, Some(now + LEAVE_TIME));
        if self.members.get(&process).is_some_and(|member| member.runs) {
            self.actions.push_back(Action::Leave(process));
        } else {
            self.promote(now, process);
        }
    }

    /// Whoever stands still for a replacement goes on.
    fn resume_all(&mut self) {
        let Some(replacement) = &mut self.replacement else { return };
        let quiet = std::mem::take(&mut replacement.quiet);
        self.actions.extend(quiet.into_iter().map(Action::Resume));
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
        self.foreign.remove(&process);
        if let Some(operation) = &mut self.operation {
            operation.has_promoted = true;
        }
        self.actions.push_back(Action::Promote(process));
    }

    /// A process is ready: if it has taken the place of another, that is done.
    pub(super) fn replaced(&mut self, process: Process) {
        if let Some(&mut Replacement { is_ordered, .. }) = self.replacement_of(process, Stage::Starting) {
            // Not before: until now nobody knew what it wants.
            self.resume_all();
            self.replacement = None;
            if is_ordered {
                self.actions.push_back(Action::Progress(format!("{process} replaced")));
                self.step_done(process);
            }
        }
    }

    /// A process has ended that is being replaced. True where the replacement goes on with it.
    pub(super) fn replacement_takes(&mut self, now: Duration, process: Process) -> bool {
        let Some(replacement) = self.replacement.as_mut().filter(|it| it.process == process) else {
            return false;
        };
        match replacement.stage {
            // It has not waited for the new one, which takes its place as soon as it can.
            Stage::Preparing | Stage::Quieting => {
                let soon = now + PATIENCE;
                replacement.deadline = Some(replacement.deadline.map_or(soon, |at| at.min(soon)));
            }
            Stage::Leaving => self.promote(now, process),
            Stage::Starting => {
                let (before, is_ordered) = (replacement.before, replacement.is_ordered);
                self.resume_all();
                self.replacement = None;
                if let Some(member) = self.members.get_mut(&process) {
                    member.generation = before;
                }
                self.start(now, process);
                let why = format!("the new {process} ended before it was ready");
                if is_ordered {
                    self.step_failed(now, process, why);
                } else {
                    self.say(why);
                }
            }
        }
        true
    }

    pub(super) fn standby_ended(&mut self, now: Duration, process: Process) {
        let is_it = |it: &&Replacement| it.process == process && it.stage != Stage::Starting;
        if let Some(&Replacement { is_ordered, .. }) = self.replacement.as_ref().filter(is_it) {
            self.resume_all();
            self.replacement = None;
            self.give_up_replacing(now, process, is_ordered, "the new one ended before it was set up");
        }
    }

    pub(super) fn replacement_due(&mut self, now: Duration) {
        let Some(replacement) = &mut self.replacement else { return };
        if replacement.deadline.is_none_or(|at| at > now) {
            return;
        }
        let (process, is_ordered) = (replacement.process, replacement.is_ordered);
        match replacement.stage {
            Stage::Leaving => {
                replacement.deadline = None;
                self.actions.push_back(Action::Kill(process, "does not leave its place"));
            }
            // Who does not stand still may say something twice, or miss it.
            Stage::Quieting => self.begin_leaving(now, process),
            Stage::Preparing | Stage::Starting => {
                self.replacement = None;
                self.actions.push_back(Action::Discard(process));
                self.give_up_replacing(now, process, is_ordered, "the new one was not set up in time");
            }
        }
    }

    /// The old one goes on, or one of its kind, if it has not.
    fn give_up_replacing(&mut self, now: Duration, process: Process, is_ordered: bool, why: &str) {
        // One that has left already is started again when it has ended.
        let is_gone = self.members.get(&process).is_some_and(|member| !member.runs);
        if is_gone {
            self.start(now, process);
        }
        let why = format!("{process} was not replaced: {why}");
        if is_ordered {
            return self.step_failed(now, process, why);
        }
        self.say(why);
        if !is_gone {
            self.renew_at = Some(now + LAST_BACKOFF);
        }
    }
}
