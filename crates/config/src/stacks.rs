//! `[stacks]`: the stacks of a cluster, ours and those of third parties, as one list for whoever starts them. What a stack does
//! with its options it alone knows.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{FastForward, Mmdvm, OpenBridge, Placement};

/// The most bytes that the options of a stack have as JSON.
pub const MAX_OPTIONS: usize = 16 * 1024;

/// Names of our own stacks: those of [`Stacks::all`] in its order, then the one that has no shards.
pub(crate) const OURS: [&str; 3] = ["mmdvm", "openbridge", "fastforward"];

/// `[stacks]`: one table a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stacks {
    /// `[stacks.mmdvm]`.
    pub mmdvm: Mmdvm,
    /// `[stacks.openbridge]`; `None` where the file has no such table.
    #[serde(default)]
    pub openbridge: Option<OpenBridge>,
    /// `[stacks.fastforward]`; `None` where the file has no such table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fastforward: Option<FastForward>,
    /// `[stacks.NAME]` with a `program`, by name.
    #[serde(flatten)]
    pub third_party: BTreeMap<String, ThirdParty>,
}

/// `[stacks.NAME]`: a stack that a program of a third party serves, as a worker of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThirdParty {
    /// An absolute path.
    pub program: PathBuf,
    /// UDP addresses, as those of [`Mmdvm::listen`].
    pub listen: Vec<SocketAddr>,
    /// How many shards it has, as [`Mmdvm::shards`].
    pub shards: u16,
    /// What its program is told, as JSON.
    pub options: Options,
}

/// What the configuration says to a stack of a third party: at most [`MAX_OPTIONS`] bytes of JSON. It may hold secrets: `Debug`
/// shows `***`; it serializes in clear, for private sockets only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Options(pub serde_json::Value);

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A stack, as far as it matters to whoever starts its workers.
#[derive(Clone, Debug)]
pub struct Stack<'a> {
    /// Its name: that of its table in `[stacks]`.
    pub name: &'a str,
    /// UDP addresses.
    pub listen: &'a [SocketAddr],
    /// Which workers serve it.
    pub workers: Placement,
    /// How many shards it has.
    pub shards: u16,
    /// The program that serves it; `None` where the workers of the project do.
    pub program: Option<&'a Path>,
    /// What its workers are told of it beside; null where that is nothing.
    pub options: Options,
}

impl Stacks {
    /// All stacks that have shards, in an order that does not change while a cluster runs: ours, then those of third parties by name.
    #[must_use]
    pub fn all(&self) -> Vec<Stack<'_>> {
        let [name, bridge, _] = OURS;
        let Mmdvm { listen, workers, shards, .. } = &self.mmdvm;
        let options = Options::default();
        let mmdvm = Stack { name, listen, workers: *workers, shards: *shards, program: None, options };
        // What is learned of a network has one place.
        let openbridge = self.openbridge.iter().map(|openbridge| Stack {
            name: bridge,
            listen: &openbridge.listen,
            workers: openbridge.workers,
            shards: 1,
            program: None,
            options: Options(serde_json::json!({ "id": openbridge.id })),
        });
        let third_party = self.third_party.iter().map(|(name, stack)| Stack {
            name,
            listen: &stack.listen,
            workers: Placement::Own,
            shards: stack.shards,
            program: Some(&stack.program),
            options: stack.options.clone(),
        });
        std::iter::once(mmdvm).chain(openbridge).chain(third_party).collect()
    }

    /// Those that have a worker of their own, as keys of the file: `stacks.mmdvm`.
    #[must_use]
    pub fn own(&self) -> Vec<String> {
        let own = self.all().into_iter().filter(|stack| stack.workers == Placement::Own);
        own.map(|stack| format!("stacks.{}", stack.name)).collect()
    }

    /// The first stack that would listen where one before it does: its name, the name of that one, and where that listens.
    pub(crate) fn clash(&self) -> Option<(String, String, SocketAddr)> {
        let all = self.all();
        let pairs = (1..all.len()).flat_map(|later| (0..later).map(move |earlier| (later, earlier)));
        pairs.into_iter().find_map(|(later, earlier)| {
            let taken = |address: &&SocketAddr| all[later].listen.iter().any(|other| meet(**address, *other));
            let address = all[earlier].listen.iter().find(taken)?;
            Some((all[later].name.to_owned(), all[earlier].name.to_owned(), *address))
        })
    }

    /// The first stack that listens on a port of FastForward, and where.
    pub(crate) fn clash_of_ports(&self) -> Option<(String, SocketAddr)> {
        let FastForward { listen, ports, .. } = self.fastforward.as_ref()?;
        let ports: Vec<SocketAddr> = ports.iter().map(|port| SocketAddr::new(*listen, port)).collect();
        self.all().into_iter().find_map(|stack| {
            let taken =
                stack.listen.iter().find(|address| ports.iter().any(|port| meet(**address, *port)))?;
            Some((stack.name.to_owned(), *taken))
        })
    }
}

/// Whether one socket can be bound to each of two addresses, and no other. A socket of IPv6 takes IPv6 alone.
fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    let is_same_host = a == b || a.is_unspecified() || b.is_unspecified();
    one.port() != 0 && one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && is_same_host
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn addresses_that_meet() {
        let meet = |one: &str, other: &str| meet(one.parse().unwrap(), other.parse().unwrap());
        assert!(
            meet("127.0.0.1:1", "127.0.0.1:1")
                && meet("0.0.0.0:1", "127.0.0.1:1")
                && meet("[::1]:1", "[::]:1")
        );
        assert!(!meet("127.0.0.1:0", "127.0.0.1:0") && !meet("127.0.0.1:1", "127.0.0.1:2"));
        assert!(!meet("0.0.0.0:1", "[::]:1") && !meet("127.0.0.1:1", "127.0.0.2:1"));
    }

    #[test]
    fn all_are_listed_in_one_order_and_pass_as_json() {
        let text = "[stacks.b]\nprogram = \"/b\"\nlisten = \"127.0.0.1:1\"\n[stacks.a]\nprogram = \"/a\"\n\
                    listen = \"127.0.0.1:2\"\nshards = 4\noptions = { key = \"hidden\" }";
        let config = Config::parse(text).unwrap();
        let names: Vec<&str> = config.stacks.all().iter().map(|stack| stack.name).collect();
        assert_eq!(names, ["mmdvm", "a", "b"]);
        assert_eq!(config.stacks.own(), ["stacks.a", "stacks.b"]);
        let json = serde_json::to_string(&config).unwrap();
        assert!(json.contains("hidden") && !format!("{config:?}").contains("hidden"));
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    }
}
