//! Devices, bans and what was heard, as those who use them see them: each in one piece, whatever rows it has.

use config::Secret;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Embedded;
use crate::{Ban, Change, Device, Error, Key, Page, Record, Row, Space, base_id};

/// What [`Embedded::devices`] found.
#[derive(Debug, Default)]
pub struct Listing {
    /// By ID.
    pub devices: Vec<Device>,
    /// One [`Error::Corrupt`] for each record that could not be read.
    pub unreadable: Vec<Error>,
}

impl Embedded {
    /// The device with this ID.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where its record cannot be read; [`Error::Store`].
    pub fn device(&self, id: u32) -> Result<Option<Device>, Error> {
        let key = Key::Id(id);
        let row = self.get(Space::Devices, &key)?.and_then(|record| record.row());
        let subscriptions = self.get(Space::Subscriptions, &key)?.and_then(|record| record.row());
        let is_there = row.is_some() || subscriptions.is_some();
        Ok(is_there.then(|| Device::of_rows(id, row, subscriptions)))
    }

    /// Keeps a device, in place of what was there under its ID; when this returns, the disk has it.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the device cannot be; [`Error::Store`].
    pub fn put_device(&self, device: &Device) -> Result<(), Error> {
        let (row, subscriptions) = device.records()?;
        let subscriptions = subscriptions
            .map_or_else(|| Change::remove(Space::Subscriptions, Key::Id(device.id)), Change::put);
        self.change_to(&[Change::put(row), subscriptions]).map(drop)
    }

    /// Drops a device, readable or not; says whether it was there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn remove_device(&self, id: u32) -> Result<bool, Error> {
        let mut changes = Vec::new();
        for space in [Space::Devices, Space::Subscriptions] {
            if self.has(space, &Key::Id(id))? {
                changes.push(Change::remove(space, Key::Id(id)));
            }
        }
        if !changes.is_empty() {
            self.change(&changes)?;
        }
        Ok(!changes.is_empty())
    }

    /// All devices. A record that cannot be read does not hide the others.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn devices(&self) -> Result<Listing, Error> {
        let (rows, subscriptions) = (self.all(Space::Devices)?, self.all(Space::Subscriptions)?);
        let refused = rows.refused.into_iter().chain(subscriptions.refused);
        let (mut bad, mut unreadable) = (Vec::new(), Vec::new());
        for refused in refused {
            bad.extend(refused.key);
            unreadable.push(refused.error);
        }
        let mut all = std::collections::BTreeMap::<Key, [Option<Record>; 2]>::new();
        let rows = rows.records.into_iter().map(|record| (0, record));
        for (index, record) in rows.chain(subscriptions.records.into_iter().map(|record| (1, record))) {
            let key = record.key.clone();
            all.entry(key).or_default()[index] = Some(record);
        }
        let device = |(key, [row, subscriptions]): (Key, [Option<Record>; 2])| {
            let Key::Id(id) = key else { return None };
            let (row, subscriptions) = (row.and_then(|r| r.row()), subscriptions.and_then(|r| r.row()));
            Some(Device::of_rows(id, row, subscriptions))
        };
        let devices = all.into_iter().filter(|(key, _)| !bad.contains(key)).filter_map(device).collect();
        Ok(Listing { devices, unreadable })
    }

    /// The password that a device logs in with: its own; for a hotspot's ID of nine digits that of its base
    /// ID, the first seven; else `default`. `None` refuses it.
    ///
    /// # Errors
    /// Those of [`Embedded::get`]: a record that cannot be read never opens the way to the default.
    pub fn password_for(&self, id: u32, default: Option<&Secret>) -> Result<Option<Secret>, Error> {
        for id in [Some(id), base_id(id)].into_iter().flatten() {
            let row = self.get(Space::Devices, &Key::Id(id))?.and_then(|record| record.row());
            if let Some(password) = row.and_then(|row: crate::DeviceRow| row.password) {
                return Ok(Some(password));
            }
        }
        Ok(default.cloned())
    }

    /// All bans by ID, and the keys of records that cannot be read.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn bans(&self) -> Result<(Vec<Ban>, Vec<Key>), Error> {
        let Page { records, refused, .. } = self.all(Space::Bans)?;
        let bans = records.iter().filter_map(Record::row).collect();
        Ok((bans, refused.into_iter().filter_map(|refused| refused.key).collect()))
    }

    /// What was last heard of all radios, by ID; what cannot be read is left out.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn heard<T: DeserializeOwned>(&self) -> Result<Vec<T>, Error> {
        let page = self.all(Space::LastHeard)?;
        Ok(page.records.iter().filter_map(|record| serde_json::from_str(record.json()).ok()).collect())
    }

    /// Keeps what was last heard of these radios, or forgets them (`None`), in one transaction; when this
    /// returns, the disk has it. What has no form of a record is left out. Says whose record has changed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn keep_heard<T: Serialize>(
        &self,
        changes: impl Iterator<Item = (u32, Option<T>)>,
    ) -> Result<Vec<Key>, Error> {
        let changes: Vec<Change> = changes
            .filter_map(|(radio, heard)| {
                let Some(heard) = heard else {
                    return Some(Change::remove(Space::LastHeard, Key::Id(radio)));
                };
                let serde_json::Value::Object(object) = serde_json::to_value(heard).ok()? else {
                    return None;
                };
                Record::of_object(Space::LastHeard, object).ok().map(Change::put)
            })
            .collect();
        self.change_here(&changes)?;
        Ok(changes.into_iter().filter(|change| change.record.is_some()).map(|change| change.key).collect())
    }

    /// Keeps a row, in place of one of the same key.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it cannot be; [`Error::Store`].
    pub fn put<T: Row>(&self, row: &T) -> Result<(), Error> {
        self.change(&[Change::put(Record::of(row)?)])
    }

    /// Whether there is a record, readable or not.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn has(&self, space: Space, key: &Key) -> Result<bool, Error> {
        match self.get(space, key) {
            Err(Error::Corrupt { .. }) => Ok(true),
            other => Ok(other?.is_some()),
        }
    }

    /// Makes those of the changes that change something, and returns them. No key may be among them twice.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn change_to(&self, changes: &[Change]) -> Result<Vec<Change>, Error> {
        let mut made = Vec::new();
        for change in changes {
            let is_same = match self.get(change.space, &change.key) {
                Ok(here) => here == change.record,
                Err(Error::Corrupt { .. }) => false,
                Err(error) => return Err(error),
            };
            if !is_same {
                made.push(change.clone());
            }
        }
        if !made.is_empty() {
            self.change(&made)?;
        }
        Ok(made)
    }
}
