//! The static talkgroups of a device: those of the registry and those that it asked for itself.
//!
//! One list a slot with a mark for each origin, never longer than [`MAX_TALKGROUPS`]: what is over is dropped,
//! the registry's last. A talkgroup that was dropped for want of room comes back when it is named again.

use serde::{Deserialize, Serialize};
use stack::{MAX_TALKGROUPS, Slots};

/// One static talkgroup and who wants it: at least one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Static {
    talkgroup: u32,
    registry: bool,
    options: bool,
}

/// The static talkgroups of TS1 and TS2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[Packed; 2]", into = "[Packed; 2]")]
pub(crate) struct Statics([Vec<Static>; 2]);

impl Statics {
    /// Replaces what the registry says. Returns how many talkgroups found no room.
    pub(crate) fn set_registry(&mut self, lists: &[Vec<u32>; 2]) -> usize {
        self.set(lists, |slot, list| {
            merge(list.iter().copied(), slot.iter().filter(|s| s.options).map(|s| s.talkgroup))
        })
    }

    /// Replaces what the device asked for. Returns how many talkgroups found no room.
    pub(crate) fn set_options(&mut self, lists: &[Vec<u32>; 2]) -> usize {
        self.set(lists, |slot, list| {
            merge(slot.iter().filter(|s| s.registry).map(|s| s.talkgroup), list.iter().copied())
        })
    }

    fn set(
        &mut self,
        lists: &[Vec<u32>; 2],
        merge: impl Fn(&[Static], &[u32]) -> (Vec<Static>, usize),
    ) -> usize {
        let mut dropped = 0;
        for (slot, list) in self.0.iter_mut().zip(lists) {
            let (merged, over) = merge(slot, list);
            *slot = merged;
            dropped += over;
        }
        dropped
    }

    /// The talkgroups as a device with `slots` gets them, and how many found no room: a simplex hotspot has all
    /// on TS2.
    pub(crate) fn lists(&self, slots: Slots) -> ([Vec<u32>; 2], usize) {
        let [one, two] = self.0.each_ref().map(|slot| slot.iter().map(|s| s.talkgroup).collect::<Vec<_>>());
        if slots != Slots::Simplex {
            return ([one, two], 0);
        }
        let (merged, dropped) = merge(two.into_iter(), one.into_iter());
        ([Vec::new(), merged.iter().map(|s| s.talkgroup).collect()], dropped)
    }
}

/// One list of two, without doubles, and how many found no room in it.
fn merge(registry: impl Iterator<Item = u32>, options: impl Iterator<Item = u32>) -> (Vec<Static>, usize) {
    let mut merged: Vec<Static> = Vec::new();
    let mut dropped = 0;
    let both = registry.map(|tg| (tg, true)).chain(options.map(|tg| (tg, false)));
    for (talkgroup, registry) in both.filter(|(tg, _)| (1..=0xFF_FFFF).contains(tg)) {
        if let Some(known) = merged.iter_mut().find(|s| s.talkgroup == talkgroup) {
            known.registry |= registry;
            known.options |= !registry;
        } else if merged.len() < MAX_TALKGROUPS {
            merged.push(Static { talkgroup, registry, options: !registry });
        } else {
            dropped += 1;
        }
    }
    (merged, dropped)
}

/// A slot as it is written down: three bytes a talkgroup, one bit each for its origins.
#[derive(Serialize, Deserialize)]
struct Packed {
    talkgroups: Vec<[u8; 3]>,
    registry: [u8; MAX_TALKGROUPS / 8],
    options: [u8; MAX_TALKGROUPS / 8],
}

impl From<Statics> for [Packed; 2] {
    fn from(statics: Statics) -> Self {
        statics.0.map(|slot| {
            let bits = |mark: fn(&Static) -> bool| {
                slot.iter().take(MAX_TALKGROUPS).enumerate().filter(|(_, s)| mark(s)).fold(
                    [0; MAX_TALKGROUPS / 8],
                    |mut bits, (place, _)| {
                        bits[place / 8] |= 1 << (place % 8);
                        bits
                    },
                )
            };
            let talkgroups = slot.iter().map(|s| {
                let [_, high, middle, low] = s.talkgroup.to_be_bytes();
                [high, middle, low]
            });
            Packed {
                talkgroups: talkgroups.collect(),
                registry: bits(|s| s.registry),
                options: bits(|s| s.options),
            }
        })
    }
}

impl From<[Packed; 2]> for Statics {
    /// What was written down may be damaged: it goes through the same checks as what a device sends.
    fn from(packed: [Packed; 2]) -> Self {
        Self(packed.map(|slot| {
            let marked = |bits: &[u8; MAX_TALKGROUPS / 8]| {
                let marks: Vec<u32> = (slot.talkgroups.iter().take(MAX_TALKGROUPS).enumerate())
                    .filter(|(place, _)| bits[place / 8] >> (place % 8) & 1 == 1)
                    .map(|(_, &[high, middle, low])| u32::from_be_bytes([0, high, middle, low]))
                    .collect();
                marks.into_iter()
            };
            merge(marked(&slot.registry), marked(&slot.options)).0
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn both(statics: &Statics) -> [Vec<u32>; 2] {
        statics.lists(Slots::Both).0
    }

    #[test]
    fn the_origins_are_replaced_each_for_itself() {
        let mut statics = Statics::default();
        assert_eq!(statics.set_registry(&[vec![1, 2, 2], vec![9]]), 0);
        assert_eq!(statics.set_options(&[vec![2, 3, 0, 1 << 24], vec![]]), 0);
        assert_eq!(both(&statics), [vec![1, 2, 3], vec![9]]);
        statics.set_registry(&[vec![5], vec![]]);
        assert_eq!(both(&statics), [vec![5, 2, 3], vec![]]);
        statics.set_options(&[vec![], vec![7]]);
        assert_eq!(both(&statics), [vec![5], vec![7]]);
    }

    #[test]
    fn what_is_over_is_dropped_and_counted() {
        let mut statics = Statics::default();
        statics.set_options(&[(100..140).collect(), vec![]]);
        assert_eq!(statics.set_registry(&[(1..=31).collect(), vec![]]), 31);
        assert_eq!(both(&statics)[0].len(), MAX_TALKGROUPS);
        assert_eq!(both(&statics)[0][31], 100);
        assert_eq!(statics.set_registry(&[(1..=40).collect(), vec![]]), 9);
        assert_eq!(both(&statics)[0], (1..=32).collect::<Vec<_>>());
    }

    #[test]
    fn a_simplex_hotspot_has_all_on_ts2() {
        let mut statics = Statics::default();
        statics.set_registry(&[vec![1, 2], vec![2, 3]]);
        assert_eq!(statics.lists(Slots::Simplex), ([vec![], vec![2, 3, 1]], 0));
        statics.set_registry(&[(1..=32).collect(), (33..=64).collect()]);
        let (lists, dropped) = statics.lists(Slots::Simplex);
        assert_eq!((lists[1].len(), dropped), (MAX_TALKGROUPS, 32));
    }

    proptest! {
        #[test]
        fn comes_back_as_written(
            registry in proptest::collection::vec(0u32..40, 0..50),
            options in proptest::collection::vec(20u32..90, 0..50),
        ) {
            let mut statics = Statics::default();
            statics.set_registry(&[registry.clone(), options.clone()]);
            statics.set_options(&[options, registry]);
            let bytes = postcard::to_allocvec(&statics).unwrap();
            prop_assert!(bytes.len() <= 2 * (1 + 3 * MAX_TALKGROUPS + 8));
            let back: Statics = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(back, statics);
        }
    }
}
