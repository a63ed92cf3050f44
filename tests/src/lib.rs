//! Starts and stops real clusters for the end to end tests.
