//! The requests about devices of the registry, and what of them the workers have to be told.

use channel::Order;
use config::Secret;
use control::{DeviceInfo, DeviceList};
use registry::{Device, Embedded};
use stack::DeviceSettings;

use crate::Error;
use crate::services::Services;

impl Services {
    /// Puts a device into the registry.
    pub(crate) fn device_add(&mut self, device: Device) -> Result<DeviceInfo, Error> {
        device.validate()?;
        if self.registry.get(device.id)?.is_some() {
            return Err(Error::DeviceExists(device.id));
        }
        self.registry.put(&device)?;
        self.tell_settings(device.id, device.settings());
        Ok(device_info(device))
    }

    /// Takes a device out of the registry, readable or not.
    pub(crate) fn device_remove(&mut self, id: u32) -> Result<(), Error> {
        if !self.registry.remove(id)? {
            return Err(Error::NoDevice(id));
        }
        self.tell_settings(id, DeviceSettings::default());
        Ok(())
    }

    /// Gives a device another password.
    pub(crate) fn device_password(&mut self, id: u32, password: Secret) -> Result<DeviceInfo, Error> {
        let mut device = self.registry.get(id)?.ok_or(Error::NoDevice(id))?;
        device.password = Some(password);
        self.registry.put(&device)?;
        Ok(device_info(device))
    }

    fn tell_settings(&mut self, id: u32, settings: DeviceSettings) {
        self.host.send_all(&Order::Settings { id, settings });
    }
}

/// All devices.
pub(crate) fn list(registry: &Embedded) -> Result<DeviceList, Error> {
    let listing = registry.list()?;
    Ok(DeviceList {
        devices: listing.devices.into_iter().map(device_info).collect(),
        unreadable: listing.unreadable.iter().map(ToString::to_string).collect(),
    })
}

fn device_info(device: Device) -> DeviceInfo {
    let [ts1, ts2] = device.statics;
    DeviceInfo { id: device.id, call: device.call, has_password: device.password.is_some(), ts1, ts2 }
}
