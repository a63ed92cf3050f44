//! What an operator orders, and how it goes on: one order at a time.

use std::collections::VecDeque;
use std::time::Duration;

use config::Placement;
use control::State;

use super::member::{Member, name};
use super::moves::Moves;
use super::{Action, Policy, Process};

/// What an operator can order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Put a new process in this one's place; start it where it is not there.
    Restart(Process),
    /// Let others serve the shards of this worker, and end it.
    Drain(u8),
    /// Have so many workers that stacks share.
    Scale(u16),
    /// Replace all processes by those of a new generation, and place the stacks anew where `placements` is given.
    Roll { generation: u32, placements: Option<Vec<Placement>> },
}

#[derive(Debug)]
pub(super) struct Operation {
    order: Order,
    /// What is still to be replaced, and by which generation.
    queue: VecDeque<(Process, u32)>,
    /// What was replaced, and its generation before.
    done: Vec<(Process, u32)>,
    /// The generation before.
    pub(super) before: u32,
    /// The new generation has another ABI: what has gone to it does not come back.
    crosses: bool,
    /// A process of the new generation has taken the place of another.
    pub(super) has_promoted: bool,
    /// Why it failed; what was done is undone.
    pub(super) failure: Option<String>,
    /// What could not be undone.
    left_over: Vec<Process>,
    /// Stacks that are to be placed anew.
    pub(super) moves: Option<Moves>,
}

impl Policy {
    /// Begins to do what is ordered; how it goes on and ends is told by actions.
    ///
    /// # Errors
    /// Why it cannot be done now, or at all.
    pub(crate) fn order(&mut self, now: Duration, order: Order) -> Result<(), String> {
        if self.stopping {
            return Err("the cluster stops".to_owned());
        }
        if let Some(operation) = &self.operation {
            return Err(format!("{} is not done yet: wait for its end", describe(&operation.order)));
        }
        if !self.was_ready {
            return Err("the cluster is starting: wait until it is ready".to_owned());
        }
        let hands_over = match &order {
            Order::Drain(_) | Order::Scale(_) => true,
            Order::Roll { placements, .. } => placements.as_ref().is_some_and(|to| self.is_move(to)),
            Order::Restart(_) => false,
        };
        if let Some(process) = self.foreign.first()
            && hands_over
        {
            return Err(format!(
                "{process} is of the build before still, which cannot hand its shards over: `bmctl restart {}` first",
                name(*process)
            ));
        }
        let (mut queue, before, mut moves) = (VecDeque::new(), self.generation, None);
        match order {
            Order::Restart(process) => {
                let member = self.members.get_mut(&process).filter(|member| !member.is_retired);
                let member = member.ok_or_else(|| no_such(process))?;
                member.is_wanted = true;
                member.pardon();
                queue.push_back((process, member.generation));
            }
            Order::Drain(slot) => self.drain(slot)?,
            Order::Scale(count) => self.scale(now, count),
            Order::Roll { generation, ref placements } => {
                self.generation = generation;
                if !self.foreign.is_empty() {
                    // Nothing can be started any more that understands the memory of before.
                    self.members.values_mut().for_each(|member| member.generation = generation);
                }
                // Services last: they are told of workers, and not the other way round.
                let ours = self
                    .members
                    .iter()
                    .filter(|(process, member)| !process.is_managed() && !member.is_retired);
                queue.extend(ours.map(|(&process, _)| (process, generation)));
                if let Some(to) = placements.as_ref().filter(|to| self.is_move(to)) {
                    let begun = self.begin_moving(now, to);
                    queue.retain(|&(process, _)| !begun.leaves(process));
                    moves = Some(begun);
                }
            }
        }
        let crosses = !self.foreign.is_empty();
        self.operation = Some(Operation {
            crosses,
            has_promoted: false,
            order,
            queue,
            done: Vec::new(),
            before,
            failure: None,
            left_over: Vec::new(),
            moves,
        });
        self.advance(now);
        Ok(())
    }

    fn drain(&mut self, slot: u8) -> Result<(), String> {
        let process = Process::Worker(slot);
        if let Some(stack) = self.stack_of(slot) {
            let name = self.stack_name(stack);
            return Err(format!(
                "{process} is the own worker of {name}, which nobody else serves: `bmctl restart {slot}` puts a new process \
                 in its place; a stack of ours others serve after {name}.workers = \"all\" and `bmctl reload`"
            ));
        }
        let serves = |other: u8| {
            let member = self.members.get(&Process::Worker(other));
            other != slot && member.is_some_and(|member| member.is_wanted && member.is_ready())
        };
        let can_do_without = self.shared().into_iter().any(serves);
        let member = self.members.get_mut(&process).ok_or_else(|| no_such(process))?;
        if !member.is_wanted {
            return Err(format!("{process} is drained already; `bmctl restart {slot}` brings it back"));
        }
        if !can_do_without {
            return Err(format!(
                "no other worker is ready to take the shards of {process}: see `bmctl status`"
            ));
        }
        member.is_wanted = false;
        if !member.runs {
            (member.deadline, member.is_parked) = (None, false);
            member.set(State::Stopped);
        }
        Ok(())
    }

    fn scale(&mut self, now: Duration, count: u16) {
        self.count = count;
        let wanted = self.lowest(count);
        for &slot in &wanted {
            let process = Process::Worker(slot);
            let member = self.members.entry(process).or_insert_with(|| Member::new(self.generation));
            (member.is_wanted, member.is_retired) = (true, false);
            if !member.runs && !member.is_parked && member.deadline.is_none() {
                self.start(now, process);
            }
        }
        let surplus = self.slots().filter(|slot| !wanted.contains(slot) && !self.is_own(*slot));
        surplus.collect::<Vec<u8>>().into_iter().for_each(|slot| self.retire(slot));
    }

    /// The worker in this slot ends once others serve what it has.
    pub(super) fn retire(&mut self, slot: u8) {
        let Some(member) = self.members.get_mut(&Process::Worker(slot)) else { return };
        (member.is_wanted, member.is_retired) = (false, true);
        if !member.runs {
            (member.deadline, member.is_parked) = (None, false);
            member.set(State::Stopped);
        }
    }

    /// Workers that are not wanted end once they have no shards any more.
    pub(super) fn end_drained(&mut self, now: Duration) {
        let slots: Vec<u8> = self.slots().collect();
        for slot in slots {
            let process = Process::Worker(slot);
            let is_free = self.shards_of(slot).is_empty() && self.handover.is_none();
            let Some(member) = self.members.get(&process).filter(|member| !member.is_wanted && is_free)
            else {
                continue;
            };
            if member.is_ready() {
                self.tell_to_end(now, process);
            } else if !member.runs && member.is_retired {
                self.remove(slot);
            }
        }
    }

    /// Does the next step, where none is being done.
    pub(super) fn go_on_operating(&mut self, now: Duration) {
        if !self.newcomers_are_there(now) {
            return;
        }
        let Some(operation) = &mut self.operation else { return };
        if let Some((process, generation)) = operation.queue.pop_front() {
            return self.replace_or_start(now, process, generation);
        }
        if !self.go_on_moving(now) {
            return;
        }
        let Some(operation) = &mut self.operation else { return };
        let (order, before) = (operation.order.clone(), operation.before);
        let can_go_back = !(operation.crosses && operation.has_promoted);
        let (failure, left_over) = (operation.failure.clone(), operation.left_over.clone());
        let is_done = match order {
            Order::Restart(process) => match self.state(process).0 {
                State::Ready => Some(Ok(format!("{process} restarted"))),
                State::Failed => {
                    Some(Err(format!("{process} does not get ready: see `bmctl panics` and its output")))
                }
                _ => None,
            },
            Order::Drain(slot) => {
                let is_stopped = self.state(Process::Worker(slot)).0 == State::Stopped;
                if !is_stopped && !self.others_hold(now, slot) {
                    self.take_back(slot);
                    let why = "no other worker serves any more, so it goes on: see `bmctl status`";
                    return self
                        .actions
                        .push_back(Action::Finished(Err(format!("worker {slot} is not drained: {why}"))));
                }
                (is_stopped && self.shards_of(slot).is_empty())
                    .then(|| Ok(format!("worker {slot} drained: `bmctl restart {slot}` brings it back")))
            }
            Order::Scale(count) => self.is_scaled(now).map(|failed| match failed {
                None => Ok(format!("{count} worker{} now", if count == 1 { "" } else { "s" })),
                Some(process) => {
                    Err(format!("{process} does not get ready: see `bmctl panics` and its output"))
                }
            }),
            Order::Roll { generation, .. } => {
                let all_back = self.members.values().all(|member| member.state() != State::Starting);
                // With some of two builds, new processes are of the new one.
                let is_back = failure.is_some() && can_go_back;
                all_back.then(|| {
                    self.settle(if is_back { before } else { generation });
                    if is_back {
                        self.actions.push_back(Action::GoBack);
                    }
                    match failure {
                        None => Ok("all processes replaced".to_owned()),
                        Some(why) if is_back => Err(undone(&why, &left_over)),
                        Some(why) => Err(format!("{why}; all others are of the new build")),
                    }
                })
            }
        };
        if let Some(result) = is_done {
            self.operation = None;
            self.actions.push_back(Action::Finished(result));
        }
    }

    /// A worker is not drained after all.
    fn take_back(&mut self, slot: u8) {
        self.operation = None;
        if let Some(member) = self.members.get_mut(&Process::Worker(slot)) {
            member.is_wanted = true;
        }
    }

    /// All processes are started from this generation from now on.
    fn settle(&mut self, generation: u32) {
        self.generation = generation;
        self.members.values_mut().for_each(|member| member.generation = generation);
        self.actions.push_back(Action::Settled(generation));
    }

    /// `Some` where scaling has come to its end: with who is in the way, if anybody.
    fn is_scaled(&self, now: Duration) -> Option<Option<Process>> {
        let is_meant = |process: &Process| match process {
            Process::Worker(slot) => !self.is_own(*slot),
            process => !process.is_managed(),
        };
        let mut ours = self.members.iter().filter(|(process, _)| is_meant(process));
        let failed = ours.clone().find(|(_, member)| member.is_wanted && member.state() == State::Failed);
        if let Some((&process, _)) = failed {
            return Some(Some(process));
        }
        let is_done = |member: &Member| if member.is_wanted { member.is_ready() } else { !member.is_retired };
        (ours.all(|(_, member)| is_done(member)) && self.is_spread(now)).then_some(None)
    }

    fn replace_or_start(&mut self, now: Duration, process: Process, generation: u32) {
        let Some(member) = self.members.get_mut(&process) else { return };
        if member.runs && !member.is_told {
            return self.begin_replacing(now, process, generation, true);
        }
        let before = std::mem::replace(&mut member.generation, generation);
        if let Some(operation) = &mut self.operation {
            operation.done.push((process, before));
            let is_restart = matches!(operation.order, Order::Restart(_));
            // One that is drained or left alone is of the new generation when it is started again.
            if !is_restart {
                return;
            }
        }
        // One that was told to end while it was drained is started when it has.
        if self.members.get(&process).is_some_and(|member| !member.runs) {
            self.start(now, process);
        }
    }

    /// A process was replaced.
    pub(super) fn step_done(&mut self, process: Process) {
        if let Some(operation) = self.operation.as_mut()
            && matches!(operation.order, Order::Roll { .. })
        {
            operation.done.push((process, operation.before));
        }
    }

    /// A process could not be replaced: what was replaced before goes back.
    pub(super) fn step_failed(&mut self, now: Duration, process: Process, why: String) {
        self.actions.push_back(Action::Progress(why.clone()));
        let Some(operation) = &mut self.operation else { return };
        match operation.order {
            // On with the others: nothing can go back.
            Order::Roll { .. } if operation.crosses && operation.has_promoted => {
                operation.failure.get_or_insert(why);
                operation.left_over.push(process);
            }
            Order::Roll { .. } if operation.failure.is_none() => {
                operation.failure = Some(why);
                operation.queue = operation.done.drain(..).rev().collect();
                self.move_back(now);
            }
            Order::Roll { .. } => operation.left_over.push(process),
            Order::Restart(_) | Order::Drain(_) | Order::Scale(_) => {
                self.operation = None;
                self.actions.push_back(Action::Finished(Err(why)));
            }
        }
    }
}

fn no_such(process: Process) -> String {
    format!("there is no {process}: `bmctl status` shows all")
}

/// Why all is as it was before.
fn undone(why: &str, left_over: &[Process]) -> String {
    let left_over: Vec<String> = left_over.iter().map(ToString::to_string).collect();
    match left_over.is_empty() {
        true => format!("{why}; all is as it was before"),
        false => format!(
            "{why}; all is as it was before, but for {}: `bmctl restart` it when it can be",
            left_over.join(", ")
        ),
    }
}

/// An order in words.
fn describe(order: &Order) -> String {
    match order {
        Order::Restart(process) => format!("the restart of {}", name(*process)),
        Order::Drain(slot) => format!("the drain of worker {slot}"),
        Order::Scale(count) => format!("scaling to {count}"),
        Order::Roll { .. } => "the replacement of all processes".to_owned(),
    }
}
