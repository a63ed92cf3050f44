//! Thin safe wrappers round the Linux calls that no crate offers safely
