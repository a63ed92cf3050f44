//! Configurations of hblink3, FreeDMR and HBlink4: what of them the registry can have, what belongs into our own
//! configuration, and what there is nothing of here. Nothing in them is executed.

mod access;
mod ini;
mod json;
mod network;
mod python;
mod rules;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use control::{Exit, Paths};
use registry::{Record, Space};
use serde_json::{Map, Value};

use super::input::Input;
use super::writer::Writer;
use crate::say;
use access::Snippet;

/// The longest file.
const MAX_FILE: usize = 4 * 1024 * 1024;
/// What of a device or peer a file says nothing of: it stays as it is.
const KEEP: [&str; 10] = [
    "password",
    "call",
    "blocked",
    "single",
    "ts1",
    "ts2",
    "timed",
    "talkgroups_in",
    "talkgroups_out",
    "rewrite",
];

/// What was found in the files.
#[derive(Debug, Default)]
struct Found {
    /// Records by space and ID. Fields that the files say nothing of are left out.
    records: BTreeMap<(Space, u32), Map<String, Value>>,
    snippet: Snippet,
    /// What does not map, and why.
    left: Vec<String>,
}

impl Found {
    /// A field of a record, which is made where it is not there. The first one that says something of a field is right.
    fn set(&mut self, space: Space, id: u32, field: &str, value: Value) {
        let record = self.records.entry((space, id)).or_default();
        record.entry("id").or_insert_with(|| id.into());
        let there = record.entry(field).or_insert_with(|| value.clone());
        if *there != value {
            self.left
                .push(format!("{space} {id}: {field} is given twice, differently; the first one is taken"));
        }
    }

    /// A static talkgroup of a device.
    fn subscribe(&mut self, id: u32, slot: u64, talkgroup: u64) {
        let field = if slot == 1 { "ts1" } else { "ts2" };
        let record = self.records.entry((Space::Subscriptions, id)).or_default();
        record.entry("id").or_insert_with(|| id.into());
        let list = record.entry(field).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list
            && !list.contains(&talkgroup.into())
        {
            list.push(talkgroup.into());
        }
    }

    /// Talkgroups of a peer, both ways; the number that one has there, where it is another.
    fn link(&mut self, id: u32, range: &str, there: Option<u64>) {
        let record = self.records.entry((Space::Peers, id)).or_default();
        let rewrite = there.map(|there| ("rewrite", format!("{range}={there}")));
        let both = ["talkgroups_in", "talkgroups_out"].map(|field| (field, range.to_owned()));
        for (field, text) in both.into_iter().chain(rewrite) {
            let list = record.entry(field).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list
                && !list.contains(&text.as_str().into())
            {
                list.push(text.into());
            }
        }
    }

    fn left(&mut self, what: impl Into<String>) {
        self.left.push(what.into());
    }
}

pub(super) fn import(paths: &Paths, inputs: Vec<(&Path, Input)>) -> Result<Exit> {
    let mut texts = Vec::new();
    let mut place = None;
    for (path, mut input) in inputs {
        let mut text = String::new();
        let most = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
        let read = input.by_ref().take(most).read_to_string(&mut text);
        let len = read.with_context(|| format!("cannot read {}", path.display()))?;
        if len >= MAX_FILE {
            bail!("{}: longer than {MAX_FILE} bytes", path.display());
        }
        place = Some(input.place);
        texts.push((path.display().to_string(), text));
    }
    let found = read(&texts)?;
    let mut writer = Writer::new(paths, place.unwrap_or_default(), &KEEP);
    for ((space, id), record) in found.records {
        match Record::of_object(space, record.clone()) {
            Ok(_) => writer.put(space, record)?,
            Err(error) => writer.bad(&format!("{space} {id}"), &error.to_string()),
        }
    }
    writer.flush()?;
    say::line(&writer.summary());
    let snippet = found.snippet.to_toml();
    if !snippet.is_empty() {
        say::line("\nfor the configuration file:\n");
        say::line(&say_lines(&snippet));
    }
    if !found.left.is_empty() {
        say::line("\nnot taken over:");
        found.left.iter().for_each(|left| say::line(&format!("  {}", say::clean(left))));
    }
    Ok(if writer.bad > 0 { Exit::Failure } else { Exit::Ok })
}

/// What came from elsewhere, line by line.
fn say_lines(text: &str) -> String {
    text.lines().map(say::clean).collect::<Vec<_>>().join("\n")
}

/// Reads all files: configurations first, since rules name what is in them.
fn read(texts: &[(String, String)]) -> Result<Found> {
    let (mut found, mut systems, mut rules) = (Found::default(), Vec::new(), Vec::new());
    for (name, text) in texts {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with('{') {
            json::read(text, &mut found).with_context(|| name.clone())?;
        } else if python::is_rules(text) {
            rules.push((name, text));
        } else {
            systems.extend(ini::read(text, &mut found).with_context(|| name.clone())?);
        }
    }
    let has_rules = !rules.is_empty();
    for (name, text) in rules {
        if systems.is_empty() {
            bail!(
                "{name}: rules name the systems of a configuration: give that as well, e.g. hblink.cfg {name}"
            );
        }
        rules::read(text, &systems, &mut found).with_context(|| name.clone())?;
    }
    for system in systems.iter().filter(|_| !has_rules) {
        if let Some(id) = system.network {
            network::by_list(system, id, &mut found);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
