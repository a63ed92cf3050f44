//! What is no segment, or not the one that was expected, is refused; and a worker's segment that its owner has
//! taken is written by nobody else.

#![cfg(not(loom))]
#![allow(clippy::unwrap_used, reason = "a failed test is to stop")]

mod support;

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use fabric::{
    Bell, BellSegment, Error, FRAME_LEN, QueueReader, QueueSegment, QueueWriter, Read, StateReader,
    StateSegment, StateWriter, Stats, StatsSegment, WorkerReader, WorkerSegment, WorkerWriter,
};
use memmap2::MmapOptions;
use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, SealFlag, fallocate, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::unistd::{ftruncate, pipe, truncate, write};
use support::{HEADER, Raw};

type Open = fn(BorrowedFd<'_>) -> Result<(), Error>;

/// A segment of each kind, with all that open one.
fn kinds() -> Vec<(fabric::Segment, Vec<Open>)> {
    vec![
        (
            WorkerSegment::create(1).unwrap(),
            vec![|fd| WorkerReader::open(fd, (0, 0)).map(drop), |fd| WorkerWriter::open(fd).map(drop)],
        ),
        (BellSegment::create().unwrap(), vec![|fd| Bell::open(fd, 0).map(drop)]),
        (
            QueueSegment::create().unwrap(),
            vec![|fd| QueueReader::open(fd).map(drop), |fd| QueueWriter::open(fd).map(drop)],
        ),
        (
            StateSegment::create(1).unwrap(),
            vec![|fd| StateReader::open(fd).map(drop), |fd| StateWriter::open(fd).map(drop)],
        ),
        (
            StatsSegment::create(1).unwrap(),
            vec![|fd| Stats::reader(fd).map(drop), |fd| Stats::writer(fd).map(drop)],
        ),
    ]
}

/// A memfd of this content and length, sealed as told.
fn memory(content: &[u8], len: u64, seals: SealFlag) -> OwnedFd {
    let fd = memfd_create("foreign", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
    write(&fd, content).unwrap();
    ftruncate(&fd, i64::try_from(len).unwrap()).unwrap();
    fcntl(&fd, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    fd
}

#[test]
fn what_is_not_the_segment_that_was_expected_is_refused() {
    let fixed = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    for (segment, opens) in kinds() {
        let raw = Raw::of(segment.read_only());
        let header = raw.bytes()[..HEADER as usize].to_vec();
        let with = |at: usize, byte: u8| {
            let mut header = header.clone();
            header[at] ^= byte;
            memory(&header, raw.len, fixed)
        };
        let regular = {
            let mut file = tempfile();
            file.write_all(&header).unwrap();
            file.set_len(raw.len).unwrap();
            file.rewind().unwrap();
            OwnedFd::from(file)
        };
        let (pipe, _end) = pipe().unwrap();
        let null = File::options().read(true).write(true).open("/dev/zero").unwrap();
        let refused = [
            ("empty", memory(&[], 0, fixed)),
            ("a header alone", memory(&header, HEADER, fixed)),
            ("a word short", memory(&header, raw.len - 8, fixed)),
            ("a byte long", memory(&header, raw.len + 1, fixed)),
            ("a page long", memory(&header, raw.len + 4096, fixed)),
            ("unsealed", memory(&header, raw.len, SealFlag::empty())),
            ("free to shrink", memory(&header, raw.len, SealFlag::F_SEAL_GROW)),
            ("free to grow", memory(&header, raw.len, SealFlag::F_SEAL_SHRINK)),
            ("no magic", with(0, 1)),
            ("another version", with(8, 0x80)),
            ("another kind", with(12, 0x80)),
            ("all zero", memory(&[], raw.len, fixed)),
            ("a regular file", regular),
            ("a pipe", pipe),
            ("a device", null.into()),
        ];
        for open in opens {
            for (what, fd) in &refused {
                assert!(open(fd.as_fd()).is_err(), "{what}");
            }
            assert!(open(memory(&header, raw.len, fixed).as_fd()).is_ok(), "what all of them were made from");
        }
    }
}

/// A file on disk without a name.
fn tempfile() -> File {
    let path = std::env::temp_dir();
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    File::from(open(&path, flags, Mode::S_IRUSR | Mode::S_IWUSR).unwrap())
}

#[test]
fn one_kind_is_not_taken_for_another() {
    let kinds = kinds();
    for (i, (segment, _)) in kinds.iter().enumerate() {
        for (_, opens) in kinds.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, kind)| kind) {
            for open in opens {
                assert!(matches!(open(segment.writable()), Err(Error::Foreign { .. })));
            }
        }
    }
}

/// Tries everything that could change what `fd` refers to, and asserts that the kernel refuses all of it.
fn attack(fd: BorrowedFd<'_>, len: u64) {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    // Where the kernel lets us open it again for writing, that is of no use.
    let again = open(path.as_str(), OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
    for fd in [Some(fd), again.as_ref().ok().map(AsFd::as_fd)].into_iter().flatten() {
        let file = File::from(fd.try_clone_to_owned().unwrap());
        let map = MmapOptions::new().len(len as usize).map_raw(&file);
        assert!(map.is_err(), "mapped for writing");
        assert!(write(fd, &[0xff; 8]).is_err(), "written");
        for len in [0, 4096, len as i64 - 1, len as i64 + 4096] {
            assert!(ftruncate(fd, len).is_err(), "now {len} bytes");
        }
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        assert!(fallocate(fd, hole, 0, 4096).is_err(), "a hole was made");
    }
    assert!(truncate(path.as_str(), 0).is_err(), "truncated by its path");
    let cut = open(path.as_str(), OFlag::O_RDWR | OFlag::O_TRUNC | OFlag::O_CLOEXEC, Mode::empty());
    assert!(cut.is_err(), "truncated by being opened");
}

#[test]
fn a_workers_segment_is_written_by_its_owner_alone() {
    let segment = WorkerSegment::create(1).unwrap();
    let mut writer = WorkerWriter::open(segment.writable()).unwrap();
    writer.write(&[6; FRAME_LEN]);
    let raw = Raw::of(segment.read_only());
    let before = raw.bytes();
    for fd in [segment.read_only(), segment.writable()] {
        attack(fd, raw.len);
        assert_eq!(raw.bytes(), before);
    }
    // The owner's own mapping stays.
    writer.write(&[7; FRAME_LEN]);
    let mut reader = WorkerReader::open(segment.read_only(), (1, 1)).unwrap();
    let mut frame = [0; FRAME_LEN];
    assert_eq!((reader.read(&mut frame), frame), (Read::Frame, [7; FRAME_LEN]));
}
