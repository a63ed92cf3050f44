//! The processes of a cluster: how each is started and what it is given.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};
use channel::{
    FastForwardSetup, Parent, RingPlace, ServicesSetup, ShardSetup, Socket, StackSetup, WorkerInfo,
    WorkerSetup,
};
use config::{Config, FastForward, MAX_WORKERS, NetworkKeys, Options};
use fabric::{Segment, StateWriter, WorkerReader};
use sys::{Child, Spawn};

use crate::foreign::Foreign;
use crate::managed::Managed;
use crate::memory::{Memory, Shard};
use crate::output::Output;
use crate::policy::Process;
use crate::ports::Ports;
use crate::programs::Programs;
use crate::say;

/// What the processes of one generation are made from.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) programs: Rc<Programs>,
    pub(crate) config: Config,
}

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Child,
    /// `None` once the child has closed its end, and of a program of the system.
    pub(crate) socket: Option<Socket>,
    /// What it prints.
    pub(crate) output: Output,
}

/// What every child is made from.
pub(crate) struct Nursery {
    pub(crate) generations: BTreeMap<u32, Generation>,
    pub(crate) memory: Memory,
    pub(crate) ports: Ports,
    /// Generations of which services have been ready.
    pub(crate) have_served: BTreeSet<u32>,
    /// That of processes of another ABI, which are being replaced.
    pub(crate) foreign: Option<Foreign>,
    pub(crate) managed: Managed,
    pub(crate) data_dir: PathBuf,
    /// In the order of the configuration, with the addresses as bound; the options are each generation's.
    pub(crate) stacks: Vec<StackSetup>,
    pub(crate) requests: UnixListener,
    /// Cores that workers may run on: one for each slot, and round again.
    pub(crate) cores: Vec<usize>,
    pub(crate) salt_key: [u8; 32],
    /// What it costs to wake a process of another core, microseconds; 0 where that cannot be told.
    pub(crate) wake_us: u32,
}

impl Nursery {
    /// What the newest processes are made from.
    pub(crate) fn newest(&self) -> Option<(u32, &Generation)> {
        self.generations.last_key_value().map(|(&number, generation)| (number, generation))
    }

    /// The core of the worker in a slot.
    pub(crate) fn core(&self, slot: u8) -> Option<usize> {
        self.cores.iter().copied().cycle().nth(slot.into())
    }

    /// Starts a process and sends it all that it needs; it says when it is ready. A program of the system is ready at once.
    /// `own`: place of the stack whose own worker it is.
    pub(crate) fn start(
        &mut self,
        process: Process,
        generation: u32,
        own: Option<usize>,
        owners: &[u8],
        workers: &[WorkerInfo],
    ) -> Result<Running> {
        if process.is_managed() {
            return self.start_managed(process);
        }
        if let Process::Worker(slot) = process {
            self.memory.renew(slot)?;
        }
        let (socket, theirs) = Socket::pair()?;
        // Before the process: what it needs waits for it, and a set-up that cannot be sent starts nothing.
        self.set_up(&socket, process, generation, own, false)?;
        self.hand_over(&socket, process, owners, workers)?;
        self.spawn(process, generation, own, socket, theirs.as_fd())
    }

    fn start_managed(&mut self, process: Process) -> Result<Running> {
        let (reader, writer) = io::pipe().context("cannot make a pipe")?;
        let child = self.managed.start(process, &self.data_dir, writer.as_fd())?;
        Ok(Running { process: child, socket: None, output: Output::new(process, Some(reader))? })
    }

    /// Starts a process that is to take the place of another one, and sends it what does not depend on that one.
    pub(crate) fn start_standby(
        &mut self,
        process: Process,
        generation: u32,
        own: Option<usize>,
    ) -> Result<Running> {
        if let Process::Worker(slot) = process {
            self.memory.prepare(slot)?;
        }
        let (socket, theirs) = Socket::pair()?;
        self.set_up(&socket, process, generation, own, true)?;
        socket.send(&Parent::Prepare, &[])?;
        self.spawn(process, generation, own, socket, theirs.as_fd())
    }

    fn spawn(
        &self,
        process: Process,
        generation: u32,
        own: Option<usize>,
        socket: Socket,
        theirs: BorrowedFd<'_>,
    ) -> Result<Running> {
        let Generation { programs, config } = self.generation(generation)?;
        let stacks = config.stacks.all();
        let stack = own.and_then(|own| stacks.get(own));
        let third_party = stack.and_then(|stack| Some((stack.name, stack.program?.file_name()?)));
        let name = third_party.map(|(_, file)| file.to_string_lossy());
        let (program, name, cpu) = match (process, third_party) {
            (Process::Worker(slot), Some((stack, _))) => {
                (programs.of_stack(stack)?, name.as_deref().unwrap_or_default(), self.core(slot))
            }
            (Process::Worker(slot), None) => (programs.worker(), "bm-worker", self.core(slot)),
            (Process::Services, _) => (programs.services(), "bm-services", None),
            (Process::Registry | Process::Broker, _) => bail!("{process} is none of our programs"),
        };
        let (reader, writer) = io::pipe().context("cannot make a pipe")?;
        let spawn = Spawn { program, name, channel: theirs, output: writer.as_fd(), cpu };
        let child = spawn.start().with_context(|| format!("cannot start {name}"))?;
        Ok(Running { process: child, socket: Some(socket), output: Output::new(process, Some(reader))? })
    }

    fn generation(&self, number: u32) -> Result<&Generation> {
        self.generations.get(&number).ok_or_else(|| anyhow!("generation {number} of the programs is gone"))
    }

    /// The stacks that a worker may serve: its own alone, or all of ours. What is told to those of a third party nobody else
    /// knows.
    fn stacks_for(&self, config: &Config, own: Option<usize>) -> Vec<StackSetup> {
        let all = config.stacks.all().into_iter().zip(&self.stacks).enumerate();
        let its = all.filter(|(place, (stack, _))| match own {
            Some(own) => own == *place,
            None => stack.program.is_none(),
        });
        its.map(|(_, (stack, bound))| StackSetup { options: stack.options.0, ..bound.clone() }).collect()
    }

    /// What a process needs whatever it serves.
    fn set_up(
        &self,
        socket: &Socket,
        process: Process,
        generation: u32,
        own: Option<usize>,
        is_standby: bool,
    ) -> Result<()> {
        let (memory, config) = (&self.memory, &self.generation(generation)?.config);
        let Process::Worker(slot) = process else {
            let again = self.have_served.contains(&generation);
            let mut config = self.managed.resolve(config);
            // They reach no other host and serve no stack.
            config.stacks.third_party.values_mut().for_each(|stack| stack.options = Options::default());
            let fastforward = config.stacks.fastforward.iter_mut();
            fastforward.for_each(|fastforward| fastforward.keys = NetworkKeys::default());
            let setup = ServicesSetup { config, data_dir: self.data_dir.clone(), again, generation };
            let fds = [
                memory.bells.writable(),
                memory.services_wake.as_fd(),
                memory.services_page.writable(),
                self.requests.as_fd(),
            ];
            return Ok(socket.send(&Parent::Services(Box::new(setup)), &fds)?);
        };
        let worker = memory.workers.get(&slot).with_context(|| format!("worker {slot} has no memory"))?;
        let setup = WorkerSetup {
            slot,
            node: worker.node,
            stacks: self.stacks_for(config, own),
            salt_key: self.salt_key,
            wake_us: self.wake_us,
            calls: call_rules(config),
            devices: config.access.devices.clone(),
            call_signs: config.access.calls.clone(),
        };
        if own.and_then(|own| config.stacks.all().get(own)?.program).is_some() {
            // It may be of any build.
            socket.send(&Parent::Build { abi: fabric::ABI }, &[])?;
        }
        let segment = if is_standby { worker.next.as_ref() } else { None };
        let fds = [
            memory.bells.writable(),
            worker.wake.as_fd(),
            memory.services_wake.as_fd(),
            worker.stats_page.writable(),
            segment.unwrap_or(&worker.segment).writable(),
            worker.reports.writable(),
            worker.orders.writable(),
        ];
        socket.send(&Parent::Worker(Box::new(setup)), &fds)?;
        let Some(fastforward) = &config.stacks.fastforward else { return Ok(()) };
        let port = self.ports.get(slot).with_context(|| format!("worker {slot} has no port"))?;
        Ok(socket.send(&Parent::FastForward(Box::new(fastforward_for(config, fastforward))), &[port])?)
    }

    /// What a process serves, and whom with; then it begins. `owners`: slot of the worker that serves each shard.
    pub(crate) fn hand_over(
        &mut self,
        socket: &Socket,
        process: Process,
        owners: &[u8],
        workers: &[WorkerInfo],
    ) -> Result<()> {
        match process {
            Process::Worker(slot) => {
                let its = (0..).zip(owners).filter(|&(_, &owner)| owner == slot);
                self.import(&its.map(|(number, _)| number).collect::<Vec<u16>>());
                self.hand_over_to_worker(socket, slot, owners)?;
            }
            Process::Services => self.hand_over_to_services(socket, owners, workers)?,
            Process::Registry | Process::Broker => bail!("{process} is none of our programs"),
        }
        Ok(socket.send(&Parent::Go, &[])?)
    }

    /// What a worker is to serve comes from memory of another ABI, where it is still there.
    fn import(&mut self, shards: &[u16]) {
        let Some(foreign) = &mut self.foreign else { return };
        let Some((shards, export)) = foreign.export(shards) else { return };
        let memory = &self.memory;
        let imported = export.and_then(|export| {
            for &number in &shards {
                let Some(shard) = memory.shards.get(usize::from(number)) else { continue };
                export.restore(number, &mut StateWriter::open(shard.state.writable())?);
            }
            Ok(())
        });
        if let Err(error) = imported {
            say::log(&format!(
                "shards {shards:?} START EMPTY, and their repeaters have to log in again, since they could not be taken over \
                 from the build before: {error:#}"
            ));
        }
    }

    fn hand_over_to_worker(&self, socket: &Socket, slot: u8, owners: &[u8]) -> Result<()> {
        for &other in self.memory.workers.keys().filter(|&&other| other != slot) {
            self.introduce(socket, other)?;
        }
        if let Some(before) = self.memory.workers.get(&slot).and_then(|worker| worker.before.as_ref()) {
            take_over(socket, vec![], before)?;
        }
        let its = self.memory.shards.iter().zip(owners).filter(|&(_, &owner)| owner == slot);
        its.map(|(shard, _)| shard).try_for_each(|shard| give(socket, shard))
    }

    /// Gives shards to a worker that runs; it has been told to stand still. `places`: how far the one that had them has
    /// read the rings.
    pub(crate) fn adopt(
        &mut self,
        socket: &Socket,
        from: u8,
        places: Vec<RingPlace>,
        shards: &[u16],
    ) -> Result<()> {
        self.import(shards);
        if let Some(worker) = self.memory.workers.get(&from) {
            take_over(socket, places, &worker.segment)?;
        }
        let its = shards.iter().filter_map(|&number| self.memory.shards.get(usize::from(number)));
        its.into_iter().try_for_each(|shard| give(socket, shard))?;
        Ok(socket.send(&Parent::Go, &[])?)
    }

    /// Gives the worker at `socket` the segment of the one in slot `other`.
    pub(crate) fn introduce(&self, socket: &Socket, other: u8) -> Result<(), channel::Error> {
        let Some(worker) = self.memory.workers.get(&other) else { return Ok(()) };
        let end =
            WorkerReader::open(worker.segment.read_only(), (0, 0)).map_or((0, 0), |reader| reader.place());
        let sibling = Parent::Sibling { slot: other, node: worker.node, end };
        socket.send(&sibling, &[worker.segment.read_only(), worker.wake.as_fd()])
    }

    fn hand_over_to_services(&self, socket: &Socket, owners: &[u8], workers: &[WorkerInfo]) -> Result<()> {
        for &slot in self.memory.workers.keys() {
            self.show_worker(socket, slot)?;
        }
        for (shard, &owner) in self.memory.shards.iter().zip(owners) {
            show_shard(socket, shard, owner)?;
        }
        for worker in workers {
            socket.send(&Parent::WorkerInfo(worker.clone()), &[])?;
        }
        Ok(())
    }

    /// Gives the services what they share with the worker in a slot.
    pub(crate) fn show_worker(&self, socket: &Socket, slot: u8) -> Result<()> {
        let Some(worker) = self.memory.workers.get(&slot) else { return Ok(()) };
        let fds = [
            worker.wake.as_fd(),
            worker.stats_page.read_only(),
            worker.reports.writable(),
            worker.orders.writable(),
        ];
        Ok(socket.send(&Parent::Pages { slot, node: worker.node }, &fds)?)
    }
}

/// Tells the services who serves a shard.
pub(crate) fn show_shard(socket: &Socket, shard: &Shard, owner: u8) -> Result<()> {
    let state = Parent::State { shard: describe(shard), worker: owner };
    Ok(socket.send(&state, &[shard.state.read_only()])?)
}

fn take_over(socket: &Socket, places: Vec<RingPlace>, before: &Segment) -> Result<()> {
    Ok(socket.send(&Parent::Takeover { places }, &[before.read_only()])?)
}

fn give(socket: &Socket, shard: &Shard) -> Result<()> {
    let sockets = shard.sockets.iter().map(AsFd::as_fd);
    let fds: Vec<BorrowedFd<'_>> = std::iter::once(shard.state.writable()).chain(sockets).collect();
    Ok(socket.send(&Parent::Shard(describe(shard)), &fds)?)
}

fn describe(shard: &Shard) -> ShardSetup {
    let Shard { number, stack, quarantined, .. } = shard;
    ShardSetup { number: *number, stack: stack.clone(), quarantined: quarantined.clone() }
}

/// What each worker is told of FastForward.
fn fastforward_for(config: &Config, fastforward: &FastForward) -> FastForwardSetup {
    let FastForward { listen, ports, keys: NetworkKeys(keys), .. } = fastforward;
    FastForwardSetup {
        listen: *listen,
        nodes: config.cluster.nodes.iter().zip(ports.iter()).take(MAX_WORKERS.into()).collect(),
        keys: keys.clone(),
        hosts: config.hosts.iter().filter_map(config::PeerAddress::socket).collect(),
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
    fn all_workers_know_the_ports_of_all_and_hosts_by_address() {
        let text = "cluster.nodes = \"7-9,5\"\n[stacks.fastforward]\nports = \"54001,54000,54002\"\nkey_file = \"/k\"\n\
                    [[hosts]]\naddress = \"a.test:1\"\n[[hosts]]\naddress = \"192.0.2.7:1\"\n";
        let mut config = Config::parse(text).unwrap();
        let mut fastforward = config.stacks.fastforward.clone().unwrap();
        fastforward.keys = NetworkKeys(vec![[1; 32], [2; 32]]);
        let setup = fastforward_for(&config, &fastforward);
        assert_eq!(setup.nodes, [(7, 54_001), (8, 54_000), (9, 54_002)]);
        assert_eq!(setup.keys, [[1; 32], [2; 32]]);
        assert_eq!(setup.hosts, ["192.0.2.7:1".parse().unwrap()]);
        config.cluster.nodes = "1-16777215".parse().unwrap();
        fastforward.ports = "1-65535".parse().unwrap();
        assert_eq!(fastforward_for(&config, &fastforward).nodes.len(), 127);
    }

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
        let services =
            ServicesSetup { config, data_dir: "/var/lib/bmctl".into(), again: false, generation: 0 };
        ours.send(&Parent::Services(Box::new(services)), &[]).unwrap();
        assert!(matches!(theirs.receive().unwrap(), Some((Parent::Services(_), _))));
    }
}
