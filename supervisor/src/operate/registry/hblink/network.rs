//! Links to other networks of hblink3 and FreeDMR: each is a peer here, and its talkgroups are those of the bridges it is in.

use registry::Space;

use super::Found;
use super::ini::System;

/// Takes what maps of a section whose mode is OPENBRIDGE. Returns the peer's ID, for the rules.
pub(super) fn read(section: &System, found: &mut Found) -> Option<u32> {
    let name = &section.name;
    let Some(id) = section.get("NETWORK_ID").parse::<u32>().ok().filter(|id| *id > 0) else {
        found.left(format!("[{name}] NETWORK_ID: it is none from 1 to {}, so there is no peer", u32::MAX));
        return None;
    };
    if found.records.contains_key(&(Space::Peers, id)) {
        found.left(format!(
            "[{name}] NETWORK_ID: another section has {id} as well, and here it tells peers apart: agree on another one \
             with the far end, then `bmctl registry put Peers`"
        ));
        return None;
    }
    let key = section.get("PASSPHRASE");
    if key.is_empty() {
        found.left(format!("[{name}]: it has no PASSPHRASE, so there is no peer"));
        return None;
    }
    found.set(Space::Peers, id, "key", key.into());
    let learns = section.is("RELAX_CHECKS", false);
    let (ip, port) = (section.get("TARGET_IP"), section.get("TARGET_PORT"));
    match ip {
        "" => found.set(Space::Peers, id, "learn_address", true.into()),
        _ => {
            let address = if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
            found.set(Space::Peers, id, "address", address.into());
            found.set(Space::Peers, id, "learn_address", learns.into());
        }
    }
    found.set(Space::Peers, id, "enhanced", section.is("ENHANCED_OBP", false).into());
    if section.acl(&["SUB_ACL"], found).is_some_and(|acl| !acl.is_open()) {
        found.left(format!("[{name}] SUB_ACL: who may talk is one rule for all: access.radios"));
    }
    // The far end takes only what bears its own.
    found.set(Space::Peers, id, "own_id", id.into());
    if let Err(why) = found.snippet.bridge(section.get("IP"), section.get("PORT")) {
        found.left(format!("[{name}] IP, PORT: {why}"));
    }
    Some(id)
}

/// Of a section that no rule names: the talkgroups that its own list permits.
pub(super) fn by_list(section: &System, id: u32, found: &mut Found) {
    let acl = section.acl(&["TGID_ACL", "TGID_TS1_ACL", "TG1_ACL"], found);
    let Some(acl) = acl.filter(|acl| acl.permit && !acl.ranges.is_empty()) else {
        found.left(format!(
            "[{}]: which talkgroups go there is not said: peer {id} has none before `bmctl registry put Peers` gives it some",
            section.name
        ));
        return;
    };
    for (first, last) in acl.ranges {
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        found.link(id, &range, None);
    }
}
