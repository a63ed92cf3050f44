//! The logins whose password is being checked: a bounded list, the oldest of which gives way.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use stack::Time;

use crate::path::Path;

/// How many logins are remembered.
pub(crate) const MAX_PENDING: usize = 256;

/// Room for logins is made for so many at a time.
const GROWTH: usize = 16;

/// A login repeated within this time is one login.
const REPEAT: Duration = Duration::from_secs(1);

/// An answer that comes later than this is not believed: the device has asked anew, or left.
const TOO_LATE: Duration = Duration::from_secs(30);

struct Asked {
    id: u32,
    path: Path,
    digest: [u8; 32],
    at: Time,
    answered: bool,
}

/// The logins that asked.
#[derive(Default)]
pub(crate) struct Pending {
    asked: VecDeque<Asked>,
}

impl Pending {
    /// Whether this very login was answered already: a double of its datagram, or a repeat.
    pub(crate) fn is_answered(&self, id: u32, path: &Path, digest: &[u8; 32]) -> bool {
        let asked = self.position(id, path.remote).map(|place| &self.asked[place]);
        let same = |asked: &Asked| asked.digest == *digest && asked.path.dialect == path.dialect;
        asked.is_some_and(|asked| asked.answered && same(asked))
    }

    /// Notes that a login asks; false where it has just done so.
    pub(crate) fn ask(&mut self, now: Time, id: u32, path: Path, digest: [u8; 32]) -> bool {
        if let Some(place) = self.position(id, path.remote) {
            if now.since(self.asked[place].at) < REPEAT {
                return false;
            }
            self.asked.remove(place);
        }
        if self.asked.len() >= MAX_PENDING {
            self.asked.pop_front();
        }
        if self.asked.len() == self.asked.capacity() {
            // Twice as many, as is usual, would be much memory for nothing in each of many shards.
            self.asked.reserve_exact(GROWTH);
        }
        self.asked.push_back(Asked { id, path, digest, at: now, answered: false });
        true
    }

    /// Takes the answer to a login: its path, or `None` where it did not ask or was answered already.
    pub(crate) fn answer(&mut self, now: Time, id: u32, from: SocketAddr) -> Option<Path> {
        let place = self.position(id, from)?;
        let asked = &mut self.asked[place];
        if asked.answered || now.since(asked.at) > TOO_LATE {
            return None;
        }
        // It stays in the list, so that a late double of the datagram does not log in once more.
        asked.answered = true;
        Some(asked.path)
    }

    /// Forgets a login whose context is gone: the next one is no repeat of it.
    pub(crate) fn forget(&mut self, id: u32, from: SocketAddr) {
        if let Some(place) = self.position(id, from) {
            self.asked.remove(place);
        }
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.asked.len()
    }

    fn position(&self, id: u32, from: SocketAddr) -> Option<usize> {
        self.asked.iter().position(|asked| asked.id == id && asked.path.remote == from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Dialect;

    fn path(port: u16) -> Path {
        let remote = SocketAddr::from(([192, 0, 2, 1], port));
        Path { listener: 0, local: None, remote, dialect: Dialect::Binary }
    }

    #[test]
    fn only_who_asked_is_answered_and_only_once() {
        let mut pending = Pending::default();
        assert_eq!(pending.answer(Time(0), 1, path(1).remote), None);
        assert!(pending.ask(Time(0), 1, path(1), [0; 32]));
        assert_eq!(pending.answer(Time(1), 2, path(1).remote), None);
        assert_eq!(pending.answer(Time(1), 1, path(2).remote), None);
        assert_eq!(pending.answer(Time(1), 1, path(1).remote), Some(path(1)));
        assert_eq!(pending.answer(Time(1), 1, path(1).remote), None);
        assert!(pending.is_answered(1, &path(1), &[0; 32]) && !pending.is_answered(1, &path(1), &[1; 32]));
        let text = Path { dialect: Dialect::Text, ..path(1) };
        assert!(!pending.is_answered(1, &text, &[0; 32]), "it was answered in the other dialect");
    }

    #[test]
    fn repeats_within_a_second_ask_once() {
        let mut pending = Pending::default();
        assert!(pending.ask(Time(0), 1, path(1), [0; 32]));
        assert!(!pending.ask(Time(999_999), 1, path(1), [0; 32]));
        assert!(pending.ask(Time(1_000_000), 1, path(1), [0; 32]));
        assert_eq!(pending.len(), 1);
        assert_eq!(pending.answer(Time(31_000_001), 1, path(1).remote), None, "too late");
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut pending = Pending::default();
        for id in 0..300 {
            assert!(pending.ask(Time(0), id, path(1), [0; 32]));
        }
        assert_eq!(pending.len(), MAX_PENDING);
        assert_eq!(pending.answer(Time(1), 43, path(1).remote), None);
        assert!(pending.answer(Time(1), 44, path(1).remote).is_some());
    }
}
