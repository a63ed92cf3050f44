//! Feeds a node with arbitrary bytes, for the fuzzer and the tests: datagrams as anybody can send them, and what a node that is
//! known may say. Panics where a promise is broken.

use std::time::Duration;

use stack::{Now, Time};
use transport::Address;

use crate::wire::{HEADER_LEN, Header, SEAL_LEN};
use crate::{FastForward, Input, MAX_DATAGRAM, NetworkKey, Output, Settings};

const KEY: [u8; 32] = [7; 32];
/// More is never made of one datagram: each frame gives two outputs at most.
const MAX_OUTPUTS: usize = 2 * MAX_DATAGRAM;

fn node(node: u32, port: u16) -> (FastForward, Address) {
    let address = Address::udp(([192, 0, 2, 1], port).into());
    let settings = Settings {
        node,
        host: node,
        nodes: vec![(node, port)],
        local: address,
        keys: vec![NetworkKey::new(KEY)],
        start: 1_800_000_000_000,
        seed: [1; 32],
    };
    (FastForward::new(settings), address)
}

/// Carries datagrams between two nodes until none is left.
fn exchange(now: Now, a: (&mut FastForward, Address), b: (&mut FastForward, Address)) {
    let mut bytes = [0; MAX_DATAGRAM];
    for _ in 0..20 {
        while let Some((_, len)) = a.0.poll_transmit(now, &mut bytes) {
            b.0.handle_input(now, Input::Datagram { from: a.1, bytes: &mut bytes[..len] });
        }
        while let Some((_, len)) = b.0.poll_transmit(now, &mut bytes) {
            a.0.handle_input(now, Input::Datagram { from: b.1, bytes: &mut bytes[..len] });
        }
    }
}

/// Runs a node with `data`: its first byte tells how it comes, the rest is what comes, in pieces of up to 255 bytes that a byte with
/// their length begins.
#[doc(hidden)]
pub fn fuzz_node(data: &[u8]) {
    let (mut known, from) = node(1, 1);
    let (mut fuzzed, at) = node(2, 2);
    let mut now = Now { mono: Time(1_000_000), wall_us: 1_800_000_000_000_000 };
    known.handle_input(now, Input::Host { address: at, host: None, is_wanted: true });
    known.handle_timeout(now);
    exchange(now, (&mut known, from), (&mut fuzzed, at));
    let key = NetworkKey::new(KEY);
    let Some((&how, mut rest)) = data.split_first() else { return };
    for number in 100.. {
        let Some((&len, left)) = rest.split_first() else { break };
        let (content, left) = left.split_at(usize::from(len).min(left.len()));
        rest = left;
        let mut bytes = vec![0; HEADER_LEN + content.len() + SEAL_LEN];
        bytes[HEADER_LEN..HEADER_LEN + content.len()].copy_from_slice(content);
        match how % 3 {
            // As a node that is known says it.
            0 => {
                let header = Header { key: key.tag(), node: 1, start: known.start, number };
                key.of_node(1, known.start).seal(&header, 2, &mut bytes, content.len());
            }
            // As one that is not.
            1 => {
                let header = Header { key: key.tag(), node: 3, start: 5, number };
                key.of_node(3, 5).seal(&header, 2, &mut bytes, content.len());
            }
            _ => bytes = content.to_vec(),
        }
        fuzzed.handle_input(now, Input::Datagram { from, bytes: &mut bytes });
        check(&mut fuzzed, now);
        now = now.after(Duration::from_millis(20));
        fuzzed.handle_timeout(now);
        check(&mut fuzzed, now);
    }
}

fn check(node: &mut FastForward, now: Now) {
    let mut outputs = 0;
    while let Some(output) = node.poll_output() {
        if let Output::Opened { number, .. } | Output::Burst { number, .. } = output {
            assert!(number < 4096);
        }
        outputs += 1;
    }
    assert!(outputs <= MAX_OUTPUTS, "{outputs} outputs");
    let mut bytes = [0; MAX_DATAGRAM];
    while let Some((_, len)) = node.poll_transmit(now, &mut bytes) {
        assert!(len <= MAX_DATAGRAM);
    }
}
