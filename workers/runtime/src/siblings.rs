//! The other workers of the host: their rings and interest, and which of them want the calls that begin here.

use std::os::fd::{AsFd, OwnedFd};

use channel::RingPlace;
use fabric::{Bell, Counter, FRAME_LEN, Location, Read, SLOTS, Stats, Wake, WorkerReader, WorkerWriter};
use stack::{CallType, Slot};
use switch::{FarBurst, FarCall, Forward, Place, Published, SessionId, SessionReport};

use crate::hosts::is_routed;

/// Frames taken from one sibling before others have their turn.
pub(crate) const BATCH: usize = 256;
/// Stands for a call to no talkgroup: who wants it does not change with anybody's interest.
const PRIVATE: u32 = u32::MAX;

pub(crate) struct Sibling {
    wake: OwnedFd,
    reader: WorkerReader,
    /// Earlier incarnations, until what they have published last is read.
    old: Vec<WorkerReader>,
    interest_version: u64,
}

/// What siblings have published, each with the sibling's slot.
#[derive(Default)]
pub(crate) struct Heard {
    /// Of sessions of this host, with the node where they began.
    pub(crate) near: Vec<(u8, u32, Forward)>,
    /// Of sessions of other hosts that came in there.
    pub(crate) far: Vec<(u8, SessionId, FarBurst)>,
}

impl Heard {
    pub(crate) fn len(&self) -> usize {
        self.near.len() + self.far.len()
    }
}

/// A call that began here.
#[derive(Clone, Copy)]
struct Call {
    /// Slot of the node where it began: another's only where its context has moved here since.
    origin: u8,
    talkgroup: u32,
    wanted: Wake,
}

pub(crate) struct Siblings {
    /// Our own place among them.
    slot: u8,
    /// The node in each slot, ours among them.
    nodes: Vec<Option<u32>>,
    /// By slot.
    all: Vec<Option<Sibling>>,
    /// What this worker publishes.
    writer: WorkerWriter,
    /// By the session's number; `None` where none runs.
    calls: Vec<Option<Call>>,
    /// The same of sessions of other hosts that come in here.
    far: Vec<Option<Call>>,
    /// These want every call: they take what was ours.
    heirs: Wake,
    /// To be woken at the end of the round.
    ring: Wake,
}

impl Siblings {
    pub(crate) fn new(slot: u8, node: u32, writer: WorkerWriter) -> Self {
        let mut siblings = Self {
            slot,
            nodes: Vec::new(),
            all: Vec::new(),
            writer,
            calls: Vec::new(),
            far: Vec::new(),
            heirs: 0,
            ring: 0,
        };
        siblings.note_node(slot, node);
        siblings
    }

    /// Which node is in a slot.
    pub(crate) fn note_node(&mut self, slot: u8, node: u32) {
        let place = usize::from(slot);
        if self.nodes.len() <= place {
            self.nodes.resize(place + 1, None);
        }
        self.nodes[place] = Some(node);
    }

    /// Our own place among them.
    pub(crate) fn slot(&self) -> u8 {
        self.slot
    }

    /// A sibling is there, or there again.
    pub(crate) fn add(&mut self, slot: u8, node: u32, reader: WorkerReader, wake: OwnedFd) {
        self.note_node(slot, node);
        let place = usize::from(slot);
        if self.all.len() <= place {
            self.all.resize_with(place + 1, || None);
        }
        let old = match self.all[place].take() {
            Some(known) if known.reader.epoch() == reader.epoch() => {
                self.all[place] = Some(known);
                return;
            }
            Some(known) => known.old.into_iter().chain([known.reader]).collect(),
            None => Vec::new(),
        };
        self.all[place] = Some(Sibling { wake, reader, old, interest_version: u64::MAX });
        self.refresh(slot);
    }

    /// A sibling is gone for good, and wants nothing any more. Sessions that began there may go on elsewhere.
    pub(crate) fn remove(&mut self, slot: u8) {
        if let Some(sibling) = self.all.get_mut(usize::from(slot)) {
            *sibling = None;
        }
        self.all_calls().for_each(|call| call.wanted &= !(1 << slot));
    }

    /// All siblings are to look at our interest: it was filled before we knew them.
    pub(crate) fn announce(&mut self) {
        self.ring |= self.iter().fold(0, |set, (slot, _)| set | 1 << slot);
    }

    /// Those who are there, with their slots.
    fn iter(&self) -> impl Iterator<Item = (u8, &Sibling)> {
        (0..).zip(&self.all).filter_map(|(slot, sibling)| Some((slot, sibling.as_ref()?)))
    }

    /// Who would want a call to this talkgroup.
    fn wanted(&self, talkgroup: u32) -> Wake {
        let wants = |(_, sibling): &(u8, &Sibling)| sibling.reader.interest().may_want(talkgroup);
        self.iter().filter(wants).fold(0, |set, (slot, _)| set | 1 << slot)
    }

    /// A call began here: asks, once, who wants it.
    pub(crate) fn started(&mut self, index: u16, report: &SessionReport) {
        let routed = is_routed(report.call, report.destination);
        let wanted = if routed { self.wanted(report.destination) } else { 0 };
        let talkgroup = if routed { report.destination } else { PRIVATE };
        let index = usize::from(index);
        if self.calls.len() <= index {
            self.calls.resize(index + 1, None);
        }
        let origin = self.number_of(report.session.node);
        self.calls[index] = Some(Call { origin, talkgroup, wanted });
    }

    /// A call of another host comes in here: asks, once, who wants it. One to a radio is for whoever heard it last.
    pub(crate) fn opened(&mut self, index: u16, call: &FarCall) {
        let FarCall { session, destination, call, .. } = *call;
        self.writer.set_origin(index, session.key, session.node);
        let wanted = match call {
            CallType::Group => self.wanted(destination),
            CallType::Private => {
                self.newest(destination).and_then(|(_, slot)| slot).map_or(0, |slot| 1 << slot)
            }
        };
        let talkgroup = if call == CallType::Group { destination } else { PRIVATE };
        let index = usize::from(index);
        if self.far.len() <= index {
            self.far.resize(index + 1, None);
        }
        self.far[index] = Some(Call { origin: 0, talkgroup, wanted });
    }

    /// It is over.
    pub(crate) fn closed(&mut self, index: u16) {
        if let Some(call) = self.far.get_mut(usize::from(index)) {
            *call = None;
        }
    }

    /// Publishes a burst of another host, where a sibling wants its call.
    pub(crate) fn pass_on(&mut self, stats: &Stats, burst: &FarBurst) {
        let call = self.far.get(usize::from(burst.forward.index)).copied().flatten();
        let wanted = call.map_or(0, |call| call.wanted) | self.heirs;
        if wanted != 0 {
            self.writer.write(&burst.encode());
            self.ring |= wanted;
            stats.add(Counter::Forwarded, 1);
        }
    }

    fn all_calls(&mut self) -> impl Iterator<Item = &mut Call> {
        self.calls.iter_mut().chain(&mut self.far).flatten()
    }

    /// Where a radio was heard last in the whole host, and the sibling's slot where that was not here.
    fn newest(&self, radio: u32) -> Option<(Location, Option<u8>)> {
        let here = self.writer.locations().get(radio).map(|location| (location, None));
        let there = self.iter().filter_map(|(slot, sibling)| {
            let location = sibling.reader.locations().get(radio)?;
            Some((location, Some(slot)))
        });
        // Of equals all take the same.
        let slot = |sibling: Option<u8>| sibling.unwrap_or(self.slot);
        here.into_iter().chain(there).max_by_key(|(at, sibling)| (at.heard_ms, slot(*sibling)))
    }

    /// Where a radio was heard last that a call is for. If that was at a sibling, and the call began here, it alone wants it.
    /// `there`: a node of another host where it was heard, and when; it is returned where that is the newest place.
    pub(crate) fn locate(
        &mut self,
        index: u16,
        radio: u32,
        there: Option<(u32, u64)>,
    ) -> (Place, Option<u32>) {
        let newest = self.newest(radio);
        if let Some((node, at_ms)) = there
            && newest.is_none_or(|(location, _)| location.heard_ms < at_ms)
        {
            return (Place::Elsewhere, Some(node));
        }
        (self.locate_here(index, newest), None)
    }

    fn locate_here(&mut self, index: u16, newest: Option<(Location, Option<u8>)>) -> Place {
        match newest {
            None => Place::Nowhere,
            Some((location, None)) => {
                let slot = if location.slot == 1 { Slot::One } else { Slot::Two };
                Place::Here { context: location.context, slot }
            }
            Some((_, Some(slot))) => {
                if let Some(call) = self.calls.get_mut(usize::from(index)).and_then(Option::as_mut) {
                    call.wanted = 1 << slot;
                }
                Place::Elsewhere
            }
        }
    }

    /// A context with this ID is here: calls to the ID come here while no radio with it was heard. The newest login
    /// is right, and any radio is newer than that: the time of a login is noted in seconds where that of a radio
    /// is in milliseconds.
    pub(crate) fn home(&mut self, id: u32, slot: Slot, wall_us: u64) {
        let heard_ms = wall_us / 1_000_000;
        if self.writer.locations().get(id).is_none_or(|known| known.heard_ms < heard_ms) {
            self.writer.set_location(id, Location { context: id, slot: slot.number(), heard_ms });
        }
    }

    /// The context with this ID is gone: no radio is there any more.
    pub(crate) fn away(&mut self, id: u32) {
        self.writer.forget_locations(id);
    }

    /// A call that began here has ended.
    pub(crate) fn stopped(&mut self, index: u16) {
        if let Some(call) = self.calls.get_mut(usize::from(index)) {
            *call = None;
        }
    }

    /// Publishes a burst, where somebody wants its call.
    pub(crate) fn forward(&mut self, stats: &Stats, forward: &Forward) {
        let call = self.calls.get(usize::from(forward.index)).copied().flatten();
        let Some(Call { origin, wanted, .. }) = call else { return };
        let wanted = wanted | self.heirs;
        if wanted != 0 {
            self.writer.write(&forward.encode(origin));
            self.ring |= wanted;
            stats.add(Counter::Forwarded, 1);
        }
    }

    /// Where a call that comes in here began.
    pub(crate) fn node_of(&self, index: u16) -> Option<u32> {
        let call = self.calls.get(usize::from(index)).copied().flatten()?;
        self.nodes.get(usize::from(call.origin)).copied().flatten()
    }

    /// The slot of a node: another's only where a session has moved here from there.
    fn number_of(&self, node: u32) -> u8 {
        let is_node = |slot: &u8| self.nodes.get(usize::from(*slot)) == Some(&Some(node));
        let others = || (0..=u8::MAX).take(self.nodes.len()).find(is_node);
        if is_node(&self.slot) { self.slot } else { others().unwrap_or(self.slot) }
    }

    /// A worker that takes shards of ours is sent all calls from now on.
    pub(crate) fn send_all_to(&mut self, to: u8) {
        self.heirs |= 1 << to;
    }

    /// Those who took shards of ours have said themselves what they want.
    pub(crate) fn send_all_to_nobody(&mut self) {
        self.heirs = 0;
    }

    /// What was at the worker in slot `from` may be at the one in slot `to` from now on: private calls are sent to both.
    pub(crate) fn moved(&mut self, from: u8, to: u8) {
        // Whether a private call from here was for somebody here is not noted.
        let is_ours = from == self.slot;
        for call in self.all_calls().filter(|call| call.talkgroup == PRIVATE) {
            if is_ours || call.wanted >> from & 1 == 1 {
                call.wanted |= 1 << to;
            }
        }
    }

    /// Where radios were heard, as a worker knew whose shards are ours now: those at contexts that are here.
    pub(crate) fn inherit(&mut self, forerunner: &WorkerReader, is_here: impl Fn(u32) -> bool) {
        for (radio, location) in
            forerunner.locations().iter().filter(|(_, location)| is_here(location.context))
        {
            // Newer by a moment, so that of the two tables ours is right.
            let location = Location { heard_ms: location.heard_ms + 1, ..location };
            if self.writer.locations().get(radio).is_none_or(|known| known.heard_ms < location.heard_ms) {
                self.writer.set_location(radio, location);
            }
        }
    }

    /// How far we have read each ring, and how far our own goes.
    pub(crate) fn places(&self) -> Vec<RingPlace> {
        let place = |slot, (epoch, next)| RingPlace { slot, epoch, next };
        let theirs = self.iter().map(|(slot, sibling)| place(slot, sibling.reader.place()));
        theirs.chain([place(self.slot, self.writer.place())]).collect()
    }

    /// Somebody here wants a talkgroup, or nobody any more.
    pub(crate) fn set_interest(&mut self, talkgroup: u32, wanted: bool) {
        if self.writer.set_interest(talkgroup, wanted) {
            self.announce();
        }
    }

    /// Calls to any talkgroup may be wanted here, or only those that somebody wants.
    pub(crate) fn want_everything(&mut self, wanted: bool) {
        self.writer.set_interest_in_everything(wanted);
        self.announce();
    }

    /// A radio was heard here.
    pub(crate) fn heard(&mut self, radio: u32, location: Location) {
        self.writer.set_location(radio, location);
    }

    /// Looks whether a sibling's interest has changed, and if so who wants the running calls.
    fn refresh(&mut self, slot: u8) {
        let Some(Some(sibling)) = self.all.get_mut(usize::from(slot)) else { return };
        let version = sibling.reader.interest_version();
        if sibling.interest_version == version {
            return;
        }
        sibling.interest_version = version;
        let filter = sibling.reader.interest();
        for call in
            self.calls.iter_mut().chain(&mut self.far).flatten().filter(|call| call.talkgroup != PRIVATE)
        {
            let bit = 1 << slot;
            call.wanted = call.wanted & !bit | if filter.may_want(call.talkgroup) { bit } else { 0 };
        }
    }

    /// Puts what the siblings in `set` have for us into `heard`, and returns those that have more.
    pub(crate) fn read(&mut self, stats: &Stats, set: Wake, heard: &mut Heard) -> Wake {
        let mut more = 0;
        for place in fabric::members(set) {
            let slot = place as u8;
            self.refresh(slot);
            if self.read_one(stats, slot, BATCH, heard) {
                more |= 1 << slot;
            }
        }
        more
    }

    /// Puts what a sibling has published up to a place into `heard`.
    pub(crate) fn read_up_to(&mut self, stats: &Stats, to: RingPlace, heard: &mut Heard) {
        self.refresh(to.slot);
        let Some(Some(sibling)) = self.all.get(usize::from(to.slot)) else { return };
        let (epoch, next) = sibling.reader.place();
        // At most one ring's worth, whatever the places say.
        let count = if epoch == to.epoch { to.next.saturating_sub(next).min(SLOTS as u64) } else { 0 };
        self.read_one(stats, to.slot, usize::try_from(count).unwrap_or(SLOTS), heard);
    }

    /// Reads up to `count` frames of a sibling. True where there are more.
    fn read_one(&mut self, stats: &Stats, slot: u8, count: usize, heard: &mut Heard) -> bool {
        let Some(Some(sibling)) = self.all.get_mut(usize::from(slot)) else { return false };
        let Sibling { reader, old, .. } = sibling;
        let nodes = &self.nodes;
        let mut take = |reader: &WorkerReader, frame: &[u8; FRAME_LEN]| match Published::decode(frame) {
            Some(Published::Near(forward, origin)) => {
                if let Some(node) = nodes.get(usize::from(origin)).copied().flatten() {
                    heard.near.push((slot, node, forward));
                }
            }
            Some(Published::Far(burst)) => {
                let origin = reader.origin(burst.forward.index);
                heard.far.extend(
                    origin.and_then(|(key, node)| Some((slot, SessionId { key, node }, burst.whole(key)?))),
                );
            }
            None => {}
        };
        for mut old in old.drain(..) {
            // One ring's worth, whatever it claims: it has no writer any more.
            drain(stats, &mut old, SLOTS, &mut take);
        }
        let more = drain(stats, reader, count, take);
        let (epoch, next) = reader.place();
        stats.set_place(slot, epoch, next);
        more
    }

    /// Wakes those for whom there is something new.
    #[inline]
    pub(crate) fn flush(&mut self, stats: &Stats, bell: &Bell) {
        let ring = std::mem::take(&mut self.ring);
        if ring != 0 {
            let wake = |slot: usize| Some(self.all.get(slot)?.as_ref()?.wake.as_fd());
            stats.add(Counter::Doorbells, bell.ring_all(ring, wake));
        }
    }
}

/// Takes up to `count` frames. True where there may be more.
fn drain(
    stats: &Stats,
    reader: &mut WorkerReader,
    count: usize,
    mut take: impl FnMut(&WorkerReader, &[u8; FRAME_LEN]),
) -> bool {
    let mut frame = [0; FRAME_LEN];
    for _ in 0..count {
        match reader.read(&mut frame) {
            Read::Empty => return false,
            Read::Gap(gap) => stats.add(Counter::RingGaps, gap),
            Read::Frame => take(reader, &frame),
        }
    }
    true
}
