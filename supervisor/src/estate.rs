//! What one supervisor leaves to the next that is executed in its place: all that it keeps, as JSON in a memfd, with the
//! numbers of its descriptors, which stay open over the exec. Nobody else ever sees it: secrets are in it.
//!
//! Only the form and its way through the exec; who makes one of it is in `supervisor/upgrade`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use channel::StackSetup;
use config::{Config, Workers};
use control::{DeathInfo, OperationInfo};
use fabric::Segment;
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::managed::PlaceEstate;
use crate::policy::{Process, Snapshot};

/// Changes with the form. One supervisor can take over from another only where both have the same.
pub(crate) const FORMAT: u32 = 1;

/// Two descriptors of a segment: for its writer, for readers.
pub(crate) type SegmentFds = (RawFd, RawFd);

#[derive(Serialize, Deserialize)]
pub(crate) struct Estate {
    pub(crate) format: u32,
    /// Of all that is in memory: see [`fabric::ABI`].
    pub(crate) abi: u32,
    pub(crate) runtime_dir: PathBuf,
    pub(crate) data_dir: PathBuf,
    pub(crate) file: Option<PathBuf>,
    pub(crate) workers: Option<Workers>,
    /// Where the program lies that is started when an operator wants an upgrade.
    pub(crate) program: PathBuf,
    pub(crate) started_us: u64,
    pub(crate) lock: RawFd,
    pub(crate) control: RawFd,
    pub(crate) requests: RawFd,
    pub(crate) cores: Vec<usize>,
    pub(crate) salt_key: [u8; 32],
    pub(crate) wake_us: u32,
    pub(crate) stacks: Vec<StackSetup>,
    pub(crate) memory: MemoryEstate,
    /// Sockets of FastForward, by slot.
    #[serde(default)]
    pub(crate) ports: BTreeMap<u8, RawFd>,
    pub(crate) generations: Vec<GenerationEstate>,
    pub(crate) children: Vec<ChildEstate>,
    /// Where programs of the system listen.
    #[serde(default)]
    pub(crate) managed: Vec<PlaceEstate>,
    pub(crate) facts: Vec<(Process, BTreeMap<String, String>)>,
    pub(crate) deaths: Vec<DeathInfo>,
    pub(crate) operation: Option<OperationInfo>,
    pub(crate) policy: Snapshot,
    /// The program that leaves this: it is executed again where the new one does not get on. `None` where that has
    /// happened.
    pub(crate) forerunner: Option<RawFd>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MemoryEstate {
    pub(crate) epoch: u64,
    pub(crate) bells: SegmentFds,
    pub(crate) services_wake: RawFd,
    pub(crate) services_page: SegmentFds,
    pub(crate) workers: Vec<WorkerEstate>,
    pub(crate) shards: Vec<ShardEstate>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WorkerEstate {
    pub(crate) slot: u8,
    pub(crate) node: u32,
    pub(crate) wake: RawFd,
    pub(crate) stats_page: SegmentFds,
    pub(crate) reports: SegmentFds,
    pub(crate) orders: SegmentFds,
    pub(crate) segment: SegmentFds,
    pub(crate) before: Option<SegmentFds>,
    pub(crate) is_used: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ShardEstate {
    pub(crate) stack: String,
    pub(crate) state: SegmentFds,
    pub(crate) sockets: Vec<RawFd>,
    pub(crate) quarantined: Vec<u16>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct GenerationEstate {
    pub(crate) number: u32,
    pub(crate) worker: RawFd,
    pub(crate) services: RawFd,
    /// Programs of third parties, by stack.
    #[serde(default)]
    pub(crate) stacks: BTreeMap<String, RawFd>,
    pub(crate) config: Config,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ChildEstate {
    pub(crate) process: Process,
    pub(crate) pid: i32,
    pub(crate) socket: Option<RawFd>,
    pub(crate) output: Option<RawFd>,
}

/// The descriptors that go with an estate. They stay open over an exec once [`Self::keep_open`] was called.
#[derive(Default)]
pub(crate) struct Handed<'a>(Vec<BorrowedFd<'a>>);

impl<'a> Handed<'a> {
    /// This one goes with it, too: its number.
    pub(crate) fn fd(&mut self, fd: BorrowedFd<'a>) -> RawFd {
        self.0.push(fd);
        fd.as_raw_fd()
    }

    pub(crate) fn segment(&mut self, segment: &'a Segment) -> SegmentFds {
        (self.fd(segment.writable()), self.fd(segment.read_only()))
    }

    /// Whether all of them stay open over an exec.
    pub(crate) fn keep_open(&self, is_open: bool) -> io::Result<()> {
        self.0.iter().try_for_each(|fd| sys::hand_on(*fd, is_open))
    }
}

/// Takes a descriptor of an estate.
pub(crate) fn take(number: RawFd) -> Result<OwnedFd> {
    sys::take_inherited(number).context("a descriptor of the forerunner")
}

/// Takes a segment of an estate.
pub(crate) fn take_segment((writable, read_only): SegmentFds) -> Result<Segment> {
    Ok(Segment::of(take(writable)?, take(read_only)?))
}

impl Estate {
    /// Writes it down where only whoever has the descriptor can read it.
    pub(crate) fn write(&self) -> Result<File> {
        let fd = memfd_create("bmctl-estate", MFdFlags::MFD_CLOEXEC).context("cannot make a memfd")?;
        let mut file = File::from(fd);
        file.write_all(&serde_json::to_vec(self)?)?;
        Ok(file)
    }

    /// Reads what a forerunner has written.
    pub(crate) fn read(number: RawFd) -> Result<Self> {
        let mut file = File::from(take(number)?);
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let Form { format } = serde_json::from_slice(&bytes).context("what the forerunner has left")?;
        if format != FORMAT {
            bail!("the forerunner leaves form {format}, and this program takes form {FORMAT}");
        }
        serde_json::from_slice(&bytes).context("what the forerunner has left")
    }
}

/// How a program is called that is to take over. `is_rehearsal`: it only tries, and ends.
pub(crate) fn arguments(runtime_dir: &Path, estate: BorrowedFd<'_>, is_rehearsal: bool) -> Vec<String> {
    let number = estate.as_raw_fd().to_string();
    let dir = runtime_dir.display().to_string();
    let mut all =
        ["bmctl", "--runtime-dir", &dir, "start", "--take-over", &number].map(str::to_owned).to_vec();
    all.extend(is_rehearsal.then(|| "--rehearse".to_owned()));
    all
}
