//! Who talks on a talkgroup: one at a time in the whole cluster. The first by the wall clock wins, then the one at
//! the lower node ID. All workers that listen hear of both and decide alike.

use std::time::Duration;

use stack::Now;

use crate::Switch;
use crate::io::{Output, Refused};
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
                let wins = id < rival.id && now.mono.since(since) < CONTEST;
                let is_echo = session.call.is_same(rival.call);
                let loser = if wins { other } else { index };
                let why = if is_echo { Refused::Loop } else { Refused::Taken };
                self.lose(now, loser, why);
                if !wins {
                    return false;
                }
            }
            self.groups.set_talker(group, Some((index, now.mono)));
        }
        if let Some(session) = self.sessions.get_mut(index) {
            session.standing = Standing::Carried;
        }
        true
    }

    fn lose(&mut self, now: Now, index: u16, why: Refused) {
        if why == Refused::Loop {
            return self.refuse(now, index, why);
        }
        let Some(session) = self.sessions.get_mut(index) else { return };
        let before = std::mem::replace(&mut session.standing, Standing::Waiting);
        if before == Standing::Waiting {
            return;
        }
        let (report, is_local) = (session.report(), session.origin.is_local());
        if before == Standing::Carried {
            self.fall_silent(now, index);
        }
        if is_local {
            self.out(Output::Refused { report, why });
        }
    }

    /// A session is not carried, for good.
    pub(crate) fn refuse(&mut self, now: Now, index: u16, why: Refused) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let before = std::mem::replace(&mut session.standing, Standing::Refused);
        if before == Standing::Refused {
            return;
        }
        let (report, group) = (session.report(), session.group);
        if before == Standing::Carried {
            self.fall_silent(now, index);
        }
        if let Some(group) = group
            && self.groups.get(group).talker.is_some_and(|(talker, _)| talker == index)
        {
            self.groups.set_talker(group, None);
        }
        self.out(Output::Refused { report, why });
    }
}
