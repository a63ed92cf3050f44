//! Two nodes of two hosts that know each other, in simulated time: one sends calls to the other.

use std::net::SocketAddr;

use dmr::{BURST_LEN, BurstKind};
use fastforward::{FastForward, Input, MAX_DATAGRAM, NetworkKey, Output, Settings};
use stack::{CallType, Frame, Now, Slot, Time};
use switch::{Forward, Kind, SessionId, SessionReport};
use transport::Address;

use crate::{TRAIN, timed};

const NODES: [u32; 2] = [1000, 2000];
const EPOCH_US: u64 = 1_800_000_000_000_000;
/// Bursts that come so far apart have a datagram each.
const APART_US: u64 = 1_500;
/// Bursts of one datagram are put in within half of the time that they wait for company, and then they go.
const HALF_US: u64 = 500;
/// Less than that after the last burst the next one waits for company.
const SOON_US: u64 = 200;

struct Datagram {
    bytes: [u8; MAX_DATAGRAM],
    len: usize,
}

/// The two, and how late it is.
pub(crate) struct Pair {
    nodes: [FastForward; 2],
    now_us: u64,
    sent: u8,
    datagrams: Vec<Datagram>,
}

fn address(place: usize) -> Address {
    Address::udp(SocketAddr::from(([10, 0, 0, 1 + u8::from(place > 0)], 54_000)))
}

fn talkgroup(call: usize) -> u32 {
    u32::try_from(call).unwrap() + 1
}

impl Pair {
    /// They know each other, and the second one wants all calls of the first.
    pub(crate) fn joined() -> Self {
        let node = |place: usize| {
            FastForward::new(Settings {
                node: NODES[place],
                host: NODES[place],
                nodes: vec![(NODES[place], 54_000)],
                local: address(place),
                keys: vec![NetworkKey::new([7; 32])],
                start: EPOCH_US / 1000,
                seed: [NODES[place].to_le_bytes()[0]; 32],
            })
        };
        let mut pair = Self { nodes: [node(0), node(1)], now_us: 1_000_000, sent: 0, datagrams: Vec::new() };
        let now = pair.now();
        pair.nodes[0].handle_input(now, Input::Host { address: address(1), host: None, is_wanted: true });
        let last = talkgroup(TRAIN - 1);
        pair.nodes[1].handle_input(now, Input::Range { first: talkgroup(0), last, is_wanted: true });
        pair.pass(3_000_000);
        let now = pair.now();
        for call in 0..TRAIN {
            let report = SessionReport {
                session: SessionId { key: key(call), node: NODES[0] },
                context: 1,
                slot: Slot::Two,
                source: 2_621_001,
                destination: talkgroup(call),
                call: CallType::Group,
                kind: Kind::Voice,
                emergency: false,
                bursts: 0,
            };
            let index = u16::try_from(call).unwrap();
            pair.nodes[0].handle_input(now, Input::Started { index, report: &report, goes_out: true });
        }
        pair
    }

    fn now(&self) -> Now {
        Now { mono: Time(self.now_us), wall_us: EPOCH_US + self.now_us }
    }

    /// Lets time pass in which nobody calls.
    fn pass(&mut self, us: u64) {
        const STEP_US: u64 = 5_000;
        for _ in 0..us / STEP_US {
            self.now_us += STEP_US;
            let now = self.now();
            self.nodes.iter_mut().for_each(|node| node.handle_timeout(now));
            for from in [0, 1] {
                let mut bytes = [0; MAX_DATAGRAM];
                while let Some((_, len)) = self.nodes[from].poll_transmit(now, &mut bytes) {
                    let (from, bytes) = (address(from), &mut bytes[..len]);
                    let to = usize::from(from == address(0));
                    self.nodes[to].handle_input(now, Input::Datagram { from, bytes });
                }
            }
            self.nodes.iter_mut().for_each(|node| while node.poll_output().is_some() {});
        }
    }

    /// Carries so many bursts, `together` in a datagram: nanoseconds a burst from the switch to a datagram, and from there to a burst.
    pub(crate) fn carry(&mut self, together: usize, bursts: usize) -> [f64; 2] {
        self.pass(500_000);
        self.datagrams.clear();
        self.datagrams.resize_with(bursts / together, || Datagram { bytes: [0; MAX_DATAGRAM], len: 0 });
        if together > 1 {
            // One that goes alone, so that those behind it wait for company.
            let now = self.now();
            self.nodes[0].handle_input(now, Input::Forward(&forward(0, self.sent)));
            self.deliver(now);
        }
        let mut datagrams = std::mem::take(&mut self.datagrams);
        let out = timed(|| datagrams.iter_mut().for_each(|datagram| self.fill(together, datagram)));
        let mut came = 0;
        let now = self.now();
        let into = timed(|| {
            for Datagram { bytes, len } in &mut datagrams {
                let bytes = &mut bytes[..*len];
                self.nodes[1].handle_input(now, Input::Datagram { from: address(0), bytes });
                while let Some(output) = self.nodes[1].poll_output() {
                    came += usize::from(matches!(output, Output::Burst { .. }));
                }
            }
        });
        assert_eq!(came, bursts, "{:?}", self.nodes[1].counters());
        self.datagrams = datagrams;
        [out, into].map(|ns| ns / bursts as f64)
    }

    /// Bursts of as many calls go into one datagram.
    fn fill(&mut self, together: usize, datagram: &mut Datagram) {
        self.sent = self.sent.wrapping_add(1);
        for call in 0..together {
            if together == 1 {
                self.now_us += APART_US;
            } else if call == 0 {
                self.now_us += SOON_US;
            } else if call == together / 2 {
                self.now_us += HALF_US;
            }
            let now = self.now();
            self.nodes[0].handle_input(now, Input::Forward(&forward(call, self.sent)));
        }
        self.now_us += if together == 1 { 0 } else { HALF_US };
        let now = self.now();
        while let Some((_, len)) = self.nodes[0].poll_transmit(now, &mut datagram.bytes) {
            datagram.len = len;
        }
    }

    /// What the first one has to send goes to the second one, and that is all.
    fn deliver(&mut self, now: Now) {
        let mut bytes = [0; MAX_DATAGRAM];
        while let Some((_, len)) = self.nodes[0].poll_transmit(now, &mut bytes) {
            let bytes = &mut bytes[..len];
            self.nodes[1].handle_input(now, Input::Datagram { from: address(0), bytes });
        }
        while self.nodes[1].poll_output().is_some() {}
    }
}

fn key(call: usize) -> u64 {
    ((EPOCH_US + 4_000_000) << 12) + call as u64
}

fn forward(call: usize, sequence: u8) -> Forward {
    let frame = Frame {
        source: 2_621_001,
        destination: talkgroup(call),
        call: CallType::Group,
        kind: BurstKind::Voice(0),
        sequence,
        ber: 1,
        rssi: 2,
        burst: [sequence; BURST_LEN],
    };
    let index = u16::try_from(call).unwrap();
    Forward { key: key(call), index, slot: Slot::Two, options: 3, frame }
}
