//! Answers of clusters that are not there, for the tests of model and drawing.

use std::collections::BTreeMap;

use control::{CallInfo, ClusterState, Error, ServicesStatus, State, Status, StoreStatus, WorkerStatus};
use events::RefuseReason;
use uuid::Uuid;

use super::model::{Answers, Model};

/// A cluster of so many workers, the second of which was killed once.
pub(super) fn status(workers: u16) -> Status {
    let store = StoreStatus::embedded(State::Ready);
    let worker = |slot| WorkerStatus {
        slot,
        node: 25_011 + u32::from(slot),
        pid: Some(1_000 + u32::from(slot)),
        state: State::Ready,
        cpu: Some(slot),
        stacks: vec!["mmdvm".to_owned()],
        contexts: 400,
        sessions: 6,
        restarts: u32::from(slot == 1),
        shards: 32,
        lag: vec![100; 9],
        ended: (slot == 1).then(|| "signal SIGKILL".to_owned()),
        sandbox: None,
    };
    Status {
        state: ClusterState::Ready,
        pid: 999,
        version: "0.1.0".to_owned(),
        uptime_s: 3_725,
        workers: (0..workers).map(worker).collect(),
        services: ServicesStatus { pid: Some(998), state: State::Ready, sandbox: None },
        registry: store.clone(),
        events: store,
        listen: BTreeMap::new(),
        metrics: None,
    }
}

/// So many calls, each a second longer than the one before it.
pub(super) fn calls(count: u32) -> Vec<CallInfo> {
    let call = |i: u32| CallInfo {
        session: Uuid::from_u128(i.into()),
        worker: 0,
        node: 25_011,
        context: Some(262_137),
        slot: 2,
        source: 2_621_370 + i,
        destination: 91,
        group: true,
        seconds: f64::from(i) + 0.25,
        refused: (i == 1).then_some(RefuseReason::Taken),
    };
    (0..count).map(call).collect()
}

pub(super) fn model(status: Result<Status, Error>, calls: Result<Vec<CallInfo>, Error>) -> Model {
    let mut model = Model::default();
    model.take(Answers { status, calls });
    model
}
