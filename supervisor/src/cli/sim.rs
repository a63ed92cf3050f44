//! What can be said to the simulator.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// One call from a worker to another and one to the parrot, told in words
    #[arg(long, conflicts_with_all = ["floor", "json", "repeaters", "talkgroups", "calls", "seconds", "in_flight", "seed", "network", "across"])]
    pub(crate) demo: bool,
    /// How many repeaters
    #[arg(long, default_value_t = 50)]
    pub(crate) repeaters: usize,
    /// How many talkgroups they share
    #[arg(long, default_value_t = 1)]
    pub(crate) talkgroups: usize,
    /// How many calls at once, each on a talkgroup of its own
    #[arg(long, default_value_t = 1)]
    pub(crate) calls: usize,
    /// How long each call is
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u32,
    /// As fast as the server carries them with so many bursts under way, instead of one each 60 ms; the cluster needs
    /// `max_burst_rate = 0` in `[protection]`
    #[arg(long, value_name = "N")]
    pub(crate) in_flight: Option<usize>,
    /// Also run the same load through a bare `sendto` loop: the kernel's own cost, and with --network that of the signatures
    #[arg(long)]
    pub(crate) floor: bool,
    /// The server [default: where this cluster's mmdvm stack listens]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) server: Option<SocketAddr>,
    /// The runtime directory of another cluster on this machine that is joined with this one; may be given more than once. The
    /// repeaters are spread over all, and what comes within a host and across hosts is counted apart
    #[arg(long, value_name = "DIR", conflicts_with = "network")]
    pub(crate) across: Vec<PathBuf>,
    /// The same, where its mmdvm stack listens; its CPU time is not measured
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["network", "demo"])]
    pub(crate) across_server: Vec<SocketAddr>,
    /// A file with the repeaters' password [default: the development password]
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Also simulate the network with this ID, a peer of the cluster over OpenBridge: it makes every other call, the first one
    /// among them, and should hear the others
    #[arg(long, value_name = "ID", requires = "network_key_file")]
    pub(crate) network: Option<u32>,
    /// A file with the network's key, that of the peer in the cluster's configuration
    #[arg(long, value_name = "FILE", requires = "network")]
    pub(crate) network_key_file: Option<PathBuf>,
    /// Where the network listens: the peer's address in the cluster's configuration, or port 0 for one that is learned
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:62099", requires = "network")]
    pub(crate) network_listen: SocketAddr,
    /// The server for the network [default: where this cluster's openbridge stack listens]
    #[arg(long, value_name = "ADDRESS:PORT", requires = "network")]
    pub(crate) openbridge_server: Option<SocketAddr>,
    /// Draw stream IDs from this [default: 1; with --network, whose streams a cluster takes once, another each time]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
