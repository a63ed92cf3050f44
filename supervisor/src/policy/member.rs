//! The life of one process: started, ready, dead, started again, left alone.

use std::collections::VecDeque;
use std::time::Duration;

use control::State;
use fabric::Work;

use super::{
    Action, EARLY_DEATHS, End, FIRST_BACKOFF, FIRST_DEATHS, LAST_BACKOFF, PATIENCE, Policy, Process, STABLE,
    START_TIME, STOP_TIME, WINDOW,
};

#[derive(Debug)]
pub(super) struct Member {
    state: State,
    /// It has a process.
    pub(super) runs: bool,
    /// It is to serve: it was not drained.
    pub(super) is_wanted: bool,
    /// Nobody needs its slot any more.
    pub(super) is_retired: bool,
    /// It is not started again by itself.
    pub(super) is_parked: bool,
    /// It was told to end.
    pub(super) is_told: bool,
    /// It was killed from here, for something that it did.
    pub(super) is_condemned: bool,
    /// It was not ready in time when it was started last.
    pub(super) is_overdue: bool,
    pub(super) restarts: u32,
    ready_at: Option<Duration>,
    pub(super) backoff: Duration,
    /// When to start, to kill.
    pub(super) deadline: Option<Duration>,
    /// Of the programs and the configuration that it is started from.
    pub(super) generation: u32,
    /// When it died before it was stable.
    early: VecDeque<Duration>,
    /// What its packet loop said last, and since when it says that.
    pub(super) beat: u64,
    pub(super) beat_at: Duration,
    pub(super) is_stalled: bool,
}

impl Member {
    pub(super) fn new(generation: u32) -> Self {
        Self {
            state: State::Starting,
            runs: false,
            is_wanted: true,
            is_retired: false,
            is_parked: false,
            is_told: false,
            is_condemned: false,
            is_overdue: false,
            restarts: 0,
            ready_at: None,
            backoff: FIRST_BACKOFF,
            deadline: None,
            generation,
            early: VecDeque::new(),
            beat: 0,
            beat_at: Duration::ZERO,
            is_stalled: false,
        }
    }

    /// How it is, as it is told.
    pub(super) fn state(&self) -> State {
        match self.state {
            State::Ready if self.is_stalled => State::Stalled,
            State::Ready if !self.is_wanted => State::Draining,
            state => state,
        }
    }

    pub(super) fn set(&mut self, state: State) {
        self.state = state;
    }

    /// It has said that it serves, and has not been told to end since.
    pub(super) fn is_ready(&self) -> bool {
        self.runs && self.state == State::Ready
    }

    /// It has shards, or will soon have them again.
    pub(super) fn holds(&self, now: Duration) -> bool {
        let is_back_soon = self.runs || self.deadline.is_some_and(|at| at <= now + PATIENCE);
        self.is_wanted && !self.is_parked && !self.is_overdue && is_back_soon
    }

    /// It runs from now on, but does not serve yet.
    pub(super) fn begin(&mut self, now: Duration) {
        (self.state, self.runs, self.ready_at) = (State::Starting, true, None);
        (self.is_told, self.is_condemned, self.is_stalled) = (false, false, false);
        self.deadline = Some(now + START_TIME);
    }

    /// It does not get on: others are not to wait for it.
    pub(super) fn is_hopeless(&self) -> bool {
        self.is_parked || self.is_overdue || self.early.len() >= FIRST_DEATHS as usize
    }

    /// It has been ready for long.
    pub(super) fn go_on(&mut self, now: Duration) {
        (self.state, self.runs, self.ready_at) = (State::Ready, true, Some(Duration::ZERO));
        self.beat_at = now;
    }

    /// One more death before it was stable; and how many there were lately.
    fn early_death(&mut self, now: Duration) -> usize {
        self.early.push_back(now);
        while self.early.front().is_some_and(|&at| at + WINDOW < now) {
            self.early.pop_front();
        }
        self.early.len()
    }

    /// Nothing of before counts against it.
    pub(super) fn pardon(&mut self) {
        (self.is_parked, self.is_overdue, self.backoff) = (false, false, FIRST_BACKOFF);
        self.early.clear();
    }
}

impl Policy {
    pub(super) fn start(&mut self, now: Duration, process: Process) {
        let Some(member) = self.members.get_mut(&process) else { return };
        member.begin(now);
        if process == Process::Services {
            self.renew_at = None;
        }
        self.actions.push_back(Action::Start { process, generation: member.generation });
    }

    pub(super) fn ready(&mut self, now: Duration, process: Process) {
        let stopping = self.stopping;
        let is_starting = |member: &&mut Member| member.runs && member.state == State::Starting;
        let Some(member) = self.members.get_mut(&process).filter(is_starting) else { return };
        (member.ready_at, member.beat_at, member.is_overdue) = (Some(now), now, false);
        if stopping || member.is_told {
            return;
        }
        (member.state, member.deadline) = (State::Ready, None);
        self.was_ready |= self.all_ready();
        if let Process::Worker(slot) = process {
            self.taker_ready(now, slot);
        }
        self.replaced(process);
    }

    pub(super) fn deaf(&mut self, now: Duration, process: Process) {
        let Some(member) = self.members.get_mut(&process) else { return };
        if member.runs && !member.is_told && member.deadline.is_none() {
            member.deadline = Some(now + STOP_TIME);
        }
    }

    pub(super) fn ended(&mut self, now: Duration, process: Process, end: End, work: Option<Work>) {
        let Some(member) = self.members.get_mut(&process) else { return };
        // A program of the system does not mean by its exit code what ours do.
        let end = if process.is_managed() && end == End::Config { End::Died } else { end };
        let (is_told, is_condemned) = (member.is_told, member.is_condemned);
        let was_stable = member.ready_at.is_some_and(|at| now >= at + STABLE);
        (member.runs, member.deadline, member.is_stalled) = (false, None, false);
        self.foreign.remove(&process);
        if self.stopping {
            member.state = State::Stopped;
            return self.go_on_stopping(now);
        }
        member.state = State::Failed;
        self.owner_died(process);
        if !member_is_wanted(self, process) {
            return self.gone(process);
        }
        if !is_told && end != End::Config {
            if let Some(member) = self.members.get_mut(&process) {
                member.restarts += 1;
            }
            if end == End::Died || is_condemned {
                self.blame(now, process, work);
            }
        }
        if self.replacement_takes(now, process) {
            return;
        }
        self.start_again(now, process, end, was_stable);
    }

    /// What becomes of a process that has ended and should not have.
    fn start_again(&mut self, now: Duration, process: Process, end: End, was_stable: bool) {
        let others_serve = self.others_serve(now, process);
        let was_ready = self.was_ready;
        let Some(member) = self.members.get_mut(&process) else { return };
        // Without a managed registry or broker the cluster goes on, and so it can start.
        let is_vital = !was_ready && !process.is_managed();
        if is_vital && (end == End::Config || member.is_overdue || member.restarts >= FIRST_DEATHS) {
            self.actions.push_back(Action::Fail(process));
            return self.stop(now);
        }
        if end == End::Config {
            member.is_parked = true;
            self.say(format!(
                "{process} says that its configuration is wrong, and is not started again: mend it, then \
                 `bmctl restart {}`",
                name(process)
            ));
            return;
        }
        if was_stable {
            member.backoff = FIRST_BACKOFF;
            return self.start(now, process);
        }
        // The last one that could serve is never given up, and neither is what there is but one of: services, a stack's own.
        if member.early_death(now) >= EARLY_DEATHS && others_serve {
            member.is_parked = true;
            self.say(format!(
                "{process} died {EARLY_DEATHS} times within {} s, and is left alone; others serve its repeaters; try again \
                 with `bmctl restart {}`",
                WINDOW.as_secs(),
                name(process)
            ));
            return;
        }
        member.deadline = Some(now + member.backoff);
        member.backoff = (member.backoff * 2).min(LAST_BACKOFF);
    }

    /// Whether another worker is ready that serves the same stacks.
    fn others_serve(&self, now: Duration, process: Process) -> bool {
        let Process::Worker(slot) = process else { return false };
        let serves = |other: u8| {
            let member = self.members.get(&Process::Worker(other));
            other != slot && member.is_some_and(|member| member.is_ready() && member.holds(now))
        };
        !self.is_own(slot) && self.shared().into_iter().any(serves)
    }

    /// One that was drained has ended.
    fn gone(&mut self, process: Process) {
        let Some(member) = self.members.get_mut(&process) else { return };
        member.state = State::Stopped;
        if let Process::Worker(slot) = process
            && member.is_retired
            && self.shards_of(slot).is_empty()
        {
            self.remove(slot);
        }
    }

    /// Nothing is left of the worker in this slot.
    pub(super) fn remove(&mut self, slot: u8) {
        self.members.remove(&Process::Worker(slot));
        self.own.iter_mut().filter(|own| **own == Some(slot)).for_each(|own| *own = None);
        self.actions.push_back(Action::Retire(slot));
    }
}

fn member_is_wanted(policy: &Policy, process: Process) -> bool {
    policy.members.get(&process).is_some_and(|member| member.is_wanted)
}

/// A process as an operator names it.
pub(super) fn name(process: Process) -> String {
    match process {
        Process::Worker(slot) => slot.to_string(),
        Process::Services | Process::Registry | Process::Broker => process.to_string(),
    }
}
