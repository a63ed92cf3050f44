//! The packet path takes no memory.

use std::net::UdpSocket;

use fabric::Counter;
use sim::traffic::{Call, Plan, Seed};

use super::host::Host;

const TALKGROUP: u32 = 91;

fn call(number: u32, bursts: usize) -> Call {
    let plan =
        Plan { number, repeater: 1, source: 2_590_001 + number, talkgroup: TALKGROUP, ts2: true, bursts };
    Call::new(plan, &mut Seed(u64::from(number)))
}

/// Ten receivers here and ten at a sibling, while a call runs and over its beginning and its end.
#[test]
fn a_frame_takes_no_memory() {
    let mut host = Host::new(2, 0);
    let options = sim::client::options(&[], &[TALKGROUP]);
    let log_in = |id| host.log_in(usize::from(id > 11), id, &options, &Default::default());
    let devices: Vec<UdpSocket> = (1..=22).map(log_in).collect();
    let talk = |host: &mut Host, call: &Call| {
        for datagram in call.datagrams() {
            host.send(&devices[0], datagram);
            assert_eq!(host.heard(&devices), 21);
        }
    };
    // What remembers the last callers has grown after some of them.
    (0..16).for_each(|number| talk(&mut host, &call(number, 8)));
    let calls: Vec<Call> = (16..20).map(|number| call(number, 80)).collect();
    let (before, forwarded) = (host.count(1, Counter::Delivered), host.count(0, Counter::Forwarded));
    let taken = allocation_counter::measure(|| calls.iter().for_each(|call| talk(&mut host, call)));
    let bursts: u64 = calls.iter().map(|call| call.bursts() as u64).sum();
    assert_eq!(host.count(1, Counter::Delivered) - before, bursts * 11);
    assert_eq!(host.count(0, Counter::Forwarded) - forwarded, bursts, "one ring write a burst");
    assert_eq!(taken.count_total, 0, "{taken:?} for {bursts} bursts");
}
