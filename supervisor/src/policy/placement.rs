//! Which worker serves which shard: as evenly as can be, with as few moves as that takes. A worker that is a stack's own serves
//! that alone, and nobody else serves that.

use std::time::Duration;

use config::Placement;

use super::{Policy, Process};

/// Those of the workers that stacks share (`shared`: their slots) which are to serve a stack.
pub(super) fn slots(placement: Placement, shared: &[u8]) -> Vec<u8> {
    let number = match placement {
        Placement::Number(number) => usize::from(number),
        // Its own worker is not there yet.
        Placement::All | Placement::Own => shared.len(),
    };
    shared.iter().copied().take(number).collect()
}

/// Spreads what `owners` have now over the slots in `able`, which must not be empty: each gets as much as any other, or
/// one more, and what can stay where it is does.
pub(super) fn spread(owners: &[u8], able: &[u8]) -> Vec<u8> {
    let load = |slot: u8| owners.iter().filter(|&&owner| owner == slot).count();
    // Who has most now may have one more than others.
    let mut order: Vec<(u8, usize)> = able.iter().map(|&slot| (slot, load(slot))).collect();
    order.sort_by_key(|&(slot, load)| (std::cmp::Reverse(load), slot));
    let (each, more) = (owners.len() / able.len(), owners.len() % able.len());
    let mut room: Vec<(u8, usize)> = order
        .iter()
        .enumerate()
        .map(|(place, &(slot, _))| (slot, each + usize::from(place < more)))
        .collect();
    let mut take = |slot: u8| {
        let place = room.iter_mut().find(|(other, left)| *other == slot && *left > 0)?;
        place.1 -= 1;
        Some(slot)
    };
    let stay: Vec<Option<u8>> = owners.iter().map(|&owner| take(owner)).collect();
    let mut free = room.iter().flat_map(|&(slot, left)| std::iter::repeat_n(slot, left));
    stay.into_iter().zip(owners).map(|(stay, &owner)| stay.or_else(|| free.next()).unwrap_or(owner)).collect()
}

impl Policy {
    /// Slots of the workers that stacks share.
    pub(super) fn shared(&self) -> Vec<u8> {
        let is_shared = |slot: &u8| {
            let member = self.members.get(&Process::Worker(*slot));
            !self.is_own(*slot) && member.is_some_and(|member| !member.is_retired)
        };
        self.slots().filter(is_shared).collect()
    }

    /// The lowest slots for so many of them.
    pub(crate) fn lowest(&self, count: u16) -> Vec<u8> {
        (0..u8::MAX).filter(|&slot| !self.is_own(slot)).take(count.into()).collect()
    }

    /// The worker in this slot is a stack's own.
    pub(crate) fn is_own(&self, slot: u8) -> bool {
        self.own.contains(&Some(slot))
    }

    /// Place of the stack whose own the worker in this slot is.
    pub(crate) fn stack_of(&self, slot: u8) -> Option<usize> {
        self.own.iter().position(|own| *own == Some(slot))
    }

    /// Slot of the worker that alone serves a stack.
    pub(super) fn sole(&self, stack: usize) -> Option<u8> {
        let own = self.own.get(stack).copied().flatten();
        own.filter(|_| self.stacks.get(stack) == Some(&Placement::Own))
    }

    /// Whether another one of those that stacks share has shards, or will soon have them.
    pub(super) fn others_hold(&self, now: Duration, slot: u8) -> bool {
        let holds = |other: u8| {
            other != slot && self.members.get(&Process::Worker(other)).is_some_and(|member| member.holds(now))
        };
        self.shared().into_iter().any(holds)
    }

    /// Who is to serve each shard. While nobody is able to, all stay where they are.
    pub(super) fn targets(&self, now: Duration) -> Vec<u8> {
        let mut targets: Vec<u8> = self.owners().collect();
        let holds =
            |slot: &u8| self.members.get(&Process::Worker(*slot)).is_some_and(|member| member.holds(now));
        let shared = self.shared();
        let all_able: Vec<u8> = shared.iter().copied().filter(holds).collect();
        for (stack, &placement) in self.stacks.iter().enumerate() {
            let sole = self.sole(stack);
            // What its own worker has stays there, whatever becomes of that. What it is still to get is served where it is
            // until it can.
            let is_free =
                |at: &usize| self.shards[*at].stack == stack && Some(self.shards[*at].owner) != sole;
            let places: Vec<usize> = (0..self.shards.len()).filter(is_free).collect();
            let mut able = match sole.filter(holds) {
                Some(slot) => vec![slot],
                None => slots(placement, &shared).into_iter().filter(holds).collect(),
            };
            if able.is_empty() {
                able.clone_from(&all_able);
            }
            if able.is_empty() {
                continue;
            }
            let owners: Vec<u8> = places.iter().map(|&at| self.shards[at].owner).collect();
            for (at, target) in places.into_iter().zip(spread(&owners, &able)) {
                targets[at] = target;
            }
        }
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shards_go_to_the_workers_that_the_placement_names() {
        let shared = [0, 1, 3];
        assert_eq!(slots(Placement::All, &shared), shared);
        assert_eq!(slots(Placement::Number(2), &shared), [0, 1]);
        assert_eq!(slots(Placement::Number(5), &shared), shared);
    }

    proptest! {
        #[test]
        fn evenly_and_with_few_moves(
            owners in prop::collection::vec(0..8_u8, 0..200),
            able in prop::collection::btree_set(0..8_u8, 1..8),
        ) {
            let able: Vec<u8> = able.into_iter().collect();
            let after = spread(&owners, &able);
            let load = |of: &[u8], slot| of.iter().filter(|&&owner| owner == slot).count();
            let loads: Vec<usize> = able.iter().map(|&slot| load(&after, slot)).collect();
            prop_assert_eq!(loads.iter().sum::<usize>(), owners.len());
            prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
            // No move that is not needed: whoever loses some has the most that anybody has, and gains none.
            for &slot in &able {
                let lost = owners.iter().zip(&after).filter(|(a, b)| **a == slot && **b != slot).count();
                let gained = owners.iter().zip(&after).filter(|(a, b)| **a != slot && **b == slot).count();
                prop_assert!(lost == 0 || gained == 0);
            }
            prop_assert_eq!(spread(&after, &able), after.clone(), "and then all stay");
        }
    }
}
