//! Does what the policy says.

use std::os::fd::AsFd;

use channel::{Parent, Socket};
use nix::sys::signal::Signal;

use super::{END_TIME, Supervisor, is_sibling};
use crate::children::{Running, show_shard};
use crate::policy::{Action, Event, Process};
use crate::say;

impl Supervisor {
    /// Does all that is to be done.
    pub(super) fn act(&mut self) {
        while let Some(action) = self.policy.poll_action() {
            match action {
                Action::Start { process, generation } => self.start(process, generation),
                Action::Tell(process) if process.is_managed() => self.signal(process, Signal::SIGTERM),
                Action::Tell(process) => self.send(process, &Parent::Stop),
                Action::Abort(process) => {
                    say::log(&format!("{process} does not come round: aborted"));
                    self.signal(process, Signal::SIGABRT);
                }
                Action::Kill(process, why) => self.kill(process, why),
                Action::StartStandby { process, generation } => self.start_standby(process, generation),
                Action::Discard(process) => self.discard(process),
                Action::Leave(process) => self.send(process, &Parent::Leave),
                Action::Promote(process) => self.promote(process),
                Action::Pause { slot, number } => {
                    self.send(Process::Worker(slot), &Parent::Pause { number });
                }
                Action::Resume(slot) => self.send(Process::Worker(slot), &Parent::Go),
                Action::Release { from, to, shards } => {
                    self.tell_others_of_move(from, to);
                    self.send(Process::Worker(from), &Parent::Release { shards, to });
                }
                Action::Adopt { from, to, shards, was_alive } => self.adopt(from, to, &shards, was_alive),
                Action::Forget { from, to } => {
                    if self.children.contains_key(&Process::Worker(from)) {
                        self.send(Process::Worker(from), &Parent::Forget { to });
                    }
                    self.tell_others_of_move(from, to);
                }
                Action::Quarantine { shard, row } => {
                    if let Some(shard) = self.nursery.memory.shards.get_mut(usize::from(shard)) {
                        shard.quarantined.push(row);
                    }
                }
                Action::Clear(shard) => self.clear(shard),
                Action::Retire(slot) => self.retire(slot),
                Action::Say(text) => say::log(&text),
                Action::Progress(step) => {
                    say::log(&step);
                    if let Some(operation) = &mut self.operation {
                        operation.steps.push(step);
                    }
                }
                // Once those have ended that were put back.
                Action::GoBack => self.is_going_back = self.forerunner.is_some(),
                Action::Finished(result) => self.finished(result),
                Action::Settled(generation) => {
                    self.nursery.generations.retain(|&number, _| number == generation);
                }
                Action::Fail(process) => {
                    self.failure.get_or_insert_with(|| format!("{process} cannot be started: see above"));
                }
                Action::Exit => self.is_over = true,
            }
        }
    }

    fn start(&mut self, process: Process, generation: u32) {
        let owners: Vec<u8> = self.policy.owners().collect();
        let infos = self.worker_infos();
        // All that are to run know each other, started or not.
        let slots: Vec<u8> = self.policy.slots().collect();
        let added = slots.into_iter().try_for_each(|slot| self.add_memory(slot));
        let added = added.and_then(|()| self.bind_port(process));
        let (address, own) = (self.nursery.managed.address(process), self.own_stack(process));
        match added.and_then(|()| self.nursery.start(process, generation, own, &owners, &infos)) {
            Ok(running) => {
                self.children.insert(process, running);
                self.relay(process);
                if process.is_managed() {
                    self.handle(Event::Ready(process));
                }
            }
            Err(error) => {
                say::log(&format!("{process} could not be started: {error:#}"));
                self.handle(Event::NotStarted(process));
            }
        }
        if self.nursery.managed.address(process) != address {
            self.handle(Event::Moved);
        }
        self.show_shards(process);
        self.tell_services(process);
    }

    /// Place of the stack whose own worker a process is.
    fn own_stack(&self, process: Process) -> Option<usize> {
        let Process::Worker(slot) = process else { return None };
        self.policy.stack_of(slot)
    }

    /// Orders bind the ports that they take; where one is undone, a worker may come to a slot that has none yet.
    fn bind_port(&mut self, process: Process) -> anyhow::Result<()> {
        let Process::Worker(slot) = process else { return Ok(()) };
        let fastforward = self.config().ok().and_then(|config| config.stacks.fastforward.clone());
        self.nursery.ports.bind(fastforward.as_ref(), [slot])
    }

    /// A slot that has had no worker yet is shown to the services.
    fn add_memory(&mut self, slot: u8) -> anyhow::Result<()> {
        if self.nursery.memory.workers.contains_key(&slot) {
            return Ok(());
        }
        let (_, generation) =
            self.nursery.newest().ok_or_else(|| anyhow::anyhow!("there are no programs"))?;
        let node = generation.config.node(slot);
        let node = node.ok_or_else(|| anyhow::anyhow!("cluster.nodes has no ID for worker {slot}"))?;
        self.nursery.memory.add_worker(slot, node)?;
        if let Some(socket) = self.services() {
            let _ = self.nursery.show_worker(socket, slot);
        }
        Ok(())
    }

    /// What a worker was told not to read is gone, now that it serves.
    pub(super) fn forget_quarantined(&mut self, process: Process) {
        let Process::Worker(slot) = process else { return };
        for number in self.policy.shards_of(slot) {
            if let Some(shard) = self.nursery.memory.shards.get_mut(usize::from(number)) {
                shard.quarantined.clear();
            }
        }
    }

    fn start_standby(&mut self, process: Process, generation: u32) {
        match self.nursery.start_standby(process, generation, self.own_stack(process)) {
            Ok(running) => drop(self.standbys.insert(process, running)),
            Err(error) => {
                say::log(&format!("the new {process} could not be started: {error:#}"));
                self.handle(Event::StandbyEnded(process));
            }
        }
    }

    fn discard(&mut self, process: Process) {
        if let Some(child) = self.standbys.remove(&process) {
            say::log(&format!("the new {process} (pid {}) is not needed: killed", child.process.pid()));
            let _ = child.process.signal(Signal::SIGKILL);
            self.let_end(child);
        }
    }

    /// Another has its place: all that is awaited of it is its end.
    fn let_end(&mut self, mut child: Running) {
        child.socket = None;
        self.leaving.push((child, self.now() + END_TIME));
    }

    fn promote(&mut self, process: Process) {
        let Some(child) = self.standbys.remove(&process) else { return };
        if let Process::Worker(slot) = process {
            self.nursery.memory.promote(slot);
        }
        if let (Process::Worker(slot), Some(socket)) = (process, &child.socket) {
            self.relay_to(slot, socket);
        }
        let owners: Vec<u8> = self.policy.owners().collect();
        let infos = self.worker_infos();
        let given = match &child.socket {
            Some(socket) => self.nursery.hand_over(socket, process, &owners, &infos),
            None => Err(anyhow::anyhow!("it has closed its socket")),
        };
        if let Some(old) = self.children.insert(process, child) {
            self.let_end(old);
        }
        if let Err(error) = given {
            self.kill(process, &format!("cannot be given what it is to serve ({error:#})"));
        }
        self.tell_services(process);
    }

    fn relay(&mut self, process: Process) {
        let socket = self.children.get(&process).and_then(|child| child.socket.as_ref());
        if let (Process::Worker(slot), Some(socket)) = (process, socket) {
            self.relay_to(slot, socket);
        }
    }

    /// A worker of our build and those of another one hear each other through a socket.
    fn relay_to(&self, slot: u8, socket: &Socket) {
        let node = |slot| self.nursery.memory.workers.get(&slot).map_or(0, |worker| worker.node);
        for (&other, child) in self.children.iter().filter(|&(&other, _)| self.policy.is_foreign(other)) {
            let (Process::Worker(other), Some(theirs)) = (other, &child.socket) else { continue };
            if other == slot {
                continue;
            }
            let linked = Socket::pair().and_then(|(here, there)| {
                socket.send(&Parent::Relay { slot: other, node: node(other) }, &[here.as_fd()])?;
                theirs.send(&Parent::Relay { slot, node: node(slot) }, &[there.as_fd()])
            });
            if let Err(error) = linked {
                say::log(&format!("workers {slot} and {other} do not hear each other: {error}"));
            }
        }
    }

    fn adopt(&mut self, from: u8, to: u8, shards: &[u16], was_alive: bool) {
        let places = self.places.remove(&from).filter(|_| was_alive).unwrap_or_default();
        let socket = self.children.get(&Process::Worker(to)).and_then(|child| child.socket.as_ref());
        let given = socket.map(|socket| self.nursery.adopt(socket, from, places, shards));
        if !matches!(given, Some(Ok(()))) {
            self.kill(Process::Worker(to), "does not read what it is sent");
        }
        self.show_shards(Process::Worker(to));
    }

    /// Who had private calls at the worker in slot `from` may find them at the one in slot `to`.
    fn tell_others_of_move(&mut self, from: u8, to: u8) {
        let others: Vec<Process> =
            self.children.keys().copied().filter(|&other| is_sibling(other, to)).collect();
        for other in others.into_iter().filter(|&other| other != Process::Worker(from)) {
            self.send(other, &Parent::Moved { from, to });
        }
    }

    fn clear(&mut self, shard: u16) {
        if let Err(error) = self.nursery.memory.clear(shard) {
            say::log(&format!("shard {shard} could not be emptied: {error:#}"));
        }
        let owner = self.policy.owners().nth(shard.into());
        if let Some(owner) = owner {
            self.show_shards(Process::Worker(owner));
        }
    }

    fn retire(&mut self, slot: u8) {
        self.nursery.memory.workers.remove(&slot);
        self.nursery.ports.keep(self.policy.slots());
        self.facts.remove(&Process::Worker(slot));
        let ours = self.children.keys().copied().filter(|process| !process.is_managed());
        for process in ours.collect::<Vec<_>>() {
            self.send(process, &Parent::Retired { slot });
        }
    }

    /// Tells the services which shards a worker serves.
    fn show_shards(&self, process: Process) {
        let Process::Worker(slot) = process else { return };
        let Some(socket) = self.services() else { return };
        for number in self.policy.shards_of(slot) {
            if let Some(shard) = self.nursery.memory.shards.get(usize::from(number)) {
                // Services that do not read are told everything when they start again.
                let _ = show_shard(socket, shard, slot);
            }
        }
    }

    pub(super) fn finished(&mut self, result: Result<String, String>) {
        match &result {
            Ok(text) => say::log(text),
            Err(text) => say::log(&format!("FAILED: {text}")),
        }
        if !self.policy.has_foreign() {
            self.nursery.foreign = None;
        }
        if !self.is_going_back {
            self.forerunner = None;
        }
        if let Some(operation) = &mut self.operation {
            operation.result = Some(result);
        }
        self.systemd.reloaded();
    }
}
