//! Delivery: a burst becomes a datagram for a context that is there, at once, and nothing else comes of it.

use dmr::{BURST_LEN, BurstKind, DataType};
use stack::{CallType, Envelope, Frame, MAX_DATAGRAM, Slot};

use crate::talk::Answers;
use crate::witness::Witness;
use crate::{CAPACITY, Subject};

/// A stream that no honest client has said anything about.
pub(crate) const STREAM: u32 = 0x5EED_5EED;

/// One of a few bursts of all kinds.
pub(crate) fn frame(number: u8) -> Frame {
    let kind = match number % 22 {
        place @ 0..6 => BurstKind::Voice(place),
        other => BurstKind::Data(DataType::from_bits(other - 6)),
    };
    let call = if number & 1 == 0 { CallType::Group } else { CallType::Private };
    let (source, destination) = if number & 2 == 0 { (2_621_370, 91) } else { (0xFF_FFFF, 1) };
    Frame {
        source,
        destination,
        call,
        kind,
        sequence: number,
        ber: 141,
        rssi: 255,
        burst: [number; BURST_LEN],
    }
}

pub(crate) fn check(subject: &Subject) {
    let mut witness = Witness::new(subject, CAPACITY, "delivery after the honest conversation");
    witness.converse(Answers::AtOnce);
    let beyond = [CAPACITY, CAPACITY + 1, u16::MAX];
    for context in (0..CAPACITY).chain(beyond) {
        let is_there = witness.up.contains_key(&context);
        for number in 0..44 {
            for slot in Slot::ALL {
                let sent = deliver(&mut witness, context, slot, &frame(number));
                if sent.is_some() && !is_there {
                    witness.fail(
                        "nothing is delivered to a context that is not up",
                        format!("a datagram to {context}"),
                    );
                }
            }
        }
    }
}

/// Whether any context can be delivered anything.
pub(crate) fn delivers(witness: &mut Witness) -> bool {
    let up: Vec<u16> = witness.up.keys().copied().collect();
    up.into_iter().any(|context| {
        (0..44).any(|number| {
            Slot::ALL.iter().any(|&slot| deliver(witness, context, slot, &frame(number)).is_some())
        })
    })
}

/// Delivers a burst; returns the datagram.
pub(crate) fn deliver(
    witness: &mut Witness,
    context: u16,
    slot: Slot,
    frame: &Frame,
) -> Option<(Envelope, Vec<u8>)> {
    let first = deliver_over(witness, context, slot, frame, 0x55);
    let second = deliver_over(witness, context, slot, frame, 0xAA);
    if first != second {
        witness.fail(
            "deliver writes all of the datagram, and the same each time",
            format!("{first:?} and {second:?}"),
        );
    }
    if let Some((envelope, bytes)) = &first {
        witness.is_sound_datagram(&stack::Datagram::new(*envelope, &[bytes]));
    }
    first
}

/// Delivers a burst into memory that is full of `filled`.
fn deliver_over(
    witness: &mut Witness,
    context: u16,
    slot: Slot,
    frame: &Frame,
    filled: u8,
) -> Option<(Envelope, Vec<u8>)> {
    let (now, due) = (witness.now, witness.due());
    let mut out = [filled; MAX_DATAGRAM];
    let mut sent = None;
    let taken = witness.call(|stack| {
        allocation_counter::measure(|| {
            stack.warm(context);
            sent = stack.deliver(now, context, slot, STREAM, frame, &mut out);
        })
    });
    if taken.count_total > 0 {
        let came = format!("{} allocations of {} bytes", taken.count_total, taken.bytes_total);
        witness.fail("warm and deliver take no memory", came);
    }
    if let Some(output) = witness.call(|stack| stack.poll_output()) {
        witness.fail("nothing comes of deliver but its datagram", format!("{output:?}"));
    }
    if witness.read_records() != witness.records || witness.due() != due {
        witness.fail(
            "deliver changes no record and no time-out",
            format!("another one, with context {context}"),
        );
    }
    let (envelope, len) = sent?;
    let Some(bytes) = out.get(..len) else {
        witness.fail("the length that deliver returns is of what it has written", format!("{len}"))
    };
    Some((envelope, bytes.to_vec()))
}
