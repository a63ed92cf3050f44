//! The process that is killed: it floods its segments with what can be checked.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::process::{Child, Command, Stdio};

use fabric::{Bell, CELL_LEN, Cell, FRAME_LEN, Location, Segment, StateWriter, Stored, WorkerWriter};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use crate::support::Raw;
use crate::{Host, SURVIVORS, WRITER, until};

pub(crate) const ROW: u16 = 3;
pub(crate) const RADIOS: u64 = 64;

/// What is flooded beside the ring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    Nothing,
    Bells,
    State,
}

pub(crate) const MODES: [Mode; 3] = [Mode::Nothing, Mode::Bells, Mode::State];

/// Words that all follow from the incarnation and the number of what they are.
pub(crate) fn words(epoch: u64, n: u64) -> impl Iterator<Item = u64> {
    let seed = (epoch << 32 ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [epoch, n].into_iter().chain((0..).map(move |i| seed.rotate_left(i)))
}

pub(crate) fn frame(epoch: u64, n: u64) -> [u8; FRAME_LEN] {
    let mut bytes = [0; FRAME_LEN];
    bytes
        .as_chunks_mut()
        .0
        .iter_mut()
        .zip(words(epoch, n))
        .for_each(|(bytes, word)| *bytes = word.to_ne_bytes());
    bytes
}

/// Its length changes with its number.
pub(crate) fn content(epoch: u64, n: u64) -> Vec<u8> {
    words(epoch, n).take(2 + (n % (CELL_LEN as u64 / 8 - 1)) as usize).flat_map(u64::to_ne_bytes).collect()
}

/// What a cell holds: incarnation and number, after checking that it is whole.
pub(crate) fn state(stored: Stored<'_>) -> Option<(u64, u64)> {
    let mut buffer = [0; CELL_LEN];
    let len = stored.read(ROW, Cell::Switch, &mut buffer)?;
    let [epoch, n] = [0, 1].map(|i| u64::from_ne_bytes(buffer.as_chunks().0[i]));
    assert_eq!(buffer[..len], content(epoch, n), "torn state");
    Some((epoch, n))
}

pub(crate) fn location(n: u64) -> Location {
    Location { context: n as u32, slot: 1 + (n % 2) as u8, heard_ms: n + 1 }
}

/// Not a test: what the process does that is killed.
#[test]
#[ignore = "the process that the other test kills"]
fn flood() {
    let Ok(arguments) = std::env::var("FABRIC_FLOOD") else { return };
    set_pdeathsig(Signal::SIGKILL).unwrap();
    let numbers: Vec<i32> = arguments.split(' ').map(|n| n.parse().unwrap()).collect();
    let [parent, mode, epoch, worker, state, bells, wake, other_wake] = numbers[..].try_into().unwrap();
    let open =
        |fd: i32| File::options().read(true).write(true).open(format!("/proc/{parent}/fd/{fd}")).unwrap();
    // SAFETY: our parent left both open for us, and nothing here closes them.
    let wakes = [wake, other_wake].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    let mut writer = WorkerWriter::open(open(worker).as_fd()).unwrap();
    let mut state = StateWriter::open(open(state).as_fd()).unwrap();
    let bell = Bell::open(open(bells).as_fd(), WRITER).unwrap();
    let (mode, epoch) = (MODES[mode as usize], epoch as u64);
    for n in 0.. {
        if mode == Mode::State {
            assert!(state.write(ROW, Cell::Switch, &content(epoch, n)));
            writer.set_location(1 + (n % RADIOS) as u32, location(n));
        }
        writer.write(&frame(epoch, n));
        if mode == Mode::Bells {
            for (process, wake) in SURVIVORS.into_iter().zip(wakes) {
                bell.ring(process, wake);
            }
        }
    }
}

/// A writer process, which does not outlive its test.
pub(crate) struct Flood(Child);

impl Flood {
    pub(crate) fn start(host: &Host, worker: &Segment, mode: Mode, epoch: u64) -> Self {
        let fds: [RawFd; 5] = [
            worker.writable().as_raw_fd(),
            host.state.writable().as_raw_fd(),
            host.bells.writable().as_raw_fd(),
            host.wakes[0].as_raw_fd(),
            host.wakes[1].as_raw_fd(),
        ];
        let fds = fds.map(|fd| fd.to_string()).join(" ");
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer::flood", "--ignored", "--nocapture"])
            .env("FABRIC_FLOOD", format!("{} {} {epoch} {fds}", std::process::id(), mode as usize))
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    /// Waits until it has written something.
    pub(crate) fn wait(&mut self, worker: &Segment) {
        let raw = Raw::of(worker.read_only());
        until("it writes", || {
            assert_eq!(self.0.try_wait().unwrap(), None, "it ended by itself");
            raw.head() > 0
        });
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
