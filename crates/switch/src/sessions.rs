//! All sessions of a worker, by a small number each.

use rustc_hash::FxHashMap;

use crate::session::{Origin, Route, Session, SessionId};
use crate::timers::Alarm;

#[derive(Debug, Default)]
struct Entry {
    session: Option<Session>,
    silence: Alarm,
}

/// All sessions that this worker takes part in, by a small number each.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    all: Vec<Entry>,
    by_id: FxHashMap<SessionId, u16>,
    free: Vec<u16>,
    /// Route lists of ended sessions, so that a call allocates only while the worker warms up.
    spare: Vec<Vec<Route>>,
    /// How many began at a context here.
    local: usize,
}

impl Sessions {
    /// Adds one; `None` where there is no number left. `u16::MAX` is never given.
    pub(crate) fn insert(&mut self, mut session: Session) -> Option<u16> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u16::try_from(self.all.len()).ok().filter(|&index| index < u16::MAX)?;
                self.all.push(Entry::default());
                index
            }
        };
        session.routes = self.spare.pop().unwrap_or_default();
        self.local += usize::from(session.origin.is_local());
        self.by_id.insert(session.id, index);
        self.all[usize::from(index)].session = Some(session);
        Some(index)
    }

    pub(crate) fn get(&self, index: u16) -> Option<&Session> {
        self.all.get(usize::from(index))?.session.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: u16) -> Option<&mut Session> {
        self.all.get_mut(usize::from(index))?.session.as_mut()
    }

    /// The session with this ID: for the beginning of one, not for each burst.
    pub(crate) fn find(&self, id: SessionId) -> Option<(u16, Origin)> {
        let index = self.by_id.get(&id).copied()?;
        Some((index, self.get(index)?.origin))
    }

    /// A sibling's session comes from a context here from now on, or one of a context here from a sibling.
    pub(crate) fn adopt(&mut self, index: u16, origin: Origin) {
        let Some(session) = self.get_mut(index) else { return };
        let was_local = std::mem::replace(&mut session.origin, origin).is_local();
        self.local += usize::from(origin.is_local());
        self.local -= usize::from(was_local);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &Session)> {
        self.all.iter().zip(0..=u16::MAX).filter_map(|(place, index)| Some((index, place.session.as_ref()?)))
    }

    /// The alarm for the silence of the session with this number.
    pub(crate) fn silence(&mut self, index: u16) -> Option<&mut Alarm> {
        self.all.get_mut(usize::from(index)).map(|place| &mut place.silence)
    }

    /// Takes one out. Its routes are to be given back by [`Self::recycle`].
    pub(crate) fn remove(&mut self, index: u16) -> Option<Session> {
        let session = self.all.get_mut(usize::from(index))?.session.take()?;
        self.free.push(index);
        // Another one with its ID may have come after it.
        if self.by_id.get(&session.id) == Some(&index) {
            self.by_id.remove(&session.id);
        }
        self.local -= usize::from(session.origin.is_local());
        Some(session)
    }

    pub(crate) fn recycle(&mut self, mut routes: Vec<Route>) {
        routes.clear();
        self.spare.push(routes);
    }

    /// How many began at a context here.
    pub(crate) fn local(&self) -> usize {
        self.local
    }

    /// What must always be true, and how many numbers were ever given.
    #[cfg(test)]
    pub(crate) fn check(&self) -> usize {
        let running = self.iter().count();
        let local = self.iter().filter(|(_, session)| session.origin.is_local()).count();
        assert_eq!(running + self.free.len(), self.all.len(), "a number is lost or given twice");
        assert!(self.spare.len() <= self.all.len(), "route lists pile up");
        assert_eq!(local, self.local);
        for (place, session) in self.all.iter().filter_map(|place| Some((place, place.session.as_ref()?))) {
            let ends_by_itself = matches!(session.origin, Origin::Parrot);
            let timeout = session.times_out();
            assert!(ends_by_itself || place.silence.is_set_until(timeout), "nothing ends {session:?}");
        }
        self.all.len()
    }
}
