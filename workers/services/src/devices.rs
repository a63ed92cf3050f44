//! The requests about devices of the registry, and what of them the workers have to be told.

use channel::Order;
use config::Secret;
use control::{DeviceInfo, DeviceList};
use registry::{Device, Embedded};
use serde::Serialize;

use crate::Error;
use crate::services::Services;

/// Characters of a password that is made here: 32 of them, without those that look alike.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// How many of them it has: 80 bits.
const MADE_LEN: usize = 16;

/// A device with the password that was made for it, shown this once.
#[derive(Debug, Serialize)]
pub(crate) struct Added {
    #[serde(flatten)]
    device: DeviceInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<Secret>,
}

impl Services {
    /// Puts a device into the registry; one without a password is given one.
    pub(crate) fn device_add(&mut self, mut device: Device) -> Result<Added, Error> {
        device.validate()?;
        if self.registry.get(device.id)?.is_some() {
            return Err(Error::DeviceExists(device.id));
        }
        let made = if device.password.is_none() { Some(make_password()?) } else { None };
        device.password = device.password.or_else(|| made.clone());
        self.registry.put(&device)?;
        self.tell_statics(device.id, device.statics.clone());
        Ok(Added { device: device_info(device), password: made })
    }

    /// Takes a device out of the registry, readable or not.
    pub(crate) fn device_remove(&mut self, id: u32) -> Result<(), Error> {
        if !self.registry.remove(id)? {
            return Err(Error::NoDevice(id));
        }
        self.tell_statics(id, Default::default());
        Ok(())
    }

    /// Gives a device another password.
    pub(crate) fn device_password(&mut self, id: u32, password: Secret) -> Result<DeviceInfo, Error> {
        let mut device = self.registry.get(id)?.ok_or(Error::NoDevice(id))?;
        device.password = Some(password);
        self.registry.put(&device)?;
        Ok(device_info(device))
    }

    fn tell_statics(&mut self, id: u32, statics: [Vec<u32>; 2]) {
        self.host.send_all(&Order::Statics { id, statics });
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

fn make_password() -> Result<Secret, Error> {
    let mut bytes = [0; MADE_LEN];
    let failed = Error::system("drawing a password");
    getrandom::fill(&mut bytes).map_err(|error| failed(std::io::Error::other(error)))?;
    let text: String = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    Secret::new(text).map_err(|error| Error::system("drawing a password")(std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_passwords_are_long_and_not_the_same() {
        let passwords = [make_password().unwrap(), make_password().unwrap()];
        assert_ne!(passwords[0], passwords[1]);
        assert!(passwords.iter().all(|password| password.expose().len() == MADE_LEN));
        let unique: std::collections::BTreeSet<_> = ALPHABET.iter().collect();
        assert_eq!(unique.len(), 32);
    }
}
