//! What an operator has set for another network that calls go to and come from.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The longest key, in bytes.
pub const MAX_KEY: usize = 64;

/// How many ranges and renamed talkgroups there can be for one network, all together: what is known of it has to fit a
/// record of its shard.
pub const MAX_ENTRIES: usize = 32;

/// A key that is shared with another network. `Debug` shows `***`; it serializes in clear, for private channels only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key(String);

impl Key {
    /// A key of 1 to [`MAX_KEY`] bytes; `None` for another.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        ((1..=MAX_KEY).contains(&text.len())).then_some(Self(text))
    }

    /// Its bytes in clear.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Which talkgroups go over to another network and come from it, by their numbers here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Talkgroups {
    /// Those that are sent there, as ranges.
    pub out: Vec<(u32, u32)>,
    /// Those that are taken from there.
    pub r#in: Vec<(u32, u32)>,
    /// Those that have another number there: the number here and the number there, none of either twice.
    pub renamed: Vec<(u32, u32)>,
}

/// What is the same both ways is written once.
#[derive(Serialize, Deserialize)]
struct Written {
    out: Vec<(u32, u32)>,
    /// `None`: as `out`.
    r#in: Option<Vec<(u32, u32)>>,
    renamed: Vec<(u32, u32)>,
}

impl From<Talkgroups> for Written {
    fn from(talkgroups: Talkgroups) -> Self {
        let Talkgroups { out, r#in, renamed } = talkgroups;
        Self { r#in: (r#in != out).then_some(r#in), out, renamed }
    }
}

impl From<Written> for Talkgroups {
    fn from(written: Written) -> Self {
        let Written { out, r#in, renamed } = written;
        Self { r#in: r#in.unwrap_or_else(|| out.clone()), out, renamed }
    }
}

impl Talkgroups {
    /// How many entries it has: see [`MAX_ENTRIES`]. What is the same both ways counts once.
    #[must_use]
    pub fn entries(&self) -> usize {
        let r#in = if self.r#in == self.out { 0 } else { self.r#in.len() };
        self.out.len() + r#in + self.renamed.len()
    }
}

/// What is set for another network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSettings {
    /// Where it is reached; `None` while that is not known.
    pub address: Option<SocketAddr>,
    /// What comes from elsewhere with the right key shows where it is reached from now on.
    pub learns: bool,
    /// The key that both have.
    pub key: Key,
    /// Our own network ID there; `None` for the one that all others get.
    pub own_id: Option<u32>,
    /// It speaks the extensions of the protocol: keep-alive, versions, source quench.
    pub enhanced: bool,
    /// Which talkgroups.
    pub talkgroups: Talkgroups,
}
