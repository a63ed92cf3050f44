//! How a registry is that several clusters share, as one of them sees it.

use serde::{Deserialize, Serialize};

/// How far this cluster and the registry agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryInfo {
    /// There is one beside the cluster's own store.
    pub is_shared: bool,
    /// It is followed: what changes there changes here.
    pub is_followed: bool,
    /// It is there, and waits for `bmctl registry confirm`.
    pub is_held: bool,
    /// Why it is not followed.
    pub trouble: Option<String>,
    /// Records of the cluster's copy, without what was last heard.
    pub records_here: u64,
    /// Records of a registry that waits.
    pub records_there: Option<u64>,
    /// Changes made here that it has not got yet.
    pub pending: u64,
    /// The first of them that it refuses, and why.
    pub denied: Option<String>,
    /// Bans made by the protection and radios heard that it was never told of, since there were too many at once.
    pub dropped: u64,
    /// Why records of it are not followed, one by one.
    pub refused: Vec<String>,
}

/// What is right, where a registry is not the one that was followed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// The registry: the cluster's copy is to be the same.
    Registry,
    /// The cluster's copy: the registry is to be the same.
    Copy,
}
