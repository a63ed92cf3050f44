//! The other workers of the host: their rings and interest, and which of them want the calls that begin here.

use std::os::fd::{AsFd, OwnedFd};

use fabric::{Bell, Counter, FRAME_LEN, Location, Read, SLOTS, Stats, Wake, WorkerReader, WorkerWriter};
use stack::{CallType, Slot};
use switch::{Forward, PARROT, Place, SessionReport};

/// Frames taken from one sibling before others have their turn.
const BATCH: usize = 256;
/// Stands for a call to no talkgroup: who wants it does not change with anybody's interest.
const PRIVATE: u32 = u32::MAX;

pub(crate) struct Sibling {
    node: u32,
    wake: OwnedFd,
    reader: WorkerReader,
    /// Earlier incarnations, until what they have published last is read.
    old: Vec<WorkerReader>,
    interest_version: u64,
}

/// A call that began here.
#[derive(Clone, Copy)]
struct Call {
    talkgroup: u32,
    wanted: Wake,
}

pub(crate) struct Siblings {
    /// Our own place among them.
    slot: u8,
    /// By slot.
    all: Vec<Option<Sibling>>,
    /// What this worker publishes.
    writer: WorkerWriter,
    /// By the session's number; `None` where none runs.
    calls: Vec<Option<Call>>,
    /// To be woken at the end of the round.
    ring: Wake,
}

impl Siblings {
    pub(crate) fn new(slot: u8, writer: WorkerWriter) -> Self {
        Self { slot, all: Vec::new(), writer, calls: Vec::new(), ring: 0 }
    }

    /// A sibling is there, or there again.
    pub(crate) fn add(&mut self, slot: u8, node: u32, reader: WorkerReader, wake: OwnedFd) {
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
        self.all[place] = Some(Sibling { node, wake, reader, old, interest_version: u64::MAX });
        self.refresh(slot);
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
        let routed = report.call == CallType::Group && report.destination != PARROT;
        let wanted = if routed { self.wanted(report.destination) } else { 0 };
        let talkgroup = if routed { report.destination } else { PRIVATE };
        let index = usize::from(index);
        if self.calls.len() <= index {
            self.calls.resize(index + 1, None);
        }
        self.calls[index] = Some(Call { talkgroup, wanted });
    }

    /// Where a radio was heard last that a call is for, in the whole host. If that was at a sibling, and the call
    /// began here, it alone wants it.
    pub(crate) fn locate(&mut self, index: u16, radio: u32) -> Place {
        let here = self.writer.locations().get(radio).map(|location| (location, None));
        let there = self.iter().filter_map(|(slot, sibling)| {
            let location = sibling.reader.locations().get(radio)?;
            Some((location, Some(slot)))
        });
        // Of equals all take the same.
        let slot = |sibling: Option<u8>| sibling.unwrap_or(self.slot);
        let newest = here.into_iter().chain(there).max_by_key(|(at, sibling)| (at.heard_ms, slot(*sibling)));
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
        let Some(Call { wanted, .. }) = call else { return };
        if wanted != 0 {
            self.writer.write(&forward.encode());
            self.ring |= wanted;
            stats.add(Counter::Forwarded, 1);
        }
    }

    /// Somebody here wants a talkgroup, or nobody any more.
    pub(crate) fn set_interest(&mut self, talkgroup: u32, wanted: bool) {
        if self.writer.set_interest(talkgroup, wanted) {
            self.announce();
        }
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
        for call in self.calls.iter_mut().flatten().filter(|call| call.talkgroup != PRIVATE) {
            let bit = 1 << slot;
            call.wanted = call.wanted & !bit | if filter.may_want(call.talkgroup) { bit } else { 0 };
        }
    }

    /// Puts what the siblings in `set` have for us into `forwards`, each with the sibling's slot and node ID, and
    /// returns those that have more.
    pub(crate) fn read(&mut self, stats: &Stats, set: Wake, forwards: &mut Vec<(u8, u32, Forward)>) -> Wake {
        let mut more = 0;
        for place in fabric::members(set) {
            let slot = place as u8;
            self.refresh(slot);
            let Some(Some(sibling)) = self.all.get_mut(place) else { continue };
            let Sibling { node, reader, old, .. } = sibling;
            for mut old in old.drain(..) {
                // One ring's worth, whatever it claims: it has no writer any more.
                for _ in 0..SLOTS / BATCH {
                    if !drain(stats, &mut old, |forward| forwards.push((slot, *node, forward))) {
                        break;
                    }
                }
            }
            if drain(stats, reader, |forward| forwards.push((slot, *node, forward))) {
                more |= 1 << slot;
            }
            let (epoch, next) = reader.place();
            stats.set_place(slot, epoch, next);
        }
        more
    }

    /// Wakes those for whom there is something new.
    pub(crate) fn flush(&mut self, stats: &Stats, bell: &Bell) {
        let ring = std::mem::take(&mut self.ring);
        if ring != 0 {
            let wake = |slot: usize| Some(self.all.get(slot)?.as_ref()?.wake.as_fd());
            stats.add(Counter::Doorbells, bell.ring_all(ring, wake));
        }
    }
}

/// Takes a batch of frames. True where there are more.
fn drain(stats: &Stats, reader: &mut WorkerReader, mut take: impl FnMut(Forward)) -> bool {
    let mut frame = [0; FRAME_LEN];
    for _ in 0..BATCH {
        match reader.read(&mut frame) {
            Read::Empty => return false,
            Read::Gap(gap) => stats.add(Counter::RingGaps, gap),
            Read::Frame => {
                if let Some(forward) = Forward::decode(&frame) {
                    take(forward);
                }
            }
        }
    }
    true
}
