//! The services' state, and what they do about reports, orders of the supervisor and the passing of time.
//! All of it is done at once; whoever waits is elsewhere.

use std::cell::RefCell;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use channel::{Order, Parent, Report, ServicesSetup, WorkerInfo};
use control::{CallInfo, HeardInfo, State};
use events::{Event, StopReason};
use fabric::Counter;
use registry::{Embedded, Space};
use stack::{Answer, Ask, Gone, Login, Notice, Time, Verdict};
use sys::Clocks;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::bans::Bans;
use crate::bus::Bus;
use crate::calls::{self, Calls};
use crate::facts::Facts;
use crate::follow::Following;
use crate::heard::{Heard, clean_alias};
use crate::host::Host;
use crate::hosts::Hosts;
use crate::login::{Decision, Logins};
use crate::names::{Names, Whose};
use crate::peers::Peers;
use crate::reach::Reach;
use crate::refusals::Refusals;
use crate::timed::Timed;
use crate::ways::Ways;
use crate::{Error, contexts, log};

/// Reports of one worker that are handled before others have their turn.
const BATCH: usize = 64;
/// How often what can wait is looked after, in ticks: calls whose end was lost, bans that are over, what was heard.
const TICKS_BETWEEN_LOOKS: u32 = 20;

/// The one state, used by tasks of one thread and never across a wait.
pub(crate) type Shared = Rc<RefCell<Services>>;

#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) host: Host,
    pub(crate) registry: Embedded,
    pub(crate) bus: Bus,
    pub(crate) calls: Calls,
    pub(crate) bans: Bans,
    pub(crate) timed: Timed,
    pub(crate) facts: Facts,
    pub(crate) following: Following,
    pub(crate) ways: Ways,
    pub(crate) heard: Heard,
    pub(crate) peers: Peers,
    pub(crate) hosts: Hosts,
    pub(crate) reach: Reach,
    /// Of our configuration.
    pub(crate) generation: u32,
    logins: Logins,
    refusals: Refusals,
    ticks: u32,
}

impl Services {
    /// Takes up the sessions that run already, and tells the workers what may have changed since they were last
    /// told. What this host has is looked at: later the sandbox keeps it from us.
    pub(crate) fn new(host: Host, registry: Embedded, setup: &ServicesSetup) -> Result<Self, Error> {
        let ServicesSetup { config, generation, .. } = setup;
        let mut peers = Peers::new(config.stacks.openbridge.as_ref());
        peers.remember(host.shards().flat_map(contexts::Shard::peers));
        let of_shard =
            |shard: &contexts::Shard| shard.running().map(|r| (shard.worker, r)).collect::<Vec<_>>();
        let running: Vec<_> = host.served_shards().flat_map(of_shard).collect();
        let ids = running.iter().map(|(_, report)| Uuid::from_u128(report.session.uuid())).collect();
        let heard = Heard::new(registry.heard()?, &ids, contexts::calls(host.shards()));
        let mut calls = Calls::default();
        for (worker, report) in running {
            calls.started(worker, report);
            calls.refused(report.session, heard.why_refused(&report));
        }
        let (bans, unreadable) = registry.bans()?;
        for id in unreadable {
            log::line(format_args!(
                "services: the ban of {id} cannot be read and does not hold: ban it again, or lift it with \
                 `bmctl unban {id}`"
            ));
        }
        let timed = registry.devices()?.devices.into_iter().filter(|device| !device.timed.is_empty());
        let timed: Vec<_> = timed.collect();
        let bus = Bus::new(host.nodes());
        let logins = Logins::new(config.stacks.mmdvm.password.clone());
        let refusals = Refusals::new(Instant::now());
        let bans = Bans::new(bans);
        let mut services = Self {
            host,
            registry,
            bus,
            calls,
            bans,
            timed: Timed::default(),
            facts: Facts::default(),
            following: Following::default(),
            ways: Ways::look(),
            heard,
            peers,
            hosts: Hosts::new(config),
            reach: Reach::default(),
            generation: *generation,
            logins,
            refusals,
            ticks: 0,
        };
        services.bans.orders().iter().for_each(|order| services.host.send_all(order));
        timed.into_iter().for_each(|device| drop(services.tell(device)));
        services.peers_changed();
        services.hosts_changed();
        Ok(services)
    }

    /// Handles what the workers have reported, a batch of each. True where there may be more.
    pub(crate) fn turn(&mut self) -> bool {
        // Who rang is of no matter: all queues are looked at, since that costs next to nothing.
        let _ = self.host.bell.take();
        let mut more = false;
        for slot in self.host.slots() {
            let mut left = BATCH;
            while left > 0
                && let Some(report) = self.host.report(slot)
            {
                self.handle(slot, report);
                self.host.handled(slot);
                left -= 1;
            }
            more |= left == 0;
        }
        self.host.flush();
        self.host.stats.set(Counter::Heartbeat, Clocks::now().mono_us);
        more
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self) {
        let Clocks { mono_us: now_us, wall_us } = Clocks::now();
        self.ticks = (self.ticks + 1) % TICKS_BETWEEN_LOOKS;
        if self.ticks == 0 {
            self.calls.doubt_others(&contexts::sessions(self.host.shards()), now_us);
            self.look_after_bans();
            self.keep_heard();
        }
        self.look_after_timed(wall_us);
        self.look_after_hosts(Time(now_us));
        let host = &self.host;
        let is_ready = |slot| host.info(slot).is_some_and(|info| info.state == State::Ready);
        let running = || contexts::sessions(host.shards().filter(|shard| is_ready(shard.worker)));
        for (worker, report) in self.calls.expire(now_us, running) {
            self.heard.stopped(&report, StopReason::Unknown, wall_us);
            let event = calls::stop_event(&report, self.link(report.context), StopReason::Unknown);
            self.bus.emit(Some(worker), event);
        }
    }

    /// Writes down what was heard since it was last written down.
    pub(crate) fn keep_heard(&mut self) {
        let changes = self.heard.take_changes();
        if changes.is_empty() {
            return;
        }
        match self.registry.keep_heard(changes.into_iter()) {
            Ok(kept) => self.following.share(Space::LastHeard, kept),
            Err(error) => {
                log::line(format_args!("services: who was heard last is not written down: {error}"));
            }
        }
    }

    /// The calls that run: those that began here, and those of other hosts.
    pub(crate) fn call_list(&self, clocks: Clocks) -> Vec<CallInfo> {
        let far = self.reach.running(Time(clocks.mono_us));
        let far = far.map(|(worker, report)| calls::far_call_info(worker, &report, clocks.wall_us));
        self.calls.list(clocks.wall_us).into_iter().chain(far).collect()
    }

    /// Who was heard last, the newest first.
    pub(crate) fn last_heard(&self, count: u32, wall_us: u64) -> Vec<HeardInfo> {
        self.heard.list(usize::try_from(count).unwrap_or(usize::MAX), wall_us)
    }

    /// The names of some.
    pub(crate) fn names(&mut self, whose: Whose) -> &mut Names {
        match whose {
            Whose::Peers => &mut self.peers.names,
            Whose::Hosts => &mut self.hosts.names,
        }
    }

    /// A name was looked up; false where nobody has it any more.
    pub(crate) fn resolved(
        &mut self,
        whose: Whose,
        name: &str,
        again: &Rc<Notify>,
        found: Result<Vec<IpAddr>, String>,
    ) -> bool {
        let Some(said) = self.names(whose).resolved(name, again, found) else { return false };
        if let Some(said) = said {
            log::line(format_args!("services: {whose}: {said}"));
        }
        match whose {
            Whose::Peers => self.tell_peers(),
            Whose::Hosts => self.tell_hosts(),
        }
        true
    }

    /// Does what the supervisor says while we run.
    pub(crate) fn obey(&mut self, message: Parent, fds: Vec<OwnedFd>) -> Result<(), Error> {
        let changed = self.host.take(message, fds)?;
        self.bus.know(self.host.nodes());
        self.look_after_hosts(mono());
        if let Some((slot, before)) = changed {
            self.worker_changed(slot, before);
        }
        self.tell_peers();
        Ok(())
    }

    fn handle(&mut self, slot: u8, report: Report) {
        match report {
            Report::Ask { shard, ask: Ask::Login(login) } => self.login(slot, shard, &login),
            Report::Notice { notice, .. } => self.notice(slot, notice),
            Report::Started(report) => {
                let is_new = self.calls.started(slot, report);
                // A worker that was started again has decided nothing of it yet.
                self.heard.refused(&report, None);
                if is_new {
                    self.bus.emit(Some(slot), calls::start_event(&report, self.link(report.context)));
                }
            }
            Report::Stopped { report, ended } => {
                let reason = calls::stop_reason(ended);
                self.calls.stopped(report.session);
                self.heard.stopped(&report, reason, Clocks::now().wall_us);
                self.bus.emit(Some(slot), calls::stop_event(&report, self.link(report.context), reason));
            }
            Report::Refused { report, why } => {
                let reason = calls::refuse_reason(why);
                self.calls.refused(report.session, Some(reason));
                self.heard.refused(&report, Some(reason));
                self.bus.emit(Some(slot), calls::refused_event(&report, self.link(report.context), reason));
            }
            Report::Carried(report) => {
                self.calls.refused(report.session, None);
                self.heard.refused(&report, None);
                self.bus.emit(Some(slot), calls::carried_event(&report, self.link(report.context)));
            }
            Report::Alias { report, alias } => {
                let Some(alias) = clean_alias(&alias) else { return };
                self.heard.alias(&report, &alias);
                self.bus.emit(Some(slot), calls::alias_event(&report, alias));
            }
            Report::Node(report) => self.reach.node(slot, mono(), report),
            Report::Host(report) => self.reach.host(slot, mono(), report),
            Report::Contact(report) => self.reach.contact(slot, mono(), report),
            Report::FarCall(report) => self.reach.call(slot, mono(), report),
            Report::SameId(report) => self.reach.same_id(slot, mono(), report),
            Report::Far(report) => self.reach.far(slot, mono(), report),
            Report::Blocked { radio, context, seconds } => self.blocked(radio, context, seconds),
        }
    }

    fn login(&mut self, slot: u8, shard: u16, login: &Login) {
        if self.following.is_blind {
            // Its password may be one that is not known yet: it asks again.
            return;
        }
        let Login { id, from, .. } = *login;
        let Clocks { wall_us, .. } = Clocks::now();
        let Decision { verdict, reason } =
            self.logins.decide(&self.registry, &self.bans, login, Instant::now(), wall_us);
        if let Some(reason) = reason {
            self.refused(slot, id, from, reason);
        }
        let accepted = matches!(verdict, Verdict::Accepted { .. });
        self.host.send(slot, Order::Answer { shard, answer: Answer::Login { id, from, verdict } });
        if accepted {
            // One ID has one context in the whole cluster.
            self.host.send_all(&Order::Evict { id, keep: Some(from), gone: Gone::Replaced });
        }
    }

    fn notice(&mut self, slot: u8, notice: Notice) {
        match notice {
            Notice::Refused { id, from, reason } => self.refused(slot, id, from, reason),
            Notice::Up { id, from, call, software } => {
                self.heard.named(id, &call);
                let event = Event::RepeaterConnected { context_id: id, address: from, call, software };
                self.bus.emit(Some(slot), event);
            }
            Notice::Down { id, from, gone } => {
                let reason = words(gone).to_owned();
                let event = Event::RepeaterDisconnected { context_id: id, address: from, reason };
                self.bus.emit(Some(slot), event);
            }
        }
    }

    fn refused(&mut self, slot: u8, id: u32, from: std::net::SocketAddr, reason: String) {
        let Some(untold) = self.refusals.tell(Instant::now()) else { return };
        if untold > 0 {
            log::line(format_args!("services: {untold} more refusals are not listed: too many at once"));
        }
        log::line(log::refused(id, from, &reason));
        self.bus.emit(Some(slot), Event::RepeaterRefused { context_id: id, address: from, reason });
    }

    fn worker_changed(&mut self, slot: u8, before: Option<WorkerInfo>) {
        let Some(now) = self.host.info(slot).cloned() else { return };
        let old = before.as_ref().and_then(|info| info.pid);
        if let Some(pid) = old.filter(|_| old != now.pid) {
            self.calls.doubt_worker(slot, Clocks::now().mono_us);
            // One that was replaced or told to end has not died.
            let restarts = before.as_ref().map_or(0, |info| info.restarts);
            if now.state == State::Failed || now.restarts > restarts {
                let reason = now.ended.unwrap_or_else(|| "for an unknown reason".to_owned());
                self.bus.emit(Some(slot), Event::WorkerDied { pid: pid.cast_unsigned(), reason });
            }
        }
        let was_ready = before.is_some_and(|info| info.state == State::Ready && info.pid == now.pid);
        if let Some(pid) = now.pid.filter(|_| now.state == State::Ready && !was_ready) {
            self.bans.orders().into_iter().for_each(|order| self.host.send(slot, order));
            self.tell_all_hosts(slot);
            self.bus.emit(Some(slot), Event::WorkerStarted { pid: pid.cast_unsigned() });
        }
    }
}

fn mono() -> Time {
    Time(Clocks::now().mono_us)
}

const fn words(gone: Gone) -> &'static str {
    match gone {
        Gone::Closed => "it said goodbye",
        Gone::Silent => "nothing was heard of it",
        Gone::Replaced => "it logged in anew",
        Gone::Kicked => "an operator threw it out",
        Gone::Refused => "its configuration was refused",
        Gone::Shutdown => "the cluster stops",
    }
}
