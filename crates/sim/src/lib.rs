//! Simulated repeaters: first proof for a user, load generator for us
