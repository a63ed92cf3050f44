//! Sessions as they pass here: those that began here, with the ways that they go, and those of other hosts, with what has come of them.

use std::time::Duration;

use rustc_hash::FxHashMap;
use stack::Time;
use switch::{FarCall, SessionId};

/// Sessions of other hosts that are known at once.
pub(crate) const MAX_FAR: usize = 4096;
/// What comes of a session that has ended is dropped for so long.
const ENDED: Duration = Duration::from_secs(5);
/// A session of which nothing came for so long is forgotten.
const SILENT: Duration = Duration::from_secs(10);

/// Whom a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Talkgroup(u32),
    /// A radio that was heard at this node; `None` where that is not known, or it is not to go out.
    Radio(Option<u32>),
}

impl Target {
    pub(crate) fn talkgroup(self) -> Option<u32> {
        match self {
            Self::Talkgroup(talkgroup) => Some(talkgroup),
            Self::Radio(_) => None,
        }
    }
}

/// The ways that a session goes.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// Places of associations, one for each host that is handed a copy.
    pub(crate) to: Vec<u16>,
    /// The version of what is known of the network for which they were made.
    pub(crate) made_for: Option<u64>,
}

impl Routes {
    fn clear(&mut self) {
        self.to.clear();
        self.made_for = None;
    }
}

/// A session that began here.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) session: SessionId,
    pub(crate) target: Target,
    pub(crate) next: u16,
    pub(crate) routes: Routes,
}

/// A session of another host.
#[derive(Debug)]
pub(crate) struct Far {
    /// `None` where the place is free.
    pub(crate) call: Option<FarCall>,
    /// The host that gave it here first.
    pub(crate) from: u32,
    pub(crate) routes: Routes,
    seen: Seen,
    last: Time,
    has_ended: bool,
}

/// Which bursts have come: each is taken once.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    newest: Option<u16>,
    bits: u128,
    /// Late ones in a row.
    strays: u8,
}

/// So many late bursts in a row are not late: what was taken for the newest was none.
const STRAYS: u8 = 8;

/// How a burst stands to those that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    New,
    /// It came before.
    Double,
    /// So old that nobody waits for it.
    Late,
}

impl Seen {
    fn take(&mut self, sequence: u16) -> Standing {
        let Some(newest) = self.newest else {
            *self = Self { newest: Some(sequence), bits: 1, strays: 0 };
            return Standing::New;
        };
        let ahead = sequence.wrapping_sub(newest);
        if (1..0x8000).contains(&ahead) {
            self.bits = self.bits.checked_shl(ahead.into()).unwrap_or(0) | 1;
            (self.newest, self.strays) = (Some(sequence), 0);
            return Standing::New;
        }
        let behind = u32::from(newest.wrapping_sub(sequence));
        match 1_u128.checked_shl(behind) {
            None if self.strays + 1 >= STRAYS => {
                *self = Self { newest: Some(sequence), bits: 1, strays: 0 };
                Standing::New
            }
            None => {
                self.strays += 1;
                Standing::Late
            }
            Some(bit) if self.bits & bit != 0 => Standing::Double,
            Some(bit) => {
                self.bits |= bit;
                Standing::New
            }
        }
    }
}

/// All sessions of other hosts.
#[derive(Debug, Default)]
pub(crate) struct FarSessions {
    all: Vec<Far>,
    free: Vec<u16>,
    numbers: FxHashMap<SessionId, u16>,
}

impl FarSessions {
    pub(crate) fn get(&mut self, number: u16) -> Option<&mut Far> {
        self.all.get_mut(usize::from(number))
    }

    /// The number of a session that is known.
    pub(crate) fn find(&self, session: SessionId) -> Option<u16> {
        self.numbers.get(&session).copied()
    }

    /// Whether a number is that of this session.
    pub(crate) fn is(&self, number: u16, session: SessionId) -> bool {
        self.all
            .get(usize::from(number))
            .is_some_and(|far| far.call.is_some_and(|call| call.session == session))
    }

    /// A call is heard of; `None` where there are too many.
    pub(crate) fn open(&mut self, call: FarCall, from: u32) -> Option<u16> {
        let far = Far {
            call: Some(call),
            from,
            routes: Routes::default(),
            seen: Seen::default(),
            last: Time::default(),
            has_ended: false,
        };
        let number = match self.free.pop() {
            Some(number) => {
                let place = self.all.get_mut(usize::from(number))?;
                let mut routes = std::mem::take(&mut place.routes);
                routes.clear();
                *place = Far { routes, ..far };
                number
            }
            None if self.all.len() >= MAX_FAR => return None,
            None => {
                self.all.push(far);
                u16::try_from(self.all.len() - 1).ok()?
            }
        };
        self.numbers.insert(call.session, number);
        Some(number)
    }

    /// The calls of which bursts came within `lately`, and not their end.
    pub(crate) fn running(&self, now: Time, lately: Duration) -> impl Iterator<Item = FarCall> {
        let runs = move |far: &&Far| !far.has_ended && now.since(far.last) < lately;
        self.all.iter().filter(runs).filter_map(|far| far.call)
    }

    /// A burst of a session came.
    pub(crate) fn take(&mut self, now: Time, number: u16, sequence: u16, is_end: bool) -> Standing {
        let Some(far) = self.all.get_mut(usize::from(number)) else { return Standing::Late };
        let standing = far.seen.take(sequence);
        if standing == Standing::New {
            far.last = now;
            far.has_ended |= is_end;
        }
        standing
    }

    /// Sessions that are over are forgotten, and given to `gone`.
    pub(crate) fn tidy(&mut self, now: Time, mut gone: impl FnMut(u16)) {
        for (number, far) in (0..).zip(&mut self.all) {
            let Some(FarCall { session, .. }) = far.call else { continue };
            let longest = if far.has_ended { ENDED } else { SILENT };
            if now.since(far.last) >= longest {
                far.call = None;
                self.numbers.remove(&session);
                self.free.push(number);
                gone(number);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }
}

#[cfg(test)]
mod tests {
    use stack::{CallType, Slot};

    use super::*;

    #[test]
    fn each_burst_is_taken_once_over_the_wrap_and_over_a_jump() {
        use Standing::{Double, Late, New};
        let mut seen = Seen::default();
        let got = [65_534, 65_535, 1, 0, 0, 65_534, 2, 900, 3, 800, 800].map(|sequence| seen.take(sequence));
        assert_eq!(got, [New, New, New, New, Double, Double, New, New, Late, New, Double]);
    }

    #[test]
    fn places_are_used_again_and_bounded() {
        let mut far = FarSessions::default();
        let id = |key| SessionId { key, node: 1 };
        let call = |key| FarCall {
            session: id(key),
            slot: Slot::Two,
            source: 7,
            destination: 91,
            call: CallType::Group,
        };
        for key in 0..MAX_FAR as u64 {
            let number = far.open(call(key), 1).unwrap();
            assert_eq!(far.take(Time(0), number, 5, key % 2 == 0), Standing::New);
        }
        assert_eq!(far.open(call(1 << 20), 1), None);
        assert_eq!(far.running(Time(1), ENDED).count(), MAX_FAR / 2);
        assert_eq!(far.running(Time(0) + ENDED, ENDED).count(), 0);
        let mut gone = 0;
        far.tidy(Time(0) + ENDED, |_| gone += 1);
        assert_eq!((gone, far.len()), (MAX_FAR / 2, MAX_FAR / 2));
        let number = far.open(call(1 << 20), 1).unwrap();
        assert!(far.is(number, id(1 << 20)) && far.find(id(number.into())).is_none());
        assert_eq!(far.take(Time(9), number, 5, false), Standing::New);
    }
}
