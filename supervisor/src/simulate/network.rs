//! The network that is simulated beside the repeaters: where it is found, and what the cluster has to know of it.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use control::Status;
use sim::{Bridged, Key, Network};

use super::read_secret;
use crate::cli::Sim;

/// The network that was asked for, if one was.
pub(super) fn find(args: &Sim, first_talkgroup: u32, status: Option<&Status>) -> Result<Option<Network>> {
    let Some((id, file)) = args.network.zip(args.network_key_file.as_deref()) else { return Ok(None) };
    let text = read_secret("key", file)?;
    let len = text.len();
    let key = Key::new(text)
        .with_context(|| format!("the key in {} has {len} bytes: write one of 1 to 64", file.display()))?;
    let listen = args.network_listen;
    let ours = status.and_then(|status| status.listen.get("openbridge"));
    let server = match (args.openbridge_server, ours) {
        (Some(server), _) => server,
        (None, Some(ours)) => of_family(ours, listen)?,
        (None, None) => {
            let table = table(args, id, file, first_talkgroup);
            return Err(anyhow!(
                "the cluster has no openbridge stack: give one with --openbridge-server, or start it with this in its \
                 configuration:\n[stacks.openbridge]\n{table}"
            ));
        }
    };
    Ok(Some(Network { id, key, listen, server }))
}

/// The first of `ours` that `listen` reaches.
fn of_family(ours: &[SocketAddr], listen: SocketAddr) -> Result<SocketAddr> {
    let found = ours.iter().find(|address| address.is_ipv4() == listen.is_ipv4());
    found.copied().with_context(|| {
        let ours: Vec<_> = ours.iter().map(ToString::to_string).collect();
        format!(
            "the cluster's openbridge stack listens at {}, which --network-listen {listen} cannot reach: name addresses of \
             one family",
            ours.join(", ")
        )
    })
}

/// What the operator should look at, after a run in which the network was not served.
pub(super) fn hint(args: &Sim, first_talkgroup: u32, bridged: &Bridged) -> Option<String> {
    let (id, file) = args.network.zip(args.network_key_file.as_deref())?;
    let Bridged { said, heard, unsigned, .. } = bridged;
    if let Some(first) = &bridged.first_unsigned {
        let file = file.display();
        return Some(format!(
            "{unsigned} datagrams to network {id} were not signed with the key in {file}: it has to be the one of the peer in the \
             cluster's configuration. The first was {first}"
        ));
    }
    let is_mute = said.sent > 0 && said.counts.delivered == 0;
    let is_deaf = heard.sent > 0 && heard.counts.delivered == 0;
    let what = match (is_mute, is_deaf) {
        (true, true) => "took nothing from it and sent nothing to it",
        (true, false) => "took nothing from it",
        (false, true) => "sent nothing to it",
        (false, false) => return None,
    };
    let table = table(args, id, file, first_talkgroup);
    Some(format!(
        "network {id}: the cluster {what}; its configuration needs this peer, with the same key:\n{table}"
    ))
}

/// The peer, as the cluster's configuration has to say it.
fn table(args: &Sim, id: u32, file: &Path, first: u32) -> String {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let last = u32::try_from(args.talkgroups)
        .map_or(u32::MAX, |count| first.saturating_add(count.saturating_sub(1)));
    let talkgroups = if last > first { format!("\"{first}-{last}\"") } else { first.to_string() };
    let address = match args.network_listen {
        listen if listen.port() == 0 => "learn_address = true".to_owned(),
        listen => format!("address = \"{listen}\""),
    };
    format!(
        "[[stacks.openbridge.peers]]\nid = {id}\n{address}\nkey_file = {file:?}\ntalkgroups = [{talkgroups}]"
    )
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn args(line: &str) -> Sim {
        let command = Sim::augment_args(clap::Command::new("sim"));
        let matches = command.try_get_matches_from(format!("sim {line}").split_ascii_whitespace()).unwrap();
        Sim::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn what_is_missing_is_said_as_the_configuration_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "k3y\n").unwrap();
        let args = args(&format!("--talkgroups 10 --network 3129900 --network-key-file {}", file.display()));
        let error = find(&args, 25_001, None).unwrap_err().to_string();
        let (_, toml) = error.split_once(":\n").unwrap();
        let bridge = config::Config::parse(toml).unwrap().stacks.openbridge.unwrap();
        let peer = &bridge.peers[0];
        assert_eq!((peer.id, peer.talkgroups.out.as_slice()), (3_129_900, &[(25_001, 25_010)][..]));
        assert_eq!(peer.key_file.as_deref(), Some(file.as_path()));
        assert_eq!(peer.address.as_ref().unwrap().to_string(), "127.0.0.1:62099");
    }

    #[test]
    fn an_address_of_the_same_family_is_taken() {
        let ours = ["[::1]:62035", "127.0.0.1:62035"].map(|text| text.parse().unwrap());
        assert_eq!(of_family(&ours, "127.0.0.1:1".parse().unwrap()).unwrap(), ours[1]);
        let error = of_family(&ours[..1], "127.0.0.1:1".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("listens at [::1]:62035, which --network-listen 127.0.0.1:1"), "{error}");
    }

    #[test]
    fn the_network_needs_its_key() {
        let command = Sim::augment_args(clap::Command::new("sim"));
        let refused = |line: &str| {
            command.clone().try_get_matches_from(line.split_ascii_whitespace()).unwrap_err().to_string()
        };
        assert!(refused("sim --network 7").contains("--network-key-file <FILE>"));
        assert!(refused("sim --network-listen 127.0.0.1:1").contains("--network <ID>"));
        assert!(find(&args(""), 1, None).unwrap().is_none());
    }
}
