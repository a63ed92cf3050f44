//! Who talks on a talkgroup: one at a time on all hosts. Who has the smaller ID wins: the first by the wall clock, then the
//! one at the lower node ID. All workers that listen hear of both and decide alike: by nothing but the IDs, since how long
//! somebody has talked is another thing for each of them, where workers hang and hosts hear each other late or not at all.

use stack::Now;

use crate::Switch;
use crate::guard::is_copy;
use crate::io::{Ended, Output, Refused};
use crate::session::Standing;

impl Switch {
    /// A burst of a session came that is not carried yet: is it now?
    pub(crate) fn contest(&mut self, now: Now, index: u16) -> bool {
        let Some(session) = self.sessions.get(index) else { return false };
        let id = session.id;
        if let Some(group) = session.group.filter(|_| session.call.is_voice()) {
            let talker = self.groups.get(group).talker.filter(|&other| other != index);
            if let Some(other) = talker
                && let Some(rival) = self.sessions.get(other)
            {
                // Of its own sessions a worker has decided itself: the newer one has taken the place of the older,
                // whose end was lost. One with the same start has moved to another worker. What comes from afar may have
                // overtaken the other one on its way.
                let is_far = session.is_far() || rival.is_far();
                let is_sequel = !is_far
                    && !session.origin.is_local()
                    && !rival.origin.is_local()
                    && (id.node == rival.id.node && id > rival.id || id.key == rival.id.key);
                if is_sequel {
                    self.end(now, other, Ended::Superseded);
                    return self.contest(now, index);
                }
                let is_first = id < rival.id;
                // Its worker may hang, or its host be out of reach. Of its own sessions a worker ends those that are silent. When
                // it is heard again it has the talk again, as it has where it came in.
                let is_silent = rival.origin.is_remote() && rival.falls_silent() <= now.mono;
                let wins = is_first || is_silent;
                let is_same = session.call.is_same(rival.call);
                // Clocks of two hosts do not tell which one is the copy: it waits, and comes to an end by itself.
                let is_copied = is_same && !is_far && is_copy(id.max(rival.id), id.min(rival.id));
                let gives_way = is_silent && !is_first;
                let loser = if wins { other } else { index };
                if wins {
                    // First, so that what the other one leaves is its own.
                    self.take_the_talk(group, index);
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
            self.take_the_talk(group, index);
        } else {
            self.be_carried(index);
        }
        self.make_routes(now, index);
        true
    }

    fn take_the_talk(&mut self, group: u32, index: u16) {
        self.groups.set_talker(group, Some(index));
        self.be_carried(index);
    }

    /// A session is carried from now on, and who was told otherwise hears of it.
    pub(crate) fn be_carried(&mut self, index: u16) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        (session.standing, session.is_echo) = (Standing::Carried, false);
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
        if self.groups.get(group).talker.is_some_and(|talker| talker == index) {
            self.groups.set_talker(group, None);
        }
    }
}
