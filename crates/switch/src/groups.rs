//! Talkgroups: who is subscribed to them, which sessions are for them, and who talks.

use rustc_hash::FxHashMap;

use crate::session::Member;

/// A talkgroup that somebody here is subscribed to or that a session is for.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) talkgroup: u32,
    pub(crate) members: Vec<Member>,
    /// The voice session that is heard.
    pub(crate) talker: Option<u16>,
    sessions: u32,
    /// How many of the sessions contend for it here: they must know of those of siblings.
    contenders: u32,
}

impl Group {
    /// Siblings are to send their calls to this talkgroup.
    fn is_wanted(&self) -> bool {
        !self.members.is_empty() || self.contenders > 0
    }
}

/// All of them, by a number each that lives as long as it has members or sessions.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_talkgroup: FxHashMap<u32, u32>,
    all: Vec<Group>,
    free: Vec<u32>,
}

impl Groups {
    pub(crate) fn get(&self, group: u32) -> &Group {
        &self.all[group as usize]
    }

    /// Somebody here listens to the talkgroup or talks on it.
    pub(crate) fn is_wanted(&self, talkgroup: u32) -> bool {
        self.find(talkgroup).is_some_and(|group| self.get(group).is_wanted())
    }

    fn find(&self, talkgroup: u32) -> Option<u32> {
        self.by_talkgroup.get(&talkgroup).copied()
    }

    fn find_or_make(&mut self, talkgroup: u32) -> u32 {
        if let Some(group) = self.find(talkgroup) {
            return group;
        }
        let group = match self.free.pop() {
            Some(group) => {
                let old = &mut self.all[group as usize];
                old.talkgroup = talkgroup;
                group
            }
            None => {
                self.all.push(Group {
                    talkgroup,
                    members: Vec::new(),
                    talker: None,
                    sessions: 0,
                    contenders: 0,
                });
                u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.by_talkgroup.insert(talkgroup, group);
        group
    }

    fn drop_if_unused(&mut self, group: u32) {
        let old = &self.all[group as usize];
        if old.members.is_empty() && old.sessions == 0 {
            self.by_talkgroup.remove(&old.talkgroup);
            self.free.push(group);
        }
    }

    /// Adds a member that is not one yet. True where the talkgroup was not wanted before.
    pub(crate) fn add(&mut self, talkgroup: u32, member: Member) -> bool {
        let group = self.find_or_make(talkgroup);
        let group = &mut self.all[group as usize];
        let was_wanted = group.is_wanted();
        group.members.push(member);
        !was_wanted
    }

    /// Takes a member out. True where the talkgroup is not wanted any more.
    pub(crate) fn remove(&mut self, talkgroup: u32, member: Member) -> bool {
        let Some(index) = self.find(talkgroup) else { return false };
        let group = &mut self.all[index as usize];
        let Some(at) = group.members.iter().position(|&other| other == member) else { return false };
        // Order is kept: with it the order of delivery is the order of subscription.
        group.members.remove(at);
        let is_unwanted = !group.is_wanted();
        self.drop_if_unused(index);
        is_unwanted
    }

    /// A session for the talkgroup begins; its group stays until [`Self::leave`]. `true` where the talkgroup was
    /// not wanted before. `contends`: it is a voice session that began here.
    pub(crate) fn enter(&mut self, talkgroup: u32, contends: bool) -> (u32, bool) {
        let index = self.find_or_make(talkgroup);
        let group = &mut self.all[index as usize];
        let was_wanted = group.is_wanted();
        group.sessions += 1;
        group.contenders += u32::from(contends);
        (index, !was_wanted && group.is_wanted())
    }

    /// A session that is for the group already contends for it from now on. True where the talkgroup was not wanted
    /// before.
    pub(crate) fn contend(&mut self, index: u32) -> bool {
        let group = &mut self.all[index as usize];
        let was_wanted = group.is_wanted();
        group.contenders += 1;
        !was_wanted
    }

    /// A session that is for the group contends for it no longer. Returns its talkgroup where that is not wanted any
    /// more.
    pub(crate) fn concede(&mut self, index: u32) -> Option<u32> {
        let group = &mut self.all[index as usize];
        group.contenders -= 1;
        (!group.is_wanted()).then_some(group.talkgroup)
    }

    /// A session for the group has ended. Returns its talkgroup where that is not wanted any more.
    pub(crate) fn leave(&mut self, index: u32, contends: bool) -> Option<u32> {
        let group = &mut self.all[index as usize];
        let was_wanted = group.is_wanted();
        group.sessions -= 1;
        group.contenders -= u32::from(contends);
        let unwanted = (was_wanted && !group.is_wanted()).then_some(group.talkgroup);
        self.drop_if_unused(index);
        unwanted
    }

    /// From now on this session is heard, or none.
    pub(crate) fn set_talker(&mut self, group: u32, talker: Option<u16>) {
        self.all[group as usize].talker = talker;
    }

    /// The session that is heard on the talkgroup.
    pub(crate) fn talker(&self, talkgroup: u32) -> Option<u16> {
        self.get(self.find(talkgroup)?).talker
    }

    /// What must always be true; all groups with how many sessions each has.
    #[cfg(test)]
    pub(crate) fn check(&self) -> Vec<(&Group, u32)> {
        assert_eq!(self.by_talkgroup.len() + self.free.len(), self.all.len(), "a group is lost");
        let groups = self.by_talkgroup.iter().map(|(&talkgroup, &group)| {
            let group = self.get(group);
            assert_eq!(group.talkgroup, talkgroup);
            assert!(!group.members.is_empty() || group.sessions > 0, "{talkgroup} is kept for nobody");
            assert!(group.contenders <= group.sessions);
            (group, group.sessions)
        });
        groups.collect()
    }
}
