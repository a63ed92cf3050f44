//! The configuration file of a cluster: its shape, its defaults, and what is wrong with one.
//!
//! A file is TOML. Each key that it leaves out has the built-in default, but for `stacks.mmdvm.password`:
//! only a cluster without a file has the development password. Unknown keys are refused. An error names line,
//! key and what would be valid.
//!
//! The types serialize, for the way from the supervisor to its children over a private socket. This crate
//! opens no socket, looks at no environment of its own accord and does not know how many cores there are.

#![forbid(unsafe_code)]

mod address;
mod error;
mod fastforward;
mod file;
mod nodes;
mod openbridge;
mod ports;
mod read_stacks;
mod rules;
mod secret;
mod stacks;
mod store;
mod table;
pub mod talkgroups;
mod url;
mod workers;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use address::PeerAddress;
pub use error::Error;
pub use fastforward::{FastForward, HostKey, MAX_HOSTS, MAX_NETWORK_KEYS, NetworkKeys};
pub use nodes::{MAX_NODE, Nodes};
pub use openbridge::{MAX_PEERS, OpenBridge, Peer, read_key};
pub use ports::Ports;
pub use rules::{AccessLists, Calls, MAX_ACCESS, Protection};
pub use secret::{MAX_PASSWORD, Secret, SecretError};
pub use stacks::{MAX_OPTIONS, Options, Stack, Stacks, ThirdParty};
pub use store::Store;
pub use url::{Address, Remote, Scheme, Url};
pub use workers::{MAX_WORKERS, Placement, Workers};

/// The longest file that is read, in bytes.
pub const MAX_FILE: usize = 1024 * 1024;

/// How many addresses a stack can listen on.
pub const MAX_LISTEN: usize = 4;

/// How many shards a stack can have.
pub const MAX_SHARDS: u16 = 64;

/// The password of the built-in defaults; everybody knows it.
pub const DEVELOPMENT_PASSWORD: &str = "passw0rd";

/// The configuration of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// `[cluster]`.
    pub cluster: Cluster,
    /// `[registry]`.
    pub registry: Store,
    /// `[events]`.
    pub events: Store,
    /// `[metrics]`.
    pub metrics: Metrics,
    /// `[calls]`.
    pub calls: Calls,
    /// `[protection]`.
    pub protection: Protection,
    /// `[access]`.
    pub access: AccessLists,
    /// `[stacks]`.
    pub stacks: Stacks,
    /// `[[hosts]]`: where other hosts are, at most [`MAX_HOSTS`], none twice; there are some only with
    /// [`Stacks::fastforward`].
    #[serde(default)]
    pub hosts: Vec<PeerAddress>,
}

/// `[cluster]`: its workers and where it keeps its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Node IDs of worker 0, 1, ...
    pub nodes: Nodes,
    /// How many workers.
    pub workers: Workers,
    /// An absolute directory; `None` is `data/` in the runtime directory.
    pub data_dir: Option<PathBuf>,
}

/// `[metrics]`: where Prometheus finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// TCP address; port 0 takes any free one.
    pub listen: SocketAddr,
}

/// `[stacks.mmdvm]`: repeaters and hotspots that speak the Homebrew protocol, in either dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mmdvm {
    /// UDP addresses, 1 to [`MAX_LISTEN`], none twice; port 0 takes any free one.
    pub listen: Vec<SocketAddr>,
    /// For devices that have none of their own; `None` refuses them.
    pub password: Option<Secret>,
    /// Which workers serve it.
    pub workers: Placement,
    /// How many shards it has: a power of two, 1 to [`MAX_SHARDS`].
    pub shards: u16,
}

impl Mmdvm {
    fn without_password() -> Self {
        Self {
            listen: [62031, 62030]
                .into_iter()
                .flat_map(|port| {
                    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
                        .map(|ip| SocketAddr::new(ip, port))
                })
                .collect(),
            password: None,
            workers: Placement::All,
            shards: MAX_SHARDS,
        }
    }
}

impl Default for Config {
    /// What a cluster without a file runs on: loopback only, and the development password.
    fn default() -> Self {
        let mut config = Self::file_default();
        config.stacks.mmdvm.password = Secret::new(DEVELOPMENT_PASSWORD).ok();
        config
    }
}

impl Config {
    /// What an empty file gives.
    fn file_default() -> Self {
        Self {
            cluster: Cluster { nodes: Nodes::default(), workers: Workers::Auto, data_dir: None },
            registry: Store::EMBEDDED,
            events: Store::EMBEDDED,
            metrics: Metrics { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464) },
            calls: Calls::default(),
            protection: Protection::default(),
            access: AccessLists::default(),
            stacks: Stacks {
                mmdvm: Mmdvm::without_password(),
                openbridge: None,
                fastforward: None,
                third_party: BTreeMap::new(),
            },
            hosts: Vec::new(),
        }
    }

    /// Reads the file at `path`, and the passwords that it says where to find. `env` is the environment.
    ///
    /// # Errors
    /// When it cannot be read or is longer than [`MAX_FILE`], all those of [`Config::parse`], and when a password cannot
    /// be had.
    pub fn load(path: &Path, env: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let unreadable = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() > MAX_FILE {
            return Err(Error::TooLarge);
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| Error::Syntax {
            line: error::line_of(&bytes, error.valid_up_to()),
            reason: "not UTF-8 text".to_owned(),
        })?;
        let mut config = Self::parse(text)?;
        store::fetch_password(&store::REGISTRY, &mut config.registry, &env)?;
        store::fetch_password(&store::EVENTS, &mut config.events, &env)?;
        config.stacks.openbridge.as_mut().map_or(Ok(()), openbridge::fetch_keys)?;
        config.stacks.fastforward.as_mut().map_or(Ok(()), fastforward::fetch_keys)?;
        Ok(config)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first fault found: bad TOML, an unknown key, a value that cannot be, more workers than node IDs.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_FILE {
            return Err(Error::TooLarge);
        }
        file::parse(text)
    }

    /// How many workers all stacks share on a host with so many cores: the number configured, or for `auto` one a core,
    /// but not more than there are node IDs, and ports of FastForward, beside those of stacks that have a worker of their own.
    #[must_use]
    pub fn workers_on(&self, cores: usize) -> u16 {
        match self.cluster.workers {
            Workers::Number(number) => number,
            Workers::Auto => {
                let ports = self.stacks.fastforward.as_ref().map_or(usize::MAX, |it| it.ports.count());
                let most = self.cluster.nodes.count().min(ports).min(MAX_WORKERS.into());
                let most = most.saturating_sub(self.stacks.own().len()).clamp(1, cores.max(1));
                u16::try_from(most).unwrap_or(MAX_WORKERS)
            }
        }
    }

    /// The node IDs of so many workers that stacks share, and of those that are a stack's own beside them: of slot 0, 1, ...
    ///
    /// # Errors
    /// [`Error::TooFewNodes`] where there are more workers than IDs, [`Error::TooFewPorts`] where there are more than ports of
    /// FastForward, [`Error::TooManyWorkers`] where there are more than a cluster can have.
    pub fn nodes_for(&self, workers: u16) -> Result<Vec<u32>, Error> {
        let (nodes, own) = (self.cluster.nodes.count(), self.stacks.own());
        let all = usize::from(workers) + own.len();
        if all > nodes {
            return Err(Error::TooFewNodes { workers, own, nodes });
        }
        let ports = self.stacks.fastforward.as_ref().map(|it| it.ports.count());
        if let Some(ports) = ports.filter(|ports| all > *ports) {
            return Err(Error::TooFewPorts { workers, own, ports });
        }
        if all > usize::from(MAX_WORKERS) {
            return Err(Error::TooManyWorkers { workers, own });
        }
        Ok(self.cluster.nodes.iter().take(all).collect())
    }

    /// The node ID of the worker in a slot; `None` where there are not so many.
    #[must_use]
    pub fn node(&self, slot: u8) -> Option<u32> {
        self.cluster.nodes.iter().nth(slot.into())
    }

    /// Whether devices log in with the password that everybody knows, so that a warning is due.
    #[must_use]
    pub fn development_password(&self) -> bool {
        self.stacks.mmdvm.password.as_ref().is_some_and(|password| password.expose() == DEVELOPMENT_PASSWORD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_loopback_and_warn() {
        let config = Config::default();
        assert_eq!(config.cluster.nodes.iter().collect::<Vec<_>>(), (25011..=25018).collect::<Vec<_>>());
        assert!(config.stacks.mmdvm.listen.iter().all(|address| address.ip().is_loopback()));
        let listen: Vec<_> = config.stacks.mmdvm.listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["127.0.0.1:62031", "[::1]:62031", "127.0.0.1:62030", "[::1]:62030"]);
        assert_eq!(config.metrics.listen.to_string(), "127.0.0.1:9464");
        assert!(config.development_password());
        assert!(!Config::parse("").unwrap().development_password());
    }

    #[test]
    fn workers_need_node_ids() {
        let mut config = Config::default();
        assert_eq!(config.nodes_for(2).unwrap(), [25011, 25012]);
        assert_eq!(
            config.nodes_for(9).unwrap_err().to_string(),
            "9 workers need 9 node IDs, cluster.nodes has 8: add IDs there or start fewer workers"
        );
        assert_eq!(config.workers_on(4), 4);
        assert_eq!(config.workers_on(0), 1);
        assert_eq!(config.workers_on(64), 8);
        config.cluster.workers = Workers::Number(3);
        assert_eq!(config.workers_on(64), 3);
    }

    #[test]
    fn workers_of_a_stacks_own_need_node_ids_too() {
        let mut config = Config::default();
        config.stacks.mmdvm.workers = Placement::Own;
        assert_eq!((config.workers_on(64), config.workers_on(2)), (7, 2));
        assert_eq!(config.nodes_for(2).unwrap(), [25011, 25012, 25013]);
        assert_eq!(
            config.nodes_for(8).unwrap_err().to_string(),
            "8 workers and one more for each of stacks.mmdvm need 9 node IDs, cluster.nodes has 8: add IDs there or start \
             fewer workers"
        );
        config.cluster.nodes = "1-200".parse().unwrap();
        assert_eq!((config.workers_on(200), config.node(2), config.node(200)), (126, Some(3), None));
        assert_eq!(
            config.nodes_for(127).unwrap_err().to_string(),
            "127 workers and one more for each of stacks.mmdvm are more than 127: start fewer workers"
        );
        let wrong = Config::parse("[cluster]\nnodes = \"7\"\n[stacks.mmdvm]\nworkers = \"own\"").unwrap_err();
        let expected = "1 workers and one more for each of stacks.mmdvm need 2 node IDs, cluster.nodes has 1";
        assert!(wrong.to_string().starts_with(expected), "{wrong}");
    }

    #[test]
    fn passes_to_children_as_json() {
        let config = Config::default();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
        assert!(!format!("{config:?}").contains(DEVELOPMENT_PASSWORD));
    }

    #[test]
    fn loads_a_file_within_limits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bmctl.toml");
        assert!(
            Config::load(&path, |_| None).unwrap_err().to_string().contains("bmctl.toml: cannot be read")
        );
        std::fs::write(&path, "[cluster]\nworkers = 2\n").unwrap();
        assert_eq!(Config::load(&path, |_| None).unwrap().cluster.workers, Workers::Number(2));
        std::fs::write(&path, b"# a\n# \xff\n").unwrap();
        assert_eq!(Config::load(&path, |_| None).unwrap_err().to_string(), "line 2: not UTF-8 text");
        std::fs::write(&path, vec![b'\n'; MAX_FILE + 1]).unwrap();
        assert!(matches!(Config::load(&path, |_| None), Err(Error::TooLarge)));
    }
}
