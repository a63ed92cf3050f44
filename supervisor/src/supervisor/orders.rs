//! What operators ask and order.

use config::{Config, Placement};
use control::{OperationInfo, Reply, SupervisorRequest};

use super::Supervisor;
use crate::children::Generation;
use crate::policy::{Event, Order, Process};
use crate::{reload, say};

impl Supervisor {
    pub(super) fn answer(&mut self) {
        for asked in self.requests.receive(self.now()) {
            match asked.request {
                SupervisorRequest::Status => asked.answer(Reply::Ok(self.status())),
                SupervisorRequest::Deaths => asked.answer(Reply::Ok(&self.deaths)),
                SupervisorRequest::Operation => asked.answer(Reply::Ok(&self.operation)),
                SupervisorRequest::Stop => {
                    asked.answer(Reply::Ok(()));
                    say::log("stop asked for: stopping");
                    self.handle(Event::Stop);
                }
                SupervisorRequest::Restart { worker } => {
                    let process = worker.map_or(Process::Services, Process::Worker);
                    asked.answer(self.order(format!("restart of {process}"), Order::Restart(process)).into());
                }
                SupervisorRequest::Drain { worker } => {
                    asked
                        .answer(self.order(format!("drain of worker {worker}"), Order::Drain(worker)).into());
                }
                SupervisorRequest::Scale { workers } => asked.answer(self.scale(workers).into()),
                SupervisorRequest::Reload => asked.answer(self.reload().into()),
                SupervisorRequest::Upgrade => {
                    let prepared = self.prepare_upgrade();
                    let is_prepared = prepared.is_ok();
                    asked.answer(prepared.into());
                    if is_prepared {
                        self.upgrade();
                    }
                }
                _ => asked.answer(Reply::<()>::Error("this supervisor does not know that request".into())),
            }
        }
    }

    /// Orders something that takes its time.
    fn order(&mut self, what: String, order: Order) -> Result<(), String> {
        if self.is_going_back {
            return Err("an upgrade is being undone: try again in a moment".to_owned());
        }
        let now = self.now();
        self.policy.order(now, order)?;
        say::log(&format!("{what} begins"));
        let number = self.operation.as_ref().map_or(0, |operation| operation.number + 1);
        self.operation = Some(OperationInfo { number, what, steps: Vec::new(), result: None });
        Ok(())
    }

    pub(super) fn config(&self) -> Result<&Config, String> {
        let newest = self.nursery.newest().map(|(_, generation)| &generation.config);
        newest.ok_or_else(|| "there is no configuration".to_owned())
    }

    fn scale(&mut self, workers: u16) -> Result<(), String> {
        if workers == 0 || workers > config::MAX_WORKERS {
            return Err(format!("{workers} workers: give 1 to {}", config::MAX_WORKERS));
        }
        self.config()?.nodes_for(workers).map_err(|error| error.to_string())?;
        let slots = self.policy.lowest(workers);
        self.with_ports(&slots, |it| it.order(format!("scaling to {workers}"), Order::Scale(workers)))
    }

    /// Orders something that takes workers in these slots, whose ports are bound first: where one cannot be had, nothing is
    /// ordered.
    fn with_ports(
        &mut self,
        slots: &[u8],
        order: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let fastforward = self.config()?.stacks.fastforward.clone();
        let bound = self.nursery.ports.bind(fastforward.as_ref(), slots.iter().copied());
        bound.map_err(|error| format!("{error:#}"))?;
        let begun = order(self);
        // Those that nobody is to have after all.
        self.nursery.ports.keep(self.policy.slots());
        begun
    }

    /// Reads the configuration again, and puts what has changed in force. Returns that.
    pub(super) fn reload(&mut self) -> Result<Vec<String>, String> {
        let Some(file) = &self.source.file else {
            return Err("the cluster was started without a file: start it with --config FILE".to_owned());
        };
        let new = Config::load(file, |name| std::env::var(name).ok());
        let mut new = new.map_err(|error| format!("{}: {error}", file.display()))?;
        if let Some(workers) = self.source.workers {
            new.cluster.workers = workers;
        }
        let changes = reload::changes(self.config()?, &new)?;
        if changes.is_empty() {
            return Ok(changes);
        }
        let placements: Vec<Placement> = new.stacks.all().iter().map(|stack| stack.workers).collect();
        self.check_nodes(&new, &placements)?;
        let Some((number, generation)) = self.nursery.newest() else { return Ok(changes) };
        let next = Generation { programs: generation.programs.clone(), config: new };
        let slots: Vec<u8> = self.policy.newcomers(&placements).into_iter().map(|(_, slot)| slot).collect();
        self.with_ports(&slots, |it| it.roll(number + 1, next, placements))?;
        self.systemd.reloading();
        Ok(changes)
    }

    /// Whether there are node IDs for all workers with these placements, those that begin before others end among them.
    fn check_nodes(&self, config: &Config, placements: &[Placement]) -> Result<(), String> {
        config.nodes_for(self.policy.count()).map_err(|error| error.to_string())?;
        let missing = self.policy.newcomers(placements).into_iter();
        let missing = missing.map(|(_, slot)| slot).find(|&slot| config.node(slot).is_none());
        missing.map_or(Ok(()), |slot| {
            Err(format!(
                "worker {slot} needs a node ID of its own before others end, and cluster.nodes has {}: move one stack after \
                 the other, or `bmctl scale` down first",
                config.cluster.nodes.count()
            ))
        })
    }

    /// Puts a new generation in the place of all processes.
    fn roll(&mut self, number: u32, next: Generation, placements: Vec<Placement>) -> Result<(), String> {
        self.nursery.generations.insert(number, next);
        let order = Order::Roll { generation: number, placements: Some(placements) };
        let begun = self.order("reload".to_owned(), order);
        if begun.is_err() {
            self.nursery.generations.remove(&number);
        }
        begun
    }
}
