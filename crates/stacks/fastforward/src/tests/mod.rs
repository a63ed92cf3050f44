//! Nodes of simulated hosts, joined by a simulated network.

mod allocations;
mod calls;
mod faults;
mod hostile;
mod keys;
mod scale;
mod simulation;
mod vectors;
pub(crate) mod world;
