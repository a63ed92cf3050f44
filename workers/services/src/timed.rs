//! Devices with talkgroups that are static at times: once a minute it is looked whose have changed.

use std::collections::BTreeMap;

use registry::Device;
use stack::DeviceSettings;

/// Microseconds of a minute.
const MINUTE_US: u64 = 60_000_000;

#[derive(Debug, Default)]
pub(crate) struct Timed {
    /// Those that have such talkgroups, with what the workers were told last.
    devices: BTreeMap<u32, (Device, DeviceSettings)>,
    /// The minute that was looked at last.
    minute: u64,
}

impl Timed {
    /// Takes note of a device as the workers have been told of it now.
    pub(crate) fn note(&mut self, device: &Device, told: &DeviceSettings) {
        if device.timed.is_empty() {
            self.devices.remove(&device.id);
        } else {
            self.devices.insert(device.id, (device.clone(), told.clone()));
        }
    }

    pub(crate) fn forget(&mut self, id: u32) {
        self.devices.remove(&id);
    }

    /// The devices whose talkgroups have changed, with what they are now; nothing until a new minute begins.
    pub(crate) fn changes(&mut self, wall_us: u64) -> Vec<(u32, DeviceSettings)> {
        let minute = wall_us / MINUTE_US;
        if std::mem::replace(&mut self.minute, minute) == minute {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for (id, (device, told)) in &mut self.devices {
            let settings = device.settings(wall_us);
            if *told != settings {
                told.clone_from(&settings);
                changes.push((*id, settings));
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use schedule::Schedule;

    use super::*;

    #[test]
    fn a_change_is_told_once_when_its_minute_begins() {
        let schedule = Schedule { days: vec![], from: 10, until: 12, first: None, last: None };
        let device =
            Device { timed: vec![schedule::Timed { talkgroup: 91, slot: 2, schedule }], ..Device::new(7) };
        let mut timed = Timed::default();
        timed.note(&device, &device.settings(0));
        timed.note(&Device::new(8), &DeviceSettings::default());
        assert_eq!(timed.devices.len(), 1, "only those that have any");
        let mut at = |seconds: u64| {
            let changes = timed.changes(seconds * 1_000_000);
            changes.into_iter().map(|(id, settings)| (id, settings.statics[1].clone())).collect::<Vec<_>>()
        };
        assert_eq!(at(599), []);
        assert_eq!(at(600), [(7, vec![91])]);
        assert_eq!((at(601), at(660)), (vec![], vec![]));
        assert_eq!(at(725), [(7, vec![])]);
        timed.forget(7);
        assert!(timed.devices.is_empty());
    }
}
