//! The supervisor's loop: carries exits, messages, requests and signals to the policy, and does what it says.
//! One thread, which also starts all children: the kernel ends them when it ends.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use channel::{Child, Parent, WorkerInfo};
use control::{
    ClusterState, Reply, ServicesStatus, State, Status, StoreStatus, SupervisorRequest, WorkerStatus,
};
use fabric::Counter;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use sys::Ended;

use crate::children::{Nursery, Running};
use crate::policy::{Action, EXIT_CONFIG, Event, Policy, Process};
use crate::requests::Requests;
use crate::say;
use crate::systemd::Systemd;

/// Takes over the signals that end a cluster; children start with none blocked.
pub(crate) fn take_signals() -> Result<SignalFd> {
    let mut signals = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|signal| signals.add(signal));
    signals.thread_block().context("cannot block signals")?;
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    SignalFd::with_flags(&signals, flags).context("cannot watch signals")
}

/// A cluster that runs.
pub(crate) struct Supervisor {
    nursery: Nursery,
    policy: Policy,
    children: BTreeMap<Process, Running>,
    requests: Requests,
    signals: SignalFd,
    started: Instant,
    /// The operator has been told that all is ready.
    told_ready: bool,
    /// What he may try then.
    hint: String,
    /// What the services said of themselves.
    facts: BTreeMap<String, String>,
    /// How the last process of each worker ended.
    ended: BTreeMap<u8, String>,
    /// Why the cluster could not start.
    failure: Option<String>,
    systemd: Systemd,
}

impl Supervisor {
    /// A supervisor that starts its children when it runs.
    pub(crate) fn new(
        nursery: Nursery,
        requests: Requests,
        signals: SignalFd,
        started: Instant,
        hint: String,
    ) -> Result<Self> {
        let workers = u8::try_from(nursery.memory.workers.len())?;
        Ok(Self {
            nursery,
            policy: Policy::new(workers),
            children: BTreeMap::new(),
            requests,
            signals,
            started,
            told_ready: false,
            hint,
            facts: BTreeMap::new(),
            ended: BTreeMap::new(),
            failure: None,
            systemd: Systemd::from_env(),
        })
    }

    /// Runs until told to stop.
    ///
    /// # Errors
    /// Why the cluster could not start.
    pub(crate) fn run(&mut self) -> Result<()> {
        loop {
            while let Some(action) = self.policy.poll_action() {
                match action {
                    Action::Start(process) => self.start(process),
                    Action::Tell(process) => self.send(process, &Parent::Stop),
                    Action::Kill(process) => self.kill(process, "has not done in time what it had to"),
                    Action::Fail(process) => {
                        self.failure.get_or_insert_with(|| format!("{process} cannot be started: see above"));
                    }
                    Action::Exit => return self.failure.take().map_or(Ok(()), |reason| Err(anyhow!(reason))),
                }
            }
            self.note_readiness();
            if self.systemd.listens() {
                let status = self.status();
                self.systemd.note(self.now(), &status);
            }
            self.wait()?;
            self.take_signals()?;
            self.listen_to_children();
            self.reap();
            self.answer();
            let now = self.now();
            self.policy.handle_timeout(now);
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn wait(&self) -> Result<()> {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.requests.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        for child in self.children.values() {
            fds.push(PollFd::new(child.process.as_fd(), PollFlags::POLLIN));
            fds.extend(child.socket.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)));
        }
        let due = self.policy.poll_timeout().into_iter().chain(self.requests.poll_timeout());
        let due = due.chain(self.systemd.poll_timeout(self.now())).min();
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
                Signal::SIGHUP => say::log("hang-up ignored: a running cluster keeps its configuration"),
                signal => {
                    say::log(&format!("{signal}: stopping"));
                    let now = self.now();
                    self.policy.handle(now, Event::Stop);
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, process: Process) {
        let (_, restarts) = self.policy.state(process);
        if restarts > 0
            && let Process::Worker(slot) = process
            && let Err(error) = self.nursery.memory.renew(slot)
        {
            say::log(&format!("{process}: {error:#}"));
        }
        match self.nursery.start(process, &self.worker_infos()) {
            Ok(running) => {
                self.children.insert(process, running);
            }
            Err(error) => {
                say::log(&format!("{process} could not be started: {error:#}"));
                let now = self.now();
                self.policy.handle(now, Event::NotStarted(process));
            }
        }
        self.tell_services(process);
    }

    /// The siblings of a worker that was started again get its new segment, once its interest is in it: until then
    /// they go by what its forerunner wanted.
    fn introduce(&mut self, process: Process) {
        let Process::Worker(slot) = process else { return };
        let mut deaf = Vec::new();
        for (&other, child) in self.children.iter().filter(|(other, _)| **other != process) {
            if !matches!(other, Process::Worker(_)) {
                continue;
            }
            if child.socket.as_ref().is_some_and(|socket| self.nursery.introduce(socket, slot).is_err()) {
                deaf.push(other);
            }
        }
        deaf.into_iter().for_each(|other| self.kill(other, "does not read what it is sent"));
    }

    fn send(&mut self, process: Process, message: &Parent) {
        let socket = self.children.get(&process).and_then(|child| child.socket.as_ref());
        if socket.is_none_or(|socket| socket.send(message, &[]).is_err()) {
            self.kill(process, "does not read what it is sent");
        }
    }

    /// Its end comes by its pidfd.
    fn kill(&mut self, process: Process, why: &str) {
        if let Some(child) = self.children.get(&process) {
            say::log(&format!("{process} (pid {}) {why}: killed", child.process.pid()));
            if let Err(error) = child.process.signal(Signal::SIGKILL) {
                say::log(&format!("{process}: cannot kill it: {error}"));
            }
        }
    }

    fn listen_to_children(&mut self) {
        let (mut messages, mut deaf) = (Vec::new(), Vec::new());
        for (&process, child) in &mut self.children {
            let Some(socket) = &child.socket else { continue };
            loop {
                match socket.receive::<Child>() {
                    Ok(Some((message, _))) => messages.push((process, message)),
                    Ok(None) => break,
                    // It is ending, or has lost its mind: either way this socket has nothing more to say.
                    Err(_) => {
                        child.socket = None;
                        deaf.push(process);
                        break;
                    }
                }
            }
        }
        let now = self.now();
        deaf.into_iter().for_each(|process| self.policy.handle(now, Event::Deaf(process)));
        for (process, message) in messages {
            match message {
                Child::Ready { facts } => {
                    if process == Process::Services {
                        self.facts = facts;
                    }
                    self.policy.handle(now, Event::Ready(process));
                    if self.policy.state(process).1 > 0 {
                        self.introduce(process);
                    }
                    self.tell_services(process);
                }
                Child::Failed { reason } => {
                    if self.policy.was_ready() {
                        say::log(&format!("{process}: {reason}"));
                    } else {
                        self.failure = Some(format!("{process}: {reason}"));
                    }
                }
                Child::Stopped => {}
            }
        }
    }

    fn reap(&mut self) {
        let mut ended = Vec::new();
        for (&process, child) in &self.children {
            if let Some(how) = child.process.ended() {
                ended.push((process, child.process.pid(), how));
            }
        }
        if !ended.is_empty() {
            // What it said last still lies in its socket.
            self.listen_to_children();
        }
        for (process, pid, how) in ended {
            self.children.remove(&process);
            let config = how == Ended::Code(EXIT_CONFIG);
            let now = self.now();
            self.policy.handle(now, Event::Ended { process, config });
            if self.policy.stopping() {
                continue;
            }
            let next = match self.policy.state(process).0 {
                State::Failed => "started again after a pause of up to 30 s",
                _ => "started again",
            };
            let words = self.last_words(process).map(|words| format!(": {words}")).unwrap_or_default();
            say::log(&format!("{process} (pid {pid}) ended with {how}{words}; {next}"));
            if let Process::Worker(slot) = process {
                self.ended.insert(slot, format!("{how}{words}"));
            }
            self.tell_services(process);
        }
    }

    fn last_words(&self, process: Process) -> Option<String> {
        match process {
            Process::Worker(slot) => self.nursery.memory.workers[usize::from(slot)].stats.last_words(),
            Process::Services => self.nursery.memory.services_stats.last_words(),
        }
    }

    fn answer(&mut self) {
        for asked in self.requests.receive(self.now()) {
            match asked.request {
                SupervisorRequest::Status => asked.answer(Reply::Ok(self.status())),
                SupervisorRequest::Stop => {
                    asked.answer(Reply::Ok(()));
                    say::log("stop asked for: stopping");
                    let now = self.now();
                    self.policy.handle(now, Event::Stop);
                }
                _ => asked.answer(Reply::<()>::Error("this supervisor does not know that request".into())),
            }
        }
    }

    fn tell_services(&mut self, about: Process) {
        let Process::Worker(slot) = about else { return };
        let info = self.worker_info(slot);
        let services = self.children.get(&Process::Services).and_then(|child| child.socket.as_ref());
        if let Some(socket) = services {
            // Services that do not read lose an event: they are told everything when they start again.
            let _ = socket.send(&Parent::WorkerInfo(info), &[]);
        }
    }

    fn worker_infos(&self) -> Vec<WorkerInfo> {
        (0..).take(self.nursery.memory.workers.len()).map(|slot| self.worker_info(slot)).collect()
    }

    fn worker_info(&self, slot: u8) -> WorkerInfo {
        let process = Process::Worker(slot);
        let (state, restarts) = self.policy.state(process);
        let pid = self.children.get(&process).map(|child| child.process.pid());
        WorkerInfo { slot, pid, state, restarts: restarts.into(), ended: self.ended.get(&slot).cloned() }
    }

    fn pid_of(&self, process: Process) -> Option<u32> {
        self.children.get(&process).and_then(|child| u32::try_from(child.process.pid()).ok())
    }

    /// The moment when all parts serve for the first time.
    fn note_readiness(&mut self) {
        if self.told_ready || !self.policy.was_ready() {
            return;
        }
        self.told_ready = true;
        for worker in self.status().workers {
            say::worker(&worker);
        }
        let services = self.pid_of(Process::Services).unwrap_or_default();
        say::services(services, &self.facts);
        say::ready(self.now(), &self.hint);
    }

    fn status(&self) -> Status {
        let workers = (0..).zip(&self.nursery.memory.workers).map(|(slot, memory)| {
            let process = Process::Worker(slot);
            let (state, restarts) = self.policy.state(process);
            let count = |counter| u32::try_from(memory.stats.get(counter)).unwrap_or(u32::MAX);
            WorkerStatus {
                slot: slot.into(),
                node: memory.node,
                pid: self.pid_of(process),
                state,
                cpu: self.nursery.cpus.get(usize::from(slot)).and_then(|&cpu| u16::try_from(cpu).ok()),
                stacks: self.stacks_of(slot),
                contexts: count(Counter::Contexts),
                sessions: count(Counter::Sessions),
                restarts,
                shards: self.shards_of(slot),
                lag: memory.stats.lag().to_vec(),
                ended: self.ended.get(&slot).cloned(),
                sandbox: None,
            }
        });
        let workers = workers.collect();
        let state = match () {
            () if self.policy.stopping() => ClusterState::Stopping,
            () if self.policy.all(State::Ready) => ClusterState::Ready,
            () if self.policy.was_ready() => ClusterState::Degraded,
            () => ClusterState::Starting,
        };
        let services = self.policy.state(Process::Services).0;
        let store = |url: config::Url| StoreStatus { url: url.as_str().to_owned(), state: services };
        let stacks = self.nursery.stacks.iter();
        Status {
            state,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.now().as_secs(),
            workers,
            services: ServicesStatus { pid: self.pid_of(Process::Services), state: services },
            registry: store(self.nursery.config.registry.url),
            events: store(self.nursery.config.events.url),
            listen: stacks.map(|stack| (stack.name.clone(), stack.listen.clone())).collect(),
            metrics: self.facts.get("metrics").cloned(),
        }
    }

    fn shards_of(&self, slot: u8) -> u16 {
        let shards = self.nursery.memory.shards.iter().filter(|shard| shard.worker == slot);
        u16::try_from(shards.count()).unwrap_or(u16::MAX)
    }

    fn stacks_of(&self, slot: u8) -> Vec<String> {
        let mut stacks: Vec<String> =
            self.nursery.memory.shards.iter().filter(|s| s.worker == slot).map(|s| s.stack.clone()).collect();
        stacks.dedup();
        stacks
    }
}
