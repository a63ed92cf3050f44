//! The suite passes a sound stack, and finds each fault of one that has it, by the promise that it breaks.

#![allow(clippy::unwrap_used, reason = "a failed test is to stop")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::catch_unwind;
use std::time::Duration;

use conformance::{Subject, Talk, check};
use dmr::{BURST_LEN, BurstKind};
use stack::{
    Answer, Ask, CallType, Datagram, Envelope, Frame, Input, Line, LinkType, Login, MAX_DATAGRAM, Now,
    Output, Profile, Refusal, Slot, Slots, Stack, Time, Verdict,
};

const TIMEOUT: Duration = Duration::from_secs(60);

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Panics,
    Answers,
    AnswersLate,
    Amplifies,
    IsNeverDue,
    IsAlwaysDue,
    IsDueTooSoon,
    FrameBeforeUp,
    FrameAfterDown,
    WrongFrame,
    Unannounced,
    AnnouncedLate,
    NoRoomLeft,
    NotRestored,
    NotUpAgain,
    TakesAnything,
    DeliversToNobody,
    Listener,
    TooLong,
    TakesMemory,
    Talkative,
    StaysUp,
    Erases,
    NeverBeginsAnew,
    Leaks,
    IsRandom,
}

struct Client {
    id: u8,
    from: SocketAddr,
    heard: Time,
}

struct Toy {
    fault: Fault,
    listeners: u8,
    clients: Vec<Option<Client>>,
    outputs: VecDeque<Output>,
    asked: Vec<(u8, SocketAddr)>,
    is_over: bool,
}

impl Toy {
    fn make<const FAULT: u8>(capacity: u16, listen: &[SocketAddr]) -> Box<dyn Stack> {
        let fault = FAULTS[usize::from(FAULT)].0;
        let room = capacity + u16::from(fault == Fault::NoRoomLeft);
        let clients = (0..room).map(|_| None).collect();
        let listeners = u8::try_from(listen.len()).unwrap();
        Box::new(Self {
            fault,
            listeners,
            clients,
            outputs: VecDeque::new(),
            asked: Vec::new(),
            is_over: false,
        })
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn row_of(&self, from: SocketAddr) -> Option<usize> {
        self.clients.iter().position(|client| client.as_ref().is_some_and(|client| client.from == from))
    }

    fn say(&mut self, to: SocketAddr, bytes: &[u8]) {
        self.outputs
            .push_back(Output::Send(Datagram::new(Envelope { listener: 0, local: None, to }, &[bytes])));
    }

    fn up(&mut self, row: usize, id: u8) {
        let profile = Box::new(Profile {
            link: LinkType::Application,
            line: Line::Channel,
            ..Profile::repeater(id.into(), Slots::Both, [vec![], vec![91]])
        });
        self.outputs.push_back(Output::Up { context: u16::try_from(row).unwrap(), profile });
    }

    fn join(&mut self, now: Now, id: u8, from: SocketAddr) {
        let is_taken = |client: &Client| client.id == id || client.from == from;
        if self.clients.iter().flatten().any(is_taken) {
            return;
        }
        let Some(row) = self.clients.iter().position(Option::is_none) else {
            return self.outputs.push_back(Output::Refused(Refusal::Full));
        };
        self.clients[row] = Some(Client { id, from, heard: now.mono });
        let changed = Output::Changed(u16::try_from(row).unwrap());
        match self.fault {
            Fault::Unannounced => {}
            Fault::AnnouncedLate => {
                self.say(from, b"w");
                return self.outputs.push_back(changed);
            }
            _ => self.outputs.push_back(changed),
        }
        if !self.has(Fault::FrameBeforeUp) {
            self.up(row, id);
        }
        self.say(from, b"w");
    }

    fn leave(&mut self, row: usize) {
        if self.clients[row].take().is_some() {
            let row = u16::try_from(row).unwrap();
            self.outputs.extend([Output::Changed(row), Output::Down(row)]);
            if self.has(Fault::FrameAfterDown) {
                self.outputs.push_back(frame(row, 1, 2));
            }
        }
    }

    fn datagram(&mut self, now: Now, from: SocketAddr, bytes: &[u8]) {
        match *bytes {
            [b'J', id @ 1..=255, 0x77] => {
                if self.asked.len() > 8 {
                    self.asked.clear();
                }
                self.asked.push((id, from));
                let (salts, text, digest) = ([[0; 4]; 2], false, [0; 32]);
                let login = Login { id: id.into(), from, salts, text, digest };
                self.outputs.push_back(Output::Ask(Box::new(Ask::Login(login))));
            }
            [b'F', source @ 1..=255, to @ 1..=255] => {
                let Some(row) = self.row_of(from) else {
                    return self.outputs.push_back(Output::Refused(Refusal::NotLoggedIn));
                };
                if let Some(client) = &mut self.clients[row] {
                    client.heard = now.mono;
                }
                self.outputs.push_back(frame(u16::try_from(row).unwrap(), source.into(), to.into()));
                if self.has(Fault::WrongFrame) {
                    self.outputs.push_back(frame(u16::try_from(row).unwrap(), 0, to.into()));
                }
            }
            [b'X'] => {
                if let Some(row) = self.row_of(from) {
                    self.leave(row);
                }
            }
            [_, _, _, ..] if self.has(Fault::Panics) && bytes[2] == 0 => panic!("a fault"),
            _ if self.has(Fault::Amplifies) => self.say(from, &[0; 30]),
            _ if self.has(Fault::Talkative) => {
                self.outputs.extend((0..999).map(|_| Output::Refused(Refusal::Malformed)));
            }
            _ => self.outputs.push_back(Output::Refused(Refusal::Malformed)),
        }
    }
}

fn frame(context: u16, source: u32, destination: u32) -> Output {
    let (call, kind, burst) = (CallType::Group, BurstKind::Voice(0), [0; BURST_LEN]);
    let frame = Frame { source, destination, call, kind, sequence: 0, ber: 0, rssi: 0, burst };
    Output::Frame { context, slot: Slot::Two, stream: 7, frame }
}

impl Stack for Toy {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Datagram { from, bytes, .. } => {
                self.datagram(now, from, bytes);
                if self.has(Fault::IsRandom) {
                    // An address of memory is as good a die as any.
                    let random = std::ptr::from_ref(&*Box::leak(Box::new(0_u64))) as usize;
                    self.say(from, &random.to_be_bytes()[6..]);
                }
            }
            Input::Answer(Answer::Login { id, from, verdict }) => {
                let place = self.asked.iter().position(|&(asked, of)| (u32::from(asked), of) == (id, from));
                if !self.has(Fault::AnswersLate) && place.is_none() {
                    return;
                }
                place.map(|place| self.asked.remove(place));
                let id = u8::try_from(id & 0xFF).unwrap();
                if (matches!(verdict, Verdict::Accepted { .. }) || self.has(Fault::Answers)) && !self.is_over
                {
                    self.join(now, id, from);
                }
            }
            Input::Evict { id, .. } => {
                let its = |client: &Client| u32::from(client.id) == id;
                if let Some(row) = self.clients.iter().position(|client| client.as_ref().is_some_and(its)) {
                    self.leave(row);
                }
            }
            Input::Restore { context, bytes } => {
                let place = self.clients.get_mut(usize::from(context)).filter(|place| place.is_none());
                let (Some(place), &[id @ 1..=255, a, b, c, d, p, q, 0x55]) = (place, bytes) else {
                    if self.fault != Fault::TakesAnything {
                        self.outputs.push_back(Output::Refused(Refusal::Malformed));
                    }
                    return;
                };
                let from = SocketAddr::from(([a, b, c, d], u16::from_be_bytes([p, q])));
                *place = Some(Client {
                    id: if self.fault == Fault::NotRestored { id ^ 8 } else { id },
                    from,
                    heard: now.mono,
                });
                if !self.has(Fault::NotUpAgain) {
                    self.up(context.into(), id);
                }
            }
            Input::Shutdown => {
                self.is_over = self.has(Fault::NeverBeginsAnew);
                let first = usize::from(self.has(Fault::StaysUp));
                (first..self.clients.len()).for_each(|row| self.leave(row));
            }
            Input::Settings { .. } | Input::Unwanted { .. } | Input::Peer { .. } => {}
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        if self.has(Fault::IsNeverDue) || self.has(Fault::Leaks) {
            return;
        }
        let after = if self.has(Fault::IsDueTooSoon) { Duration::from_millis(100) } else { TIMEOUT };
        for row in 0..self.clients.len() {
            if self.clients[row].as_ref().is_some_and(|client| now.mono.since(client.heard) >= after) {
                self.leave(row);
            }
        }
    }

    fn deliver(
        &mut self,
        _: Now,
        context: u16,
        _: Slot,
        stream: u32,
        frame: &Frame,
        out: &mut [u8; MAX_DATAGRAM],
    ) -> Option<(Envelope, usize)> {
        let client = self.clients.get(usize::from(context)).and_then(Option::as_ref);
        let nobody = SocketAddr::from(([192, 0, 2, 1], 1));
        let to = client.map(|client| client.from).or(self.has(Fault::DeliversToNobody).then_some(nobody))?;
        out[..4].copy_from_slice(&stream.to_be_bytes());
        out[4..4 + BURST_LEN].copy_from_slice(&frame.burst);
        out[4 + BURST_LEN] = 0;
        if self.has(Fault::TakesMemory) {
            std::hint::black_box(vec![0; 64]);
        }
        if self.has(Fault::Erases) {
            self.clients[usize::from(context)] = None;
        }
        let listener = if self.has(Fault::Listener) { self.listeners } else { 0 };
        let len = 4 + BURST_LEN + usize::from(self.has(Fault::TooLong));
        Some((Envelope { listener, local: None, to }, len))
    }

    fn warm(&self, _: u16) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        if self.has(Fault::IsAlwaysDue) {
            return Some(Time(0));
        }
        if self.has(Fault::Leaks) {
            return None;
        }
        self.clients.iter().flatten().map(|client| client.heard + TIMEOUT).min()
    }

    fn encode_record(&self, context: u16, out: &mut [u8]) -> Option<usize> {
        let Client { id, from, .. } = self.clients.get(usize::from(context))?.as_ref()?;
        let SocketAddr::V4(v4) = from else { return None };
        let [p, q] = v4.port().to_be_bytes();
        let [a, b, c, d] = v4.ip().octets();
        out.first_chunk_mut::<8>()?.copy_from_slice(&[*id, a, b, c, d, p, q, 0x55]);
        Some(8)
    }
}

fn converse(talk: &mut Talk<'_>) {
    for number in 1..=3 {
        let from = SocketAddr::from(([192, 0, 2, number], 9000));
        talk.send(from, &[b'J', number, 0x77]);
        talk.send(from, &[b'F', 1, 91]);
        if number == 3 {
            talk.send(from, b"X");
        }
    }
}

fn subject(make: fn(u16, &[SocketAddr]) -> Box<dyn Stack>) -> Subject {
    Subject { longest: 4 + BURST_LEN, amplifies_by: 4, make, converse }
}

/// Each fault, and how the promise begins that it breaks.
const FAULTS: [(Fault, &str); 27] = [
    (Fault::None, ""),
    (Fault::Panics, "a stack never panics"),
    (Fault::Answers, "a context that has to ask is up only after a yes"),
    (Fault::AnswersLate, "an answer to what was not asked changes nothing"),
    (Fault::Amplifies, "a datagram is answered by at most 4 bytes more"),
    (Fault::IsNeverDue, "after handle_timeout nothing is due"),
    (Fault::IsAlwaysDue, "after handle_timeout nothing is due"),
    (Fault::IsDueTooSoon, "nothing is done before it is due"),
    (Fault::FrameBeforeUp, "a context is up before its first Frame"),
    (Fault::FrameAfterDown, "a context is up before its first Frame, and has none after its Down"),
    (Fault::WrongFrame, "a Frame keeps to the limits"),
    (Fault::Unannounced, "a record is announced by Changed before the Up"),
    (Fault::AnnouncedLate, "a record is announced by Changed before the Send"),
    (Fault::NoRoomLeft, "contexts count up to the capacity"),
    (Fault::NotRestored, "a record that is restored gives the same record"),
    (Fault::NotUpAgain, "what was up is up again"),
    (Fault::TakesAnything, "a record that cannot be restored is refused"),
    (Fault::DeliversToNobody, "nothing is delivered to a context that is not up"),
    (Fault::Listener, "datagrams leave from a listen address"),
    (Fault::TooLong, "a datagram has 1 to 37 bytes"),
    (Fault::TakesMemory, "warm and deliver take no memory"),
    (Fault::Talkative, "an input has a bounded number of outputs"),
    (Fault::StaysUp, "a shutdown brings all contexts down"),
    (Fault::Erases, "deliver changes no record"),
    (Fault::NeverBeginsAnew, "after a shutdown the same conversation"),
    (Fault::Leaks, "of what a network sends nothing is left"),
    (Fault::IsRandom, "the same inputs give the same outputs"),
];

fn finds<const FAULT: u8>() {
    let (fault, promise) = FAULTS[usize::from(FAULT)];
    let failure =
        catch_unwind(|| check(&subject(Toy::make::<FAULT>))).expect_err(&format!("{fault:?} is not found"));
    let said = failure.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(
        said.starts_with(&format!("promised: {promise}")) && said.contains("\n  came: "),
        "{fault:?}: {said}"
    );
}

#[test]
fn a_sound_stack_passes() {
    check(&subject(Toy::make::<0>));
}

#[test]
fn each_fault_is_found_by_its_promise() {
    finds::<1>();
    finds::<2>();
    finds::<3>();
    finds::<4>();
    finds::<5>();
    finds::<6>();
    finds::<7>();
    finds::<8>();
    finds::<9>();
    finds::<10>();
    finds::<11>();
    finds::<12>();
    finds::<13>();
    finds::<14>();
    finds::<15>();
    finds::<16>();
    finds::<17>();
    finds::<18>();
    finds::<19>();
    finds::<20>();
    finds::<21>();
    finds::<22>();
    finds::<23>();
    finds::<24>();
    finds::<25>();
    finds::<26>();
}
