//! Nodes of simulated hosts, joined by a simulated network.

mod calls;
mod faults;
mod hostile;
mod keys;
mod simulation;
mod vectors;
mod world;
