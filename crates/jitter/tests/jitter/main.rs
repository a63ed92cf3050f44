//! What `docs/jitter-buffer.md` promises.

mod allocations;
mod concealment;
mod hostile;
mod line;
mod paths;
mod rules;
mod simulation;
