//! What can go wrong with the registry.

use std::io;
use std::path::PathBuf;

use crate::Space;

/// Why the registry did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data directory or the file in it cannot be made or opened.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database is locked.
    #[error(
        "{}: another cluster uses this data directory; stop it, or give this one a cluster.data_dir of its own",
        dir.display()
    )]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// The database cannot be opened, read or written.
    #[error("{}: {source}", path.display())]
    Store {
        /// The database.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// Another registry does not answer, or says what makes no sense.
    #[error("{0}")]
    Away(String),
    /// Another registry says no.
    #[error("it refuses: {0}")]
    Denied(String),
    /// A record that cannot be read; the others are not concerned.
    #[error("the record of {} {key} cannot be read: {reason}; remove it and add it again", space.what())]
    Corrupt {
        /// Where it lies.
        space: Space,
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A record that cannot be.
    #[error("{} {key}: {reason}", space.what())]
    Invalid {
        /// Where it was to lie.
        space: Space,
        /// Its key, as it was given.
        key: String,
        /// What is wrong with it and what would be valid.
        reason: String,
    },
}
