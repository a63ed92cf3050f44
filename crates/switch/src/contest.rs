//! Who talks on a talkgroup: one at a time in the whole cluster. The first by the wall clock wins, then the one at
//! the lower node ID. All workers that listen hear of both and decide alike.

use std::time::Duration;

use stack::Now;

use crate::Switch;
use crate::guard::is_copy;
use crate::io::{Ended, Output, Refused};
use crate::session::Standing;

/// So long a talker can be displaced by one who began earlier but is heard of later.
const CONTEST: Duration = Duration::from_millis(500);

impl Switch {
    /// A burst of a session came that is not carried yet: is it now?
    pub(crate) fn contest(&mut self, now: Now, index: u16) -> bool {
        let Some(session) = self.sessions.get(index) else { return false };
        let id = session.id;
        if let Some(group) = session.group.filter(|_| session.call.is_voice()) {
            let talker = self.groups.get(group).talker.filter(|&(other, _)| other != index);
            if let Some((other, since)) = talker
                && let Some(rival) = self.sessions.get(other)
            {
                // Of its own sessions a worker has decided itself: the newer one has taken the place of the older,
                // whose end was lost. One with the same start has moved to another worker.
                let is_sequel = !session.origin.is_local()
                    && !rival.origin.is_local()
                    && (id.node == rival.id.node && id > rival.id || id.key == rival.id.key);
                if is_sequel {
                    self.end(now, other, Ended::Superseded);
                    return self.contest(now, index);
                }
                // One that fell silent may have been so here alone: where it came in it has the talk still.
                let is_early = now.mono.since(since) < CONTEST || session.gave_way;
                let is_first = id < rival.id && is_early;
                // Its worker may hang. Of its own sessions a worker ends those that are silent.
                let is_silent = rival.origin.is_remote() && rival.falls_silent() <= now.mono;
                let wins = is_first || is_silent;
                let is_same = session.call.is_same(rival.call);
                let is_copied = is_same && is_copy(id.max(rival.id), id.min(rival.id));
                let gives_way = is_silent && !is_first;
                let loser = if wins { other } else { index };
                if wins {
                    // First, so that what the other one leaves is its own.
                    self.take_the_talk(now, group, index);
                }
                if let Some(session) = self.sessions.get_mut(loser) {
                    session.gave_way |= gives_way;
                }
                match is_same {
                    true if is_copied && !gives_way => self.refuse(now, loser, Refused::Loop),
                    true => self.wait(now, loser, Refused::Loop),
                    false => self.wait(now, loser, Refused::Taken),
                }
                if !wins {
                    return false;
                }
            }
            self.take_the_talk(now, group, index);
        } else {
            self.be_carried(index);
        }
        self.make_routes(now, index);
        true
    }

    fn take_the_talk(&mut self, now: Now, group: u32, index: u16) {
        self.groups.set_talker(group, Some((index, now.mono)));
        self.be_carried(index);
    }

    /// A session is carried from now on, and who was told otherwise hears of it.
    pub(crate) fn be_carried(&mut self, index: u16) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        (session.standing, session.is_echo, session.gave_way) = (Standing::Carried, false, false);
        if std::mem::take(&mut session.is_told_to_wait) {
            let report = session.report();
            self.out(Output::Carried { report });
        }
    }

    /// A session is not carried while another one is: another talker's, or the same call that came in elsewhere.
    pub(crate) fn wait(&mut self, now: Now, index: u16, why: Refused) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.is_echo = why == Refused::Loop;
        let before = std::mem::replace(&mut session.standing, Standing::Waiting);
        if before == Standing::Waiting {
            return;
        }
        let (report, is_local) = (session.report(), session.origin.is_local());
        session.is_told_to_wait = is_local;
        if before == Standing::Carried {
            self.fall_silent(now, index);
        }
        self.yield_talk(index);
        if is_local {
            self.out(Output::Refused { report, why });
            self.tell_unwanted(index, why);
        }
    }

    /// A session is not carried, for good.
    pub(crate) fn refuse(&mut self, now: Now, index: u16, why: Refused) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let before = std::mem::replace(&mut session.standing, Standing::Refused);
        if before == Standing::Refused {
            return;
        }
        let report = session.report();
        if before == Standing::Carried {
            self.fall_silent(now, index);
        }
        self.yield_talk(index);
        self.parrot.forget(index);
        self.out(Output::Refused { report, why });
        self.tell_unwanted(index, why);
    }

    /// A session is not the talker of its group any more, if it was.
    pub(crate) fn yield_talk(&mut self, index: u16) {
        let Some(group) = self.sessions.get(index).and_then(|session| session.group) else { return };
        if self.groups.get(group).talker.is_some_and(|(talker, _)| talker == index) {
            self.groups.set_talker(group, None);
        }
    }
}
