//! Two networks at a shard, in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use dmr::{BURST_LEN, BurstKind, DataType};
use proptest::prelude::*;
use stack::{
    CallType, Datagram, Envelope, Frame, Gone, Input, Key, Line, Now, Output, PeerSettings, Slot, Stack,
    Talkgroups, Time, delivered,
};

use crate::legs::{IDLE, MAX_OF_PEER};
use crate::packet::{Packet, Signed, Way, parse, write_burst};
use crate::peer::SILENT;
use crate::{Described, OpenBridge, Settings, Signer, read_record};

const HEADER: BurstKind = BurstKind::Data(DataType::VOICE_HEADER);
const OURS: u32 = 25_011;
const A: u32 = 3_129_900;
const B: u32 = 3_129_901;
const RECORD: usize = 448;

fn addr(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 62_035))
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn settings(address: Option<SocketAddr>, text: &str) -> PeerSettings {
    let all = vec![(1, 0xFF_FFFF)];
    let talkgroups = Talkgroups { out: all.clone(), r#in: all, renamed: vec![] };
    PeerSettings { address, learns: false, key: key(text), own_id: None, enhanced: false, talkgroups }
}

fn frame(source: u32, destination: u32, kind: BurstKind) -> Frame {
    let burst = [0x5A; BURST_LEN];
    Frame { source, destination, call: CallType::Group, kind, sequence: 3, ber: 0, rssi: 0, burst }
}

/// A datagram as a peer sends it.
fn datagram(text: &str, network: u32, stream: u32, frame: &Frame, way: Option<(u8, Way)>) -> Vec<u8> {
    let mut out = [0; stack::MAX_DATAGRAM];
    let signer = Signer::new(&key(text)).unwrap();
    let len = write_burst(&mut out, &signer, network, stream, frame, way).unwrap();
    out[..len].to_vec()
}

struct Bench {
    bridge: OpenBridge,
    now: Now,
}

impl Bench {
    fn new() -> Self {
        let mut bench =
            Self { bridge: shard(), now: Now { mono: Time(5_000_000), wall_us: 1_790_000_000_000_000 } };
        bench.set(A, settings(Some(addr(1)), "alpha"));
        bench.set(B, settings(Some(addr(2)), "beta"));
        bench
    }

    fn set(&mut self, id: u32, settings: PeerSettings) -> Vec<String> {
        self.input(Input::Peer { id, settings: Some(Box::new(settings)) })
    }

    fn input(&mut self, input: Input<'_>) -> Vec<String> {
        self.bridge.handle_input(self.now, input);
        self.said()
    }

    fn hear(&mut self, from: SocketAddr, bytes: &[u8]) -> Vec<String> {
        self.input(Input::Datagram { listener: 0, from, local: None, bytes })
    }

    fn pass(&mut self, by: Duration) -> Vec<String> {
        let end = self.now.after(by);
        while let Some(at) = self.bridge.poll_timeout().filter(|&at| at <= end.mono) {
            self.now = self.now.after(at.since(self.now.mono));
            self.bridge.handle_timeout(self.now);
        }
        self.now = end;
        self.said()
    }

    /// What it says, in words.
    fn said(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(output) = self.bridge.poll_output() {
            said.push(match output {
                Output::Frame { context, slot, stream, frame } => {
                    assert_eq!(slot, Slot::One);
                    format!("{context}: {} to {} in {stream}", frame.source, frame.destination)
                }
                Output::Up { context, profile } => match profile.line {
                    Line::Trunk(trunk) => {
                        format!("trunk {context} is {} with {} ranges", profile.id, trunk.talkgroups.len())
                    }
                    line => format!("{line:?} {context} of {}", profile.id),
                },
                Output::Down(context) => format!("{context} down"),
                Output::Changed(_) => continue,
                Output::Refused(why) => format!("{why:?}"),
                Output::Send(sent) => {
                    let Signed { packet, .. } = parse(sent.bytes()).unwrap();
                    format!("{packet:?} to {}", sent.envelope.to.ip())
                }
                Output::Notice(notice) => match *notice {
                    stack::Notice::Refused { id, reason, .. } => format!("{id}: {reason}"),
                    stack::Notice::Up { id, .. } => format!("{id} is there"),
                    stack::Notice::Down { id, .. } => format!("{id} is gone"),
                },
                other => format!("{other:?}"),
            });
        }
        said
    }

    fn deliver(&mut self, row: u16, stream: u32, frame: &Frame) -> Option<Datagram> {
        delivered(&mut self.bridge, self.now, row, Slot::Two, stream, frame)
    }

    /// Another owner takes the shard over.
    fn hand_over(&mut self) -> Vec<String> {
        let old = std::mem::replace(&mut self.bridge, shard());
        for context in 0..1024 {
            let mut out = [0; RECORD];
            if let Some(len) = old.encode_record(context, &mut out) {
                self.bridge.handle_input(self.now, Input::Restore { context, bytes: &out[..len] });
            }
        }
        self.said()
    }
}

fn shard() -> OpenBridge {
    let listen = vec!["0.0.0.0:62035".parse().unwrap(), "[::]:62035".parse().unwrap()];
    OpenBridge::new(Settings { network: OURS, listen, capacity: 1024 })
}

#[test]
fn a_burst_goes_out_signed_and_one_comes_in() {
    let mut bench = Bench::new();
    let sent = bench.deliver(0, 0x0102_0304, &frame(2_621_370, 91, HEADER)).unwrap();
    assert_eq!(sent.envelope, Envelope { listener: 0, local: None, to: addr(1) });
    let bytes = sent.bytes();
    assert_eq!(bytes.len(), 73);
    assert_eq!(bytes[..20], *b"DMRD\x03\x27\xff\xba\x00\x00\x5b\x00\x00\x61\xb3\x21\x01\x02\x03\x04");
    assert!(parse(bytes).unwrap().is_by(&Signer::new(&key("alpha")).unwrap()));
    // Some take only what bears an ID of their own choice.
    bench.set(A, PeerSettings { own_id: Some(A), ..settings(Some(addr(1)), "alpha") });
    let sent = bench.deliver(0, 1, &frame(2_621_370, 91, HEADER)).unwrap();
    assert_eq!(sent.bytes()[11..15], A.to_be_bytes());
    assert!(parse(sent.bytes()).unwrap().is_by(&Signer::new(&key("alpha")).unwrap()));
    // What the other side sends is of the same form.
    let said = bench.hear(addr(1), &datagram("alpha", A, 7, &frame(1, 91, HEADER), None));
    assert_eq!(said, ["Leg 200 of 3129900", "200: 1 to 91 in 7"]);
    let said = bench.hear(addr(1), &datagram("alpha", A, 8, &frame(2, 92, HEADER), None));
    assert_eq!(said, ["Leg 201 of 3129900", "201: 2 to 92 in 8"]);
    let said = bench.hear(addr(1), &datagram("alpha", A, 7, &frame(1, 91, BurstKind::Voice(1)), None));
    assert_eq!(said, ["200: 1 to 91 in 7"]);
    assert_eq!(bench.pass(IDLE), ["200 down", "201 down"]);
}

#[test]
fn what_is_not_right_is_refused_by_its_reason() {
    let mut bench = Bench::new();
    let honest = datagram("alpha", A, 7, &frame(1, 91, HEADER), None);
    let change = |at: usize, to: u8| {
        let mut bytes = honest.clone();
        bytes[at] = to;
        bytes
    };
    let wrong = "not signed with the key that is set for this network: compare the keys of both sides";
    assert_eq!(bench.hear(addr(1), &change(6, 9)), ["WrongPassword".to_owned(), format!("{A}: {wrong}")]);
    assert_eq!(bench.hear(addr(1), &change(72, honest[72] ^ 1)), ["WrongPassword"]);
    assert_eq!(bench.hear(addr(3), &honest), ["NotLoggedIn"]);
    // Another network's key is as wrong as none.
    assert_eq!(bench.hear(addr(2), &honest)[0], "WrongPassword");
    for len in [0, 3, 4, 23, 53, 55, 72] {
        assert_eq!(bench.hear(addr(1), &honest[..len]), ["Malformed"], "{len}");
    }
    assert_eq!(bench.hear(addr(1), &[honest.as_slice(), &[0]].concat()), ["Malformed"]);
    let resigned = |at: usize, to: u8| {
        let mut bytes = honest.clone();
        bytes[at] = to;
        let signature = Signer::new(&key("alpha")).unwrap().sign(&bytes[..53]);
        bytes[53..].copy_from_slice(&signature);
        bytes
    };
    assert_eq!(bench.hear(addr(1), &resigned(15, 0xA1)), ["WrongSlot"]);
    assert_eq!(bench.hear(addr(1), &resigned(15, 0x1F)), ["BadFrame"]);
    assert_eq!(bench.bridge.load(), (2, 0, 0));
    bench.set(
        A,
        PeerSettings {
            talkgroups: Talkgroups { r#in: vec![(92, 95)], ..Talkgroups::default() },
            ..settings(Some(addr(1)), "alpha")
        },
    );
    assert_eq!(bench.hear(addr(1), &honest), ["Denied"]);
}

#[test]
fn a_stream_that_is_over_does_not_come_again() {
    let mut bench = Bench::new();
    let honest = datagram("alpha", A, 7, &frame(1, 91, HEADER), None);
    bench.hear(addr(1), &honest);
    // While it runs, and a little longer, whoever follows it tells what comes twice.
    assert_eq!(bench.hear(addr(1), &honest), ["200: 1 to 91 in 7"]);
    let end = datagram("alpha", A, 7, &frame(1, 91, BurstKind::Data(DataType::TERMINATOR)), None);
    assert_eq!(bench.hear(addr(1), &end), ["200: 1 to 91 in 7"]);
    assert_eq!(bench.hear(addr(1), &end), ["200: 1 to 91 in 7"], "some send it twice");
    assert_eq!(bench.hear(addr(1), &honest), ["Replayed"]);
    // What is sent again and again does not keep it.
    for _ in 0..3 {
        bench.pass(IDLE / 4);
        assert_eq!(bench.hear(addr(1), &honest), ["Replayed"]);
    }
    bench.pass(IDLE / 4);
    let told = "3129900: stream 00000007 has come before: a replay, or each call has the same";
    assert_eq!(bench.hear(addr(1), &honest), ["Replayed", told], "it is not forgotten either");
    assert_eq!(bench.hear(addr(1), &honest), ["Replayed"]);
    // One of which the end was lost is over after a while as well.
    let lost = datagram("alpha", A, 8, &frame(1, 91, HEADER), None);
    bench.hear(addr(1), &lost);
    bench.pass(crate::legs::SILENCE);
    assert_eq!(bench.hear(addr(1), &lost), ["Replayed"]);
    // Of another network it is another stream.
    let other = datagram("beta", B, 7, &frame(1, 91, HEADER), None);
    assert_eq!(bench.hear(addr(2), &other)[0], format!("Leg 201 of {B}"));
}

#[test]
fn talkgroups_have_other_numbers_there() {
    let mut bench = Bench::new();
    let talkgroups =
        Talkgroups { out: vec![(91, 91)], r#in: vec![(91, 91), (50, 60)], renamed: vec![(91, 3191)] };
    let said = bench.set(A, PeerSettings { talkgroups, ..settings(Some(addr(1)), "alpha") });
    assert_eq!(said, ["trunk 0 is 3129900 with 1 ranges"]);
    let said = |bench: &mut Bench, stream, talkgroup| {
        bench.hear(addr(1), &datagram("alpha", A, stream, &frame(1, talkgroup, HEADER), None)).pop().unwrap()
    };
    assert_eq!(said(&mut bench, 1, 3191), "200: 1 to 91 in 1");
    assert_eq!(said(&mut bench, 2, 91), "Denied", "there it is another one");
    assert_eq!(said(&mut bench, 3, 55), "201: 1 to 55 in 3");
    let private = Frame { call: CallType::Private, ..frame(1, 91, HEADER) };
    let said = bench.hear(addr(1), &datagram("alpha", A, 4, &private, None));
    assert_eq!(said[1], "202: 1 to 91 in 4", "a radio");
}

#[test]
fn an_address_is_learned_only_from_what_is_new() {
    let mut bench = Bench::new();
    let learns = PeerSettings { learns: true, ..settings(None, "alpha") };
    bench.set(A, learns.clone());
    assert!(bench.deliver(0, 1, &frame(1, 91, HEADER)).is_none());
    let first = datagram("alpha", A, 7, &frame(1, 91, HEADER), None);
    assert_eq!(bench.hear(addr(9), &first).len(), 2);
    assert_eq!(bench.deliver(0, 1, &frame(1, 91, HEADER)).unwrap().envelope.to, addr(9));
    // Sent again by somebody else: the call goes on, and its peer stays where it is.
    assert_eq!(bench.hear(addr(10), &first), ["200: 1 to 91 in 7"]);
    assert_eq!(bench.deliver(0, 1, &frame(1, 91, HEADER)).unwrap().envelope.to, addr(9));
    bench.pass(IDLE);
    assert_eq!(bench.hear(addr(10), &first)[0], "Replayed");
    // Signs of life are signed alike each time.
    let alive = crate::packet::keep_alive(&Signer::new(&key("alpha")).unwrap());
    assert_eq!(bench.hear(addr(10), &alive), ["NotLoggedIn"]);
    assert_eq!(bench.deliver(0, 1, &frame(1, 91, HEADER)).unwrap().envelope.to, addr(9));
    // It has moved.
    bench.hear(addr(11), &datagram("alpha", A, 8, &frame(1, 91, HEADER), None));
    assert_eq!(bench.deliver(0, 1, &frame(1, 91, HEADER)).unwrap().envelope.to, addr(11));
    // Under another network's ID it is nobody's.
    let other = datagram("alpha", 77, 9, &frame(1, 91, HEADER), None);
    assert_eq!(bench.hear(addr(12), &other), ["NotLoggedIn"]);
    bench.hand_over();
    assert_eq!(bench.deliver(0, 1, &frame(1, 91, HEADER)).unwrap().envelope.to, addr(11));
    assert_eq!(bench.set(A, learns), [""; 0], "as it was");
    bench.input(Input::Evict { id: A, keep: None, gone: Gone::Kicked });
    assert!(bench.deliver(0, 1, &frame(1, 91, HEADER)).is_none());
}

#[test]
fn networks_may_share_an_address_and_have_one_of_either_family() {
    let mut bench = Bench::new();
    bench.set(B, settings(Some(addr(1)), "beta"));
    assert_eq!(
        bench.hear(addr(1), &datagram("beta", B, 7, &frame(1, 91, HEADER), None))[0],
        format!("Leg 200 of {B}")
    );
    // Some send another ID than their own.
    assert_eq!(
        bench.hear(addr(1), &datagram("beta", 5, 8, &frame(1, 91, HEADER), None))[0],
        format!("Leg 201 of {B}")
    );
    let six: SocketAddr = "[2001:db8::1]:62035".parse().unwrap();
    bench.set(A, settings(Some(six), "alpha"));
    let sent = bench.deliver(0, 1, &frame(1, 91, HEADER)).unwrap();
    assert_eq!(sent.envelope, Envelope { listener: 1, local: None, to: six });
    bench.bridge =
        OpenBridge::new(Settings { network: OURS, listen: vec!["0.0.0.0:1".parse().unwrap()], capacity: 9 });
    let said = bench.set(A, settings(Some(six), "alpha"));
    assert!(said[1].contains("no address of stacks.openbridge.listen is of IPv6"), "{said:?}");
}

#[test]
fn a_peer_that_keeps_itself_alive_is_sent_nothing_while_it_does_not() {
    let mut bench = Bench::new();
    let enhanced = PeerSettings { enhanced: true, ..settings(Some(addr(1)), "alpha") };
    bench.set(A, enhanced);
    let signs = ["KeepAlive to 192.0.2.1", "Version(5) to 192.0.2.1"];
    assert_eq!(bench.pass(Duration::from_secs(9)), signs);
    assert_eq!(bench.pass(Duration::from_secs(2)), signs);
    assert!(bench.deliver(0, 1, &frame(1, 91, HEADER)).is_none());
    let alive = crate::packet::keep_alive(&Signer::new(&key("alpha")).unwrap());
    assert_eq!(bench.hear(addr(1), &alive), [format!("{A} is there")]);
    assert_eq!(bench.deliver(0, 1, &frame(1, 91, HEADER)).unwrap().bytes().len(), 73);
    let gone = bench.pass(SILENT + Duration::from_secs(10));
    assert_eq!(gone.iter().filter(|line| line.ends_with("is gone")).count(), 1);
    assert!(bench.deliver(0, 1, &frame(1, 91, HEADER)).is_none());
    // Others need no signs of life.
    assert!(bench.deliver(1, 1, &frame(1, 91, HEADER)).is_some());
}

#[test]
fn versions_hops_and_replays_of_the_enhanced_form() {
    let mut bench = Bench::new();
    for (id, number, text) in [(A, 1, "alpha"), (B, 2, "beta")] {
        bench.set(id, PeerSettings { enhanced: true, ..settings(Some(addr(number)), text) });
        bench.hear(addr(number), &crate::packet::version(&Signer::new(&key(text)).unwrap(), 3 + number));
    }
    bench.said();
    let of = |bench: &mut Bench, row, frame: &Frame| {
        let sent = bench.deliver(row, 1, frame).unwrap();
        let Packet::Burst { way: Some(way), .. } = parse(sent.bytes()).unwrap().packet else { panic!() };
        (sent.bytes().len(), way)
    };
    let time_ns = bench.now.wall_us * 1000;
    let here = Way { time_ns, server: OURS, hops: 1, ..Way::default() };
    assert_eq!(of(&mut bench, 0, &frame(5, 91, HEADER)), (85, here));
    assert_eq!(of(&mut bench, 1, &frame(5, 91, HEADER)), (89, here));
    // What has come over networks says so as it goes on.
    let way = Way { ber: 2, rssi: 90, time_ns, server: 777, repeater: 888, hops: 3 };
    let said = bench.hear(addr(2), &datagram("beta", B, 7, &frame(6, 91, HEADER), Some((5, way))));
    assert_eq!(said[1], "200: 6 to 91 in 7");
    let onward = Way { ber: 0, rssi: 0, server: 777, hops: 4, ..way };
    assert_eq!(of(&mut bench, 1, &frame(6, 91, HEADER)), (89, onward));
    assert_eq!(of(&mut bench, 0, &frame(6, 91, HEADER)).1, Way { repeater: 0, ..onward });
    let far = Way { hops: 10, time_ns: time_ns + 1, ..way };
    let said = bench.hear(addr(2), &datagram("beta", B, 8, &frame(6, 91, HEADER), Some((5, far))));
    assert_eq!(said, ["TooFar", "Quench { talkgroup: 91, stream: 8 } to 192.0.2.2"]);
    assert_eq!(
        bench.hear(addr(2), &datagram("beta", B, 8, &frame(6, 91, HEADER), Some((5, far))))[0],
        "Replayed"
    );
    let old = Way { time_ns: time_ns - 6_000_000_000, ..way };
    assert_eq!(
        bench.hear(addr(2), &datagram("beta", B, 9, &frame(6, 91, HEADER), Some((5, old)))),
        ["Replayed"]
    );
    let bytes = datagram("beta", B, 9, &frame(6, 91, HEADER), Some((5, way)));
    assert_eq!(bench.hear(addr(2), &bytes[..85]), ["Malformed"]);
}

#[test]
fn what_is_not_wanted_is_not_sent() {
    let mut bench = Bench::new();
    bench.set(A, PeerSettings { enhanced: true, ..settings(Some(addr(1)), "alpha") });
    let signer = Signer::new(&key("alpha")).unwrap();
    bench.hear(addr(1), &crate::packet::quench(&signer, 91, 42));
    assert!(bench.deliver(0, 42, &frame(1, 91, HEADER)).is_none());
    assert!(bench.deliver(0, 43, &frame(1, 91, HEADER)).is_some());
    bench.hear(addr(1), &datagram("alpha", A, 7, &frame(1, 91, HEADER), None));
    let quench = "Quench { talkgroup: 91, stream: 7 } to 192.0.2.1";
    assert_eq!(bench.input(Input::Unwanted { context: 200, slot: Slot::One }), [quench]);
    assert_eq!(bench.input(Input::Unwanted { context: 200, slot: Slot::One }), [""; 0]);
    // The other does not know the word.
    bench.hear(addr(2), &datagram("beta", B, 7, &frame(1, 91, HEADER), None));
    assert_eq!(bench.input(Input::Unwanted { context: 201, slot: Slot::One }), [""; 0]);
}

#[test]
fn calls_of_one_peer_are_bounded() {
    let mut bench = Bench::new();
    for stream in 0..u32::from(MAX_OF_PEER) {
        assert_eq!(
            bench.hear(addr(1), &datagram("alpha", A, stream, &frame(1 + stream, 91, HEADER), None)).len(),
            2
        );
    }
    assert_eq!(bench.hear(addr(1), &datagram("alpha", A, 999, &frame(1, 91, HEADER), None)), ["Full"]);
    assert_eq!(bench.hear(addr(2), &datagram("beta", B, 999, &frame(1, 91, HEADER), None)).len(), 2);
    bench.pass(IDLE);
    assert_eq!(bench.hear(addr(1), &datagram("alpha", A, 999, &frame(1, 91, HEADER), None)).len(), 2);
}

#[test]
fn the_next_owner_goes_on_with_peers_and_calls() {
    let mut bench = Bench::new();
    bench.hear(addr(1), &datagram("alpha", A, 7, &frame(1, 91, HEADER), None));
    let said = bench.hand_over();
    assert_eq!(
        said,
        ["trunk 0 is 3129900 with 1 ranges", "trunk 1 is 3129901 with 1 ranges", "Leg 200 of 3129900"]
    );
    let next = datagram("alpha", A, 7, &frame(1, 91, BurstKind::Voice(0)), None);
    assert_eq!(bench.hear(addr(1), &next), ["200: 1 to 91 in 7"]);
    assert_eq!(bench.input(Input::Peer { id: A, settings: None }), ["200 down", "0 down"]);
    assert_eq!(bench.hear(addr(1), &next), ["NotLoggedIn"]);
}

#[test]
fn the_longest_record_fits_and_says_what_is_set() {
    let mut bench = Bench::new();
    let ranges = |from: u32| (0..10).map(|n| (from + 2 * n, 0xFF_FFFF)).collect();
    let renamed = (0..12).map(|n| (0xFF_FF00 + n, 0xFF_F000 + n)).collect();
    let talkgroups = Talkgroups { out: ranges(0xF0_0000), r#in: ranges(0xE0_0000), renamed };
    assert_eq!(talkgroups.entries(), stack::MAX_ENTRIES);
    let address = "[fe80::ffff:ffff:ffff:ffff%4294967295]:65535".parse().unwrap();
    let settings = PeerSettings {
        talkgroups,
        learns: true,
        own_id: Some(u32::MAX),
        ..settings(Some(address), &"k".repeat(64))
    };
    bench.set(0xFFFF_FFFF, settings.clone());
    bench.hear(address, &datagram(&"k".repeat(64), 0xFFFF_FFFF, 1, &frame(1, 0xE0_0000, HEADER), None));
    let mut out = [0; RECORD];
    let len = bench.bridge.encode_record(2, &mut out).unwrap();
    let Some(Described::Peer { id, address: at, learned: false, version: 1, heard: Some(_), settings: read }) =
        read_record(&out[..len])
    else {
        panic!("{:?}", read_record(&out[..len]))
    };
    assert_eq!((id, at), (0xFFFF_FFFF, Some(address)));
    // Which network a link-local address is of is with the way, not with what is set.
    assert_eq!(*read, PeerSettings { address: read.address, ..settings });
    let len = bench.bridge.encode_record(200, &mut out).unwrap();
    assert_eq!(read_record(&out[..len]), Some(Described::Leg { peer: 0xFFFF_FFFF, stream: 1 }));
    assert_eq!(read_record(&[9, 9]), None);
}

/// Marsaglia's xorshift64.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 11
}

#[test]
fn a_hundred_thousand_datagrams_that_are_nearly_right() {
    let mut bench = Bench::new();
    bench.set(B, PeerSettings { enhanced: true, learns: true, ..settings(Some(addr(2)), "beta") });
    let mut state = 0x9E37_79B9_7F4A_7C15;
    let signer = Signer::new(&key("beta")).unwrap();
    for number in 0..100_000_u32 {
        let way = Way { time_ns: number.into(), hops: 1, ..Way::default() };
        let mut bytes = match random(&mut state) % 6 {
            0 => datagram("alpha", A, number, &frame(1 + number % 9, 91, HEADER), None),
            1 => datagram("beta", B, number, &frame(1 + number % 9, 91, HEADER), Some((4, way))),
            2 => datagram("beta", B, number, &frame(1 + number % 9, 91, HEADER), Some((5, way))),
            3 => crate::packet::keep_alive(&signer),
            4 => crate::packet::version(&signer, number as u8),
            _ => crate::packet::quench(&signer, 91, number),
        };
        match random(&mut state) % 4 {
            0 => bytes.truncate(random(&mut state) as usize % bytes.len()),
            1 => bytes.push(0),
            // A single wrong bit.
            _ => {
                let at = random(&mut state) as usize % bytes.len();
                bytes[at] ^= 1 << (random(&mut state) % 8);
            }
        }
        let from = addr(1 + (random(&mut state) % 3) as u8);
        let said = bench.hear(from, &bytes);
        let is_refused =
            |line: &String| ["Malformed", "NotLoggedIn", "WrongPassword"].contains(&line.as_str());
        assert!(said.first().is_some_and(is_refused), "{said:?}");
        assert!(said.len() <= 2 && !said.iter().any(|line| line.contains(" to ")), "{said:?}");
    }
    assert_eq!(bench.bridge.load(), (2, 0, 0));
}

proptest! {
    #[test]
    fn anything_is_refused_or_carried(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        crate::fuzz_driver(&data);
    }
}
