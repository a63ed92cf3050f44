//! Feeds a shard with arbitrary bytes, for the fuzzer and the tests: datagrams from a few addresses, with
//! answers, time and the other inputs between them. Panics where a promise is broken.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use dmr::{BURST_LEN, BurstKind, DataType};
use stack::{
    Answer, Ask, CallType, DeviceSettings, Frame, Gone, Input, Login, Now, Output, Slot, Stack, Verdict,
};

use crate::pending::MAX_PENDING;
use crate::{Mmdvm, Settings};

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
    let settings = Settings { salt_key: [1; 32], capacity: CAPACITY };
    let mut run = Run { mmdvm: Mmdvm::new(settings), now: Now::default(), asked: VecDeque::new() };
    let mut rest = data;
    while let Some((&op, left)) = rest.split_first() {
        rest = run.step(op, left);
    }
}

impl Run {
    fn step<'a>(&mut self, op: u8, rest: &'a [u8]) -> &'a [u8] {
        let from = SocketAddr::from(([192, 0, 2, op >> 6], 62_031));
        let (&byte, after) = rest.split_first().unwrap_or((&0, rest));
        match op & 15 {
            // A burst's length comes in one byte; a configuration's in one byte with an offset.
            0..=6 => {
                let len = usize::from(byte) + if op & 15 == 6 { 256 } else { 0 };
                let (bytes, after) = after.split_at(len.min(after.len()));
                self.input(Input::Datagram { listener: 0, from, local: None, bytes }, Some(bytes.len()));
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
                let many = (0..u32::from(byte)).collect();
                self.input(Input::Settings { id, settings: settings([vec![u32::from(byte)], many]) }, None);
            }
            13 => self.hand_over(rest),
            14 => self.deliver(u16::from(byte)),
            _ => {
                if byte > 250 {
                    self.input(Input::Shutdown, None);
                    assert_eq!(self.mmdvm.load().0, 0);
                }
            }
        }
        after
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
        self.input(Input::Deliver { context, slot: Slot::Two, stream: 3, frame: &frame }, None);
    }

    /// Another owner takes the shard over; `damage` is also offered as a record.
    fn hand_over(&mut self, damage: &[u8]) {
        let settings = Settings { salt_key: [1; 32], capacity: CAPACITY };
        let old = std::mem::replace(&mut self.mmdvm, Mmdvm::new(settings));
        for context in 0..CAPACITY {
            let mut out = [0; RECORD];
            if let Some(len) = old.encode_record(context, &mut out) {
                self.input(Input::Restore { context, bytes: &out[..len] }, None);
            }
        }
        assert_eq!(self.mmdvm.load().0, old.load().0, "contexts lost in a hand-over");
        self.input(Input::Restore { context: 0, bytes: &damage[..damage.len().min(RECORD)] }, None);
    }

    fn input(&mut self, input: Input<'_>, request: Option<usize>) {
        self.mmdvm.handle_input(self.now, input);
        self.drain(request);
    }

    /// Takes the outputs; the answers to a datagram of `request` bytes may not be much longer than it.
    fn drain(&mut self, request: Option<usize>) {
        let (mut outputs, mut sends) = (0, 0);
        while let Some(output) = self.mmdvm.poll_output() {
            outputs += 1;
            match output {
                Output::Send(datagram) => {
                    sends += 1;
                    let longest = request.map_or(55, |len| len + 2);
                    assert!(datagram.bytes().len() <= longest, "an answer that amplifies");
                }
                Output::Ask(ask) => {
                    let Ask::Login(login) = *ask;
                    self.asked.push_back(login);
                    self.asked.truncate(MAX_PENDING);
                }
                Output::Changed(context) => assert!(context < CAPACITY),
                Output::Up { profile, .. } => {
                    assert!(profile.statics.iter().all(|list| list.len() <= stack::MAX_TALKGROUPS));
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
