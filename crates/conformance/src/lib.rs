//! What every protocol stack promises, as a test: [`check`] drives any [`stack::Stack`] through its own honest conversation and
//! through everything that a network, a clock and a worker can do to it, by seeds, and panics with the promise that was
//! broken and what came instead. A stack's own test of it has some ten lines:
//!
//! ```ignore
//! #[test]
//! fn it_keeps_what_a_stack_promises() {
//!     conformance::check(&conformance::Subject {
//!         longest: my_stack::MAX_LEN,
//!         amplifies_by: 0,
//!         make: |capacity, listen| Box::new(my_stack::MyStack::new(capacity, listen)),
//!         converse: |talk| {
//!             talk.send("192.0.2.1:1000".parse().unwrap(), &my_stack::login(7));
//!             talk.send("192.0.2.1:1000".parse().unwrap(), &my_stack::burst(7, 91));
//!         },
//!     });
//! }
//! ```
//!
//! It says nothing of a protocol: that a login with the wrong password fails, and that a burst has the right bytes, is for the
//! stack's own tests. It opens no sockets and reads no clock.

#![forbid(unsafe_code)]

mod asks;
mod deliver;
mod drain;
mod hostile;
mod seed;
mod state;
mod talk;
mod time;
mod witness;

use std::net::SocketAddr;

use stack::Stack;

pub use talk::Talk;

use crate::talk::Answers;
use crate::witness::Witness;

/// How many contexts the stack has room for, most of the time.
const CAPACITY: u16 = 16;

/// A stack that is tested.
pub struct Subject {
    /// Its longest datagram, in bytes: that of its factory.
    pub longest: usize,
    /// So many bytes more than a datagram has all that is sent because of it may have: what somebody gains who sends with
    /// another's address.
    pub amplifies_by: usize,
    /// Makes one with room for so many contexts, which can be 0, that listens on these addresses: one of IPv4, one of IPv6.
    /// Two that are made alike behave alike.
    pub make: fn(u16, &[SocketAddr]) -> Box<dyn Stack>,
    /// What honest clients of it say: at least one context comes up and is still there at the end, and a burst comes or can be
    /// delivered. It is called often, also where nobody answers or there is no room, and then does not insist on anything.
    pub converse: fn(&mut Talk<'_>),
}

/// Tests the stack. It takes some seconds.
///
/// # Panics
/// Where the stack breaks a promise, with the promise, what came, and after what.
pub fn check(subject: &Subject) {
    is_a_subject(subject);
    time::check(subject);
    asks::check(subject);
    deliver::check(subject);
    state::check(subject);
    drain::check(subject);
    hostile::check(subject);
}

/// The honest conversation shows something, and the same each time.
fn is_a_subject(subject: &Subject) {
    let hold = || {
        let mut witness = Witness::new(subject, CAPACITY, "the honest conversation");
        witness.transcript = Some(Vec::new());
        let told = witness.converse(Answers::AtOnce);
        if witness.up.is_empty() {
            witness.fail("the honest conversation brings a context up", "none is up at its end");
        }
        if told.frames == 0 && !deliver::delivers(&mut witness) {
            witness.fail("bursts come in the honest conversation, or can be delivered after it", "neither");
        }
        witness.transcript.unwrap_or_default()
    };
    let (first, second) = (hold(), hold());
    if let Some((one, other)) = first.iter().zip(&second).find(|(one, other)| one != other) {
        panic!(
            "promised: the same inputs give the same outputs\n  came: {one}\n  and the next time: {other}"
        );
    }
}
