//! A path that loses, delays, reorders and doubles datagrams, from a seed: the same one each time. For simulations, and for
//! the proxy of the end-to-end tests.
//!
//! A pure model: time in, times of arrival out. It carries no bytes, knows no clock, and is not a model of bandwidth:
//! however many datagrams there are, none waits for another but to keep its order.

#![forbid(unsafe_code)]

mod path;
mod random;

pub use path::{Counts, Deliveries, GilbertElliott, Impairments, Path};
pub use random::Random;
