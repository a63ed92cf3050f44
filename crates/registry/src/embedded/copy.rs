//! The store as a copy of another registry: what that has not got yet, and up to where it was followed.

use std::ops::Bound;

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::{Embedded, table};
use crate::{Change, Error, Key, Record, Space};

/// Keys of changes that the registry has not got yet, as [`name`] writes them, and the number of each change.
const PENDING: TableDefinition<'static, &[u8], u64> = TableDefinition::new("pending");
/// The number of the last change that was noted.
const COUNTER: TableDefinition<'static, &str, u64> = TableDefinition::new("pending_counter");
/// Keys, named the same, whose record there and here may differ: what the registry said of them was not taken.
const DOUBTFUL: TableDefinition<'static, &[u8], ()> = TableDefinition::new("doubtful");
/// The mark, and what is to be done about a registry: each under a name of its own.
const MARK: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("mark");

const FOLLOWED: &str = "";
const HELD: &str = "held";
const RESTORING: &str = "restoring";

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

/// Registries that are held at once; beyond, the first of them is forgotten.
const MAX_HELD: usize = 16;

/// Registries that are not followed before an operator says so, and why, in words.
type AllHeld = std::collections::BTreeMap<String, String>;

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
        transaction.delete_table(DOUBTFUL)?;
    }
    drop(transaction.open_table(PENDING)?);
    drop(transaction.open_table(DOUBTFUL)?);
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
        let count =
            || -> Result<u64, redb::Error> { Ok(self.database.begin_read()?.open_table(PENDING)?.len()?) };
        count().map_err(|error| self.failed(error))
    }

    /// Changes that the registry has not got yet, by space and key, at most so many after one of them. One whose record
    /// here cannot be read is left out: whoever puts it right makes another.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn pending(&self, after: Option<&Pending>, most: usize) -> Result<Vec<Pending>, Error> {
        let after = after.map(|pending| name(pending.change.space, &pending.change.key));
        let start = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let read = || -> Result<Vec<Pending>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let mut pending = Vec::new();
            for entry in transaction.open_table(PENDING)?.range::<&[u8]>((start, Bound::Unbounded))? {
                if pending.len() == most {
                    break;
                }
                let (name, number) = entry?;
                let (Some((space, key)), number) = (read_name(name.value()), number.value()) else {
                    continue;
                };
                let found = transaction.open_table(table(space))?.get(key.to_bytes().as_slice())?;
                let record = found.map(|json| Record::of_stored(space, &key, json.value()));
                let Ok(record) = record.transpose() else { continue };
                pending.push(Pending { change: Change { space, key, record }, number });
            }
            Ok(pending)
        };
        read().map_err(|error| self.failed(error))
    }

    /// How many of those spaces' records lie here.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count(&self, spaces: &[Space]) -> Result<u64, Error> {
        let count = || -> Result<u64, redb::Error> {
            let transaction = self.database.begin_read()?;
            spaces.iter().try_fold(0, |sum, &space| Ok(sum + transaction.open_table(table(space))?.len()?))
        };
        count().map_err(|error| self.failed(error))
    }

    /// How many records of these spaces lie here that are pending.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count_pending_records(&self, spaces: &[Space]) -> Result<u64, Error> {
        let count = || -> Result<u64, redb::Error> {
            let transaction = self.database.begin_read()?;
            let mut count = 0;
            for entry in transaction.open_table(PENDING)?.iter()? {
                let Some((space, key)) = read_name(entry?.0.value()) else { continue };
                if spaces.contains(&space) {
                    let table = transaction.open_table(table(space))?;
                    count += u64::from(table.get(key.to_bytes().as_slice())?.is_some());
                }
            }
            Ok(count)
        };
        count().map_err(|error| self.failed(error))
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
        self.said(FOLLOWED)
    }

    /// Why this registry waits for an operator's word, if it does.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn held(&self, cluster: &str) -> Result<Option<String>, Error> {
        Ok(self.said::<AllHeld>(HELD)?.and_then(|mut all| all.remove(cluster)))
    }

    /// The registry that is being made the same as this copy, if one is.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn restoring(&self) -> Result<Option<String>, Error> {
        self.said(RESTORING)
    }

    /// This registry is not followed before an operator says so, whatever becomes of it or of this process. What he
    /// has said of others before holds no longer.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn hold(&self, cluster: &str, reason: &str) -> Result<(), Error> {
        let mut all = self.said::<AllHeld>(HELD)?.unwrap_or_default();
        if all.len() >= MAX_HELD && !all.contains_key(cluster) {
            all.pop_first();
        }
        all.insert(cluster.to_owned(), reason.to_owned());
        self.transact(|transaction| {
            transaction.open_table(MARK)?.remove(RESTORING)?;
            say(transaction, HELD, &all)
        })
    }

    /// This registry is followed from its beginning: an operator has said so, or it has been made the same.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn accept(&self, cluster: &str) -> Result<(), Error> {
        let mark = Mark { cluster: cluster.to_owned(), version: 0, epoch: String::new(), seq: 0 };
        self.transact(|transaction| {
            forget(transaction)?;
            say(transaction, FOLLOWED, &mark)
        })
    }

    /// This registry is to be made the same as this copy, until [`Self::accept`].
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn restore(&self, cluster: &str) -> Result<(), Error> {
        self.transact(|transaction| {
            forget(transaction)?;
            say(transaction, RESTORING, &cluster)
        })
    }

    fn said<T: serde::de::DeserializeOwned>(&self, what: &str) -> Result<Option<T>, Error> {
        let read = || -> Result<Option<T>, redb::Error> {
            let table = self.database.begin_read()?.open_table(MARK)?;
            Ok(table.get(what)?.and_then(|json| serde_json::from_slice(json.value()).ok()))
        };
        read().map_err(|error| self.failed(error))
    }

    /// Records of which it is not known whether they are the same there, at most so many after one of them. What is pending
    /// is left out: it is told first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn doubtful(&self, after: Option<&(Space, Key)>, most: usize) -> Result<Vec<(Space, Key)>, Error> {
        let after = after.map(|(space, key)| name(*space, key));
        let start = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let read = || -> Result<Vec<(Space, Key)>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let pending = transaction.open_table(PENDING)?;
            let mut keys = Vec::new();
            for entry in transaction.open_table(DOUBTFUL)?.range::<&[u8]>((start, Bound::Unbounded))? {
                let (name, _) = entry?;
                if keys.len() == most {
                    break;
                }
                if pending.get(name.value())?.is_none() {
                    keys.extend(read_name(name.value()));
                }
            }
            Ok(keys)
        };
        read().map_err(|error| self.failed(error))
    }

    /// What the registry has under this key is known now.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn settle(&self, space: Space, key: &Key) -> Result<(), Error> {
        self.transact(|transaction| {
            transaction.open_table(DOUBTFUL)?.remove(name(space, key).as_slice())?;
            Ok(())
        })
    }

    /// Has the registry told of these again, though nothing has changed here.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn tell_again(&self, changes: &[Change]) -> Result<(), Error> {
        self.transact(|transaction| if self.follows { note(transaction, changes) } else { Ok(()) })
    }

    /// Takes what the registry says into the copy, but for what is pending here and what `spares` names: that is doubtful
    /// from now on. Returns what has changed. `mark` is noted with it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn follow(
        &self,
        changes: &[Change],
        spares: impl Fn(Space, &Key) -> bool,
        mark: Option<&Mark>,
    ) -> Result<Vec<Change>, Error> {
        let (made, doubtful) = self.compare(changes, spares)?;
        if made.is_empty() && doubtful.is_empty() && mark.is_none() {
            return Ok(made);
        }
        self.transact(|transaction| {
            super::make(transaction, &made)?;
            let mut doubts = transaction.open_table(DOUBTFUL)?;
            for change in doubtful {
                doubts.insert(name(change.space, &change.key).as_slice(), ())?;
            }
            match mark {
                Some(mark) => {
                    // Another one than that which was to be made the same.
                    transaction.open_table(MARK)?.remove(RESTORING)?;
                    say(transaction, FOLLOWED, mark)
                }
                None => Ok(()),
            }
        })?;
        Ok(made)
    }

    /// Of some changes those that differ from what is here: those to make, and those that are not to be made.
    fn compare<'a>(
        &self,
        changes: &'a [Change],
        spares: impl Fn(Space, &Key) -> bool,
    ) -> Result<(Vec<Change>, Vec<&'a Change>), Error> {
        let compare = || -> Result<_, redb::Error> {
            let transaction = self.database.begin_read()?;
            let pending = transaction.open_table(PENDING)?;
            let (mut made, mut doubtful) = (Vec::new(), Vec::new());
            for change in changes {
                let table = transaction.open_table(table(change.space))?;
                let here = table.get(change.key.to_bytes().as_slice())?;
                let is_same = match (&change.record, here) {
                    (Some(record), Some(json)) => json.value() == record.json().as_bytes(),
                    (None, None) => true,
                    (Some(_), None) | (None, Some(_)) => false,
                };
                if is_same {
                    continue;
                }
                let name = name(change.space, &change.key);
                if spares(change.space, &change.key) || pending.get(name.as_slice())?.is_some() {
                    doubtful.push(change);
                } else {
                    made.push(change.clone());
                }
            }
            Ok((made, doubtful))
        };
        compare().map_err(|error| self.failed(error))
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
        use Bound::{Excluded, Included, Unbounded};
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
}

fn say(transaction: &WriteTransaction, what: &str, said: &impl Serialize) -> Result<(), redb::Error> {
    // None of them has a form that JSON lacks.
    if let Ok(json) = serde_json::to_vec(said) {
        transaction.open_table(MARK)?.insert(what, json.as_slice())?;
    }
    Ok(())
}

/// What an operator was asked, and what he has said to it, is done with.
fn forget(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(MARK)?;
    for what in [HELD, RESTORING] {
        table.remove(what)?;
    }
    Ok(())
}

/// What goes from here alone is not to be taken out there either, whatever was pending of it.
pub(super) fn drop_pending(transaction: &WriteTransaction, changes: &[Change]) -> Result<(), redb::Error> {
    let mut pending = transaction.open_table(PENDING)?;
    for change in changes.iter().filter(|change| change.record.is_none()) {
        pending.remove(name(change.space, &change.key).as_slice())?;
    }
    Ok(())
}
