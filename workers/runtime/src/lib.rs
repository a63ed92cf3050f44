//! The packet loop of a worker, round any set of stacks
