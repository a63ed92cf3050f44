//! What an operator has ordered, and what has died.

use serde::{Deserialize, Serialize};

/// Something that was ordered and takes its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationInfo {
    /// How many were ordered before it.
    pub number: u64,
    /// What, in words.
    pub what: String,
    /// What has been done of it.
    pub steps: Vec<String>,
    /// How it ended: `None` while it goes on.
    pub result: Option<Result<String, String>>,
}

/// How a process ended that should not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeathInfo {
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// Which: `worker 1`, `services`.
    pub process: String,
    /// Its process ID.
    pub pid: i32,
    /// How: `signal SIGKILL`, `exit code 3`.
    pub how: String,
    /// What it said last: the message of its panic and where that was.
    pub words: Option<String>,
    /// What it was working on, if that is known: `record 3 of shard 7`.
    pub work: Option<String>,
}
