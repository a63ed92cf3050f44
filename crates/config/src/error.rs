//! What can be wrong with a configuration.

use std::path::PathBuf;

use crate::{MAX_FILE, MAX_WORKERS};

/// Why a configuration is refused. Lines count from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is longer than [`MAX_FILE`].
    #[error("longer than {MAX_FILE} bytes: is this a configuration file")]
    TooLarge,
    /// No TOML.
    #[error("line {line}: {reason}")]
    Syntax {
        /// Where.
        line: usize,
        /// What the TOML reader says.
        reason: String,
    },
    /// A key that does not exist.
    #[error("line {line}: {key}: unknown key; valid keys: {valid}")]
    UnknownKey {
        /// Where.
        line: usize,
        /// The key with its path.
        key: String,
        /// Those that would be valid in its place.
        valid: String,
    },
    /// A value that cannot be.
    #[error("line {line}: {key}: {reason}")]
    Value {
        /// Where.
        line: usize,
        /// The key with its path.
        key: String,
        /// What is wrong with the value and what would be valid.
        reason: String,
    },
    /// A password that cannot be had.
    #[error("{from}: {reason}")]
    Secret {
        /// Where it was looked for.
        from: String,
        /// Why not, without the password.
        reason: String,
    },
    /// More workers than node IDs.
    #[error(
        "{} need {} node IDs, cluster.nodes has {nodes}: add IDs there or start fewer workers",
        all_workers(*workers, own), usize::from(*workers) + own.len()
    )]
    TooFewNodes {
        /// Workers wanted that stacks share.
        workers: u16,
        /// Stacks that have one of their own: `stacks.mmdvm`.
        own: Vec<String>,
        /// IDs configured.
        nodes: usize,
    },
    /// More workers than ports of FastForward.
    #[error(
        "{} need {} ports, stacks.fastforward.ports has {ports}: start fewer workers, or add ports there and start the \
         cluster anew",
        all_workers(*workers, own), usize::from(*workers) + own.len()
    )]
    TooFewPorts {
        /// Workers wanted that stacks share.
        workers: u16,
        /// Stacks that have one of their own: `stacks.mmdvm`.
        own: Vec<String>,
        /// Ports configured.
        ports: usize,
    },
    /// More workers than a cluster can have.
    #[error("{} are more than {MAX_WORKERS}: start fewer workers", all_workers(*workers, own))]
    TooManyWorkers {
        /// Workers wanted that stacks share.
        workers: u16,
        /// Stacks that have one of their own: `stacks.mmdvm`.
        own: Vec<String>,
    },
}

fn all_workers(workers: u16, own: &[String]) -> String {
    match own.is_empty() {
        true => format!("{workers} workers"),
        false => format!("{workers} workers and one more for each of {}", own.join(", ")),
    }
}

/// The line, from 1, of the byte at `offset`.
pub(crate) fn line_of(text: &[u8], offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

/// What somebody wrote, quoted and not too long to be read.
pub(crate) fn quote(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
