//! Between a worker and the services: messages of a queue, in postcard.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stack::{Answer, Ask, Gone, Notice};
use std::net::SocketAddr;
use switch::{Ended, SessionReport};

/// From a worker to the services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// A stack asks.
    Ask {
        /// Its shard.
        shard: u16,
        /// What.
        ask: Ask,
    },
    /// A stack has something worth an event.
    Notice {
        /// Its shard.
        shard: u16,
        /// What.
        notice: Notice,
    },
    /// A session began here.
    Started(SessionReport),
    /// A session that began here has ended.
    Stopped {
        /// What it was.
        report: SessionReport,
        /// Why.
        ended: Ended,
    },
}

/// From the services to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// The answer to an ask of a shard.
    Answer {
        /// The shard that asked.
        shard: u16,
        /// What was found.
        answer: Answer,
    },
    /// The contexts of this ID go, but for the one at `keep`.
    Evict {
        /// The ID.
        id: u32,
        /// The login that stays.
        keep: Option<SocketAddr>,
        /// Why.
        gone: Gone,
    },
    /// The registry's static talkgroups of a device have changed.
    Statics {
        /// The device.
        id: u32,
        /// Static talkgroups of TS1 and TS2.
        statics: [Vec<u32>; 2],
    },
}

/// Encodes a message into `out`; `None` where it does not fit.
pub fn write<'a, T: Serialize>(message: &T, out: &'a mut [u8]) -> Option<&'a [u8]> {
    postcard::to_slice(message, out).ok().map(|used| &*used)
}

/// Decodes a message; `None` for what is none.
#[must_use]
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack::{MAX_TALKGROUPS, Verdict};

    #[test]
    fn the_longest_answer_fits_a_queue() {
        let statics = [vec![u32::MAX; MAX_TALKGROUPS], vec![u32::MAX; MAX_TALKGROUPS]];
        let from = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
        let answer = Answer::Login { id: u32::MAX, from, verdict: Verdict::Accepted { statics } };
        let order = Order::Answer { shard: u16::MAX, answer };
        let mut buffer = [0; 504];
        let bytes = write(&order, &mut buffer).unwrap();
        assert_eq!(read::<Order>(bytes), Some(order));
        assert_eq!(read::<Order>(&[250]), None);
    }
}
