//! `bmctl sim` with another network beside its repeaters, as its user sees it: both ways over OpenBridge, and what is said where
//! the cluster does not know the network.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tests::{Cluster, text};

const NETWORK: u32 = 3_129_900;
const KEY: &str = "a key between networks";

/// Two shared workers and one of OpenBridge's own, for which this is the table of its peer.
fn cluster(peer: &str) -> Cluster {
    let bridge = "[stacks.openbridge]\nlisten = \"127.0.0.1:0\"\nworkers = \"own\"";
    let cluster = Cluster::start(2, &format!("{bridge}\n{peer}"));
    if !peer.is_empty() {
        cluster.wait_until("the peer", |status| {
            let bridge = |stacks: &[String]| stacks.iter().any(|stack| stack == "openbridge");
            status.workers.iter().any(|worker| bridge(&worker.stacks) && worker.contexts > 0)
        });
    }
    cluster
}

/// A network whose address is learned, so that no port has to be kept for it.
fn peer(key: &str) -> String {
    format!(
        "[[stacks.openbridge.peers]]\nid = {NETWORK}\nlearn_address = true\nkey = \"{key}\"\ntalkgroups = [\"25001-25008\"]\n"
    )
}

fn key_file(cluster: &Cluster) -> PathBuf {
    let file = cluster.config_file().with_file_name("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    file
}

fn sim(cluster: &Cluster, more: &[&str]) -> Output {
    let (password, key, id) = (cluster.password_file(), key_file(cluster), NETWORK.to_string());
    let network = ["--network", &id, "--network-key-file", key.to_str().unwrap()];
    let common = ["sim", "--password-file", password.to_str().unwrap(), "--network-listen", "127.0.0.1:0"];
    cluster.bmctl(&[&common, &network[..], more].concat(), "")
}

#[test]
fn both_ways_are_carried_whole_and_signed() {
    let cluster = cluster(&peer(KEY));
    let load =
        ["--repeaters", "40", "--talkgroups", "8", "--calls", "8", "--seconds", "3", "--floor", "--json"];
    let output = sim(&cluster, &load);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let both: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Eight calls, each of 50 bursts: four of the network to five repeaters each, four of repeaters to four and the network.
    for server in ["this cluster", "bare sendto loop"] {
        let report = &both[server];
        let network = &report["network"];
        let (from, to) = (&network["said"], &network["heard"]);
        let calls = [&report["calls"], &network["calls"], &network["unsigned"]];
        assert_eq!(calls.map(Value::as_u64), [8, 4, 0].map(Some), "{server}: {said}");
        for (way, sent, delivered) in [(report, 400, 1_800), (from, 200, 1_000), (to, 200, 200)] {
            let counts = [&way["sent"], &way["expected"], &way["delivered"]];
            assert_eq!(counts.map(Value::as_u64), [sent, delivered, delivered].map(Some), "{server}: {said}");
            for bad in ["lost", "reordered", "duplicated", "stray", "altered"] {
                assert_eq!(way[bad], 0, "{server}, {bad}: {said}");
            }
            assert!(way["latency"]["p99_us"].as_u64() > Some(0), "{server}: {said}");
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let load = ["--repeaters", "4", "--talkgroups", "2", "--calls", "2", "--seconds", "1"];
    let cluster = cluster("");
    let unknown = sim(&cluster, &load);
    let said = text(&unknown);
    assert!(!unknown.status.success(), "{said}");
    for expected in [
        "took nothing from it and sent nothing to it",
        "[[stacks.openbridge.peers]]\nid = 3129900",
        "[\"25001-25002\"]",
    ] {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    let without = Cluster::start(1, "");
    let refused = sim(&without, &load);
    assert!(!refused.status.success());
    assert!(text(&refused).contains("the cluster has no openbridge stack"), "{}", text(&refused));
}
