//! The supervisor's loop: carries exits, messages, requests and signals to the policy, and does what it says.
//! One thread, which also starts all children: the kernel ends them when it ends.

mod act;
mod orders;
mod report;
mod upgrade;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use channel::{Child, Parent, RingPlace};
use config::Workers;
use control::{DeathInfo, OperationInfo, Paths, State};
use fabric::{Counter, Work};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use sys::{Clocks, Ended};

use crate::children::{Nursery, Running};
use crate::dirs::Locked;
use crate::policy::{End, Event, Policy, Process};
use crate::requests::Requests;
use crate::say;
use crate::systemd::Systemd;

/// Exit code after which a start makes no sense: the configuration is wrong (EX_CONFIG).
const EXIT_CONFIG: i32 = 78;
/// What has left its place has to end within this time.
const END_TIME: Duration = Duration::from_secs(5);
/// Messages of a child that are taken in before others have their turn.
const MESSAGES: usize = 64;
/// Deaths that are kept.
const MAX_DEATHS: usize = 64;

/// Takes over the signals that end a cluster; children start with none blocked.
pub(crate) fn take_signals() -> Result<SignalFd> {
    let mut signals = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|signal| signals.add(signal));
    signals.thread_block().context("cannot block signals")?;
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    SignalFd::with_flags(&signals, flags).context("cannot watch signals")
}

/// Where the configuration came from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// The file; `None` for built-in defaults.
    pub(crate) file: Option<PathBuf>,
    /// What the command line says, which wins.
    pub(crate) workers: Option<Workers>,
}

/// A cluster that runs.
pub(crate) struct Supervisor {
    paths: Paths,
    /// Held while the cluster runs.
    lock: Locked,
    /// Where this program lies: an upgrade executes what lies there then.
    pub(crate) program: PathBuf,
    nursery: Nursery,
    policy: Policy,
    children: BTreeMap<Process, Running>,
    /// Those that are to take the place of others.
    standbys: BTreeMap<Process, Running>,
    /// Those whose place another one has taken, until they have ended, and when they are killed if they have not.
    leaving: Vec<(Running, Duration)>,
    /// How far those had read the rings that have let go of shards last.
    places: BTreeMap<u8, Vec<RingPlace>>,
    requests: Requests,
    signals: SignalFd,
    source: Source,
    /// Monotonic clock at its start, microseconds.
    started_us: u64,
    /// The operator has been told that all is ready.
    told_ready: bool,
    /// What he may try then.
    pub(crate) hint: String,
    /// What each process has said of itself.
    facts: BTreeMap<Process, BTreeMap<String, String>>,
    deaths: VecDeque<DeathInfo>,
    operation: Option<OperationInfo>,
    /// The program that this one has taken over from, while it may have to be put back.
    forerunner: Option<File>,
    /// It is to be put back.
    is_going_back: bool,
    /// All have ended.
    is_over: bool,
    /// Why the cluster could not start.
    failure: Option<String>,
    systemd: Systemd,
}

impl Supervisor {
    /// A supervisor that starts its children when it runs.
    pub(crate) fn new(
        paths: &Paths,
        lock: Locked,
        nursery: Nursery,
        policy: Policy,
        requests: Requests,
        signals: SignalFd,
        source: Source,
    ) -> Self {
        Self {
            paths: paths.clone(),
            lock,
            program: PathBuf::new(),
            nursery,
            policy,
            children: BTreeMap::new(),
            standbys: BTreeMap::new(),
            leaving: Vec::new(),
            places: BTreeMap::new(),
            requests,
            signals,
            source,
            started_us: Clocks::now().mono_us,
            told_ready: false,
            hint: String::new(),
            facts: BTreeMap::new(),
            deaths: VecDeque::new(),
            operation: None,
            forerunner: None,
            is_going_back: false,
            is_over: false,
            failure: None,
            systemd: Systemd::from_env(),
        }
    }

    /// Runs until told to stop.
    ///
    /// # Errors
    /// Why the cluster could not start.
    pub(crate) fn run(&mut self) -> Result<()> {
        loop {
            self.act();
            if self.is_over {
                return self.failure.take().map_or(Ok(()), |reason| Err(anyhow::anyhow!(reason)));
            }
            self.note_readiness();
            if self.is_going_back && self.leaving.is_empty() && !self.policy.stopping() {
                self.go_back();
            }
            if self.systemd.listens() {
                let status = self.status();
                self.systemd.note(self.now(), &status);
            }
            self.wait()?;
            self.take_signals()?;
            self.listen_to_children();
            self.reap();
            self.answer();
            self.look_at_beats();
            let now = self.now();
            self.policy.handle_timeout(now);
        }
    }

    /// Since the start of the supervisor.
    fn now(&self) -> Duration {
        Duration::from_micros(Clocks::now().mono_us.saturating_sub(self.started_us))
    }

    fn handle(&mut self, event: Event) {
        let now = self.now();
        self.policy.handle(now, event);
    }

    /// All processes, whatever they are about to do.
    fn running(&self) -> impl Iterator<Item = &Running> {
        self.children
            .values()
            .chain(self.standbys.values())
            .chain(self.leaving.iter().map(|(child, _)| child))
    }

    fn wait(&self) -> Result<()> {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.requests.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        for child in self.running() {
            fds.push(PollFd::new(child.process.as_fd(), PollFlags::POLLIN));
            fds.extend(child.socket.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)));
            fds.extend(child.output.fd().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        }
        let due = self.policy.poll_timeout().into_iter().chain(self.requests.poll_timeout());
        let leaving = self.leaving.iter().map(|(_, deadline)| *deadline);
        let due = due.chain(self.systemd.poll_timeout(self.now())).chain(leaving).min();
        let timeout = due.map_or(PollTimeout::NONE, |at| {
            let ms = at.saturating_sub(self.now()).as_millis() + 1;
            PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno).context("cannot wait for events"),
        }
    }

    fn take_signals(&mut self) -> Result<()> {
        while let Some(info) = self.signals.read_signal()? {
            match Signal::try_from(i32::try_from(info.ssi_signo)?)? {
                Signal::SIGHUP => {
                    say::log("hang-up: reading the configuration again");
                    if let Err(why) = self.reload() {
                        say::log(&format!("the configuration stays as it is: {why}"));
                    }
                }
                signal => {
                    say::log(&format!("{signal}: stopping"));
                    self.handle(Event::Stop);
                }
            }
        }
        Ok(())
    }

    /// Takes in what children say and print.
    fn listen_to_children(&mut self) {
        let now = self.now();
        let (mut messages, mut deaf) = (Vec::new(), Vec::new());
        for (&process, child) in &mut self.children {
            child.output.pass_on(now);
            if !hear(child, |message| messages.push((process, message))) {
                deaf.push(process);
            }
        }
        let (mut prepared, mut failed) = (Vec::new(), Vec::new());
        for (&process, child) in &mut self.standbys {
            child.output.pass_on(now);
            hear(child, |message| match message {
                Child::Prepared => prepared.push(process),
                Child::Failed { reason } => failed.push((process, reason)),
                _ => {}
            });
        }
        self.leaving.iter_mut().for_each(|(child, _)| child.output.pass_on(now));
        deaf.into_iter().for_each(|process| self.handle(Event::Deaf(process)));
        for (process, message) in messages {
            self.heed(process, message);
        }
        failed.into_iter().for_each(|(process, reason)| self.note_failure(process, &reason));
        prepared.into_iter().for_each(|process| self.handle(Event::Prepared(process)));
    }

    fn heed(&mut self, process: Process, message: Child) {
        match (message, process) {
            // Once a process.
            (Child::Ready { .. }, _) if self.policy.state(process).0 != State::Starting => {}
            (Child::Ready { facts }, _) => {
                self.forget_quarantined(process);
                self.facts.insert(process, facts);
                if let (Process::Services, Some(generation)) = (process, self.policy.generation(process)) {
                    self.nursery.have_served.insert(generation);
                }
                self.introduce(process);
                self.handle(Event::Ready(process));
                self.tell_services(process);
            }
            (Child::Facts { facts }, _) => self.facts.entry(process).or_default().extend(facts),
            (Child::Failed { reason }, _) => self.note_failure(process, &reason),
            (Child::Left, _) => self.handle(Event::Left(process)),
            (Child::Paused { number }, Process::Worker(slot)) => {
                self.handle(Event::Paused { slot, number });
            }
            (Child::Released { places }, Process::Worker(slot)) => {
                self.places.insert(slot, places);
                self.handle(Event::Released(slot));
            }
            (Child::Adopted, Process::Worker(slot)) => {
                self.forget_quarantined(process);
                self.handle(Event::Adopted(slot));
            }
            (
                Child::Exported
                | Child::Stopped
                | Child::Prepared
                | Child::Paused { .. }
                | Child::Released { .. }
                | Child::Adopted,
                _,
            ) => {}
        }
    }

    /// What a process says that cannot serve, and why.
    fn note_failure(&mut self, process: Process, reason: &str) {
        let told = format!("{process}: {}", say::clean(reason));
        if !self.policy.was_ready() {
            self.failure = Some(told);
            return;
        }
        say::log(&told);
        // Whoever waits for the end of an order is to see what is in its way.
        if let Some(operation) = self.operation.as_mut().filter(|operation| operation.result.is_none()) {
            operation.steps.push(told);
        }
    }

    fn reap(&mut self) {
        let ended = |children: &BTreeMap<Process, Running>| -> Vec<(Process, i32, Ended)> {
            let ended = children
                .iter()
                .filter_map(|(&process, child)| Some((process, child.process.pid(), child.process.ended()?)));
            ended.collect()
        };
        let (dead, standbys) = (ended(&self.children), ended(&self.standbys));
        let now = self.now();
        self.leaving.retain(|(child, _)| child.process.ended().is_none());
        for (child, deadline) in self.leaving.iter_mut().filter(|(_, deadline)| *deadline <= now) {
            say::log(&format!("pid {} has left its place and does not end: killed", child.process.pid()));
            let _ = child.process.signal(Signal::SIGKILL);
            *deadline = now + END_TIME;
        }
        if dead.is_empty() && standbys.is_empty() {
            return;
        }
        // What they said last still lies in their sockets: maybe that others take their places.
        self.listen_to_children();
        self.act();
        for (process, pid, how) in dead {
            if self.children.get(&process).is_some_and(|child| child.process.pid() == pid) {
                self.bury(process, pid, how);
            } else {
                self.leaving.retain(|(child, _)| child.process.pid() != pid);
            }
        }
        for (process, pid, how) in standbys {
            if self.standbys.get(&process).is_some_and(|child| child.process.pid() == pid) {
                self.standbys.remove(&process);
                say::log(&format!("the new {process} (pid {pid}) ended with {how}"));
                self.handle(Event::StandbyEnded(process));
            } else if self.children.get(&process).is_some_and(|child| child.process.pid() == pid) {
                self.bury(process, pid, how);
            }
        }
    }

    fn bury(&mut self, process: Process, pid: i32, how: Ended) {
        let child = self.children.remove(&process);
        let (mut words, work) = self.testament(process);
        if let (true, Ended::Code(_), Some(child)) = (process.is_managed(), how, child) {
            words = child.output.last_lines().map(|lines| say::clean_lines(&lines));
        }
        if !self.policy.is_ending(process) {
            let text = words.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
            say::log(&format!("{process} (pid {pid}) ended with {how}{text}"));
            if self.deaths.len() == MAX_DEATHS {
                self.deaths.pop_back();
            }
            self.deaths.push_front(DeathInfo {
                at_ms: Clocks::now().wall_us / 1000,
                process: process.to_string(),
                pid,
                how: how.to_string(),
                words,
                work: work.map(describe),
            });
        }
        let end = match how {
            Ended::Code(EXIT_CONFIG) => End::Config,
            Ended::Signal(signal) if signal == Signal::SIGKILL as i32 => End::Killed,
            _ => End::Died,
        };
        self.handle(Event::Ended { process, end, work });
        self.tell_services(process);
    }

    /// What a process has left on its page: its last words, and what it was working on.
    fn testament(&self, process: Process) -> (Option<String>, Option<Work>) {
        if self.policy.is_foreign(process) {
            return (None, None);
        }
        let memory = &self.nursery.memory;
        let stats = match process {
            Process::Worker(slot) => memory.workers.get(&slot).map(|worker| &worker.stats),
            Process::Services => Some(&memory.services_stats),
            Process::Registry | Process::Broker => None,
        };
        stats.map_or((None, None), |stats| {
            (stats.last_words().map(|words| say::clean_lines(&words)), stats.work())
        })
    }

    fn look_at_beats(&mut self) {
        let memory = &self.nursery.memory;
        let workers = memory.workers.iter().map(|(&slot, worker)| (Process::Worker(slot), &worker.stats));
        let all = workers.chain([(Process::Services, &memory.services_stats)]);
        let beats: Vec<_> = all.map(|(process, stats)| (process, stats.get(Counter::Heartbeat))).collect();
        let now = self.now();
        for (process, beat) in beats {
            // Of another ABI its page tells nothing, for the moment that it has left.
            let is_foreign = self.policy.is_foreign(process);
            let beat = if is_foreign { u64::try_from(now.as_micros()).unwrap_or(0) } else { beat };
            self.policy.handle(now, Event::Beat(process, beat));
        }
    }

    /// The siblings of a worker that is there, or there again, get its segment, once its interest is in it: until then they
    /// go by what its forerunner wanted.
    fn introduce(&mut self, process: Process) {
        let Process::Worker(slot) = process else { return };
        if !self.policy.was_ready() {
            // They were given it at their start.
            return;
        }
        let mut deaf = Vec::new();
        let is_known = |other| is_sibling(other, slot) && !self.policy.is_foreign(other);
        for (&other, child) in self.children.iter().filter(|&(&other, _)| is_known(other)) {
            if child.socket.as_ref().is_some_and(|socket| self.nursery.introduce(socket, slot).is_err()) {
                deaf.push(other);
            }
        }
        deaf.into_iter().for_each(|other| self.kill(other, "does not read what it is sent"));
    }

    /// Whoever was told to end need not hear any more.
    fn send(&mut self, process: Process, message: &Parent) {
        if self.policy.is_ending(process) && !matches!(message, Parent::Stop | Parent::Leave) {
            return;
        }
        // What all builds understand.
        let is_plain = matches!(message, Parent::Pause { .. } | Parent::Go | Parent::Leave | Parent::Stop);
        if self.policy.is_foreign(process) && !is_plain {
            return;
        }
        let socket = self.children.get(&process).and_then(|child| child.socket.as_ref());
        if socket.is_none_or(|socket| socket.send(message, &[]).is_err()) {
            self.kill(process, "does not read what it is sent");
        }
    }

    /// Its end comes by its pidfd.
    fn kill(&mut self, process: Process, why: &str) {
        let Some(child) = self.children.get(&process) else { return };
        say::log(&format!("{process} (pid {}) {why}: killed", child.process.pid()));
        self.signal(process, Signal::SIGKILL);
    }

    fn signal(&mut self, process: Process, signal: Signal) {
        let Some(child) = self.children.get(&process) else { return };
        if let Err(error) = child.process.signal(signal) {
            say::log(&format!("{process}: cannot send it {signal}: {error}"));
        }
    }

    /// The moment when all parts serve for the first time.
    fn note_readiness(&mut self) {
        if self.told_ready || !self.policy.was_ready() {
            return;
        }
        self.told_ready = true;
        let status = self.status();
        status.workers.iter().for_each(say::worker);
        say::services(&status);
        say::ready(self.now(), &self.hint);
    }
}

fn is_sibling(process: Process, slot: u8) -> bool {
    matches!(process, Process::Worker(other) if other != slot)
}

/// Takes in what a child has said, up to a limit: others have their turn between. False where it has nothing more to say.
fn hear(child: &mut Running, mut take: impl FnMut(Child)) -> bool {
    for _ in 0..MESSAGES {
        let Some(socket) = &child.socket else { return true };
        match socket.receive::<Child>() {
            Ok(Some((message, _))) => take(message),
            Ok(None) => return true,
            // It is ending, or has lost its mind.
            Err(_) => {
                child.socket = None;
                return false;
            }
        }
    }
    true
}

fn describe(work: Work) -> String {
    match work.row {
        Some(row) => format!("record {row} of shard {}", work.shard),
        None => format!("shard {}", work.shard),
    }
}
