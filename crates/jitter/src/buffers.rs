//! All jitter buffers of a worker.

use rustc_hash::FxHashMap;
use stack::Time;
use switch::SessionId;

use crate::alarms::Alarms;
use crate::origins::Origins;
use crate::session::Session;
use crate::{Burst, Health, MAX_SESSIONS, Output};

/// A session, or room for one.
#[derive(Debug)]
struct Place {
    session: Session,
    is_open: bool,
    /// It is among those that may have something to say.
    is_ready: bool,
}

/// The jitter buffers of all far sessions of a worker.
///
/// After each call of [`Self::push`] and [`Self::handle_timeout`] the caller takes outputs until there are none. Time does
/// not go back. Only [`Self::find_or_open`] takes memory, at most some 2 KiB a session.
#[derive(Debug, Default)]
pub struct Buffers {
    now: Time,
    #[expect(clippy::vec_box, reason = "one more does not move all others")]
    places: Vec<Box<Place>>,
    by_id: FxHashMap<SessionId, u16>,
    free: Vec<u16>,
    origins: Origins,
    alarms: Alarms,
    /// Numbers of sessions that may have something to say.
    ready: Vec<u16>,
    /// What goes on as it comes.
    passing: Option<Output>,
}

impl Buffers {
    /// Without sessions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of a session, which it keeps until [`crate::LINGER`] after its last burst; then another may get it. A new
    /// session begins. `None` where there are [`MAX_SESSIONS`] already.
    ///
    /// This is the one look-up a session: [`Self::push`] says when another is needed.
    pub fn find_or_open(&mut self, now: Time, session: SessionId) -> Option<u16> {
        if let Some(&number) = self.by_id.get(&session) {
            return Some(number);
        }
        if self.by_id.len() >= MAX_SESSIONS {
            return None;
        }
        let origin = self.origins.begin(session.node)?;
        let number = self.free.pop().or_else(|| self.make_place())?;
        let legacy = self.origins.get_mut(origin)?.legacy();
        let place = self.places.get_mut(usize::from(number))?;
        place.session.begin(now, session, origin, legacy);
        place.is_open = true;
        self.alarms.set(number, place.session.wakes());
        self.by_id.insert(session, number);
        Some(number)
    }

    /// Takes in a burst of the session with this number. False where the number is not that session's, or not any longer.
    pub fn push(&mut self, now: Time, number: u16, session: SessionId, burst: Burst) -> bool {
        let Some(place) = self.places.get_mut(usize::from(number)) else { return false };
        if !place.is_open || place.session.id != session {
            return false;
        }
        let Some(origin) = self.origins.get_mut(place.session.origin) else { return false };
        self.now = self.now.max(now);
        let may_pass = self.passing.is_none();
        match place.session.take(self.now, burst, origin, may_pass) {
            Some(output) => self.passing = Some(output),
            None => make_ready(place, number, &mut self.ready),
        }
        true
    }

    /// Does what is due: bursts go out, missing ones are given up, sessions are forgotten.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = self.now.max(now);
        while let Some(number) = self.alarms.pop(self.now) {
            let Some(place) = self.places.get_mut(usize::from(number)) else { continue };
            if !place.is_ready && place.session.is_over(self.now) {
                place.is_open = false;
                self.by_id.remove(&place.session.id);
                self.origins.end(place.session.origin);
                self.free.push(number);
            } else {
                make_ready(place, number, &mut self.ready);
            }
        }
    }

    /// The next burst for the switch.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.passing.take() {
            return Some(output);
        }
        while let Some(&number) = self.ready.last() {
            if let Some(place) = self.places.get_mut(usize::from(number)) {
                let origin = self.origins.get_mut(place.session.origin);
                if let Some(output) = origin.and_then(|origin| place.session.step(self.now, origin)) {
                    return Some(output);
                }
                place.is_ready = false;
                self.alarms.set(number, place.session.wakes());
            }
            self.ready.pop();
        }
        None
    }

    /// When [`Self::handle_timeout`] is next to be called, once all outputs were taken.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.alarms.next()
    }

    /// How well the bursts of each node come where sessions began: of at most [`MAX_SESSIONS`], those that were heard last.
    pub fn health(&self) -> impl Iterator<Item = (u32, Health)> {
        self.origins.iter().map(|origin| (origin.node, origin.health))
    }

    /// Room for one session more, and for its number wherever that may be.
    fn make_place(&mut self) -> Option<u16> {
        let number = u16::try_from(self.places.len()).ok()?;
        let place = Place { session: Session::new(number), is_open: false, is_ready: false };
        self.places.push(Box::new(place));
        let numbers = self.places.len();
        self.alarms.make_room(numbers);
        self.ready.reserve(numbers.saturating_sub(self.ready.len()));
        self.free.reserve(numbers.saturating_sub(self.free.len()));
        Some(number)
    }
}

fn make_ready(place: &mut Place, number: u16, ready: &mut Vec<u16>) {
    if !place.is_ready {
        place.is_ready = true;
        ready.push(number);
    }
}
