//! What `bmctl top` knows of a cluster, and what a page of it says: answers go in, words come out. Pure: it asks nobody,
//! reads no clock and knows no terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use control::{CallInfo, ClusterState, Error, State, Status, StoreStatus, WorkerStatus};

use super::lag::p99;
use crate::operate::{whence, word};
use crate::say::clean;

/// One round of answers, or why there are none.
#[derive(Debug)]
pub(super) struct Answers {
    /// The supervisor's.
    pub(super) status: Result<Status, Error>,
    /// The services'.
    pub(super) calls: Result<Vec<CallInfo>, Error>,
}

/// How good it is what a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Neither.
    Plain,
    /// As it should be.
    Good,
    /// On its way.
    Soon,
    /// As it should not be.
    Bad,
}

/// A few words in one tone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Words {
    fn new(text: impl ToString, tone: Tone) -> Self {
        Self { text: text.to_string(), tone }
    }

    fn plain(text: impl ToString) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Headings of the workers' table; the last column takes what room is left.
pub(super) const WORKERS: [&str; 11] = [
    "slot", "node", "pid", "core", "state", "shards", "contexts", "calls", "lag p99", "restarts", "last end",
];
/// Headings of the calls' table.
pub(super) const CALLS: [&str; 8] =
    ["source", "destination", "kind", "from", "slot", "worker", "seconds", "state"];

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The cluster.
    pub(super) head: Vec<Words>,
    /// Its parts, or why nothing is known of them.
    pub(super) body: Result<Body, String>,
}

/// The parts of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Body {
    /// A row each.
    pub(super) workers: Vec<[Words; WORKERS.len()]>,
    /// Services and what they keep.
    pub(super) services: Vec<Words>,
    /// A row each, the longest call first; or why they are not known.
    pub(super) calls: Result<Vec<[Words; CALLS.len()]>, Words>,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Model {
    answers: Option<Answers>,
    /// By slot, the lag between the last two answers.
    lag: BTreeMap<u16, String>,
}

impl Model {
    /// Takes in a round of answers.
    pub(super) fn take(&mut self, answers: Answers) {
        let before = self.answers.take().and_then(|answers| answers.status.ok());
        let before = before.map(|status| status.workers).unwrap_or_default();
        let now = answers.status.as_ref().map(|status| &*status.workers).unwrap_or_default();
        self.lag = now
            .iter()
            .filter_map(|now| {
                let before = before.iter().find(|before| before.slot == now.slot)?;
                Some((now.slot, p99(&before.lag, &now.lag)?))
            })
            .collect();
        self.answers = Some(answers);
    }

    /// What is to be shown now.
    pub(super) fn page(&self) -> Page {
        let Some(Answers { status, calls }) = &self.answers else {
            return Page { head: vec![Words::plain("asking the cluster")], body: Err(String::new()) };
        };
        match status {
            Ok(status) => Page { head: head(status), body: Ok(self.body(status, calls)) },
            Err(error) => {
                let what = if matches!(error, Error::NotRunning { .. }) { "no cluster" } else { "no answer" };
                let head = vec![Words::new(what, Tone::Bad), Words::plain("asking again each second")];
                Page { head, body: Err(clean(&error.to_string())) }
            }
        }
    }

    fn body(&self, status: &Status, calls: &Result<Vec<CallInfo>, Error>) -> Body {
        let pid = status.services.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let state = |state| Words::new(word(&state), tone(state));
        Body {
            workers: status.workers.iter().map(|worker| self.worker(worker)).collect(),
            services: vec![
                Words::plain(format!("services  pid {pid}")),
                state(status.services.state),
                Words::plain(format!("registry{}", process(&status.registry))),
                state(status.registry.state),
                Words::plain(format!("events{}", process(&status.events))),
                state(status.events.state),
            ],
            calls: match calls {
                Ok(calls) => Ok(sorted(calls).into_iter().map(call).collect()),
                Err(error) => Err(Words::new(format!("calls: {}", clean(&error.to_string())), Tone::Bad)),
            },
        }
    }

    fn worker(&self, worker: &WorkerStatus) -> [Words; WORKERS.len()] {
        let or = |number: Option<u32>, none: &str| number.map_or_else(|| none.to_owned(), |n| n.to_string());
        let ended = worker.ended.as_deref().unwrap_or("-");
        [
            Words::plain(worker.slot),
            Words::plain(worker.node),
            Words::plain(or(worker.pid, "-")),
            Words::plain(or(worker.cpu.map(u32::from), "any")),
            Words::new(word(&worker.state), tone(worker.state)),
            Words::plain(worker.shards),
            Words::plain(worker.contexts),
            Words::plain(worker.sessions),
            Words::plain(self.lag.get(&worker.slot).map_or("-", String::as_str)),
            Words::plain(worker.restarts),
            // Its last words may be several lines.
            Words::plain(clean(&ended.strip_prefix("signal ").unwrap_or(ended).replace('\n', " "))),
        ]
    }
}

/// What the supervisor has started for a store or broker: its pid, and how often it was started again if it was.
fn process(store: &StoreStatus) -> String {
    let Some(restarts) = store.restarts else { return String::new() };
    let pid = store.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let restarts = if restarts > 0 { format!(" restarts {restarts}") } else { String::new() };
    format!(" pid {pid}{restarts}")
}

fn head(status: &Status) -> Vec<Words> {
    let tone = match status.state {
        ClusterState::Ready => Tone::Good,
        ClusterState::Starting | ClusterState::Stopping => Tone::Soon,
        ClusterState::Degraded => Tone::Bad,
    };
    let sum =
        |of: fn(&WorkerStatus) -> u32| status.workers.iter().map(|worker| u64::from(of(worker))).sum::<u64>();
    let uptime = humantime::format_duration(Duration::from_secs(status.uptime_s));
    vec![
        Words::new(word(&status.state), tone),
        Words::plain(format!("pid {}", status.pid)),
        Words::plain(format!("version {}", clean(&status.version))),
        Words::plain(format!("up {uptime}")),
        Words::plain(format!("contexts {}", sum(|worker| worker.contexts))),
        Words::plain(format!("calls {}", sum(|worker| worker.sessions))),
    ]
}

fn tone(state: State) -> Tone {
    match state {
        State::Ready => Tone::Good,
        State::Starting | State::Draining => Tone::Soon,
        State::Stalled | State::Failed | State::Stopped => Tone::Bad,
    }
}

/// The longest first: a call keeps its place until one above it ends.
fn sorted(calls: &[CallInfo]) -> Vec<&CallInfo> {
    let mut calls: Vec<&CallInfo> = calls.iter().collect();
    calls.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then(a.session.cmp(&b.session)));
    calls
}

fn call(call: &CallInfo) -> [Words; CALLS.len()] {
    let state = match call.refused {
        Some(why) => Words::new(format!("refused: {why}"), Tone::Soon),
        None => Words::plain("carried"),
    };
    [
        Words::plain(call.source),
        Words::plain(call.destination),
        Words::plain(if call.group { "group" } else { "private" }),
        Words::plain(whence(call)),
        Words::plain(call.slot),
        Words::plain(call.worker),
        Words::plain(format!("{:.1}", call.seconds)),
        state,
    ]
}

#[cfg(test)]
mod tests {
    use super::super::example::{calls, model, status};
    use super::*;

    fn text(words: &[Words]) -> String {
        words.iter().map(|words| &*words.text).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn a_page_of_a_cluster() {
        let page = model(Ok(status(2)), Ok(calls(2))).page();
        assert_eq!(text(&page.head), "ready|pid 999|version 0.1.0|up 1h 2m 5s|contexts 800|calls 12");
        assert_eq!((page.head[0].tone, page.head[1].tone), (Tone::Good, Tone::Plain));
        let body = page.body.unwrap();
        assert_eq!(text(&body.workers[0]), "0|25011|1000|0|ready|32|400|6|-|0|-");
        assert_eq!(text(&body.workers[1]), "1|25012|1001|1|ready|32|400|6|-|1|SIGKILL");
        assert_eq!(text(&body.services), "services  pid 998|ready|registry|ready|events|ready");
        let calls = body.calls.unwrap();
        assert_eq!(
            text(&calls[0]),
            "2621371|91|group|262137|2|0|1.2|refused: somebody else talks on it",
            "the longest first"
        );
        assert_eq!(text(&calls[1]), "2621370|91|group|262137|2|0|0.2|carried");
    }

    #[test]
    fn what_is_not_as_it_should_be_says_so() {
        let mut bad = status(1);
        bad.state = ClusterState::Degraded;
        let worker = &mut bad.workers[0];
        (worker.pid, worker.cpu, worker.state) = (None, None, State::Failed);
        worker.ended = Some("exit code 70: panicked at x:\n\u{1b}[2Jlost".to_owned());
        (bad.registry.restarts, bad.registry.state) = (Some(3), State::Failed);
        let page = model(Ok(bad), Err(Error::NoServices { dir: "/run/bmctl".into() })).page();
        assert_eq!((&*page.head[0].text, page.head[0].tone), ("degraded", Tone::Bad));
        let body = page.body.unwrap();
        let expected = "0|25011|-|any|failed|32|400|6|-|0|exit code 70: panicked at x: [2Jlost";
        assert_eq!((&*text(&body.workers[0]), body.workers[0][4].tone), (expected, Tone::Bad));
        assert_eq!(
            text(&body.services),
            "services  pid 998|ready|registry pid - restarts 3|failed|events|ready"
        );
        assert_eq!(body.services[3].tone, Tone::Bad);
        let calls = body.calls.unwrap_err();
        assert_eq!(calls.tone, Tone::Bad);
        assert!(calls.text.starts_with("calls: the services of /run/bmctl do not run now"), "{}", calls.text);
    }

    #[test]
    fn no_cluster_and_its_return() {
        assert_eq!(text(&Model::default().page().head), "asking the cluster");
        let mut model = model(Ok(status(1)), Ok(vec![]));
        model.take(Answers { status: Err(Error::NotRunning { dir: "/x".into() }), calls: Ok(vec![]) });
        let page = model.page();
        assert_eq!(
            (text(&page.head).as_str(), page.head[0].tone),
            ("no cluster|asking again each second", Tone::Bad)
        );
        assert_eq!(page.body.unwrap_err(), "no supervisor runs on /x: start one with `bmctl start`");
        let late = Error::TimedOut { path: "/x/control.sock".into(), timeout: Duration::from_secs(1) };
        model.take(Answers { status: Err(late), calls: Ok(vec![]) });
        assert!(text(&model.page().head).starts_with("no answer|"));
        model.take(Answers { status: Ok(status(1)), calls: Ok(vec![]) });
        let body = model.page().body.unwrap();
        assert_eq!(body.workers[0][8].text, "-", "no interval yet");
    }

    #[test]
    fn lag_is_that_of_the_last_interval() {
        let mut model = model(Ok(status(2)), Ok(vec![]));
        let mut next = status(2);
        next.workers[0].lag[2] += 1_000;
        next.workers[1].lag[0] = 0;
        model.take(Answers { status: Ok(next.clone()), calls: Ok(vec![]) });
        let lag = |model: &Model| {
            let workers = model.page().body.unwrap().workers;
            workers.iter().map(|worker| worker[8].text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(lag(&model), ["250 us", "-"], "counts that have begun anew say nothing");
        model.take(Answers { status: Ok(next), calls: Ok(vec![]) });
        assert_eq!(lag(&model), ["-", "-"], "no round since");
    }
}
