//! The contexts of a shard, found by record, address and ID. An address has one context, and so has an ID.

use std::net::SocketAddr;

use rustc_hash::FxHashMap;

use crate::context::Context;

/// Records are added so many at a time.
const GROWTH: usize = 16;

/// The contexts of a shard.
pub(crate) struct Table {
    capacity: u16,
    /// By record; grows up to the highest record ever used.
    records: Vec<Option<Context>>,
    by_address: FxHashMap<SocketAddr, u16>,
    by_id: FxHashMap<u32, u16>,
}

impl Table {
    /// An empty one, with records `0..capacity`.
    pub(crate) fn new(capacity: u16) -> Self {
        Self { capacity, records: Vec::new(), by_address: FxHashMap::default(), by_id: FxHashMap::default() }
    }

    /// The record of the device at this address.
    pub(crate) fn at(&self, from: SocketAddr) -> Option<u16> {
        self.by_address.get(&from).copied()
    }

    /// The record of the device with this ID.
    pub(crate) fn of(&self, id: u32) -> Option<u16> {
        self.by_id.get(&id).copied()
    }

    /// The context of a record.
    pub(crate) fn get(&self, index: u16) -> Option<&Context> {
        self.records.get(usize::from(index))?.as_ref()
    }

    /// The context of a record; its ID and address must stay as they are.
    pub(crate) fn get_mut(&mut self, index: u16) -> Option<&mut Context> {
        self.records.get_mut(usize::from(index))?.as_mut()
    }

    /// Takes the context in at the lowest free record and says which; `None` where there is none, or where its
    /// address or ID is taken.
    pub(crate) fn insert(&mut self, context: Context) -> Option<u16> {
        let free = self.records.iter().position(Option::is_none).unwrap_or(self.records.len());
        let index = u16::try_from(free).ok()?;
        self.place(index, context).then_some(index)
    }

    /// Takes the context in at this record; false where that is taken or beyond the capacity, or where its
    /// address or ID is taken.
    pub(crate) fn place(&mut self, index: u16, context: Context) -> bool {
        let taken = self.get(index).is_some()
            || self.by_address.contains_key(&context.path.remote)
            || self.by_id.contains_key(&context.id);
        if taken || index >= self.capacity {
            return false;
        }
        let place = usize::from(index);
        if place >= self.records.len() {
            // Twice as many, as is usual, would be much memory for nothing in each of many shards.
            if place >= self.records.capacity() {
                self.records.reserve_exact((place + 1 - self.records.len()).next_multiple_of(GROWTH));
            }
            self.records.resize(place + 1, None);
        }
        self.by_address.insert(context.path.remote, index);
        self.by_id.insert(context.id, index);
        self.records[place] = Some(context);
        true
    }

    /// Takes a context out.
    pub(crate) fn remove(&mut self, index: u16) -> Option<Context> {
        let context = self.records.get_mut(usize::from(index))?.take()?;
        self.by_address.remove(&context.path.remote);
        self.by_id.remove(&context.id);
        Some(context)
    }

    /// All of them with their records.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &Context)> {
        (0..).zip(&self.records).filter_map(|(index, context)| Some((index, context.as_ref()?)))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use stack::{DeviceSettings, Time};

    use super::*;
    use crate::path::{Dialect, Path};

    fn context(id: u32, port: u16) -> Context {
        let remote = SocketAddr::from(([192, 0, 2, 1], port));
        let path = Path { listener: 0, local: None, remote, dialect: Dialect::Binary };
        Context::new(Time(0), id, path, &DeviceSettings::default())
    }

    #[test]
    fn the_lowest_free_record_is_used() {
        let mut table = Table::new(3);
        assert_eq!(table.insert(context(1, 1)), Some(0));
        assert_eq!(table.insert(context(2, 2)), Some(1));
        assert_eq!(table.insert(context(3, 3)), Some(2));
        assert_eq!(table.insert(context(4, 4)), None, "full");
        assert_eq!(table.remove(1).map(|c| c.id), Some(2));
        assert_eq!((table.of(2), table.at(context(2, 2).path.remote)), (None, None));
        assert_eq!(table.insert(context(4, 4)), Some(1));
        assert_eq!(
            table.iter().map(|(index, c)| (index, c.id)).collect::<Vec<_>>(),
            [(0, 1), (1, 4), (2, 3)]
        );
    }

    #[test]
    fn nothing_is_taken_twice() {
        let mut table = Table::new(3);
        assert!(table.place(2, context(1, 1)));
        assert!(!table.place(2, context(2, 2)), "record");
        assert!(!table.place(0, context(1, 2)), "ID");
        assert!(!table.place(0, context(2, 1)), "address");
        assert!(!table.place(3, context(2, 2)), "beyond");
        assert_eq!(table.insert(context(2, 2)), Some(0));
        assert_eq!(table.len(), 2);
        assert!(table.get(9).is_none() && table.remove(9).is_none() && table.get_mut(1).is_none());
    }
}
