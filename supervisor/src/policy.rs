//! The supervisor's policy: which process is started, told to stop or killed, which worker serves which shard, and when.
//!
//! Pure: events, time and configuration go in, actions come out. The shell round it starts processes, sends
//! signals and messages; it decides nothing. What one process does is in `member`, who serves what in `placement` and
//! `handover`, how a process is replaced in `replace`, what an operator orders in `operation`, and how a stack comes to a worker
//! of its own and goes from it in `moves`.

mod blame;
mod handover;
mod member;
mod moves;
mod operation;
#[cfg(test)]
mod own_tests;
mod placement;
mod replace;
#[cfg(test)]
mod simulation;
mod snapshot;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use config::Placement;
use control::State;
use fabric::Work;
use serde::{Deserialize, Serialize};

use blame::Blame;
use handover::Handover;
use member::Member;
use operation::Operation;
pub(crate) use operation::Order;
use replace::Replacement;
pub(crate) use snapshot::Snapshot;

/// A process that was ready for so long is started again at once when it dies.
const STABLE: Duration = Duration::from_secs(1);
/// Wait before the first start after a death that came earlier; doubled each time.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait.
const LAST_BACKOFF: Duration = Duration::from_secs(30);
/// A process that is not ready by then is killed.
const START_TIME: Duration = Duration::from_secs(10);
/// A process that has not ended by then, after it was told to, is killed.
const STOP_TIME: Duration = Duration::from_secs(5);
/// A worker that has not let go by then, after it was told to, is killed.
const LEAVE_TIME: Duration = Duration::from_secs(2);
/// A process that dies so often before the cluster has been ready for the first time ends the start.
const FIRST_DEATHS: u32 = 3;
/// A worker that dies so often within [`WINDOW`], each time before it is stable, is left alone.
const EARLY_DEATHS: usize = 5;
/// Deaths longer ago do not count.
const WINDOW: Duration = Duration::from_secs(60);
/// Shards of a worker that is not there for longer go to others.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who is supervised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Process {
    /// A worker, by slot.
    Worker(u8),
    /// The services.
    Services,
    /// The registry's server, where it is the supervisor's to start: a program of the system.
    Registry,
    /// The event broker, in the same way.
    Broker,
}

impl Process {
    fn is_worker(self) -> bool {
        matches!(self, Self::Worker(_))
    }

    /// A program of the system, which knows nothing of us: it serves when it runs, is told nothing, says nothing, and its
    /// loop is not watched.
    pub(crate) fn is_managed(self) -> bool {
        matches!(self, Self::Registry | Self::Broker)
    }

    /// Those with a lower number end first.
    fn rank(self) -> u8 {
        match self {
            Self::Worker(_) => 0,
            Self::Services => 1,
            Self::Registry | Self::Broker => 2,
        }
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Worker(slot) => write!(f, "worker {slot}"),
            Self::Services => f.write_str("services"),
            Self::Registry => f.write_str("registry"),
            Self::Broker => f.write_str("broker"),
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With the exit code for a wrong configuration: it would end like that each time.
    Config,
    /// By SIGKILL: unless that came from here, it is nothing that the process has done.
    Killed,
    /// Otherwise.
    Died,
}

/// What happened. Times are since the supervisor's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It says that it serves.
    Ready(Process),
    /// It has ended, and what it was working on then.
    Ended { process: Process, end: End, work: Option<Work> },
    /// It could not be started.
    NotStarted(Process),
    /// Registry or broker is at another address than before.
    Moved,
    /// It has closed its socket to the supervisor.
    Deaf(Process),
    /// Its packet loop says that it last came round then, by a clock of its own.
    Beat(Process, u64),
    /// The process that is to take the place of this one is set up.
    Prepared(Process),
    /// The process that is to take the place of this one has ended, or could not be started.
    StandbyEnded(Process),
    /// It has left all that it had to the one that takes its place.
    Left(Process),
    /// The worker in this slot stands still, as this pause has it.
    Paused { slot: u8, number: u64 },
    /// The worker in this slot has let go of the shards it was told to.
    Released(u8),
    /// The worker in this slot serves the shards it was given.
    Adopted(u8),
    /// The cluster is to stop.
    Stop,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start it, from the programs and the configuration of this generation, with all its shards.
    Start { process: Process, generation: u32 },
    /// Tell it to end.
    Tell(Process),
    /// Abort it: it does not come round any more, and is to say where it is.
    Abort(Process),
    /// Kill it, for this reason.
    Kill(Process, &'static str),
    /// Start a process that is to take the place of this one.
    StartStandby { process: Process, generation: u32 },
    /// Kill the one that was to take the place of this one.
    Discard(Process),
    /// Tell it to leave all to the one that takes its place.
    Leave(Process),
    /// The one that was to take its place takes it, with all its shards.
    Promote(Process),
    /// Tell the worker in this slot to stand still. No two pauses have the same number.
    Pause { slot: u8, number: u64 },
    /// Tell it to go on.
    Resume(u8),
    /// Tell the worker in slot `from` to let go of shards.
    Release { from: u8, to: u8, shards: Vec<u16> },
    /// Give them to the worker in slot `to`. `was_alive`: the one before has said how far it had read.
    Adopt { from: u8, to: u8, shards: Vec<u16>, was_alive: bool },
    /// Tell the worker in slot `from`, and all others, that the one in slot `to` has taken over.
    Forget { from: u8, to: u8 },
    /// This row of this shard has killed its owner twice: nobody reads it any more.
    Quarantine { shard: u16, row: u16 },
    /// This shard has killed its owner again and again: it starts empty.
    Clear(u16),
    /// The worker in this slot is not needed any more, and has ended.
    Retire(u8),
    /// What the operator should know.
    Say(String),
    /// How the operation that was ordered goes on.
    Progress(String),
    /// It has failed, and the processes are those from before: the supervisor of before is to go on with them.
    GoBack,
    /// It is done, or could not be.
    Finished(Result<String, String>),
    /// All processes are of this generation from now on; those before it are not needed any more.
    Settled(u32),
    /// The cluster cannot start because of it; it stops.
    Fail(Process),
    /// All have ended: so does the supervisor.
    Exit,
}

/// A shard, as far as it matters who serves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shard {
    /// Place of its stack.
    stack: usize,
    /// Slot of the worker that serves it.
    owner: u8,
}

/// All processes of a cluster.
#[derive(Debug)]
pub(crate) struct Policy {
    members: BTreeMap<Process, Member>,
    /// How many workers there are to be that stacks share.
    count: u16,
    /// Where each stack is placed.
    stacks: Vec<Placement>,
    /// Slot of the worker that is a stack's own, by stack: from when it is started until it is retired.
    own: Vec<Option<u8>>,
    /// Names of the stacks, for what is said of them.
    names: Vec<String>,
    /// By number.
    shards: Vec<Shard>,
    /// What new processes are made from.
    generation: u32,
    /// Those that run a build of another ABI: they can only be replaced.
    foreign: BTreeSet<Process>,
    handover: Option<Handover>,
    replacement: Option<Replacement>,
    /// How many pauses there were.
    pauses: u64,
    operation: Option<Operation>,
    blame: Blame,
    /// When the beats were looked at last.
    watched: Duration,
    /// When new services are to take the place of those that do not know where registry and broker are now.
    renew_at: Option<Duration>,
    actions: VecDeque<Action>,
    was_ready: bool,
    stopping: bool,
    exited: bool,
}

impl Policy {
    /// Starts so many workers that stacks share, one for each stack that has its own, the services, and these programs of the
    /// system. `stacks`: each one's placement and number of shards.
    pub(crate) fn new(count: u16, stacks: &[(Placement, u16)], managed: &[Process]) -> Self {
        let stacks_placed = stacks.iter().map(|&(placement, _)| placement).collect();
        let mut policy =
            Self { count, stacks: stacks_placed, own: vec![None; stacks.len()], ..Self::empty() };
        let generation = policy.generation;
        for slot in policy.lowest(count) {
            policy.members.insert(Process::Worker(slot), Member::new(generation));
        }
        for (stack, slot) in policy.newcomers(&policy.stacks) {
            policy.members.insert(Process::Worker(slot), Member::new(generation));
            policy.own[stack] = Some(slot);
        }
        for (stack, &(placement, shards)) in stacks.iter().enumerate() {
            let owners = match policy.sole(stack) {
                Some(slot) => vec![slot],
                None => placement::slots(placement, &policy.shared()),
            };
            let owners = owners.iter().cycle().take(shards.into());
            policy.shards.extend(owners.map(|&owner| Shard { stack, owner }));
        }
        let workers: Vec<Process> = policy.slots().map(Process::Worker).collect();
        // Who is asked comes before those that ask.
        for process in managed.iter().copied().chain([Process::Services]).chain(workers) {
            policy.members.entry(process).or_insert_with(|| Member::new(generation));
            policy.start(Duration::ZERO, process);
        }
        policy
    }

    /// What stacks are called, in their order.
    pub(crate) fn name_stacks(&mut self, names: Vec<String>) {
        self.names = names;
    }

    /// How many workers there are to be that stacks share.
    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    fn empty() -> Self {
        Self {
            members: BTreeMap::new(),
            count: 0,
            stacks: Vec::new(),
            own: Vec::new(),
            names: Vec::new(),
            shards: Vec::new(),
            generation: 0,
            foreign: BTreeSet::new(),
            handover: None,
            replacement: None,
            pauses: 0,
            operation: None,
            blame: Blame::default(),
            watched: Duration::ZERO,
            renew_at: None,
            actions: VecDeque::new(),
            was_ready: false,
            stopping: false,
            exited: false,
        }
    }

    /// How a process is, and how often it was started again.
    pub(crate) fn state(&self, process: Process) -> (State, u32) {
        self.members.get(&process).map_or((State::Stopped, 0), |member| (member.state(), member.restarts))
    }

    /// Whether every process that is to serve does.
    pub(crate) fn all_ready(&self) -> bool {
        self.members.values().filter(|member| member.is_wanted).all(|member| member.state() == State::Ready)
    }

    /// All processes have been ready at once.
    pub(crate) fn was_ready(&self) -> bool {
        self.was_ready
    }

    /// The cluster is on its way down.
    pub(crate) fn stopping(&self) -> bool {
        self.stopping
    }

    /// It was told to end, or to leave its place.
    pub(crate) fn is_ending(&self, process: Process) -> bool {
        let is_told = self.members.get(&process).is_some_and(|member| member.is_told);
        self.stopping || is_told || self.replacement.as_ref().is_some_and(|it| it.is_leaving(process))
    }

    /// All that run now are of a build of another ABI.
    pub(crate) fn all_are_foreign(&mut self) {
        let is_build = |(process, member): &(&Process, &Member)| member.runs && !process.is_managed();
        self.foreign = self.members.iter().filter(is_build).map(|(&process, _)| process).collect();
    }

    /// Some are of a build of another ABI.
    pub(crate) fn has_foreign(&self) -> bool {
        !self.foreign.is_empty()
    }

    /// It is of a build of another ABI.
    pub(crate) fn is_foreign(&self, process: Process) -> bool {
        self.foreign.contains(&process)
    }

    /// What a process is made from.
    pub(crate) fn generation(&self, process: Process) -> Option<u32> {
        self.members.get(&process).map(|member| member.generation)
    }

    /// Slots of the workers that there are.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u8> + '_ {
        self.members.keys().filter_map(|process| match process {
            Process::Worker(slot) => Some(*slot),
            Process::Services | Process::Registry | Process::Broker => None,
        })
    }

    /// Numbers of the shards that the worker in a slot serves.
    pub(crate) fn shards_of(&self, slot: u8) -> Vec<u16> {
        (0..).zip(&self.shards).filter(|(_, shard)| shard.owner == slot).map(|(number, _)| number).collect()
    }

    /// Slot of the worker that serves each shard.
    pub(crate) fn owners(&self) -> impl Iterator<Item = u8> + '_ {
        self.shards.iter().map(|shard| shard.owner)
    }

    pub(crate) fn handle(&mut self, now: Duration, event: Event) {
        match event {
            Event::Ready(process) => self.ready(now, process),
            Event::Ended { process, end, work } => self.ended(now, process, end, work),
            Event::NotStarted(process) => self.ended(now, process, End::Died, None),
            Event::Moved => self.renew_at = Some(now),
            Event::Deaf(process) => self.deaf(now, process),
            Event::Beat(process, beat) => self.beat(now, process, beat),
            Event::Prepared(process) => self.prepared(now, process),
            Event::StandbyEnded(process) => self.standby_ended(now, process),
            Event::Left(process) => self.left(now, process),
            Event::Paused { slot, number } => self.paused(now, slot, number),
            Event::Released(slot) => self.released(now, slot),
            Event::Adopted(slot) => self.adopted(slot),
            Event::Stop => self.stop(now),
        }
        self.advance(now);
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        self.watch(now);
        let is_due = |(&process, member): (&Process, &Member)| {
            member.deadline.is_some_and(|at| at <= now).then_some((process, member.runs))
        };
        let due: Vec<(Process, bool)> = self.members.iter().filter_map(is_due).collect();
        for (process, runs) in due {
            if !runs {
                self.start(now, process);
                continue;
            }
            if let Some(member) = self.members.get_mut(&process) {
                (member.deadline, member.is_overdue, member.is_condemned) = (None, !member.is_ready(), true);
            }
            self.actions.push_back(Action::Kill(process, "has not done in time what it had to"));
        }
        self.handover_due(now);
        self.replacement_due(now);
        self.advance(now);
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let members = self.members.values().filter_map(|member| member.deadline);
        let handover = self.handover.as_ref().map(|handover| handover.deadline);
        let replacement = self.replacement.as_ref().and_then(|replacement| replacement.deadline);
        members.chain(handover).chain(replacement).chain(self.next_watch()).min()
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn say(&mut self, text: String) {
        self.actions.push_back(Action::Say(text));
    }

    /// Begins what can be begun: one thing at a time, since each is short.
    fn advance(&mut self, now: Duration) {
        if self.stopping {
            return;
        }
        self.end_drained(now);
        if self.handover.is_some() || self.replacement.is_some() {
            return;
        }
        if !self.begin_handover(now) && !self.begin_renewing(now) {
            self.go_on_operating(now);
        }
    }

    fn stop(&mut self, now: Duration) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        self.handover = None;
        if let Some(replacement) = self.replacement.take() {
            self.actions.push_back(Action::Discard(replacement.process));
        }
        if self.operation.take().is_some() {
            self.actions.push_back(Action::Finished(Err("the cluster stops".to_owned())));
        }
        for member in self.members.values_mut() {
            // Whatever it is doing, it has the time to end from now on.
            member.deadline = member.deadline.filter(|_| member.runs && member.is_told);
            if !member.runs {
                member.set(State::Stopped);
            }
        }
        self.go_on_stopping(now);
    }

    /// Workers first, so that the services hear of the last calls; then the services; then those that they tell of them;
    /// then that was all.
    fn go_on_stopping(&mut self, now: Duration) {
        let running: Vec<Process> =
            self.members.iter().filter(|(_, member)| member.runs).map(|(&process, _)| process).collect();
        let Some(rank) = running.iter().map(|process| process.rank()).min() else {
            if !std::mem::replace(&mut self.exited, true) {
                self.actions.push_back(Action::Exit);
            }
            return;
        };
        for process in running.into_iter().filter(|process| process.rank() == rank) {
            self.tell_to_end(now, process);
        }
    }

    fn tell_to_end(&mut self, now: Duration, process: Process) {
        let Some(member) = self.members.get_mut(&process).filter(|member| member.runs && !member.is_told)
        else {
            return;
        };
        (member.is_told, member.deadline) = (true, Some(now + STOP_TIME));
        member.set(State::Draining);
        self.actions.push_back(Action::Tell(process));
    }
}
