//! One piece of shared memory: a sealed memfd with a header, mapped as words. All `unsafe` of the mapping is
//! here; the other modules see slices of atomics.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use memmap2::{MmapOptions, MmapRaw};
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::ftruncate;

use crate::sync::{AtomicU64, Ordering, acquire};

/// Number of all that the processes of one host share: the layouts of segments here, and what supervisor and children say
/// to each other. Processes of builds with different numbers share nothing but sockets: what one of them has goes to the
/// other by [`crate::Export`].
pub const ABI: u32 = if cfg!(other_abi) { 6 } else { 5 };

/// First word of each segment.
const MAGIC: u64 = u64::from_le_bytes(*b"bmctl-sm");
/// Words of the header: magic, kind and version, epoch, and room to keep the body line-aligned.
/// The build for tests of two builds beside each other has other ones.
const HEADER_WORDS: usize = if cfg!(other_abi) { 16 } else { 8 };

/// Words are read from read-only mappings, for which only relaxed loads of native words are sure to work.
const _: () = assert!(usize::BITS == 64);

/// What can be wrong with a segment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused.
    #[error("shared memory {name}: {source}; check the limits on memory and open files")]
    System {
        /// What the segment is for.
        name: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It is not what it was said to be.
    #[error("shared memory {name}: {what}; it was made by another version or damaged: restart the cluster")]
    Foreign {
        /// What the segment is for.
        name: &'static str,
        /// What is wrong.
        what: String,
    },
}

/// What a segment is for, and how its body is laid out. A change of layout changes `version`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) name: &'static str,
    pub(crate) kind: u32,
    pub(crate) version: u32,
    /// Length of the body in words.
    pub(crate) words: usize,
}

impl Layout {
    const fn bytes(&self) -> usize {
        (HEADER_WORDS + self.words) * 8
    }

    fn tag(&self) -> u64 {
        u64::from(self.kind) << 48 | u64::from(ABI) << 16 | u64::from(self.version)
    }

    pub(crate) fn system(&self, source: impl Into<std::io::Error>) -> Error {
        Error::System { name: self.name, source: source.into() }
    }
}

/// A memfd as its maker holds it: for handing out.
#[derive(Debug)]
pub struct Segment {
    fd: OwnedFd,
    read_only: OwnedFd,
}

impl Segment {
    /// Makes a zeroed segment of fixed size with its header written.
    pub(crate) fn create(layout: Layout, epoch: u64) -> Result<Self, Error> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let fd = memfd_create(layout.name, flags).map_err(|e| layout.system(e))?;
        let len = i64::try_from(layout.bytes()).map_err(|e| layout.system(std::io::Error::other(e)))?;
        ftruncate(&fd, len).map_err(|e| layout.system(e))?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        fcntl(&fd, FcntlArg::F_ADD_SEALS(seals)).map_err(|e| layout.system(e))?;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let read_only = open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|e| layout.system(e))?;
        let map = Map::new(fd.as_fd(), layout, true)?;
        let header = map.words(0, 3);
        header[1].store(layout.tag(), Ordering::Relaxed);
        header[2].store(epoch, Ordering::Relaxed);
        header[0].store(MAGIC, Ordering::Release);
        Ok(Self { fd, read_only })
    }

    /// The segment that these two descriptors are of, as [`Self::writable`] and [`Self::read_only`] gave them.
    #[must_use]
    pub fn of(writable: OwnedFd, read_only: OwnedFd) -> Self {
        Self { fd: writable, read_only }
    }

    /// For its one writer.
    #[must_use]
    pub fn writable(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// For readers.
    #[must_use]
    pub fn read_only(&self) -> BorrowedFd<'_> {
        self.read_only.as_fd()
    }
}

/// A mapped segment.
#[derive(Debug)]
pub(crate) struct Map {
    map: MmapRaw,
    words: usize,
}

impl Map {
    fn new(fd: BorrowedFd<'_>, layout: Layout, writable: bool) -> Result<Self, Error> {
        let mut options = MmapOptions::new();
        options.len(layout.bytes());
        let map = if writable { options.map_raw(&fd) } else { options.map_raw_read_only(&fd) };
        Ok(Self { map: map.map_err(|e| layout.system(e))?, words: layout.bytes() / 8 })
    }

    /// Maps a segment made elsewhere, after checking its seals, size and header. Returns it with its epoch.
    pub(crate) fn open(fd: BorrowedFd<'_>, layout: Layout, writable: bool) -> Result<(Self, u64), Error> {
        let foreign = |what: String| Error::Foreign { name: layout.name, what };
        let size = fstat(fd).map_err(|e| layout.system(e))?.st_size;
        if usize::try_from(size) != Ok(layout.bytes()) {
            return Err(foreign(format!("{size} bytes, {} expected", layout.bytes())));
        }
        let seals = fcntl(fd, FcntlArg::F_GET_SEALS).map_err(|e| layout.system(e))?;
        // Without these seals its maker could shrink it under us, and each access would be a SIGBUS.
        let needed = (SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW).bits();
        if seals & needed != needed {
            return Err(foreign(format!("seals {seals:#x}, {needed:#x} needed")));
        }
        let map = Self::new(fd, layout, writable)?;
        let header = map.words(0, 3);
        let magic = acquire(&header[0]);
        let tag = header[1].load(Ordering::Relaxed);
        if magic != MAGIC || tag != layout.tag() {
            return Err(foreign(format!(
                "magic {magic:#x} and layout {tag:#x}, {:#x} expected",
                layout.tag()
            )));
        }
        let epoch = header[2].load(Ordering::Relaxed);
        Ok((map, epoch))
    }

    /// From now on nobody can map the segment for writing; mappings that exist stay.
    pub(crate) fn seal_writes(fd: BorrowedFd<'_>, layout: Layout) -> Result<(), Error> {
        fcntl(fd, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_FUTURE_WRITE)).map_err(|e| layout.system(e))?;
        Ok(())
    }

    /// `len` words of the body from word `start` on.
    pub(crate) fn body(&self, start: usize, len: usize) -> &[AtomicU64] {
        self.words(HEADER_WORDS + start, len)
    }

    fn words(&self, start: usize, len: usize) -> &[AtomicU64] {
        assert!(start + len <= self.words, "words {start}+{len} of a segment of {}", self.words);
        // SAFETY: the assertion keeps start within the mapping.
        let at = unsafe { self.map.as_mut_ptr().cast::<AtomicU64>().add(start) };
        // SAFETY: the mapping is page-aligned, lives as long as `self`, cannot be shrunk by anyone (sealed),
        // and holds at least start + len words. Any bits are a valid AtomicU64, and other processes change
        // them only as memory that is shared with atomics. A read-only mapping is only loaded from: the
        // writers' types are made from writable mappings alone.
        unsafe { std::slice::from_raw_parts(at, len) }
    }
}
