//! Orders for one worker: its queue, and what has found no room there yet.
//!
//! Answers that wait are bounded, since a device asks again; so are an operator's orders to end something.
//! Evictions, changes of talkgroups, bans and other hosts are never dropped: they are kept by ID or address, and the newest
//! replaces the one before.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use channel::Order;
use fabric::{MAX_MESSAGE, QueueWriter};

/// Answers and orders to end something that may wait; beyond, the oldest goes.
const MAX_ANSWERS: usize = 1024;

#[derive(Debug)]
pub(crate) struct Orders {
    queue: QueueWriter,
    answers: VecDeque<Order>,
    evictions: BTreeMap<u32, Order>,
    settings: BTreeMap<u32, Order>,
    bans: BTreeMap<u32, Order>,
    /// By shard and network ID.
    peers: BTreeMap<(u16, u32), Order>,
    host_keys: BTreeMap<u32, Order>,
    overridden: BTreeMap<u32, Order>,
    hosts: BTreeMap<SocketAddr, Order>,
}

impl Orders {
    pub(crate) fn new(queue: QueueWriter) -> Self {
        let [evictions, settings, bans, host_keys, overridden] = [const { BTreeMap::new() }; 5];
        let (answers, peers, hosts) = (VecDeque::new(), BTreeMap::new(), BTreeMap::new());
        Self { queue, answers, evictions, settings, bans, peers, host_keys, overridden, hosts }
    }

    /// Sends an order, now or when there is room. True where the worker has something to read.
    pub(crate) fn send(&mut self, order: Order) -> bool {
        if self.is_behind() {
            self.keep(order);
            return self.flush();
        }
        let sent = push(&mut self.queue, &order);
        if !sent {
            self.keep(order);
        }
        sent
    }

    /// Sends what waits, as far as there is room. True where the worker has something to read.
    pub(crate) fn flush(&mut self) -> bool {
        let mut sent = false;
        // Answers first: an eviction that came after one must find the login that it is about.
        while let Some(order) = self.answers.front() {
            if !push(&mut self.queue, order) {
                return sent;
            }
            self.answers.pop_front();
            sent = true;
        }
        let queue = &mut self.queue;
        let all = [&mut self.evictions, &mut self.settings, &mut self.bans];
        let is_done = all.into_iter().all(|kept| flush(queue, kept, &mut sent));
        if is_done
            && flush(queue, &mut self.peers, &mut sent)
            && flush(queue, &mut self.host_keys, &mut sent)
            && flush(queue, &mut self.overridden, &mut sent)
        {
            flush(queue, &mut self.hosts, &mut sent);
        }
        sent
    }

    fn is_behind(&self) -> bool {
        let kept = [&self.evictions, &self.settings, &self.bans, &self.host_keys, &self.overridden];
        let by_more = !self.peers.is_empty() || !self.hosts.is_empty();
        !self.answers.is_empty() || kept.iter().any(|kept| !kept.is_empty()) || by_more
    }

    fn keep(&mut self, order: Order) {
        match order {
            Order::Answer { .. } | Order::DropCall { .. } | Order::DropDynamic { .. } => {
                if self.answers.len() >= MAX_ANSWERS {
                    self.answers.pop_front();
                }
                self.answers.push_back(order);
            }
            Order::Evict { id, .. } => {
                self.evictions.insert(id, order);
            }
            Order::Settings { id, .. } => {
                self.settings.insert(id, order);
            }
            Order::Ban { radio, .. } => {
                self.bans.insert(radio, order);
            }
            Order::Peer { shard, id, .. } => {
                self.peers.insert((shard, id), order);
            }
            Order::HostKey { host, .. } => {
                self.host_keys.insert(host, order);
            }
            Order::OverriddenNode { node, .. } => {
                self.overridden.insert(node, order);
            }
            Order::Host { address, .. } => {
                self.hosts.insert(address, order);
            }
        }
    }
}

/// Sends what is kept, as far as there is room, and notes whether anything was sent. True where that is all.
fn flush<K: Ord>(queue: &mut QueueWriter, kept: &mut BTreeMap<K, Order>, sent: &mut bool) -> bool {
    while let Some(first) = kept.first_entry() {
        if !push(queue, first.get()) {
            return false;
        }
        first.remove();
        *sent = true;
    }
    true
}

/// False where there is no room.
fn push(queue: &mut QueueWriter, order: &Order) -> bool {
    let mut buffer = [0; MAX_MESSAGE];
    // The longest order fits a message: the channel's own test says so.
    channel::write(order, &mut buffer).is_none_or(|bytes| queue.push(bytes))
}

#[cfg(test)]
mod tests {
    use fabric::{QueueReader, QueueSegment};
    use stack::{Answer, Gone, Verdict};

    use super::*;

    fn answer(id: u32) -> Order {
        let from = "192.0.2.1:1".parse().unwrap();
        Order::Answer {
            shard: 0,
            answer: Answer::Login { id, from, verdict: Verdict::Refused { tell: true } },
        }
    }

    fn evict(id: u32, port: u16) -> Order {
        Order::Evict { id, keep: Some(([192, 0, 2, 1], port).into()), gone: Gone::Replaced }
    }

    fn host(is_wanted: bool) -> Order {
        Order::Host { address: ([192, 0, 2, 7], 54_000).into(), host: None, is_wanted }
    }

    fn read(queue: &mut QueueReader) -> Option<Order> {
        let mut buffer = [0; MAX_MESSAGE];
        let len = queue.peek(&mut buffer)?;
        queue.pop();
        channel::read(&buffer[..len])
    }

    #[test]
    fn what_finds_no_room_is_kept_and_sent_later() {
        let segment = QueueSegment::create().unwrap();
        let mut reader = QueueReader::open(segment.writable()).unwrap();
        let mut orders = Orders::new(QueueWriter::open(segment.writable()).unwrap());
        let mut sent = 0;
        while orders.send(answer(sent)) {
            sent += 1;
        }
        for n in 0..3000 {
            assert!(!orders.send(evict(n, 1)));
            assert!(!orders.send(answer(n)));
            assert!(!orders.send(Order::Ban { radio: n, until_ms: 1 }));
            assert!(!orders.send(host(n.is_multiple_of(2))));
        }
        assert!(!orders.send(evict(7, 2)));
        assert!(!orders.send(Order::Ban { radio: 8, until_ms: 0 }));
        for n in 0..sent {
            assert_eq!(read(&mut reader), Some(answer(n)));
        }
        let mut got = Vec::new();
        while orders.flush() {
            got.extend(std::iter::from_fn(|| read(&mut reader)));
        }
        // All evictions and bans, the newest of each ID; of the answers the newest.
        assert_eq!(got[..1024], (1976..3000).map(answer).collect::<Vec<_>>());
        assert_eq!(got.len(), 1024 + 3000 + 3000 + 1);
        assert_eq!(got[1024 + 3000 + 3000], host(false));
        assert_eq!(got[1024 + 7], evict(7, 2));
        assert_eq!(got[4024 + 8], Order::Ban { radio: 8, until_ms: 0 });
        assert!(orders.send(answer(1)) && !orders.is_behind());
    }

    #[test]
    fn nothing_overtakes_what_waits() {
        let segment = QueueSegment::create().unwrap();
        let mut reader = QueueReader::open(segment.writable()).unwrap();
        let mut orders = Orders::new(QueueWriter::open(segment.writable()).unwrap());
        while orders.send(answer(0)) {}
        orders.send(evict(1, 1));
        while read(&mut reader).is_some() {}
        assert!(orders.send(evict(1, 2)));
        assert_eq!(read(&mut reader), Some(answer(0)));
        assert_eq!(read(&mut reader), Some(evict(1, 2)));
        assert_eq!(read(&mut reader), None, "the older eviction is void");
    }
}
