//! The rules of hblink3 and FreeDMR: bridges, each a list of systems with talkgroups.

use anyhow::{Result, bail};

use super::Found;
use super::ini::System;
use super::python::{Literal, variable};

/// Takes the talkgroups that are always on at masters whose devices are known.
pub(super) fn read(text: &str, systems: &[System], found: &mut Found) -> Result<()> {
    let Some(Literal::Dictionary(bridges)) = variable(text, "BRIDGES")? else {
        bail!("BRIDGES is no dictionary");
    };
    for (name, members) in &bridges {
        let name = name.text().unwrap_or("?");
        let Literal::List(members) = members else {
            found.left(format!("bridge {name:?}: it is no list"));
            continue;
        };
        bridge(name, members, systems, found);
    }
    if variable(text, "UNIT").is_ok_and(|unit| unit.is_some()) {
        found.left("UNIT: private calls go to where the radio was heard last; there is nothing to set");
    }
    Ok(())
}

fn bridge(name: &str, members: &[Literal], systems: &[System], found: &mut Found) {
    let number = |member: &Literal, key: &str| member.get(key).and_then(Literal::number);
    let network = |member: &Literal| {
        let system = member.get("SYSTEM").and_then(Literal::text)?;
        systems.iter().find(|known| known.name == system)?.network
    };
    // Only over a link to another network a talkgroup can have another number; where there are such links alone, nowhere.
    let here: Vec<&Literal> = members.iter().filter(|member| network(member).is_none()).collect();
    let here = if here.is_empty() { members.iter().collect() } else { here };
    let mut talkgroups: Vec<u64> = here.iter().filter_map(|member| number(member, "TGID")).collect();
    talkgroups.sort_unstable();
    talkgroups.dedup();
    if talkgroups.len() > 1 {
        found.left(format!(
            "bridge {name:?}: it joins talkgroups {talkgroups:?}; here a talkgroup has one number everywhere"
        ));
        return;
    }
    for member in members {
        let system = member.get("SYSTEM").and_then(Literal::text).unwrap_or("?");
        let why = match systems.iter().find(|known| known.name == system) {
            None => "there is no such system in the configuration, or it is not enabled".to_owned(),
            Some(known) if known.network.is_some() => {
                match (known.network, talkgroups.first(), number(member, "TGID"), how_often(member)) {
                    (Some(id), Some(here), Some(there), Ok(())) => {
                        found.link(id, &here.to_string(), (*here != there).then_some(there));
                        continue;
                    }
                    (.., Err(why)) => why,
                    _ => "TGID is no number".to_owned(),
                }
            }
            Some(known) if !known.is_master() => "there are no connections to other servers here".to_owned(),
            Some(known) => match (number(member, "TS"), number(member, "TGID")) {
                (Some(slot @ 1..=2), Some(talkgroup)) => match how_often(member) {
                    Err(why) => why,
                    Ok(()) if known.peers.is_empty() => {
                        format!(
                            "its devices are not known: `bmctl subscribe ID {talkgroup} --slot {slot}` for each"
                        )
                    }
                    Ok(()) => {
                        known.peers.iter().for_each(|&id| found.subscribe(id, slot, talkgroup));
                        continue;
                    }
                },
                _ => "TS is not 1 or 2, or TGID is no number".to_owned(),
            },
        };
        found.left(format!("bridge {name:?}, system {system:?}: {why}"));
    }
}

/// Only what is on for good is static.
fn how_often(member: &Literal) -> Result<(), String> {
    if !member.get("ACTIVE").is_some_and(Literal::is_true) {
        return Err("it begins inactive; here whoever keys a talkgroup subscribes to it".to_owned());
    }
    let timed = member.get("TO_TYPE").and_then(Literal::text).unwrap_or("NONE");
    if matches!(timed.to_ascii_uppercase().as_str(), "ON" | "OFF") {
        return Err(format!(
            "TO_TYPE {timed}: it goes on and off by time; calls.dynamic_time is one for all"
        ));
    }
    let triggers = ["ON", "OFF"].iter().any(|key| {
        let own = member.get("TGID");
        matches!(member.get(key), Some(Literal::List(list)) if list.iter().any(|trigger| Some(trigger) != own))
    });
    if triggers {
        return Err("ON, OFF: other talkgroups turn it on and off; here none does".to_owned());
    }
    Ok(())
}
