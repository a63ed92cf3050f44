//! The end: all contexts go, their records are erased, and a stack can begin anew.

use std::time::Duration;

use stack::{Gone, Input, Output};

use crate::talk::Answers;
use crate::witness::Witness;
use crate::{CAPACITY, Subject};

pub(crate) fn check(subject: &Subject) {
    let mut witness = Witness::new(subject, CAPACITY, "a shutdown after the honest conversation");
    let told = witness.converse(Answers::AtOnce);
    let up = witness.up.clone();
    for _ in 0..2 {
        shut_down(&mut witness);
        witness.pass(Duration::from_secs(3600));
        let again = witness.converse(Answers::AtOnce);
        if witness.up.len() != up.len() || again.frames != told.frames {
            let came = format!(
                "{} up and {} bursts, not {} and {}",
                witness.up.len(),
                again.frames,
                up.len(),
                told.frames
            );
            witness.fail("after a shutdown the same conversation brings the same contexts and bursts", came);
        }
    }
    let mut witness = Witness::new(subject, CAPACITY, "operators who throw all out");
    witness.converse(Answers::AtOnce);
    for profile in up.values() {
        witness.input(Input::Evict { id: profile.id, keep: None, gone: Gone::Kicked });
    }
    shut_down(&mut witness);
    let outputs = witness.input(Input::Shutdown);
    if !outputs.is_empty() {
        witness.fail("where nothing is, nothing comes of a shutdown", format!("{outputs:?}"));
    }
}

fn shut_down(witness: &mut Witness) {
    let outputs = witness.input(Input::Shutdown);
    if let Some(row) = witness.up.keys().next() {
        witness.fail("a shutdown brings all contexts down", format!("context {row} is up"));
    }
    if let Some(row) = witness.records.iter().position(Option::is_some) {
        witness.fail("a shutdown erases all records", format!("context {row} has one"));
    }
    if let Some(frame) = outputs.iter().find(|output| matches!(output, Output::Frame { .. })) {
        witness.fail("no burst comes of a shutdown", format!("{frame:?}"));
    }
}
