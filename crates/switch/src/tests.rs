//! Scenarios: who keys what when, who hears what. `bench` tells them, `simulation` makes them up.

mod allocations;
mod bench;
mod calls;
mod contest;
mod far;
mod hosts;
mod invariants;
mod moves;
mod parrot;
mod private;
mod records;
mod regressions;
mod restarts;
mod routes;
mod siblings;
mod simulation;
mod slots;
mod subscriptions;
mod trunks;
mod voice;
