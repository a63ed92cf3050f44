//! Where a worker last heard each radio: a bounded table in its segment. Asked for private calls over all
//! workers; the newest answer wins. A full bucket forgets its oldest entry.

use crate::sync::{AtomicU64, Ordering, acquire, fence};

/// Entries of a bucket: one cache line.
const WAYS: usize = 4;
const BUCKETS: usize = 4096;
pub(crate) const LOCATION_WORDS: usize = BUCKETS * WAYS * 2;

/// Where and when a radio was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The context's ID.
    pub context: u32,
    /// 1 or 2.
    pub slot: u8,
    /// Milliseconds since 1970.
    pub heard_ms: u64,
}

/// A table as others see it. An entry is two words: (radio, context), which is always whole, and
/// (time, slot), zero while the other is being replaced.
#[derive(Clone, Copy, Debug)]
pub struct Locations<'a> {
    pub(crate) words: &'a [AtomicU64],
}

impl Locations<'_> {
    /// Where the worker last heard `radio`, if it still knows.
    #[must_use]
    pub fn get(&self, radio: u32) -> Option<Location> {
        let mut found: Option<Location> = None;
        for entry in bucket(self.words, radio).as_chunks::<2>().0 {
            let who = entry[0].load(Ordering::Relaxed);
            if who >> 32 != u64::from(radio) {
                continue;
            }
            let when = acquire(&entry[1]);
            // An entry that changes hands meanwhile has another owner or place now; one that changed twice and
            // is back at both has another time.
            if when == 0 || acquire(&entry[0]) != who || entry[1].load(Ordering::Relaxed) != when {
                continue;
            }
            let location = Location { context: who as u32, slot: (when & 0xff) as u8, heard_ms: when >> 8 };
            if found.is_none_or(|other| other.heard_ms < location.heard_ms) {
                found = Some(location);
            }
        }
        found
    }

    /// All of them, the same radio more than once where it is being replaced. Looks at the whole table: not for each
    /// packet.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Location)> + '_ {
        let radios =
            self.words.as_chunks::<2>().0.iter().map(|entry| (entry[0].load(Ordering::Relaxed) >> 32) as u32);
        radios.filter(|&radio| radio != 0).filter_map(|radio| Some((radio, self.get(radio)?)))
    }
}

/// The owner's side.
#[derive(Debug, Default)]
pub struct LocationsWriter(());

impl LocationsWriter {
    /// Forgets all radios that were heard at this context.
    pub(crate) fn forget(&mut self, words: &[AtomicU64], context: u32) {
        let of_context = |entry: &&[AtomicU64; 2]| entry[0].load(Ordering::Relaxed) as u32 == context;
        for entry in words.as_chunks::<2>().0.iter().filter(of_context) {
            // Zero, so that it is the first to be taken again. In whatever order a reader sees the two, it takes
            // the entry for none.
            entry[1].store(0, Ordering::Relaxed);
            entry[0].store(0, Ordering::Relaxed);
        }
    }

    /// Notes that `radio` was heard.
    pub(crate) fn set(&mut self, words: &[AtomicU64], radio: u32, location: Location) {
        let entries = bucket(words, radio).as_chunks::<2>().0;
        let same = entries.iter().find(|entry| entry[0].load(Ordering::Relaxed) >> 32 == u64::from(radio));
        let oldest = || entries.iter().min_by_key(|entry| entry[1].load(Ordering::Relaxed) >> 8);
        let Some(entry) = same.or_else(oldest) else { return };
        entry[1].store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        entry[0].store(u64::from(radio) << 32 | u64::from(location.context), Ordering::Relaxed);
        entry[1].store(location.heard_ms << 8 | u64::from(location.slot), Ordering::Release);
    }
}

fn bucket(words: &[AtomicU64], radio: u32) -> &[AtomicU64] {
    let buckets = words.as_chunks::<{ WAYS * 2 }>().0;
    &buckets[(radio.wrapping_mul(0x9E37_79B9) >> 20) as usize % buckets.len()]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_newest_place_is_found_and_the_oldest_forgotten() {
        let words: Vec<AtomicU64> = (0..LOCATION_WORDS).map(|_| AtomicU64::new(0)).collect();
        let (mut writer, table) = (LocationsWriter::default(), Locations { words: &words });
        let at = |context, heard_ms| Location { context, slot: 2, heard_ms };
        assert_eq!(table.get(2_501_001), None);
        writer.set(&words, 2_501_001, at(10, 1000));
        writer.set(&words, 2_501_001, at(11, 2000));
        assert_eq!(table.get(2_501_001), Some(at(11, 2000)));
        writer.set(&words, 7, at(13, 1));
        let all: Vec<_> = table.iter().collect();
        assert!(all.len() == 2 && all.contains(&(7, at(13, 1))), "{all:?}");
        writer.forget(&words, 13);
        assert_eq!((table.get(7), table.get(2_501_001)), (None, Some(at(11, 2000))));
        let mut clash = (1..).filter(|&id| std::ptr::eq(bucket(&words, id), bucket(&words, 2_501_001)));
        for (n, id) in clash.by_ref().take(4).enumerate() {
            writer.set(&words, id, at(12, 3000 + n as u64));
            assert_eq!(table.get(id), Some(at(12, 3000 + n as u64)));
        }
        assert_eq!(table.get(2_501_001), None);
    }
}
