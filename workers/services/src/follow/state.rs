//! What the services know of following: how it goes, what is on its way, what was refused.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use control::{RegistryInfo, Right};
use metrics::RegistryView;
use registry::{Change, Embedded, Error, Key, Mark, Refused, Space};
use tokio::sync::Notify;

use crate::log;
use crate::services::Services;

/// Records that are told when there is time, at most: beyond, the oldest is not told.
const MAX_OTHERS: usize = 10_000;
/// Refused records that are remembered.
const MAX_REFUSED: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct Following {
    /// A registry is configured.
    pub(crate) is_on: bool,
    /// Nothing of it has ever been read here: who may log in is not known.
    pub(crate) is_blind: bool,
    /// What was wrong last.
    pub(super) trouble: String,
    /// Whether it is followed now; `None` before that is known.
    pub(crate) is_ready: Option<bool>,
    /// It is there, and waits for an operator's word.
    pub(crate) is_held: bool,
    /// That word.
    pub(crate) confirmed: Option<Right>,
    pub(crate) confirming: Rc<Notify>,
    /// Something here is to be told there.
    pub(crate) changed: Rc<Notify>,
    /// It is followed, or waits for an operator.
    pub(crate) settled: Rc<Notify>,
    /// How many records it has, as far as that is known.
    pub(super) records_there: Option<u64>,
    /// How often news of it have been taken in.
    pub(super) heard: u64,
    /// All of it has been read since this process began.
    pub(super) has_read: bool,
    /// The first of our changes that it refuses, and why.
    pub(crate) denied: Option<String>,
    /// The same as it was told last.
    pub(super) told_denied: Option<String>,
    /// All that it has refused since they were tried last.
    pub(super) denied_keys: BTreeSet<(Space, Key)>,
    /// Why records of it are not followed, by space and key.
    pub(crate) refused: BTreeMap<(Space, String), String>,
    /// Spaces that it does not know.
    lacking: Vec<Space>,
    others: VecDeque<(Space, Key)>,
    queued: BTreeSet<(Space, Key)>,
    /// How many were not told.
    pub(crate) dropped: u64,
}

impl Following {
    /// Where a registry is configured, before it is known how it is.
    pub(crate) fn on(copy: &Embedded) -> Result<Self, Error> {
        let is_blind = super::copy::is_blind(copy)?;
        Ok(Self { is_on: true, is_blind, ..Self::default() })
    }

    /// Says that it is followed, or waits for an operator.
    pub(crate) fn settle(&self) {
        // Whoever comes later finds it.
        self.settled.notify_one();
    }

    /// The connection has ended.
    pub(super) fn let_go(&mut self) {
        (self.is_held, self.confirmed, self.records_there) = (false, None, None);
    }

    /// What holds while it is not followed.
    pub(super) const fn meanwhile(&self) -> &'static str {
        if self.is_blind {
            "nobody can log in before it has been read once"
        } else {
            "the cluster goes on with its copy"
        }
    }

    /// It does not know these spaces, which are this cluster's alone as long as that is so.
    pub(super) fn lacks(&mut self, spaces: &[Space]) {
        if self.lacking != spaces {
            for space in spaces {
                log::line(format_args!(
                    "services: registry: it has no space {space}, whose records stay here alone: load registry.lua of \
                     this version there"
                ));
            }
            self.lacking = spaces.to_vec();
        }
    }

    pub(super) fn is_lacking(&self, space: Space) -> bool {
        self.lacking.contains(&space)
    }

    /// It has refused a change.
    pub(super) fn deny(&mut self, change: &Change, why: &str) {
        let (space, key) = (change.space, &change.key);
        self.denied.get_or_insert_with(|| format!("{space} {key}: {why}"));
        self.denied_keys.insert((space, key.clone()));
    }

    pub(super) fn is_denied(&self, change: &Change) -> bool {
        !self.denied_keys.is_empty() && self.denied_keys.contains(&(change.space, change.key.clone()))
    }

    /// Whether it has a record of this key that cannot be.
    pub(crate) fn has_refused(&self, change: &Change) -> bool {
        !self.refused.is_empty() && self.refused.contains_key(&(change.space, change.key.to_string()))
    }

    /// Something that the registry is told when there is time.
    pub(crate) fn share(&mut self, space: Space, keys: impl IntoIterator<Item = Key>) {
        if !self.is_on {
            return;
        }
        for key in keys {
            if !self.queued.insert((space, key.clone())) {
                continue;
            }
            if self.others.len() == MAX_OTHERS
                && let Some(oldest) = self.others.pop_front()
            {
                self.queued.remove(&oldest);
                self.dropped += 1;
            }
            self.others.push_back((space, key));
        }
        self.changed.notify_one();
    }

    /// What is told next, at most so many; it is taken out.
    pub(super) fn take_others(&mut self, most: usize) -> Vec<(Space, Key)> {
        let next: Vec<_> = self.others.drain(..most.min(self.others.len())).collect();
        for key in &next {
            self.queued.remove(key);
        }
        next
    }

    /// What lies there and cannot be is named once for each reason.
    fn refuse(&mut self, refused: Vec<Refused>) {
        for Refused { space, key, error } in refused {
            let reason = error.to_string();
            let name = key.map_or_else(|| reason.clone(), |key| key.to_string());
            if self.refused.get(&(space, name.clone())) == Some(&reason) || self.refused.len() >= MAX_REFUSED
            {
                continue;
            }
            log::line(format_args!("services: registry: {space}: {reason}; what was there before stays"));
            self.refused.insert((space, name), reason);
        }
    }
}

impl Services {
    /// How far we and the registry agree.
    pub(crate) fn registry_status(&self) -> Result<RegistryInfo, crate::Error> {
        let following = &self.following;
        Ok(RegistryInfo {
            is_shared: following.is_on,
            is_followed: following.is_ready == Some(true),
            is_held: following.is_held,
            trouble: Some(following.trouble.clone()).filter(|_| following.is_ready != Some(true)),
            records_here: self.registry.count(&super::FOLLOWED)?,
            records_there: following.records_there,
            pending: self.registry.pending_count()?,
            denied: following.denied.clone(),
            dropped: following.dropped,
            refused: following.refused.values().cloned().collect(),
        })
    }

    /// The same in numbers; `None` where no registry is shared.
    pub(crate) fn registry_view(&self) -> Option<RegistryView> {
        let following = &self.following;
        following.is_on.then(|| RegistryView {
            followed: following.is_ready == Some(true),
            // A store that cannot be read says so elsewhere.
            pending: self.registry.pending_count().unwrap_or(0),
            refused: following.refused.len() as u64,
            dropped: following.dropped,
        })
    }

    /// An operator says which is right.
    pub(crate) fn registry_confirm(&mut self, right: Right) -> Result<(), crate::Error> {
        if !self.following.is_held {
            return Err(crate::Error::NoDoubt);
        }
        self.following.confirmed = Some(right);
        self.following.confirming.notify_one();
        Ok(())
    }

    /// Makes here what the registry says, and does what follows from it.
    pub(super) fn follow(
        &mut self,
        changes: &[Change],
        refused: Vec<Refused>,
        mark: Option<&Mark>,
    ) -> Result<(), Error> {
        let queued = &self.following.queued;
        let made =
            self.registry.follow(changes, |space, key| queued.contains(&(space, key.clone())), mark)?;
        for change in changes {
            self.following.refused.remove(&(change.space, change.key.to_string()));
        }
        self.following.refuse(refused);
        self.changed(&made);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(ids: std::ops::Range<u32>) -> impl Iterator<Item = Key> {
        ids.map(Key::Id)
    }

    #[test]
    fn the_oldest_is_not_told() {
        let mut following = Following { is_on: true, ..Following::default() };
        following.share(Space::LastHeard, keys(0..10_000));
        following.share(Space::LastHeard, keys(0..5));
        assert_eq!(following.dropped, 0, "they are on their way already");
        following.share(Space::LastHeard, keys(10_000..10_003));
        assert_eq!((following.dropped, following.others.len(), following.queued.len()), (3, 10_000, 10_000));
        let first = following.take_others(2);
        assert_eq!(first, [(Space::LastHeard, Key::Id(3)), (Space::LastHeard, Key::Id(4))]);
        assert_eq!(following.take_others(1), [(Space::LastHeard, Key::Id(5))]);
        let mut off = Following::default();
        off.share(Space::LastHeard, keys(0..5));
        assert!(off.take_others(9).is_empty(), "nobody is there to be told");
    }

    #[test]
    fn a_refused_record_is_named_once() {
        let mut following = Following::default();
        let refused = |id: u32, reason: &str| {
            let error = Error::Invalid { space: Space::Bans, key: id.to_string(), reason: reason.to_owned() };
            vec![Refused { space: Space::Bans, key: Some(Key::Id(id)), error }]
        };
        following.refuse(refused(7, "x"));
        following.refuse(refused(7, "x"));
        assert_eq!(following.refused[&(Space::Bans, "7".to_owned())], "ban of 7: x");
        following.refuse(refused(7, "y"));
        assert_eq!(following.refused.len(), 1);
        (0..2000).for_each(|id| following.refuse(refused(id, "x")));
        assert_eq!(following.refused.len(), MAX_REFUSED);
    }
}
