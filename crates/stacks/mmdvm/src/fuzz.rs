//! Feeds a shard with arbitrary bytes, for the fuzzer and the tests: datagrams from a few addresses, with
//! answers, time and the other inputs between them. Panics where a promise is broken.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use dmr::{BURST_LEN, BurstKind, DataType};
use stack::{
    Access, Answer, Ask, CallAccess, CallType, DeviceSettings, Frame, Gone, Input, Login, Now, Output, Slot,
    Stack, Verdict, delivered,
};

use crate::pending::MAX_PENDING;
use crate::{Dialect, Mmdvm, Settings, parse};

const CAPACITY: u16 = 4;

/// Room for a record, in bytes.
const RECORD: usize = 448;

/// The most that one input can make: all contexts gone at once, with four outputs each, and a little more.
const MAX_OUTPUTS: usize = 4 * CAPACITY as usize + 8;

struct Run {
    mmdvm: Mmdvm,
    now: Now,
    asked: VecDeque<Login>,
}

/// Runs a shard with `data`: one byte names the input, what follows is its contents. It ends with the bytes.
#[doc(hidden)]
pub fn fuzz_driver(data: &[u8]) {
    let mut run = Run { mmdvm: shard(), now: Now::default(), asked: VecDeque::new() };
    let mut rest = data;
    while let Some((&op, left)) = rest.split_first() {
        rest = run.step(op, left);
    }
}

/// A shard without contexts that lets most in.
fn shard() -> Mmdvm {
    Mmdvm::new(Settings {
        salt_key: [1; 32],
        capacity: CAPACITY,
        devices: Access { allow: vec![], deny: vec![(7, 99)] },
        call_signs: CallAccess { allow: vec![], deny: vec!["X*".to_owned()] },
    })
}

/// The names of the text dialect and one that only a master sends.
const NAMES: [&[u8]; 10] = [
    b"RPTL", b"RPTK", b"RPTC", b"RPTCL", b"RPTO", b"RPTPING", b"MSTPING", b"RPTRSSI", b"RPTINTR", b"RPTSBKN",
];

impl Run {
    fn step<'a>(&mut self, op: u8, rest: &'a [u8]) -> &'a [u8] {
        let from = SocketAddr::from(([192, 0, 2, op >> 6], 62_031));
        let (&byte, after) = rest.split_first().unwrap_or((&0, rest));
        match op & 15 {
            // A burst's length comes in one byte; a configuration's in one byte with an offset.
            0..=6 => {
                let len = usize::from(byte) + if op & 15 == 6 { 256 } else { 0 };
                let (bytes, after) = after.split_at(len.min(after.len()));
                self.datagram(from, bytes);
                return after;
            }
            7 | 8 => self.answer(Verdict::Accepted { settings: settings([vec![u32::from(byte)], vec![91]]) }),
            9 => self.answer(Verdict::Refused { tell: byte & 1 == 0 }),
            10 => self.wait(Duration::from_millis(250 * u64::from(byte))),
            11 => {
                let keep = (byte & 1 == 0).then_some(from);
                let id = self.asked.back().map_or(0, |login| login.id);
                self.input(
                    Input::Evict { id, keep, gone: [Gone::Kicked, Gone::Replaced][usize::from(byte >> 7)] },
                    None,
                );
            }
            12 => {
                let id = self.asked.back().map_or(0, |login| login.id);
                let many: Vec<u32> = (0..u32::from(byte)).collect();
                let settings = DeviceSettings {
                    statics: [vec![u32::from(byte)], many.clone()],
                    blocked: many,
                    single: byte & 1 == 1,
                };
                self.input(Input::Settings { id, settings }, None);
            }
            13 => self.hand_over(rest),
            14 => self.deliver(u16::from(byte)),
            _ if byte > 250 => {
                self.input(Input::Shutdown, None);
                assert_eq!(self.mmdvm.load().0, 0);
            }
            _ => return self.text(from, byte, after),
        }
        after
    }

    /// A datagram of the text dialect that is nearly right: a name and an ID, then what follows as it is, or as
    /// digits.
    fn text<'a>(&mut self, from: SocketAddr, byte: u8, rest: &'a [u8]) -> &'a [u8] {
        let (&len, rest) = rest.split_first().unwrap_or((&0, rest));
        let (contents, rest) = rest.split_at(usize::from(len).min(rest.len()));
        let mut bytes = NAMES[usize::from(byte) % NAMES.len()].to_vec();
        bytes.extend(format!("{:08x}", 2_623_266 + u32::from(byte >> 7)).bytes());
        if byte & 0x40 == 0 {
            bytes.extend(contents);
            // No length byte is long enough for a configuration.
            if bytes.starts_with(b"RPTC") && bytes.get(4) != Some(&b'L') {
                bytes.resize(306, b'0');
            }
        } else {
            contents.iter().for_each(|byte| bytes.extend(format!("{byte:02X}").bytes()));
        }
        self.datagram(from, &bytes);
        rest
    }

    fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.input(Input::Datagram { listener: 0, from, local: None, bytes }, Some(bytes));
    }

    fn answer(&mut self, verdict: Verdict) {
        if let Some(Login { id, from, .. }) = self.asked.pop_front() {
            self.input(Input::Answer(Answer::Login { id, from, verdict }), None);
        }
    }

    fn wait(&mut self, by: Duration) {
        self.now = self.now.after(by);
        if self.mmdvm.poll_timeout().is_some_and(|at| at <= self.now.mono) {
            self.mmdvm.handle_timeout(self.now);
            self.drain(None);
        }
        assert!(
            self.mmdvm.poll_timeout().is_none_or(|at| at > self.now.mono),
            "a time-out that is not served"
        );
    }

    fn deliver(&mut self, context: u16) {
        let frame = Frame {
            source: 1,
            destination: 2,
            call: CallType::Group,
            kind: BurstKind::Data(DataType::CSBK),
            sequence: 0,
            ber: 0,
            rssi: 0,
            burst: [0; BURST_LEN],
        };
        let datagram = delivered(&mut self.mmdvm, self.now, context, Slot::Two, 3, &frame);
        assert_eq!(
            datagram.is_some(),
            self.mmdvm.table.get(context).is_some_and(|context| context.is_running())
        );
    }

    /// Another owner takes the shard over; `damage` is also offered as a record.
    fn hand_over(&mut self, damage: &[u8]) {
        let old = std::mem::replace(&mut self.mmdvm, shard());
        for context in 0..CAPACITY {
            let mut out = [0; RECORD];
            if let Some(len) = old.encode_record(context, &mut out) {
                self.input(Input::Restore { context, bytes: &out[..len] }, None);
            }
        }
        assert_eq!(self.mmdvm.load().0, old.load().0, "contexts lost in a hand-over");
        self.input(Input::Restore { context: 0, bytes: &damage[..damage.len().min(RECORD)] }, None);
    }

    fn input(&mut self, input: Input<'_>, request: Option<&[u8]>) {
        self.mmdvm.handle_input(self.now, input);
        self.drain(request);
    }

    /// Takes the outputs; the answers to a datagram may not be much longer than it, and speak its dialect.
    fn drain(&mut self, request: Option<&[u8]>) {
        let (mut outputs, mut sends) = (0, 0);
        let text = request.and_then(|bytes| parse(bytes).ok()?.1) == Some(Dialect::Text);
        while let Some(output) = self.mmdvm.poll_output() {
            outputs += 1;
            match output {
                Output::Send(datagram) => {
                    sends += 1;
                    let bytes = datagram.bytes();
                    // A salt as text comes with the ID.
                    let more = if text && bytes.starts_with(b"MSTACK") && bytes.len() == 22 { 10 } else { 2 };
                    let longest = request.map_or(55, |request| request.len() + more);
                    assert!(bytes.len() <= longest, "an answer that amplifies");
                    assert!(!text || bytes.is_ascii(), "an answer in the wrong dialect");
                }
                Output::Ask(ask) => {
                    let Ask::Login(login) = *ask;
                    self.asked.push_back(login);
                    self.asked.truncate(MAX_PENDING);
                }
                Output::Changed(context) => assert!(context < CAPACITY),
                Output::Up { profile, .. } => {
                    assert!(profile.statics.iter().all(|list| list.len() <= stack::MAX_TALKGROUPS));
                    assert!(profile.blocked.len() <= stack::MAX_BLOCKED);
                    assert!(profile.dynamic_minutes.is_none_or(|minutes| (1..=1440).contains(&minutes)));
                }
                _ => {}
            }
        }
        assert!(outputs <= MAX_OUTPUTS, "{outputs} outputs");
        assert!(request.is_none() || sends <= 1, "{sends} answers");
        let (contexts, pending) = self.mmdvm.load();
        assert!(contexts <= usize::from(CAPACITY) && pending <= MAX_PENDING);
    }
}

fn settings(statics: [Vec<u32>; 2]) -> DeviceSettings {
    DeviceSettings { statics, ..DeviceSettings::default() }
}
