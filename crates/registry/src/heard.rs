//! What was last heard of each radio, as whoever hears it describes it.

use redb::TableDefinition;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Embedded, Error};

pub(crate) const HEARD: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("last_heard");

impl Embedded {
    /// Keeps what was last heard of these radios, or forgets them (`None`), in one transaction; when this
    /// returns, the disk has it. What has no JSON form is left out.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn keep_heard<T: Serialize>(
        &self,
        changes: impl Iterator<Item = (u32, Option<T>)>,
    ) -> Result<(), Error> {
        self.write(HEARD, |table| {
            for (radio, heard) in changes {
                match heard.map(|heard| serde_json::to_vec(&heard)) {
                    Some(Ok(json)) => drop(table.insert(radio, json.as_slice())?),
                    Some(Err(_)) => {}
                    None => drop(table.remove(radio)?),
                }
            }
            Ok(())
        })
    }

    /// What was last heard of all radios, by ID; what cannot be read is left out.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn heard<T: DeserializeOwned>(&self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        self.read(HEARD, |_, json| all.extend(serde_json::from_slice::<T>(json)))?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let store = Embedded::open(dir.path()).unwrap();
        store.keep_heard([(7, Some("a")), (8, Some("b")), (9, Some("c"))].into_iter()).unwrap();
        store.keep_heard([(8, Some("d")), (7, None), (70, None)].into_iter()).unwrap();
        store.write(HEARD, |table| table.insert(10, b"{".as_slice()).map(drop)).unwrap();
        drop(store);
        let store = Embedded::open(dir.path()).unwrap();
        assert_eq!(store.heard::<String>().unwrap(), ["d", "c"]);
        assert!(store.list().unwrap().devices.is_empty());
    }
}
