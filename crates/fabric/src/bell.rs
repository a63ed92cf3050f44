//! Bells: how a process that sleeps is woken, at most once per sleep, and told where to look.
//!
//! All bells of a host lie in one small segment that everybody may write: an inbox of bits (who has something
//! for me) and a word that says whether the owner sleeps. The bits are hints: an owner looks everywhere on
//! its tick as well, so a bell that is abused costs time, never a frame.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::segment::{Error, Layout, Map, Segment};

/// How many processes of a host can have a bell: workers by their slot, and services.
pub const MAX_PROCESSES: usize = 128;
/// The number of services, after all workers.
pub const SERVICES: usize = MAX_PROCESSES - 1;

/// Two lines each: the inbox (two words), and whether the owner sleeps.
const BELL_WORDS: usize = 16;
const SLEEPING: usize = 8;
const LAYOUT: Layout = Layout { name: "bmctl-bells", kind: 2, version: 1, words: MAX_PROCESSES * BELL_WORDS };

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
        let bell = self.of(process);
        let (word, bit) = (&bell[self.me / 64], 1 << (self.me % 64));
        // What was published before must be visible before the bit is looked at: an owner that takes the bit
        // after we saw it set finds it then, and needs no second hint. Only we set this bit.
        fence(Ordering::SeqCst);
        if word.load(Ordering::Relaxed) & bit != 0 {
            return false;
        }
        word.fetch_or(bit, Ordering::SeqCst);
        // Sequentially consistent, as in `sleep`: either we see it asleep or it sees our bit.
        let sleeping = &bell[SLEEPING];
        if sleeping.load(Ordering::SeqCst) == 0 || sleeping.swap(0, Ordering::SeqCst) == 0 {
            return false;
        }
        // Refused only where somebody has filled the counter on purpose: the owner's tick remains.
        nix::unistd::write(wake, &1_u64.to_ne_bytes()).is_ok()
    }

    /// Takes back every hint of ours that lies with others: a forerunner may have died between leaving one and
    /// waking its reader, and we leave none where one lies.
    pub fn retract(&self) {
        for process in 0..MAX_PROCESSES {
            self.of(process)[self.me / 64].fetch_and(!(1 << (self.me % 64)), Ordering::SeqCst);
        }
    }

    /// Whether others have left something for us: one look at one line, for who looks again and again.
    #[must_use]
    pub fn is_rung(&self) -> bool {
        let bell = self.of(self.me);
        bell[0].load(Ordering::Relaxed) | bell[1].load(Ordering::Relaxed) != 0
    }

    /// Takes what others have left for us.
    #[must_use]
    pub fn take(&self) -> Wake {
        let bell = self.of(self.me);
        let [low, high] = [&bell[0], &bell[1]].map(|word| match word.load(Ordering::Relaxed) {
            0 => 0,
            _ => {
                let bits = word.swap(0, Ordering::SeqCst);
                // What was published before the bits were set is visible to what we read from here on.
                fence(Ordering::SeqCst);
                bits
            }
        });
        u128::from(high) << 64 | u128::from(low)
    }

    /// Says that we are about to sleep. False where something has come: then do not.
    #[must_use]
    pub fn sleep(&self) -> bool {
        let bell = self.of(self.me);
        bell[SLEEPING].store(1, Ordering::SeqCst);
        let quiet = bell[0].load(Ordering::SeqCst) | bell[1].load(Ordering::SeqCst) == 0;
        if !quiet {
            self.awake();
        }
        quiet
    }

    /// Says that we are up again.
    pub fn awake(&self) {
        self.of(self.me)[SLEEPING].store(0, Ordering::Relaxed);
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
}
