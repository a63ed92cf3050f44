//! What can be wrong with what a device sends or an earlier owner wrote down.

/// Why a datagram, a burst, a configuration or a record was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No packet that a client sends begins so.
    #[error("datagram of {len} bytes begins with {tag:02x?}: no packet of a client, drop it")]
    Tag {
        /// Its first bytes, zero where it is shorter.
        tag: [u8; 4],
        /// Its length.
        len: usize,
    },
    /// A packet that is too long or too short.
    #[error("{tag} of {len} bytes: must be {valid}")]
    Length {
        /// The packet.
        tag: &'static str,
        /// Its length.
        len: usize,
        /// The lengths that are legal.
        valid: &'static str,
    },
    /// A burst of a kind that does not exist.
    #[error("burst with flags {0:#04x}: low six bits must be 0x10, 0x01..=0x05 or 0x20..=0x2f")]
    Kind(u8),
    /// A burst from or to nobody.
    #[error("burst from {talker} to {destination}: neither may be 0")]
    Nobody {
        /// Source ID.
        talker: u32,
        /// Destination ID.
        destination: u32,
    },
    /// A configuration that cannot be.
    #[error("{field} {value:?} in the configuration: must be {valid}")]
    Field {
        /// What is wrong.
        field: &'static str,
        /// Its value, only printable ASCII.
        value: String,
        /// What it may be.
        valid: &'static str,
    },
    /// A record of another version, or of none.
    #[error("record of {len} bytes is none of version {version}: the device has to log in again")]
    Record {
        /// Length of the record.
        len: usize,
        /// The version that this program reads.
        version: u8,
    },
}
