//! The bytes that `docs/fastforward.md` shows, for whoever writes another implementation.

use dmr::{BURST_LEN, BurstKind};
use stack::{CallType, Frame as Burst, Slot};
use switch::{Forward, SessionId};

use crate::NetworkKey;
use crate::wire::{Fact, Frame, Frames, HEADER_LEN, Header, Hello, Known, MAX_FRAME, SEAL_LEN, WireBurst};
use crate::wire::{write_summary, write_update, write_want};

const PAGE: &str = include_str!("../../../../../docs/fastforward.md");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The page shows these bytes after this name.
fn is_shown(name: &str, bytes: &[u8]) {
    let section =
        PAGE.split(&format!("\n{name}:\n")).nth(1).unwrap_or_else(|| panic!("{name}: {}", hex(bytes)));
    let shown: String =
        section.lines().take_while(|line| line.starts_with("    ")).flat_map(str::split_whitespace).collect();
    assert_eq!(shown, hex(bytes), "{name}");
}

fn burst() -> WireBurst {
    let burst: [u8; BURST_LEN] = std::array::from_fn(|n| n as u8 + 0x40);
    let frame = Burst {
        source: 2_621_001,
        destination: 91,
        call: CallType::Group,
        kind: BurstKind::Voice(3),
        sequence: 0x2C,
        ber: 4,
        rssi: 95,
        burst,
    };
    let session = SessionId { node: 25_011, key: 0x6_5A7B_C0DE_F001 };
    let forward = Forward { key: session.key, index: 0, slot: Slot::Two, options: 0x20, frame };
    WireBurst { hops: 15, session, index: 9, sequence: 300, sent_ms: 0xABCD, forward }
}

#[test]
fn frames_and_datagrams_are_as_the_page_shows_them() {
    let frame = burst().encode();
    is_shown("burst", &frame);
    let mut out = [0; MAX_FRAME];
    let hello = Hello {
        challenge: 0x1122_3344_5566_7788,
        echo: 0x99AA_BBCC_DDEE_FF01,
        held_us: 1500,
        clock_us: 86_400_000_000,
        host: 25_011,
        version: 1,
        transports: 1,
        keeps: true,
        loss: 12,
        digest: 0x0123_4567_89AB_CDEF,
        first: 4000,
    };
    let len = hello.encode(&mut out);
    is_shown("hello", &out[..len]);
    let known = Known { node: 25_012, start: 0x019A_BCDE_F012, version: 7 };
    let len = write_summary(&mut out, &[known, Known { node: 25_013, version: 8, ..known }]);
    is_shown("summary", &out[..len]);
    let len = write_want(&mut out, known);
    is_shown("want", &out[..len]);
    let facts = [
        Fact::About { host: 25_011, port: 54_001, transports: 1, version: 1 },
        Fact::Range { first: 91, last: 91, is_wanted: true },
        Fact::Heard { radio: 2_621_001, at_ms: 0x019A_BCDE_FFFF },
        Fact::Link { node: 25_021, is_up: true },
    ];
    let (len, to) = write_update(&mut out, known, 11, (8..).zip(facts));
    assert_eq!(to, 11);
    is_shown("update", &out[..len]);

    let key = NetworkKey::new(std::array::from_fn(|n| n as u8));
    let header = Header { key: key.tag(), node: 25_012, start: known.start, number: 5 };
    let mut datagram = vec![0; HEADER_LEN + frame.len() + SEAL_LEN];
    datagram[HEADER_LEN..HEADER_LEN + frame.len()].copy_from_slice(&frame);
    key.of_node(25_012, known.start).seal(&header, 25_021, &mut datagram, frame.len()).unwrap();
    is_shown("datagram", &datagram);
    let opened = key.of_node(25_012, known.start).open(&header, 25_021, &mut datagram).unwrap();
    assert_eq!(opened, frame);
}

#[test]
fn what_was_written_is_read() {
    let frame = burst().encode();
    let mut all = frame.to_vec();
    // Of a kind that a later version may have.
    all.extend([3, 0xE0, 1, 2]);
    all.extend(frame);
    let read: Vec<_> = Frames::of(&all).map(|frame| frame.unwrap()).collect();
    assert!(
        matches!(read[..], [Frame::Burst(a), Frame::Other, Frame::Burst(b)] if a == burst() && b == burst())
    );
    for end in 0..all.len() {
        Frames::of(&all[..end]).for_each(drop);
    }
    let mut out = [0; MAX_FRAME];
    let known = Known { node: 1, start: 2, version: 0 };
    let facts: Vec<_> =
        (1..=40).map(|n| (n, Fact::Range { first: n, last: n + 1, is_wanted: n % 2 == 0 })).collect();
    let (len, to) = write_update(&mut out, known, 45, facts.iter().copied());
    assert!(to < 40 && len <= MAX_FRAME);
    let Some(Some(Frame::Update(update))) = Frames::of(&out[..len]).next() else { panic!() };
    assert_eq!((update.from, update.to), (known, to));
    assert_eq!(update.collect::<Vec<_>>(), facts[..to as usize]);
    let (_, to) = write_update(&mut out, known, 45, facts[..5].iter().copied());
    assert_eq!(to, 45);
}
