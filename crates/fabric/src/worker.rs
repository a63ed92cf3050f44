//! What one worker tells its siblings, in one segment that it alone writes: its interest, where it heard
//! whom, which sessions of other hosts it passes on, and its broadcast ring. A new incarnation gets a new segment with a new epoch.

use std::os::fd::BorrowedFd;

use crate::interest::{FILTER_WORDS, Filter, FilterWriter};
use crate::location::{LOCATION_WORDS, Location, Locations, LocationsWriter};
use crate::origin::{ORIGIN_WORDS, Origins, OriginsWriter};
use crate::ring::{FRAME_LEN, RING_WORDS, Read, RingReader, RingWriter};
use crate::segment::{Error, Layout, Map, Segment};
use crate::sync::{Ordering, acquire};

const HEAD: usize = 0;
/// On a line of its own, since it changes seldom and is read by all.
const INTEREST_VERSION: usize = 8;
const FILTER: usize = 16;
const LOCATIONS: usize = FILTER + FILTER_WORDS;
const ORIGIN: usize = LOCATIONS + LOCATION_WORDS;
const RING: usize = ORIGIN + ORIGIN_WORDS;
const LAYOUT: Layout = Layout { name: "bmctl-worker", kind: 1, version: 2, words: RING + RING_WORDS };

/// Makes the segment of a worker.
#[derive(Debug)]
pub struct WorkerSegment;

impl WorkerSegment {
    /// A segment for one incarnation of a worker.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn create(epoch: u64) -> Result<Segment, Error> {
        Segment::create(LAYOUT, epoch)
    }
}

/// The worker's own side.
#[derive(Debug)]
pub struct WorkerWriter {
    map: Map,
    epoch: u64,
    filter: FilterWriter,
    locations: LocationsWriter,
    origins: OriginsWriter,
    ring: RingWriter,
}

impl WorkerWriter {
    /// Takes the segment for writing and closes it to every other writer.
    ///
    /// # Errors
    /// A foreign segment, or what the kernel refuses.
    pub fn open(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        let (map, epoch) = Map::open(fd, LAYOUT, true)?;
        Map::seal_writes(fd, LAYOUT)?;
        Ok(Self {
            map,
            epoch,
            filter: FilterWriter::default(),
            locations: LocationsWriter::default(),
            origins: OriginsWriter::default(),
            ring: RingWriter::default(),
        })
    }

    /// Publishes a frame to all siblings.
    pub fn write(&mut self, frame: &[u8; FRAME_LEN]) {
        let head = &self.map.body(HEAD, 1)[0];
        self.ring.write(head, self.map.body(RING, RING_WORDS), frame);
    }

    /// Which incarnation this is, and where its next frame will lie.
    #[must_use]
    pub fn place(&self) -> (u64, u64) {
        (self.epoch, self.ring.position())
    }

    /// Notes that somebody here wants `talkgroup` (`wanted`) or nobody any more. True where siblings have to
    /// look at the filter again.
    pub fn set_interest(&mut self, talkgroup: u32, wanted: bool) -> bool {
        let words = self.map.body(FILTER, FILTER_WORDS);
        let changed = match wanted {
            true => self.filter.add(words, talkgroup),
            false => self.filter.remove(words, talkgroup),
        };
        if changed {
            self.map.body(INTEREST_VERSION, 1)[0].fetch_add(1, Ordering::Release);
        }
        changed
    }

    /// Notes that calls to any talkgroup may be wanted here (`wanted`), or only those that [`Self::set_interest`] has noted.
    /// Siblings have to look at the filter again.
    pub fn set_interest_in_everything(&mut self, wanted: bool) {
        self.filter.set_all(self.map.body(FILTER, FILTER_WORDS), wanted);
        self.map.body(INTEREST_VERSION, 1)[0].fetch_add(1, Ordering::Release);
    }

    /// Where this worker heard whom.
    #[must_use]
    pub fn locations(&self) -> Locations<'_> {
        Locations { words: self.map.body(LOCATIONS, LOCATION_WORDS) }
    }

    /// Forgets who was heard at this context. Looks at the whole table: not for each packet.
    pub fn forget_locations(&mut self, context: u32) {
        self.locations.forget(self.map.body(LOCATIONS, LOCATION_WORDS), context);
    }

    /// Notes where `radio` was heard.
    pub fn set_location(&mut self, radio: u32, location: Location) {
        self.locations.set(self.map.body(LOCATIONS, LOCATION_WORDS), radio, location);
    }

    /// Notes at place `index` that a session of another host, with this key and node, is passed on from now on: before its
    /// first frame is written. There is no place from [`crate::ORIGINS`] on: then nothing is noted.
    pub fn set_origin(&mut self, index: u16, key: u64, node: u32) {
        self.origins.set(self.map.body(ORIGIN, ORIGIN_WORDS), index, key, node);
    }
}

/// A sibling's side.
#[derive(Debug)]
pub struct WorkerReader {
    map: Map,
    epoch: u64,
    ring: RingReader,
}

impl WorkerReader {
    /// Maps a sibling's segment. Reading goes on at `place`, an epoch and a position, where that is of this
    /// incarnation; it begins with the first frame of its ring where that is of another, and with the next one where there
    /// is none: (0, 0).
    ///
    /// # Errors
    /// A foreign segment, or what the kernel refuses.
    pub fn open(fd: BorrowedFd<'_>, place: (u64, u64)) -> Result<Self, Error> {
        let (map, epoch) = Map::open(fd, LAYOUT, false)?;
        let next = match place {
            (0, _) => acquire(&map.body(HEAD, 1)[0]),
            (before, next) if before == epoch => next,
            _ => 0,
        };
        Ok(Self { map, epoch, ring: RingReader::at(next) })
    }

    /// How far it was read: for [`Self::open`].
    #[must_use]
    pub fn place(&self) -> (u64, u64) {
        (self.epoch, self.ring.position())
    }

    /// Which incarnation of the sibling this is.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Copies its next frame out, if there is one.
    pub fn read(&mut self, frame: &mut [u8; FRAME_LEN]) -> Read {
        self.ring.read(&self.map.body(HEAD, 1)[0], self.map.body(RING, RING_WORDS), frame)
    }

    /// Changes whenever its filter does.
    #[must_use]
    pub fn interest_version(&self) -> u64 {
        acquire(&self.map.body(INTEREST_VERSION, 1)[0])
    }

    /// The talkgroups that it wants.
    #[must_use]
    pub fn interest(&self) -> Filter<'_> {
        Filter { words: self.map.body(FILTER, FILTER_WORDS) }
    }

    /// Where it heard whom.
    #[must_use]
    pub fn locations(&self) -> Locations<'_> {
        Locations { words: self.map.body(LOCATIONS, LOCATION_WORDS) }
    }

    /// Key and node of the session of another host that stands at place `index`; `None` where there is none, or another one
    /// is just put there. A frame that is read late may be of the session that stood there before: it says enough of its key
    /// to tell.
    #[must_use]
    pub fn origin(&self, index: u16) -> Option<(u64, u32)> {
        Origins { words: self.map.body(ORIGIN, ORIGIN_WORDS) }.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StatsSegment;

    #[test]
    fn a_sibling_sees_frames_interest_locations_and_origins() {
        let segment = WorkerSegment::create(7).unwrap();
        let mut writer = WorkerWriter::open(segment.writable()).unwrap();
        writer.write(&[1; FRAME_LEN]);
        let mut reader = WorkerReader::open(segment.read_only(), (6, 1)).unwrap();
        let mut frame = [0; FRAME_LEN];
        assert_eq!((reader.read(&mut frame), frame), (Read::Frame, [1; FRAME_LEN]), "another's place");
        assert_eq!((reader.epoch(), reader.read(&mut frame)), (7, Read::Empty));
        writer.write(&[2; FRAME_LEN]);
        // Whoever comes in its place reads on.
        let mut reader = WorkerReader::open(segment.read_only(), reader.place()).unwrap();
        assert_eq!((reader.read(&mut frame), frame), (Read::Frame, [2; FRAME_LEN]));
        assert!(!reader.interest().may_want(91));
        let version = reader.interest_version();
        assert!(writer.set_interest(91, true));
        assert!(reader.interest().may_want(91));
        assert_ne!(reader.interest_version(), version);
        let location = Location { context: 250_101, slot: 1, heard_ms: 5 };
        writer.set_location(2_501_001, location);
        assert_eq!(reader.locations().get(2_501_001), Some(location));
        assert_eq!(reader.locations().iter().collect::<Vec<_>>(), [(2_501_001, location)]);
        writer.set_origin(4095, 77, 26_211);
        assert_eq!([4095, 0, 4096].map(|place| reader.origin(place)), [Some((77, 26_211)), None, None]);
        assert_eq!(writer.place(), (7, 2));
    }

    #[test]
    fn readers_cannot_write_and_foreign_memory_is_refused() {
        let segment = WorkerSegment::create(1).unwrap();
        assert!(WorkerWriter::open(segment.read_only()).is_err());
        let _writer = WorkerWriter::open(segment.writable()).unwrap();
        assert!(WorkerWriter::open(segment.writable()).is_err(), "sealed against a second writer");
        let other = StatsSegment::create(1).unwrap();
        let error = WorkerReader::open(other.read_only(), (0, 0)).unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
    }
}
