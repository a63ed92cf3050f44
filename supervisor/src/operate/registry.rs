//! The verbs about records of the registry.

mod export;
mod hblink;
mod import;
mod input;
mod lines;
mod progress;
mod table;
mod users;
mod writer;

use std::io::{self, Read};

use anyhow::{Context, Result, bail};
use control::{
    Exit, Fields, Paths, RegistryInfo, RegistryKey, RegistryPage, RegistryPut, ServicesRequest, request,
};
use registry::{Key, MAX_AT_ONCE, MAX_RECORD, Record, Space};
use serde_json::{Map, Value};

use super::{TIMEOUT, print_json};
use crate::cli::Registry;
use crate::say;

/// What stands for a secret that is not shown.
const HIDDEN: &str = "***";

pub(crate) fn registry(paths: &Paths, verb: Registry) -> Result<Exit> {
    match verb {
        Registry::Status(json) => status(paths, json.json),
        Registry::Confirm { right } => {
            request::<(), _>(paths, &ServicesRequest::RegistryConfirm { right }, TIMEOUT)?;
            say::line("confirmed; `bmctl registry status` shows how it goes on");
            Ok(Exit::Ok)
        }
        Registry::List { space, json } => table::list(paths, space, json.json).map(|()| Exit::Ok),
        Registry::Get { space, key } => get(paths, space, &key).map(|()| Exit::Ok),
        Registry::Put { space, record } => put(paths, space, &record).map(|()| Exit::Ok),
        Registry::Remove { space, key } => remove(paths, space, &key).map(|()| Exit::Ok),
        Registry::Export { file } => export::export(paths, &file),
        Registry::Import { files, format } => import::import(paths, &files, format),
    }
}

/// How far the cluster and a registry agree; the exit code is that of a degraded cluster where they do not.
fn status(paths: &Paths, json: bool) -> Result<Exit> {
    let info: RegistryInfo = request(paths, &ServicesRequest::RegistryStatus, TIMEOUT)?;
    let is_whole = info.is_followed && info.denied.is_none();
    let exit = if info.is_shared && !is_whole { Exit::Degraded } else { Exit::Ok };
    if json {
        print_json(&info)?;
        return Ok(exit);
    }
    let RegistryInfo { is_shared, is_followed, is_held, trouble, records_here, records_there, .. } = &info;
    let how = match (is_shared, is_followed, is_held) {
        (false, ..) => "it is the cluster's own, and shared with nobody",
        (true, true, _) => "it is shared, and followed",
        (true, false, true) => "it is shared, and NOT FOLLOWED: it waits for an operator's word",
        (true, false, false) => "it is shared, and AWAY",
    };
    say::line(how);
    if !is_shared {
        return Ok(exit);
    }
    trouble.iter().for_each(|trouble| say::line(&say::clean(trouble)));
    say::line(&format!("records of the cluster's copy: {records_here}"));
    if let (true, Some(there)) = (is_held, records_there) {
        say::line(&format!("records of the registry: {there}"));
        say::line(
            "`bmctl registry confirm registry`: the copy becomes the same, and what only it has is LOST",
        );
        say::line(
            "`bmctl registry confirm copy`: the registry becomes the same, and what only it has is LOST, for all clusters",
        );
        say::line("before either, `bmctl registry export FILE` keeps what the copy has");
    }
    let RegistryInfo { pending, denied, dropped, refused, .. } = info;
    say::line(&format!("changes made here that it has not got yet: {pending}"));
    denied.iter().for_each(|denied| say::line(&format!("it refuses some of them: {}", say::clean(denied))));
    say::line(&format!("bans of the protection and radios heard that it was not told of: {dropped}"));
    let more = if refused.len() >= 1000 { " at least" } else { "" };
    say::line(&format!("records of it that cannot be:{more} {}", refused.len()));
    refused.iter().for_each(|refused| say::line(&format!("  {}", say::clean(refused))));
    Ok(exit)
}

fn key_of(space: Space, text: &str) -> Result<Key> {
    let valid = if space == Space::StoredValues { "a name" } else { "a number" };
    space.key_of_text(text).with_context(|| format!("{space} {text:?}: no such key can be; write {valid}"))
}

fn find(paths: &Paths, space: Space, key: &Key) -> Result<Option<Map<String, Value>>> {
    let get = ServicesRequest::RegistryGet { space: space.to_string(), key: key.to_value(), secrets: false };
    let found: Option<Fields> = request(paths, &get, TIMEOUT)?;
    Ok(found.map(|fields| fields.0))
}

fn get(paths: &Paths, space: Space, key: &str) -> Result<()> {
    let key = key_of(space, key)?;
    let Some(record) = find(paths, space, &key)? else { return none(space, &key) };
    say::line(&serde_json::to_string_pretty(&record)?);
    Ok(())
}

fn none(space: Space, key: &Key) -> Result<()> {
    bail!("{space} has no {key}; `bmctl registry list {space}` shows what it has");
}

fn put(paths: &Paths, space: Space, record: &str) -> Result<()> {
    let is_argument = record != "-";
    let mut text = record.to_owned();
    if !is_argument {
        text.clear();
        let most = u64::try_from(MAX_RECORD * 4).unwrap_or(u64::MAX);
        io::stdin().lock().take(most).read_to_string(&mut text).context("cannot read standard input")?;
    }
    // The parser's own words may repeat what was written, and that may be a password.
    let mut object: Map<String, Value> = serde_json::from_str(&text).map_err(|error| {
        anyhow::anyhow!("no JSON object at line {} column {}", error.line(), error.column())
    })?;
    let mut keep = Vec::new();
    if let Some(name) = space.secret()
        && let Some(secret) = object.get(name)
    {
        if secret == HIDDEN {
            keep.push(name.to_owned());
        } else if is_argument && !secret.is_null() && secret != "" {
            bail!("{name}: others can see the command line; put - and give the record on standard input");
        }
    }
    let checked = Record::of_object(space, object.clone())?;
    if let Some(name) = keep.first() {
        object.remove(name);
        let there = find(paths, space, &checked.key)?;
        if there.and_then(|mut there| there.remove(name)).is_none_or(|secret| secret != HIDDEN) {
            bail!("{name}: {HIDDEN} stands for the one that is there, and {space} {} has none", checked.key);
        }
    }
    let puts = vec![RegistryPut { space: space.to_string(), record: Fields(object) }];
    let changed: usize =
        request(paths, &ServicesRequest::RegistryWrite { puts, removes: vec![], keep }, TIMEOUT)?;
    let how = if changed == 0 { "is so already" } else { "put" };
    say::line(&format!("{space} {} {how}", checked.key));
    Ok(())
}

fn remove(paths: &Paths, space: Space, key: &str) -> Result<()> {
    let key = key_of(space, key)?;
    let removes = vec![RegistryKey { space: space.to_string(), key: key.to_value() }];
    let write = ServicesRequest::RegistryWrite { puts: vec![], removes, keep: vec![] };
    if request::<usize, _>(paths, &write, TIMEOUT)? == 0 {
        return none(space, &key);
    }
    say::line(&format!("{space} {key} removed"));
    Ok(())
}

/// Calls back for each page of a space. What cannot be read is named on standard error; returns how many that are.
fn pages(
    paths: &Paths,
    space: Space,
    secrets: bool,
    mut each: impl FnMut(Vec<Fields>) -> Result<()>,
) -> Result<usize> {
    let (mut after, mut unreadable) = (None, 0);
    loop {
        let ask =
            ServicesRequest::RegistryPage { space: space.to_string(), after, most: MAX_AT_ONCE, secrets };
        let page: RegistryPage = request(paths, &ask, TIMEOUT)?;
        page.unreadable.iter().for_each(|reason| say::warning(&say::clean(reason)));
        unreadable += page.unreadable.len();
        each(page.records)?;
        after = page.next;
        if after.is_none() {
            return Ok(unreadable);
        }
    }
}
