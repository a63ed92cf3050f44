//! The processes of a cluster: how each is started and what it is given.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use anyhow::{Context, Result};
use channel::{Parent, ServicesSetup, ShardSetup, Socket, StackSetup, WorkerInfo, WorkerSetup};
use config::Config;
use sys::{Child, Spawn};

use crate::memory::Memory;
use crate::policy::Process;

/// The programs of workers and services, held open: a restart starts what the cluster was started with, even
/// if the files have been replaced since.
#[derive(Debug)]
pub(crate) struct Programs {
    worker: File,
    services: File,
}

impl Programs {
    /// Those that lie beside this program.
    pub(crate) fn open() -> Result<Self> {
        let me = std::env::current_exe().context("cannot tell where this program lies")?;
        let open = |name: &str| {
            let path = me.with_file_name(name);
            File::open(&path).with_context(|| {
                format!(
                    "cannot open {}: it must lie beside bmctl; `cargo build --release` builds all",
                    path.display()
                )
            })
        };
        Ok(Self { worker: open("bm-worker")?, services: open("bm-services")? })
    }
}

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Child,
    /// `None` once the child has closed its end.
    pub(crate) socket: Option<Socket>,
}

/// What every child is made from.
#[derive(Debug)]
pub(crate) struct Nursery {
    pub(crate) programs: Programs,
    pub(crate) memory: Memory,
    pub(crate) config: Config,
    pub(crate) data_dir: PathBuf,
    pub(crate) stacks: Vec<StackSetup>,
    pub(crate) requests: UnixListener,
    /// Core of each worker.
    pub(crate) cpus: Vec<usize>,
    pub(crate) salt_key: [u8; 32],
    /// What it costs to wake a process of another core, microseconds; 0 where that cannot be told.
    pub(crate) wake_us: u32,
}

impl Nursery {
    /// Starts a process and sends it all that it needs; it says when it is ready.
    pub(crate) fn start(&self, process: Process, workers: &[WorkerInfo]) -> Result<Running> {
        let (program, name, cpu) = match process {
            Process::Worker(slot) => {
                (&self.programs.worker, "bm-worker", self.cpus.get(usize::from(slot)).copied())
            }
            Process::Services => (&self.programs.services, "bm-services", None),
        };
        let (socket, theirs) = Socket::pair()?;
        // Before the process: what it needs waits for it, and a set-up that cannot be sent starts nothing.
        match process {
            Process::Worker(slot) => self.set_up_worker(&socket, slot)?,
            Process::Services => self.set_up_services(&socket, workers)?,
        }
        socket.send(&Parent::Go, &[])?;
        let spawn = Spawn { program: program.as_fd(), name, channel: theirs.as_fd(), cpu };
        let process = spawn.start().with_context(|| format!("cannot start {name}"))?;
        Ok(Running { process, socket: Some(socket) })
    }

    fn set_up_worker(&self, socket: &Socket, slot: u8) -> Result<()> {
        let memory = &self.memory;
        let worker = &memory.workers[usize::from(slot)];
        let setup = WorkerSetup {
            slot,
            node: worker.node,
            stacks: self.stacks.clone(),
            salt_key: self.salt_key,
            wake_us: self.wake_us,
            calls: call_rules(&self.config),
            devices: self.config.access.devices.clone(),
            call_signs: self.config.access.calls.clone(),
        };
        let fds = [
            memory.bells.writable(),
            worker.wake.as_fd(),
            memory.services_wake.as_fd(),
            worker.stats_page.writable(),
            worker.segment.writable(),
            worker.reports.writable(),
            worker.orders.writable(),
        ];
        socket.send(&Parent::Worker(Box::new(setup)), &fds)?;
        for shard in memory.shards.iter().filter(|shard| shard.worker == slot) {
            let fds: Vec<BorrowedFd<'_>> = std::iter::once(shard.state.writable())
                .chain(shard.sockets.iter().map(AsFd::as_fd))
                .collect();
            let setup = ShardSetup { number: shard.number, stack: shard.stack.clone() };
            socket.send(&Parent::Shard(setup), &fds)?;
        }
        for other in (0..).take(memory.workers.len()).filter(|&other| other != slot) {
            self.introduce(socket, other)?;
        }
        Ok(())
    }

    /// Gives the worker at `socket` the segment of the one in slot `other`.
    pub(crate) fn introduce(&self, socket: &Socket, other: u8) -> Result<(), channel::Error> {
        let worker = &self.memory.workers[usize::from(other)];
        let sibling = Parent::Sibling { slot: other, node: worker.node };
        socket.send(&sibling, &[worker.segment.read_only(), worker.wake.as_fd()])
    }

    fn set_up_services(&self, socket: &Socket, workers: &[WorkerInfo]) -> Result<()> {
        let memory = &self.memory;
        let setup = ServicesSetup {
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
            nodes: memory.workers.iter().map(|worker| worker.node).collect(),
        };
        let fds = [
            memory.bells.writable(),
            memory.services_wake.as_fd(),
            memory.services_page.writable(),
            self.requests.as_fd(),
        ];
        socket.send(&Parent::Services(Box::new(setup)), &fds)?;
        for (slot, worker) in (0..).zip(&memory.workers) {
            let fds = [
                worker.wake.as_fd(),
                worker.stats_page.read_only(),
                worker.reports.writable(),
                worker.orders.writable(),
            ];
            socket.send(&Parent::Pages { slot }, &fds)?;
        }
        for shard in &memory.shards {
            let setup = ShardSetup { number: shard.number, stack: shard.stack.clone() };
            let state = Parent::State { shard: setup, worker: shard.worker };
            socket.send(&state, &[shard.state.read_only()])?;
        }
        for worker in workers {
            socket.send(&Parent::WorkerInfo(worker.clone()), &[])?;
        }
        Ok(())
    }
}

/// The rules of calls, as the workers' switches are told of them.
fn call_rules(config: &Config) -> switch::Settings {
    let Config { calls, protection, access, .. } = config;
    switch::Settings {
        hang_time: calls.hang_time,
        dynamic_time: calls.dynamic_time,
        call_timeout: calls.call_timeout,
        max_burst_rate: protection.max_burst_rate,
        encrypted: protection.encrypted,
        radios: access.radios.clone(),
        talkgroups: access.talkgroups.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_without_rules_has_those_of_the_switch() {
        assert_eq!(call_rules(&Config::default()), switch::Settings::default());
        let text = "calls.call_timeout = 0\nprotection.encrypted = \"carry\"\naccess.radios.deny = [7]";
        let rules = call_rules(&Config::parse(text).unwrap());
        assert_eq!((rules.call_timeout, rules.encrypted), (None, true));
        assert!(!rules.radios.permits(7) && rules.talkgroups.permits(7));
    }

    #[test]
    fn the_longest_lists_fit_a_message() {
        let ids = format!("[{}]", "\"999999999-999999999\",".repeat(config::MAX_ACCESS));
        let air = format!("[{}]", "\"16777215-16777215\",".repeat(config::MAX_ACCESS));
        let calls = format!("[{}]", "\"ABCDEFGHIJ*\",".repeat(config::MAX_ACCESS));
        let lists = [("devices", &ids), ("calls", &calls), ("radios", &air), ("talkgroups", &air)];
        let text = lists.map(|(name, list)| format!("[access.{name}]\nallow = {list}\ndeny = {list}\n"));
        let config = Config::parse(&text.concat()).unwrap();
        let setup = WorkerSetup {
            slot: 0,
            node: 1,
            stacks: vec![],
            salt_key: [255; 32],
            wake_us: u32::MAX,
            calls: call_rules(&config),
            devices: config.access.devices.clone(),
            call_signs: config.access.calls.clone(),
        };
        let (ours, theirs) = Socket::pair().unwrap();
        ours.send(&Parent::Worker(Box::new(setup)), &[]).unwrap();
        assert!(matches!(theirs.receive().unwrap(), Some((Parent::Worker(_), _))));
        let services = ServicesSetup { config, data_dir: "/var/lib/bmctl".into(), nodes: vec![1; 127] };
        ours.send(&Parent::Services(Box::new(services)), &[]).unwrap();
        assert!(matches!(theirs.receive().unwrap(), Some((Parent::Services(_), _))));
    }
}
