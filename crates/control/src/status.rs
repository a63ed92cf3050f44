//! How a cluster is: what `status --json` prints.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The state of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// All in all.
    pub state: ClusterState,
    /// The supervisor's process.
    pub pid: u32,
    /// The software's version.
    pub version: String,
    /// Since the start of the supervisor, in seconds.
    pub uptime_s: u64,
    /// The workers by slot.
    pub workers: Vec<WorkerStatus>,
    /// The services.
    pub services: ServicesStatus,
    /// The registry.
    pub registry: StoreStatus,
    /// The event broker.
    pub events: StoreStatus,
    /// Where each stack listens.
    pub listen: BTreeMap<String, Vec<SocketAddr>>,
    /// Where Prometheus finds the metrics, once the services are ready.
    pub metrics: Option<String>,
}

/// A cluster all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterState {
    /// Not all parts are ready for the first time.
    Starting,
    /// All parts are ready.
    Ready,
    /// Some part that was ready is not.
    Degraded,
    /// It ends.
    Stopping,
}

/// A part of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its process runs and has not said that it is ready; or it is not connected yet.
    Starting,
    /// It does its work.
    Ready,
    /// It does not come round: it hangs, or has no time. It is aborted if that lasts.
    Stalled,
    /// It ends its calls and takes no new ones.
    Draining,
    /// It died, or cannot do its work.
    Failed,
    /// It was ended and stays so.
    Stopped,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its place: 0, 1, ...
    pub slot: u16,
    /// Its node ID.
    pub node: u32,
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// Its state.
    pub state: State,
    /// The core it is pinned to, if any.
    pub cpu: Option<u16>,
    /// The stacks it serves, e.g. `mmdvm`.
    pub stacks: Vec<String>,
    /// Contexts it has.
    pub contexts: u32,
    /// Sessions that run on it.
    pub sessions: u32,
    /// How often it was started again.
    pub restarts: u32,
    /// How many shards it serves.
    #[serde(default)]
    pub shards: u16,
    /// How many rounds of its packet loop took how long, since the start of the cluster: a count for each bucket of
    /// the fabric's loop lag, the longest last.
    #[serde(default)]
    pub lag: Vec<u64>,
    /// How its last process ended, if one has: `signal SIGKILL`, `exit code 3: ` and its last words.
    #[serde(default)]
    pub ended: Option<String>,
    /// What keeps it from doing more than its work, if something does.
    #[serde(default)]
    pub sandbox: Option<String>,
}

/// The services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicesStatus {
    /// Their process, while there is one.
    pub pid: Option<u32>,
    /// Their state.
    pub state: State,
    /// What keeps them from doing more than their work, if something does.
    #[serde(default)]
    pub sandbox: Option<String>,
}

/// A store or broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// As configured, without any password.
    pub url: String,
    /// Where it listens: `host:port`, or the path of a socket. Left out where it is a part of the services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its process, where the supervisor has started one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How often that was started again. Left out where the supervisor does not start it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
    /// Its state, as the services see it, or as its process is. While it is not ready, they go on with the last copy that
    /// they have.
    pub state: State,
    /// What is wrong with it, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl StoreStatus {
    /// Of the one inside the cluster, which is as its services are.
    #[must_use]
    pub fn embedded(state: State) -> Self {
        Self { url: "embedded".to_owned(), address: None, pid: None, restarts: None, state, trouble: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_documented() {
        let store = StoreStatus::embedded(State::Ready);
        let worker = WorkerStatus {
            slot: 0,
            node: 25011,
            pid: None,
            state: State::Draining,
            cpu: Some(1),
            stacks: vec!["mmdvm".to_owned()],
            contexts: 2,
            sessions: 1,
            restarts: 1,
            shards: 64,
            lag: vec![7, 0, 1],
            ended: Some("signal SIGKILL".to_owned()),
            sandbox: None,
        };
        let status = Status {
            state: ClusterState::Degraded,
            pid: 7,
            version: "0.1.0".to_owned(),
            uptime_s: 3,
            workers: vec![worker],
            services: ServicesStatus { pid: Some(8), state: State::Ready, sandbox: None },
            registry: store,
            events: StoreStatus {
                url: "managed".to_owned(),
                address: Some("127.0.0.1:4711".to_owned()),
                pid: Some(9),
                restarts: Some(0),
                state: State::Failed,
                trouble: Some("ended with signal SIGKILL".to_owned()),
            },
            listen: BTreeMap::from([("mmdvm".to_owned(), vec!["127.0.0.1:62031".parse().unwrap()])]),
            metrics: None,
        };
        let json = serde_json::to_string(&status).unwrap();
        let expected = concat!(
            r#"{"state":"degraded","pid":7,"version":"0.1.0","uptime_s":3,"#,
            r#""workers":[{"slot":0,"node":25011,"pid":null,"state":"draining","cpu":1,"stacks":["mmdvm"],"#,
            r#""contexts":2,"sessions":1,"restarts":1,"shards":64,"lag":[7,0,1],"ended":"signal SIGKILL","#,
            r#""sandbox":null}],"#,
            r#""services":{"pid":8,"state":"ready","sandbox":null},"#,
            r#""registry":{"url":"embedded","state":"ready"},"#,
            r#""events":{"url":"managed","address":"127.0.0.1:4711","pid":9,"restarts":0,"state":"failed","#,
            r#""trouble":"ended with signal SIGKILL"},"#,
            r#""listen":{"mmdvm":["127.0.0.1:62031"]},"metrics":null}"#
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }

    #[test]
    fn a_worker_of_an_older_supervisor_is_understood() {
        let json = concat!(
            r#"{"slot":0,"node":25011,"pid":9,"state":"ready","cpu":null,"stacks":["mmdvm"],"#,
            r#""contexts":2,"sessions":1,"restarts":0}"#
        );
        let worker: WorkerStatus = serde_json::from_str(json).unwrap();
        assert_eq!((worker.contexts, worker.shards, worker.lag.len(), worker.ended), (2, 0, 0, None));
    }
}
