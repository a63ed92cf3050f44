//! What kills its owner again and again: a row of a shard is not read any more, a shard starts empty.
//!
//! A death by SIGKILL from elsewhere is nobody's fault. One death over a row is not either: it may have come by chance
//! while that was worked on, and its repeater must not have to log in again for that.

use std::collections::VecDeque;
use std::time::Duration;

use fabric::Work;

use super::{Action, FIRST_BACKOFF, Policy, Process, WINDOW};

/// Deaths over one row until it is not read any more.
const OVER_A_ROW: usize = 2;
/// Deaths over one shard until it starts empty.
const OVER_A_SHARD: usize = 4;
/// More are not kept.
const MOST: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Blame {
    deaths: VecDeque<(Duration, Work)>,
}

impl Policy {
    /// A process has died over this.
    pub(super) fn blame(&mut self, now: Duration, process: Process, work: Option<Work>) {
        let Some(work) = work else { return };
        let deaths = &mut self.blame.deaths;
        deaths.push_back((now, work));
        while deaths.len() > MOST || deaths.front().is_some_and(|(at, _)| *at + WINDOW < now) {
            deaths.pop_front();
        }
        let count = |is: &dyn Fn(&Work) -> bool| deaths.iter().filter(|(_, other)| is(other)).count();
        let Work { shard, row } = work;
        if count(&|other| other.shard == shard) >= OVER_A_SHARD {
            deaths.retain(|(_, other)| other.shard != shard);
            self.say(format!(
                "shard {shard} has killed {process} {OVER_A_SHARD} times within {} s: it STARTS EMPTY, and its repeaters \
                 have to log in again",
                WINDOW.as_secs()
            ));
            self.actions.push_back(Action::Clear(shard));
        } else if let Some(row) = row.filter(|_| count(&|other| *other == work) >= OVER_A_ROW) {
            self.say(format!(
                "record {row} of shard {shard} has killed {process} {OVER_A_ROW} times within {} s: it is NOT READ ANY \
                 MORE, and its repeater has to log in again",
                WINDOW.as_secs()
            ));
            self.actions.push_back(Action::Quarantine { shard, row });
        } else {
            return;
        }
        // The cause is gone.
        if let Some(member) = self.members.get_mut(&process) {
            member.backoff = FIRST_BACKOFF;
        }
    }
}
