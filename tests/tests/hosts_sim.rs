//! `bmctl sim --across`: calls within a host and across hosts, as its user sees them, and what is said where hosts are not joined.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

use control::{CallInfo, ServicesRequest};
use serde_json::Value;
use sim::Settings;
use tempfile::TempDir;
use tests::{Cluster, HANG, PASSWORD, bmctl, install_all, installed, other_abi, text, wait_for};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Two clusters, each on an address of its own, of which the second one has the first one's.
fn clusters(programs: [&Path; 2]) -> (TempDir, [Cluster; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let pid = std::process::id();
    static PAIRS: AtomicUsize = AtomicUsize::new(0);
    let first = 1 + 2 * PAIRS.fetch_add(1, Ordering::Relaxed);
    let ip = |host: usize| format!("127.{}.{}.{}", 200 + pid / 250 % 50, pid % 250 + 1, host + first);
    let clusters = [0, 1].map(|host| {
        let own = 1000 * (host + 1);
        let link = if host == 0 { String::new() } else { format!("[[hosts]]\naddress = \"{}:54000\"\n", ip(0)) };
        let text = format!(
            "[cluster]\nnodes = \"{own}-{}\"\n[stacks.fastforward]\nlisten = \"{}\"\nports = \"54000-54003\"\nkey_file = {key:?}\n{link}",
            own + 9,
            ip(host)
        );
        Cluster::start_program(programs[host], 2, &text, |command| command)
    });
    (dir, clusters)
}

fn sim(clusters: [&Cluster; 2], more: &[&str]) -> Output {
    let (password, across) = (clusters[0].password_file(), clusters[1].paths());
    let common = ["sim", "--password-file", password.to_str().unwrap()];
    let across = ["--across", across.dir().to_str().unwrap()];
    clusters[0].bmctl(&[&common[..], &across, more].concat(), "")
}

#[test]
fn calls_within_and_across_hosts_are_carried_whole_and_counted_apart() {
    let (_dir, [here, there]) = clusters([&bmctl(), &bmctl()]);
    let load = ["--repeaters", "40", "--talkgroups", "8", "--calls", "8", "--seconds", "2", "--json"];
    let output = sim([&here, &there], &load);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let report = &json["this cluster"];
    let hosts = &report["hosts"];
    let servers = [here.mmdvm(), there.mmdvm()].map(|server| Value::from(server.to_string()));
    assert_eq!(hosts["servers"].as_array().unwrap(), &servers);
    assert!(hosts["settled_us"].as_u64() > Some(0), "{said}");
    // Eight calls of 32 bursts, each to two repeaters of the talker's host and two of the other.
    for (way, delivered) in [(report, 1_024), (&hosts["within"], 512), (&hosts["across"], 512)] {
        let counts = [&way["sent"], &way["expected"], &way["delivered"]];
        assert_eq!(counts.map(Value::as_u64), [256, delivered, delivered].map(Some), "{said}");
        for bad in ["lost", "reordered", "duplicated", "stray", "altered"] {
            assert_eq!(way[bad], 0, "{bad}: {said}");
        }
        assert!(way["latency"]["p99_us"].as_u64() > Some(0), "{said}");
    }
}

#[test]
fn a_host_goes_to_another_abi_and_back_while_calls_come_and_go_to_another() {
    let programs = installed();
    let (_dir, [here, there]) = clusters([&bmctl(), &programs.path().join("bmctl")]);
    let settings = Settings {
        others: vec![there.mmdvm()],
        repeaters: 40,
        talkgroups: 8,
        calls: 8,
        seconds: 8,
        ..Settings::new(here.mmdvm(), PASSWORD)
    };
    let talk = std::thread::spawn(move || sim::run(&settings).unwrap());
    let calls =
        || -> Vec<CallInfo> { control::request(&here.paths(), &ServicesRequest::Calls, HANG).unwrap() };
    wait_for("calls that go on", || calls().iter().any(|call| call.seconds > 1.5).then_some(()));
    for build in [other_abi(), bmctl()] {
        install_all(&build, programs.path());
        let output = there.bmctl(&["upgrade"], "");
        assert!(output.status.success(), "{output:?}");
    }
    let report = talk.join().unwrap();
    let hosts = report.hosts.as_ref().unwrap();
    assert!(hosts.within.counts.is_clean(), "{report}");
    // Sequence numbers of calls that began there are others from then on, so these count as altered; what is held up for longer
    // than a jitter buffer waits is made up for.
    let across = &hosts.across.counts;
    let others = [across.reordered, across.duplicated, across.stray];
    assert!(across.lost <= 16 && others == [0; 3], "{report}");
    assert_eq!((report.relogins, report.naks), (0, 0), "{report}");
}

#[test]
fn what_is_wrong_is_said() {
    let clusters = [Cluster::start(1, ""), Cluster::start(1, "")];
    let [here, there] = &clusters;
    let load = ["--repeaters", "8", "--talkgroups", "2", "--calls", "2", "--seconds", "1"];
    let apart = sim([here, there], &load);
    assert!(!apart.status.success());
    let said = text(&apart);
    let deaf =
        format!("at {} hears nothing of what repeater 2501001 at {} says", there.mmdvm(), here.mmdvm());
    for expected in ["2 of 2 talkers are not heard at all hosts", &deaf, "[[hosts]]"] {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    let same = text(&sim([here, here], &load));
    assert!(same.contains(&format!("server {} is named twice", here.mmdvm())), "{same}");
    let empty = tempfile::tempdir().unwrap();
    let none = here.bmctl(&["sim", "--across", empty.path().to_str().unwrap()], "");
    assert!(!none.status.success());
    assert!(text(&none).contains("no cluster answers in"), "{}", text(&none));
}
