//! Who is let in: by ID, before anybody is asked for a password, and by call sign.

use std::time::Duration;

use stack::{Access, CallAccess, Time};

/// How often it is told that a device is not let in: its address can be forged, so whoever wants to can send
/// any number of such logins.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// The lists of the configuration.
pub(crate) struct Admission {
    devices: Access,
    call_signs: CallAccess,
    /// When it was last told.
    told: Option<Time>,
}

impl Admission {
    /// With these lists.
    pub(crate) const fn new(devices: Access, call_signs: CallAccess) -> Self {
        Self { devices, call_signs, told: None }
    }

    /// Whether the device may log in. A hotspot with nine digits is kept out if it or its first seven digits are,
    /// and let in if one of the two is.
    pub(crate) fn device(&self, id: u32) -> bool {
        let within = |ranges: &[(u32, u32)]| {
            let ids = [Some(id), base_id(id)].into_iter().flatten();
            ids.into_iter().any(|id| ranges.iter().any(|&(first, last)| (first..=last).contains(&id)))
        };
        !within(&self.devices.deny) && (self.devices.allow.is_empty() || within(&self.devices.allow))
    }

    /// Whether a device may have this call sign.
    pub(crate) fn call(&self, call: &str) -> bool {
        self.call_signs.permits(call)
    }

    /// Whether it is told now that a device is not let in.
    pub(crate) fn tell(&mut self, now: Time) -> bool {
        let tell = self.told.is_none_or(|told| now.since(told) >= TOLD_EVERY);
        if tell {
            self.told = Some(now);
        }
        tell
    }
}

/// The ID that a hotspot's ID is made from: of nine digits the first seven; `None` for others.
fn base_id(id: u32) -> Option<u32> {
    (100_000_000..=999_999_999).contains(&id).then_some(id / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(allow: &[(u32, u32)], deny: &[(u32, u32)]) -> Admission {
        let devices = Access { allow: allow.to_vec(), deny: deny.to_vec() };
        Admission::new(devices, CallAccess::default())
    }

    #[test]
    fn a_hotspot_counts_by_itself_and_by_its_first_seven_digits() {
        let all = admission(&[], &[]);
        assert!(all.device(1) && all.device(262_137_001) && all.device(u32::MAX));
        let one_hotspot = admission(&[], &[(262_137_001, 262_137_001)]);
        assert!(one_hotspot.device(2_621_370) && one_hotspot.device(262_137_002));
        assert!(!one_hotspot.device(262_137_001));
        let base = admission(&[], &[(2_621_370, 2_621_370)]);
        assert!(!base.device(2_621_370) && !base.device(262_137_001) && base.device(262_137_101));
        let country = admission(&[(2_620_000, 2_629_999)], &[(2_621_370, 2_621_370)]);
        assert!(country.device(2_620_001) && country.device(262_000_199));
        assert!(!country.device(262_137_001) && !country.device(3_100_001) && !country.device(310_000_101));
        let hotspots = admission(&[(262_000_000, 262_999_999)], &[]);
        assert!(hotspots.device(262_000_100) && !hotspots.device(2_620_001));
        assert!(!admission(&[(2_620_000, 2_629_999)], &[]).device(1_000_000_000), "ten digits");
    }

    #[test]
    fn a_flood_is_told_once_a_second() {
        let mut admission = admission(&[], &[(1, 9)]);
        let told = (0..10_000).filter(|ms| admission.tell(Time(ms * 1000))).count();
        assert_eq!(told, 10);
    }
}
