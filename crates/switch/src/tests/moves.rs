//! Contexts move between the workers of a host in the middle of their calls: nobody who hears them notices.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use dmr::{AMBE_SILENCE, BurstKind, FullLc, Sync, VoiceCall};
use proptest::prelude::*;
use stack::{CallType, ContextKey, Frame, Now, Profile, Slot, Slots, Time};

use super::bench::{HEADER, TERMINATOR};
use crate::{Forward, Input, Output, Place, Settings, Switch};

const WORKERS: usize = 3;
/// Contexts, each in a shard of its own: 0 and 1 talk, all others listen.
const CONTEXTS: u16 = 6;
const BURST_TIME: Duration = Duration::from_millis(60);

struct Host {
    now: Now,
    switches: Vec<Switch>,
    owners: Vec<usize>,
    rings: VecDeque<(usize, u32, Forward)>,
    /// The node of each session, by its worker and number there.
    nodes: BTreeMap<(usize, u16), u32>,
    /// Stream and sequence number of each burst that a context was given.
    heard: BTreeMap<u16, Vec<(u32, u8, BurstKind)>>,
    /// What the outside was told.
    told: Vec<String>,
    /// Where each radio was heard, by context ID.
    places: BTreeMap<u32, (u32, Slot)>,
}

fn key(context: u16) -> ContextKey {
    ContextKey { shard: context, index: 0 }
}

fn profile(context: u16) -> Profile {
    Profile::repeater(250_000 + u32::from(context), Slots::Both, [vec![], vec![91]])
}

impl Host {
    fn new() -> Self {
        let mut host = Self {
            now: Now { mono: Time(1_000_000_000), wall_us: 1_790_000_000_000_000 },
            switches: (0..WORKERS).map(|w| Switch::new(25_011 + w as u32, Settings::default())).collect(),
            owners: (0..CONTEXTS).map(|context| usize::from(context) % WORKERS).collect(),
            rings: VecDeque::new(),
            nodes: BTreeMap::new(),
            heard: BTreeMap::new(),
            told: Vec::new(),
            places: BTreeMap::new(),
        };
        for context in 0..CONTEXTS {
            host.input(
                host.owners[usize::from(context)],
                Input::Up { context: key(context), profile: profile(context) },
            );
        }
        host
    }

    fn input(&mut self, worker: usize, input: Input<'_>) {
        self.switches[worker].handle_input(self.now, input);
        self.settle(worker);
        while let Some((from, node, forward)) = self.rings.pop_front() {
            for worker in (0..WORKERS).filter(|&worker| worker != from) {
                self.switches[worker]
                    .handle_input(self.now, Input::Remote { peer: from as u8, node, forward: &forward });
                self.settle(worker);
            }
        }
    }

    fn settle(&mut self, worker: usize) {
        self.switches[worker].check_invariants();
        while let Some(output) = self.switches[worker].poll_output() {
            match output {
                Output::Deliver { context, stream, frame, .. } => {
                    assert_eq!(self.owners[usize::from(context.shard)], worker);
                    self.heard.entry(context.shard).or_default().push((stream, frame.sequence, frame.kind));
                }
                Output::Forward(forward) => {
                    self.rings.push_back((worker, self.nodes[&(worker, forward.index)], forward));
                }
                Output::Heard { radio, context, slot } => drop(self.places.insert(radio, (context, slot))),
                Output::Locate { index, session, radio } => {
                    let place = match self.places.get(&radio) {
                        Some(&(context, slot)) if self.owners[context as usize - 250_000] == worker => {
                            Place::Here { context, slot }
                        }
                        Some(_) => Place::Elsewhere,
                        None => Place::Nowhere,
                    };
                    self.switches[worker].handle_input(self.now, Input::Located { index, session, place });
                }
                Output::Moved { peer, node, forward } => {
                    self.switches[worker]
                        .handle_input(self.now, Input::Moved { peer, node, forward: &forward });
                }
                Output::Started { report, index } => {
                    self.nodes.insert((worker, index), report.session.node);
                    self.told.push(format!("{:?} started", report.session));
                }
                Output::Stopped { report, ended, .. } => {
                    self.told.push(format!("{:?} {ended:?}", report.session));
                }
                Output::Refused { why, .. } => self.told.push(format!("refused: {why:?}")),
                _ => {}
            }
        }
    }

    fn move_to(&mut self, context: u16, to: usize) {
        let from = std::mem::replace(&mut self.owners[usize::from(context)], to);
        if from == to {
            return;
        }
        let mut record = [0; 448];
        let len = self.switches[from].encode_record(key(context), &mut record).unwrap();
        self.input(from, Input::Leave(context));
        self.input(to, Input::Up { context: key(context), profile: profile(context) });
        self.input(to, Input::Restore { context: key(context), bytes: &record[..len] });
    }

    fn say(&mut self, context: u16, frame: &Frame) {
        let input = Input::Frame { context: key(context), slot: Slot::Two, stream: 5, frame };
        self.input(self.owners[usize::from(context)], input);
        self.now = self.now.after(BURST_TIME);
        for worker in 0..WORKERS {
            self.switches[worker].handle_timeout(self.now);
            self.settle(worker);
        }
    }

    /// A call of `bursts` voice bursts by the radio at a context, with moves before some of its bursts. Returns their
    /// sequence numbers.
    fn call(
        &mut self,
        from: u16,
        to: u32,
        call: CallType,
        bursts: usize,
        moves: &[(usize, u16, usize)],
    ) -> Vec<u8> {
        let source = 7 + u32::from(from);
        let lc =
            if call == CallType::Group { FullLc::group(source, to) } else { FullLc::private(source, to) };
        let voice = VoiceCall::new(lc, 1, Sync::MsVoice, std::iter::repeat_n(AMBE_SILENCE, bursts));
        let mut said = Vec::new();
        for (number, (kind, burst)) in voice.enumerate() {
            for &(_, context, to) in moves.iter().filter(|(at, ..)| *at == number) {
                self.move_to(context, to);
            }
            let sequence = number as u8;
            self.say(from, &Frame { source, destination: to, call, kind, sequence, ber: 0, rssi: 0, burst });
            said.push(sequence);
        }
        said
    }
}

fn moves() -> impl Strategy<Value = Vec<(usize, u16, usize)>> {
    prop::collection::vec((1..30_usize, 0..CONTEXTS, 0..WORKERS), 0..12)
}

proptest! {
    #[test]
    fn everybody_hears_every_burst_once_in_one_stream(moves in moves()) {
        let mut host = Host::new();
        let said = host.call(0, 91, CallType::Group, 28, &moves);
        for context in 1..CONTEXTS {
            let heard = host.heard.remove(&context).unwrap_or_default();
            let stream = heard[0].0;
            prop_assert!(heard.iter().all(|&(other, ..)| other == stream), "two streams");
            let numbers: Vec<u8> = heard.iter().map(|&(_, number, _)| number).collect();
            prop_assert_eq!(&numbers, &said, "at {}", context);
            prop_assert_eq!((heard[0].2, heard[said.len() - 1].2), (HEADER, TERMINATOR));
        }
        prop_assert!(!host.heard.contains_key(&0));
        // Each new owner says that it runs, under the one ID; nobody says that it ended before it did.
        let ends = host.told.iter().filter(|told| !told.ends_with("started")).count();
        prop_assert_eq!(ends, 1, "{:?}", host.told);
        host.told.dedup_by(|a, b| a == b);
        prop_assert_eq!(host.told.len(), 2);
    }

    #[test]
    fn a_private_call_follows_both_who_call(moves in moves()) {
        let mut host = Host::new();
        host.call(1, 99, CallType::Group, 1, &[]);
        host.heard.clear();
        // No slot is kept for that call any more.
        host.now = host.now.after(Duration::from_secs(60));
        // Radio 8 was heard at context 1.
        let said = host.call(0, 8, CallType::Private, 28, &moves);
        let heard = host.heard.remove(&1).unwrap_or_default();
        let numbers: Vec<u8> = heard.iter().map(|&(_, number, _)| number).collect();
        prop_assert_eq!(numbers, said, "{:?}", host.told);
        prop_assert_eq!(host.heard.len(), 0);
    }
}
