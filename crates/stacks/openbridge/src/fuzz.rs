//! Feeds the shard with arbitrary bytes, for the fuzzer and the tests: datagrams signed and not, settings, time and the other
//! inputs between them. Panics where a promise is broken.

use std::net::SocketAddr;
use std::time::Duration;

use stack::{
    CallType, Frame, Gone, Input, Key, MAX_ENTRIES, Now, Output, PeerSettings, Slot, Stack, Talkgroups, Time,
    delivered,
};

use crate::packet::MAX_LEN;
use crate::replay::MAX_STREAMS;
use crate::{OpenBridge, Settings, Signer};

const CAPACITY: u16 = 12;
/// Room for a record, in bytes.
const RECORD: usize = 448;
/// The most that one input can make: all calls and all peers gone at once, with four outputs each, and a little more.
const MAX_OUTPUTS: usize = 4 * CAPACITY as usize + 8;
const KEY: &str = "fuzz";

struct Run {
    bridge: OpenBridge,
    now: Now,
    signer: Signer,
}

/// Runs the shard with `data`: one byte names the input, what follows is its contents. It ends with the bytes.
#[doc(hidden)]
pub fn fuzz_driver(data: &[u8]) {
    let Some(signer) = Key::new(KEY).and_then(|key| Signer::new(&key)) else { return };
    let mut run = Run { bridge: shard(), now: Now { mono: Time(1_000_000), wall_us: 1 }, signer };
    let mut rest = data;
    while let Some((&op, left)) = rest.split_first() {
        rest = run.step(op, left);
    }
}

fn shard() -> OpenBridge {
    let listen = vec![SocketAddr::from(([127, 0, 0, 1], 62_035))];
    OpenBridge::new(Settings { network: 1, listen, capacity: CAPACITY })
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number & 3], 62_035))
}

impl Run {
    fn step<'a>(&mut self, op: u8, rest: &'a [u8]) -> &'a [u8] {
        let from = address(op >> 6);
        let (&byte, after) = rest.split_first().unwrap_or((&0, rest));
        match op & 15 {
            0..=2 => {
                let (bytes, after) = after.split_at(usize::from(byte).min(after.len()));
                self.datagram(from, bytes);
                return after;
            }
            3..=7 => return self.signed(from, op & 15, after, byte),
            8 | 9 => self.set_peer(op >> 4, byte),
            10 => self.wait(Duration::from_millis(250 * u64::from(byte))),
            11 => self.input(Input::Evict { id: u32::from(byte & 3), keep: None, gone: Gone::Kicked }, 0),
            12 => self.input(Input::Unwanted { context: u16::from(byte), slot: Slot::One }, 0),
            13 => self.hand_over(rest),
            14 => self.deliver(u16::from(byte % CAPACITY as u8)),
            _ if byte > 250 => {
                self.input(Input::Shutdown, 0);
                assert_eq!(self.bridge.load().0, 0);
            }
            _ => self.input(Input::Peer { id: u32::from(byte & 3), settings: None }, 0),
        }
        after
    }

    /// A datagram that is signed rightly, whatever it says.
    fn signed<'a>(&mut self, from: SocketAddr, op: u8, rest: &'a [u8], byte: u8) -> &'a [u8] {
        let (tag, len): (&[u8], usize) = match op {
            3 => (b"DMRD", 53),
            4 => (b"DMRE", if byte & 1 == 0 { 69 } else { 73 }),
            5 => (b"BCVE", 5),
            6 => (b"BCSQ", 11),
            _ => (b"BCKA", 4),
        };
        let (contents, rest) = rest.split_at((len - tag.len()).min(rest.len()));
        let mut bytes = [tag, contents].concat();
        bytes.resize(len, 0);
        if tag == b"DMRE" {
            bytes[55] = if len == 69 { 4 } else { 5 };
        }
        let signature = match tag {
            b"DMRE" => self.signer.sign_enhanced(&bytes).to_vec(),
            b"BCVE" => self.signer.sign(&bytes[4..]).to_vec(),
            _ => self.signer.sign(&bytes).to_vec(),
        };
        bytes.extend(signature);
        self.datagram(from, &bytes);
        rest
    }

    fn set_peer(&mut self, id: u8, byte: u8) {
        let ranges = |wide: bool| if wide { vec![(0, 0xFF_FFFF)] } else { vec![(u32::from(byte), 4000)] };
        let talkgroups = Talkgroups {
            out: ranges(byte & 1 == 0),
            r#in: ranges(byte & 2 == 0),
            renamed: vec![(9, 91), (u32::from(byte), 7)],
        };
        assert!(talkgroups.entries() <= MAX_ENTRIES);
        let Some(key) = Key::new(if byte & 4 == 0 { KEY } else { "another" }) else { return };
        let settings = PeerSettings {
            address: (byte & 8 == 0).then(|| address(id)),
            learns: byte & 16 == 0,
            key,
            own_id: (byte & 64 == 0).then_some(7),
            enhanced: byte & 32 == 0,
            talkgroups,
        };
        self.input(Input::Peer { id: id.into(), settings: Some(Box::new(settings)) }, 0);
    }

    fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.input(Input::Datagram { listener: 0, from, local: None, bytes }, bytes.len());
    }

    fn wait(&mut self, by: Duration) {
        self.now = self.now.after(by);
        if self.bridge.poll_timeout().is_some_and(|at| at <= self.now.mono) {
            self.bridge.handle_timeout(self.now);
            self.drain(MAX_LEN);
        }
        assert!(
            self.bridge.poll_timeout().is_none_or(|at| at > self.now.mono),
            "a time-out that is not served"
        );
    }

    fn deliver(&mut self, context: u16) {
        let kind = dmr::BurstKind::Voice(0);
        let (call, burst) = (CallType::Group, [0; dmr::BURST_LEN]);
        let frame = Frame { source: 1, destination: 2, call, kind, sequence: 0, ber: 0, rssi: 0, burst };
        let now = self.now;
        if let Some(datagram) = delivered(&mut self.bridge, now, context, Slot::Two, 3, &frame) {
            assert!([73, 85, 89].contains(&datagram.bytes().len()));
        }
    }

    /// Another owner takes the shard over; `damage` is also offered as a record.
    fn hand_over(&mut self, damage: &[u8]) {
        let old = std::mem::replace(&mut self.bridge, shard());
        for context in 0..CAPACITY {
            let mut out = [0; RECORD];
            if let Some(len) = old.encode_record(context, &mut out) {
                self.input(Input::Restore { context, bytes: &out[..len] }, 0);
            }
        }
        let ((peers, legs, _), (old_peers, old_legs, _)) = (self.bridge.load(), old.load());
        assert_eq!((peers, legs), (old_peers, old_legs), "lost in a hand-over");
        self.input(Input::Restore { context: 0, bytes: &damage[..damage.len().min(RECORD)] }, 0);
    }

    fn input(&mut self, input: Input<'_>, len: usize) {
        self.bridge.handle_input(self.now, input);
        self.drain(len);
    }

    /// Takes the outputs; what answers a datagram of `len` bytes may not be much longer.
    fn drain(&mut self, len: usize) {
        let (mut outputs, mut sent) = (0, 0);
        while let Some(output) = self.bridge.poll_output() {
            outputs += 1;
            match output {
                Output::Send(datagram) => sent += datagram.bytes().len(),
                Output::Changed(context) | Output::Frame { context, .. } | Output::Up { context, .. } => {
                    assert!(context < CAPACITY);
                }
                _ => {}
            }
        }
        assert!(outputs <= MAX_OUTPUTS, "{outputs} outputs");
        assert!(len == 0 || len == MAX_LEN || sent <= len, "an answer of {sent} bytes to {len}");
        let (peers, legs, streams) = self.bridge.load();
        assert!(peers + legs <= usize::from(CAPACITY) && streams <= peers * MAX_STREAMS);
    }
}
