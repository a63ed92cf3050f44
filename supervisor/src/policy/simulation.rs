//! Processes that die, hang, never start, do not answer and answer late, under an operator who orders whatever comes to his
//! mind. After each step: no shard is read by two processes, nobody is started twice, an order ends; registry and broker are
//! started, and told to end after all others, and nothing else; who is a stack's own reads nothing else, and what a third party
//! is to serve nobody else reads. Once nothing fails any more, every shard is served, and they
//! run. A failing seed replays: `POLICY_SEED=7 cargo test -p supervisor simulation`.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const SHARDS: u16 = 16;
const MANAGED: [Process; 2] = [Process::Registry, Process::Broker];
const STACKS: &[(Placement, u16)] = &[(Placement::All, SHARDS), (Placement::Own, 4), (Placement::Own, 2)];
/// Place of the one that nobody else can serve.
const THIRD_PARTY: usize = 2;

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A process as it is.
#[derive(Debug, Default)]
struct Real {
    /// It will be so ready, or set up, then; `None`: never.
    ready_at: Option<Duration>,
    is_ready: bool,
    is_standby: bool,
    hangs: bool,
    /// Sockets that it reads.
    reads: BTreeSet<u16>,
    /// It has shards, but does not read them: it stands still.
    is_paused: bool,
    /// It ends then.
    ends_at: Option<(Duration, End)>,
    generation: u32,
}

struct World {
    random: Random,
    now: Duration,
    policy: Policy,
    mains: BTreeMap<Process, Real>,
    standbys: BTreeMap<Process, Real>,
    /// Answers under way.
    answers: Vec<(Duration, Event)>,
    /// Things go wrong.
    is_rough: bool,
    /// A generation that never gets ready.
    broken: Option<u32>,
    generation: u32,
    ordered: bool,
    exited: bool,
    log: Vec<String>,
}

impl World {
    fn new(seed: u64, workers: u16) -> Self {
        let managed = if seed.is_multiple_of(3) { &[][..] } else { &MANAGED };
        Self {
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            now: Duration::ZERO,
            policy: Policy::new(workers, STACKS, managed),
            mains: BTreeMap::new(),
            standbys: BTreeMap::new(),
            answers: Vec::new(),
            is_rough: false,
            broken: None,
            generation: 0,
            ordered: false,
            exited: false,
            log: Vec::new(),
        }
    }

    fn chance(&mut self, n: u64) -> bool {
        self.is_rough && self.random.one_in(n)
    }

    fn ms(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.random.below(most) + 1)
    }

    fn reply(&mut self, event: Event) {
        let at = self.now + self.ms(3);
        if !self.chance(60) {
            self.answers.push((at, event));
        }
    }

    fn real(&mut self, generation: u32, reads: BTreeSet<u16>) -> Real {
        let is_broken = self.broken == Some(generation);
        let never = is_broken && self.random.one_in(2) || self.chance(40);
        let ready_at = if never { None } else { Some(self.now + self.ms(40)) };
        let ends_at = (is_broken && ready_at.is_some() || self.chance(12)).then(|| {
            let end = if self.is_rough && self.random.one_in(12) { End::Config } else { End::Died };
            (self.now, end)
        });
        let ends_at = ends_at.map(|(at, end)| (at + self.ms(30), end));
        Real { ready_at, reads, generation, ends_at, ..Real::default() }
    }

    fn act(&mut self) {
        while let Some(action) = self.policy.poll_action() {
            self.log.push(format!("{:?} {action:?}", self.now));
            self.check_managed(&action);
            let shards_of = |policy: &Policy, process: Process| match process {
                Process::Worker(slot) => policy.shards_of(slot).into_iter().collect(),
                Process::Services | Process::Registry | Process::Broker => BTreeSet::new(),
            };
            match action {
                Action::Start { process, generation } => {
                    assert!(!self.mains.contains_key(&process), "{process} is started twice");
                    let reads = shards_of(&self.policy, process);
                    if self.chance(30) {
                        self.policy.handle(self.now, Event::NotStarted(process));
                        continue;
                    }
                    let mut real = self.real(generation, reads);
                    if process.is_managed() {
                        (real.is_ready, real.ready_at) = (true, None);
                        self.policy.handle(self.now, Event::Ready(process));
                        if self.chance(4) {
                            self.policy.handle(self.now, Event::Moved);
                        }
                    }
                    self.mains.insert(process, real);
                }
                Action::StartStandby { process, generation } => {
                    assert!(!self.standbys.contains_key(&process));
                    let real = Real { is_standby: true, ..self.real(generation, BTreeSet::new()) };
                    self.standbys.insert(process, real);
                }
                Action::Discard(process) => drop(self.standbys.remove(&process)),
                Action::Promote(process) => {
                    if let Some(old) = self.mains.remove(&process) {
                        assert!(old.reads.is_empty(), "{process} reads while another takes its place");
                    }
                    let reads = shards_of(&self.policy, process);
                    let Some(mut real) = self.standbys.remove(&process) else {
                        // It has died, which nobody knows yet.
                        continue;
                    };
                    let never = self.broken == Some(real.generation);
                    real.ready_at =
                        if never || self.chance(30) { None } else { Some(self.now + self.ms(20)) };
                    if never {
                        real.ends_at = Some((self.now + self.ms(100), End::Died));
                    }
                    (real.is_standby, real.reads) = (false, reads);
                    self.mains.insert(process, real);
                }
                Action::Tell(process) => {
                    let at = self.now + self.ms(50);
                    if let Some(real) = self.mains.get_mut(&process).filter(|real| !real.hangs) {
                        real.ends_at = Some((at, End::Died));
                    }
                }
                Action::Leave(process) => {
                    let at = self.now + self.ms(5);
                    if let Some(real) = self.mains.get_mut(&process).filter(|real| !real.hangs) {
                        real.reads.clear();
                        real.ends_at = Some((at, End::Died));
                        if process != Process::Services {
                            self.reply(Event::Left(process));
                        }
                    }
                }
                Action::Abort(process) => {
                    let at = self.now + self.ms(20);
                    // One that is stopped does not take it.
                    if self.random.one_in(2)
                        && let Some(real) = self.mains.get_mut(&process)
                    {
                        real.ends_at = Some((at, End::Died));
                    }
                }
                Action::Kill(process, _) => {
                    let at = self.now + self.ms(5);
                    if let Some(real) = self.mains.get_mut(&process) {
                        real.ends_at = Some((at, End::Killed));
                    }
                }
                Action::Pause { slot, number } => {
                    let process = Process::Worker(slot);
                    if let Some(real) =
                        self.mains.get_mut(&process).filter(|real| !real.hangs && real.is_ready)
                    {
                        real.is_paused = true;
                        self.reply(Event::Paused { slot, number });
                    }
                }
                Action::Resume(slot) => self.go_on(slot),
                Action::Release { from, shards, .. } => {
                    let process = Process::Worker(from);
                    if let Some(real) =
                        self.mains.get_mut(&process).filter(|real| !real.hangs && real.is_ready)
                    {
                        assert!(
                            shards.iter().all(|shard| real.reads.contains(shard)),
                            "released what it has not"
                        );
                        real.reads.retain(|shard| !shards.contains(shard));
                        self.reply(Event::Released(from));
                    }
                }
                Action::Adopt { to, shards, .. } => {
                    let process = Process::Worker(to);
                    if let Some(real) = self.mains.get_mut(&process).filter(|real| !real.hangs) {
                        real.reads.extend(shards);
                        self.go_on(to);
                        self.reply(Event::Adopted(to));
                    }
                }
                Action::Retire(slot) => {
                    assert!(!self.mains.contains_key(&Process::Worker(slot)), "retired and alive");
                }
                Action::Finished(_) => {
                    assert!(std::mem::take(&mut self.ordered), "what ended was not ordered");
                }
                Action::Exit => {
                    assert!(self.mains.is_empty(), "processes stay behind");
                    self.exited = true;
                }
                Action::Fail(_) => panic!("the first start goes well here"),
                Action::Settled(generation) => {
                    let members = self.policy.members.values();
                    assert!(members.map(|member| member.generation).all(|its| its == generation));
                    if let Some(Action::Finished(Ok(_))) = self.policy.actions.front() {
                        let mut ours = self
                            .mains
                            .iter()
                            .filter(|(process, real)| !process.is_managed() && real.is_ready);
                        assert!(ours.all(|(_, real)| real.generation == generation), "an old one is left");
                    }
                }
                Action::Forget { .. }
                | Action::Quarantine { .. }
                | Action::Clear(_)
                | Action::GoBack
                | Action::Say(_)
                | Action::Progress(_) => {}
            }
            self.check();
        }
    }

    fn go_on(&mut self, slot: u8) {
        if let Some(real) = self.mains.get_mut(&Process::Worker(slot)) {
            real.is_paused = false;
        }
    }

    /// What is done to registry and broker, and when.
    fn check_managed(&self, action: &Action) {
        let is_managed = |process: &Process| process.is_managed();
        match action {
            Action::Tell(process) if process.is_managed() => {
                assert!(self.mains.keys().all(is_managed), "{process} is told to end before others have");
            }
            Action::StartStandby { process, .. }
            | Action::Abort(process)
            | Action::Discard(process)
            | Action::Leave(process)
            | Action::Promote(process) => assert!(!process.is_managed(), "{action:?}"),
            Action::Kill(process, _) if process.is_managed() => assert!(self.policy.stopping(), "{action:?}"),
            _ => {}
        }
    }

    /// No shard is read by two, and none by who is not to.
    fn check(&self) {
        for (process, real) in &self.mains {
            let Process::Worker(slot) = *process else { continue };
            let own = self.policy.stack_of(slot);
            for &shard in &real.reads {
                let stack = self.policy.shards[usize::from(shard)].stack;
                assert!(
                    own.is_none_or(|own| own == stack),
                    "{process} is of stack {own:?} and reads {shard}"
                );
                assert!(
                    stack != THIRD_PARTY || own == Some(stack),
                    "{process} reads {shard} of a third party"
                );
            }
        }
        let mut read = BTreeMap::new();
        for (process, real) in &self.mains {
            for &shard in &real.reads {
                let other = read.insert(shard, process);
                assert!(other.is_none(), "shard {shard} is read by {process} and {}", other.unwrap());
            }
        }
    }

    fn placements(&mut self) -> Vec<Placement> {
        let mut any = || match self.random.below(4) {
            0 => Placement::All,
            1 => Placement::Number(1 + self.random.below(3) as u16),
            _ => Placement::Own,
        };
        vec![any(), any(), Placement::Own]
    }

    fn order(&mut self) {
        let slot = self.random.below(7) as u8;
        let order = match self.random.below(8) {
            0 => Order::Drain(slot),
            1 => Order::Scale(1 + self.random.below(5) as u16),
            2 => Order::Restart(Process::Services),
            3..6 => {
                self.generation += 1;
                self.broken = self.random.one_in(3).then_some(self.generation);
                if self.policy.operation.is_none() && self.policy.handover.is_none() && self.random.one_in(2)
                {
                    self.policy.all_are_foreign();
                }
                let placements = self.random.one_in(2).then(|| self.placements());
                Order::Roll { generation: self.generation, placements }
            }
            _ => Order::Restart(Process::Worker(slot)),
        };
        self.log.push(format!("{:?} ordered: {order:?}", self.now));
        if self.policy.order(self.now, order).is_ok() {
            assert!(!self.ordered || self.policy.operation.is_none(), "two orders at once");
            self.ordered = true;
        }
    }

    fn misfortune(&mut self) {
        let all: Vec<Process> = self.mains.keys().copied().collect();
        if all.is_empty() {
            return;
        }
        let process = all[self.random.below(all.len() as u64) as usize];
        let (what, now) = (self.random.below(4), self.now);
        let Some(real) = self.mains.get_mut(&process) else { return };
        self.log.push(format!("{now:?} {process}: misfortune {what}"));
        match what {
            0 => real.ends_at = Some((now, End::Killed)),
            1 => real.ends_at = Some((now, End::Died)),
            2 => real.hangs = true,
            // It hangs, and comes round again.
            _ => {
                real.hangs = true;
                let at = now + self.ms(4000);
                self.answers.push((at, Event::Beat(process, 1)));
            }
        }
    }

    fn step(&mut self) {
        let most = if self.is_rough { 20 } else { 150 };
        self.now += Duration::from_millis(1 + self.random.below(most));
        let now = self.now;
        if self.chance(150) {
            self.misfortune();
        }
        if self.is_rough && self.random.one_in(250) {
            self.order();
            self.act();
        }
        for standby in [false, true] {
            let reals = if standby { &mut self.standbys } else { &mut self.mains };
            let over: Vec<(Process, End)> = reals
                .iter()
                .filter_map(|(&process, real)| Some((process, real.ends_at.filter(|(at, _)| *at <= now)?.1)))
                .collect();
            for (process, end) in over {
                if standby {
                    if self.standbys.remove(&process).is_some() {
                        self.policy.handle(now, Event::StandbyEnded(process));
                    }
                } else if self.mains.remove(&process).is_some() {
                    // What it has said before comes before.
                    let (mut said, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.answers)
                        .into_iter()
                        .partition(|(_, event)| *event == Event::Left(process));
                    self.answers = later;
                    if let Some((_, left)) = said.pop() {
                        self.policy.handle(now, left);
                        self.act();
                        if self.mains.contains_key(&process) {
                            // Another has its place: its end is nobody's.
                            continue;
                        }
                    }
                    let row = self.random.below(2) as u16;
                    let work = self.random.one_in(3).then_some(Work { shard: 1, row: Some(row) });
                    self.policy.handle(now, Event::Ended { process, end, work });
                }
                self.act();
            }
        }
        for standby in [false, true] {
            let reals = if standby { &mut self.standbys } else { &mut self.mains };
            let mut ready = Vec::new();
            for (&process, real) in reals.iter_mut() {
                if !real.is_ready && !real.hangs && real.ready_at.is_some_and(|at| at <= now) {
                    (real.is_ready, real.ready_at) = (!standby, None);
                    ready.push(process);
                }
            }
            for process in ready {
                let event = if standby { Event::Prepared(process) } else { Event::Ready(process) };
                self.policy.handle(now, event);
                self.act();
            }
        }
        let (due, later): (Vec<_>, Vec<_>) = self.answers.drain(..).partition(|(at, _)| *at <= now);
        self.answers = later;
        for (_, event) in due {
            if let Event::Beat(process, _) = event {
                self.mains.entry(process).and_modify(|real| real.hangs = false);
            } else if !self.answers_for_dead(&event) {
                self.policy.handle(now, event);
                self.act();
            }
        }
        let beats: Vec<Process> = self
            .mains
            .iter()
            .filter(|(_, real)| real.is_ready && !real.hangs)
            .map(|(&process, _)| process)
            .collect();
        for process in beats {
            self.policy.handle(now, Event::Beat(process, now.as_micros() as u64));
        }
        if self.policy.poll_timeout().is_some_and(|at| at <= now) {
            self.policy.handle_timeout(now);
            assert!(self.policy.poll_timeout().is_none_or(|at| at > now), "due for ever");
        }
        self.act();
    }

    /// The dead say nothing more.
    fn answers_for_dead(&self, event: &Event) -> bool {
        let process = match event {
            Event::Paused { slot, .. } | Event::Released(slot) | Event::Adopted(slot) => {
                Process::Worker(*slot)
            }
            Event::Left(process) => *process,
            _ => return false,
        };
        self.mains.get(&process).is_none_or(|real| !real.is_ready)
    }

    fn calm(&mut self) {
        (self.is_rough, self.broken) = (false, None);
        self.mains.values_mut().for_each(|real| real.hangs = false);
        let end = self.now + Duration::from_secs(200);
        while self.now < end {
            self.step();
        }
        assert!(!self.ordered, "an order never ends: {:?}", self.policy.operation);
        assert!(self.policy.handover.is_none() && self.policy.replacement.is_none());
        let mut managed = self.policy.members.keys().filter(|process| process.is_managed());
        assert!(managed.all(|process| self.mains.contains_key(process)), "registry or broker stay away");
        let is_told =
            self.policy.renew_at.is_none() || self.policy.state(Process::Services).0 != State::Ready;
        assert!(is_told, "the services do not know where they are");
        let is_lost = |slot: u8| {
            let member = &self.policy.members[&Process::Worker(slot)];
            member.is_parked || !member.is_wanted
        };
        let shared = self.policy.shared();
        let are_lost = shared.into_iter().all(is_lost);
        if are_lost {
            // All of them say that their configuration is wrong.
            let is_config = |line: &String| line.contains("configuration is wrong");
            assert!(self.log.iter().rev().take(2000).any(is_config));
        }
        if !self.policy.foreign.is_empty() {
            // Some are of another build still, and cannot take what others had.
            return;
        }
        for (number, owner) in (0..).zip(self.policy.owners()) {
            let is_own = self.policy.is_own(owner);
            if is_own && is_lost(owner) || !is_own && are_lost {
                // It says that its configuration is wrong, and nobody can stand in for it.
                continue;
            }
            let real = self.mains.get(&Process::Worker(owner));
            let serves =
                real.is_some_and(|real| real.is_ready && !real.is_paused && real.reads.contains(&number));
            assert!(serves, "shard {number} of worker {owner} is served by nobody: {real:?}");
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed, 1 + (seed % 4) as u16);
    world.act();
    while !world.policy.was_ready() {
        world.step();
    }
    for _ in 0..4 {
        world.is_rough = true;
        for _ in 0..2_000 {
            world.step();
        }
        world.calm();
        // As an operator does who finds workers left alone.
        let foreign = world.policy.foreign.clone();
        let parked = world.policy.members.iter().filter(|(_, member)| member.is_parked);
        let parked: Vec<Process> = parked.map(|(&process, _)| process).collect();
        for process in foreign.into_iter().chain(parked) {
            world.policy.order(world.now, Order::Restart(process)).unwrap();
            world.ordered = true;
            world.act();
            world.calm();
        }
    }
    world.is_rough = true;
    world.policy.handle(world.now, Event::Stop);
    world.act();
    for _ in 0..5_000 {
        if world.exited {
            break;
        }
        world.step();
    }
    assert!(world.exited, "it never ends");
}

#[test]
fn whatever_happens_every_shard_is_served_by_one() {
    let first = std::env::var("POLICY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(1..=100, |seed: u64| seed..=seed);
    for seed in seeds {
        println!("seed {seed}");
        run(seed);
    }
}
