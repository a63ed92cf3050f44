//! Shared memory between the processes of one host: rings, bells, segments, stats pages
