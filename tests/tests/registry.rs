//! The registry as an operator has it: records, files of them, lists of users, and what follows from each at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use tests::{Cluster, PASSWORD, Repeater, text, wait_for};

/// The answer of a verb that has to work.
fn done(cluster: &Cluster, args: &[&str], input: &str) -> String {
    let output = cluster.bmctl(args, input);
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Why a verb fails.
fn fails(cluster: &Cluster, args: &[&str], input: &str) -> String {
    let output = cluster.bmctl(args, input);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", text(&output));
    text(&output)
}

fn list(cluster: &Cluster, space: &str) -> Vec<Value> {
    serde_json::from_str(&done(cluster, &["registry", "list", space, "--json"], "")).unwrap()
}

fn path(dir: &tempfile::TempDir, name: &str) -> String {
    dir.path().join(name).to_str().unwrap().to_owned()
}

/// The lines of an export, the first one apart.
fn export(cluster: &Cluster, file: &str) -> (String, Vec<String>) {
    done(cluster, &["registry", "export", file], "");
    let mut lines = fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    (lines.remove(0), lines)
}

#[test]
fn a_device_that_is_put_logs_in_at_once_and_its_password_is_never_shown() {
    let cluster = Cluster::start(2, "");
    let server = cluster.mmdvm();
    let device = r#"{"id":2501001,"password":"own-secret","call":"N0CALL","blocked":[5]}"#;
    let refused = fails(&cluster, &["registry", "put", "devices", device], "");
    assert!(
        refused.contains("others can see the command line") && !refused.contains("own-secret"),
        "{refused}"
    );
    assert_eq!(done(&cluster, &["registry", "put", "devices", "-"], device), "Devices 2501001 put\n");
    assert!(!Repeater::new(server, 2_501_001, PASSWORD, "").log_in(), "the common password");
    let mut repeater = Repeater::new(server, 2_501_001, "own-secret", "");
    assert!(repeater.log_in());
    let subscriptions = r#"{"id":2501001,"ts2":[91,3100]}"#;
    done(&cluster, &["registry", "put", "SUBSCRIPTIONS", subscriptions], "");
    wait_for("its talkgroups", || {
        cluster
            .contexts()
            .first()
            .filter(|context| context.statics.ts2 == [91, 3100] && context.blocked == [5])
            .map(drop)
    });

    let got = done(&cluster, &["registry", "get", "Devices", "2501001"], "");
    for shown in [
        &got,
        &done(&cluster, &["registry", "list", "Devices"], ""),
        &done(&cluster, &["registry", "list", "Devices", "--json"], ""),
    ] {
        assert!(shown.contains("***") && !shown.contains("own-secret"), "{shown}");
    }
    // What was got can be put back, and the password is still the one that was there.
    let mut record: Value = serde_json::from_str(&got).unwrap();
    record["single"] = true.into();
    done(&cluster, &["registry", "put", "Devices", &record.to_string()], "");
    assert!(Repeater::new(server, 2_501_001, "own-secret", "").log_in());
    let again = done(&cluster, &["registry", "put", "Devices", &record.to_string()], "");
    assert_eq!(again, "Devices 2501001 is so already\n");
    let none = fails(&cluster, &["registry", "put", "Devices", r#"{"id":2501002,"password":"***"}"#], "");
    assert!(none.contains("*** stands for the one that is there, and Devices 2501002 has none"), "{none}");

    done(&cluster, &["registry", "remove", "Devices", "2501001"], "");
    done(&cluster, &["registry", "remove", "Subscriptions", "2501001"], "");
    wait_for("no talkgroup", || {
        cluster.contexts().iter().all(|context| context.statics.ts2.is_empty()).then_some(())
    });
    assert!(Repeater::new(server, 2_501_001, PASSWORD, "").log_in());
}

#[test]
fn a_ban_that_is_put_throws_out_and_one_that_is_removed_lets_in() {
    let cluster = Cluster::start(2, "");
    let mut repeater = Repeater::new(cluster.mmdvm(), 2_501_001, PASSWORD, "");
    assert!(repeater.log_in());
    let ban = r#"{"id":2501001,"reason":"noise"}"#;
    done(&cluster, &["registry", "put", "Bans", ban], "");
    repeater.wait(b"MSTCL");
    assert!(!Repeater::new(cluster.mmdvm(), 2_501_001, PASSWORD, "").log_in());
    assert!(done(&cluster, &["bans"], "").contains("noise"));
    done(&cluster, &["registry", "remove", "Bans", "2501001"], "");
    assert!(Repeater::new(cluster.mmdvm(), 2_501_001, PASSWORD, "").log_in());
    assert!(!done(&cluster, &["bans"], "").contains("2501001"));
    // One that only keeps a radio quiet throws no device out.
    let mut other = Repeater::new(cluster.mmdvm(), 2_501_002, PASSWORD, "");
    assert!(other.log_in());
    done(&cluster, &["registry", "put", "Bans", r#"{"id":2501002,"by":"keyed up too often"}"#], "");
    assert!(Repeater::new(cluster.mmdvm(), 2_501_002, PASSWORD, "").log_in());
}

#[test]
fn what_cannot_be_is_said_with_what_to_do() {
    let cluster = Cluster::start(1, "");
    for (args, words) in [
        (
            &["registry", "get", "Bans", "7"][..],
            "Bans has no 7; `bmctl registry list Bans` shows what it has",
        ),
        (&["registry", "get", "Bans", "x"], "write a number"),
        (&["registry", "remove", "Talkgroups", "7"], "Talkgroups has no 7"),
        (&["registry", "put", "Talkgroups", "{"], "no JSON object at line 1 column 1"),
        (
            &["registry", "put", "Talkgroups", r#"{"id":0,"name":""}"#],
            "a talkgroup is a number from 1 to 16777215",
        ),
        (
            &["registry", "put", "Talkgroups", r#"{"id":7,"title":""}"#],
            "\"title\": no such field; there are id, name",
        ),
        (&["registry", "import", "/nowhere"], "cannot read /nowhere"),
        (&["registry", "export", "/nowhere/file"], "cannot make /nowhere/file"),
        (&["nodes", "unset", "7"], "node 7 is reached as others are already"),
        (&["nodes", "set", "7", "udp"], "address: write a host name or an IP address"),
        (&["nodes", "set", "7", "direct"], "only nodes of one host share memory"),
        (&["nodes", "set", "7", "tls", "a"], "FastForward goes by UDP alone so far; choose udp"),
    ] {
        let said = fails(&cluster, args, "");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let unknown = cluster.bmctl(&["registry", "list", "Users"], "");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown).contains("there are Nodes, OverriddenNodes, Devices"), "{}", text(&unknown));
}

/// A record of each space, with what is hard to write.
fn records() -> Vec<Value> {
    let line = |space: &str, record: Value| json!({"space": space, "record": record});
    vec![
        line("Nodes", json!({"id": 25_011, "name": "One, \"two\"", "address": "192.0.2.1", "port": 54_000})),
        line(
            "OverriddenNodes",
            json!({"id": 25_012, "transport": "FORWARD_TRANSPORT_TLS", "address": "a", "port": 1}),
        ),
        line(
            "Devices",
            json!({"id": 2_501_001, "password": "own-secret \"ü\"", "call": "N0CALL", "blocked": [7]}),
        ),
        line("Devices", json!({"id": 2_501_002, "single": true, "password": "***"})),
        line(
            "Subscriptions",
            json!({"id": 2_501_001, "ts1": [91], "timed": [
            {"talkgroup": 262, "slot": 2, "schedule": {"days": ["tue"], "from": 60, "until": 120}}]}),
        ),
        line(
            "GlobalProfiles",
            json!({"id": 2_501_001, "call": "N0CALL", "name": "Ann Ö.", "key": "k", "text": "x"}),
        ),
        line("Talkgroups", json!({"id": 91, "name": "World-wide"})),
        line(
            "Bans",
            json!({"id": 2_509_999, "until_ms": 4_102_444_800_000_u64, "reason": "noise", "made_ms": 1}),
        ),
        line(
            "LastHeard",
            json!({"radio": 2_501_001, "alias": "Ann", "destination": 91, "group": true,
            "context": 2_501_001, "call": "N0CALL", "slot": 2, "session": "00000000-0000-0000-0000-000000000001",
            "started_ms": 1_700_000_000_000_u64, "seconds": 1.5, "refused": null, "ended": "terminator"}),
        ),
        line("StoredValues", json!({"name": "a b", "value": {"x": [1, null, "\u{1}"]}})),
    ]
}

#[test]
fn an_export_into_a_fresh_cluster_is_the_same_registry() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Cluster::start(1, ""), Cluster::start(1, ""));
    let header = "{\"format\":\"bmctl registry\",\"version\":1}";
    let mut file = format!("{header}\n");
    records().iter().for_each(|record| writeln!(file, "{record}").unwrap());
    let said = done(&first, &["registry", "import", "-"], &file);
    assert_eq!(said, "10 records imported, 10 of them new or changed\n");
    let written = path(&dir, "export");
    let output = first.bmctl(&["registry", "export", &written], "");
    assert!(
        String::from_utf8(output.stderr).unwrap().contains("10 records exported, with passwords in clear")
    );
    assert_eq!(fs::metadata(&written).unwrap().permissions().mode() & 0o777, 0o600);
    let (head, lines) = export(&first, &written);
    assert_eq!((head.as_str(), lines.len()), (header, 10));
    assert!(lines.iter().any(|line| line.contains("own-secret")), "with passwords");

    done(&second, &["registry", "import", &written], "");
    assert_eq!(export(&second, &path(&dir, "again")).1, lines);
    let said = done(&second, &["registry", "import", &written], "");
    assert_eq!(said, "10 records imported, 0 of them new or changed\n");
    assert_eq!(done(&second, &["registry", "export", "-"], "").lines().count(), 11);
    // It is in force, and outlives the services.
    assert!(Repeater::new(second.mmdvm(), 2_501_001, "own-secret \"ü\"", "").log_in());
    assert!(done(&second, &["lastheard"], "").contains("Ann"));
    done(&second, &["restart", "services"], "");
    assert_eq!(export(&second, &path(&dir, "later")).1, lines);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing is left beside the files");
}

#[test]
fn lines_that_cannot_be_are_named_and_the_rest_is_imported() {
    let cluster = Cluster::start(1, "");
    let mut file = "{\"format\":\"bmctl registry\",\"version\":1}\n".to_owned();
    for id in 1..=30 {
        writeln!(file, "{{\"space\":\"Talkgroups\",\"record\":{{\"id\":{id},\"name\":\"x\"}}}}").unwrap();
        writeln!(file, "{{\"space\":\"Devices\",\"record\":{{\"id\":{id},\"password\":[\"hidden\"]}}}}")
            .unwrap();
    }
    let said = fails(&cluster, &["registry", "import", "-"], &file);
    assert!(said.contains("line 3: device 1: password: not of the form"), "{said}");
    assert!(said.contains("line 41: device 20: ") && !said.contains("line 43"), "{said}");
    let summary =
        "30 records imported, 30 of them new or changed; 30 entries cannot be and are left out, the first 20";
    assert!(said.contains(summary) && !said.contains("hidden"), "{said}");
    assert_eq!(list(&cluster, "Talkgroups").len(), 30);

    let users = "RADIO_ID,CALLSIGN,FIRST_NAME\n1,A1A,\"An\nn\"\nx,B2B,Bob\n3,C3C\n4\n";
    let said = fails(&cluster, &["registry", "import", "-"], users);
    assert!(said.contains("line 4: its ID is no number") && said.contains("3 records imported"), "{said}");
    let users = "{\"users\":[{\"id\":5},\n{\"id\":0},\n7,{\"id\":\"6\"},{";
    let said = fails(&cluster, &["registry", "import", "-"], users);
    for words in [
        "entry 2 (line 2): profile 0",
        "entry 3 (line 3): no object",
        "2 records imported",
        "no list of users",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let ids: Vec<u64> =
        list(&cluster, "GlobalProfiles").iter().map(|user| user["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 3, 4, 5, 6]);
    let endless = format!("RADIO_ID,CALLSIGN\n1,\"{}", "x\n".repeat(100_000));
    let said = fails(&cluster, &["registry", "import", "-"], &endless);
    assert!(said.contains("is a quote or bracket not closed?"), "{said}");
}

/// Lists of so many users, in CSV and in JSON.
fn users(count: u32, csv: &Path, json: &Path) {
    let mut text = "RADIO_ID,CALLSIGN,FIRST_NAME,LAST_NAME,CITY,STATE,COUNTRY\r\n".to_owned();
    let mut list = "{\"users\":[".to_owned();
    for n in 0..count {
        let (id, call) = (1_000_001 + n * 7, format!("N{n}CALL"));
        let (first, last, city) =
            (format!("An\"n {n}"), "Müller, jun.", "x".repeat(if n % 1000 == 0 { 200 } else { 20 }));
        let quoted = first.replace('"', "\"\"");
        write!(text, "{id},{call},\"{quoted}\",\"{last}\",{city},State {},Country\r\n", n % 50).unwrap();
        let user = json!({"fname": first, "name": "not this", "country": "Country", "callsign": call, "city": city,
            "surname": last, "radio_id": id, "id": id, "remarks": "", "state": format!("State {}", n % 50)});
        write!(list, "{}{user}", if n == 0 { "\n" } else { ",\n" }).unwrap();
    }
    list.push_str("\n]}\n");
    fs::write(csv, text).unwrap();
    fs::write(json, list).unwrap();
}

#[test]
fn lists_of_users_agree_and_keep_what_they_say_nothing_of() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Cluster::start(1, ""), Cluster::start(1, ""));
    let (csv, json) = (path(&dir, "user.csv"), path(&dir, "users.json"));
    users(20_000, csv.as_ref(), json.as_ref());
    let known = r#"{"id":1000008,"call":"OLD","text":"kept","symbol":"/r"}"#;
    for cluster in [&first, &second] {
        done(cluster, &["registry", "put", "GlobalProfiles", known], "");
    }
    let imported =
        "20000 records imported, 20000 of them new or changed; 20 texts were too long and are cut\n";
    assert_eq!(done(&first, &["registry", "import", &csv], ""), imported);
    assert_eq!(done(&second, &["registry", "import", &json], ""), imported);
    let (one, other) = (export(&first, &path(&dir, "1")).1, export(&second, &path(&dir, "2")).1);
    assert_eq!(one.len(), 20_000);
    assert!(one == other, "the same users");
    let user = done(&first, &["registry", "get", "GlobalProfiles", "1000008"], "");
    let user: Value = serde_json::from_str(&user).unwrap();
    assert_eq!(
        (&user["call"], &user["name"], &user["text"], &user["symbol"]),
        (&json!("N1CALL"), &json!("An\"n 1 Müller, jun."), &json!("kept"), &json!("/r"))
    );
    let again = done(&first, &["registry", "import", "--format", "csv", &csv], "");
    assert!(again.starts_with("20000 records imported, 0 of them new or changed"), "{again}");
    assert_eq!(done(&first, &["registry", "list", "GlobalProfiles"], "").lines().count(), 20_001);
}

#[test]
fn a_configuration_of_hblink_becomes_records_and_a_part_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(1, "");
    let (configuration, rules) = (path(&dir, "hblink.cfg"), path(&dir, "rules.py"));
    let text = "[GLOBAL]\nSUB_ACL: DENY:1\n[CLUB]\nMODE: MASTER\nPORT: 54000\nPASSPHRASE: hidden-one\n\
                REG_ACL: PERMIT:2501001,2501002\n";
    fs::write(&configuration, text).unwrap();
    let text =
        "BRIDGES = {'A': [{'SYSTEM': 'CLUB', 'TS': 2, 'TGID': 262, 'ACTIVE': True, 'TO_TYPE': 'NONE'}]}\n";
    fs::write(&rules, text).unwrap();
    let blocked = r#"{"id":2501001,"blocked":[5]}"#;
    done(&cluster, &["registry", "put", "Devices", blocked], "");
    let said = done(&cluster, &["registry", "import", &rules, &configuration], "");
    assert!(said.starts_with("4 records imported, 4 of them new or changed\n"), "{said}");
    assert!(said.contains("[access.radios]\ndeny = [1]") && !said.contains("hidden-one"), "{said}");
    let mut repeater = Repeater::new(cluster.mmdvm(), 2_501_001, "hidden-one", "");
    assert!(repeater.log_in());
    let contexts =
        wait_for("its context", || Some(cluster.contexts()).filter(|contexts| !contexts.is_empty()));
    assert_eq!((&contexts[0].statics.ts2[..], &contexts[0].blocked[..]), (&[262][..], &[5][..]));
    let twice = fails(&cluster, &["registry", "import", &rules], "");
    assert!(twice.contains("give that as well"), "{twice}");
}

#[test]
fn nodes_are_reached_in_ways_that_there_are() {
    let cluster = Cluster::start(1, "");
    let set = |args: &[&str]| cluster.bmctl(&[&["nodes", "set"], args].concat(), "");
    assert!(set(&["2502", "udp", "node.example.org", "--options", "3"]).status.success());
    let has_rdma = fs::read_dir("/sys/class/infiniband").is_ok_and(|mut cards| cards.next().is_some());
    let rdma = set(&["2504", "rdma", "192.0.2.1:54000"]);
    assert!(!rdma.status.success(), "{}", text(&rdma));
    // From a host that has it.
    for record in [
        r#"{"id":2503,"transport":"FORWARD_TRANSPORT_DIRECT"}"#,
        r#"{"id":2504,"transport":"FORWARD_TRANSPORT_RDMA","address":"192.0.2.1","port":54000}"#,
    ] {
        done(&cluster, &["registry", "put", "OverriddenNodes", record], "");
    }
    let nodes: Vec<Value> = serde_json::from_str(&done(&cluster, &["nodes", "list", "--json"], "")).unwrap();
    let refused: BTreeMap<u64, bool> =
        nodes.iter().map(|node| (node["id"].as_u64().unwrap(), !node["refused"].is_null())).collect();
    assert_eq!(refused, BTreeMap::from([(2502, false), (2503, true), (2504, true)]));
    assert_eq!((&nodes[0]["port"], &nodes[0]["options"]), (&json!(54_000), &json!(3)));
    let table = done(&cluster, &["nodes", "list"], "");
    if !has_rdma {
        assert!(text(&rdma).contains("no network card with RDMA"), "{}", text(&rdma));
        assert!(table.contains("REFUSED: this host has no network card with RDMA"), "{table}");
    }
    done(&cluster, &["nodes", "unset", "2504"], "");
    assert!(!done(&cluster, &["nodes", "list"], "").contains("rdma"));
}
