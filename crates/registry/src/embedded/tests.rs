//! What is kept, and what of it is the copy of another registry.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use config::Secret;

use super::*;
use crate::{Ban, By, Device, Talkgroup};

fn store() -> (tempfile::TempDir, Embedded) {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(&dir.path().join("a/data"), false).unwrap();
    (dir, store)
}

fn put_raw(store: &Embedded, space: Space, id: u32, json: &[u8]) {
    let put = |transaction: &WriteTransaction| {
        transaction.open_table(table(space))?.insert(Key::Id(id).to_bytes().as_slice(), json)?;
        Ok(())
    };
    store.transact(put).unwrap();
}

fn device(id: u32, password: Option<&str>) -> Device {
    let password = password.map(|text| Secret::new(text).unwrap());
    Device { password, call: Some("N0CALL".to_owned()), statics: [vec![91], vec![]], ..Device::new(id) }
}

#[test]
fn keeps_devices() {
    let (dir, store) = store();
    store.put_device(&device(2, None)).unwrap();
    store.put_device(&device(1, Some("old"))).unwrap();
    store.put_device(&device(1, Some("new"))).unwrap();
    drop(store);
    let store = Embedded::open(&dir.path().join("a/data"), false).unwrap();
    assert_eq!(store.device(1).unwrap(), Some(device(1, Some("new"))));
    assert_eq!(store.devices().unwrap().devices, [device(1, Some("new")), device(2, None)]);
    assert!(store.remove_device(1).unwrap());
    assert!(!store.remove_device(1).unwrap());
    assert_eq!(store.device(1).unwrap(), None);
    assert!(matches!(store.put_device(&device(0, None)), Err(Error::Invalid { .. })));
}

#[test]
fn for_one_user_and_one_cluster() {
    let (dir, _store) = store();
    let data = dir.path().join("a/data");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join(file::NAME))), (0o700, 0o600));
    let error = Embedded::open(&data, false).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: another cluster uses", data.display())), "{error}");
}

#[test]
fn a_file_open_to_others_is_closed_to_them() {
    let (dir, store) = store();
    drop(store);
    let file = dir.path().join("a/data").join(file::NAME);
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let _store = Embedded::open(&dir.path().join("a/data"), false).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn passwords_by_device_then_base_then_default() {
    let (_dir, store) = store();
    let default = Secret::new("default").unwrap();
    let password = |id| store.password_for(id, Some(&default)).unwrap().unwrap().expose().to_owned();
    assert_eq!(password(262_137_001), "default");
    store.put_device(&device(2_621_370, Some("base"))).unwrap();
    assert_eq!(password(262_137_001), "base");
    assert_eq!(password(2_621_370), "base");
    store.put_device(&device(262_137_001, None)).unwrap();
    assert_eq!(password(262_137_001), "base");
    store.put_device(&device(262_137_001, Some("own"))).unwrap();
    assert_eq!(password(262_137_001), "own");
    assert_eq!(password(262_137_002), "base");
    assert_eq!(store.password_for(7, None).unwrap(), None);
}

#[test]
fn a_corrupt_record_is_named_and_hides_no_other() {
    let (_dir, store) = store();
    store.put_device(&device(1, Some("hidden"))).unwrap();
    let bad = [
        (Space::Devices, 2, br#"{"id":2,"password":{"hidden":1}}"#.as_slice()),
        (Space::Devices, 3, br#"{"id":4}"#),
        (Space::Devices, 5, b"\xff"),
        (Space::Subscriptions, 6, br#"{"id":6,"ts1":[0]}"#),
    ];
    for (space, id, json) in bad {
        put_raw(&store, space, id, json);
    }
    let listing = store.devices().unwrap();
    assert_eq!(listing.devices, [device(1, Some("hidden"))]);
    let errors: Vec<_> = listing.unreadable.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 4);
    assert!(errors[0].starts_with("the record of device 2 cannot be read: password: not of the form"));
    assert!(errors[1].contains("it says that it is 4"));
    assert!(!format!("{listing:?} {errors:?}").contains("hidden"));
    assert!(matches!(store.password_for(2, None), Err(Error::Corrupt { space: Space::Devices, .. })));
    assert!(store.remove_device(2).unwrap());
}

#[test]
fn a_file_that_is_no_store_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(file::NAME), "not a database").unwrap();
    assert!(matches!(Embedded::open(dir.path(), false), Err(Error::Store { .. })));
    let error = Embedded::open(&dir.path().join(file::NAME), false).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

fn ban(id: u32, until_ms: Option<u64>) -> Ban {
    Ban { id, until_ms, reason: "noise".to_owned(), by: By::Operator, made_ms: 1 }
}

#[test]
fn bans_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), false).unwrap();
    store.put(&ban(8, Some(5))).unwrap();
    store.put(&ban(7, Some(5))).unwrap();
    store.put(&ban(7, None)).unwrap();
    drop(store);
    let store = Embedded::open(dir.path(), false).unwrap();
    assert_eq!(store.bans().unwrap(), (vec![ban(7, None), ban(8, Some(5))], vec![]));
    put_raw(&store, Space::Bans, 9, b"{}");
    put_raw(&store, Space::Bans, 10, b"\xff");
    assert_eq!(store.bans().unwrap().1, [Key::Id(9), Key::Id(10)]);
    assert!(store.has(Space::Bans, &Key::Id(9)).unwrap() && !store.has(Space::Bans, &Key::Id(11)).unwrap());
}

#[test]
fn what_was_heard_is_kept_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), true).unwrap();
    let heard = |radio: u32, seconds: f64| {
        serde_json::json!({
            "radio": radio, "alias": null, "destination": 91, "group": true, "context": 1, "call": "", "slot": 2,
            "session": "x", "started_ms": 1, "seconds": seconds, "refused": "no_route", "ended": null,
        })
    };
    let some = |radio| (radio, Some(heard(radio, 1.0)));
    store.keep_heard([some(7), some(8), some(9)].into_iter()).unwrap();
    let kept = store.keep_heard([(8, Some(heard(8, 2.0))), (7, None), (70, None)].into_iter()).unwrap();
    assert_eq!(kept, [Key::Id(8)]);
    put_raw(&store, Space::LastHeard, 10, b"{");
    drop(store);
    let store = Embedded::open(dir.path(), true).unwrap();
    assert_eq!(store.heard::<serde_json::Value>().unwrap(), [heard(8, 2.0), heard(9, 1.0)]);
    assert_eq!(store.pending_count().unwrap(), 0, "not what an operator has said");
}

#[test]
fn what_earlier_versions_have_kept_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::create(dir.path().join(file::NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    for (name, id, json) in [
        (
            "devices",
            7,
            r#"{"id":7,"password":"own","call":null,"statics":[[],[91]],"blocked":[5],"single":true}"#,
        ),
        ("devices", 8, r#"{"id":8,"password":null}"#),
        ("devices", 9, "{"),
        ("bans", 7, r#"{"id":7,"until_ms":null,"reason":"noise","by":"keyed up too often","made_ms":1}"#),
    ] {
        let table: TableDefinition<'_, u32, &[u8]> = TableDefinition::new(name);
        transaction.open_table(table).unwrap().insert(id, json.as_bytes()).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    for _ in 0..2 {
        let store = Embedded::open(dir.path(), false).unwrap();
        let listing = store.devices().unwrap();
        let seven = Device {
            password: Secret::new("own").ok(),
            statics: [vec![], vec![91]],
            blocked: vec![5],
            single: true,
            ..Device::new(7)
        };
        assert_eq!(listing.devices, [seven, Device::new(8)]);
        assert_eq!(listing.unreadable.len(), 1);
        let banned = Ban { by: By::KeyedUp, ..ban(7, None) };
        assert_eq!(store.bans().unwrap(), (vec![banned], vec![]));
    }
}

fn talkgroup(id: u32, name: &str) -> Change {
    Change::put(Record::of(&Talkgroup { id, name: name.to_owned() }).unwrap())
}

fn gone(id: u32) -> Change {
    Change::remove(Space::Talkgroups, Key::Id(id))
}

#[test]
fn pages_are_in_order_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), false).unwrap();
    store.change(&[256, 1, 70_000, 2].map(|id| talkgroup(id, "x"))).unwrap();
    put_raw(&store, Space::Talkgroups, 3, b"{}");
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(Space::Talkgroups, after.as_ref(), 2).unwrap();
        assert!(page.records.len() + page.refused.len() <= 2);
        seen.extend(page.records.iter().map(|record| record.key.clone()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [1, 2, 256, 70_000].map(Key::Id));
}

#[test]
fn what_is_pending_is_told_until_it_is_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), true).unwrap();
    store.change(&[talkgroup(1, "a"), talkgroup(2, "a")]).unwrap();
    store.change_here(&[talkgroup(3, "a")]).unwrap();
    let before = store.pending(None, 9).unwrap();
    let changes: Vec<Change> = before.iter().map(|pending| pending.change.clone()).collect();
    assert_eq!(changes, [talkgroup(1, "a"), talkgroup(2, "a")]);
    assert_eq!(store.pending(None, 1).unwrap().len(), 1);
    store.change(&[gone(2)]).unwrap();
    store.delivered(&before).unwrap();
    let left: Vec<Change> =
        store.pending(None, 9).unwrap().into_iter().map(|pending| pending.change).collect();
    assert_eq!(left, [gone(2)], "changed again since it was read");
    drop(store);
    let store = Embedded::open(dir.path(), true).unwrap();
    assert_eq!(store.pending_count().unwrap(), 1, "it outlives a restart");
    drop(store);
    let store = Embedded::open(dir.path(), false).unwrap();
    store.change(&[talkgroup(4, "a")]).unwrap();
    assert_eq!((store.pending_count().unwrap(), store.mark().unwrap()), (0, None), "nobody is followed");
}

#[test]
fn the_copy_follows_but_for_what_is_pending() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), true).unwrap();
    let mark = Mark { cluster: "c".to_owned(), version: 7, epoch: "e".to_owned(), seq: 3 };
    store.change_here(&[talkgroup(1, "old"), talkgroup(3, "old"), talkgroup(5, "old")]).unwrap();
    store.change(&[talkgroup(2, "ours")]).unwrap();
    let said = [
        talkgroup(1, "new"),
        talkgroup(2, "theirs"),
        talkgroup(3, "old"),
        gone(4),
        gone(5),
        talkgroup(6, "x"),
    ];
    let spares = |_: Space, key: &Key| *key == Key::Id(6);
    let made = store.follow(&said, spares, Some(&mark)).unwrap();
    assert_eq!(made, [talkgroup(1, "new"), gone(5)]);
    assert_eq!(store.mark().unwrap(), Some(mark));
    let there: Vec<Key> = store.all(Space::Talkgroups).unwrap().records.into_iter().map(|r| r.key).collect();
    assert_eq!(there, [1, 2, 3].map(Key::Id));
    let beyond = |after: Option<u32>, until: Option<u32>, keys: &[u32]| {
        let keys: Vec<Key> = keys.iter().copied().map(Key::Id).collect();
        let (after, until) = (after.map(Key::Id), until.map(Key::Id));
        store.beyond(Space::Talkgroups, after.as_ref(), until.as_ref(), &keys).unwrap()
    };
    assert_eq!(beyond(None, None, &[1, 3]), [gone(2)]);
    assert_eq!(beyond(Some(1), Some(2), &[]), [gone(2)]);
    assert_eq!(beyond(Some(2), None, &[3]), []);
    assert_eq!(beyond(Some(3), None, &[]), []);
    // What they say of it is looked at again, once what is pending is there.
    let key = |id| (Space::Talkgroups, Key::Id(id));
    assert_eq!(store.doubtful(None, 9).unwrap(), [key(6)], "that is told first");
    store.delivered(&store.pending(None, 9).unwrap()).unwrap();
    assert_eq!(store.doubtful(None, 9).unwrap(), [key(2), key(6)]);
    assert_eq!(store.doubtful(Some(&key(2)), 9).unwrap(), [key(6)]);
    store.settle(Space::Talkgroups, &Key::Id(6)).unwrap();
    let echo = store.follow(&[talkgroup(2, "ours")], |_, _| false, None).unwrap();
    assert!(echo.is_empty() && store.doubtful(None, 9).unwrap() == [key(2)], "an echo says nothing new");
}

#[test]
fn what_is_pending_is_read_on_and_what_cannot_be_read_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), true).unwrap();
    store.change(&[1, 2, 3, 4].map(|id| talkgroup(id, "x"))).unwrap();
    put_raw(&store, Space::Talkgroups, 2, b"{}");
    store.change(&[gone(4)]).unwrap();
    let first = store.pending(None, 2).unwrap();
    let keys = |pending: &[Pending]| pending.iter().map(|one| one.change.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&first), [talkgroup(1, "x"), talkgroup(3, "x")]);
    assert_eq!(keys(&store.pending(first.last(), 2).unwrap()), [gone(4)]);
    let counts = (store.pending_count().unwrap(), store.count_pending_records(&[Space::Talkgroups]).unwrap());
    assert_eq!((counts, store.count(&[Space::Talkgroups, Space::Bans]).unwrap()), ((4, 3), 3));
    // A ban that was to be told is over: nobody is told to lift it.
    store.change_here(&[gone(1)]).unwrap();
    assert_eq!(keys(&store.pending(None, 9).unwrap()), [talkgroup(3, "x"), gone(4)]);
    store.tell_again(&[talkgroup(3, "x"), talkgroup(5, "y")]).unwrap();
    assert_eq!(store.pending_count().unwrap(), 4);
}

#[test]
fn an_operators_word_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Embedded::open(dir.path(), true).unwrap();
    open().hold("c", "it is EMPTY").unwrap();
    open().hold("b", "it is ANOTHER").unwrap();
    assert_eq!(open().held("c").unwrap().as_deref(), Some("it is EMPTY"));
    open().restore("c").unwrap();
    assert_eq!(open().held("b").unwrap(), None);
    assert_eq!(open().restoring().unwrap().as_deref(), Some("c"));
    open().hold("b", "it is ANOTHER").unwrap();
    assert_eq!(open().restoring().unwrap(), None, "he has been asked again");
    open().restore("c").unwrap();
    let mark = Mark { cluster: "a".to_owned(), version: 1, epoch: "e".to_owned(), seq: 1 };
    open().follow(&[], |_, _| false, Some(&mark)).unwrap();
    assert_eq!(open().restoring().unwrap(), None, "another is followed");
    open().accept("d").unwrap();
    let store = open();
    assert_eq!(store.mark().unwrap().unwrap().cluster, "d");
}
