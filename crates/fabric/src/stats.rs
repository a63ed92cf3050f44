//! The stats page of a process: counters, how far it has read its siblings, what it is working on, its last words; written
//! by it alone. The page belongs to the slot, not to the process, so nothing is lost when one dies.

use std::os::fd::BorrowedFd;

use crate::segment::{Error, Layout, Map, Segment};
use crate::sync::{AtomicU64, Ordering, acquire};

/// Upper bounds of the buckets of loop lag, in microseconds; one more bucket holds what is longer.
pub const LAG_BUCKETS_US: [u64; 8] = [50, 100, 250, 500, 1_000, 2_500, 10_000, 50_000];

/// What is counted. The order is the layout: a change needs a new layout version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// When the packet loop last came round, monotonic microseconds.
    Heartbeat,
    /// Datagrams that came in.
    DatagramsIn,
    /// Datagrams handed to the kernel.
    DatagramsOut,
    /// Datagrams that the kernel did not take.
    SendFailed,
    /// Datagrams that are no packet of the protocol.
    RefusedMalformed,
    /// Datagrams from an address that is not logged in.
    RefusedNotLoggedIn,
    /// Logins answered wrongly.
    RefusedPassword,
    /// Configurations that cannot be.
    RefusedConfiguration,
    /// Devices and call signs that are not let in.
    RefusedDenied,
    /// Bursts whose header cannot be.
    RefusedFrame,
    /// Logins for which there was no room.
    RefusedFull,
    /// Datagrams that have come before.
    RefusedReplayed,
    /// Datagrams on a timeslot that their protocol does not have.
    RefusedSlot,
    /// Datagrams that have come over too many networks.
    RefusedTooFar,
    /// Shards now.
    Shards,
    /// Contexts now.
    Contexts,
    /// Sessions now.
    Sessions,
    /// Frames taken in by the switch, from contexts here and from siblings.
    Frames,
    /// Frames delivered to contexts here.
    Delivered,
    /// Frames published to siblings.
    Forwarded,
    /// Frames of siblings overwritten before they were read.
    RingGaps,
    /// Sleepers woken.
    Doorbells,
    /// Messages to services that found its queue full.
    ReportsLost,
    /// Bursts that came after their call had ended.
    Late,
    /// Bursts that came twice.
    Duplicate,
    /// Bursts that came faster than the air can carry.
    TooFast,
    /// Data that a slot did not take, since a call was on it.
    DataBusy,
    /// Calls to a radio that nobody has heard.
    CallsNoRoute,
    /// Private calls to a radio whose slot had another call.
    CallsBusy,
    /// Calls to a talkgroup that had a talker.
    CallsTaken,
    /// Calls that came back another way.
    CallsLoop,
    /// Calls from radios or to talkgroups that the configuration does not let in.
    CallsDenied,
    /// Calls from banned radios.
    CallsBanned,
    /// Calls to a talkgroup that is blocked for the device.
    CallsBlocked,
    /// Encrypted calls.
    CallsEncrypted,
    /// What is being worked on: see [`Work`].
    Work,
    /// Time spent in the packet loop, microseconds.
    BusyUs,
    /// First bucket of loop lag; the others follow.
    Lag,
}

/// Counters and buckets have this many words.
const COUNTERS: usize = 64;
/// Length of the last words, then their text.
const LAST_WORDS: usize = COUNTERS;
const TEXT_WORDS: usize = 128;
/// Two words for each sibling.
const PLACES: usize = LAST_WORDS + 1 + TEXT_WORDS;
const LAYOUT: Layout = Layout { name: "bmctl-stats", kind: 5, version: 5, words: PLACES + 128 * 2 };
const _: () = assert!(Counter::Lag as usize + LAG_BUCKETS_US.len() < COUNTERS);

/// What a process is working on: whoever finds it on the page of a dead one knows over what it died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    /// The shard.
    pub shard: u16,
    /// The row of its state segment; `None` where that is not known yet.
    pub row: Option<u16>,
}

/// Stands for no row: there are fewer.
const NO_ROW: u16 = u16::MAX;

/// Makes a stats page.
#[derive(Debug)]
pub struct StatsSegment;

impl StatsSegment {
    /// A page of zeros.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn create(epoch: u64) -> Result<Segment, Error> {
        Segment::create(LAYOUT, epoch)
    }
}

/// A stats page, as its writer or as a reader.
#[derive(Debug)]
pub struct Stats {
    map: Map,
    writable: bool,
}

impl Stats {
    /// Maps a page for its writer.
    ///
    /// # Errors
    /// A foreign segment, or what the kernel refuses.
    pub fn writer(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        Ok(Self { map: Map::open(fd, LAYOUT, true)?.0, writable: true })
    }

    /// Maps a page for a reader, whose additions and settings do nothing.
    ///
    /// # Errors
    /// A foreign segment, or what the kernel refuses.
    pub fn reader(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        Ok(Self { map: Map::open(fd, LAYOUT, false)?.0, writable: false })
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        &self.map.body(index, 1)[0]
    }

    /// Adds to a counter.
    pub fn add(&self, counter: Counter, n: u64) {
        self.set(counter, self.get(counter).wrapping_add(n));
    }

    /// Sets a counter that says how many there are now.
    pub fn set(&self, counter: Counter, value: u64) {
        if self.writable {
            self.word(counter as usize).store(value, Ordering::Relaxed);
        }
    }

    /// What a counter says.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.word(counter as usize).load(Ordering::Relaxed)
    }

    /// From now on this is worked on; `None`: nothing that anybody could be blamed for.
    pub fn work_on(&self, work: Option<Work>) {
        let word = work
            .map_or(0, |work| u64::from(work.shard) << 17 | 1 << 16 | u64::from(work.row.unwrap_or(NO_ROW)));
        self.set(Counter::Work, word);
    }

    /// What is worked on.
    #[must_use]
    pub fn work(&self) -> Option<Work> {
        let word = self.get(Counter::Work);
        let row = Some((word & 0xffff) as u16).filter(|&row| row != NO_ROW);
        (word >> 16 & 1 == 1).then_some(Work { shard: (word >> 17) as u16, row })
    }

    /// Notes one round of the loop that took `us` microseconds.
    pub fn add_lag(&self, us: u64) {
        let bucket = LAG_BUCKETS_US.iter().position(|&bound| us <= bound).unwrap_or(LAG_BUCKETS_US.len());
        let word = self.word(Counter::Lag as usize + bucket);
        if self.writable {
            word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
        self.add(Counter::BusyUs, us);
    }

    /// How many rounds fell into each bucket of [`LAG_BUCKETS_US`], the longest last.
    #[must_use]
    pub fn lag(&self) -> [u64; LAG_BUCKETS_US.len() + 1] {
        std::array::from_fn(|bucket| self.word(Counter::Lag as usize + bucket).load(Ordering::Relaxed))
    }

    /// Leaves a text for whoever asks why the process died; what is over 1 KiB is cut.
    pub fn set_last_words(&self, text: &str) {
        if !self.writable {
            return;
        }
        let bytes = &text.as_bytes()[..text.len().min(TEXT_WORDS * 8)];
        for (i, bytes) in bytes.chunks(8).enumerate() {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            self.word(LAST_WORDS + 1 + i).store(u64::from_ne_bytes(whole), Ordering::Relaxed);
        }
        self.word(LAST_WORDS).store(bytes.len() as u64, Ordering::Release);
    }

    /// From now on a panic of this process, or a signal that ends it for a fault of its own, leaves on the page what it
    /// was and where, for the supervisor to find ([`sys::keep_last_words`]).
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn keep_last_words(self) -> Result<(), Error> {
        self.set_last_words("");
        sys::keep_last_words(move |text| self.set_last_words(text)).map_err(|error| LAYOUT.system(error))
    }

    /// Notes how far the ring of the sibling in `slot` was read, for whoever reads on in our place.
    pub fn set_place(&self, slot: u8, epoch: u64, next: u64) {
        if self.writable {
            self.word(PLACES + usize::from(slot % 128) * 2).store(epoch, Ordering::Relaxed);
            self.word(PLACES + usize::from(slot % 128) * 2 + 1).store(next, Ordering::Relaxed);
        }
    }

    /// How far the ring of the sibling in `slot` was read: its epoch and the position read next.
    #[must_use]
    pub fn place(&self, slot: u8) -> (u64, u64) {
        let [epoch, next] = [0, 1].map(|word| self.word(PLACES + usize::from(slot % 128) * 2 + word));
        (epoch.load(Ordering::Relaxed), next.load(Ordering::Relaxed))
    }

    /// What it said last, if it did.
    #[must_use]
    pub fn last_words(&self) -> Option<String> {
        let len = usize::try_from(acquire(self.word(LAST_WORDS))).unwrap_or(0);
        let len = len.min(TEXT_WORDS * 8);
        let words = self.map.body(LAST_WORDS + 1, TEXT_WORDS);
        let bytes: Vec<u8> =
            words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).take(len).collect();
        (len > 0).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_outlives_its_writer() {
        let segment = StatsSegment::create(1).unwrap();
        let reader = Stats::reader(segment.read_only()).unwrap();
        for _ in 0..2 {
            let writer = Stats::writer(segment.writable()).unwrap();
            writer.add(Counter::DatagramsIn, 3);
            writer.add_lag(70);
            writer.add_lag(1_000_000);
            writer.set_last_words("panicked at x");
        }
        assert_eq!(reader.get(Counter::DatagramsIn), 6);
        assert_eq!(reader.lag(), [0, 2, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(reader.last_words().as_deref(), Some("panicked at x"));
        let writer = Stats::writer(segment.writable()).unwrap();
        for work in [None, Some(Work { shard: 0, row: None }), Some(Work { shard: 65_535, row: Some(1023) })]
        {
            writer.work_on(work);
            assert_eq!(reader.work(), work);
        }
        reader.add(Counter::DatagramsIn, 1);
        assert_eq!(reader.get(Counter::DatagramsIn), 6);
    }
}
