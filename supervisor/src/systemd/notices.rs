//! When a service manager is told what. Pure: time and the cluster's status go in, messages come out; whether one was sent
//! decides its caller, who goes on with the notices as they were where it was not.

use std::fmt::Write;
use std::time::Duration;

use control::{ClusterState, State, Status, WorkerStatus};
use sd_notify::NotifyState;

use crate::say::clean;

/// Between two lines that differ in counts alone.
const PAUSE: Duration = Duration::from_secs(10);
/// A longer line is cut: a service manager reads no more than 4 KiB of a message.
const LONGEST: usize = 800;

/// What has been told.
#[derive(Clone, Debug)]
pub(super) struct Notices {
    /// Between two signs of life.
    alive_every: Option<Duration>,
    /// When the next one is due.
    alive_at: Duration,
    ready: bool,
    reloading: bool,
    stopping: bool,
    line: Line,
    line_at: Duration,
}

/// How the cluster is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Line {
    /// What is told at once.
    state: String,
    /// What is told now and then.
    counts: String,
}

impl Notices {
    /// With a sign of life twice in each `watchdog`.
    pub(super) fn new(watchdog: Option<Duration>) -> Self {
        Self {
            alive_every: watchdog.map(|time| time / 2).filter(|time| !time.is_zero()),
            alive_at: Duration::ZERO,
            ready: false,
            reloading: false,
            stopping: false,
            line: Line::default(),
            line_at: Duration::ZERO,
        }
    }

    /// The message that is due, if one is, and the notices once it was sent.
    pub(super) fn due(&self, now: Duration, status: &Status) -> Option<(String, Self)> {
        let mut next = self.clone();
        let mut message = String::new();
        // Degraded is what was ready already.
        let ready = matches!(status.state, ClusterState::Ready | ClusterState::Degraded);
        if ready && !self.ready && !self.reloading {
            next.ready = true;
            say(&mut message, NotifyState::Ready);
            say(&mut message, NotifyState::MainPid(status.pid));
        }
        if status.state == ClusterState::Stopping && !self.stopping {
            next.stopping = true;
            say(&mut message, NotifyState::Stopping);
        }
        let line = Line::of(status);
        if line.state != self.line.state || line != self.line && now >= self.line_at + PAUSE {
            say(&mut message, NotifyState::Status(&line.text()));
            (next.line, next.line_at) = (line, now);
        }
        if let Some(every) = self.alive_every.filter(|_| now >= self.alive_at) {
            say(&mut message, NotifyState::Watchdog);
            next.alive_at = now + every;
        }
        (!message.is_empty()).then_some((message, next))
    }

    /// When to look again, after `now`.
    pub(super) fn poll_timeout(&self, now: Duration) -> Duration {
        // Counts change without a sign of it.
        let free = self.line_at + PAUSE;
        let look = if now < free { free } else { now + PAUSE };
        self.alive_every.map_or(look, |_| self.alive_at.min(look))
    }

    /// The message that a new configuration is taken over, at this time of the monotonic clock.
    pub(super) fn reloading(&self, mono_us: u64) -> (String, Self) {
        let mut message = String::new();
        say(&mut message, NotifyState::Reloading);
        say(&mut message, NotifyState::MonotonicUsec(mono_us.into()));
        (message, Self { ready: false, reloading: true, ..self.clone() })
    }

    /// That is over.
    pub(super) fn reloaded(&mut self) {
        self.reloading = false;
    }
}

impl Line {
    fn of(status: &Status) -> Self {
        let workers = &status.workers;
        let (all, ready) =
            (workers.len(), workers.iter().filter(|worker| worker.state == State::Ready).count());
        let sum = |of: fn(&WorkerStatus) -> u32| workers.iter().map(|worker| u64::from(of(worker))).sum();
        let ready = if all == ready {
            format!("{} ready", many(all as u64, "worker"))
        } else {
            format!("{ready} of {} ready", many(all as u64, "worker"))
        };
        let state = match status.state {
            ClusterState::Ready => ready,
            ClusterState::Starting => format!("starting: {ready}"),
            ClusterState::Degraded => format!("degraded: {}; {ready}", missing(status)),
            ClusterState::Stopping => "stopping".to_owned(),
        };
        let repeaters = many(sum(|worker| worker.contexts), "repeater");
        let calls = many(sum(|worker| worker.sessions), "call");
        Self { state, counts: format!("{repeaters}, {calls}") }
    }

    fn text(&self) -> String {
        format!("{}, {}", self.state, self.counts).chars().take(LONGEST).collect()
    }
}

/// Which parts are not ready: "worker 1 failed (signal SIGKILL), services starting, registry failed (does not answer)".
fn missing(status: &Status) -> String {
    let mut parts = Vec::new();
    for worker in status.workers.iter().filter(|worker| worker.state != State::Ready) {
        // The first line of its last words, whatever it put there.
        let ended = worker.ended.as_deref().and_then(|ended| ended.lines().next()).map(clean);
        let ended = ended.map(|ended| format!(" ({ended})")).unwrap_or_default();
        parts.push(format!("worker {} {}{ended}", worker.slot, state(worker.state)));
    }
    if status.services.state != State::Ready {
        parts.push(format!("services {}", state(status.services.state)));
    }
    for (name, store) in [("registry", &status.registry), ("events", &status.events)] {
        // Of one without a trouble of its own nothing is known but that the services are not ready.
        if store.state != State::Ready && (store.trouble.is_some() || status.services.state == State::Ready) {
            let trouble = store.trouble.as_deref().and_then(|trouble| trouble.lines().next()).map(clean);
            let trouble = trouble.map(|trouble| format!(" ({trouble})")).unwrap_or_default();
            parts.push(format!("{name} {}{trouble}", state(store.state)));
        }
    }
    parts.join(", ")
}

fn state(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Ready => "ready",
        State::Stalled => "stalled",
        State::Draining => "draining",
        State::Failed => "failed",
        State::Stopped => "stopped",
    }
}

fn many(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A line of a message.
fn say(message: &mut String, state: NotifyState<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(message, "{state}");
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use control::{ServicesStatus, StoreStatus};

    use super::*;

    /// A cluster of `all` workers, the first `ready` of which are; it starts where none is.
    pub(in crate::systemd) fn status(ready: u16, all: u16) -> Status {
        let worker = |slot| WorkerStatus {
            slot,
            node: 25_011,
            pid: Some(1),
            state: if slot < ready { State::Ready } else { State::Failed },
            cpu: None,
            stacks: vec![],
            contexts: 400,
            sessions: 6,
            restarts: 0,
            shards: 1,
            lag: vec![],
            ended: (slot >= ready).then(|| "exit code 1: panicked at x:\nSTATUS=forged".to_owned()),
            sandbox: None,
        };
        let store = StoreStatus::embedded(State::Ready);
        Status {
            state: match ready {
                0 => ClusterState::Starting,
                ready if ready == all => ClusterState::Ready,
                _ => ClusterState::Degraded,
            },
            pid: 77,
            version: String::new(),
            uptime_s: 0,
            workers: (0..all).map(worker).collect(),
            services: ServicesStatus { pid: Some(2), state: State::Ready, sandbox: None },
            registry: store.clone(),
            events: store,
            listen: BTreeMap::new(),
            metrics: None,
        }
    }

    /// What is said at this second, which is sent.
    fn at(notices: &mut Notices, seconds: f64, status: &Status) -> Option<String> {
        let (message, next) = notices.due(Duration::from_secs_f64(seconds), status)?;
        *notices = next;
        Some(message)
    }

    #[test]
    fn ready_is_said_once_and_when_all_are() {
        let mut notices = Notices::new(None);
        let starting = at(&mut notices, 0.0, &status(0, 2)).unwrap();
        assert_eq!(starting, "STATUS=starting: 0 of 2 workers ready, 800 repeaters, 12 calls\n");
        let ready = at(&mut notices, 0.1, &status(2, 2)).unwrap();
        assert_eq!(ready, "READY=1\nMAINPID=77\nSTATUS=2 workers ready, 800 repeaters, 12 calls\n");
        let mut stopping = status(2, 2);
        stopping.state = ClusterState::Stopping;
        let message = at(&mut notices, 0.2, &stopping).unwrap();
        assert_eq!(message, "STOPPING=1\nSTATUS=stopping, 800 repeaters, 12 calls\n");
        assert_eq!(at(&mut notices, 0.3, &stopping), None);
    }

    #[test]
    fn states_are_said_at_once_and_counts_now_and_then() {
        let mut notices = Notices::new(None);
        let mut said = |seconds, ready, contexts| {
            let mut status = status(ready, 2);
            status.workers[0].contexts = contexts;
            at(&mut notices, seconds, &status)
        };
        assert!(said(0.0, 2, 1).is_some());
        assert_eq!((said(9.9, 2, 2), said(10.0, 2, 1)), (None, None), "it is as it was");
        let counts = "STATUS=2 workers ready, 403 repeaters, 12 calls\n";
        assert_eq!(said(11.0, 2, 3).as_deref(), Some(counts));
        let degraded = "STATUS=degraded: worker 1 failed (exit code 1: panicked at x:); 1 of 2 workers ready, \
                        403 repeaters, 12 calls\n";
        assert_eq!(said(11.1, 1, 3).as_deref(), Some(degraded));
        assert_eq!(said(11.2, 1, 4), None);
        assert_eq!(said(11.3, 2, 3).as_deref(), Some(counts));
    }

    #[test]
    fn services_and_stores_that_are_not_ready_are_named() {
        let mut services = status(2, 2);
        (services.state, services.services.state) = (ClusterState::Degraded, State::Starting);
        assert_eq!(Line::of(&services).state, "degraded: services starting; 2 workers ready");
        let mut store = status(2, 2);
        (store.state, store.events.state) = (ClusterState::Degraded, State::Failed);
        store.events.trouble = Some("ended with exit code 1: x\nSTATUS=forged".to_owned());
        assert_eq!(
            Line::of(&store).state,
            "degraded: events failed (ended with exit code 1: x); 2 workers ready"
        );
        let mut one = status(1, 1);
        (one.workers[0].contexts, one.workers[0].sessions) = (1, 0);
        assert_eq!(Line::of(&one).text(), "1 worker ready, 1 repeater, 0 calls");
        assert_eq!(Line::of(&status(1, 127)).text().len(), LONGEST);
    }

    #[test]
    fn a_sign_of_life_comes_twice_in_the_time_that_the_watchdog_gives() {
        let mut notices = Notices::new(Some(Duration::from_secs(4)));
        let ready = status(1, 1);
        assert!(at(&mut notices, 0.0, &ready).unwrap().ends_with("\nWATCHDOG=1\n"));
        assert_eq!(notices.poll_timeout(Duration::ZERO), Duration::from_secs(2));
        assert_eq!(at(&mut notices, 1.9, &ready), None);
        assert_eq!(at(&mut notices, 2.5, &ready).as_deref(), Some("WATCHDOG=1\n"));
        assert_eq!(notices.poll_timeout(Duration::from_secs(3)), Duration::from_millis(4_500));
        assert_eq!(Notices::new(Some(Duration::ZERO)).alive_every, None);
    }

    #[test]
    fn it_looks_again_after_a_while_and_never_at_once() {
        let mut notices = Notices::new(None);
        at(&mut notices, 3.0, &status(1, 1));
        let after = |seconds| notices.poll_timeout(Duration::from_secs(seconds)).as_secs();
        assert_eq!([after(3), after(12), after(13), after(20)], [13, 13, 23, 30]);
    }
}
