//! The configuration of hblink3 and FreeDMR: a section a system.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use registry::{MAX_ID, MAX_TALKGROUP, Space};

use super::Found;
use super::access::Acl;
use super::network;

/// A section of the file.
#[derive(Debug)]
pub(super) struct System {
    pub(super) name: String,
    /// In capitals.
    keys: BTreeMap<String, String>,
    /// The devices that are named in a master's list of those that may log in.
    pub(super) peers: Vec<u32>,
    /// The peer that it is here, if it is a link to another network.
    pub(super) network: Option<u32>,
}

/// The keys that are looked at.
const KNOWN: [&str; 22] = [
    "MODE",
    "ENABLED",
    "IP",
    "PORT",
    "PASSPHRASE",
    "GROUP_HANGTIME",
    "USE_ACL",
    "REG_ACL",
    "SUB_ACL",
    "TGID_TS1_ACL",
    "TGID_TS2_ACL",
    "TG1_ACL",
    "TG2_ACL",
    "TS1_STATIC",
    "TS2_STATIC",
    "SINGLE_MODE",
    "NETWORK_ID",
    "TARGET_IP",
    "TARGET_PORT",
    "TGID_ACL",
    "RELAX_CHECKS",
    "ENHANCED_OBP",
];

impl System {
    pub(super) fn get(&self, key: &str) -> &str {
        self.keys.get(key).map(String::as_str).unwrap_or_default()
    }

    pub(super) fn is(&self, key: &str, default: bool) -> bool {
        match self.get(key).to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => true,
            "false" | "no" | "off" | "0" => false,
            _ => default,
        }
    }

    /// An access list, if it has one that counts and can be read.
    pub(super) fn acl(&self, keys: &[&str], found: &mut Found) -> Option<Acl> {
        let key = keys.iter().find(|key| self.keys.contains_key(**key))?;
        // Those of logins always count.
        if *key != "REG_ACL" && !self.is("USE_ACL", true) {
            return None;
        }
        match Acl::read(self.get(key)) {
            Ok(acl) => Some(acl),
            Err(why) => {
                found.left(format!("[{}] {key}: {why}", self.name));
                None
            }
        }
    }

    pub(super) fn is_master(&self) -> bool {
        self.get("MODE").eq_ignore_ascii_case("MASTER")
    }
}

/// Takes what maps, and returns the systems that are enabled, for the rules.
pub(super) fn read(text: &str, found: &mut Found) -> Result<Vec<System>> {
    let mut systems = Vec::new();
    let mut masters = Vec::new();
    let mut global = None;
    for mut section in sections(text)? {
        let (name, mode) = (section.name.clone(), section.get("MODE").to_ascii_uppercase());
        match (name.to_ascii_uppercase().as_str(), mode.as_str()) {
            ("GLOBAL", "") => global = Some(section),
            ("ALIASES", "") => {
                found.left(format!("[{name}]: put its list of users in by `bmctl registry import`"));
            }
            ("REPORTS" | "LOGGER", "") => {
                found.left(format!("[{name}]: how logs and reports go is set elsewhere: docs/events.md"));
            }
            (_, "") => found.left(format!("[{name}]: there is nothing of the kind here")),
            _ if !section.is("ENABLED", true) => found.left(format!("[{name}]: it is not enabled")),
            (_, "MASTER") => masters.push(section),
            (_, "OPENBRIDGE") => {
                section.network = network::read(&section, found);
                unknown(&section, found);
                systems.push(section);
            }
            (_, mode) => {
                found.left(format!("[{name}]: {mode}: there are no connections to other servers here"));
                systems.push(section);
            }
        }
    }
    global.iter().for_each(|global| unknown(global, found));
    masters.iter_mut().for_each(|master| devices(master, found));
    addresses(&masters, found);
    access(global.as_ref(), &masters, found);
    systems.extend(masters);
    Ok(systems)
}

fn sections(text: &str) -> Result<Vec<System>> {
    let mut sections: Vec<System> = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push(System {
                name: name.to_owned(),
                keys: BTreeMap::new(),
                peers: Vec::new(),
                network: None,
            });
            continue;
        }
        let (Some((key, value)), Some(section)) = (line.split_once([':', '=']), sections.last_mut()) else {
            bail!("line {number}: neither [SECTION] nor KEY: VALUE within one");
        };
        section.keys.insert(key.trim().to_ascii_uppercase(), value.trim().to_owned());
    }
    Ok(sections)
}

/// The devices that a master names.
fn devices(master: &mut System, found: &mut Found) {
    let name = &master.name;
    let acl = master.acl(&["REG_ACL"], found);
    let peers: Vec<u32> = acl.iter().flat_map(Acl::known).collect();
    if peers.is_empty() {
        found.left(format!(
            "[{name}]: it names no devices (REG_ACL: PERMIT:ID,ID), so none gets a record of its own"
        ));
    }
    let statics = [(1, master.get("TS1_STATIC")), (2, master.get("TS2_STATIC"))];
    for &id in &peers {
        match master.get("PASSPHRASE") {
            "" => found.left(format!("[{name}]: it has no PASSPHRASE, so device {id} has none")),
            password => found.set(Space::Devices, id, "password", password.into()),
        }
        if master.is("SINGLE_MODE", false) {
            found.set(Space::Devices, id, "single", true.into());
        }
        for (slot, list) in statics {
            list.split(',').filter_map(|talkgroup| talkgroup.trim().parse().ok()).for_each(|talkgroup| {
                found.subscribe(id, slot, talkgroup);
            });
        }
    }
    if peers.is_empty() && statics.iter().any(|(_, list)| !list.is_empty()) {
        found.left(format!("[{name}] TS1_STATIC, TS2_STATIC: use `bmctl subscribe ID TG` for each device"));
    }
    unknown(master, found);
    master.peers = peers;
}

/// Names the keys that there is nothing of.
fn unknown(section: &System, found: &mut Found) {
    let keys = section.keys.keys().map(String::as_str).filter(|key| !KNOWN.contains(key));
    let keys: Vec<&str> = keys.collect();
    if !keys.is_empty() {
        found.left(format!("[{}] {}: there is nothing of the kind here", section.name, keys.join(", ")));
    }
}

fn addresses(masters: &[System], found: &mut Found) {
    let mut hang_times = Vec::new();
    for master in masters {
        if let Err(why) = found.snippet.listen(master.get("IP"), master.get("PORT")) {
            found.left(format!("[{}] IP, PORT: {why}", master.name));
        }
        hang_times.extend(master.get("GROUP_HANGTIME").parse::<u32>());
    }
    hang_times.dedup();
    match hang_times[..] {
        [] => {}
        [seconds @ 0..=60] => found.snippet.hang_time = Some(seconds),
        _ => found.left("GROUP_HANGTIME: here it is one for all, from 0 to 60 seconds"),
    }
    match masters {
        [master] if !master.get("PASSPHRASE").is_empty() => {
            found.snippet.password_of = Some(format!("PASSPHRASE of [{}]", master.name));
        }
        [] | [_] => {}
        _ => found.left(
            "PASSPHRASE: of several masters none is the one for all; devices that none of them names need one of their own",
        ),
    }
}

/// One rule here is for all: lists that differ between masters, or between timeslots, cannot be taken over.
fn access(global: Option<&System>, masters: &[System], found: &mut Found) {
    let lists: [(&'static str, &[&[&str]], u32); 3] = [
        ("devices", &[&["REG_ACL"]], MAX_ID),
        ("radios", &[&["SUB_ACL"]], MAX_TALKGROUP),
        ("talkgroups", &[&["TGID_TS1_ACL", "TG1_ACL"], &["TGID_TS2_ACL", "TG2_ACL"]], MAX_TALKGROUP),
    ];
    for (list, keys, most) in lists {
        for (whose, systems) in
            [("[GLOBAL]", global.into_iter().collect::<Vec<_>>()), ("the masters", masters.iter().collect())]
        {
            let mut acls = Vec::new();
            for system in systems {
                for keys in keys {
                    acls.extend(system.acl(keys, found).or(Some(Acl { permit: true, ranges: Vec::new() })));
                }
            }
            acls.dedup();
            let taken = match &acls[..] {
                [] => Ok(()),
                [acl] => found.snippet.take(list, acl, most),
                _ if list == "talkgroups" => {
                    Err("they differ between masters or timeslots; here one is for all".to_owned())
                }
                _ => Err("they differ between masters; here one is for all".to_owned()),
            };
            if let Err(why) = taken {
                found.left(format!("access to {list} by {whose}: {why}"));
            }
        }
    }
}
