//! The embedded store: a redb database with one table a space. Where the cluster follows another registry, it is the copy
//! of that: it knows which of its own changes that registry has not got yet, and up to where it has followed.

mod copy;
mod devices;
mod file;
mod old;

use std::ops::Bound;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase, TableDefinition, WriteTransaction};

use crate::{Change, Error, Key, Page, Record, Refused, Space, Store};

pub use copy::{Mark, Pending};
pub use devices::Listing;

/// Memory for pages, in bytes: far more than the devices of a large network need.
const CACHE: usize = 16 * 1024 * 1024;

/// Records by their keys' bytes.
type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// The store of one cluster. It is locked while it is open.
#[derive(Debug)]
pub struct Embedded {
    path: PathBuf,
    database: Database,
    /// Changes are kept for a registry that is followed.
    follows: bool,
}

const fn table(space: Space) -> Table {
    TableDefinition::new(space.name())
}

impl Embedded {
    /// Opens the store in the data directory `dir`; both are made where they are not there, for this user's
    /// eyes only. The whole file is checked. `follows`: it is the copy of another registry.
    ///
    /// # Errors
    /// [`Error::InUse`] while another process has it open; others when it cannot be made, opened or read.
    pub fn open(dir: &Path, follows: bool) -> Result<Self, Error> {
        let path = dir.join(file::NAME);
        let file =
            file::open_private(dir, &path).map_err(|source| Error::Io { path: path.clone(), source })?;
        // A database that was changed from outside is to be an error, not a panic.
        let database = FileBackend::new(file).and_then(|backend| {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE).set_check_integrity_on_open(true).create_with_backend(backend)
        });
        let database = database.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => Error::InUse { dir: dir.to_owned() },
            error => Error::Store { path: path.clone(), source: Box::new(error.into()) },
        })?;
        let store = Self { path, database, follows };
        store.transact(|transaction| {
            for space in Space::ALL {
                drop(transaction.open_table(table(space))?);
            }
            old::convert(transaction)?;
            copy::begin(transaction, follows)
        })?;
        Ok(store)
    }

    /// The record with this key.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it cannot be read; [`Error::Store`].
    pub fn get(&self, space: Space, key: &Key) -> Result<Option<Record>, Error> {
        let get = || -> Result<_, redb::Error> {
            let table = self.database.begin_read()?.open_table(table(space))?;
            let found = table.get(key.to_bytes().as_slice())?;
            Ok(found.map(|json| Record::of_stored(space, key, json.value())))
        };
        get().map_err(|error| self.failed(error))?.transpose()
    }

    /// The first records after a key, at most so many. One that cannot be read does not hide the others.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list(&self, space: Space, after: Option<&Key>, most: usize) -> Result<Page, Error> {
        let after = after.map(Key::to_bytes);
        let start = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let list = || -> Result<Page, redb::Error> {
            let mut page = Page::default();
            let table = self.database.begin_read()?.open_table(table(space))?;
            for entry in table.range::<&[u8]>((start, Bound::Unbounded))? {
                let (bytes, json) = entry?;
                // Only this program writes keys.
                let Some(key) = space.key_of_bytes(bytes.value()) else { continue };
                if page.records.len() + page.refused.len() == most {
                    break;
                }
                page.next = Some(key.clone());
                match Record::of_stored(space, &key, json.value()) {
                    Ok(record) => page.records.push(record),
                    Err(error) => page.refused.push(Refused { space, key: Some(key), error }),
                }
            }
            page.next = page.next.filter(|_| page.records.len() + page.refused.len() == most);
            Ok(page)
        };
        list().map_err(|error| self.failed(error))
    }

    /// All records of a space, and those that cannot be read.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn all(&self, space: Space) -> Result<Page, Error> {
        self.list(space, None, usize::MAX)
    }

    /// Makes changes in one durable transaction; the registry that is followed gets them as well.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn change(&self, changes: &[Change]) -> Result<(), Error> {
        self.transact(|transaction| {
            make(transaction, changes)?;
            if self.follows { copy::note(transaction, changes) } else { Ok(()) }
        })
    }

    /// Makes changes in one durable transaction that are for this store alone; of what goes nothing is pending any more.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn change_here(&self, changes: &[Change]) -> Result<(), Error> {
        self.transact(|transaction| {
            make(transaction, changes)?;
            copy::drop_pending(transaction, changes)
        })
    }

    fn transact<T>(&self, act: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>) -> Result<T, Error> {
        let transact = || -> Result<T, redb::Error> {
            let transaction = self.database.begin_write()?;
            let result = act(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        transact().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: redb::Error) -> Error {
        Error::Store { path: self.path.clone(), source: Box::new(error) }
    }
}

fn make(transaction: &WriteTransaction, changes: &[Change]) -> Result<(), redb::Error> {
    for change in changes {
        let (mut table, key) = (transaction.open_table(table(change.space))?, change.key.to_bytes());
        match &change.record {
            Some(record) => drop(table.insert(key.as_slice(), record.json().as_bytes())?),
            None => drop(table.remove(key.as_slice())?),
        }
    }
    Ok(())
}

impl Store for Embedded {
    async fn page(&self, space: Space, after: Option<&Key>, most: usize) -> Result<Page, Error> {
        self.list(space, after, most)
    }

    async fn write(&self, changes: &[Change]) -> Result<(), Error> {
        self.change(changes)
    }
}

#[cfg(test)]
pub(crate) mod tests;
