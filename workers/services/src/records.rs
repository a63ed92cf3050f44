//! The requests about records of the registry, whatever space they are of, and about how nodes are reached.

use std::collections::BTreeMap;

use control::{Fields, NodeInfo, RegistryKey, RegistryPage, RegistryPut};
use registry::{Change, Embedded, Key, MAX_AT_ONCE, OverriddenNode, Record, Space, Transport};
use serde_json::Value;

use crate::Error;
use crate::services::Services;
use crate::ways::Ways;

/// What stands for a secret that is not shown.
const HIDDEN: &str = "***";

/// A record; `None` where there is none.
pub(crate) fn get(
    registry: &Embedded,
    space: &str,
    key: &Value,
    secrets: bool,
) -> Result<Option<Fields>, Error> {
    let space = named(space)?;
    let record = registry.get(space, &key_of(space, key)?)?;
    Ok(record.map(|record| fields(&record, secrets)))
}

/// Records after a key.
pub(crate) fn page(
    registry: &Embedded,
    space: &str,
    after: Option<&Value>,
    most: usize,
    secrets: bool,
) -> Result<RegistryPage, Error> {
    let space = named(space)?;
    check_count(most)?;
    let after = after.map(|key| key_of(space, key)).transpose()?;
    let page = registry.list(space, after.as_ref(), most)?;
    Ok(RegistryPage {
        records: page.records.iter().map(|record| fields(record, secrets)).collect(),
        unreadable: page.refused.iter().map(|refused| refused.error.to_string()).collect(),
        next: page.next.as_ref().map(Key::to_value),
    })
}

fn fields(record: &Record, secrets: bool) -> Fields {
    let mut object = record.object();
    if let Some(secret) = record.space.secret().filter(|_| !secrets).and_then(|name| object.get_mut(name))
        && secret.as_str().is_some_and(|text| !text.is_empty())
    {
        *secret = HIDDEN.into();
    }
    Fields(object)
}

fn named(space: &str) -> Result<Space, Error> {
    Space::named(space).ok_or(Error::NoSpace)
}

fn key_of(space: Space, key: &Value) -> Result<Key, Error> {
    let valid = if space == Space::StoredValues { "a name" } else { "a number" };
    space.key(key).ok_or(Error::NoKey(space, valid))
}

fn check_count(count: usize) -> Result<(), Error> {
    if (1..=MAX_AT_ONCE).contains(&count) { Ok(()) } else { Err(Error::TooManyRecords(count)) }
}

/// The changes of a request, no key twice; or what is wrong with each that cannot be.
fn changes(
    registry: &Embedded,
    puts: Vec<RegistryPut>,
    removes: &[RegistryKey],
    keep: &[String],
) -> Result<Vec<Change>, Error> {
    check_count(puts.len() + removes.len())?;
    let (mut changes, mut bad) = (BTreeMap::new(), Vec::new());
    let puts = puts.into_iter().map(|put| read(registry, put, keep).map(Change::put));
    let removes = removes.iter().map(|RegistryKey { space, key }| {
        let space = named(space)?;
        Ok(Change::remove(space, key_of(space, key)?))
    });
    for change in puts.chain(removes) {
        match change {
            // The last one of a key holds.
            Ok(change) => drop(changes.insert((change.space, change.key.clone()), change)),
            Err(error @ Error::Registry(registry::Error::Store { .. })) => return Err(error),
            Err(error) => bad.push(error.to_string()),
        }
    }
    if bad.is_empty() { Ok(changes.into_values().collect()) } else { Err(Error::BadRecords(bad)) }
}

fn read(registry: &Embedded, put: RegistryPut, keep: &[String]) -> Result<Record, Error> {
    let (space, mut object) = (named(&put.space)?, put.record.0);
    let key = space.fields().first().and_then(|name| object.get(*name)).and_then(|key| space.key(key));
    if let Some(key) = key.filter(|_| !keep.is_empty()) {
        let there = match registry.get(space, &key) {
            Err(registry::Error::Corrupt { .. }) => None,
            there => there?,
        };
        let there = there.map(|record| record.object()).unwrap_or_default();
        for (name, value) in there.into_iter().filter(|(name, _)| keep.contains(name)) {
            object.entry(name).or_insert(value);
        }
    }
    Ok(Record::of_object(space, object)?)
}

impl Services {
    /// Writes records, and does what follows. Returns how many are not as before.
    pub(crate) fn write(
        &mut self,
        puts: Vec<RegistryPut>,
        removes: &[RegistryKey],
        keep: &[String],
    ) -> Result<usize, Error> {
        let changes = changes(&self.registry, puts, removes, keep)?;
        let bans = changes.iter().filter(|change| change.space == Space::Bans && change.record.is_some());
        self.bans.check_room(bans.filter_map(|change| match change.key {
            Key::Id(id) => Some(id),
            Key::Name(_) => None,
        }))?;
        let made = self.registry.change_to(&changes)?;
        // Where the registry has one that cannot be, the same good one as before is news to it.
        let mends =
            changes.into_iter().filter(|change| self.following.has_refused(change) && !made.contains(change));
        let mends: Vec<Change> = mends.collect();
        if !mends.is_empty() {
            self.registry.tell_again(&mends)?;
        }
        self.changed(&made);
        Ok(made.len() + mends.len())
    }

    /// The nodes that are reached in a way of their own.
    pub(crate) fn nodes(&self) -> Result<Vec<NodeInfo>, Error> {
        let records = self.registry.all(Space::OverriddenNodes)?.records;
        let nodes = records.iter().filter_map(Record::row);
        Ok(nodes.map(|node: OverriddenNode| node_info(node, &self.ways)).collect())
    }

    /// Has a node reached in a way of its own.
    pub(crate) fn node_set(
        &mut self,
        id: u32,
        transport: &str,
        address: String,
        port: u16,
        options: u32,
    ) -> Result<NodeInfo, Error> {
        let transport = Transport::ALL.into_iter().find(|way| way.word().eq_ignore_ascii_case(transport));
        let transport = transport.ok_or(Error::NoTransport)?;
        let node = OverriddenNode { id, options, transport, address, port };
        if let Some(reason) = self.ways.why_not(transport) {
            return Err(Error::NoWay { id, transport: transport.word(), reason: reason.to_owned() });
        }
        let changes = [Change::put(Record::of(&node)?)];
        let made = self.registry.change_to(&changes)?;
        self.changed(&made);
        Ok(node_info(node, &self.ways))
    }
}

fn node_info(node: OverriddenNode, ways: &Ways) -> NodeInfo {
    let OverriddenNode { id, options, transport, address, port } = node;
    let refused = ways.why_not(transport).map(str::to_owned);
    NodeInfo { id, transport: transport.word().to_owned(), address, port, options, refused }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn registry() -> (tempfile::TempDir, Embedded) {
        let dir = tempfile::tempdir().unwrap();
        let registry = Embedded::open(dir.path(), false).unwrap();
        (dir, registry)
    }

    fn put(space: &str, record: Value) -> RegistryPut {
        let Value::Object(record) = record else { panic!() };
        RegistryPut { space: space.to_owned(), record: Fields(record) }
    }

    fn write(registry: &Embedded, puts: Vec<RegistryPut>, keep: &[&str]) -> usize {
        let keep: Vec<String> = keep.iter().map(|name| (*name).to_owned()).collect();
        let changes = changes(registry, puts, &[], &keep).unwrap();
        registry.change_to(&changes).unwrap().len()
    }

    #[test]
    fn secrets_are_shown_only_where_they_are_asked_for() {
        let (_dir, registry) = registry();
        let puts = vec![
            put("devices", json!({"id": 7, "password": "hidden"})),
            put("Devices", json!({"id": 8})),
            put("GlobalProfiles", json!({"id": 7, "key": "hidden"})),
            put("Nodes", json!({"id": 7, "address": "a", "port": 1, "key": "0f".repeat(32)})),
        ];
        assert_eq!(write(&registry, puts, &[]), 4);
        for space in ["Devices", "GlobalProfiles"] {
            let shown = get(&registry, space, &json!(7), false).unwrap();
            let page = page(&registry, space, None, 9, false).unwrap();
            let text = serde_json::to_string(&(shown, page)).unwrap();
            assert!(text.contains("\"***\"") && !text.contains("hidden"), "{text}");
            let text = serde_json::to_string(&get(&registry, space, &json!(7), true).unwrap()).unwrap();
            assert!(text.contains("hidden"), "{text}");
        }
        let host = get(&registry, "Nodes", &json!(7), false).unwrap().unwrap();
        assert_eq!(host.0["key"], "***");
        assert_eq!(get(&registry, "Devices", &json!(8), false).unwrap().unwrap().0["password"], Value::Null);
        assert_eq!(get(&registry, "Devices", &json!(9), false).unwrap(), None);
    }

    #[test]
    fn every_bad_record_is_named_and_nothing_written() {
        let (_dir, registry) = registry();
        let puts = vec![
            put("Devices", json!({"id": 7})),
            put("Talkgroups", json!({"id": 0, "name": "x"})),
            put("Users", json!({"id": 7})),
            put("Devices", json!({"id": 8, "password": ["hidden"]})),
        ];
        let removes = [RegistryKey { space: "Bans".to_owned(), key: json!("x") }];
        let error = changes(&registry, puts, &removes, &[]).unwrap_err().to_string();
        assert_eq!(
            error,
            "nothing is written: talkgroup 0: a talkgroup is a number from 1 to 16777215; there is no space of this \
             name; there are Nodes, OverriddenNodes, Devices, Subscriptions, GlobalProfiles, Talkgroups, Bans, \
             LastHeard, StoredValues, Peers; device 8: password: not of the form that it has to have; Bans: no such key can \
             be; write a number"
        );
        let many = (1..=1001).map(|id| put("Talkgroups", json!({"id": id, "name": ""}))).collect();
        let error = changes(&registry, many, &[], &[]).unwrap_err().to_string();
        assert_eq!(error, "1001 records at once; ask for 1 to 1000");
        assert!(page(&registry, "Devices", None, 0, false).is_err());
    }

    #[test]
    fn what_is_kept_stays_where_it_is_left_out() {
        let (_dir, registry) = registry();
        write(&registry, vec![put("Devices", json!({"id": 7, "password": "own", "call": "N0CALL"}))], &[]);
        assert_eq!(
            write(&registry, vec![put("Devices", json!({"id": 7, "single": true}))], &["password"]),
            1
        );
        let there = get(&registry, "Devices", &json!(7), true).unwrap().unwrap().0;
        assert_eq!(
            (&there["password"], &there["call"], &there["single"]),
            (&json!("own"), &json!(null), &json!(true))
        );
        let other = put("Devices", json!({"id": 7, "password": "new", "single": true}));
        assert_eq!(write(&registry, vec![other.clone()], &["password"]), 1);
        assert_eq!(write(&registry, vec![other.clone(), other], &[]), 0, "it is so already");
    }

    #[test]
    fn pages_go_on_after_the_last_key() {
        let (_dir, registry) = registry();
        write(&registry, (1..=5).map(|id| put("Talkgroups", json!({"id": id, "name": ""}))).collect(), &[]);
        let first = page(&registry, "talkgroups", None, 3, false).unwrap();
        assert_eq!((first.records.len(), &first.next), (3, &Some(json!(3))));
        let rest = page(&registry, "talkgroups", first.next.as_ref(), 3, false).unwrap();
        assert_eq!((rest.records.len(), rest.next), (2, None));
    }
}
