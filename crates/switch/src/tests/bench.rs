//! A switch in virtual time, with repeaters and hotspots by name and one radio at each. What they hear and
//! what the switch says is told in words. The switch is checked after each step.

use std::collections::BTreeMap;
use std::iter::Repeat;
use std::time::Duration;

use dmr::{AMBE_SILENCE, BurstKind, DataType, FullLc, Sync, VoiceCall};
use stack::{CallType, ContextKey, Frame, Line, LinkType, Now, Profile, Slot, Slots, Time, Trunk};

use crate::{FAR, Forward, Input, Output, Place, SessionId, Switch};

pub(super) const HEADER: BurstKind = BurstKind::Data(DataType::VOICE_HEADER);
pub(super) const TERMINATOR: BurstKind = BurstKind::Data(DataType::TERMINATOR);
pub(super) const NODE: u32 = 25_011;
pub(super) const SIBLING: u32 = 25_012;
const START: Now = Now { mono: Time(1_000_000_000), wall_us: 1_790_000_000_000_000 };
const BURST_TIME: Duration = Duration::from_millis(60);

/// What a context was given.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) at: Time,
    pub(super) slot: Slot,
    pub(super) stream: u32,
    pub(super) frame: Frame,
}

/// A call that a radio is making.
struct Talk {
    slot: Slot,
    stream: u32,
    call: CallType,
    lc: FullLc,
    bursts: VoiceCall<Repeat<[u8; dmr::AMBE_LEN]>>,
    sequence: u8,
}

pub(super) struct Bench {
    pub(super) switch: Switch,
    /// The nodes of its host, where there are other hosts.
    pub(super) near: Vec<u32>,
    pub(super) now: Now,
    names: Vec<&'static str>,
    talks: BTreeMap<&'static str, Talk>,
    heard: BTreeMap<&'static str, Vec<Heard>>,
    log: Vec<String>,
    /// Where each radio is.
    pub(super) places: BTreeMap<u32, Place>,
    pub(super) forwarded: Vec<Forward>,
    /// What was written down of each context when it changed last.
    pub(super) written: BTreeMap<&'static str, Vec<u8>>,
    streams: u32,
    sequence: u8,
}

/// A burst of a group call from `source` to `talkgroup`.
pub(super) fn frame(source: u32, talkgroup: u32, kind: BurstKind) -> Frame {
    let (call, burst) = (CallType::Group, [0x55; dmr::BURST_LEN]);
    Frame { source, destination: talkgroup, call, kind, sequence: 0, ber: 0, rssi: 0, burst }
}

/// The record of a repeater whose radio 7 has begun to talk on talkgroup 91 at a sibling, on TS1 and stream 5, and the
/// key of that session.
pub(super) fn call_at_a_sibling() -> (Vec<u8>, u64) {
    let mut there = Bench::new();
    there.switch = Switch::new(SIBLING, crate::Settings::default());
    there.repeater("B", &[], &[]);
    there.frame("B", Slot::One, 5, &frame(7, 91, HEADER));
    (there.record("B"), there.forwarded[0].key)
}

impl Bench {
    pub(super) fn new() -> Self {
        Self {
            switch: Switch::new(NODE, crate::Settings::default()),
            near: Vec::new(),
            now: START,
            names: Vec::new(),
            talks: BTreeMap::new(),
            heard: BTreeMap::new(),
            log: Vec::new(),
            places: BTreeMap::new(),
            forwarded: Vec::new(),
            written: BTreeMap::new(),
            streams: 0,
            sequence: 0,
        }
    }

    /// A duplex repeater with these static talkgroups on TS1 and TS2; again for other ones.
    pub(super) fn repeater(&mut self, name: &'static str, ts1: &[u32], ts2: &[u32]) {
        self.up(name, Slots::Both, [ts1, ts2]);
    }

    /// A simplex hotspot.
    pub(super) fn simplex(&mut self, name: &'static str, talkgroups: &[u32]) {
        self.up(name, Slots::Simplex, [&[], talkgroups]);
    }

    pub(super) fn up(&mut self, name: &'static str, slots: Slots, statics: [&[u32]; 2]) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        let id = 250_000 + u32::from(self.context(name).index);
        let profile = Profile::repeater(id, slots, statics.map(<[u32]>::to_vec));
        self.input(Input::Up { context: self.context(name), profile });
    }

    /// Another network with this ID, which is sent these talkgroups, some under another number; again for other ones.
    pub(super) fn trunk(
        &mut self,
        name: &'static str,
        id: u32,
        talkgroups: &[(u32, u32)],
        renamed: &[(u32, u32)],
    ) {
        let trunk = Trunk { talkgroups: talkgroups.to_vec(), renamed: renamed.to_vec() };
        self.network(name, id, Line::Trunk(trunk));
    }

    /// A call that comes from the network with this ID.
    pub(super) fn leg(&mut self, name: &'static str, id: u32) {
        self.network(name, id, Line::Leg);
    }

    fn network(&mut self, name: &'static str, id: u32, line: Line) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        let profile = Profile::repeater(id, Slots::Only(Slot::One), Default::default());
        let profile = Profile { link: LinkType::Network, line, ..profile };
        self.input(Input::Up { context: self.context(name), profile });
    }

    pub(super) fn down(&mut self, name: &'static str) {
        self.input(Input::Down(self.context(name)));
    }

    pub(super) fn context(&self, name: &str) -> ContextKey {
        let index = self.names.iter().position(|&other| other == name).expect("a repeater of that name");
        ContextKey { shard: 3, index: u16::try_from(index).unwrap() }
    }

    /// The ID of the radio at this repeater.
    pub(super) fn radio(&self, name: &str) -> u32 {
        2_500_000 + u32::from(self.context(name).index)
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        self.switch.handle_input(self.now, input);
        self.settle();
    }

    /// A burst with the next sequence number of the bench.
    pub(super) fn frame(&mut self, name: &str, slot: Slot, stream: u32, frame: &Frame) {
        self.sequence = self.sequence.wrapping_add(1);
        let frame = &Frame { sequence: self.sequence, ..*frame };
        self.input(Input::Frame { context: self.context(name), slot, stream, frame });
    }

    /// A burst of sibling 1's session with this key and number.
    pub(super) fn sibling(&mut self, key: u64, index: u16, frame: &Frame) {
        let forward = Forward { key, index, slot: Slot::One, options: 0, frame: *frame };
        self.input(Input::Remote { peer: 1, node: SIBLING, forward: &forward });
    }

    /// A burst of another host's session, under the number of its jitter buffer here.
    pub(super) fn far(&mut self, id: SessionId, index: u16, frame: &Frame) {
        let forward = Forward { key: id.key, index, slot: Slot::One, options: 0, frame: *frame };
        self.input(Input::Remote { peer: FAR, node: id.node, forward: &forward });
    }

    /// The radio presses its key: a header.
    pub(super) fn key(&mut self, name: &'static str, slot: Slot, talkgroup: u32) {
        // These radios may key up as often as they like.
        self.input(Input::Ban { radio: self.radio(name), until_ms: 0 });
        let lc = FullLc::group(self.radio(name), talkgroup);
        self.start(name, slot, CallType::Group, lc);
    }

    pub(super) fn key_private(&mut self, name: &'static str, slot: Slot, radio: u32) {
        let lc = FullLc::private(self.radio(name), radio);
        self.start(name, slot, CallType::Private, lc);
    }

    fn start(&mut self, name: &'static str, slot: Slot, call: CallType, lc: FullLc) {
        self.streams += 1;
        let bursts = VoiceCall::new(lc, 1, Sync::BsVoice, std::iter::repeat(AMBE_SILENCE));
        self.talks.insert(name, Talk { slot, stream: self.streams, call, lc, bursts, sequence: 0 });
        self.say(name);
    }

    /// The next burst of the radio's call.
    fn say(&mut self, name: &'static str) {
        let (kind, burst) = self.talks.get_mut(name).and_then(|talk| talk.bursts.next()).unwrap();
        self.send(name, kind, burst);
    }

    fn send(&mut self, name: &'static str, kind: BurstKind, burst: [u8; dmr::BURST_LEN]) {
        let talk = self.talks.get_mut(name).unwrap();
        let (source, destination) = (talk.lc.source(), talk.lc.destination());
        let (call, sequence) = (talk.call, talk.sequence);
        talk.sequence = talk.sequence.wrapping_add(1);
        let (slot, stream) = (talk.slot, talk.stream);
        let frame = &Frame { source, destination, call, kind, sequence, ber: 0, rssi: 0, burst };
        self.input(Input::Frame { context: self.context(name), slot, stream, frame });
    }

    /// A burst of each of these radios' calls every 60 ms, `bursts` times.
    pub(super) fn talk(&mut self, names: &[&'static str], bursts: usize) {
        for _ in 0..bursts {
            self.pass(BURST_TIME);
            names.iter().for_each(|name| self.say(name));
        }
    }

    /// The radio lets its key go: a terminator, 60 ms after the last burst.
    pub(super) fn unkey(&mut self, name: &'static str) {
        self.pass(BURST_TIME);
        let lc = self.talks[name].lc;
        self.send(name, TERMINATOR, dmr::terminator(&lc, 1, Sync::BsVoice));
    }

    /// A whole call: header, 6 voice bursts, terminator.
    pub(super) fn over(&mut self, name: &'static str, slot: Slot, talkgroup: u32) {
        self.key(name, slot, talkgroup);
        self.talk(&[name], 6);
        self.unkey(name);
    }

    /// Time passes; what is due is done when it is due.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        while let Some(at) = self.switch.poll_timeout().filter(|&at| at <= end.mono) {
            self.now = self.now.after(at.since(self.now.mono));
            self.switch.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    pub(super) fn pass_ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
    }

    fn settle(&mut self) {
        self.switch.check_invariants();
        while let Some(output) = self.switch.poll_output() {
            let words = match output {
                Output::Deliver { context, slot, stream, frame } => {
                    let name = self.names[usize::from(context.index)];
                    let heard = Heard { at: self.now.mono, slot, stream, frame };
                    self.heard.entry(name).or_default().push(heard);
                    continue;
                }
                Output::Forward(forward) => {
                    self.forwarded.push(forward);
                    continue;
                }
                Output::Started { report, .. } => format!("started {}", report.destination),
                Output::Stopped { report, ended, .. } => {
                    format!("stopped {}: {ended:?}, {} bursts", report.destination, report.bursts)
                }
                Output::Changed(context) => {
                    let name = self.names[usize::from(context.index)];
                    let mut buffer = [0; 448];
                    let len = self.switch.encode_record(context, &mut buffer).unwrap_or(0);
                    self.written.insert(name, buffer[..len].to_vec());
                    format!("changed {name}")
                }
                Output::Interest { talkgroup, wanted: true } => format!("wanted {talkgroup}"),
                Output::Interest { talkgroup, wanted: false } => format!("unwanted {talkgroup}"),
                Output::Heard { radio, context, slot } => {
                    self.places.insert(radio, Place::Here { context, slot });
                    format!("heard {radio} on TS{}", slot.number())
                }
                Output::Everything { wanted: true } => "wants everything".to_owned(),
                Output::Everything { wanted: false } => "wants everything no more".to_owned(),
                Output::Range { first, last, wanted: true } => format!("wants {first} to {last}"),
                Output::Range { first, last, wanted: false } => format!("wants {first} to {last} no more"),
                Output::Unwanted { context, .. } => {
                    format!("unwanted from {}", self.names[usize::from(context.index)])
                }
                Output::Dropped(dropped) => format!("dropped: {dropped:?}"),
                Output::Carried { report } => format!("carried {}", report.destination),
                Output::Refused { report, why } => format!("refused {}: {why:?}", report.destination),
                Output::Alias { report, alias } => format!("{} is {}", report.source, alias.as_str()),
                Output::Blocked { radio, .. } => format!("blocked {radio}"),
                Output::Away { .. } | Output::Left { .. } => continue,
                Output::Moved { peer, node, forward } => {
                    let input = Input::Moved { peer, node, forward: &forward };
                    self.switch.handle_input(self.now, input);
                    continue;
                }
                Output::Locate { index, session, radio } => {
                    let place = self.places.get(&radio).copied().unwrap_or(Place::Nowhere);
                    self.switch.handle_input(self.now, Input::Located { index, session, place });
                    self.switch.check_invariants();
                    continue;
                }
                Output::Home { id, slot } => {
                    self.places.entry(id).or_insert(Place::Here { context: id, slot });
                    continue;
                }
            };
            self.log.push(words);
        }
    }

    /// What it was given since it was asked last.
    pub(super) fn bursts(&mut self, name: &str) -> Vec<Heard> {
        self.heard.remove(name).unwrap_or_default()
    }

    /// What each burst is that a repeater heard since it was last asked for, and for which talkgroup or radio.
    pub(super) fn kinds(&mut self, name: &str) -> Vec<(u32, BurstKind)> {
        self.bursts(name).iter().map(|heard| (heard.frame.destination, heard.frame.kind)).collect()
    }

    /// The same in words, call by call: slot, talkgroup or radio called, who talks, how many bursts.
    pub(super) fn hears(&mut self, name: &str) -> Vec<String> {
        let bursts = self.bursts(name);
        let calls = bursts.chunk_by(|a, b| (a.slot, a.stream) == (b.slot, b.stream));
        let words = calls.map(|call| {
            let Heard { slot, frame, .. } = &call[0];
            let by_radio = |other: &&&str| self.radio(other) == frame.source;
            let talker =
                self.names.iter().find(by_radio).map_or(frame.source.to_string(), |n| (*n).to_owned());
            format!("TS{} {} by {talker}: {}", slot.number(), frame.destination, call.len())
        });
        words.collect()
    }

    /// What the switch said since it was asked last, of what begins with one of these words.
    pub(super) fn log(&mut self, of: &[&str]) -> Vec<String> {
        let mut log = std::mem::take(&mut self.log);
        log.retain(|line| of.iter().any(|word| line.starts_with(word)));
        log
    }

    /// What is written down of a context.
    pub(super) fn record(&self, name: &str) -> Vec<u8> {
        let mut buffer = [0; 448];
        let len = self.switch.encode_record(self.context(name), &mut buffer).unwrap();
        buffer[..len].to_vec()
    }

    /// Another worker takes over: all contexts come up again and are given their records.
    pub(super) fn replace_switch(&mut self, node: u32, slots: Slots, statics: [&[u32]; 2]) {
        let records: Vec<_> = self.names.iter().map(|&name| (name, self.record(name))).collect();
        self.switch = Switch::new(node, crate::Settings::default());
        self.switch.set_host(self.near.clone());
        for (name, record) in records {
            self.up(name, slots, statics);
            self.input(Input::Restore { context: self.context(name), bytes: &record });
        }
    }
}
