//! What a node has to tell and the broker has not taken yet. The oldest is dropped where there is no room, and
//! counted; the number is told in its place.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};

use events::{Event, Record};
use tokio::sync::Notify;
use uuid::Uuid;

/// Events that may wait.
const CAPACITY: usize = 1024;

/// An event as it is published.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) topic: String,
    pub(super) json: String,
    /// The session that it says to begin.
    begins: Option<Uuid>,
}

/// What is to be told next.
#[derive(Debug)]
pub(super) enum Next {
    /// An event, to be confirmed by its number with [`Outbox::told`].
    Event(u64, Entry),
    /// So many events are missing here; to be confirmed with [`Outbox::told_lost`].
    Lost(u64),
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// What goes on since before the connection, told before all else.
    running: RefCell<VecDeque<(u64, Entry)>>,
    queue: RefCell<VecDeque<(u64, Entry)>>,
    /// The last entry's number.
    last: Cell<u64>,
    /// Since the start.
    dropped: Cell<u64>,
    /// Of these, those that the broker has not been told of.
    untold: Cell<u64>,
    closed: Cell<bool>,
    changed: Notify,
}

impl Entry {
    pub(super) fn new(record: &Record, json: String) -> Self {
        let begins = match &record.event {
            Event::SessionStart { session, .. } => Some(session.session_id),
            _ => None,
        };
        Self { topic: record.topic(), json, begins }
    }
}

impl Outbox {
    pub(super) fn push(&self, entry: Entry) {
        let mut queue = self.queue.borrow_mut();
        if queue.len() >= CAPACITY {
            queue.pop_front();
            self.lost(1);
        }
        queue.push_back((self.number(), entry));
        self.changed.notify_one();
    }

    /// A connection begins: these go on, and are told before what waits.
    pub(super) fn resume(&self, running: Vec<Entry>) {
        *self.running.borrow_mut() = running.into_iter().map(|entry| (self.number(), entry)).collect();
        self.changed.notify_one();
    }

    /// The sessions whose beginning waits.
    pub(super) fn beginning(&self) -> BTreeSet<Uuid> {
        self.queue.borrow().iter().filter_map(|(_, entry)| entry.begins).collect()
    }

    /// What is to be told next, waited for; `None` once it is closed and empty.
    pub(super) async fn next(&self) -> Option<Next> {
        loop {
            let front = |queue: &RefCell<VecDeque<_>>| queue.borrow().front().cloned();
            if let Some((number, entry)) = front(&self.running) {
                return Some(Next::Event(number, entry));
            }
            if self.untold.get() > 0 {
                return Some(Next::Lost(self.untold.get()));
            }
            if let Some((number, entry)) = front(&self.queue) {
                return Some(Next::Event(number, entry));
            }
            if self.closed.get() {
                return None;
            }
            self.changed.notified().await;
        }
    }

    /// The event was told.
    pub(super) fn told(&self, number: u64) {
        for queue in [&self.running, &self.queue] {
            let mut queue = queue.borrow_mut();
            // It may have been dropped meanwhile.
            if queue.front().is_some_and(|(front, _)| *front == number) {
                queue.pop_front();
            }
        }
    }

    /// That so many are missing was told.
    pub(super) fn told_lost(&self, count: u64) {
        self.untold.set(self.untold.get().saturating_sub(count));
    }

    /// So many are missing.
    pub(super) fn lost(&self, count: u64) {
        self.dropped.set(self.dropped.get() + count);
        self.untold.set(self.untold.get() + count);
    }

    /// How many were dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.changed.notify_one();
    }

    /// Waits for [`Self::close`].
    pub(super) async fn closed(&self) {
        while !self.closed.get() {
            self.changed.notified().await;
        }
    }

    fn number(&self) -> u64 {
        self.last.set(self.last.get() + 1);
        self.last.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pid: u32) -> Entry {
        let event = Event::WorkerStarted { pid };
        let record = Record { time_us: 1, node: 1, worker: Some(0), event };
        Entry::new(&record, pid.to_string())
    }

    async fn tell(outbox: &Outbox) -> String {
        match outbox.next().await {
            Some(Next::Event(number, entry)) => {
                outbox.told(number);
                entry.json
            }
            Some(Next::Lost(count)) => {
                outbox.told_lost(count);
                format!("{count} lost")
            }
            None => "closed".to_owned(),
        }
    }

    #[tokio::test]
    async fn the_oldest_are_dropped_and_told_as_a_number_in_their_place() {
        let outbox = Outbox::default();
        (0..1030).for_each(|pid| outbox.push(entry(pid)));
        assert_eq!((tell(&outbox).await, tell(&outbox).await), ("6 lost".to_owned(), "6".to_owned()));
        (1030..1032).for_each(|pid| outbox.push(entry(pid)));
        assert_eq!((tell(&outbox).await, tell(&outbox).await), ("1 lost".to_owned(), "8".to_owned()));
        assert_eq!(outbox.dropped(), 7);
        outbox.close();
        for pid in 9..1032 {
            assert_eq!(tell(&outbox).await, pid.to_string());
        }
        assert_eq!(tell(&outbox).await, "closed");
    }

    #[tokio::test]
    async fn what_was_dropped_while_it_was_told_takes_no_other_with_it() {
        let outbox = Outbox::default();
        (0..1024).for_each(|pid| outbox.push(entry(pid)));
        let Some(Next::Event(number, _)) = outbox.next().await else { panic!() };
        outbox.push(entry(1024));
        outbox.told(number);
        assert_eq!((tell(&outbox).await, tell(&outbox).await), ("1 lost".to_owned(), "1".to_owned()));
    }

    #[tokio::test]
    async fn what_goes_on_is_told_first_and_never_dropped() {
        let outbox = Outbox::default();
        (0..1024).for_each(|pid| outbox.push(entry(pid)));
        outbox.resume(vec![entry(5001), entry(5002)]);
        outbox.push(entry(1024));
        let mut told = Vec::new();
        for _ in 0..4 {
            told.push(tell(&outbox).await);
        }
        assert_eq!(told, ["5001", "5002", "1 lost", "1"]);
    }
}
