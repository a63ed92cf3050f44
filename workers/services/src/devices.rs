//! The requests about devices of the registry, and what of them the workers have to be told.

use channel::Order;
use config::Secret;
use control::{DeviceInfo, DeviceList};
use registry::{Device, Embedded};
use schedule::{Schedule, Timed};
use stack::{DeviceSettings, Slot};
use sys::Clocks;

use crate::Error;
use crate::services::Services;

impl Services {
    /// Puts a device into the registry.
    pub(crate) fn device_add(&mut self, device: Device) -> Result<DeviceInfo, Error> {
        if self.registry.device(device.id)?.is_some() {
            return Err(Error::DeviceExists(device.id));
        }
        self.registry.put_device(&device)?;
        Ok(self.tell(device))
    }

    /// Takes a device out of the registry, readable or not.
    pub(crate) fn device_remove(&mut self, id: u32) -> Result<(), Error> {
        if !self.registry.remove_device(id)? {
            return Err(Error::NoDevice(id));
        }
        self.tell_gone(id);
        Ok(())
    }

    /// Gives a device another password.
    pub(crate) fn device_password(&mut self, id: u32, password: Secret) -> Result<DeviceInfo, Error> {
        let mut device = self.registry.device(id)?.ok_or(Error::NoDevice(id))?;
        device.password = Some(password);
        self.registry.put_device(&device)?;
        Ok(device_info(device))
    }

    /// Blocks a talkgroup for a device.
    pub(crate) fn device_block(&mut self, id: u32, talkgroup: u32) -> Result<DeviceInfo, Error> {
        self.change(id, |device| {
            if device.blocked.contains(&talkgroup) {
                return Err(Error::Blocked { id, talkgroup });
            }
            device.blocked.push(talkgroup);
            Ok(())
        })
    }

    /// Lets a blocked talkgroup through again.
    pub(crate) fn device_unblock(&mut self, id: u32, talkgroup: u32) -> Result<DeviceInfo, Error> {
        self.change(id, |device| {
            let before = device.blocked.len();
            device.blocked.retain(|blocked| *blocked != talkgroup);
            if device.blocked.len() == before { Err(Error::NotBlocked { id, talkgroup }) } else { Ok(()) }
        })
    }

    /// Whether a device has one dynamic talkgroup a slot at most.
    pub(crate) fn device_single(&mut self, id: u32, on: bool) -> Result<DeviceInfo, Error> {
        self.change(id, |device| {
            device.single = on;
            Ok(())
        })
    }

    /// Gives a device a static talkgroup, always or at times. Always takes the place of its times.
    pub(crate) fn subscribe(
        &mut self,
        id: u32,
        talkgroup: u32,
        slot: Slot,
        schedule: Option<Schedule>,
    ) -> Result<DeviceInfo, Error> {
        self.change(id, |device| {
            let (statics, slot) = (&mut device.statics[slot.index()], slot.number());
            if device.blocked.contains(&talkgroup) {
                return Err(Error::IsBlocked { id, talkgroup });
            }
            match (statics.contains(&talkgroup), schedule) {
                (true, None) => return Err(Error::Subscribed { id, talkgroup, slot }),
                (true, Some(_)) => return Err(Error::AlwaysStatic { id, talkgroup, slot }),
                (false, None) => {
                    device.timed.retain(|timed| (timed.talkgroup, timed.slot) != (talkgroup, slot));
                    statics.push(talkgroup);
                }
                (false, Some(schedule)) => device.timed.push(Timed { talkgroup, slot, schedule }),
            }
            Ok(())
        })
    }

    /// Takes a static talkgroup from a device, with all its times.
    pub(crate) fn unsubscribe(&mut self, id: u32, talkgroup: u32, slot: Slot) -> Result<DeviceInfo, Error> {
        self.change(id, |device| {
            let (statics, slot) = (&mut device.statics[slot.index()], slot.number());
            let before = statics.len() + device.timed.len();
            statics.retain(|other| *other != talkgroup);
            device.timed.retain(|timed| (timed.talkgroup, timed.slot) != (talkgroup, slot));
            if statics.len() + device.timed.len() == before {
                return Err(Error::NotSubscribed { id, talkgroup, slot });
            }
            Ok(())
        })
    }

    /// Tells of the talkgroups that have changed with the time.
    pub(crate) fn look_after_timed(&mut self, wall_us: u64) {
        for (id, settings) in self.timed.changes(wall_us) {
            self.host.send_all(&Order::Settings { id, settings });
        }
    }

    /// Changes the record of a device, which is made where it is not there.
    fn change(
        &mut self,
        id: u32,
        change: impl FnOnce(&mut Device) -> Result<(), Error>,
    ) -> Result<DeviceInfo, Error> {
        let mut device = self.registry.device(id)?.unwrap_or(Device::new(id));
        change(&mut device)?;
        self.registry.put_device(&device)?;
        Ok(self.tell(device))
    }

    /// Tells the workers what the registry says of a device now.
    pub(crate) fn tell(&mut self, device: Device) -> DeviceInfo {
        let settings = device.settings(Clocks::now().wall_us);
        self.timed.note(&device, &settings);
        self.host.send_all(&Order::Settings { id: device.id, settings });
        device_info(device)
    }

    /// Tells the workers that the registry says nothing of a device any more.
    pub(crate) fn tell_gone(&mut self, id: u32) {
        self.timed.forget(id);
        self.host.send_all(&Order::Settings { id, settings: DeviceSettings::default() });
    }
}

/// All devices.
pub(crate) fn list(registry: &Embedded) -> Result<DeviceList, Error> {
    let listing = registry.devices()?;
    Ok(DeviceList {
        devices: listing.devices.into_iter().map(device_info).collect(),
        unreadable: listing.unreadable.iter().map(ToString::to_string).collect(),
    })
}

fn device_info(device: Device) -> DeviceInfo {
    let Device { id, password, call, statics: [ts1, ts2], timed, blocked, single } = device;
    DeviceInfo { id, call, has_password: password.is_some(), ts1, ts2, timed, blocked, single }
}
