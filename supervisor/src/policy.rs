//! The supervisor's policy: which process is started, told to stop or killed, and when.
//!
//! Pure: events, time and configuration go in, actions come out. The shell round it starts processes and sends
//! signals; it decides nothing.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use control::State;

/// A process that was ready for so long is started again at once when it dies.
const STABLE: Duration = Duration::from_secs(1);
/// Wait before the first start after a death that came earlier; doubled each time.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait.
const LAST_BACKOFF: Duration = Duration::from_secs(30);
/// A process that is not ready by then is killed.
const START_TIME: Duration = Duration::from_secs(20);
/// A process that has not ended by then, after it was told to, is killed.
const STOP_TIME: Duration = Duration::from_secs(5);
/// A process that dies so often before the cluster has been ready for the first time ends the start.
const FIRST_DEATHS: u32 = 3;
/// Exit code after which a start makes no sense: the configuration is wrong (EX_CONFIG).
pub(crate) const EXIT_CONFIG: i32 = 78;

/// Who is supervised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Process {
    /// A worker, by slot.
    Worker(u8),
    /// The services.
    Services,
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Worker(slot) => write!(f, "worker {slot}"),
            Self::Services => f.write_str("services"),
        }
    }
}

/// What happened. Times are since the supervisor's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It says that it serves.
    Ready(Process),
    /// It has ended; `config`: with the exit code for a wrong configuration.
    Ended { process: Process, config: bool },
    /// It could not be started.
    NotStarted(Process),
    /// It has closed its socket to the supervisor.
    Deaf(Process),
    /// The cluster is to stop.
    Stop,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start it.
    Start(Process),
    /// Tell it to end.
    Tell(Process),
    /// Kill it: it has not done in time what it had to.
    Kill(Process),
    /// The cluster cannot start because of it; it stops.
    Fail(Process),
    /// All have ended: so does the supervisor.
    Exit,
}

#[derive(Debug)]
struct Kept {
    state: State,
    /// It has a process.
    runs: bool,
    restarts: u32,
    ready_at: Option<Duration>,
    /// It has been ready, if not this time.
    was_ready: bool,
    backoff: Duration,
    /// When to start, to kill.
    deadline: Option<Duration>,
}

/// All processes of a cluster.
#[derive(Debug)]
pub(crate) struct Policy {
    kept: BTreeMap<Process, Kept>,
    actions: VecDeque<Action>,
    was_ready: bool,
    stopping: bool,
    exited: bool,
}

impl Policy {
    /// Starts so many workers, and the services.
    pub(crate) fn new(workers: u8) -> Self {
        let mut policy = Self {
            kept: BTreeMap::new(),
            actions: VecDeque::new(),
            was_ready: false,
            stopping: false,
            exited: false,
        };
        // Services first: workers that come up find somebody to ask.
        let all = std::iter::once(Process::Services).chain((0..workers).map(Process::Worker));
        for process in all {
            let kept = Kept {
                state: State::Starting,
                runs: false,
                restarts: 0,
                ready_at: None,
                was_ready: false,
                backoff: FIRST_BACKOFF,
                deadline: None,
            };
            policy.kept.insert(process, kept);
            policy.start(Duration::ZERO, process);
        }
        policy
    }

    /// How a process is, and how often it was started again.
    pub(crate) fn state(&self, process: Process) -> (State, u32) {
        self.kept.get(&process).map_or((State::Stopped, 0), |kept| (kept.state, kept.restarts))
    }

    /// Whether every process is in this state.
    pub(crate) fn all(&self, state: State) -> bool {
        self.kept.values().all(|kept| kept.state == state)
    }

    /// All processes have been ready at once.
    pub(crate) fn was_ready(&self) -> bool {
        self.was_ready
    }

    /// The cluster is on its way down.
    pub(crate) fn stopping(&self) -> bool {
        self.stopping
    }

    pub(crate) fn handle(&mut self, now: Duration, event: Event) {
        match event {
            Event::Ready(process) => self.ready(now, process),
            Event::Ended { process, config } => self.ended(now, process, config),
            Event::NotStarted(process) => self.ended(now, process, false),
            Event::Deaf(process) => {
                if self.kept.get(&process).is_some_and(|kept| kept.runs && kept.state != State::Draining) {
                    self.set_deadline(process, Some(now + STOP_TIME));
                }
            }
            Event::Stop => self.stop(now),
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        let due = |(&process, kept): (&Process, &Kept)| {
            kept.deadline.is_some_and(|at| at <= now).then_some((process, kept.runs))
        };
        let due: Vec<(Process, bool)> = self.kept.iter().filter_map(due).collect();
        for (process, runs) in due {
            if runs {
                self.actions.push_back(Action::Kill(process));
                self.set_deadline(process, None);
            } else {
                self.start(now, process);
            }
        }
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.kept.values().filter_map(|kept| kept.deadline).min()
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn set_deadline(&mut self, process: Process, at: Option<Duration>) {
        if let Some(kept) = self.kept.get_mut(&process) {
            kept.deadline = at;
        }
    }

    fn start(&mut self, now: Duration, process: Process) {
        let Some(kept) = self.kept.get_mut(&process) else { return };
        (kept.state, kept.runs, kept.ready_at) = (State::Starting, true, None);
        kept.deadline = Some(now + START_TIME);
        self.actions.push_back(Action::Start(process));
    }

    fn ready(&mut self, now: Duration, process: Process) {
        let stopping = self.stopping;
        let Some(kept) = self.kept.get_mut(&process).filter(|kept| kept.runs) else { return };
        (kept.ready_at, kept.was_ready) = (Some(now), true);
        if !stopping {
            (kept.state, kept.deadline) = (State::Ready, None);
        }
        self.was_ready |= self.all(State::Ready);
    }

    fn ended(&mut self, now: Duration, process: Process, config: bool) {
        let Some(kept) = self.kept.get_mut(&process) else { return };
        kept.runs = false;
        kept.deadline = None;
        if self.stopping {
            kept.state = State::Stopped;
            return self.go_on_stopping(now);
        }
        kept.state = State::Failed;
        // What was good once is not wrong by itself: what has become wrong may become good again.
        let config = config && !kept.was_ready;
        kept.restarts += u32::from(!config);
        if !self.was_ready && (config || kept.restarts >= FIRST_DEATHS) {
            self.actions.push_back(Action::Fail(process));
            return self.stop(now);
        }
        if config {
            return;
        }
        if kept.ready_at.is_some_and(|at| now >= at + STABLE) {
            kept.backoff = FIRST_BACKOFF;
            return self.start(now, process);
        }
        kept.deadline = Some(now + kept.backoff);
        kept.backoff = (kept.backoff * 2).min(LAST_BACKOFF);
    }

    fn stop(&mut self, now: Duration) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        for kept in self.kept.values_mut().filter(|kept| !kept.runs) {
            (kept.state, kept.deadline) = (State::Stopped, None);
        }
        self.go_on_stopping(now);
    }

    /// Workers first, so that the services hear of the last calls; then the services; then that was all.
    fn go_on_stopping(&mut self, now: Duration) {
        let workers = |process: &Process| matches!(process, Process::Worker(_));
        let running: Vec<Process> =
            self.kept.iter().filter(|(_, kept)| kept.runs).map(|(&process, _)| process).collect();
        if running.is_empty() {
            if !std::mem::replace(&mut self.exited, true) {
                self.actions.push_back(Action::Exit);
            }
            return;
        }
        let workers_run = running.iter().any(workers);
        for process in running.into_iter().filter(|process| workers(process) == workers_run) {
            let Some(kept) = self.kept.get_mut(&process) else { continue };
            if kept.state != State::Draining {
                (kept.state, kept.deadline) = (State::Draining, Some(now + STOP_TIME));
                self.actions.push_back(Action::Tell(process));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W0: Process = Process::Worker(0);

    fn actions(policy: &mut Policy) -> Vec<Action> {
        std::iter::from_fn(|| policy.poll_action()).collect()
    }

    fn ready(workers: u8) -> Policy {
        let mut policy = Policy::new(workers);
        let started = actions(&mut policy);
        assert_eq!(started.len(), usize::from(workers) + 1);
        for action in started {
            let Action::Start(process) = action else { panic!("{action:?}") };
            policy.handle(Duration::ZERO, Event::Ready(process));
        }
        assert!(policy.all(State::Ready));
        policy
    }

    #[test]
    fn a_stable_worker_is_started_again_at_once() {
        let mut policy = ready(2);
        policy.handle(STABLE, Event::Ended { process: W0, config: false });
        assert_eq!(actions(&mut policy), [Action::Start(W0)]);
        assert_eq!(policy.state(W0), (State::Starting, 1));
        policy.handle(STABLE * 2, Event::Ready(W0));
        assert!(policy.all(State::Ready));
    }

    #[test]
    fn one_that_dies_early_waits_longer_each_time_and_is_never_given_up() {
        let mut policy = ready(1);
        let mut now = Duration::ZERO;
        let mut waits = Vec::new();
        for _ in 0..12 {
            policy.handle(now, Event::Ended { process: W0, config: false });
            assert_eq!(actions(&mut policy), []);
            assert_eq!(policy.state(W0).0, State::Failed);
            let at = policy.poll_timeout().unwrap();
            waits.push(at - now);
            now = at;
            policy.handle_timeout(now);
            assert_eq!(actions(&mut policy), [Action::Start(W0)]);
        }
        assert_eq!((waits[0], waits[1], waits[11]), (FIRST_BACKOFF, FIRST_BACKOFF * 2, LAST_BACKOFF));
    }

    #[test]
    fn a_wrong_configuration_ends_the_start_and_no_running_cluster() {
        let mut policy = ready(1);
        policy.handle(STABLE, Event::Ended { process: W0, config: true });
        assert_eq!(actions(&mut policy), [Action::Start(W0)], "it was good once");
        let mut policy = Policy::new(1);
        actions(&mut policy);
        policy.handle(STABLE, Event::Ended { process: Process::Services, config: true });
        assert_eq!(actions(&mut policy), [Action::Fail(Process::Services), Action::Tell(W0)]);
        policy.handle(STABLE, Event::Ended { process: W0, config: false });
        assert_eq!(actions(&mut policy), [Action::Exit]);
    }

    #[test]
    fn a_start_that_cannot_succeed_fails() {
        let mut policy = Policy::new(1);
        actions(&mut policy);
        policy.handle(STABLE, Event::Ready(Process::Services));
        let mut now = STABLE;
        for _ in 1..FIRST_DEATHS {
            policy.handle(now, Event::Ended { process: W0, config: false });
            assert_eq!(actions(&mut policy), []);
            now = policy.poll_timeout().unwrap();
            policy.handle_timeout(now);
            assert_eq!(actions(&mut policy), [Action::Start(W0)]);
        }
        policy.handle(now, Event::NotStarted(W0));
        assert_eq!(actions(&mut policy), [Action::Fail(W0), Action::Tell(Process::Services)]);
    }

    #[test]
    fn one_that_has_closed_its_socket_and_lives_is_killed() {
        let mut policy = ready(1);
        policy.handle(STABLE, Event::Deaf(W0));
        policy.handle_timeout(STABLE + STOP_TIME);
        assert_eq!(actions(&mut policy), [Action::Kill(W0)]);
    }

    #[test]
    fn one_that_never_gets_ready_is_killed() {
        let mut policy = Policy::new(1);
        actions(&mut policy);
        policy.handle_timeout(START_TIME);
        assert_eq!(actions(&mut policy), [Action::Kill(W0), Action::Kill(Process::Services)]);
    }

    #[test]
    fn stopping_ends_workers_then_services_then_the_supervisor() {
        let mut policy = ready(2);
        policy.handle(STABLE, Event::Stop);
        policy.handle(STABLE, Event::Stop);
        assert_eq!(actions(&mut policy), [Action::Tell(W0), Action::Tell(Process::Worker(1))]);
        policy.handle(STABLE, Event::Ended { process: W0, config: false });
        assert_eq!(actions(&mut policy), []);
        policy.handle_timeout(STABLE + STOP_TIME);
        assert_eq!(actions(&mut policy), [Action::Kill(Process::Worker(1))]);
        policy.handle(STABLE, Event::Ended { process: Process::Worker(1), config: false });
        assert_eq!(actions(&mut policy), [Action::Tell(Process::Services)]);
        policy.handle(STABLE, Event::Ended { process: Process::Services, config: false });
        assert_eq!(actions(&mut policy), [Action::Exit]);
    }
}
