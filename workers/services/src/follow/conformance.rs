//! What every store of records has to do, tried on the embedded one and on a real Tarantool; and what a real Tarantool does
//! beside.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use registry::{Change, Embedded, Error, Key, MAX_AT_ONCE, Mark, Record, Secret, Space, Store};
use serde_json::{Value, json};
use tests::Tarantool as Instance;
use tests::tarantool::{USER, USER_PASSWORD};
use tokio::runtime::{Builder, LocalOptions};

use super::tarantool::{News, Server, Tarantool};
use super::{FOLLOWED, copy};

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.unwrap().block_on(test)
}

fn server(instance: &Instance, user: &str, password: &str) -> Server {
    let store = config::Store {
        url: instance.url(user).parse().unwrap(),
        password_file: None,
        ca_file: None,
        password: Secret::new(password).ok(),
    };
    Server::of(&store).unwrap().unwrap()
}

async fn connect(instance: &Instance) -> Tarantool {
    server(instance, USER, USER_PASSWORD).connect().await.unwrap()
}

fn by_hand(instance: &Instance, line: &str) {
    let _ = instance.by_hand(line);
}

fn record(space: Space, value: Value) -> Record {
    let Value::Object(object) = value else { panic!("no object: {value}") };
    Record::of_object(space, object).unwrap()
}

fn put(space: Space, value: Value) -> Change {
    Change::put(record(space, value))
}

/// One record of each space, with all its fields, and one with as few as there can be.
fn samples() -> Vec<Change> {
    let timed =
        json!([{"talkgroup": 262, "slot": 2, "schedule": {"from": 60, "until": 120, "days": ["mon"]}}]);
    let heard = json!({
        "radio": 2_621_370, "alias": "N0CALL Jürgen", "destination": 91, "group": true, "context": 262_137_001,
        "call": "N0CALL", "slot": 2, "session": "x", "started_ms": 1_795_831_773_228_u64, "seconds": 1.5,
        "refused": "no_route", "ended": "terminator",
    });
    vec![
        put(
            Space::Nodes,
            json!({"id": 25011, "name": "a", "address": "192.0.2.1", "port": 54000, "key": "0f".repeat(32)}),
        ),
        put(Space::Nodes, json!({"id": 25012, "address": "::1", "port": 1})),
        put(
            Space::OverriddenNodes,
            json!({"id": 2501, "options": 1, "transport": "FORWARD_TRANSPORT_RDMA", "address": "a.b", "port": 54000}),
        ),
        put(Space::OverriddenNodes, json!({"id": 2502, "transport": "FORWARD_TRANSPORT_DIRECT"})),
        put(
            Space::Devices,
            json!({"id": 999_999_999, "password": "pä\"ss", "call": "DB0ABC", "blocked": [1, 16_777_215], "single": true}),
        ),
        put(Space::Devices, json!({"id": 1})),
        put(Space::Subscriptions, json!({"id": 1, "ts1": [91], "ts2": [9, 8], "timed": timed})),
        put(Space::Subscriptions, json!({"id": 2})),
        put(
            Space::GlobalProfiles,
            json!({"id": 1, "call": "N0CALL", "ssid": 7, "symbol": "/>", "text": "x", "name": "Jürgen", "key": "k",
                   "active": true, "country": "Åland"}),
        ),
        put(Space::GlobalProfiles, json!({"id": 2})),
        put(Space::Talkgroups, json!({"id": 91, "name": "World-wide"})),
        put(
            Space::Bans,
            json!({"id": 7, "until_ms": u64::MAX, "reason": "noise", "by": "keyed up too often", "made_ms": 5}),
        ),
        put(Space::Bans, json!({"id": 8})),
        put(Space::LastHeard, heard),
        put(Space::StoredValues, json!({"name": "ä b", "value": {"a": [1, -2, 1.5, true, "x", {"b": []}]}})),
        put(Space::StoredValues, json!({"name": "z", "value": false})),
        put(
            Space::Peers,
            json!({"id": u32::MAX, "address": "bridge.example.org:62035", "key": "pä\"ss", "learn_address": true,
                   "enhanced": true, "talkgroups_in": [91, "3100-3199"], "talkgroups_out": ["1-16777215"],
                   "rewrite": ["91=3191"], "own_id": 3_129_100}),
        ),
        put(Space::Peers, json!({"id": 1, "key": "x", "address": "[::1]:1"})),
    ]
}

async fn all(store: &impl Store, space: Space, most: usize) -> Vec<Record> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(space, after.as_ref(), most).await.unwrap();
        assert!(page.refused.is_empty() && page.records.len() <= most, "{:?}", page.refused);
        all.extend(page.records);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// All that is there, by space and key: which has to be the order of the pages.
async fn everything(store: &impl Store, most: usize) -> BTreeMap<(Space, Key), Record> {
    let mut everything = BTreeMap::new();
    for space in Space::ALL {
        let records = all(store, space, most).await;
        assert!(records.windows(2).all(|pair| pair[0].key < pair[1].key), "{space} is not in order");
        everything.extend(records.into_iter().map(|record| ((space, record.key.clone()), record)));
    }
    everything
}

/// The suite. Returns what has to be there after a restart.
async fn conforms(store: &impl Store) -> BTreeMap<(Space, Key), Record> {
    assert!(everything(store, 10).await.is_empty());
    store.write(&[]).await.unwrap();
    let samples = samples();
    store.write(&samples).await.unwrap();
    let mut there: BTreeMap<_, _> = samples
        .iter()
        .map(|change| ((change.space, change.key.clone()), change.record.clone().unwrap()))
        .collect();
    assert_eq!(everything(store, 1000).await, there);
    // One in the place of another, some that go, one that was not there, and one twice in a write.
    let talkgroup = |id: u32, name: &str| put(Space::Talkgroups, json!({"id": id, "name": name}));
    let changes = [
        talkgroup(91, "old"),
        talkgroup(91, "new"),
        talkgroup(92, "x"),
        Change::remove(Space::Talkgroups, Key::Id(92)),
        Change::remove(Space::Bans, Key::Id(8)),
        Change::remove(Space::Bans, Key::Id(77)),
        Change::remove(Space::StoredValues, Key::Name("z".to_owned())),
    ];
    store.write(&changes).await.unwrap();
    there.insert(
        (Space::Talkgroups, Key::Id(91)),
        record(Space::Talkgroups, json!({"id": 91, "name": "new"})),
    );
    there.remove(&(Space::Bans, Key::Id(8)));
    there.remove(&(Space::StoredValues, Key::Name("z".to_owned())));
    assert_eq!(everything(store, 1).await, there);
    // As many as can be, by pages of all sizes.
    let many: Vec<Change> = (1..=u32::try_from(MAX_AT_ONCE).unwrap())
        .map(|id| put(Space::GlobalProfiles, json!({"id": id * 255, "call": format!("N{id}")})))
        .collect();
    store.write(&many).await.unwrap();
    there.extend(many.into_iter().map(|change| ((change.space, change.key), change.record.unwrap())));
    for most in [3, 7, 100, MAX_AT_ONCE] {
        assert_eq!(everything(store, most).await, there, "pages of {most}");
    }
    there
}

#[test]
fn the_embedded_store_conforms() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = Embedded::open(dir.path(), false).unwrap();
        let there = conforms(&store).await;
        drop(store);
        assert_eq!(everything(&Embedded::open(dir.path(), false).unwrap(), 100).await, there);
    });
}

#[test]
fn tarantool_conforms() {
    run(async {
        let mut instance = Instance::on_socket();
        let tarantool = connect(&instance).await;
        let there = conforms(&tarantool).await;
        // Not in order: the server is killed.
        instance.kill();
        instance.start_again();
        assert!(matches!(tarantool.info().await, Err(Error::Away(_))));
        tarantool.leave().await;
        let tarantool = connect(&instance).await;
        assert_eq!(everything(&tarantool, 100).await, there);
        tarantool.leave().await;
    });
}

async fn news(tarantool: &Tarantool, mark: &Mark) -> (Mark, Vec<Change>, Vec<String>) {
    match tarantool.news(mark).await.unwrap() {
        News::Changes { mark, changes, refused } => {
            (mark, changes, refused.into_iter().map(|refused| refused.error.to_string()).collect())
        }
        News::Resync => panic!("everything is to be read anew"),
    }
}

#[test]
fn what_is_changed_by_hand_is_told_once() {
    run(async {
        let mut instance = Instance::on_socket();
        let (writer, listener) = (connect(&instance).await, connect(&instance).await);
        let mark = listener.info().await.unwrap().mark;
        let ban = put(Space::Bans, json!({"id": 7, "reason": "noise"}));
        let soon = async {
            // Once it is waited for.
            tokio::time::sleep(Duration::from_millis(50)).await;
            by_hand(&instance, "box.space.Bans:replace{7, nil, 'noise'}");
        };
        let ((mark, changes, _), ()) = tokio::join!(news(&listener, &mark), soon);
        assert_eq!(changes, [ban]);
        by_hand(&instance, "box.begin() box.space.Bans:replace{8} box.rollback()");
        by_hand(
            &instance,
            "for i = 1, 5 do box.space.Talkgroups:replace{i, 'x'} box.space.Talkgroups:delete{i} end",
        );
        writer.write(&[Change::remove(Space::Bans, Key::Id(7))]).await.unwrap();
        let (mark, changes, _) = news(&listener, &mark).await;
        let mut expected = vec![Change::remove(Space::Bans, Key::Id(8))];
        expected.extend((1..=5).map(|id| Change::remove(Space::Talkgroups, Key::Id(id))));
        expected.push(Change::remove(Space::Bans, Key::Id(7)));
        assert_eq!(changes, expected, "all as it is now, what was rolled back as well");
        // More than the journal keeps.
        by_hand(&instance, "for i = 1, 9000 do box.space.Talkgroups:replace{i, 'x'} end");
        assert!(matches!(listener.news(&mark).await.unwrap(), News::Resync));
        let mark = listener.info().await.unwrap().mark;
        by_hand(&instance, "box.space.Talkgroups:truncate()");
        assert!(matches!(listener.news(&mark).await.unwrap(), News::Resync));
        let before = listener.info().await.unwrap().mark;
        instance.kill();
        instance.start_again();
        listener.leave().await;
        writer.leave().await;
        let listener = connect(&instance).await;
        let after = listener.info().await.unwrap().mark;
        assert_eq!((&after.cluster, after.version >= before.version), (&before.cluster, true));
        assert!(matches!(listener.news(&before).await.unwrap(), News::Resync), "another life of the journal");
        listener.leave().await;
    });
}

#[test]
fn what_cannot_be_is_refused_one_by_one() {
    run(async {
        let instance = Instance::on_socket();
        let tarantool = connect(&instance).await;
        let mark = tarantool.info().await.unwrap().mark;
        // Somebody has taken the formats away.
        by_hand(
            &instance,
            "for _, s in ipairs{'Devices', 'Bans', 'OverriddenNodes'} do box.space[s]:format({}) end",
        );
        for line in [
            "box.space.Devices:replace{1, 'good'}",
            "box.space.Devices:replace{2, {1}}",
            "box.space.Devices:replace{3, nil, nil, {'x'}}",
            "box.space.Devices:replace{4294967296, 'x'}",
            "box.space.Devices:replace{18446744073709551615ULL, 'x'}",
            "box.space.Devices:replace{1000000000, 'x'}",
            "box.space.Devices:replace{5, string.rep('x', 10000000)}",
            "box.space.Devices:replace{6, '\\xff'}",
            "box.space.Devices:replace{7, require('uuid').new()}",
            "box.space.OverriddenNodes:replace{1, 0, 'FORWARD_TRANSPORT_PIGEON', 'a', 1}",
            "box.space.OverriddenNodes:replace{2, 0, FORWARD_TRANSPORT_UDP, 'a', 1}",
            "box.space.Bans:replace{0}",
            "box.space.Bans:replace{9, -5}",
            "box.space.StoredValues:replace{string.rep('k', 10000), 1}",
            "box.space.StoredValues:replace{'a\\nb', 1}",
            "box.space.StoredValues:replace{'c\\xC2\\x80', 1}",
            "box.space.StoredValues:replace{'good', 1}",
        ] {
            by_hand(&instance, line);
        }
        let (_, changes, told) = news(&tarantool, &mark).await;
        let good: Vec<Key> = changes.iter().map(|change| change.key.clone()).collect();
        let expected = [Key::Id(1), Key::Id(2), Key::Name("good".to_owned())];
        assert_eq!(good, expected, "{told:?}");
        let mut read = Vec::new();
        let mut records = 0;
        for space in FOLLOWED {
            let page = tarantool.page(space, None, 100).await.unwrap();
            records += page.records.len();
            read.extend(page.refused.into_iter().map(|refused| refused.error.to_string()));
        }
        assert_eq!(records, 3);
        for reasons in [&told, &read] {
            let has = |part: &str| reasons.iter().filter(|reason| reason.contains(part)).count();
            for (part, count) in [
                ("device 2: password: not of the form", 1),
                ("device 3: blocked: not of the form", 1),
                ("device \"4294967296", 1),
                ("device \"18446744073709551615", 1),
                ("device 1000000000: an ID is a number from 1 to 999999999", 1),
                ("device 5: 10000", 1),
                ("device 6: password: of a kind that no record has", 1),
                ("overridden node 1: transport: not of the form", 1),
                ("ban of 0: an ID is", 1),
                ("ban of 9: until_ms: not of the form", 1),
                ("stored value \"kkkk", 1),
                ("stored value \"a\\nb", 1),
                ("stored value \"c", 1),
            ] {
                assert_eq!(has(part), count, "{part}: {reasons:#?}");
            }
            assert!(reasons.iter().all(|reason| reason.len() < 200), "{reasons:#?}");
        }
        tarantool.leave().await;
    });
}

#[test]
fn who_writes_weakly_takes_no_operators_place() {
    run(async {
        let instance = Instance::on_socket();
        let tarantool = connect(&instance).await;
        let by = |id: u32, by: &str, until: u64| {
            put(Space::Bans, json!({"id": id, "by": by, "until_ms": until, "reason": by}))
        };
        let far = 9_000_000_000_000_u64;
        tarantool
            .write(&[by(1, "operator", far), by(2, "operator", 5), by(3, "keyed up too often", far)])
            .await
            .unwrap();
        let weak: Vec<Change> = (1..=4).map(|id| by(id, "keyed up too often", far + 1)).collect();
        tarantool.write_weakly(&weak).await.unwrap();
        let there = all(&tarantool, Space::Bans, 10).await;
        let expected = [by(1, "operator", far)].into_iter().chain(weak.into_iter().skip(1));
        assert_eq!(there, expected.map(|change| change.record.unwrap()).collect::<Vec<_>>());
        tarantool.leave().await;
    });
}

#[test]
fn all_or_none_and_with_least_rights() {
    run(async {
        let instance = Instance::on_socket();
        let tarantool = connect(&instance).await;
        by_hand(
            &instance,
            "box.space.Talkgroups:format({{name = 'id', type = 'unsigned'}, {name = 'name', type = 'boolean'}})",
        );
        let talkgroup = put(Space::Talkgroups, json!({"id": 1, "name": "x"}));
        let changes = [put(Space::Devices, json!({"id": 1})), talkgroup];
        let error = tarantool.write(&changes).await.unwrap_err();
        assert!(
            matches!(&error, Error::Denied(_)) && error.to_string().contains("expected boolean"),
            "{error}"
        );
        assert!(all(&tarantool, Space::Devices, 10).await.is_empty(), "all or none");
        tarantool.leave().await;
        let refused = async |user: &str, password: &str| {
            let connected = server(&instance, user, password).connect().await;
            match connected {
                Ok(tarantool) => tarantool.info().await.unwrap_err().to_string(),
                Err(error) => error.to_string(),
            }
        };
        let error = refused(USER, "wrong").await;
        assert!(
            error.contains("Incorrect password") && error.ends_with("see registry.password_file"),
            "{error}"
        );
        assert!(refused("nobody", "x").await.contains("User 'nobody' is not found"));
        by_hand(&instance, "box.schema.user.create('other', {password = 'x'})");
        assert!(refused("other", "x").await.contains("access to function 'dmr_registry_info' is denied"));
        by_hand(&instance, "box.schema.func.drop('dmr_registry_info') dmr_registry_info = nil");
        let error = refused(USER, USER_PASSWORD).await;
        assert!(error.contains("dmr_registry_info"), "{error}");
        // What a user of the functions may do beside.
        let others = instance.by_hand(&format!(
            "c = require('net.box').connect('{USER}:{USER_PASSWORD}@unix/:{}') \
             return c.space.Devices == nil, pcall(c.eval, c, 'return 1')",
            instance.url("x").split('@').next_back().unwrap()
        ));
        assert!(others.contains("- true\n- false\n") && others.contains("denied for user 'dmr'"), "{others}");
    });
}

/// Programs and registry.lua of different ages follow each other in what both know.
#[test]
fn older_ones_know_no_peers() {
    run(async {
        let instance = Instance::on_socket();
        let tarantool = connect(&instance).await;
        let info = tarantool.info().await.unwrap();
        assert_eq!(info.lacks, []);
        let peer = put(Space::Peers, json!({"id": 7, "key": "x", "address": "a.test:1"}));
        let talkgroup = put(Space::Talkgroups, json!({"id": 91, "name": "x"}));
        tarantool.write(&[peer.clone(), talkgroup.clone()]).await.unwrap();
        let (_, changes, _) = news(&tarantool, &info.mark).await;
        assert_eq!(changes, [peer, talkgroup]);
        // An older program does not say what it knows.
        let told = instance.by_hand("return dmr_registry_wait(dmr_registry_info().epoch, 0, 0).changes");
        assert!(told.contains("Talkgroups") && !told.contains("Peers"), "{told}");
        // An older registry.lua does not say what it has.
        by_hand(
            &instance,
            "now = dmr_registry_info dmr_registry_info = function() local info = now() info.spaces = nil return info end",
        );
        assert_eq!(tarantool.info().await.unwrap().lacks, [Space::Peers]);
        tarantool.leave().await;
    });
}

#[test]
fn an_older_schema_gets_what_is_new() {
    const LUA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/tarantool/registry.lua");
    run(async {
        let instance = Instance::on_socket();
        by_hand(&instance, "box.space.Bans:replace{7}");
        by_hand(&instance, "box.space.Peers:drop() box.space._schema:replace{'dmr_registry_version', 1}");
        by_hand(
            &instance,
            "local format = box.space.Nodes:format() format[5] = nil box.space.Nodes:format(format) \
             box.space.Nodes:replace{1, 'x', '192.0.2.1', 54000}",
        );
        let said = instance
            .by_hand(&format!("dofile('{LUA}'){{}} return box.space._schema:get('dmr_registry_version')"));
        assert!(said.contains("['dmr_registry_version', 3]"), "{said}");
        let tarantool = connect(&instance).await;
        tarantool
            .write(&[put(Space::Peers, json!({"id": 7, "key": "x", "address": "a.test:1"}))])
            .await
            .unwrap();
        assert_eq!(all(&tarantool, Space::Peers, 10).await.len(), 1);
        assert_eq!(all(&tarantool, Space::Bans, 10).await.len(), 1);
        let host = json!({"id": 2, "address": "a.test", "port": 1, "key": "0f".repeat(32)});
        tarantool.write(&[put(Space::Nodes, host)]).await.unwrap();
        assert_eq!(all(&tarantool, Space::Nodes, 10).await.len(), 2);
        assert!(instance.by_hand("return box.space.Nodes:format()[5].name").contains("key"));
        tarantool.leave().await;
    });
}

#[test]
fn a_copy_becomes_the_same() {
    run(async {
        let instance = Instance::on_socket();
        let tarantool = connect(&instance).await;
        let dir = tempfile::tempdir().unwrap();
        let embedded = Embedded::open(dir.path(), true).unwrap();
        tarantool.write(&samples()).await.unwrap();
        let profile = |id: u32| put(Space::GlobalProfiles, json!({"id": id, "call": "N0CALL"}));
        for first in [1, 1001, 2001] {
            let profiles: Vec<Change> = (first..first + 1000).map(profile).collect();
            tarantool.write(&profiles).await.unwrap();
        }
        embedded.change_here(&[profile(2), profile(5000), put(Space::Bans, json!({"id": 99}))]).unwrap();
        for space in FOLLOWED {
            let mut after = None;
            loop {
                let page = tarantool.page(space, after.as_ref(), 700).await.unwrap();
                let next = page.next.clone();
                let (changes, refused) = copy::differences(&embedded, space, after.as_ref(), page).unwrap();
                assert!(refused.is_empty());
                embedded.follow(&changes, |_, _| false, None).unwrap();
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        let (mut there, here) = (everything(&tarantool, 1000).await, everything(&embedded, 1000).await);
        there.retain(|(space, _), _| FOLLOWED.contains(space));
        assert_eq!(here, there);
        tarantool.leave().await;
    });
}
