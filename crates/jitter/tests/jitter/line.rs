//! A line in simulated time: calls as a far host sends them, jitter buffers at its other end, and what comes out when.

use std::collections::HashMap;
use std::time::Duration;

use dmr::{BurstKind, DataType, FullLc, Sync, VoiceCall};
use jitter::{Buffers, Burst, Health, Output};
use stack::{CallType, Frame, Slot, Time};
use switch::{Forward, SessionId};

/// The node where calls begin.
pub(crate) const NODE: u32 = 25_021;
/// One burst of voice, microseconds.
pub(crate) const BURST_US: u64 = 60_000;
/// Who calls whom.
pub(crate) const SOURCE: u32 = 2_621_370;
pub(crate) const TALKGROUP: u32 = 26_256;
/// The colour code that the talker's bursts have.
pub(crate) const COLOUR_CODE: u8 = 3;

/// A session of [`NODE`].
pub(crate) fn session(key: u64) -> SessionId {
    SessionId { key, node: NODE }
}

/// The vocoder payload of a call's burst, by its number.
pub(crate) fn payload(number: u16) -> [u8; dmr::AMBE_LEN] {
    let [high, low] = number.to_be_bytes();
    let mut payload = [0x5A; dmr::AMBE_LEN];
    payload[..2].copy_from_slice(&[high, low]);
    payload
}

/// A burst that carries this.
pub(crate) fn forward(key: u64, kind: BurstKind, burst: [u8; dmr::BURST_LEN]) -> Forward {
    let (source, destination, call) = (SOURCE, TALKGROUP, CallType::Group);
    let frame = Frame { source, destination, call, kind, sequence: 0, ber: 1, rssi: 90, burst };
    Forward { key, index: 0, slot: Slot::One, options: 0, frame }
}

/// A voice call of so many superframes: header, voice, terminator. Sent at the pace of the air from the moment `sent_ms` of
/// its host's clock on.
pub(crate) fn call(key: u64, superframes: u16, sent_ms: u64) -> Vec<Burst> {
    let lc = FullLc::group(SOURCE, TALKGROUP);
    let bursts = VoiceCall::new(lc, COLOUR_CODE, Sync::MsVoice, (0..6 * superframes).map(payload));
    let burst = |((kind, burst), n): ((BurstKind, _), u64)| Burst {
        sequence: n as u16,
        sent_ms: (sent_ms + 60 * n) as u16,
        forward: forward(key, kind, burst),
    };
    bursts.zip(0..).map(burst).collect()
}

/// So many blocks of data, `gap_ms` apart.
pub(crate) fn data(key: u64, blocks: u16, gap_ms: u16) -> Vec<Burst> {
    let kind = |n| BurstKind::Data(if n == 0 { DataType::DATA_HEADER } else { DataType::RATE_3_4 });
    let burst = |n: u16| Burst {
        sequence: n,
        sent_ms: n.wrapping_mul(gap_ms),
        forward: forward(key, kind(n), [n as u8; dmr::BURST_LEN]),
    };
    (0..blocks).map(burst).collect()
}

/// What came out, and when: microseconds since the line was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub(crate) at: u64,
    pub(crate) output: Output,
}

impl Out {
    pub(crate) fn sequence(&self) -> u8 {
        self.output.forward.frame.sequence
    }
}

/// Jitter buffers, and whoever calls them.
pub(crate) struct Line {
    pub(crate) buffers: Buffers,
    numbers: HashMap<SessionId, u16, rustc_hash::FxBuildHasher>,
    pub(crate) out: Vec<Out>,
    now: u64,
}

impl Line {
    /// Its time begins here.
    const START: u64 = 1_000_000_000;

    pub(crate) fn new() -> Self {
        Self { buffers: Buffers::new(), numbers: HashMap::default(), out: Vec::new(), now: 0 }
    }

    /// A moment, microseconds since the line was made.
    pub(crate) fn time(at: u64) -> Time {
        Time(Self::START + at)
    }

    /// A burst arrives at this moment. What is due before is done before.
    pub(crate) fn arrive(&mut self, at: u64, burst: Burst) {
        self.run_until(at);
        let session = session(burst.forward.key);
        let now = Self::time(at);
        let known = self.numbers.get(&session).copied();
        if !known.is_some_and(|number| self.buffers.push(now, number, session, burst)) {
            let number = self.buffers.find_or_open(now, session).expect("room for a session");
            assert!(self.buffers.push(now, number, session, burst), "a number that was just given is good");
            self.numbers.insert(session, number);
        }
        self.take_outputs();
    }

    /// All of these arrive, at the moments that are told with them.
    pub(crate) fn arrive_all(&mut self, bursts: impl IntoIterator<Item = (u64, Burst)>) {
        bursts.into_iter().for_each(|(at, burst)| self.arrive(at, burst));
    }

    /// Time goes on to this moment.
    pub(crate) fn run_until(&mut self, at: u64) {
        while let Some(due) = self.buffers.poll_timeout().filter(|&due| due <= Self::time(at)) {
            // Who has been woken once for a moment is not woken for it again.
            assert!(due > Self::time(self.now) || self.now == 0, "an alarm for the past: {due:?}");
            self.now = due.0 - Self::START;
            self.buffers.handle_timeout(due);
            self.take_outputs();
        }
        self.now = at;
    }

    /// Time goes on until nothing is waited for.
    pub(crate) fn finish(&mut self) {
        self.run_until(self.now + 60_000_000);
        assert_eq!(self.buffers.poll_timeout(), None);
    }

    /// The low bytes of the sequences that came out, with the milliseconds when.
    pub(crate) fn heard(&self) -> Vec<(u64, u8)> {
        self.out.iter().map(|out| (out.at / 1000, out.sequence())).collect()
    }

    pub(crate) fn health(&self) -> Health {
        self.buffers.health().next().map_or(Health::default(), |(_, health)| health)
    }

    fn take_outputs(&mut self) {
        let at = self.now;
        self.out.extend(std::iter::from_fn(|| self.buffers.poll_output()).map(|output| Out { at, output }));
    }
}

/// The time `late_ms` after a burst of this number would arrive over a path that takes 40 ms.
pub(crate) fn arrival(number: u64, late_ms: u64) -> u64 {
    BURST_US * number + 40_000 + 1000 * late_ms
}

/// Milliseconds.
pub(crate) fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}
