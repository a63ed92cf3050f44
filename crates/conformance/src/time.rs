//! Time: what is due is done when it is due, once, and however time passes.

use std::time::Duration;

use crate::talk::Answers;
use crate::witness::Witness;
use crate::{CAPACITY, Subject};

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn check(subject: &Subject) {
    let after = |of: &str| {
        let mut witness = Witness::new(subject, CAPACITY, of);
        witness.converse(Answers::AtOnce);
        witness
    };
    let mut punctual = after("time that passes");
    for _ in 0..200 {
        // Before it is due nothing happens, however often it is asked.
        punctual.timeout();
        punctual.pass(Duration::from_millis(137));
    }
    punctual.pass(HOUR);
    let mut late = after("time that jumps by an hour");
    late.jump(Duration::from_millis(137 * 200) + HOUR);
    if late.up != punctual.up {
        let came = format!("{:?} are up, and {:?} where all was done in time", late.up, punctual.up);
        late.fail("what was due is done, however late", came);
    }
    let mut still = after("time that stands still");
    for _ in 0..100 {
        still.timeout();
    }
    if let Some(at) = still.due() {
        still.now = still.now.after(at.since(still.now.mono));
        still.timeout();
        still.timeout();
    }
    let mut odd = after("a wall clock that goes back, and years that pass");
    odd.now.wall_us = 0;
    odd.jump(HOUR);
    odd.now.wall_us = u64::MAX;
    odd.jump(Duration::ZERO);
    odd.converse(Answers::AtOnce);
    odd.jump(HOUR * 24 * 365 * 100);
    odd.converse(Answers::AtOnce);
    let mut new = Witness::new(subject, CAPACITY, "a stack that nobody has spoken to");
    new.timeout();
    new.pass(HOUR);
}
