//! When each session wants to be looked at: a binary heap with one entry a session, which knows where it is. So it never
//! grows while bursts come, and a time can be moved forward in it.

use stack::Time;

/// Not in the heap.
const NOWHERE: u16 = u16::MAX;

/// One alarm a number.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    heap: Vec<(Time, u16)>,
    /// Where in the heap each number is.
    places: Vec<u16>,
}

impl Alarms {
    /// Makes room for the numbers below `numbers`, at most 65,535.
    pub(crate) fn make_room(&mut self, numbers: usize) {
        self.places.resize(numbers.max(self.places.len()), NOWHERE);
        self.heap.reserve(numbers.saturating_sub(self.heap.len()));
    }

    /// Sets an alarm, unless one is set for `at` or earlier: who is woken too early looks again.
    pub(crate) fn set(&mut self, number: u16, at: Time) {
        let Some(&place) = self.places.get(usize::from(number)) else { return };
        match self.heap.get_mut(usize::from(place)) {
            Some(entry) if entry.0 <= at => {}
            Some(entry) => {
                entry.0 = at;
                self.rise(place.into());
            }
            None => {
                self.heap.push((at, number));
                self.rise(self.heap.len() - 1);
            }
        }
    }

    /// When the next one rings.
    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.first().map(|&(at, _)| at)
    }

    /// The next number whose alarm rings, and no longer has one.
    pub(crate) fn pop(&mut self, now: Time) -> Option<u16> {
        let &(_, number) = self.heap.first().filter(|&&(at, _)| at <= now)?;
        self.heap.swap_remove(0);
        self.places[usize::from(number)] = NOWHERE;
        self.sink();
        Some(number)
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 && self.heap[place] < self.heap[(place - 1) / 2] {
            self.heap.swap(place, (place - 1) / 2);
            self.note(place);
            place = (place - 1) / 2;
        }
        self.note(place);
    }

    /// The first one goes to where it belongs.
    fn sink(&mut self) {
        let mut place = 0;
        while let Some(child) = (2 * place + 1..self.heap.len().min(2 * place + 3))
            .min_by_key(|&child| self.heap[child])
            .filter(|&child| self.heap[child] < self.heap[place])
        {
            self.heap.swap(place, child);
            self.note(place);
            place = child;
        }
        self.note(place);
    }

    #[expect(clippy::cast_possible_truncation, reason = "one entry a number, and these are u16")]
    fn note(&mut self, place: usize) {
        if let Some(&(_, number)) = self.heap.get(place) {
            self.places[usize::from(number)] = place as u16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a map: each number once, by time, an earlier time in place of a later one.
        #[test]
        fn is_a_map_by_time(steps in prop::collection::vec((0..40_u16, 0..1000_u64, any::<bool>()), 1..400)) {
            let (mut alarms, mut model) = (Alarms::default(), BTreeMap::new());
            alarms.make_room(40);
            for (number, at, pop) in steps {
                if pop {
                    let due: Vec<_> = model.iter().filter(|&(_, &set)| set <= at).map(|(&n, &set)| (set, n)).collect();
                    let mut rung = Vec::new();
                    while let Some(number) = alarms.pop(Time(at)) {
                        rung.push((model.remove(&number).unwrap(), number));
                    }
                    prop_assert!(rung.is_sorted());
                    prop_assert_eq!(rung.len(), due.len());
                } else {
                    alarms.set(number, Time(at));
                    let set = model.entry(number).or_insert(at);
                    *set = at.min(*set);
                }
                prop_assert_eq!(alarms.next().map(|at| at.0), model.values().min().copied());
            }
        }
    }
}
