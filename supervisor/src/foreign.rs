//! The memory of processes of another ABI, while they are being replaced: kept as it is, for them, and understood only by
//! programs of their build, one of which writes down for ours what their shards hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek};
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use channel::{Child, Parent, Socket};
use fabric::Export;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use sys::Spawn;

use crate::estate::{Handed, MemoryEstate, SegmentFds, take};
use crate::programs::Programs;
use crate::say;

/// A program that has not written down what shards hold by then is not waited for.
const PATIENCE: Duration = Duration::from_millis(800);
/// How often, a millisecond apart, is looked whether it has ended.
const END_LOOKS: usize = 100;

/// What is kept of it.
pub(crate) struct Foreign {
    pub(crate) abi: u32,
    estate: MemoryEstate,
    /// By number; the sockets are not among them.
    fds: BTreeMap<RawFd, OwnedFd>,
    /// Shards that are still there alone.
    shards: BTreeSet<u16>,
    programs: Rc<Programs>,
}

/// Name of the stack and sockets of each shard.
pub(crate) type Shards = Vec<(String, Vec<UdpSocket>)>;

impl Foreign {
    /// Takes what a supervisor of that build has left; the sockets, which every build understands, are given out.
    pub(crate) fn inherit(abi: u32, estate: MemoryEstate, programs: Rc<Programs>) -> Result<(Self, Shards)> {
        let mut sockets = Vec::new();
        for shard in &estate.shards {
            let its: Result<Vec<UdpSocket>> =
                shard.sockets.iter().map(|&socket| Ok(take(socket)?.into())).collect();
            sockets.push((shard.stack.clone(), its?));
        }
        let mut fds = BTreeMap::new();
        for number in numbers(&estate) {
            fds.insert(number, take(number)?);
        }
        let shards = (0..).take(estate.shards.len()).collect();
        Ok((Self { abi, estate, fds, shards, programs }, sockets))
    }

    /// Slots and nodes of its workers.
    pub(crate) fn workers(&self) -> Vec<(u8, u32)> {
        self.estate.workers.iter().map(|worker| (worker.slot, worker.node)).collect()
    }

    /// As it goes back to a supervisor of that build.
    pub(crate) fn bequeath<'a>(&'a self, handed: &mut Handed<'a>) -> MemoryEstate {
        self.fds.values().for_each(|fd| _ = handed.fd(fd.as_fd()));
        self.estate.clone()
    }

    /// What the shards among `shards` hold that are still there alone, written down by a program of that build; from then
    /// on they are ours, whatever came of it.
    pub(crate) fn export(&mut self, shards: &[u16]) -> Option<(Vec<u16>, Result<Export>)> {
        let its: Vec<u16> = shards.iter().copied().filter(|shard| self.shards.remove(shard)).collect();
        if its.is_empty() {
            return None;
        }
        let export = self.run(&its);
        Some((its, export))
    }

    fn run(&self, shards: &[u16]) -> Result<Export> {
        let states: Option<Vec<BorrowedFd<'_>>> = shards.iter().map(|&shard| self.state(shard)).collect();
        let states = states.ok_or_else(|| anyhow!("a shard has no state"))?;
        let bytes = export(self.programs.worker(), "bm-worker", None, shards, &states)?;
        Export::from_bytes(bytes).ok_or_else(|| anyhow!("the build before has written another form"))
    }

    fn state(&self, shard: u16) -> Option<BorrowedFd<'_>> {
        let (_, read_only) = self.estate.shards.get(usize::from(shard))?.state;
        self.fds.get(&read_only).map(AsFd::as_fd)
    }
}

/// Whether a program is a worker that understands our memory: it is to write down nothing.
///
/// # Errors
/// Why not, in its own words where it has any.
pub(crate) fn try_worker(program: BorrowedFd<'_>, name: &str) -> Result<()> {
    export(program, name, Some(fabric::ABI), &[], &[]).map(drop)
}

/// What a program writes down of shards. `abi`: what it is to be told first.
fn export(
    program: BorrowedFd<'_>,
    name: &str,
    abi: Option<u32>,
    shards: &[u16],
    states: &[BorrowedFd<'_>],
) -> Result<Vec<u8>> {
    let memfd = memfd_create("bmctl-export", MFdFlags::MFD_CLOEXEC).context("cannot make a memfd")?;
    let mut file = File::from(memfd);
    let fds: Vec<BorrowedFd<'_>> = std::iter::once(file.as_fd()).chain(states.iter().copied()).collect();
    let (socket, theirs) = Socket::pair()?;
    if let Some(abi) = abi {
        socket.send(&Parent::Build { abi }, &[])?;
    }
    socket.send(&Parent::Export { shards: shards.to_vec() }, &fds)?;
    let output = std::io::stderr();
    let spawn = Spawn { program, name, channel: theirs.as_fd(), output: output.as_fd(), cpu: None };
    let child = spawn.start().with_context(|| format!("cannot start {name}"))?;
    drop(theirs);
    let said = socket.wait_until::<Child>(Instant::now() + PATIENCE);
    child.signal(Signal::SIGKILL)?;
    for _ in 0..END_LOOKS {
        if child.ended().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    match said {
        Ok(Some((Child::Exported, _))) => {}
        Ok(Some((Child::Failed { reason }, _))) => bail!("{name}: {}", say::clean(&reason)),
        Ok(_) => bail!("{name} has not answered within {} ms: is it a worker", PATIENCE.as_millis()),
        Err(error) => return Err(error).with_context(|| format!("{name} does not answer: is it a worker")),
    }
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All descriptors of an estate but the sockets.
fn numbers(estate: &MemoryEstate) -> Vec<RawFd> {
    let mut all = vec![estate.services_wake];
    let mut segments: Vec<SegmentFds> = vec![estate.bells, estate.services_page];
    for worker in &estate.workers {
        all.push(worker.wake);
        segments.extend([worker.stats_page, worker.reports, worker.orders, worker.segment]);
        segments.extend(worker.before);
    }
    segments.extend(estate.shards.iter().map(|shard| shard.state));
    all.extend(segments.into_iter().flat_map(|(writable, read_only)| [writable, read_only]));
    all
}
