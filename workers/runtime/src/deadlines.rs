//! When each shard wants to be called.

use stack::Time;

/// One moment for each shard, side by side: all shards together are looked at in each round.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// By place of the shard; the end of time where it wants nothing.
    all: Vec<Time>,
    /// None is due before this.
    next: Option<Time>,
}

const NEVER: Time = Time(u64::MAX);

impl Deadlines {
    /// One more shard.
    pub(crate) fn add(&mut self) {
        self.all.push(NEVER);
    }

    /// The shard at `place` is gone; the last one takes its place.
    pub(crate) fn remove(&mut self, place: u16) {
        if usize::from(place) < self.all.len() {
            self.all.swap_remove(usize::from(place));
        }
    }

    /// When the shard at `place` wants to be called, from now on.
    pub(crate) fn set(&mut self, place: u16, at: Option<Time>) {
        let Some(deadline) = self.all.get_mut(usize::from(place)) else { return };
        *deadline = at.unwrap_or(NEVER);
        if let Some(at) = at {
            self.next = Some(self.next.map_or(at, |next| next.min(at)));
        }
    }

    /// No shard is to be called before this.
    pub(crate) fn next(&self) -> Option<Time> {
        self.next
    }

    /// The first shard from `place` on that is due. To be asked from place 0 until there is none: only that finds out
    /// when the next one will be.
    pub(crate) fn due(&mut self, place: u16, now: Time) -> Option<u16> {
        if self.next.is_none_or(|next| now < next) {
            return None;
        }
        let due = self.all.iter().skip(usize::from(place)).position(|&at| at <= now);
        match due.and_then(|after| u16::try_from(after).ok()) {
            Some(after) => Some(place + after),
            None => {
                self.next = self.all.iter().copied().min().filter(|&at| at != NEVER);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_called_when_it_is_due() {
        let mut deadlines = Deadlines::default();
        (0..4).for_each(|_| deadlines.add());
        assert_eq!((deadlines.next(), deadlines.due(0, Time(9))), (None, None));
        deadlines.set(1, Some(Time(5)));
        deadlines.set(3, Some(Time(4)));
        deadlines.set(9, Some(Time(1)));
        assert_eq!((deadlines.next(), deadlines.due(0, Time(3))), (Some(Time(4)), None));
        assert_eq!(deadlines.due(0, Time(4)), Some(3));
        // It says what it wants next, which may be nothing.
        deadlines.set(3, None);
        assert_eq!(deadlines.due(4, Time(4)), None);
        assert_eq!(deadlines.next(), Some(Time(5)));
        assert_eq!(deadlines.due(0, Time(8)), Some(1));
        deadlines.set(1, Some(Time(20)));
        assert_eq!((deadlines.due(2, Time(8)), deadlines.next()), (None, Some(Time(20))));
        deadlines.set(3, Some(Time(30)));
        deadlines.remove(1);
        assert_eq!((deadlines.due(0, Time(20)), deadlines.next()), (None, Some(Time(30))));
        assert_eq!(deadlines.due(0, Time(30)), Some(1));
    }
}
