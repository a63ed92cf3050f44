//! Which counter of the stats page a refusal adds to.

use fabric::Counter;
use stack::Refusal;
use switch::{Dropped, Refused};

pub(crate) fn of_dropped(dropped: Dropped) -> Counter {
    match dropped {
        Dropped::Late => Counter::Late,
        Dropped::Duplicate => Counter::Duplicate,
        Dropped::TooFast => Counter::TooFast,
        Dropped::DataBusy => Counter::DataBusy,
    }
}

pub(crate) fn of_refused(why: Refused) -> Counter {
    match why {
        Refused::NoRoute => Counter::CallsNoRoute,
        Refused::Busy => Counter::CallsBusy,
        Refused::Taken => Counter::CallsTaken,
        Refused::Loop => Counter::CallsLoop,
        Refused::Denied => Counter::CallsDenied,
        Refused::Banned => Counter::CallsBanned,
        Refused::Blocked => Counter::CallsBlocked,
        Refused::Encrypted => Counter::CallsEncrypted,
    }
}

pub(crate) fn of(refusal: Refusal) -> Counter {
    match refusal {
        Refusal::Malformed => Counter::RefusedMalformed,
        Refusal::NotLoggedIn => Counter::RefusedNotLoggedIn,
        Refusal::WrongPassword => Counter::RefusedPassword,
        Refusal::BadConfiguration => Counter::RefusedConfiguration,
        Refusal::Denied => Counter::RefusedDenied,
        Refusal::BadFrame => Counter::RefusedFrame,
        Refusal::Full => Counter::RefusedFull,
        Refusal::Replayed => Counter::RefusedReplayed,
        Refusal::WrongSlot => Counter::RefusedSlot,
        Refusal::TooFar => Counter::RefusedTooFar,
    }
}
