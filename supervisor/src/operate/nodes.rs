//! The verbs about how nodes are reached.

use anyhow::{Result, bail};
use control::{NodeInfo, Paths, RegistryKey, ServicesRequest, request};
use registry::Space;

use super::{TIMEOUT, print_json};
use crate::cli::{Nodes, Place};
use crate::say::{self, clean};

pub(crate) fn nodes(paths: &Paths, verb: Nodes) -> Result<()> {
    match verb {
        Nodes::List(args) => list(paths, args.json),
        Nodes::Set { id, transport, place, options } => {
            let (address, port) =
                place.map_or_else(Default::default, |Place { address, port }| (address, port));
            let transport = transport.word().to_owned();
            let set = ServicesRequest::NodeSet { id, transport, address, port, options };
            let node: NodeInfo = request(paths, &set, TIMEOUT)?;
            say::line(&format!("node {id} is reached by {}{}", node.transport, place_of(&node, " at ")));
            Ok(())
        }
        Nodes::Unset { id } => {
            let key = RegistryKey { space: Space::OverriddenNodes.to_string(), key: id.into() };
            let unset = ServicesRequest::RegistryWrite { puts: vec![], removes: vec![key], keep: vec![] };
            if request::<usize, _>(paths, &unset, TIMEOUT)? == 0 {
                bail!("node {id} is reached as others are already; `bmctl nodes list` shows which are not");
            }
            say::line(&format!("node {id} is reached as others are"));
            Ok(())
        }
    }
}

fn list(paths: &Paths, json: bool) -> Result<()> {
    let nodes: Vec<NodeInfo> = request(paths, &ServicesRequest::NodeList, TIMEOUT)?;
    if json {
        return print_json(&nodes);
    }
    say::line("node      transport  options  address");
    for node in &nodes {
        let refused =
            node.refused.as_ref().map(|why| format!("  REFUSED: {}", clean(why))).unwrap_or_default();
        let place = place_of(node, "");
        say::line(&format!("{:<9} {:<10} {:<8} {place}{refused}", node.id, node.transport, node.options));
    }
    Ok(())
}

/// Where a node is, if that is said, after `before`.
fn place_of(node: &NodeInfo, before: &str) -> String {
    match clean(&node.address) {
        address if address.is_empty() => String::new(),
        address if address.contains(':') => format!("{before}[{address}]:{}", node.port),
        address => format!("{before}{address}:{}", node.port),
    }
}
