//! Made-up traffic: contexts come, change, move and go, radios key, stop and fall silent, bursts get lost, double
//! and out of order, operators ban and drop, on workers of one host or several that send each other their calls. After
//! each step the switch that took it is checked, and what it said is held against a model. A failing seed replays.

mod ears;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use dmr::{BurstKind, DataType, FullLc, Sync};
use stack::{CallType, Frame, Slot};

pub(super) use self::world::Random;
use self::world::{Talk, World};
use super::bench::{HEADER, TERMINATOR, frame};
use crate::{ALL_CALL, FAR, Forward, Input, LOCAL, PARROT, UNLINK};

const TALKGROUPS: [u32; 20] =
    [1, 2, 3, 4, 5, 6, 7, 8, LOCAL, 10, 11, 12, 13, 91, 92, 93, PARROT, UNLINK, ALL_CALL, 94];

impl World {
    fn key(&mut self) {
        let (context, slot) = (self.any_context(), self.any_slot());
        let kinds = [HEADER, HEADER, HEADER, HEADER, BurstKind::Voice(2), BurstKind::Data(DataType::CSBK)];
        let source = 7000 + self.random.below(300) as u32;
        let mut frame = frame(source, self.random.pick(&TALKGROUPS), self.random.pick(&kinds));
        if self.random.one_in(6) {
            frame.call = CallType::Private;
            if self.random.one_in(2) {
                frame.destination = 7000 + self.random.below(300) as u32;
            }
        }
        self.streams += 1;
        let stream = if self.random.one_in(6) { 0 } else { self.streams };
        let (wrong_lc, options) = (self.random.one_in(8), if self.random.one_in(9) { 0x80 } else { 0 });
        let talk = Talk { context, slot, stream, frame, place: 0, wrong_lc, options };
        if self.talks.len() < 60 {
            self.talks.push(talk);
        }
        self.say(&talk);
    }

    /// A radio that talks goes on, ends properly, or falls silent.
    fn talk(&mut self) {
        if self.talks.is_empty() {
            return self.key();
        }
        let i = self.random.below(self.talks.len() as u64) as usize;
        let mut talk = self.talks[i];
        talk.frame.sequence = talk.frame.sequence.wrapping_add(1);
        if matches!(talk.frame.kind, BurstKind::Data(DataType::CSBK | DataType::RATE_1_2)) {
            talk.frame.kind = BurstKind::Data(self.random.pick(&[DataType::CSBK, DataType::RATE_1_2]));
        } else {
            talk.frame.kind = BurstKind::Voice(talk.place);
            talk.place = (talk.place + 1) % 6;
        }
        self.talks[i] = talk;
        match self.random.below(220) {
            0 => drop(self.talks.swap_remove(i)),
            1 | 2 if matches!(talk.frame.kind, BurstKind::Voice(_)) => {
                self.talks.swap_remove(i);
                let last = Talk { frame: Frame { kind: TERMINATOR, ..talk.frame }, ..talk };
                self.say(&last);
                if self.random.one_in(4) {
                    self.say(&talk);
                }
            }
            // Lost on the way.
            3..6 => {}
            // Twice, and an old one after it.
            6 => {
                self.say(&talk);
                self.say(&talk);
                let sequence = talk.frame.sequence.wrapping_sub(3);
                self.say(&Talk { frame: Frame { sequence, ..talk.frame }, ..talk });
            }
            _ => self.say(&talk),
        }
    }

    /// A sibling that has lost its mind, or another host.
    fn junk(&mut self) {
        let worker = self.any_worker();
        let kind = self.random.pick(&[HEADER, BurstKind::Voice(0), BurstKind::Voice(1), TERMINATOR]);
        let mut frame = frame(1, self.random.pick(&TALKGROUPS), kind);
        if self.random.one_in(3) {
            frame.call = CallType::Private;
        }
        let lc = match frame.call {
            CallType::Group => FullLc::group(1, frame.destination),
            CallType::Private => FullLc::private(1, frame.destination),
        };
        match frame.kind {
            HEADER => frame.burst = dmr::voice_header(&lc, 1, Sync::BsVoice),
            TERMINATOR => frame.burst = dmr::terminator(&lc, 1, Sync::BsVoice),
            _ => {}
        }
        let (key, index) = (self.random.below(6), self.random.below(4) as u16);
        let peer = self.random.pick(&[100, 101, FAR]);
        let forward = Forward { key, index, slot: Slot::One, options: 0, frame };
        self.input(worker, Input::Remote { peer, node: peer.into(), forward: &forward });
    }

    fn operate(&mut self) {
        let worker = self.any_worker();
        let slot = self.random.pick(&[None, Some(Slot::One), Some(Slot::Two)]);
        let context = self.any_context();
        let id = self.id(context);
        match self.random.below(4) {
            0 => self.input(worker, Input::DropCall { id, slot }),
            1 => self.input(worker, Input::DropDynamic { id, slot }),
            _ => {
                let radio = 7000 + self.random.below(300) as u32;
                let now_ms = self.now.wall_us / 1000;
                let until_ms = self.random.pick(&[0, now_ms + 2000, u64::MAX, 0]);
                for worker in 0..self.workers.len() {
                    self.input(worker, Input::Ban { radio, until_ms });
                }
            }
        }
    }

    fn step(&mut self) {
        match self.random.below(1000) {
            0..620 => self.talk(),
            620..700 => self.read_ring(),
            700..720 => self.key(),
            720..723 if self.is_lossy => self.junk(),
            723..727 => self.operate(),
            727..735 => self.log_in(),
            735..740 => self.move_context(),
            740 => self.move_shard(),
            741 => {
                let secs = self.random.below(4);
                self.pass(Duration::from_secs(secs));
            }
            742 if self.random.one_in(10) => {
                let time = Duration::from_secs(self.random.below(15 * 60));
                self.pass(time);
            }
            743 => self.now.wall_us -= 10_000,
            _ => {
                let us = self.random.below(1_500);
                self.pass(Duration::from_micros(us));
            }
        }
    }

    /// After an hour of silence nothing is left but contexts and their talkgroups.
    fn end(&mut self) {
        self.workers.iter_mut().for_each(|worker| worker.inbox.clear());
        self.pass(Duration::from_secs(3600));
        for worker in &self.workers {
            let switch = &worker.switch;
            assert_eq!((switch.sessions(), switch.sessions.iter().count()), (0, 0));
            assert!(worker.running.is_empty());
            assert_eq!(switch.timers.len(), 0);
            assert_eq!(switch.parrot.check(), (vec![], vec![]));
            let groups = switch.groups.check();
            assert!(groups.iter().all(|(group, sessions)| !group.members.is_empty() && *sessions == 0));
            let known: BTreeSet<_> = groups.iter().map(|(group, _)| group.talkgroup).collect();
            assert_eq!(known, worker.wanted);
        }
        self.ears.end();
    }
}

fn run(seed: u64, hosts: usize, workers: usize, contexts: u16, steps: u32, is_lossy: bool) {
    let mut world = World::new(seed, hosts, workers, contexts, is_lossy);
    (0..contexts * 2).for_each(|_| world.log_in());
    for _ in 0..steps {
        world.step();
    }
    world.end();
    // The made-up traffic is worth something.
    assert!(world.ears.heard > u64::from(steps / 2), "{} heard", world.ears.heard);
    assert!(world.ended > u64::from(steps / 150), "{} ended", world.ended);
}

/// `SWITCH_SIMULATION_STEPS=1000000` makes each run that long; `SWITCH_SIMULATION_SEED=7` begins with that seed.
#[expect(clippy::disallowed_methods, reason = "how long a test runs is no matter of the switch")]
fn runs(hosts: usize, workers: usize, contexts: u16, is_lossy: bool) {
    let number = |name, default| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (steps, first) = (number("SWITCH_SIMULATION_STEPS", 30_000), number("SWITCH_SIMULATION_SEED", 1));
    for seed in first..first + 3 {
        println!("seed {seed}, {workers} workers on {hosts} hosts");
        run(seed.into(), hosts, workers, contexts, steps, is_lossy);
    }
}

#[test]
fn two_hundred_contexts_on_one_switch() {
    runs(1, 1, 200, false);
}

#[test]
fn two_hundred_contexts_on_two_switches() {
    runs(1, 2, 200, false);
    runs(1, 2, 200, true);
}

#[test]
fn two_hundred_contexts_on_eight_switches() {
    runs(1, 8, 200, false);
    runs(1, 8, 200, true);
}

#[test]
fn two_hundred_contexts_on_the_switches_of_several_hosts() {
    runs(2, 2, 200, false);
    runs(3, 6, 200, true);
}
