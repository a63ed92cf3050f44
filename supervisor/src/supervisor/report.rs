//! What the supervisor says of the cluster: to operators, and to the services.

use channel::{Parent, Socket, WorkerInfo};
use config::Url;
use control::{ClusterState, ServicesStatus, State, Status, StoreStatus, WorkerStatus};
use fabric::Counter;

use super::Supervisor;
use crate::policy::Process;

impl Supervisor {
    pub(super) fn tell_services(&mut self, about: Process) {
        let Process::Worker(slot) = about else { return };
        let info = self.worker_info(slot);
        if let Some(socket) = self.services() {
            // Services that do not read lose an event: they are told everything when they start again.
            let _ = socket.send(&Parent::WorkerInfo(info), &[]);
        }
    }

    /// The line to the services, where they are there and understand us.
    pub(super) fn services(&self) -> Option<&Socket> {
        let services = self.children.get(&Process::Services)?;
        services.socket.as_ref().filter(|_| !self.policy.is_foreign(Process::Services))
    }

    pub(super) fn worker_infos(&self) -> Vec<WorkerInfo> {
        self.nursery.memory.workers.keys().map(|&slot| self.worker_info(slot)).collect()
    }

    fn worker_info(&self, slot: u8) -> WorkerInfo {
        let process = Process::Worker(slot);
        let (state, restarts) = self.policy.state(process);
        let pid = self.children.get(&process).map(|child| child.process.pid());
        let (generation, ended) = (self.policy.generation(process).unwrap_or(0), self.last_end(process));
        WorkerInfo { slot, pid, state, restarts: restarts.into(), generation, ended }
    }

    /// How the last process in this place ended.
    fn last_end(&self, process: Process) -> Option<String> {
        let name = process.to_string();
        let death = self.deaths.iter().find(|death| death.process == name)?;
        let words = death.words.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
        Some(format!("{}{words}", death.how))
    }

    pub(super) fn pid_of(&self, process: Process) -> Option<u32> {
        self.children.get(&process).and_then(|child| u32::try_from(child.process.pid()).ok())
    }

    fn fact(&self, process: Process, name: &str) -> Option<String> {
        self.facts.get(&process)?.get(name).cloned()
    }

    pub(super) fn status(&self) -> Status {
        let workers = self.nursery.memory.workers.iter().map(|(&slot, memory)| {
            let process = Process::Worker(slot);
            let (state, restarts) = self.policy.state(process);
            let count = |counter| u32::try_from(memory.stats.get(counter)).unwrap_or(u32::MAX);
            let shards = self.policy.shards_of(slot);
            WorkerStatus {
                slot: slot.into(),
                node: memory.node,
                pid: self.pid_of(process),
                state,
                cpu: self.nursery.core(slot).and_then(|cpu| u16::try_from(cpu).ok()),
                stacks: self.stacks_of(&shards),
                contexts: count(Counter::Contexts),
                sessions: count(Counter::Sessions),
                restarts,
                shards: u16::try_from(shards.len()).unwrap_or(u16::MAX),
                lag: memory.stats.lag().to_vec(),
                ended: self.last_end(process),
                sandbox: self.fact(process, "sandbox"),
            }
        });
        let workers = workers.collect();
        let services = self.policy.state(Process::Services).0;
        let config = self.nursery.newest().map(|(_, generation)| &generation.config);
        let [registry, events] = [
            self.store("registry", Process::Registry, config.map(|config| &config.registry.url)),
            self.store("events", Process::Broker, config.map(|config| &config.events.url)),
        ];
        let is_degraded = [&registry, &events].into_iter().any(|store| store.state != State::Ready);
        let state = match () {
            () if self.policy.stopping() => ClusterState::Stopping,
            () if !self.policy.was_ready() => ClusterState::Starting,
            () if self.policy.all_ready() && !is_degraded => ClusterState::Ready,
            () => ClusterState::Degraded,
        };
        let stacks = self.nursery.stacks.iter();
        Status {
            state,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.now().as_secs(),
            workers,
            services: ServicesStatus {
                pid: self.pid_of(Process::Services),
                state: services,
                sandbox: self.fact(Process::Services, "sandbox"),
            },
            registry,
            events,
            listen: stacks.map(|stack| (stack.name.clone(), stack.listen.clone())).collect(),
            metrics: self.fact(Process::Services, "metrics"),
        }
    }

    /// A store or broker as the services see it: their fact of that name is `ready`, or what is wrong. `process`: what it
    /// is where the supervisor has started it, whose end is known here first.
    fn store(&self, name: &str, process: Process, url: Option<&Url>) -> StoreStatus {
        let services = self.policy.state(Process::Services).0;
        let url = url.unwrap_or(&Url::Embedded);
        let address = match url {
            Url::Remote(remote) => Some(remote.address.to_string()),
            Url::Managed => self.nursery.managed.address(process),
            Url::Embedded => None,
        };
        let (pid, restarts, url) = match url {
            Url::Managed => {
                let (state, restarts) = self.policy.state(process);
                let (pid, url) = (self.pid_of(process), url.to_string());
                if state != State::Ready {
                    let trouble = self.last_end(process).map(|ended| format!("ended with {ended}"));
                    return StoreStatus { url, address, pid, restarts: Some(restarts), state, trouble };
                }
                (pid, Some(restarts), url)
            }
            _ => (None, None, url.to_string()),
        };
        let said = self.fact(Process::Services, name).filter(|_| services == State::Ready);
        let (state, trouble) = match said {
            None => (services, None),
            Some(said) if said == "ready" => (State::Ready, None),
            Some(trouble) => (State::Failed, Some(trouble)),
        };
        StoreStatus { url, address, pid, restarts, state, trouble }
    }

    fn stacks_of(&self, shards: &[u16]) -> Vec<String> {
        let shards = shards.iter().filter_map(|&number| self.nursery.memory.shards.get(usize::from(number)));
        let mut stacks: Vec<String> = shards.map(|shard| shard.stack.clone()).collect();
        stacks.dedup();
        stacks
    }
}
