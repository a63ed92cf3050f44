//! How a device is served besides its static talkgroups: what the registry says of it, and what it asked for.

use serde::{Deserialize, Serialize};
use stack::{DeviceSettings, MAX_BLOCKED};

use crate::options::{MAX_MINUTES, Options};

/// The rules of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub(crate) struct Rules {
    /// By the registry, at most [`MAX_BLOCKED`], each a talkgroup and none twice.
    blocked: Vec<u32>,
    /// By the registry.
    single: bool,
    /// By the device.
    wants_single: bool,
    /// By the device.
    dynamic_minutes: Option<u16>,
}

impl Rules {
    /// Replaces what the registry says.
    pub(crate) fn set_registry(&mut self, settings: &DeviceSettings) {
        self.blocked = checked(&settings.blocked);
        self.single = settings.single;
    }

    /// Replaces what the device asked for.
    pub(crate) fn set_options(&mut self, options: &Options) {
        self.wants_single = options.single;
        self.dynamic_minutes = options.dynamic_minutes;
    }

    /// Talkgroups that neither reach it nor can be keyed at it.
    pub(crate) fn blocked(&self) -> &[u32] {
        &self.blocked
    }

    /// One dynamic talkgroup a slot: the registry or the device wants it so.
    pub(crate) const fn single(&self) -> bool {
        self.single || self.wants_single
    }

    /// How long its dynamic talkgroups stay, minutes; `None` where it has not said.
    pub(crate) const fn dynamic_minutes(&self) -> Option<u16> {
        self.dynamic_minutes
    }
}

/// The first talkgroups of a list, as many as there may be, none twice.
fn checked(list: &[u32]) -> Vec<u32> {
    let mut blocked = Vec::new();
    for &talkgroup in list.iter().filter(|talkgroup| (1..=0xFF_FFFF).contains(*talkgroup)) {
        if blocked.len() < MAX_BLOCKED && !blocked.contains(&talkgroup) {
            blocked.push(talkgroup);
        }
    }
    blocked
}

/// The rules as they are written down: at most 30 bytes.
#[derive(Serialize, Deserialize)]
struct Packed {
    blocked: Vec<[u8; 3]>,
    single: bool,
    wants_single: bool,
    dynamic_minutes: Option<u16>,
}

impl From<Rules> for Packed {
    fn from(rules: Rules) -> Self {
        let blocked = rules.blocked.iter().map(|talkgroup| {
            let [_, high, middle, low] = talkgroup.to_be_bytes();
            [high, middle, low]
        });
        Self {
            blocked: blocked.collect(),
            single: rules.single,
            wants_single: rules.wants_single,
            dynamic_minutes: rules.dynamic_minutes,
        }
    }
}

impl From<Packed> for Rules {
    /// What was written down may be damaged: it goes through the same checks as what the registry says.
    fn from(packed: Packed) -> Self {
        let blocked =
            packed.blocked.iter().map(|&[high, middle, low]| u32::from_be_bytes([0, high, middle, low]));
        Self {
            blocked: checked(&blocked.collect::<Vec<_>>()),
            single: packed.single,
            wants_single: packed.wants_single,
            dynamic_minutes: packed.dynamic_minutes.filter(|minutes| (1..=MAX_MINUTES).contains(minutes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn registry(blocked: &[u32], single: bool) -> DeviceSettings {
        DeviceSettings { blocked: blocked.to_vec(), single, ..DeviceSettings::default() }
    }

    fn options(single: bool, dynamic_minutes: Option<u16>) -> Options {
        Options { single, dynamic_minutes, ..Options::default() }
    }

    #[test]
    fn registry_and_device_are_replaced_each_for_itself() {
        let mut rules = Rules::default();
        rules.set_registry(&registry(&[262, 9, 9, 0, 1 << 24], true));
        rules.set_options(&options(false, Some(5)));
        assert_eq!(
            (rules.blocked(), rules.single(), rules.dynamic_minutes()),
            (&[262, 9][..], true, Some(5))
        );
        rules.set_options(&options(true, None));
        rules.set_registry(&registry(&[], false));
        assert_eq!((rules.blocked(), rules.single(), rules.dynamic_minutes()), (&[][..], true, None));
        rules.set_options(&options(false, None));
        assert!(!rules.single());
    }

    proptest! {
        #[test]
        fn comes_back_as_written(
            blocked in proptest::collection::vec(any::<u32>(), 0..20),
            small in proptest::collection::vec(0u32..12, 0..20),
            flags: [bool; 2],
            minutes in proptest::option::of(1_u16..=1440),
        ) {
            for list in [blocked, small] {
                let mut rules = Rules::default();
                rules.set_registry(&registry(&list, flags[0]));
                rules.set_options(&options(flags[1], minutes));
                let bytes = postcard::to_allocvec(&rules).unwrap();
                prop_assert!(bytes.len() <= 30);
                prop_assert!(rules.blocked().len() <= MAX_BLOCKED);
                let back: Rules = postcard::from_bytes(&bytes).unwrap();
                prop_assert_eq!(back, rules);
            }
        }

        #[test]
        fn whatever_was_written_is_within_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(rules) = postcard::from_bytes::<Rules>(&bytes) {
                prop_assert!(rules.blocked().len() <= MAX_BLOCKED);
                prop_assert!(rules.dynamic_minutes().is_none_or(|m| (1..=MAX_MINUTES).contains(&m)));
            }
        }
    }
}
