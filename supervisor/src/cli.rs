//! The command line: what can be said, and the help that teaches it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use config::Workers;

const EXIT_CODES: &str = "\
Exit codes:
  0  done                       4  a cluster runs already
  1  failed, the reason is said 5  degraded: the cluster runs, but not all of it
  2  wrong usage                6  no answer in time
  3  no cluster runs            78 the configuration is wrong";

/// An open DMR master server: one supervisor, one worker a core.
///
/// A first proof on a fresh machine: `bmctl start --workers 2` here, `bmctl sim --demo` in a second terminal.
#[derive(Debug, Parser)]
#[command(name = "bmctl", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Where the cluster's sockets and lock are; one cluster each [default: $BMCTL_RUNTIME_DIR, else /run/bmctl for
    /// root, $XDG_RUNTIME_DIR/bmctl or /tmp/bmctl-UID for others]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) runtime_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start a cluster in the foreground, until Ctrl-C, SIGTERM or `bmctl stop`
    ///
    /// Without --config it runs on built-in defaults: it listens on loopback alone, keeps its registry itself and
    /// lets devices in with a development password.
    Start {
        /// How many workers: a number, or auto for one a core
        #[arg(long, value_name = "N|auto")]
        workers: Option<Workers>,
        /// The configuration, in TOML
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Show how the cluster is
    Status(Json),
    /// Stop the cluster: repeaters are told, then everything ends
    Stop,
    /// Say whether a configuration file is good, and if not, where and what would be
    Check {
        /// The file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Print what happens, one JSON object a line, until Ctrl-C
    Events,
    /// Show who is logged in
    Contexts(Json),
    /// Show who is talking
    Calls(Json),
    /// Throw a repeater or hotspot out; it may log in again
    Kick {
        /// Its ID
        id: u32,
    },
    /// Devices in the registry: their passwords, call signs and static talkgroups
    #[command(subcommand)]
    Device(Device),
    /// Simulate repeaters against this cluster: a first proof, and a load generator
    ///
    /// Repeater i (from 0) has the ID 2501001 + i and listens on TS2 to talkgroup 25001 + i % TALKGROUPS; call k is
    /// made by repeater k. Says what was delivered, lost, reordered, duplicated, strayed or altered, and how long it
    /// took by the kernel's clock. Not for a cluster that serves real repeaters: devices of these IDs would lose their
    /// place, and listeners of these talkgroups, and of 91 with --demo, would hear it.
    Sim(Sim),
}

#[derive(Debug, Args)]
pub(crate) struct Json {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Add a device; a password is made up and printed once, unless one is given
    Add {
        /// Its ID as it sends it: usually 6 or 7 digits, 9 for a hotspot
        id: u32,
        /// Its call sign
        #[arg(long)]
        call: Option<String>,
        /// Static talkgroups of TS1, with commas
        #[arg(long, value_name = "TG,TG", value_delimiter = ',')]
        ts1: Vec<u32>,
        /// Static talkgroups of TS2, with commas
        #[arg(long, value_name = "TG,TG", value_delimiter = ',')]
        ts2: Vec<u32>,
        /// Read its password from standard input
        #[arg(long)]
        password_stdin: bool,
        /// Give it none: the one of the configuration is good for it
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
    },
    /// Show all devices
    List(Json),
    /// Remove a device; one that is logged in stays so until it is kicked
    Remove {
        /// Its ID
        id: u32,
    },
    /// Give a device another password, read from standard input; it is asked for it at its next login
    Password {
        /// Its ID
        id: u32,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// One call from a worker to another and one to the parrot, told in words
    #[arg(long, conflicts_with_all = ["floor", "json", "repeaters", "talkgroups", "calls", "seconds", "seed"])]
    pub(crate) demo: bool,
    /// How many repeaters
    #[arg(long, default_value_t = 50)]
    pub(crate) repeaters: usize,
    /// How many talkgroups they share
    #[arg(long, default_value_t = 1)]
    pub(crate) talkgroups: usize,
    /// How many calls at once
    #[arg(long, default_value_t = 1)]
    pub(crate) calls: usize,
    /// How long each call is
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u32,
    /// Also run the same load through a bare `sendto` loop: the kernel's own cost
    #[arg(long)]
    pub(crate) floor: bool,
    /// The server [default: where this cluster's mmdvm stack listens]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) server: Option<SocketAddr>,
    /// A file with the repeaters' password [default: the development password]
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Draw stream IDs from this
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
