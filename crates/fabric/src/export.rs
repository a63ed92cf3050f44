//! The content of state segments in a form that stays the same whatever their layout is: for a build with another one.
//!
//! A header, then an entry for each cell that holds something: shard (2 bytes), row (2), cell (1: the stack's, 2: the
//! switch's), length (2), content. All numbers are little-endian. What the contents mean, and their version, is their
//! writer's affair, as in the segments.

use crate::cell::CELL_LEN;
use crate::state::{Cell, StateReader, StateWriter};

/// "bmctl-st", and the version of this form.
const HEADER: [u8; 9] = *b"bmctl-st\x01";
const ENTRY: usize = 7;

/// What some shards hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export(Vec<u8>);

impl Default for Export {
    fn default() -> Self {
        Self(HEADER.to_vec())
    }
}

impl Export {
    /// What these bytes say; `None` where they are of another form.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        bytes.starts_with(&HEADER).then_some(Self(bytes))
    }

    /// As it is passed on.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds all that a shard holds.
    pub fn add(&mut self, shard: u16, state: &StateReader) {
        let stored = state.stored();
        let mut buffer = [0; CELL_LEN];
        for row in 0..stored.rows() {
            for (number, cell) in [(1, Cell::Stack), (2, Cell::Switch)] {
                let Some(len) = stored.read(row, cell, &mut buffer) else { continue };
                self.0.extend(shard.to_le_bytes());
                self.0.extend(row.to_le_bytes());
                self.0.push(number);
                self.0.extend(u16::try_from(len).unwrap_or(0).to_le_bytes());
                self.0.extend_from_slice(&buffer[..len]);
            }
        }
    }

    /// Writes all that it has of a shard into an empty segment. Returns how many cells that were; what is damaged ends it.
    pub fn restore(&self, shard: u16, state: &mut StateWriter) -> usize {
        let mut rest = &self.0[HEADER.len()..];
        let mut count = 0;
        while let Some((entry, behind)) = rest.split_first_chunk::<ENTRY>() {
            let [s0, s1, r0, r1, cell, l0, l1] = *entry;
            let len = usize::from(u16::from_le_bytes([l0, l1]));
            let (Some(content), Some(behind)) = (behind.get(..len), behind.get(len..)) else { break };
            rest = behind;
            let cell = match cell {
                1 => Cell::Stack,
                2 => Cell::Switch,
                _ => continue,
            };
            if u16::from_le_bytes([s0, s1]) == shard {
                count += usize::from(state.write(u16::from_le_bytes([r0, r1]), cell, content));
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StateSegment;
    use proptest::prelude::*;

    #[test]
    fn a_shard_comes_out_as_it_went_in_and_the_form_stays() {
        let old = StateSegment::create(0).unwrap();
        let mut writer = StateWriter::open(old.writable()).unwrap();
        writer.write(3, Cell::Stack, b"abc");
        writer.write(700, Cell::Switch, &[7; CELL_LEN]);
        let mut export = Export::default();
        export.add(5, &StateReader::open(old.read_only()).unwrap());
        let begin = b"bmctl-st\x01\x05\x00\x03\x00\x01\x03\x00abc\x05\x00\xbc\x02\x02\xc0\x01\x07";
        assert!(export.bytes().starts_with(begin), "{:?}", &export.bytes()[..begin.len()]);
        let export = Export::from_bytes(export.bytes().to_vec()).unwrap();
        let new = StateSegment::create(0).unwrap();
        let mut writer = StateWriter::open(new.writable()).unwrap();
        assert_eq!((export.restore(6, &mut writer), writer.reader().rows()), (0, 0));
        assert_eq!((export.restore(5, &mut writer), writer.reader().rows()), (2, 701));
        let mut cell = [0; CELL_LEN];
        assert_eq!(writer.reader().read(3, Cell::Stack, &mut cell), Some(3));
        assert_eq!(&cell[..3], b"abc");
        assert_eq!(writer.reader().read(700, Cell::Switch, &mut cell), Some(CELL_LEN));
        assert_eq!(Export::from_bytes(b"bmctl-st\x02".to_vec()), None);
    }

    proptest! {
        #[test]
        fn anything_is_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let export = Export::from_bytes([HEADER.as_slice(), &bytes].concat()).unwrap();
            let segment = StateSegment::create(0).unwrap();
            export.restore(0, &mut StateWriter::open(segment.writable()).unwrap());
        }
    }
}
