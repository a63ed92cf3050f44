//! What the workers of a host share: rings, interest and locations, as their runtime has them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use stack::{CallType, Slot, Time};
use switch::{Forward, Output, PARROT, Place, Published, Switch};

/// From one worker's ring to the other worker's switch.
const DELAY: Duration = Duration::from_micros(200);

/// A switch and what its worker has told the other one.
pub(crate) struct Worker {
    pub(crate) switch: Switch,
    /// Talkgroups that it wants.
    interest: BTreeSet<u32>,
    /// Where it last heard each radio.
    heard: BTreeMap<u32, (Time, u32, Slot)>,
    /// Its sessions for a radio that is at the other worker, by their number.
    elsewhere: BTreeSet<u16>,
}

impl Worker {
    pub(crate) fn new(switch: Switch) -> Self {
        Self { switch, interest: BTreeSet::new(), heard: BTreeMap::new(), elsewhere: BTreeSet::new() }
    }

    /// Takes in what the outside only notes.
    pub(crate) fn note(&mut self, now: Time, output: Output) {
        match output {
            Output::Interest { talkgroup, wanted: true } => {
                self.interest.insert(talkgroup);
            }
            Output::Interest { talkgroup, wanted: false } => {
                self.interest.remove(&talkgroup);
            }
            Output::Heard { radio, context, slot } => {
                self.heard.insert(radio, (now, context, slot));
            }
            Output::Home { id, slot } => {
                self.heard.entry(id).or_insert((Time::default(), id, slot));
            }
            Output::Away { id } => self.heard.retain(|_, (_, context, _)| *context != id),
            Output::Stopped { index, .. } => {
                self.elsewhere.remove(&index);
            }
            _ => {}
        }
    }
}

/// Where a radio is: the newest that any worker has heard of it. A hotspot counts as its radio, heard long ago.
pub(crate) fn locate(workers: &mut [Worker; 2], worker: usize, index: u16, radio: u32) -> Place {
    let heard = |worker: &Worker| worker.heard.get(&radio).copied();
    let (here, there) = (heard(&workers[worker]), heard(&workers[1 - worker]));
    let is_here = match (here, there) {
        (Some((here, ..)), Some((there, ..))) => here >= there,
        (here, _) => here.is_some(),
    };
    let place = match (here, there) {
        (Some((_, context, slot)), _) if is_here => Place::Here { context, slot },
        (_, Some(_)) => Place::Elsewhere,
        _ => Place::Nowhere,
    };
    let elsewhere = &mut workers[worker].elsewhere;
    if place == Place::Elsewhere {
        elsewhere.insert(index)
    } else {
        elsewhere.remove(&index)
    };
    place
}

/// What is under way to each worker.
#[derive(Default)]
pub(crate) struct Rings([VecDeque<(Time, Forward)>; 2]);

impl Rings {
    /// A burst of a worker goes to the other one, if that wants it.
    pub(crate) fn forward(&mut self, workers: &[Worker; 2], now: Time, from: usize, forward: Forward) {
        let frame = &forward.frame;
        let is_wanted = match frame.call {
            CallType::Group => {
                frame.destination != PARROT && workers[1 - from].interest.contains(&frame.destination)
            }
            CallType::Private => workers[from].elsewhere.contains(&forward.index),
        };
        if is_wanted {
            // As in the ring: what its 56 bytes do not hold is lost.
            let encoded = match Published::decode(&forward.encode(0)) {
                Some(Published::Near(forward, 0)) => Some(forward),
                _ => None,
            };
            self.0[1 - from].extend(encoded.map(|forward| (now + DELAY, forward)));
        }
    }

    /// When the next one arrives.
    pub(crate) fn next(&self) -> Option<Time> {
        self.0.iter().filter_map(|ring| ring.front().map(|(at, _)| *at)).min()
    }

    /// What has arrived at a worker, and from whom.
    pub(crate) fn take(&mut self, now: Time, worker: usize) -> Option<(usize, Forward)> {
        let ring = &mut self.0[worker];
        let has_arrived = ring.front().is_some_and(|(at, _)| *at <= now);
        has_arrived.then(|| ring.pop_front()).flatten().map(|(_, forward)| (1 - worker, forward))
    }
}
