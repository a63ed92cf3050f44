//! Two switches with rings between them, in simulated time.

mod rings;

use std::time::Duration;

use scenario::{Device, Heard, Order, Reason, Refusal, Rules, Scenario, Told, World};
use stack::{Access, ContextKey, Frame, Now, Profile, Slot, Time};
use switch::{Dropped, Input, Output, Refused, Settings, Switch};

use rings::{Rings, Worker};

const START: Now = Now { mono: Time(1_000_000_000), wall_us: 1_790_000_000_000_000 };
const NODES: [u32; 2] = [25_011, 25_012];

/// Two workers, and the devices of a scenario logged in at them.
pub(crate) struct Simulated {
    now: Now,
    devices: Vec<Device>,
    /// Which of them are logged in.
    present: Vec<bool>,
    workers: [Worker; 2],
    rings: Rings,
    told: Told,
}

impl Simulated {
    /// The world of a scenario before anything happens.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let settings = settings(&scenario.rules);
        let mut world = Self {
            now: START,
            devices: scenario.devices.clone(),
            present: vec![false; scenario.devices.len()],
            workers: NODES.map(|node| Worker::new(Switch::new(node, settings.clone()))),
            rings: Rings::default(),
            told: Told::default(),
        };
        (0..world.devices.len()).for_each(|device| world.log_in(device));
        world
    }

    fn context(&self, device: usize) -> ContextKey {
        let shard = self.devices[device].worker as u16;
        ContextKey { shard, index: device as u16 }
    }

    /// Up for the first time, or with another profile.
    fn log_in(&mut self, device: usize) {
        let of = &self.devices[device];
        let profile = Profile {
            blocked: of.blocked.clone(),
            single: of.single,
            colour_code: of.colour_code,
            ..Profile::repeater(of.id, of.slots, of.statics.clone())
        };
        let (worker, context) = (of.worker, self.context(device));
        self.present[device] = true;
        self.input(worker, Input::Up { context, profile });
    }

    fn input(&mut self, worker: usize, input: Input<'_>) {
        self.workers[worker].switch.handle_input(self.now, input);
        self.settle(worker);
    }

    /// All workers are told, as the services do.
    fn tell_all(&mut self, input: impl Fn() -> Input<'static>) {
        (0..NODES.len()).for_each(|worker| self.input(worker, input()));
    }

    /// Carries what comes out to where it belongs.
    fn settle(&mut self, worker: usize) {
        let mut bans = Vec::new();
        while let Some(output) = self.workers[worker].switch.poll_output() {
            let at = self.now.mono.since(START.mono);
            match output {
                Output::Deliver { context, slot, stream, frame } => {
                    let device = usize::from(context.index);
                    self.told.heard.push(Heard { at, device, slot, stream, frame });
                }
                Output::Forward(forward) => self.rings.forward(&self.workers, self.now.mono, worker, forward),
                // The other one's ring is read in order.
                Output::Moved { peer, node, forward } => {
                    let moved = Input::Moved { peer, node, forward: &forward };
                    self.workers[worker].switch.handle_input(self.now, moved);
                }
                Output::Locate { index, session, radio } => {
                    let place = rings::locate(&mut self.workers, worker, index, radio);
                    let located = Input::Located { index, session, place };
                    self.workers[worker].switch.handle_input(self.now, located);
                }
                Output::Refused { report, why } => self.told.refused.push(Refusal {
                    at,
                    session: format!("{:?}", report.session),
                    radio: report.source,
                    reason: reason(why),
                }),
                Output::Alias { report, alias } => {
                    self.told.aliases.push((report.source, alias.as_str().to_owned()));
                }
                Output::Dropped(dropped) => self.told.dropped[place_of(dropped)] += 1,
                Output::Blocked { radio, time, .. } => bans.push((radio, time)),
                other => self.workers[worker].note(self.now.mono, other),
            }
        }
        for (radio, time) in bans {
            let until_ms = self.now.after(time).wall_us / 1000;
            self.tell_all(|| Input::Ban { radio, until_ms });
        }
    }

    /// The next moment at which something is due by itself.
    fn next(&self) -> Option<Time> {
        self.workers.iter().filter_map(|worker| worker.switch.poll_timeout()).chain(self.rings.next()).min()
    }
}

impl World for Simulated {
    fn run_until(&mut self, at: Duration) {
        let end = START.after(at);
        while let Some(due) = self.next().filter(|&due| due <= end.mono) {
            self.now = self.now.after(due.since(self.now.mono));
            for worker in 0..NODES.len() {
                while let Some((peer, forward)) = self.rings.take(self.now.mono, worker) {
                    let node = NODES[peer];
                    self.input(worker, Input::Remote { peer: peer as u8, node, forward: &forward });
                }
                if self.workers[worker].switch.poll_timeout().is_some_and(|at| at <= self.now.mono) {
                    self.workers[worker].switch.handle_timeout(self.now);
                    self.settle(worker);
                }
            }
        }
        self.now = end;
    }

    fn send(&mut self, device: usize, slot: Slot, stream: u32, frame: &Frame) {
        if self.present[device] {
            let (worker, context) = (self.devices[device].worker, self.context(device));
            self.input(worker, Input::Frame { context, slot, stream, frame });
        }
    }

    fn order(&mut self, order: Order) {
        let ms = |time: Duration| self.now.after(time).wall_us / 1000;
        match order {
            Order::Ban(radio, time) => {
                let until_ms = time.map_or(u64::MAX, ms);
                self.tell_all(|| Input::Ban { radio, until_ms });
            }
            Order::Unban(radio) => self.tell_all(|| Input::Ban { radio, until_ms: 0 }),
            Order::DropCall(device, slot) => {
                let id = self.devices[device].id;
                self.tell_all(|| Input::DropCall { id, slot });
            }
            Order::DropDynamic(device, slot) => {
                let id = self.devices[device].id;
                self.tell_all(|| Input::DropDynamic { id, slot });
            }
            Order::Kick(device) => self.leave(device),
        }
    }

    fn leave(&mut self, device: usize) {
        if std::mem::replace(&mut self.present[device], false) {
            let (worker, context) = (self.devices[device].worker, self.context(device));
            self.input(worker, Input::Down(context));
        }
    }

    fn come_back(&mut self, device: usize, worker: usize) {
        self.leave(device);
        self.devices[device].worker = worker;
        self.log_in(device);
    }

    fn set_statics(&mut self, device: usize, statics: &[Vec<u32>; 2]) {
        self.devices[device].statics.clone_from(statics);
        if self.present[device] {
            self.log_in(device);
        }
    }

    fn is_subscribed(&mut self, device: usize, slot: Slot, talkgroup: u32, _wished: bool) -> bool {
        let of = &self.devices[device];
        let mut buffer = [0; 448];
        let len = self.workers[of.worker].switch.encode_record(self.context(device), &mut buffer);
        let record = len.and_then(|len| switch::read_record(&buffer[..len]));
        let dynamics = record.map(|record| record.dynamics).unwrap_or_default();
        of.statics[slot.index()].contains(&talkgroup)
            || dynamics[slot.index()].iter().any(|dynamic| dynamic.talkgroup == talkgroup)
    }

    fn told(&mut self) -> Told {
        std::mem::take(&mut self.told)
    }
}

/// The settings of a scenario: the built-in ones, but for those that it names.
fn settings(rules: &Rules) -> Settings {
    let mut settings = Settings::default();
    let access = |lists: &scenario::Lists| Access { allow: lists.allow.clone(), deny: lists.deny.clone() };
    settings.hang_time = rules.hang_time.unwrap_or(settings.hang_time);
    settings.dynamic_time = rules.dynamic_time.unwrap_or(settings.dynamic_time);
    settings.call_timeout = rules.call_timeout.or(settings.call_timeout);
    settings.max_burst_rate = rules.max_burst_rate.unwrap_or(settings.max_burst_rate);
    settings.encrypted = rules.encrypted.unwrap_or(settings.encrypted);
    settings.radios = access(&rules.radios);
    settings.talkgroups = access(&rules.talkgroups);
    settings
}

fn reason(why: Refused) -> Reason {
    match why {
        Refused::NoRoute => Reason::NoRoute,
        Refused::Busy => Reason::Busy,
        Refused::Taken => Reason::Taken,
        Refused::Loop => Reason::Loop,
        Refused::Denied => Reason::Denied,
        Refused::Banned => Reason::Banned,
        Refused::Blocked => Reason::Blocked,
        Refused::Encrypted => Reason::Encrypted,
    }
}

/// Where a count of drops is told.
fn place_of(dropped: Dropped) -> usize {
    match dropped {
        Dropped::Late => 0,
        Dropped::Duplicate => 1,
        Dropped::TooFast => 2,
        Dropped::DataBusy => 3,
    }
}
