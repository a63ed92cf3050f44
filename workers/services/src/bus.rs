//! Events on their way to whoever listens. A listener that is too slow loses the oldest and is told how many.

use std::collections::BTreeMap;
use std::sync::Arc;

use events::{Event, Record};
use sys::Clocks;
use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};

use crate::mqtt::Broker;

/// Events that may wait for the slowest listener.
const CAPACITY: usize = 4096;

#[derive(Debug)]
pub(crate) struct Bus {
    /// The broker, where one elsewhere hears of events.
    pub(crate) broker: Option<Broker>,
    lines: Sender<Arc<str>>,
    /// Node IDs of the workers, by slot.
    nodes: BTreeMap<u8, u32>,
}

/// A listener's end.
#[derive(Debug)]
pub(crate) struct Listener(Receiver<Arc<str>>);

impl Bus {
    pub(crate) fn new(nodes: BTreeMap<u8, u32>) -> Self {
        Self { broker: None, lines: broadcast::channel(CAPACITY).0, nodes }
    }

    /// There are other workers now.
    pub(crate) fn know(&mut self, nodes: BTreeMap<u8, u32>) {
        if let Some(broker) = &mut self.broker {
            broker.follow(&nodes);
        }
        self.nodes = nodes;
    }

    /// Tells of something that happened now, on a worker or (`None`) in the whole cluster.
    pub(crate) fn emit(&self, worker: Option<u8>, event: Event) {
        if self.lines.receiver_count() == 0 && self.broker.is_none() {
            return;
        }
        let node = match worker {
            Some(slot) => self.nodes.get(&slot),
            None => self.nodes.values().next(),
        };
        let node = node.copied().unwrap_or(0);
        let record = Record { time_us: Clocks::now().wall_us, node, worker: worker.map(u16::from), event };
        if let Ok(mut json) = record.to_json() {
            if let Some(broker) = &self.broker {
                broker.publish(&record, &json);
            }
            json.push('\n');
            let _ = self.lines.send(json.into());
        }
    }

    /// There will be no more events. Returns the broker, which is to be told.
    pub(crate) fn close(&mut self) -> Option<Broker> {
        self.lines = broadcast::channel(1).0;
        self.broker.take()
    }

    pub(crate) fn listen(&self) -> Listener {
        Listener(self.lines.subscribe())
    }
}

impl Listener {
    /// The next line with its end, waited for; `None` when there will be no more.
    pub(crate) async fn next(&mut self) -> Option<Arc<str>> {
        match self.0.recv().await {
            Ok(line) => Some(line),
            Err(RecvError::Lagged(count)) => {
                Some(format!("{{\"Event\":\"Events-Lost\",\"Count\":{count}}}\n").into())
            }
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed() {
        let bus = Bus::new([(0, 25_011), (1, 25_012)].into());
        bus.emit(None, Event::WorkerStarted { pid: 1 });
        let mut listener = bus.listen();
        for pid in 0..5000 {
            bus.emit(Some(1), Event::WorkerStarted { pid });
        }
        drop(bus);
        let mut lines = Vec::new();
        while let Some(line) = listener.next().await {
            lines.push(line);
        }
        assert_eq!(&*lines[0], "{\"Event\":\"Events-Lost\",\"Count\":904}\n");
        assert_eq!(lines.len(), 1 + CAPACITY);
        let ends = r#","Node":25012,"Worker":1,"Event":"Worker-Started","Pid":4999}"#;
        assert!(lines[CAPACITY].trim_end().ends_with(ends), "{}", lines[CAPACITY]);
    }
}
