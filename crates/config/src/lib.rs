//! The configuration file of a cluster
