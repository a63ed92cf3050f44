//! Bells: how a process that sleeps is woken, at most once per sleep, and told where to look.
//!
//! All bells of a host lie in one small segment that everybody may write: an inbox of bits (who has something
//! for me) and a word that says whether the owner sleeps. The bits are hints: an owner looks everywhere on
//! its tick as well, so a bell that is abused costs time, never a frame.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::handshake::{self, BELL_WORDS};
use crate::segment::{Error, Layout, Map, Segment};
use crate::sync::AtomicU64;

/// How many processes of a host can have a bell: workers by their slot, and services.
pub const MAX_PROCESSES: usize = 128;
/// The number of services, after all workers.
pub const SERVICES: usize = MAX_PROCESSES - 1;

const LAYOUT: Layout = Layout { name: "bmctl-bells", kind: 2, version: 2, words: MAX_PROCESSES * BELL_WORDS };

/// Makes the segment of all bells, and the descriptor of each.
#[derive(Debug)]
pub struct BellSegment;

impl BellSegment {
    /// The segment.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn create() -> Result<Segment, Error> {
        Segment::create(LAYOUT, 0)
    }

    /// The descriptor that wakes one process, to be held by all: an event counter that is never read, so it
    /// is to be watched for edges.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn wake() -> std::io::Result<OwnedFd> {
        let fd = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        fd.as_fd().try_clone_to_owned()
    }
}

/// A process's view of all bells.
#[derive(Debug)]
pub struct Bell {
    map: Map,
    me: usize,
}

/// What a process finds when it looks at its own bell: one bit for each process that has something for it.
pub type Wake = u128;

impl Bell {
    /// Maps the bells for process number `me`.
    ///
    /// # Errors
    /// A foreign segment, or what the kernel refuses.
    pub fn open(fd: BorrowedFd<'_>, me: usize) -> Result<Self, Error> {
        let (map, _) = Map::open(fd, LAYOUT, true)?;
        Ok(Self { map, me: me.min(MAX_PROCESSES - 1) })
    }

    fn of(&self, process: usize) -> &[AtomicU64] {
        self.map.body((process & (MAX_PROCESSES - 1)) * BELL_WORDS, BELL_WORDS)
    }

    /// Tells `process` that we have something for it. True where it slept and was woken through `wake`.
    pub fn ring(&self, process: usize, wake: BorrowedFd<'_>) -> bool {
        self.ring_all(1 << (process & (MAX_PROCESSES - 1)), |_| Some(wake)) == 1
    }

    /// Tells all processes in `set` that we have something for them. Returns how many of them slept and were woken, each
    /// through the descriptor that `wake` gives.
    pub fn ring_all<'a>(&self, set: Wake, wake: impl Fn(usize) -> Option<BorrowedFd<'a>>) -> u64 {
        let mut woken = 0;
        handshake::ring(
            set,
            self.me,
            |process| self.of(process),
            |process| {
                // Refused only where somebody has filled the counter on purpose: the owner's tick remains.
                let write = |wake| nix::unistd::write(wake, &1_u64.to_ne_bytes()).is_ok();
                woken += u64::from(wake(process).is_some_and(write));
            },
        );
        woken
    }

    /// Takes back everything of ours that lies with others: a forerunner may have died between leaving a hint
    /// and waking its reader, and we leave none where one lies. Whoever it was about to wake is woken by the
    /// next that rings.
    pub fn retract(&self) {
        for process in 0..MAX_PROCESSES {
            handshake::retract(self.of(process), self.me);
        }
    }

    /// Whether others have left something for us: one look at one line, for who looks again and again.
    #[must_use]
    pub fn is_rung(&self) -> bool {
        handshake::is_rung(self.of(self.me))
    }

    /// Takes what others have left for us.
    #[must_use]
    pub fn take(&self) -> Wake {
        let [low, high] = handshake::take(self.of(self.me));
        u128::from(high) << 64 | u128::from(low)
    }

    /// Says that we are about to sleep. False where something has come: then do not.
    #[must_use]
    pub fn sleep(&self) -> bool {
        handshake::sleep(self.of(self.me))
    }

    /// Says that we are up again.
    pub fn awake(&self) {
        handshake::awake(self.of(self.me));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_is_woken_once_and_told_by_whom() {
        let segment = BellSegment::create().unwrap();
        let wake = BellSegment::wake().unwrap();
        let sleeper = Bell::open(segment.writable(), 3).unwrap();
        let (a, b) = (Bell::open(segment.writable(), 70), Bell::open(segment.writable(), SERVICES));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert!(!a.ring(3, wake.as_fd()), "it does not sleep yet");
        assert!(!a.ring(3, wake.as_fd()), "it knows already");
        assert!(!sleeper.sleep(), "something has come");
        assert_eq!(sleeper.take(), 1 << 70);
        assert!(sleeper.sleep());
        assert!(a.ring(3, wake.as_fd()));
        assert!(!b.ring(3, wake.as_fd()), "one wake per sleep");
        sleeper.awake();
        assert_eq!(sleeper.take(), 1 << 70 | 1 << SERVICES);
        assert_eq!(sleeper.take(), 0);
    }

    #[test]
    fn who_comes_in_place_of_a_dead_ringer_wakes_whom_it_left_asleep() {
        let segment = BellSegment::create().unwrap();
        let wake = BellSegment::wake().unwrap();
        let sleeper = Bell::open(segment.writable(), 3).unwrap();
        assert!(sleeper.sleep());
        let dead = Bell::open(segment.writable(), 70).unwrap();
        let mut claimed = 0;
        handshake::ring(1 << 3, 70, |process| dead.of(process), |_| claimed += 1);
        assert_eq!(claimed, 1, "and it dies before it writes");
        let (other, next) = (Bell::open(segment.writable(), 5), Bell::open(segment.writable(), 70));
        assert!(!other.unwrap().ring(3, wake.as_fd()), "nobody else can know");
        let next = next.unwrap();
        next.retract();
        assert!(next.ring(3, wake.as_fd()));
        assert_eq!(sleeper.take(), 1 << 70 | 1 << 5);
        // What was never claimed is left as it is: this one is up.
        sleeper.awake();
        next.retract();
        assert!(!next.ring(3, wake.as_fd()));
    }
}
