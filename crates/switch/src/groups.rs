//! Talkgroups and who is subscribed to them.

use rustc_hash::FxHashMap;

use crate::session::Route;

/// A talkgroup that somebody here is subscribed to or that a session is for.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) talkgroup: u32,
    pub(crate) members: Vec<Route>,
    /// Changes whenever a session of the group has to make its routes again.
    pub(crate) version: u32,
    sessions: u32,
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

    /// Somebody here is subscribed to the talkgroup.
    pub(crate) fn has_members(&self, talkgroup: u32) -> bool {
        self.find(talkgroup).is_some_and(|group| !self.get(group).members.is_empty())
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
                (old.talkgroup, old.version) = (talkgroup, old.version.wrapping_add(1));
                group
            }
            None => {
                self.all.push(Group { talkgroup, members: Vec::new(), version: 0, sessions: 0 });
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

    /// Adds a member that is not one yet. True where it is the first.
    pub(crate) fn add(&mut self, talkgroup: u32, member: Route) -> bool {
        let group = self.find_or_make(talkgroup);
        let group = &mut self.all[group as usize];
        group.members.push(member);
        group.version = group.version.wrapping_add(1);
        group.members.len() == 1
    }

    /// Takes a member out. True where it was the last.
    pub(crate) fn remove(&mut self, talkgroup: u32, member: Route) -> bool {
        let Some(index) = self.find(talkgroup) else { return false };
        let group = &mut self.all[index as usize];
        let Some(at) = group.members.iter().position(|&other| other == member) else { return false };
        // Order is kept: with it the order of delivery is the order of subscription.
        group.members.remove(at);
        group.version = group.version.wrapping_add(1);
        let last = group.members.is_empty();
        self.drop_if_unused(index);
        last
    }

    /// A session for the talkgroup begins; its group stays until [`Self::leave`].
    pub(crate) fn enter(&mut self, talkgroup: u32) -> u32 {
        let group = self.find_or_make(talkgroup);
        self.all[group as usize].sessions += 1;
        group
    }

    /// A session for the group has ended.
    pub(crate) fn leave(&mut self, group: u32) {
        self.all[group as usize].sessions -= 1;
        self.drop_if_unused(group);
    }

    /// A slot of a subscriber got free: sessions of the talkgroup may go out on it.
    pub(crate) fn touch(&mut self, talkgroup: u32) {
        if let Some(group) = self.find(talkgroup) {
            let group = &mut self.all[group as usize];
            group.version = group.version.wrapping_add(1);
        }
    }

    /// What must always be true; all groups with how many sessions each has.
    #[cfg(test)]
    pub(crate) fn check(&self) -> Vec<(&Group, u32)> {
        assert_eq!(self.by_talkgroup.len() + self.free.len(), self.all.len(), "a group is lost");
        let groups = self.by_talkgroup.iter().map(|(&talkgroup, &group)| {
            let group = self.get(group);
            assert_eq!(group.talkgroup, talkgroup);
            assert!(!group.members.is_empty() || group.sessions > 0, "{talkgroup} is kept for nobody");
            (group, group.sessions)
        });
        groups.collect()
    }
}
