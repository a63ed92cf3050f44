//! A burst on its way from node to node takes no memory.

use dmr::{BURST_LEN, BurstKind};
use stack::{CallType, Frame, Now, Slot, Time};
use switch::{Forward, Kind, SessionId, SessionReport};
use transport::Address;

use crate::{FastForward, Input, MAX_DATAGRAM, NetworkKey, Settings};

fn node(node: u32) -> (FastForward, Address) {
    let address = Address::udp(([192, 0, 2, 1], node as u16).into());
    let settings = Settings {
        node,
        host: node,
        nodes: vec![(node, node as u16)],
        local: address,
        keys: vec![NetworkKey::new([7; 32])],
        start: 1,
        seed: [node as u8; 32],
    };
    (FastForward::new(settings), address)
}

/// What a node has to send comes to another at once. Returns how many outputs that gave.
fn carry(now: Now, from: &mut (FastForward, Address), to: &mut FastForward, bytes: &mut [u8]) -> usize {
    let mut outputs = 0;
    while let Some((_, len)) = from.0.poll_transmit(now, bytes) {
        to.handle_input(now, Input::Datagram { from: from.1, bytes: &mut bytes[..len] });
        outputs += std::iter::from_fn(|| to.poll_output()).count();
    }
    outputs
}

#[test]
fn no_burst_takes_memory() {
    let (mut a, mut b) = (node(1), node(2));
    let mut bytes = [0; MAX_DATAGRAM];
    let mut now = Now { mono: Time(1_000_000), wall_us: 1_800_000_000_000_000 };
    a.0.handle_input(now, Input::Host { address: b.1, host: None, is_wanted: true });
    b.0.handle_input(now, Input::Range { first: 91, last: 91, is_wanted: true });
    for _ in 0..20 {
        now = now.after(std::time::Duration::from_millis(100));
        a.0.handle_timeout(now);
        b.0.handle_timeout(now);
        carry(now, &mut a, &mut b.0, &mut bytes);
        carry(now, &mut b, &mut a.0, &mut bytes);
    }
    let session = SessionId { key: now.wall_us << 12, node: 1 };
    let report = SessionReport {
        session,
        context: 1,
        slot: Slot::One,
        source: 7,
        destination: 91,
        call: CallType::Group,
        kind: Kind::Voice,
        emergency: false,
        bursts: 0,
    };
    a.0.handle_input(now, Input::Started { index: 3, report: &report, goes_out: true });
    let mut talk = |bursts: usize| {
        for _ in 0..bursts {
            let frame = Frame {
                source: 7,
                destination: 91,
                call: CallType::Group,
                kind: BurstKind::Voice(0),
                sequence: 0,
                ber: 0,
                rssi: 0,
                burst: [1; BURST_LEN],
            };
            let forward = Forward { key: session.key, index: 3, slot: Slot::One, options: 0, frame };
            a.0.handle_input(now, Input::Forward(&forward));
            now = now.after(std::time::Duration::from_micros(1_500));
            assert!(carry(now, &mut a, &mut b.0, &mut bytes) > 0);
        }
    };
    talk(10);
    let counted = allocation_counter::measure(|| talk(1000));
    assert_eq!(counted.count_total, 0);
}
