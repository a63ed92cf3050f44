//! The other workers of the host: their rings and interest, and which of them want the calls that begin here.

use std::os::fd::{AsFd, OwnedFd};

use fabric::{Bell, Counter, FRAME_LEN, Read, SLOTS, Stats, Wake, WorkerReader, WorkerWriter};
use stack::{CallType, Slot};
use switch::{Forward, PARROT, Place, SessionReport};

/// Frames taken from one sibling before others have their turn.
const BATCH: usize = 256;
/// Stands for a call to no talkgroup: who wants it does not change with anybody's interest.
const PRIVATE: u32 = u32::MAX;
/// When a radio was heard of which only a hotspot with its ID is known: before any other.
const NEVER_MS: u64 = 1;

pub(crate) struct Sibling {
    slot: u8,
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
    all: Vec<Sibling>,
    /// What this worker publishes.
    writer: WorkerWriter,
    /// By the session's number; `None` where none runs.
    calls: Vec<Option<Call>>,
    /// To be woken at the end of the round.
    ring: Wake,
}

impl Siblings {
    pub(crate) fn new(writer: WorkerWriter) -> Self {
        Self { all: Vec::new(), writer, calls: Vec::new(), ring: 0 }
    }

    /// A sibling is there, or there again.
    pub(crate) fn add(&mut self, slot: u8, node: u32, reader: WorkerReader, wake: OwnedFd) {
        match self.all.iter_mut().find(|sibling| sibling.slot == slot) {
            Some(sibling) if sibling.reader.epoch() == reader.epoch() => {}
            Some(sibling) => {
                sibling.old.push(std::mem::replace(&mut sibling.reader, reader));
                (sibling.node, sibling.interest_version) = (node, u64::MAX);
            }
            None => {
                self.all.push(Sibling {
                    slot,
                    node,
                    wake,
                    reader,
                    old: Vec::new(),
                    interest_version: u64::MAX,
                });
            }
        }
        self.refresh(slot);
    }

    /// All siblings are to look at our interest: it was filled before we knew them.
    pub(crate) fn announce(&mut self) {
        self.ring |= self.everybody();
    }

    fn everybody(&self) -> Wake {
        self.all.iter().fold(0, |set, sibling| set | 1 << sibling.slot)
    }

    /// Who would want a call to this talkgroup.
    fn wanted(&self, talkgroup: u32) -> Wake {
        let wants = |sibling: &&Sibling| sibling.reader.interest().may_want(talkgroup);
        self.all.iter().filter(wants).fold(0, |set, sibling| set | 1 << sibling.slot)
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
        let there = self.all.iter().filter_map(|sibling| {
            let location = sibling.reader.locations().get(radio)?;
            Some((location, Some(sibling.slot)))
        });
        // Of equals every worker takes the same.
        match here.into_iter().chain(there).max_by_key(|(location, _)| (location.heard_ms, location.context))
        {
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

    /// A context with this ID is here: calls to the ID come here while no radio with it was heard.
    pub(crate) fn home(&mut self, id: u32, slot: Slot) {
        if self.writer.locations().get(id).is_none() {
            let location = fabric::Location { context: id, slot: slot.number(), heard_ms: NEVER_MS };
            self.writer.set_location(id, location);
        }
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
    pub(crate) fn heard(&mut self, radio: u32, location: fabric::Location) {
        self.writer.set_location(radio, location);
    }

    /// Looks whether a sibling's interest has changed, and if so who wants the running calls.
    fn refresh(&mut self, slot: u8) {
        let Some(sibling) = self.all.iter_mut().find(|sibling| sibling.slot == slot) else { return };
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

    /// Takes what the siblings in `set` have for us, and returns those that have more.
    pub(crate) fn read(&mut self, stats: &Stats, set: Wake, mut take: impl FnMut(u8, u32, &Forward)) -> Wake {
        let mut more = 0;
        for i in 0..self.all.len() {
            let slot = self.all[i].slot;
            if set >> slot & 1 == 0 {
                continue;
            }
            self.refresh(slot);
            let Sibling { node, reader, old, .. } = &mut self.all[i];
            for mut old in old.drain(..) {
                // One ring's worth, whatever it claims: it has no writer any more.
                for _ in 0..SLOTS / BATCH {
                    if !drain(stats, &mut old, |forward| take(slot, *node, forward)) {
                        break;
                    }
                }
            }
            if drain(stats, reader, |forward| take(slot, *node, forward)) {
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
        for sibling in self.all.iter().filter(|sibling| ring >> sibling.slot & 1 == 1) {
            if bell.ring(usize::from(sibling.slot), sibling.wake.as_fd()) {
                stats.add(Counter::Doorbells, 1);
            }
        }
    }
}

/// Takes a batch of frames. True where there are more.
fn drain(stats: &Stats, reader: &mut WorkerReader, mut take: impl FnMut(&Forward)) -> bool {
    let mut frame = [0; FRAME_LEN];
    for _ in 0..BATCH {
        match reader.read(&mut frame) {
            Read::Empty => return false,
            Read::Gap(gap) => stats.add(Counter::RingGaps, gap),
            Read::Frame => {
                if let Some(forward) = Forward::decode(&frame) {
                    take(&forward);
                }
            }
        }
    }
    true
}
