//! The embedded store: a redb database with tables of JSON by ID. Here are the devices; bans and what was heard
//! have modules of their own.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use config::Secret;
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use crate::ban::BANS;
use crate::device::base_id;
use crate::heard::HEARD;
use crate::{Device, Error};

const DEVICES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("devices");
const FILE: &str = "registry.redb";

/// Memory for pages, in bytes: far more than the devices of a large network need.
const CACHE: usize = 16 * 1024 * 1024;

/// The store of one cluster. It is locked while it is open.
#[derive(Debug)]
pub struct Embedded {
    path: PathBuf,
    database: Database,
}

/// What [`Embedded::list`] found.
#[derive(Debug, Default)]
pub struct Listing {
    /// By ID.
    pub devices: Vec<Device>,
    /// One [`Error::Corrupt`] for each record that could not be read.
    pub unreadable: Vec<Error>,
}

impl Embedded {
    /// Opens the store in the data directory `dir`; both are made where they are not there, for this user's
    /// eyes only. The whole file is checked.
    ///
    /// # Errors
    /// [`Error::InUse`] while another process has it open; others when it cannot be made, opened or read.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let file = open_private(dir, &path).map_err(|source| Error::Io { path: path.clone(), source })?;
        // A database that was changed from outside is to be an error, not a panic.
        let database = FileBackend::new(file).and_then(|backend| {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE).set_check_integrity_on_open(true).create_with_backend(backend)
        });
        let database = database.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => Error::InUse { dir: dir.to_owned() },
            error => Error::Store { path: path.clone(), source: Box::new(error.into()) },
        })?;
        let store = Self { path, database };
        for table in [DEVICES, BANS, HEARD] {
            store.write(table, |_| Ok(()))?;
        }
        Ok(store)
    }

    /// The device with this ID.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where its record cannot be read; [`Error::Store`].
    pub fn get(&self, id: u32) -> Result<Option<Device>, Error> {
        let get = || -> Result<_, redb::Error> {
            let table = self.database.begin_read()?.open_table(DEVICES)?;
            Ok(table.get(id)?.map(|value| decode(id, value.value())))
        };
        get().map_err(|error| self.failed(error))?.transpose()
    }

    /// Keeps a device, in place of what was there under its ID; when this returns, the disk has it.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the device cannot be; [`Error::Store`].
    pub fn put(&self, device: &Device) -> Result<(), Error> {
        device.validate()?;
        let json = serde_json::to_vec(device)
            .map_err(|error| Error::Invalid { id: device.id, reason: error.to_string() })?;
        self.write(DEVICES, |table| table.insert(device.id, json.as_slice()).map(drop))
    }

    /// Drops a device, readable or not; says whether it was there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn remove(&self, id: u32) -> Result<bool, Error> {
        self.write(DEVICES, |table| Ok(table.remove(id)?.is_some()))
    }

    /// All devices. A record that cannot be read does not hide the others.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list(&self) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        self.read(DEVICES, |id, json| match decode(id, json) {
            Ok(device) => listing.devices.push(device),
            Err(error) => listing.unreadable.push(error),
        })?;
        Ok(listing)
    }

    /// The password that a device logs in with: its own; for a hotspot's ID of nine digits that of its base
    /// ID, the first seven; else `default`. `None` refuses it.
    ///
    /// # Errors
    /// Those of [`Embedded::get`]: a record that cannot be read never opens the way to the default.
    pub fn password_for(&self, id: u32, default: Option<&Secret>) -> Result<Option<Secret>, Error> {
        for id in [Some(id), base_id(id)].into_iter().flatten() {
            if let Some(password) = self.get(id)?.and_then(|device| device.password) {
                return Ok(Some(password));
            }
        }
        Ok(default.cloned())
    }

    /// Shows all records of a table, by ID.
    pub(crate) fn read(
        &self,
        table: TableDefinition<'_, u32, &'static [u8]>,
        mut see: impl FnMut(u32, &[u8]),
    ) -> Result<(), Error> {
        let mut read = || -> Result<(), redb::Error> {
            for entry in self.database.begin_read()?.open_table(table)?.iter()? {
                let (id, json) = entry?;
                see(id.value(), json.value());
            }
            Ok(())
        };
        read().map_err(|error| self.failed(error))
    }

    /// Changes a table in one durable transaction.
    pub(crate) fn write<T>(
        &self,
        table: TableDefinition<'_, u32, &'static [u8]>,
        change: impl FnOnce(&mut redb::Table<'_, u32, &'static [u8]>) -> Result<T, redb::StorageError>,
    ) -> Result<T, Error> {
        let write = || -> Result<T, redb::Error> {
            let transaction = self.database.begin_write()?;
            let result = change(&mut transaction.open_table(table)?)?;
            transaction.commit()?;
            Ok(result)
        };
        write().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: redb::Error) -> Error {
        Error::Store { path: self.path.clone(), source: Box::new(error) }
    }
}

fn decode(id: u32, json: &[u8]) -> Result<Device, Error> {
    let corrupt = |reason: String| Error::Corrupt { id, reason };
    let device: Device = serde_json::from_slice(json).map_err(|error| {
        // Not its own words: they may repeat what was stored.
        corrupt(format!("no device at line {} column {}", error.line(), error.column()))
    })?;
    if device.id != id {
        return Err(corrupt(format!("it says that it is device {}", device.id)));
    }
    device.validate().map_err(|error| corrupt(error.to_string()))?;
    Ok(device)
}

/// Opens or makes the file and its directory, for nobody else to read.
fn open_private(dir: &Path, path: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    // Else a new file's name may be lost with the power.
    File::open(dir)?.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Embedded) {
        let dir = tempfile::tempdir().unwrap();
        let store = Embedded::open(&dir.path().join("a/data")).unwrap();
        (dir, store)
    }

    fn device(id: u32, password: Option<&str>) -> Device {
        let password = password.map(|text| Secret::new(text).unwrap());
        Device { password, call: Some("N0CALL".to_owned()), statics: [vec![91], vec![]], ..Device::new(id) }
    }

    #[test]
    fn keeps_devices() {
        let (dir, store) = store();
        store.put(&device(2, None)).unwrap();
        store.put(&device(1, Some("old"))).unwrap();
        store.put(&device(1, Some("new"))).unwrap();
        drop(store);
        let store = Embedded::open(&dir.path().join("a/data")).unwrap();
        assert_eq!(store.get(1).unwrap(), Some(device(1, Some("new"))));
        assert_eq!(store.list().unwrap().devices, [device(1, Some("new")), device(2, None)]);
        assert!(store.remove(1).unwrap());
        assert!(!store.remove(1).unwrap());
        assert_eq!(store.get(1).unwrap(), None);
        assert!(matches!(store.put(&device(0, None)), Err(Error::Invalid { .. })));
    }

    #[test]
    fn for_one_user_and_one_cluster() {
        let (dir, _store) = store();
        let data = dir.path().join("a/data");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join(FILE))), (0o700, 0o600));
        let error = Embedded::open(&data).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: another cluster uses", data.display())), "{error}");
    }

    #[test]
    fn a_file_open_to_others_is_closed_to_them() {
        let (dir, store) = store();
        drop(store);
        let file = dir.path().join("a/data").join(FILE);
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let _store = Embedded::open(&dir.path().join("a/data")).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn passwords_by_device_then_base_then_default() {
        let (_dir, store) = store();
        let default = Secret::new("default").unwrap();
        let password = |id| store.password_for(id, Some(&default)).unwrap().unwrap().expose().to_owned();
        assert_eq!(password(262_137_001), "default");
        store.put(&device(2_621_370, Some("base"))).unwrap();
        assert_eq!(password(262_137_001), "base");
        assert_eq!(password(2_621_370), "base");
        store.put(&device(262_137_001, None)).unwrap();
        assert_eq!(password(262_137_001), "base");
        store.put(&device(262_137_001, Some("own"))).unwrap();
        assert_eq!(password(262_137_001), "own");
        assert_eq!(password(262_137_002), "base");
        assert_eq!(store.password_for(7, None).unwrap(), None);
    }

    #[test]
    fn a_corrupt_record_is_named_and_hides_no_other() {
        let (_dir, store) = store();
        store.put(&device(1, Some("hidden"))).unwrap();
        let bad = [
            (2, br#"{"id":2,"password":{"hidden":1}}"#.as_slice()),
            (3, br#"{"id":4}"#),
            (5, b"\xff"),
            (6, br#"{"id":6,"statics":[[0],[]]}"#),
        ];
        for (id, json) in bad {
            store.write(DEVICES, |table| table.insert(id, json).map(drop)).unwrap();
        }
        let listing = store.list().unwrap();
        assert_eq!(listing.devices, [device(1, Some("hidden"))]);
        let errors: Vec<_> = listing.unreadable.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 4);
        assert!(errors[0].starts_with("the record of device 2 cannot be read: no device at line 1"));
        assert!(errors[1].contains("it says that it is device 4"));
        assert!(!format!("{listing:?} {errors:?}").contains("hidden"));
        assert!(matches!(store.password_for(2, None), Err(Error::Corrupt { id: 2, .. })));
        assert!(store.remove(2).unwrap());
    }

    #[test]
    fn a_file_that_is_no_store_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "not a database").unwrap();
        assert!(matches!(Embedded::open(dir.path()), Err(Error::Store { .. })));
        let error = Embedded::open(&dir.path().join(FILE)).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
}
