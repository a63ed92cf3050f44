//! Who hangs: whose packet loop does not come round any more. It says so by itself; nobody else can say it for it.

use std::time::Duration;

use super::{Action, Policy, Process};

/// How often the beats are looked at.
const EVERY: Duration = Duration::from_millis(250);
/// A supervisor that could not look for so long has itself been held up, and knows nothing of the others.
const HELD_UP: Duration = Duration::from_secs(1);

/// How long a loop may stay away until that is said, until the process is aborted, and from there until it is killed.
struct Limits {
    stalled: Duration,
    aborted: Duration,
    killed: Duration,
}

impl Limits {
    /// `None`: it says nothing of its loop.
    const fn of(process: Process) -> Option<Self> {
        Some(match process {
            Process::Worker(_) => Self {
                stalled: Duration::from_secs(1),
                aborted: Duration::from_secs(3),
                killed: Duration::from_secs(1),
            },
            // Their loop waits for a disk.
            Process::Services => Self {
                stalled: Duration::from_secs(5),
                aborted: Duration::from_secs(15),
                killed: Duration::from_secs(1),
            },
            Process::Registry | Process::Broker => return None,
        })
    }
}

impl Policy {
    pub(super) fn beat(&mut self, now: Duration, process: Process, beat: u64) {
        let Some(member) = self.members.get_mut(&process) else { return };
        if member.beat != beat {
            (member.beat, member.beat_at) = (beat, now);
            if std::mem::take(&mut member.is_stalled) {
                self.say(format!("{process} comes round again"));
            }
        }
    }

    pub(super) fn next_watch(&self) -> Option<Duration> {
        let is_watched = self.members.values().any(|member| member.is_ready());
        (is_watched && !self.stopping).then_some(self.watched + EVERY)
    }

    /// Looks whose loop has not come round.
    pub(super) fn watch(&mut self, now: Duration) {
        let since = now.saturating_sub(std::mem::replace(&mut self.watched, now));
        if self.stopping {
            return;
        }
        let mut stalled = Vec::new();
        for (&process, member) in self.members.iter_mut().filter(|(_, member)| member.is_ready()) {
            if since > HELD_UP {
                member.beat_at += since;
                continue;
            }
            let Some(limits) = Limits::of(process) else { continue };
            let silent = now.saturating_sub(member.beat_at);
            if silent >= limits.aborted && !member.is_condemned {
                member.is_condemned = true;
                member.deadline = Some(now + limits.killed);
                self.actions.push_back(Action::Abort(process));
            } else if silent >= limits.stalled && !member.is_stalled {
                member.is_stalled = true;
                stalled.push((process, limits));
            }
        }
        for (process, limits) in stalled {
            self.say(format!(
                "{process} has not come round for {} s: it is aborted after {} s",
                limits.stalled.as_secs(),
                limits.aborted.as_secs()
            ));
        }
    }
}
