//! The store as a copy of another registry: what that has not got yet, and up to where it was followed.

use redb::{ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::{Embedded, table};
use crate::{Change, Error, Key, Record, Space};

/// Keys of changes that the registry has not got yet, as [`name`] writes them, and the number of each change.
const PENDING: TableDefinition<'static, &[u8], u64> = TableDefinition::new("pending");
/// The number of the last change that was noted.
const COUNTER: TableDefinition<'static, &str, u64> = TableDefinition::new("pending_counter");
/// The place of the mark.
const MARK: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("mark");

/// Up to where a registry has been followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which registry.
    pub cluster: String,
    /// How many changes it had seen at least: it grows with each.
    pub version: u64,
    /// The life of its journal.
    pub epoch: String,
    /// The last change of that journal that is here.
    pub seq: u64,
}

/// A change that the registry has not got yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// How the record is now.
    pub change: Change,
    /// Of the last change of it.
    number: u64,
}

/// Makes the tables; what they hold is of no more use where no registry is followed.
pub(super) fn begin(transaction: &WriteTransaction, follows: bool) -> Result<(), redb::Error> {
    if !follows {
        transaction.delete_table(PENDING)?;
        transaction.delete_table(MARK)?;
    }
    drop(transaction.open_table(PENDING)?);
    drop(transaction.open_table(COUNTER)?);
    drop(transaction.open_table(MARK)?);
    Ok(())
}

/// Notes that the registry is to get these changes.
pub(super) fn note(transaction: &WriteTransaction, changes: &[Change]) -> Result<(), redb::Error> {
    let (mut pending, mut counter) = (transaction.open_table(PENDING)?, transaction.open_table(COUNTER)?);
    let number = counter.get("")?.map_or(0, |number| number.value()) + 1;
    counter.insert("", number)?;
    for change in changes {
        pending.insert(name(change.space, &change.key).as_slice(), number)?;
    }
    Ok(())
}

fn name(space: Space, key: &Key) -> Vec<u8> {
    [space.name().as_bytes(), b"/", &key.to_bytes()].concat()
}

fn read_name(name: &[u8]) -> Option<(Space, Key)> {
    let slash = name.iter().position(|&byte| byte == b'/')?;
    let space = Space::named(std::str::from_utf8(&name[..slash]).ok()?)?;
    Some((space, space.key_of_bytes(&name[slash + 1..])?))
}

impl Embedded {
    /// How many changes the registry has not got yet.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn pending_count(&self) -> Result<u64, Error> {
        use redb::ReadableTableMetadata as _;
        let count =
            || -> Result<u64, redb::Error> { Ok(self.database.begin_read()?.open_table(PENDING)?.len()?) };
        count().map_err(|error| self.failed(error))
    }

    /// Changes that the registry has not got yet, at most so many, by space and key.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn pending(&self, most: usize) -> Result<Vec<Pending>, Error> {
        let read = || -> Result<Vec<Pending>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let mut pending = Vec::new();
            for entry in transaction.open_table(PENDING)?.iter()?.take(most) {
                let (name, number) = entry?;
                let (Some((space, key)), number) = (read_name(name.value()), number.value()) else {
                    continue;
                };
                let found = transaction.open_table(table(space))?.get(key.to_bytes().as_slice())?;
                // One that cannot be read goes nowhere: whoever puts it right makes another change.
                let record = found.and_then(|json| Record::of_stored(space, &key, json.value()).ok());
                pending.push(Pending { change: Change { space, key, record }, number });
            }
            Ok(pending)
        };
        read().map_err(|error| self.failed(error))
    }

    /// The registry has these now. What was changed again meanwhile stays pending.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn delivered(&self, delivered: &[Pending]) -> Result<(), Error> {
        self.transact(|transaction| {
            let mut pending = transaction.open_table(PENDING)?;
            for Pending { change, number } in delivered {
                let name = name(change.space, &change.key);
                let is_same = pending.get(name.as_slice())?.is_some_and(|found| found.value() == *number);
                if is_same {
                    pending.remove(name.as_slice())?;
                }
            }
            Ok(())
        })
    }

    /// Up to where a registry has been followed; `None` where none has.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn mark(&self) -> Result<Option<Mark>, Error> {
        let read = || -> Result<Option<Mark>, redb::Error> {
            let table = self.database.begin_read()?.open_table(MARK)?;
            Ok(table.get("")?.and_then(|json| serde_json::from_slice(json.value()).ok()))
        };
        read().map_err(|error| self.failed(error))
    }

    /// Takes what the registry says into the copy, but for what is pending here and what `spares` names. Returns what has
    /// changed by that. `mark` is noted with it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn follow(
        &self,
        changes: &[Change],
        spares: impl Fn(Space, &Key) -> bool,
        mark: Option<&Mark>,
    ) -> Result<Vec<Change>, Error> {
        self.transact(|transaction| {
            let mut made = Vec::new();
            for change in changes {
                if !spares(change.space, &change.key) && is_new(transaction, change)? {
                    made.push(change.clone());
                }
            }
            super::make(transaction, &made)?;
            put_mark(transaction, mark)?;
            Ok(made)
        })
    }

    /// Which records of a space lie here between two keys (without the first, with the last), and are not among `keys`,
    /// which are in order.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn beyond(
        &self,
        space: Space,
        after: Option<&Key>,
        until: Option<&Key>,
        keys: &[Key],
    ) -> Result<Vec<Change>, Error> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let (after, until) = (after.map(Key::to_bytes), until.map(Key::to_bytes));
        let range =
            (after.as_deref().map_or(Unbounded, Excluded), until.as_deref().map_or(Unbounded, Included));
        let read = || -> Result<Vec<Change>, redb::Error> {
            let table = self.database.begin_read()?.open_table(table(space))?;
            let mut gone = Vec::new();
            for entry in table.range::<&[u8]>(range)? {
                let key = space.key_of_bytes(entry?.0.value());
                gone.extend(key.filter(|key| keys.binary_search(key).is_err()));
            }
            Ok(gone.into_iter().map(|key| Change::remove(space, key)).collect())
        };
        read().map_err(|error| self.failed(error))
    }

    /// Makes all that lies here pending, and forgets what was followed: the registry is to be as this copy.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn make_all_pending(&self, spaces: &[Space]) -> Result<(), Error> {
        for &space in spaces {
            let mut after = None;
            loop {
                let page = self.list(space, after.as_ref(), crate::MAX_AT_ONCE)?;
                let changes: Vec<Change> = page.records.into_iter().map(Change::put).collect();
                self.transact(|transaction| note(transaction, &changes))?;
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn put_mark(transaction: &WriteTransaction, mark: Option<&Mark>) -> Result<(), redb::Error> {
    if let Some(json) = mark.and_then(|mark| serde_json::to_vec(mark).ok()) {
        transaction.open_table(MARK)?.insert("", json.as_slice())?;
    }
    Ok(())
}

/// Whether a change is none of what is pending, and differs from what is here.
fn is_new(transaction: &WriteTransaction, change: &Change) -> Result<bool, redb::Error> {
    let name = name(change.space, &change.key);
    if transaction.open_table(PENDING)?.get(name.as_slice())?.is_some() {
        return Ok(false);
    }
    let table = transaction.open_table(table(change.space))?;
    let here = table.get(change.key.to_bytes().as_slice())?;
    Ok(match (&change.record, here) {
        (Some(record), Some(json)) => json.value() != record.json().as_bytes(),
        (None, None) => false,
        (Some(_), None) | (None, Some(_)) => true,
    })
}
