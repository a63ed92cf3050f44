//! Plays what happens in a scenario on a world: each transmission sends a burst every 60 ms of scenario time.

use std::collections::VecDeque;
use std::time::Duration;

use dmr::{BURST_LEN, BurstKind};
use stack::{Frame, Slot};

use crate::data;
use crate::model::{Action, Data, How, Scenario, Talker, Target};
use crate::voice::Voice;
use crate::words::BURST_TIME;
use crate::world::{Told, World};

/// What may still be under way when all has been said.
const DRAIN: Duration = Duration::from_millis(300);
/// Stream IDs of the transmissions that are given none.
const FIRST_STREAM: u32 = 0x5C00_0000;

/// What a transmission is made of.
#[derive(Debug)]
pub(crate) enum Content {
    Voice(Box<Voice>),
    Data(Vec<(BurstKind, [u8; BURST_LEN])>),
}

/// A transmission of a radio.
#[derive(Debug)]
pub(crate) struct Talk {
    pub(crate) talker: Talker,
    pub(crate) source: u32,
    pub(crate) target: Target,
    pub(crate) slot: Slot,
    pub(crate) content: Content,
    /// The step that began it.
    pub(crate) step: usize,
    pub(crate) began: Duration,
    /// Its last burst so far.
    pub(crate) ended: Duration,
    stream: u32,
    /// Each burst has a stream ID of its own.
    streams: bool,
    /// When the next burst is due; `None` once it is over.
    due: Option<Duration>,
    /// The place of the next unit, and those that come before it out of turn.
    next: u32,
    queue: VecDeque<u32>,
    /// The terminator comes next.
    ending: bool,
    last: Option<(u32, Frame)>,
}

/// What was played, and what the world told of it.
#[derive(Debug, Default)]
pub struct Played {
    pub(crate) talks: Vec<Talk>,
    /// What happened when, in words.
    pub(crate) script: Vec<(Duration, String)>,
    /// What was not as it should be at the moment when it was looked at.
    pub(crate) wrong: Vec<String>,
    pub(crate) told: Told,
}

/// Plays a scenario.
pub fn play(scenario: &Scenario, world: &mut dyn World) -> Played {
    let mut player = Player { scenario, world, now: Duration::ZERO, played: Played::default() };
    let mut line = 0;
    for (number, step) in scenario.steps.iter().enumerate() {
        if step.line != line && !matches!(step.action, Action::Pass(_)) {
            player.played.script.push((player.now, step.words.clone()));
        }
        line = step.line;
        player.step(number, &step.action);
    }
    player.finish()
}

struct Player<'a> {
    scenario: &'a Scenario,
    world: &'a mut dyn World,
    now: Duration,
    played: Played,
}

impl Player<'_> {
    fn step(&mut self, number: usize, action: &Action) {
        match action {
            Action::Pass(time) => self.pass(*time),
            Action::Key { talkers, target, slot, how } => {
                talkers.iter().for_each(|talker| self.key(number, *talker, *target, *slot, how));
            }
            Action::Unkey(talkers) => {
                for talker in talkers {
                    self.with_talk(*talker, |talk| talk.ending = true);
                }
            }
            Action::FallSilent(talker) => self.with_talk(*talker, |talk| talk.due = None),
            Action::Lose(talker, bursts) => self.with_talk(*talker, |talk| {
                talk.next += bursts;
                talk.due = talk.due.map(|due| due + *bursts * BURST_TIME);
            }),
            Action::Repeat(talker) => self.again(*talker),
            Action::Swap(talker) => self.with_talk(*talker, |talk| {
                talk.queue.extend([talk.next + 1, talk.next]);
                talk.next += 2;
            }),
            Action::Rush(talker, bursts) => {
                let index = self.find(*talker);
                for _ in 0..*bursts {
                    index.into_iter().for_each(|index| self.send_unit(index));
                }
            }
            Action::Late(talker) => {
                if let Some(index) = self.find(*talker) {
                    self.send_unit(index);
                }
            }
            Action::Data { talker, target, slot, data } => self.data(number, *talker, *target, *slot, *data),
            Action::Leave(device) => self.world.leave(*device),
            Action::Return(device, worker) => self.world.come_back(*device, *worker),
            Action::Statics(device, statics) => self.world.set_statics(*device, statics),
            Action::Order(order) => self.world.order(*order),
            Action::Look { device, slot, talkgroup, subscribed } => {
                if self.world.is_subscribed(*device, *slot, *talkgroup, *subscribed) != *subscribed {
                    let step = &self.scenario.steps[number];
                    self.played.wrong.push(format!("line {}: not so: {}", step.line, step.words));
                }
            }
        }
    }

    /// The latest transmission of a radio: one that runs rather than one that is over, and one at that device
    /// rather than one elsewhere.
    fn find(&self, talker: Talker) -> Option<usize> {
        let of_radio =
            self.played.talks.iter().enumerate().filter(|(_, talk)| talk.talker.radio == talker.radio);
        let rank = |talk: &Talk| (talk.due.is_some(), talk.talker == talker);
        of_radio.max_by_key(|(index, talk)| (rank(talk), *index)).map(|(index, _)| index)
    }

    fn with_talk(&mut self, talker: Talker, change: impl FnOnce(&mut Talk)) {
        if let Some(index) = self.find(talker) {
            change(&mut self.played.talks[index]);
        }
    }

    fn key(&mut self, step: usize, talker: Talker, target: Target, slot: Slot, how: &How) {
        let (number, source) = (self.played.talks.len() as u32, self.scenario.radios[talker.radio].id);
        let device = &self.scenario.devices[talker.device];
        let voice = Voice::new(number, source, target, how, device);
        let stream = how.stream.unwrap_or(FIRST_STREAM + number);
        self.begin(step, talker, target, slot, Content::Voice(Box::new(voice)), stream, false);
    }

    fn data(&mut self, step: usize, talker: Talker, target: Target, slot: Slot, data: Data) {
        let (number, source) = (self.played.talks.len() as u32, self.scenario.radios[talker.radio].id);
        let device = &self.scenario.devices[talker.device];
        let bursts = data::bursts(number, source, target, data, device);
        let stream = FIRST_STREAM + number;
        self.begin(step, talker, target, slot, Content::Data(bursts), stream, data.streams);
    }

    #[expect(clippy::too_many_arguments, reason = "one for each thing that a transmission is told apart by")]
    fn begin(
        &mut self,
        step: usize,
        talker: Talker,
        target: Target,
        slot: Slot,
        content: Content,
        stream: u32,
        streams: bool,
    ) {
        self.played.talks.push(Talk {
            talker,
            source: self.scenario.radios[talker.radio].id,
            target,
            slot,
            content,
            step,
            began: self.now,
            ended: self.now,
            stream,
            streams,
            due: Some(self.now),
            next: 0,
            queue: VecDeque::new(),
            ending: false,
            last: None,
        });
        self.send_unit(self.played.talks.len() - 1);
        let talk = self.played.talks.last_mut();
        talk.into_iter().for_each(|talk| talk.due = talk.due.map(|due| due + BURST_TIME));
    }

    /// Time passes; each transmission sends what is due.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) =
            self.played.talks.iter().filter_map(|talk| talk.due).min().filter(|at| *at <= end)
        {
            self.world.run_until(at);
            self.now = at;
            for index in 0..self.played.talks.len() {
                if self.played.talks[index].due == Some(at) {
                    self.send_unit(index);
                    let talk = &mut self.played.talks[index];
                    talk.due = talk.due.map(|due| due + BURST_TIME);
                }
            }
        }
        self.world.run_until(end);
        self.now = end;
    }

    /// Sends the next burst of a transmission.
    fn send_unit(&mut self, index: usize) {
        let now = self.now;
        let talk = &mut self.played.talks[index];
        let place = talk.queue.pop_front().unwrap_or_else(|| {
            talk.next += 1;
            talk.next - 1
        });
        let (kind, burst) = match &talk.content {
            Content::Voice(voice) if talk.ending => {
                // What comes after it is late: a voice burst again.
                (talk.ending, talk.due) = (false, None);
                voice.terminator()
            }
            Content::Voice(voice) => voice.unit(place),
            Content::Data(bursts) => {
                if place as usize + 1 >= bursts.len() {
                    talk.due = None;
                }
                let Some(burst) = bursts.get(place as usize) else { return };
                *burst
            }
        };
        let frame = Frame {
            source: talk.source,
            destination: talk.target.id,
            call: talk.target.call,
            kind,
            sequence: place as u8,
            ber: 0,
            rssi: 0,
            burst,
        };
        let stream = if talk.streams { talk.stream + (place << 16) } else { talk.stream };
        talk.ended = now;
        talk.last = Some((stream, frame));
        let (device, slot) = (talk.talker.device, talk.slot);
        self.world.send(device, slot, stream, &frame);
    }

    /// The last burst once more.
    fn again(&mut self, talker: Talker) {
        let Some(talk) = self.find(talker).map(|index| &self.played.talks[index]) else { return };
        if let Some((stream, frame)) = talk.last {
            self.world.send(talk.talker.device, talk.slot, stream, &frame);
        }
    }

    /// All end that are ending, and what is under way arrives.
    fn finish(mut self) -> Played {
        while self.played.talks.iter().any(|talk| talk.due.is_some()) {
            self.pass(BURST_TIME);
        }
        self.pass(DRAIN);
        self.played.told = self.world.told();
        self.played
    }
}
