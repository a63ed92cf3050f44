//! What can go wrong with the registry.

use std::io;
use std::path::PathBuf;

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
    /// A record that cannot be read; the others are not concerned.
    #[error("the record of device {id} cannot be read: {reason}; remove the device and add it again")]
    Corrupt {
        /// Its key.
        id: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// A device that cannot be.
    #[error("device {id}: {reason}")]
    Invalid {
        /// Its ID.
        id: u32,
        /// What is wrong with it and what would be valid.
        reason: String,
    },
}
