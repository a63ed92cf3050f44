//! Who may log in: passwords, one context an ID, and what an operator does about it.

use std::sync::mpsc::Receiver;

use control::{DeviceList, ServicesRequest};
use serde_json::Value;
use tests::{Cluster, HANG, PASSWORD, Repeater, read_lines, text, wait_for};

fn next_event(lines: &Receiver<String>, name: &str) -> Value {
    loop {
        let line = lines.recv_timeout(HANG).unwrap_or_else(|_| panic!("no event {name}"));
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["Event"] == name {
            return event;
        }
    }
}

/// `bmctl events`, once it is connected.
fn events(cluster: &Cluster) -> (std::process::Child, Receiver<String>) {
    let mut child = std::process::Command::new(tests::bmctl())
        .args(["events", "--runtime-dir"])
        .arg(cluster.paths().dir())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = read_lines(child.stdout.take().unwrap());
    // A login that is seen shows that the stream has begun.
    let mut probe = Repeater::new(cluster.mmdvm(), 2_509_999, PASSWORD, "");
    wait_for("the event stream", || {
        assert!(probe.log_in());
        lines.recv_timeout(std::time::Duration::from_millis(200)).ok()
    });
    (child, lines)
}

#[test]
fn a_device_with_a_password_of_its_own_needs_it() {
    let cluster = Cluster::start(2, "");
    let added = cluster.bmctl(
        &["device", "add", "2501001", "--call", "N0CALL", "--ts2", "91,3100", "--password-stdin"],
        "own-secret\n",
    );
    assert!(added.status.success(), "{}", text(&added));
    assert!(!text(&added).contains("own-secret"));
    let server = cluster.mmdvm();
    assert!(!Repeater::new(server, 2_501_001, PASSWORD, "").log_in(), "the common password");
    let mut repeater = Repeater::new(server, 2_501_001, "own-secret", "TS1=8");
    assert!(repeater.log_in());
    let contexts = wait_for("its context", || {
        let contexts = cluster.contexts();
        (!contexts.is_empty() && !contexts[0].statics.ts1.is_empty()).then_some(contexts)
    });
    assert_eq!((contexts.len(), contexts[0].id, contexts[0].call.as_str()), (1, 2_501_001, "S2501001"));
    assert_eq!((&contexts[0].statics.ts1[..], &contexts[0].statics.ts2[..]), (&[8][..], &[91, 3100][..]));
    // A hotspot of nine digits has its base ID's.
    assert!(!Repeater::new(server, 250_100_107, PASSWORD, "").log_in());
    assert!(Repeater::new(server, 250_100_107, "own-secret", "").log_in());
    let list: DeviceList = control::request(&cluster.paths(), &ServicesRequest::DeviceList, HANG).unwrap();
    assert!(list.devices[0].has_password);
    let changed = cluster.bmctl(&["device", "password", "2501001"], "other-secret\n");
    assert!(changed.status.success(), "{}", text(&changed));
    assert!(!Repeater::new(server, 2_501_001, "own-secret", "").log_in());
    assert!(cluster.bmctl(&["device", "remove", "2501001"], "").status.success());
    assert!(Repeater::new(server, 2_501_001, PASSWORD, "").log_in());
}

#[test]
fn one_id_has_one_context_in_the_whole_cluster() {
    let cluster = Cluster::start(2, "");
    let server = cluster.mmdvm();
    let mut workers = std::collections::BTreeSet::new();
    // Each login has a port of its own, so they come to shards of both workers.
    let mut last = None;
    for _ in 0..16 {
        let mut repeater = Repeater::new(server, 2_501_001, PASSWORD, "");
        assert!(repeater.log_in());
        let here = repeater.address();
        let contexts = wait_for("one context", || {
            let contexts = cluster.contexts();
            (contexts.len() == 1 && contexts[0].address == here).then_some(contexts)
        });
        workers.insert(contexts[0].worker);
        last = Some(repeater);
    }
    assert_eq!(workers.len(), 2, "all logins came to one worker");
    assert!(last.is_some_and(|repeater| repeater.naks() == 0));
}

#[test]
fn refusals_are_told_a_few_times_and_right_logins_always_answered() {
    let cluster = Cluster::start(2, "");
    let server = cluster.mmdvm();
    let (mut child, lines) = events(&cluster);
    for n in 0..5 {
        assert!(!Repeater::new(server, 2_501_001 + n, "wrong", "").log_in());
        let event = next_event(&lines, "Repeater-Refused");
        assert_eq!(event["ContextID"], 2_501_001 + n);
    }
    // From now on the address gets no answer to wrong passwords, and none of its right ones is delayed.
    let mut silent = Repeater::new(server, 2_501_900, "wrong", "");
    silent.begin();
    wait_for("its password to be sent", || {
        silent.turn();
        (silent.step() == sim::client::Step::Key).then_some(())
    });
    for n in 0..5 {
        assert!(Repeater::new(server, 2_501_100 + n, PASSWORD, "").log_in());
    }
    silent.turn();
    assert_eq!(silent.naks(), 0);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_operator_throws_a_repeater_out() {
    let cluster = Cluster::start(2, "");
    let mut repeater = Repeater::new(cluster.mmdvm(), 2_501_001, PASSWORD, "");
    assert!(repeater.log_in());
    let kicked = cluster.bmctl(&["kick", "2501001"], "");
    assert!(kicked.status.success(), "{}", text(&kicked));
    let goodbye = repeater.wait(b"MSTCL");
    assert_eq!(goodbye[5..], 2_501_001_u32.to_be_bytes());
    let kicked = cluster.bmctl(&["kick", "2507777"], "");
    assert_eq!(kicked.status.code(), Some(1), "{}", text(&kicked));
}

#[test]
fn a_stop_says_goodbye_to_repeaters() {
    let mut cluster = Cluster::start(2, "");
    let mut repeater = Repeater::new(cluster.mmdvm(), 2_501_001, PASSWORD, "");
    assert!(repeater.log_in());
    assert!(cluster.bmctl(&["stop"], "").status.success());
    repeater.wait(b"MSTCL");
    assert!(cluster.wait().success());
}
