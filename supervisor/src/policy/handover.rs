//! Shards go from one worker to another while calls run: the one that is to have them stands still, the one that has
//! them lets go, and the first takes them and goes on. One handover at a time; each takes about a millisecond.

use std::time::Duration;

use super::member::Member;
use super::{Action, LEAVE_TIME, Policy, Process};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Pausing,
    Releasing,
    Adopting,
}

#[derive(Debug)]
pub(super) struct Handover {
    from: u8,
    to: u8,
    shards: Vec<u16>,
    /// Of the pause of the one that is to have them.
    pause: u64,
    stage: Stage,
    /// Whoever is to have them was starting when they were let go, and is given them when it is ready.
    is_owed: bool,
    /// By then the stage is over, or whoever holds it up is killed.
    pub(super) deadline: Duration,
}

impl Policy {
    /// Begins the next handover that is wanted and possible.
    pub(super) fn begin_handover(&mut self, now: Duration) -> bool {
        if !self.was_ready {
            return false;
        }
        let Some((from, to)) = self.next_handover(now) else { return false };
        let targets = self.targets(now);
        let moves = (0..).zip(self.owners().zip(targets));
        let shards: Vec<u16> = moves
            .filter(|&(_, (owner, target))| (owner, target) == (from, to))
            .map(|(number, _)| number)
            .collect();
        let deadline = now + LEAVE_TIME;
        let (stage, pause) = (Stage::Pausing, self.pause([to]));
        self.handover = Some(Handover { from, to, shards, pause, stage, is_owed: false, deadline });
        true
    }

    /// Whether no shard is to be served by another worker than it is.
    pub(super) fn is_spread(&self, now: Duration) -> bool {
        self.owners().eq(self.targets(now))
    }

    fn next_handover(&self, now: Duration) -> Option<(u8, u8)> {
        let member = |slot| self.members.get(&Process::Worker(slot));
        let is_well = |member: &Member| member.is_ready() && !member.is_stalled && !member.is_condemned;
        let can_take = |slot| member(slot).is_some_and(is_well);
        let can_give = |slot| member(slot).is_none_or(|member| is_well(member) || !member.runs);
        // Builds of two ABIs do not understand each other's memory.
        let is_ours = |slot| !self.foreign.contains(&Process::Worker(slot));
        let mut moves = self.owners().zip(self.targets(now)).filter(|(from, to)| from != to);
        moves.find(|&(from, to)| is_ours(from) && is_ours(to) && can_give(from) && can_take(to))
    }

    /// Tells workers to stand still, and returns the number of that pause.
    pub(super) fn pause(&mut self, slots: impl IntoIterator<Item = u8>) -> u64 {
        self.pauses += 1;
        let number = self.pauses;
        self.actions.extend(slots.into_iter().map(|slot| Action::Pause { slot, number }));
        number
    }

    pub(super) fn paused(&mut self, now: Duration, slot: u8, number: u64) {
        self.is_quiet(now, slot, number);
        let from_runs = |from| self.members.get(&Process::Worker(from)).is_some_and(|member| member.runs);
        // An answer may be one to a pause that was called off.
        let is_awaited = |handover: &&mut Handover| {
            (handover.to, handover.pause, handover.stage) == (slot, number, Stage::Pausing)
        };
        let Some(handover) = self.handover.as_mut().filter(is_awaited) else { return };
        let (from, to) = (handover.from, handover.to);
        handover.deadline = now + LEAVE_TIME;
        if from_runs(from) {
            handover.stage = Stage::Releasing;
            let shards = handover.shards.clone();
            self.actions.push_back(Action::Release { from, to, shards });
        } else {
            self.adopt(false);
        }
    }

    pub(super) fn released(&mut self, now: Duration, slot: u8) {
        let is_awaited =
            |handover: &&mut Handover| handover.from == slot && handover.stage == Stage::Releasing;
        let Some(handover) = self.handover.as_mut().filter(is_awaited) else { return };
        handover.deadline = now + LEAVE_TIME;
        self.adopt(true);
    }

    /// The shards belong to whom they go to from now on.
    fn adopt(&mut self, was_alive: bool) {
        let Some(handover) = &mut self.handover else { return };
        handover.stage = Stage::Adopting;
        let (from, to, shards) = (handover.from, handover.to, handover.shards.clone());
        for &number in &shards {
            if let Some(shard) = self.shards.get_mut(usize::from(number)) {
                shard.owner = to;
            }
        }
        let Some(member) = self.members.get(&Process::Worker(to)) else { return };
        if member.is_ready() {
            self.actions.push_back(Action::Adopt { from, to, shards, was_alive });
        } else {
            // One that has died meanwhile is given them when it starts again, or is ready if it has started again.
            handover.is_owed = member.runs;
        }
    }

    /// A worker is ready, after it may have died over a handover.
    pub(super) fn taker_ready(&mut self, now: Duration, slot: u8) {
        let Some(handover) = self.handover.as_mut().filter(|it| it.to == slot && it.stage == Stage::Adopting)
        else {
            return;
        };
        if std::mem::take(&mut handover.is_owed) {
            handover.deadline = now + LEAVE_TIME;
            let (from, to, shards) = (handover.from, handover.to, handover.shards.clone());
            self.actions.push_back(Action::Adopt { from, to, shards, was_alive: false });
        } else {
            self.adopted(slot);
        }
    }

    pub(super) fn adopted(&mut self, slot: u8) {
        let is_over = |handover: &Handover| handover.to == slot && handover.stage == Stage::Adopting;
        if let Some(Handover { from, to, .. }) = self.handover.take_if(|handover| is_over(handover)) {
            self.actions.push_back(Action::Forget { from, to });
        }
    }

    /// A process has died that may be part of a handover.
    pub(super) fn owner_died(&mut self, process: Process) {
        let Process::Worker(slot) = process else { return };
        let is_off = |handover: &mut Handover| match handover.stage {
            Stage::Pausing => handover.to == slot || handover.from == slot,
            Stage::Releasing => handover.from == slot,
            // It is given the shards when it starts again.
            Stage::Adopting => false,
        };
        if let Some(handover) = self.handover.take_if(is_off)
            && handover.to != slot
        {
            self.actions.push_back(Action::Resume(handover.to));
        }
        // What it is owed it is given at its start.
        if let Some(handover) = self.handover.as_mut().filter(|handover| handover.to == slot) {
            handover.is_owed = false;
        }
    }

    pub(super) fn handover_due(&mut self, now: Duration) {
        if let Some(handover) = self.handover.as_mut().filter(|handover| handover.is_owed) {
            // Its start has a deadline of its own.
            handover.deadline = handover.deadline.max(now + LEAVE_TIME);
        }
        let Some(handover) = self.handover.take_if(|handover| handover.deadline <= now) else { return };
        let Handover { from, to, stage, .. } = handover;
        let slot = if stage == Stage::Releasing { from } else { to };
        match stage {
            Stage::Pausing => {}
            Stage::Releasing => self.actions.push_back(Action::Resume(to)),
            // Whoever starts anew is given them then.
            Stage::Adopting => self.actions.push_back(Action::Forget { from, to }),
        }
        if let Some(member) = self.members.get_mut(&Process::Worker(slot)).filter(|member| member.is_ready())
        {
            member.is_condemned = true;
            self.actions.push_back(Action::Kill(Process::Worker(slot), "does not hand its shards over"));
        }
    }
}
