//! Workers of one host in one thread, driven round by round: what a frame costs them.

mod allocations;
mod cost;
mod host;
