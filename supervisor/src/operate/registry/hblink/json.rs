//! The configuration of HBlink4.

use anyhow::{Context, Result};
use registry::{MAX_ID, MAX_REASON, Space};
use serde_json::{Map, Value};

use super::Found;
use super::access::Acl;

pub(super) fn read(text: &str, found: &mut Found) -> Result<()> {
    // The parser's words say where, not what.
    let file: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| anyhow::anyhow!("line {} column {}", error.line(), error.column()))
        .context("no JSON object")?;
    for (name, part) in &file {
        match name.as_str() {
            "global" => global(part, found),
            "blacklist" => patterns(part).for_each(|pattern| blocked(pattern, found)),
            "repeater_configurations" => {
                patterns(part).for_each(|pattern| devices(pattern, found));
                default(part, found);
            }
            "talkgroups" => talkgroups(part, found),
            other => found.left(format!("{other}: there is nothing of the kind here")),
        }
    }
    Ok(())
}

fn patterns(part: &Value) -> impl Iterator<Item = &Value> {
    part.get("patterns").and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A list of whole numbers.
fn numbers(value: Option<&Value>) -> Vec<u64> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64).collect()
}

fn ids(matched: &Value) -> Vec<u32> {
    numbers(matched.get("ids")).into_iter().filter_map(|id| u32::try_from(id).ok()).collect()
}

fn global(part: &Value, found: &mut Found) {
    let port = |key: &str| part.get(key).map(ToString::to_string).unwrap_or_default();
    let addresses = [("bind_ip", "bind_port"), ("bind_ipv4", "port_ipv4"), ("bind_ipv6", "port_ipv6")];
    let mut known = vec!["path"];
    for (address, number) in addresses {
        known.extend([address, number]);
        if part.get(number).is_some()
            && let Err(why) = found.snippet.listen(text(part, address), &port(number))
        {
            found.left(format!("global: {address}, {number}: {why}"));
        }
    }
    if let Some(seconds) = part.get("stream_hang_time").and_then(Value::as_f64) {
        known.push("stream_hang_time");
        match (0..=60_u32).find(|whole| f64::from(*whole) >= seconds) {
            Some(whole) => found.snippet.hang_time = Some(whole),
            None => found.left("global: stream_hang_time: here it is from 0 to 60 seconds"),
        }
    }
    let keys = part.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    let unknown: Vec<&str> = keys.filter(|key| !known.contains(key)).collect();
    if !unknown.is_empty() {
        found.left(format!("global: {}: there is nothing of the kind here", unknown.join(", ")));
    }
}

fn blocked(pattern: &Value, found: &mut Found) {
    let (name, matched) = (text(pattern, "name"), pattern.get("match").unwrap_or(&Value::Null));
    let reason = text(pattern, "reason").chars().filter(|c| !c.is_control()).take(MAX_REASON);
    let reason = Value::from(reason.collect::<String>());
    for id in ids(matched) {
        found.set(Space::Bans, id, "reason", reason.clone());
    }
    let ranges = matched.get("id_ranges").and_then(Value::as_array).into_iter().flatten();
    for range in ranges.map(|range| numbers(Some(range))) {
        let taken = match range[..] {
            [first, last] => Acl::read(&format!("DENY:{first}-{last}"))
                .and_then(|acl| found.snippet.take("devices", &acl, MAX_ID)),
            _ => Err("a range has a first and a last ID".to_owned()),
        };
        if let Err(why) = taken {
            found.left(format!("blacklist {name:?}: {range:?}: {why}"));
        }
    }
    let calls = matched.get("callsigns").and_then(Value::as_array).into_iter().flatten();
    for call in calls.filter_map(Value::as_str) {
        let letters = call.strip_suffix('*').unwrap_or(call);
        let taken = if letters.is_empty() || !letters.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Err("only call signs and their beginnings can be denied, e.g. DB0ABC or DL*".to_owned())
        } else if call.len() > 10 {
            Err("no device has a call sign of more than 10 characters".to_owned())
        } else {
            found.snippet.add("calls", false, vec![format!("{call:?}")])
        };
        if let Err(why) = taken {
            found.left(format!("blacklist {name:?}: {call:?}: {why}"));
        }
    }
}

fn devices(pattern: &Value, found: &mut Found) {
    let name = text(pattern, "name");
    let (matched, config) = (pattern.get("match"), pattern.get("config").unwrap_or(&Value::Null));
    if config.get("enabled") == Some(&Value::Bool(false)) {
        found.left(format!("repeaters {name:?}: they are not enabled; `bmctl ban ID` keeps each out"));
        return;
    }
    let matched = matched.unwrap_or(&Value::Null);
    for id in ids(matched) {
        match text(config, "passphrase") {
            "" => found.left(format!("repeaters {name:?}: without a passphrase device {id} has none")),
            password => found.set(Space::Devices, id, "password", password.into()),
        }
        for (slot, key) in [(1, "slot1_talkgroups"), (2, "slot2_talkgroups")] {
            for talkgroup in numbers(config.get(key)) {
                found.subscribe(id, slot, talkgroup);
            }
        }
    }
    for key in ["id_ranges", "callsigns"] {
        if matched.get(key).is_some() {
            found.left(format!(
                "repeaters {name:?}: {key}: a password is one device's, or all others'; add each device by its ID"
            ));
        }
    }
    if config.get("talkgroups").is_some() {
        found.left(format!(
            "repeaters {name:?}: talkgroups: on which timeslot is not said: `bmctl subscribe ID TG --slot 1`"
        ));
    }
}

fn default(part: &Value, found: &mut Found) {
    let Some(default) = part.get("default") else { return };
    if !text(default, "passphrase").is_empty() {
        found.snippet.password_of = Some("repeater_configurations.default.passphrase".to_owned());
    }
    if ["talkgroups", "slot1_talkgroups", "slot2_talkgroups"].iter().any(|key| default.get(key).is_some()) {
        found.left(
            "repeaters by default: no talkgroup is static for all; `bmctl subscribe ID TG` for each device",
        );
    }
}

fn talkgroups(part: &Value, found: &mut Found) {
    for (number, talkgroup) in part.as_object().into_iter().flatten() {
        match (number.parse(), text(talkgroup, "name")) {
            (Ok(id), name) if !name.is_empty() => found.set(Space::Talkgroups, id, "name", name.into()),
            _ => found.left(format!("talkgroup {number:?}: it is no number, or has no name")),
        }
    }
    found.left("talkgroups: bridge: all of them go everywhere; access.talkgroups says which may be called");
}
