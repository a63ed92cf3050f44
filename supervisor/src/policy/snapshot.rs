//! What of the policy outlives an exec of the supervisor.

use std::collections::BTreeMap;
use std::time::Duration;

use config::Placement;
use control::State;
use serde::{Deserialize, Serialize};

use super::member::Member;
use super::{Policy, Process, Shard};

/// A cluster at rest: nothing is being replaced, handed over or started.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    count: u16,
    stacks: Vec<Placement>,
    #[serde(default)]
    own: Vec<Option<u8>>,
    shards: Vec<Shard>,
    generation: u32,
    /// An answer to the last pause may still come.
    pauses: u64,
    members: Vec<MemberSnapshot>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MemberSnapshot {
    process: Process,
    runs: bool,
    is_wanted: bool,
    #[serde(default)]
    is_retired: bool,
    is_parked: bool,
    restarts: u32,
    generation: u32,
}

impl Policy {
    /// What there is.
    ///
    /// # Errors
    /// Where the cluster is not at rest, and why.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, String> {
        if self.stopping || !self.was_ready || self.operation.is_some() || !self.actions.is_empty() {
            return Err("the cluster starts or stops, or an order is not done yet".to_owned());
        }
        let is_at_rest =
            |member: &Member| if member.runs { member.is_ready() && !member.is_stalled } else { true };
        let busy = self.members.iter().find(|(_, member)| !is_at_rest(member));
        if let Some((process, _)) = busy {
            return Err(format!("{process} is not ready: see `bmctl status`"));
        }
        if self.handover.is_some() || self.replacement.is_some() {
            return Err("shards are being handed over: try again in a moment".to_owned());
        }
        let members = self.members.iter().map(|(&process, member)| MemberSnapshot {
            process,
            runs: member.runs,
            is_wanted: member.is_wanted,
            is_retired: member.is_retired,
            is_parked: member.is_parked,
            restarts: member.restarts,
            generation: member.generation,
        });
        Ok(Snapshot {
            count: self.count,
            stacks: self.stacks.clone(),
            own: self.own.clone(),
            shards: self.shards.clone(),
            generation: self.generation,
            pauses: self.pauses,
            members: members.collect(),
        })
    }

    /// Goes on with what there was.
    pub(crate) fn resume(now: Duration, snapshot: Snapshot) -> Self {
        let Snapshot { count, stacks, mut own, shards, generation, pauses, members } = snapshot;
        // A supervisor that knew of no own workers has left none: such a stack is shared until its placement changes.
        own.resize(stacks.len(), None);
        let members: BTreeMap<Process, Member> = members
            .into_iter()
            .map(|it| {
                let mut member = Member::new(it.generation);
                (member.is_wanted, member.is_retired) = (it.is_wanted, it.is_retired);
                member.is_parked = it.is_parked;
                (member.restarts, member.beat_at) = (it.restarts, now);
                if it.runs {
                    member.go_on(now);
                } else if it.is_wanted {
                    member.set(State::Failed);
                    member.deadline = (!it.is_parked).then_some(now);
                } else {
                    member.set(State::Stopped);
                }
                (it.process, member)
            })
            .collect();
        let watched = now;
        Self {
            members,
            count,
            stacks,
            own,
            shards,
            generation,
            pauses,
            watched,
            was_ready: true,
            ..Self::empty()
        }
    }
}
