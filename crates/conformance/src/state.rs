//! State: another stack that is given the records goes on where the first one was; what is damaged is refused.

use std::time::Duration;

use stack::{MAX_RECORD, Slot};

use crate::deliver::{deliver, frame};
use crate::seed::Seed;
use crate::talk::Answers;
use crate::witness::Witness;
use crate::{CAPACITY, Subject};

/// Damaged records of each kind, for each record.
const DAMAGED: usize = 300;

pub(crate) fn check(subject: &Subject) {
    let mut witness = Witness::new(subject, CAPACITY, "state after the honest conversation");
    witness.converse(Answers::AtOnce);
    let mut next = hand_over(&mut witness);
    // It goes on from there, and can be handed on again.
    next.pass(Duration::from_secs(1));
    next.converse(Answers::AtOnce);
    hand_over(&mut next);
    no_room(&witness);
    damaged(&witness);
}

/// Another owner takes over.
pub(crate) fn hand_over(old: &mut Witness) -> Witness {
    let mut new = old.another("a stack that is given the records of another one");
    for (row, record) in (0..).zip(old.records.clone()) {
        let Some(record) = record else { continue };
        if !new.restore(row, &record) {
            new.fail("each record can be restored into a new stack", "a refusal");
        }
        if new.records[usize::from(row)].as_ref() != Some(&record) {
            let came = format!("{:02x?}", new.records[usize::from(row)]);
            new.fail("a record that is restored gives the same record", came);
        }
    }
    if new.up != old.up {
        let came = format!("{:?} are up, and {:?} were before", new.up, old.up);
        new.fail("what was up is up again, with the same profile", came);
    }
    for context in 0..old.capacity {
        for number in 0..22 {
            for slot in Slot::ALL {
                let was = deliver(old, context, slot, &frame(number));
                let is = deliver(&mut new, context, slot, &frame(number));
                if was != is {
                    let came = format!("{is:02x?}, and {was:02x?} before, for context {context}");
                    new.fail("after a restart a burst is delivered by the same datagram", came);
                }
            }
        }
    }
    new
}

/// Records that have no place, or have one already.
fn no_room(old: &Witness) {
    for record in old.records.iter().flatten() {
        let mut new = old.another("records beyond the capacity");
        for context in [old.capacity, u16::MAX] {
            if new.restore(context, record) {
                new.fail("a record beyond the capacity is refused", "a context");
            }
        }
    }
    let mut new = old.another("records that are restored twice");
    for _ in 0..2 {
        for (row, record) in (0..).zip(&old.records) {
            if let Some(record) = record {
                new.restore(row, record);
            }
        }
    }
    if new.records != old.records {
        new.fail("a record that is restored twice is refused, and changes nothing", "another record");
    }
}

fn damaged(old: &Witness) {
    let mut seed = Seed(3);
    let try_it = |row: u16, bytes: &[u8]| {
        let mut new = old.another("a damaged record");
        let is_taken = new.restore(row, bytes);
        if is_taken && bytes.is_empty() {
            new.fail("an empty record is refused", "a context");
        }
        // It may be another context's record now, and then has to be served as one.
        let now = new.now;
        new.call(|stack| stack::delivered(stack, now, row, Slot::One, 7, &frame(3)));
        new.jump(Duration::from_secs(3600));
    };
    for (row, record) in (0..).zip(&old.records) {
        let Some(record) = record else { continue };
        (0..record.len()).for_each(|len| try_it(row, &record[..len]));
        for _ in 0..DAMAGED {
            let mut bytes = record.clone();
            (0..=seed.below(3)).for_each(|_| seed.flip(&mut bytes));
            try_it(row, &bytes);
            let mut bytes = record.clone();
            let begin = seed.below(bytes.len());
            bytes.truncate(begin);
            let more = seed.below(MAX_RECORD - begin);
            bytes.extend(seed.bytes(more));
            try_it(row, &bytes);
        }
    }
    for _ in 0..DAMAGED {
        let len = seed.below(MAX_RECORD + 1);
        try_it(0, &seed.bytes(len));
    }
}
