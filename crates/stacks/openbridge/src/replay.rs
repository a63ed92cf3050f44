//! The streams of a peer that are over: what comes of them again is a replay.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

/// How many are remembered of one peer.
pub(crate) const MAX_STREAMS: usize = 4096;

/// The last streams of a peer.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    order: VecDeque<u32>,
    streams: FxHashSet<u32>,
}

impl Replay {
    /// The stream is over; the oldest one is forgotten where there are too many.
    pub(crate) fn remember(&mut self, stream: u32) {
        if !self.streams.insert(stream) {
            return;
        }
        self.order.push_back(stream);
        if self.order.len() > MAX_STREAMS
            && let Some(oldest) = self.order.pop_front()
        {
            self.streams.remove(&oldest);
        }
    }

    pub(crate) fn is_over(&self, stream: u32) -> bool {
        self.streams.contains(&stream)
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let mut replay = Replay::default();
        (0..MAX_STREAMS as u32 + 2).for_each(|stream| replay.remember(stream));
        replay.remember(5);
        assert_eq!(replay.len(), MAX_STREAMS);
        assert!(!replay.is_over(1) && replay.is_over(2) && replay.is_over(MAX_STREAMS as u32 + 1));
        assert_eq!(replay.streams.len(), replay.order.len());
    }
}
