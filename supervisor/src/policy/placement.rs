//! Which worker serves which shard: as evenly as can be, with as few moves as that takes.

use std::time::Duration;

use config::Placement;

use super::{Policy, Process};

/// Slots of the workers of a cluster of `count` that are to serve a stack.
pub(super) fn slots(placement: Placement, count: u16) -> Vec<u8> {
    let all = 0..u8::try_from(count).unwrap_or(u8::MAX);
    match placement {
        Placement::All => all.collect(),
        Placement::Number(number) => all.take(usize::from(number)).collect(),
        Placement::Own => all.rev().take(1).collect(),
    }
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
    /// Who is to serve each shard. While nobody is able to, all stay where they are.
    pub(super) fn targets(&self, now: Duration) -> Vec<u8> {
        let mut targets: Vec<u8> = self.owners().collect();
        for (stack, &placement) in self.stacks.iter().enumerate() {
            let holds =
                |slot: &u8| self.members.get(&Process::Worker(*slot)).is_some_and(|member| member.holds(now));
            let mut able: Vec<u8> = slots(placement, self.count).into_iter().filter(holds).collect();
            if able.is_empty() {
                able = self.slots().filter(holds).collect();
            }
            if able.is_empty() {
                continue;
            }
            let places: Vec<usize> =
                (0..self.shards.len()).filter(|&at| self.shards[at].stack == stack).collect();
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
        assert_eq!(slots(Placement::All, 3), [0, 1, 2]);
        assert_eq!(slots(Placement::Number(2), 3), [0, 1]);
        assert_eq!(slots(Placement::Number(5), 3), [0, 1, 2]);
        assert_eq!(slots(Placement::Own, 3), [2]);
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
