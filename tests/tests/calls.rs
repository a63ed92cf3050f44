//! Calls through a real cluster: what is said at one repeater is heard at the others, bit by bit.

use control::ServicesRequest;
use sim::Settings;
use tests::{Cluster, HANG, PASSWORD, text, wait_for};

/// Seconds of each load call; `BMCTL_SOAK_SECONDS=60` makes them as long as the documented figures' are.
fn seconds() -> u32 {
    std::env::var("BMCTL_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

#[test]
fn the_demo_crosses_workers_and_the_parrot_answers() {
    let cluster = Cluster::start(2, "");
    let file = cluster.password_file();
    let demo = cluster.bmctl(&["sim", "--demo", "--password-file", file.to_str().unwrap()], "");
    let said = text(&demo);
    assert!(demo.status.success(), "{said}");
    for expected in ["The call crossed from worker 0 to worker 1.", "0 lost", "with all 48 voice bursts"] {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
}

#[test]
fn one_call_to_fifty_repeaters() {
    let cluster = Cluster::start(2, "");
    let report =
        sim::run(&Settings { seconds: seconds(), ..Settings::new(cluster.mmdvm(), PASSWORD) }).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.counts.expected / report.sent, report.relogins), (49, 0), "{report}");
}

#[test]
fn eighty_calls_to_eight_hundred_repeaters() {
    let cluster = Cluster::start(2, "");
    let settings = Settings {
        repeaters: 800,
        talkgroups: 80,
        calls: 80,
        seconds: seconds(),
        ..Settings::new(cluster.mmdvm(), PASSWORD)
    };
    let report = sim::run(&settings).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.counts.expected / report.sent, report.relogins), (9, 0), "{report}");
}

#[test]
fn ipv6_repeaters_are_served() {
    let cluster = Cluster::start(1, "");
    let address = cluster.status().listen["mmdvm"][1];
    assert!(address.is_ipv6());
    let report =
        sim::run(&Settings { repeaters: 5, seconds: 1, ..Settings::new(address, PASSWORD) }).unwrap();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn a_running_call_is_shown_and_ends() {
    let cluster = Cluster::start(2, "");
    let server = cluster.mmdvm();
    let talk = std::thread::spawn(move || {
        sim::run(&Settings { repeaters: 4, seconds: 4, ..Settings::new(server, PASSWORD) }).unwrap()
    });
    let ask = || -> Vec<control::CallInfo> {
        control::request(&cluster.paths(), &ServicesRequest::Calls, HANG).unwrap()
    };
    let call = wait_for("the call", || ask().pop());
    assert_eq!((call.destination, call.context, call.slot, call.group), (25_001, Some(2_501_001), 2, true));
    assert_eq!(cluster.status().workers.iter().map(|worker| worker.sessions).sum::<u32>(), 1);
    assert!(talk.join().unwrap().is_clean());
    wait_for("the call's end", || ask().is_empty().then_some(()));
}
