//! What can be said about the registry as a whole, and about how nodes are reached.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use control::Right;
use registry::{Space, Transport};

use super::Json;

/// The port of other nodes where none is said.
const USUAL_PORT: u16 = 54_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Registry {
    /// Show how far this cluster and a registry that it shares agree
    Status(Json),
    /// Say which is right where the registry is another one, older or empty
    ///
    /// `registry`: the cluster's copy is made the same. `copy`: the registry is made the same, records that only it has are
    /// removed.
    Confirm {
        /// Which
        #[arg(value_parser = right, value_name = "registry|copy")]
        right: Right,
    },
    /// Show the records of a space; passwords are shown as ***
    List {
        /// Its name: Nodes, OverriddenNodes, Devices, Subscriptions, GlobalProfiles, Talkgroups, Bans, LastHeard or
        /// StoredValues
        #[arg(value_parser = space)]
        space: Space,
        #[command(flatten)]
        json: Json,
    },
    /// Print one record, as JSON that can be put back; passwords are shown as ***
    Get {
        /// The name of its space
        #[arg(value_parser = space)]
        space: Space,
        /// Its ID or name
        key: String,
    },
    /// Put a record in place of what is there under its key
    ///
    /// A password of *** stands for the one that is there. Others can see the command line: a record with a password is read
    /// from standard input.
    Put {
        /// The name of its space
        #[arg(value_parser = space)]
        space: Space,
        /// The record as a JSON object, or - to read it from standard input
        #[arg(value_name = "JSON|-")]
        record: String,
    },
    /// Take a record out
    Remove {
        /// The name of its space
        #[arg(value_parser = space)]
        space: Space,
        /// Its ID or name
        key: String,
    },
    /// Write all records to a file that only you can read; it has passwords in clear
    Export {
        /// The file, or - for standard output
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
    },
    /// Put the records of a file into the registry: of an export, of a list of users, or of another program's configuration
    ///
    /// What is there and not in the file stays. What cannot be is named, the rest is imported.
    Import {
        /// The file, or - for standard input; of hblink its configuration and rules
        #[arg(value_name = "FILE|-", required = true)]
        files: Vec<PathBuf>,
        /// What it is [default: what it looks like]
        #[arg(long)]
        format: Option<Format>,
    },
}

/// What a file of records is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// What `bmctl registry export` writes
    Export,
    /// A list of users with a header: RADIO_ID,CALLSIGN,FIRST_NAME,LAST_NAME,CITY,STATE,COUNTRY
    Csv,
    /// A list of users: {"users":[{"id":1,"callsign":"N0CALL","fname":"","surname":"","city":"","state":"","country":""}]}
    Json,
    /// The configuration of hblink3 or FreeDMR, with its rules.py, or of HBlink4
    Hblink,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Nodes {
    /// Show the nodes that are reached in a way of their own, and why this host cannot reach them so
    List(Json),
    /// Have a node reached in a way of its own
    Set {
        /// Its ID
        id: u32,
        /// How
        #[arg(value_parser = transport, value_name = "udp|tls|direct|vsock|rdma")]
        transport: Transport,
        /// Where: host name or IP address, for vsock the CID; nothing for direct
        #[arg(value_name = "ADDRESS[:PORT]", value_parser = place)]
        place: Option<Place>,
        /// Flags of the transport
        #[arg(long, default_value_t = 0)]
        options: u32,
    },
    /// Have a node reached as others are
    Unset {
        /// Its ID
        id: u32,
    },
}

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: String,
    pub(crate) port: u16,
}

fn space(name: &str) -> Result<Space, String> {
    let names = || format!("there are {}", Space::ALL.map(Space::name).join(", "));
    Space::named(name).ok_or_else(names)
}

fn right(word: &str) -> Result<Right, String> {
    match word {
        "registry" => Ok(Right::Registry),
        "copy" => Ok(Right::Copy),
        _ => Err("write registry or copy".to_owned()),
    }
}

fn transport(word: &str) -> Result<Transport, String> {
    let words = || format!("there are {}", Transport::ALL.map(Transport::word).join(", "));
    Transport::ALL.into_iter().find(|way| way.word().eq_ignore_ascii_case(word)).ok_or_else(words)
}

fn place(text: &str) -> Result<Place, String> {
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (address, None),
            Some((address, port)) => (address, Some(port.strip_prefix(':').unwrap_or("x"))),
            None => return Err("write an IPv6 address as [2001:db8::1]:54000".to_owned()),
        },
        // More than one colon: an IPv6 address alone.
        None => match text.split_once(':') {
            Some((address, port)) if !port.contains(':') => (address, Some(port)),
            _ => (text, None),
        },
    };
    let port = port.map_or(Some(USUAL_PORT), |port| port.parse().ok().filter(|port| *port > 0));
    let port = port.ok_or("write a port from 1 to 65535")?;
    Ok(Place { address: address.to_owned(), port })
}
