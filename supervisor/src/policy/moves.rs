//! A stack comes to a worker of its own, goes back to those that stacks share, or is shared by more or fewer of them: a part of
//! the replacement of all processes (`operation`). Who is to serve alone is started first; once it is ready and all others
//! have been replaced, shards go where they belong, and whoever has none any more ends. Until shards go, all can be put back
//! by ending those that were started; after that, by placing all stacks as they were.

use std::time::Duration;

use config::Placement;

use super::member::Member;
use super::{Action, Policy, Process};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Who is to serve alone gets ready.
    Starting,
    /// Processes are replaced.
    Replacing,
    /// Shards go where they belong.
    Moving,
}

#[derive(Debug)]
pub(super) struct Moves {
    stage: Stage,
    /// Each stack's placement before, and whether it had a worker of its own.
    before: Vec<(Placement, bool)>,
    after: Vec<Placement>,
    /// Slots of those that are to serve alone.
    come: Vec<u8>,
    /// Slots of those that are not needed any more.
    go: Vec<u8>,
}

impl Moves {
    /// It is not to be replaced, since it ends.
    pub(super) fn leaves(&self, process: Process) -> bool {
        matches!(process, Process::Worker(slot) if self.go.contains(&slot) || self.come.contains(&slot))
    }
}

impl Policy {
    /// A stack as its table is called.
    pub(super) fn stack_name(&self, stack: usize) -> String {
        self.names.get(stack).map_or_else(|| format!("stack {stack}"), |name| format!("stacks.{name}"))
    }

    /// Whether stacks are to be served by others than they are.
    pub(super) fn is_move(&self, to: &[Placement]) -> bool {
        to.len() == self.stacks.len() && (self.stacks != to || !self.newcomers(to).is_empty())
    }

    /// Stacks that get a worker of their own with these placements, and its slot: the first ones that nobody has.
    pub(crate) fn newcomers(&self, to: &[Placement]) -> Vec<(usize, u8)> {
        let free = (0..u8::MAX).filter(|&slot| !self.members.contains_key(&Process::Worker(slot)));
        let stacks = to.iter().zip(&self.own).enumerate();
        let stacks = stacks.filter(|(_, (to, own))| **to == Placement::Own && own.is_none());
        stacks.map(|(stack, _)| stack).zip(free).collect()
    }

    /// Begins to place all stacks anew. The new generation is in force.
    pub(super) fn begin_moving(&mut self, now: Duration, to: &[Placement]) -> Moves {
        let before = self.stacks.iter().copied().zip(self.own.iter().map(Option::is_some)).collect();
        for (stack, slot) in self.newcomers(to) {
            self.add_own(now, stack, slot, self.generation);
        }
        let (mut come, mut go) = (Vec::new(), Vec::new());
        for (stack, to) in to.iter().enumerate() {
            let Some(slot) = self.own[stack] else { continue };
            match (self.stacks[stack], to) {
                (Placement::Own, Placement::Own) if self.shards_of(slot).is_empty() => come.push(slot),
                (Placement::Own, Placement::Own) => {}
                (_, Placement::Own) => {
                    // One that was to go, and could not yet.
                    self.keep(now, slot);
                    come.push(slot);
                }
                (_, Placement::All | Placement::Number(_)) => go.push(slot),
            }
        }
        Moves { stage: Stage::Starting, before, after: to.to_vec(), come, go }
    }

    fn add_own(&mut self, now: Duration, stack: usize, slot: u8, generation: u32) {
        self.own[stack] = Some(slot);
        self.members.insert(Process::Worker(slot), Member::new(generation));
        self.start(now, Process::Worker(slot));
    }

    /// One that was to end does not.
    fn keep(&mut self, now: Duration, slot: u8) {
        let process = Process::Worker(slot);
        let Some(member) = self.members.get_mut(&process) else { return };
        (member.is_wanted, member.is_retired) = (true, false);
        if !member.runs && !member.is_parked && member.deadline.is_none() {
            self.start(now, process);
        }
    }

    fn moves(&mut self) -> Option<&mut Moves> {
        let operation = self.operation.as_mut().filter(|operation| operation.failure.is_none())?;
        operation.moves.as_mut()
    }

    /// Whether all that are to serve alone are ready, so that others can be replaced; once they have been, that is over.
    pub(super) fn newcomers_are_there(&mut self, now: Duration) -> bool {
        let Some(come) =
            self.moves().filter(|moves| moves.stage == Stage::Starting).map(|it| it.come.clone())
        else {
            return true;
        };
        if !self.can_go_on(now, &come) {
            return self.operation.as_ref().is_some_and(|operation| operation.failure.is_some());
        }
        for slot in come {
            let name = self.stack_of(slot).map(|stack| self.stack_name(stack)).unwrap_or_default();
            self.actions.push_back(Action::Progress(format!("worker {slot} ready, to serve {name} alone")));
        }
        if let Some(moves) = self.moves() {
            moves.stage = Stage::Replacing;
        }
        true
    }

    /// Whether those that are to serve alone are all ready. One that does not get on is the end of the order.
    fn can_go_on(&mut self, now: Duration, come: &[u8]) -> bool {
        let member = |slot: &u8| self.members.get(&Process::Worker(*slot));
        if let Some(&slot) = come.iter().find(|slot| member(slot).is_none_or(Member::is_hopeless)) {
            let why = format!("worker {slot} does not get ready: see `bmctl panics` and its output");
            self.step_failed(now, Process::Worker(slot), why);
            return false;
        }
        come.iter().all(|slot| member(slot).is_some_and(Member::is_ready))
    }

    /// Brings shards to where they belong, once all processes have been replaced. True where nothing is left to be done.
    pub(super) fn go_on_moving(&mut self, now: Duration) -> bool {
        let Some(moves) = self.moves() else { return self.are_gone(now) };
        let (come, go, after) = (moves.come.clone(), moves.go.clone(), moves.after.clone());
        if moves.stage != Stage::Moving {
            if !self.can_go_on(now, &come) {
                return false;
            }
            self.stacks.clone_from(&after);
            go.into_iter().for_each(|slot| self.retire(slot));
            if let Some(moves) = self.moves() {
                moves.stage = Stage::Moving;
            }
            // What follows from it begins with the next look.
            self.advance(now);
            return false;
        }
        if let Some((slot, why)) = self.obstacle(now, &come, &go) {
            self.step_failed(now, Process::Worker(slot), why);
            self.advance(now);
            return false;
        }
        let is_done = self.is_spread(now) && go.iter().all(|slot| !self.is_own(*slot));
        if is_done {
            self.tell_moved();
        }
        is_done
    }

    /// Who keeps shards from coming to where they belong, for longer than is waited for, and how.
    fn obstacle(&self, now: Duration, come: &[u8], go: &[u8]) -> Option<(u8, String)> {
        let lacks = |slot: u8| {
            let stack = self.stack_of(slot);
            self.shards.iter().any(|shard| Some(shard.stack) == stack && shard.owner != slot)
        };
        let is_hopeless = |slot: u8| {
            self.members.get(&Process::Worker(slot)).is_none_or(|member| member.is_hopeless()) && lacks(slot)
        };
        if let Some(&slot) = come.iter().find(|slot| is_hopeless(**slot)) {
            let why = format!("worker {slot} ends before it has all that it is to serve: see `bmctl panics`");
            return Some((slot, why));
        }
        let is_stuck = |slot: u8| !self.shards_of(slot).is_empty() && !self.others_hold(now, slot);
        let slot = *go.iter().find(|slot| is_stuck(**slot))?;
        Some((slot, format!("no other worker is there to take the shards of worker {slot}")))
    }

    fn tell_moved(&mut self) {
        let Some(moves) = self.operation.as_mut().and_then(|operation| operation.moves.take()) else {
            return;
        };
        for (stack, (before, after)) in moves.before.iter().zip(&moves.after).enumerate() {
            if (before.0 == *after) && !self.own[stack].is_some_and(|slot| moves.come.contains(&slot)) {
                continue;
            }
            let mut slots: Vec<u8> =
                self.shards.iter().filter(|shard| shard.stack == stack).map(|shard| shard.owner).collect();
            slots.sort_unstable();
            slots.dedup();
            let workers: Vec<String> = slots.iter().map(|slot| format!("worker {slot}")).collect();
            let name = self.stack_name(stack);
            self.actions
                .push_back(Action::Progress(format!("{name} is served by {} now", workers.join(", "))));
        }
    }

    /// All stacks are placed as before: who was started for it ends, and who was to end goes on.
    pub(super) fn move_back(&mut self, now: Duration) {
        let Some(operation) = &mut self.operation else { return };
        let (Some(moves), generation) = (operation.moves.take(), operation.before) else { return };
        for (stack, (placement, had_own)) in moves.before.into_iter().enumerate() {
            self.stacks[stack] = placement;
            match (had_own && placement == Placement::Own, self.own[stack]) {
                (true, Some(slot)) => self.keep(now, slot),
                // It has gone already.
                (true, None) => {
                    let free = self.newcomers(&self.stacks).into_iter().find(|(other, _)| *other == stack);
                    if let Some((_, slot)) = free {
                        self.add_own(now, stack, slot, generation);
                    }
                }
                (false, Some(slot)) => self.retire(slot),
                (false, None) => {}
            }
        }
        // One that does not run has nothing to end.
        self.end_drained(now);
    }

    /// Whether those of a stack's own that are not needed any more have ended, as far as anybody can take what they have.
    fn are_gone(&self, now: Duration) -> bool {
        let is_going = |slot: u8| {
            let member = self.members.get(&Process::Worker(slot));
            member.is_some_and(|member| member.is_retired)
                && (self.shards_of(slot).is_empty() || self.others_hold(now, slot))
        };
        !self.own.iter().flatten().any(|slot| is_going(*slot))
    }
}
