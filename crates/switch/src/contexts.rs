//! The contexts of a worker and what each is subscribed to.

use std::time::Duration;

use dmr::{Air, Sync};
use rustc_hash::FxHashMap;
use stack::{ContextKey, Line, Profile, Slot, Slots, Time};

use crate::record::Dynamic;
use crate::slots::SlotState;
use crate::timers::Alarm;
use crate::{ALL_CALL, LOCAL, MAX_DYNAMICS, PARROT, UNLINK};

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) profile: Profile,
    pub(crate) dynamics: [Vec<Dynamic>; 2],
    pub(crate) slots: [SlotState; 2],
    /// What it is subscribed to, sorted; made from profile and dynamics.
    pub(crate) subscribed: Vec<(u32, Slot)>,
}

impl Context {
    pub(crate) fn new(profile: Profile) -> Self {
        Self { profile, dynamics: Default::default(), slots: Default::default(), subscribed: Vec::new() }
    }

    pub(crate) fn is_trunk(&self) -> bool {
        matches!(self.profile.line, Line::Trunk(_))
    }

    /// What it should be subscribed to.
    pub(crate) fn wanted(&self) -> Vec<(u32, Slot)> {
        let mut wanted = Vec::new();
        if self.profile.line != Line::Channel {
            return wanted;
        }
        let special = |talkgroup: &u32| matches!(*talkgroup, LOCAL | UNLINK | PARROT);
        let is_heard = |talkgroup: &u32| !special(talkgroup) && !self.profile.blocked.contains(talkgroup);
        for slot in Slot::ALL {
            let Some(mapped) = self.profile.slots.map(slot) else { continue };
            let statics = self.profile.statics[slot.index()].iter().copied();
            let dynamics = self.dynamics[slot.index()].iter().map(|dynamic| dynamic.talkgroup);
            wanted.extend(statics.chain(dynamics).filter(is_heard).map(|talkgroup| (talkgroup, mapped)));
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    fn is_static(&self, talkgroup: u32, slot: Slot) -> bool {
        Slot::ALL.into_iter().any(|from| {
            self.profile.slots.map(from) == Some(slot)
                && self.profile.statics[from.index()].contains(&talkgroup)
        })
    }

    /// How its bursts go out on the air.
    pub(crate) fn air(&self) -> Air {
        let sync = if self.profile.slots == Slots::Simplex { Sync::MsVoice } else { Sync::BsVoice };
        Air { colour_code: self.profile.colour_code, sync }
    }

    /// Where calls to its own ID go.
    pub(crate) fn home(&self) -> Slot {
        self.profile.slots.map(Slot::Two).unwrap_or(Slot::One)
    }

    /// The talkgroup was keyed, and dynamic talkgroups stay for `time`. True where its dynamic subscription is new
    /// or lives longer now. A simplex hotspot keeps the one that was keyed last until it keys another.
    pub(crate) fn key(&mut self, talkgroup: u32, slot: Slot, now: Time, time: Duration) -> bool {
        if self.is_static(talkgroup, slot) || talkgroup == ALL_CALL {
            return false;
        }
        let is_simplex = self.profile.slots == Slots::Simplex;
        let time =
            self.profile.dynamic_minutes.map_or(time, |minutes| Duration::from_secs(60) * minutes.into());
        let until = if is_simplex { Time(u64::MAX) } else { now + time };
        let dynamics = &mut self.dynamics[slot.index()];
        if is_simplex || self.profile.single {
            dynamics.retain(|dynamic| dynamic.talkgroup == talkgroup);
        }
        if let Some(dynamic) = dynamics.iter_mut().find(|dynamic| dynamic.talkgroup == talkgroup) {
            dynamic.until = until;
            return true;
        }
        if dynamics.len() >= MAX_DYNAMICS {
            let oldest = (0..dynamics.len()).min_by_key(|&i| dynamics[i].until);
            oldest.map(|oldest| dynamics.remove(oldest));
        }
        dynamics.push(Dynamic { talkgroup, until });
        true
    }

    /// Drops dynamic subscriptions that are over. True where there were any.
    pub(crate) fn expire(&mut self, now: Time) -> bool {
        let before = self.dynamics[0].len() + self.dynamics[1].len();
        self.dynamics.iter_mut().for_each(|dynamics| dynamics.retain(|dynamic| dynamic.until > now));
        before != self.dynamics[0].len() + self.dynamics[1].len()
    }

    /// Drops all dynamic subscriptions of a slot. True where there were any.
    pub(crate) fn drop_dynamics(&mut self, slot: Slot) -> bool {
        !std::mem::take(&mut self.dynamics[slot.index()]).is_empty()
    }

    /// When the next dynamic subscription is over.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.dynamics.iter().flatten().map(|dynamic| dynamic.until).min().filter(|at| at.0 != u64::MAX)
    }
}

/// Places are added so many at a time.
const GROWTH: usize = 16;

#[derive(Debug, Default)]
struct Entry {
    context: Option<Box<Context>>,
    expiry: Alarm,
    hang: [Alarm; 2],
}

/// All contexts of a worker, by shard and record.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    shards: Vec<Vec<Entry>>,
    by_id: FxHashMap<u32, ContextKey>,
    count: usize,
}

impl Contexts {
    fn entry(&mut self, key: ContextKey) -> Option<&mut Entry> {
        self.shards.get_mut(usize::from(key.shard))?.get_mut(usize::from(key.index))
    }

    pub(crate) fn get(&self, key: ContextKey) -> Option<&Context> {
        self.shards.get(usize::from(key.shard))?.get(usize::from(key.index))?.context.as_deref()
    }

    pub(crate) fn get_mut(&mut self, key: ContextKey) -> Option<&mut Context> {
        self.entry(key)?.context.as_deref_mut()
    }

    /// The alarm for the next dynamic subscription that is over at this place.
    pub(crate) fn expiry(&mut self, key: ContextKey) -> Option<&mut Alarm> {
        self.entry(key).map(|entry| &mut entry.expiry)
    }

    /// The alarm for the end of a slot's hang time.
    pub(crate) fn hang(&mut self, key: ContextKey, slot: Slot) -> Option<&mut Alarm> {
        self.entry(key).map(|entry| &mut entry.hang[slot.index()])
    }

    /// The context with this ID, for a network its trunk; while a new login takes the place of an old one, the new one.
    pub(crate) fn of(&self, id: u32) -> Option<ContextKey> {
        self.by_id.get(&id).copied()
    }

    /// The slots of a context that an order for `slot` means: a simplex hotspot has one, whatever it is called.
    pub(crate) fn mapped(&self, key: ContextKey, slot: Option<Slot>) -> Option<Slot> {
        let context = self.get(key)?;
        slot.map(|slot| context.profile.slots.map(slot).unwrap_or(slot))
    }

    pub(crate) fn insert(&mut self, key: ContextKey, context: Context) {
        // A leg is found by its trunk.
        if context.profile.line != Line::Leg {
            self.by_id.insert(context.profile.id, key);
        }
        let (shard, index) = (usize::from(key.shard), usize::from(key.index));
        if self.shards.len() <= shard {
            self.shards.resize_with(shard + 1, Vec::new);
        }
        let shard = &mut self.shards[shard];
        if shard.len() <= index {
            // Twice as many, as is usual, would be much memory for nothing in each of many shards.
            if index >= shard.capacity() {
                shard.reserve_exact((index + 1 - shard.len()).next_multiple_of(GROWTH));
            }
            shard.resize_with(index + 1, Entry::default);
        }
        let counts = context.profile.line != Line::Leg;
        self.count += usize::from(counts && shard[index].context.is_none());
        shard[index].context = Some(Box::new(context));
    }

    pub(crate) fn remove(&mut self, key: ContextKey) -> Option<Box<Context>> {
        let context = self.entry(key)?.context.take()?;
        self.count -= usize::from(context.profile.line != Line::Leg);
        if self.of(context.profile.id) == Some(key) {
            self.by_id.remove(&context.profile.id);
        }
        Some(context)
    }

    /// Those of a shard.
    pub(crate) fn of_shard(&self, shard: u16) -> Vec<ContextKey> {
        let entries = self.shards.get(usize::from(shard)).into_iter().flatten();
        let taken = (0..).zip(entries).filter(|(_, entry)| entry.context.is_some());
        taken.map(|(index, _)| ContextKey { shard, index }).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// All of them with their alarms, and how many places there are.
    #[cfg(test)]
    pub(crate) fn all(&self) -> (Vec<(ContextKey, &Context, &Alarm)>, usize) {
        let mut all = Vec::new();
        for (shard, places) in (0..).zip(&self.shards) {
            for (index, place) in (0..).zip(places) {
                let key = ContextKey { shard, index };
                all.extend(place.context.as_deref().map(|context| (key, context, &place.expiry)));
            }
        }
        (all, self.shards.iter().map(Vec::len).sum())
    }
}
