//! Clusters that share a real Tarantool: what one of them is told all of them know, and what becomes of the registry is
//! of no matter to who talks.

use std::collections::BTreeSet;
use std::process::Output;
use std::time::Duration;

use control::{ClusterState, ServicesRequest, State, Status};
use nix::sys::signal::Signal;
use sim::{Report, Settings};
use tests::tarantool::USER_PASSWORD;
use tests::{Broker, Cluster, HANG, PASSWORD, Repeater, Tarantool, Watch, signal, text, wait_for};

const DEVICE: u32 = 2_520_001;
const RADIO: u32 = 2_590_001;

fn start(tarantool: &Tarantool, workers: usize) -> Cluster {
    start_with(tarantool, workers, "")
}

fn start_with(tarantool: &Tarantool, workers: usize, config: &str) -> Cluster {
    let cluster = Cluster::start(workers, &format!("{}{config}", tarantool.config()));
    followed(&cluster);
    cluster
}

fn followed(cluster: &Cluster) {
    cluster.wait_until("the registry", |status| status.registry.state == State::Ready);
}

/// Waits until the registry is in trouble, in these words.
fn troubled(cluster: &Cluster, words: &str) -> Status {
    cluster.wait_until(words, |status| {
        let trouble = status.registry.trouble.as_deref().unwrap_or_default();
        status.registry.state == State::Failed && trouble.contains(words)
    })
}

fn done(cluster: &Cluster, args: &[&str], input: &str) -> String {
    let output: Output = cluster.bmctl(args, input);
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    text(&output)
}

fn agree(clusters: [&Cluster; 2], what: &str, said: &[&str]) -> String {
    wait_for(what, || {
        let [one, other] = clusters.map(|cluster| text(&cluster.bmctl(said, "")));
        (one == other).then_some(one)
    })
}

fn is_in(cluster: &Cluster, id: u32) -> bool {
    cluster.contexts().iter().any(|context| context.id == id)
}

/// A repeater whose login is right, though it may not be known there yet.
fn logs_in(cluster: &Cluster, id: u32, password: &str) -> Repeater {
    wait_for("the login", || {
        let mut repeater = Repeater::new(cluster.mmdvm(), id, password, "");
        repeater.log_in().then_some(repeater)
    })
}

#[test]
fn what_one_cluster_is_told_all_know() {
    let tarantool = Tarantool::on_tcp();
    let broker = Broker::start();
    let listener = broker.listen(None, &["Master/+/Status", "Master/+/Repeater"]);
    let nodes = |nodes: &str| format!("{}[cluster]\nnodes = \"{nodes}\"\n", broker.events(None));
    let one = start_with(&tarantool, 2, &nodes("25011-25012"));
    let other = start_with(&tarantool, 2, &nodes("25021-25022"));
    let online: BTreeSet<String> = (0..4).map(|_| listener.next().topic).collect();
    let expected = [25_011, 25_012, 25_021, 25_022].map(|node| format!("Master/{node}/Status"));
    assert_eq!(online, BTreeSet::from(expected), "all four nodes are heard of");
    let status = one.status();
    assert_eq!(status.state, ClusterState::Ready);
    assert_eq!(status.registry.url, tarantool.url("dmr"));
    assert!(status.registry.address.unwrap().starts_with("127.0.0.1:"));
    // A device that one was told of logs in at the other.
    done(&one, &["device", "add", "2520001", "--ts1", "91", "--password-stdin"], "device-password\n");
    let mut repeater = logs_in(&other, DEVICE, "device-password");
    wait_for("its talkgroup", || {
        repeater.turn();
        other.contexts().iter().any(|context| context.statics.ts1 == [91]).then_some(())
    });
    assert!(!Repeater::new(other.mmdvm(), DEVICE, PASSWORD, "").log_in(), "the common password");
    // What changes while it is in reaches it.
    done(&one, &["subscribe", "2520001", "262", "--slot", "2"], "");
    wait_for("the other talkgroup", || {
        repeater.turn();
        other.contexts().iter().any(|context| context.statics.ts2 == [262]).then_some(())
    });
    let list = agree([&one, &other], "the same devices", &["device", "list", "--json"]);
    assert!(list.contains("2520001") && !list.contains("device-password"), "{list}");

    let message = listener.next();
    assert!(message.topic.starts_with("Master/2502"), "at the other cluster: {message:?}");
    assert_eq!((message.get("Event"), &message.json["ContextID"]), ("Repeater-Connected", &DEVICE.into()));

    // By hand, in the console: it kicks at both.
    let _in_one = logs_in(&one, 2_520_002, PASSWORD);
    let _in_other = logs_in(&other, 2_520_002, PASSWORD);
    let watches = [Watch::monitor(&one), Watch::monitor(&other)];
    let _ = tarantool.by_hand("box.space.Bans:replace{2520002, nil, 'by hand'}");
    for (cluster, watch) in [&one, &other].into_iter().zip(&watches) {
        let _ = watch.find(&["2520002", "banned", "by hand"]);
        wait_for("its end", || (!is_in(cluster, 2_520_002)).then_some(()));
        assert!(!Repeater::new(cluster.mmdvm(), 2_520_002, PASSWORD, "").log_in());
    }
    done(&other, &["unban", "2520002"], "");
    logs_in(&one, 2_520_002, PASSWORD);
    // Ways to nodes.
    done(&one, &["nodes", "set", "2501", "udp", "192.0.2.7:54001"], "");
    let nodes = agree([&one, &other], "the same nodes", &["nodes", "list", "--json"]);
    assert!(nodes.contains("192.0.2.7"), "{nodes}");
    // Gone at one is gone at all.
    done(&other, &["device", "remove", "2520001"], "");
    wait_for("its end", || {
        let list = text(&one.bmctl(&["device", "list", "--json"], ""));
        (!list.contains("2520001")).then_some(())
    });
    let secret = [one, other].iter().any(|cluster| {
        let shown = text(&cluster.bmctl(&["status", "--json"], "")) + &text(&cluster.bmctl(&["status"], ""));
        shown.contains(USER_PASSWORD)
            || cluster.children().into_iter().chain([cluster.pid()]).any(|pid| {
                let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
                arguments.contains(USER_PASSWORD)
            })
    });
    assert!(!secret, "the registry's password is shown");
}

fn kill_services(cluster: &Cluster) {
    let pid = cluster.status().services.pid.unwrap();
    signal(i32::try_from(pid).unwrap(), Signal::SIGKILL);
    cluster.wait_until("the replacement", |status| {
        status.services.pid.is_some_and(|now| now != pid) && status.services.state == State::Ready
    });
}

/// Talks while `harm` is done. Nothing may be lost by it.
fn talk(cluster: &Cluster, seconds: u32, harm: impl FnOnce()) -> Report {
    let settings = Settings {
        repeaters: 24,
        talkgroups: 6,
        calls: 6,
        seconds,
        ..Settings::new(cluster.mmdvm(), PASSWORD)
    };
    let talk = std::thread::spawn(move || sim::run(&settings).unwrap());
    cluster.wait_until("all calls", |status| {
        status.workers.iter().map(|worker| worker.sessions).sum::<u32>() == 6
    });
    harm();
    let report = talk.join().unwrap();
    assert!(report.is_clean() && report.relogins == 0, "{report}");
    report
}

#[test]
fn a_registry_that_is_killed_costs_nothing_and_gets_what_it_missed() {
    let mut tarantool = Tarantool::on_socket();
    let cluster = start(&tarantool, 2);
    done(&cluster, &["device", "add", "2520001", "--password-stdin"], "device-password\n");
    wait_for("the device there", || {
        tarantool.by_hand("box.space.Devices:len()").contains("- 1").then_some(())
    });
    talk(&cluster, 6, || {
        tarantool.kill();
        let status = troubled(&cluster, "the cluster goes on with its copy");
        assert_eq!(status.state, ClusterState::Degraded);
        // Who is known logs in, and an operator is not kept from his work.
        logs_in(&cluster, DEVICE, "device-password");
        done(&cluster, &["ban", "2509999", "--reason", "meanwhile"], "");
        done(&cluster, &["device", "add", "2520002", "--no-password"], "");
        done(&cluster, &["device", "remove", "2520001"], "");
        let output = cluster.bmctl(&["registry", "status"], "");
        let said = text(&output);
        assert!(said.contains("AWAY") && said.contains("has not got yet: 3"), "{said}");
        tarantool.start_again();
        followed(&cluster);
    });
    let there = tarantool.by_hand("box.space.Devices:select{}");
    assert!(there.contains("2520002") && !there.contains("2520001"), "{there}");
    assert!(tarantool.by_hand("box.space.Bans:select{}").contains("meanwhile"));
    wait_for("all told", || {
        text(&cluster.bmctl(&["registry", "status"], "")).contains("yet: 0").then_some(())
    });
    // Another cluster that starts finds all of it.
    let other = start(&tarantool, 1);
    assert!(done(&other, &["bans"], "").contains("meanwhile"));
    // The services that are killed meanwhile go on where they were.
    kill_services(&cluster);
    followed(&cluster);
    let _ = tarantool.by_hand("box.space.Bans:replace{2509998, nil, 'afterwards'}");
    agree([&cluster, &other], "the ban", &["bans"]);
    assert!(done(&cluster, &["bans"], "").contains("afterwards"));
}

#[test]
fn a_registry_that_hangs_costs_nothing() {
    let tarantool = Tarantool::on_tcp();
    let cluster = start(&tarantool, 2);
    talk(&cluster, 14, || {
        tarantool.signal(Signal::SIGSTOP);
        troubled(&cluster, "no answer within");
        done(&cluster, &["ban", "2509999", "--reason", "meanwhile"], "");
        tarantool.signal(Signal::SIGCONT);
        followed(&cluster);
    });
    wait_for("the ban there", || {
        tarantool.by_hand("box.space.Bans:select{}").contains("meanwhile").then_some(())
    });
}

#[test]
fn a_registry_that_is_empty_or_older_is_not_followed_until_an_operator_says_so() {
    let mut tarantool = Tarantool::on_socket();
    let cluster = start(&tarantool, 1);
    done(&cluster, &["device", "add", "2520001", "--password-stdin"], "device-password\n");
    done(&cluster, &["ban", "2509999", "--reason", "noise"], "");
    wait_for("the ban there", || tarantool.by_hand("box.space.Bans:len()").contains("- 1").then_some(()));
    let error = text(&cluster.bmctl(&["registry", "confirm", "copy"], ""));
    assert!(error.contains("there is nothing to confirm"), "{error}");

    // Emptied by hand, one space after the other: what is left is not followed, whatever is written there meanwhile.
    let _ = tarantool.by_hand("box.space.Devices:truncate() box.space.Bans:truncate()");
    troubled(&cluster, "it is EMPTY");
    let _ = tarantool.by_hand("box.space.Talkgroups:replace{91, 'x'}");
    kill_services(&cluster);
    let is_followed = |ban: &str| text(&cluster.bmctl(&["bans"], "")).contains(ban);
    troubled(&cluster, "it is EMPTY");
    assert!(is_followed("noise"), "the cluster goes on with its copy");
    logs_in(&cluster, DEVICE, "device-password");
    done(&cluster, &["registry", "confirm", "copy"], "");
    followed(&cluster);
    assert!(tarantool.by_hand("box.space.Devices:select{}").contains("device-password"));
    assert!(tarantool.by_hand("box.space.Talkgroups:len()").contains("- 0"), "it is as the copy");

    // Another one in its place, with records of its own.
    tarantool.kill();
    tarantool.lose_everything();
    tarantool.start_again();
    let _ = tarantool.by_hand("box.space.Bans:replace{2509998, nil, 'theirs'}");
    troubled(&cluster, "it is ANOTHER one than before, and not followed");
    assert!(is_followed("noise") && !is_followed("theirs"));
    let said = text(&cluster.bmctl(&["registry", "status"], ""));
    for words in ["it waits for an operator's word", "cluster's copy: 2", "records of the registry: 1"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    done(&cluster, &["registry", "confirm", "registry"], "");
    followed(&cluster);
    wait_for("their ban", || (!is_followed("noise") && is_followed("theirs")).then_some(()));
    assert!(!text(&cluster.bmctl(&["device", "list"], "")).contains("2520001"), "it is as they say");

    // A backup in its place.
    let _ = tarantool.by_hand("box.snapshot()");
    tarantool.keep_backup();
    let _ = tarantool.by_hand("for i = 1, 9 do box.space.Talkgroups:replace{i, 'x'} end");
    wait_for("the talkgroups", || {
        let list = text(&cluster.bmctl(&["registry", "list", "Talkgroups", "--json"], ""));
        list.contains("\"id\": 9").then_some(()).or_else(|| list.contains("\"id\":9").then_some(()))
    });
    tarantool.kill();
    tarantool.restore_backup();
    tarantool.start_again();
    troubled(&cluster, "it is OLDER than it was, and not followed");
    done(&cluster, &["registry", "confirm", "copy"], "");
    followed(&cluster);
    assert!(tarantool.by_hand("box.space.Talkgroups:len()").contains("- 9"));
}

#[test]
fn bad_records_are_refused_one_by_one_and_the_rest_goes_on() {
    let tarantool = Tarantool::on_tcp();
    let cluster = start(&tarantool, 1);
    done(&cluster, &["device", "add", "2520001", "--password-stdin"], "device-password\n");
    wait_for("the device there", || {
        tarantool.by_hand("box.space.Devices:len()").contains("- 1").then_some(())
    });
    let _ = tarantool.by_hand("box.space.Devices:format({}) box.space.OverriddenNodes:format({})");
    for line in [
        "box.space.Devices:replace{2520001, {1}}",
        "box.space.Devices:replace{5000000000, 'x'}",
        "box.space.Devices:replace{2520003, string.rep('x', 10000000)}",
        "box.space.OverriddenNodes:replace{2501, 0, 'FORWARD_TRANSPORT_PIGEON', 'a', 1}",
        "box.space.Bans:replace{2520004, nil, 'good'}",
    ] {
        let _ = tarantool.by_hand(line);
    }
    wait_for("the good one", || done(&cluster, &["bans"], "").contains("good").then_some(()));
    let said = text(&cluster.bmctl(&["registry", "status"], ""));
    for words in [
        "records of it that cannot be: 4",
        "device 2520001: password: not of the form that it has to have",
        "device \"5000000000",
        "device 2520003: 10000",
        "overridden node 2501: transport: not of the form that it has to have",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Its last good form stays.
    logs_in(&cluster, DEVICE, "device-password");
    assert_eq!(cluster.status().registry.state, State::Ready);
    let _ = tarantool.by_hand("box.space.Devices:replace{2520001, 'other-password'}");
    logs_in(&cluster, DEVICE, "other-password");
}

#[test]
fn before_it_has_been_read_once_nobody_is_refused_or_let_in() {
    let mut tarantool = Tarantool::on_socket();
    let _ = tarantool.by_hand("box.space.Devices:replace{2520001, 'device-password'}");
    tarantool.kill();
    let cluster = Cluster::start(1, &tarantool.config());
    troubled(&cluster, "nobody can log in before it has been read once");
    // Neither by its own password nor by the common one.
    let mut repeater = Repeater::new(cluster.mmdvm(), DEVICE, PASSWORD, "");
    repeater.begin();
    let until = std::time::Instant::now() + Duration::from_millis(500);
    wait_for("half a second", || {
        repeater.turn();
        (std::time::Instant::now() > until).then_some(())
    });
    assert_eq!(repeater.naks(), 0);
    assert_ne!(repeater.step(), sim::client::Step::Running);
    tarantool.start_again();
    followed(&cluster);
    assert!(!Repeater::new(cluster.mmdvm(), DEVICE, PASSWORD, "").log_in());
    logs_in(&cluster, DEVICE, "device-password");
    // What was heard there is told, by and by.
    let mut talker = logs_in(&cluster, 2_520_002, PASSWORD);
    let call = talker.group_call(RADIO, 91, 1);
    talker.talk(call.datagrams());
    wait_for("the radio there", || {
        tarantool.by_hand("box.space.LastHeard:select{}").contains("2590001").then_some(())
    });
}

#[test]
fn what_is_wrong_with_the_registry_is_said() {
    let tarantool = Tarantool::on_tcp();
    let config = |user: &str| {
        format!(
            "[registry]\nurl = \"{}\"\npassword_file = {:?}\n",
            tarantool.url(user),
            tarantool.password_file()
        )
    };
    let cluster = Cluster::start(1, &config("nobody"));
    troubled(&cluster, "User 'nobody' is not found; see registry.password_file");
    let _ = tarantool.by_hand("box.schema.user.create('nobody', {password = 'other'})");
    troubled(&cluster, "Incorrect password supplied for user 'nobody'");
    let _ = tarantool.by_hand(&format!("box.schema.user.passwd('nobody', '{USER_PASSWORD}')"));
    troubled(&cluster, "denied for user 'nobody'");
    let list: Vec<control::BanInfo> =
        control::request(&cluster.paths(), &ServicesRequest::Bans, HANG).unwrap();
    assert!(list.is_empty());
}

#[test]
fn what_is_removed_meanwhile_does_not_let_an_empty_registry_take_the_rest() {
    let mut tarantool = Tarantool::on_socket();
    let cluster = start(&tarantool, 1);
    for id in 1..=5 {
        done(&cluster, &["device", "add", &format!("252000{id}"), "--no-password"], "");
    }
    wait_for("the devices there", || {
        tarantool.by_hand("box.space.Devices:len()").contains("- 5").then_some(())
    });
    tarantool.kill();
    troubled(&cluster, "the cluster goes on with its copy");
    for id in 1..=3 {
        done(&cluster, &["device", "remove", &format!("252000{id}")], "");
    }
    tarantool.lose_everything();
    tarantool.start_again();
    troubled(&cluster, "it is EMPTY");
    // A word that is given for it is not one for what comes after it.
    tarantool.kill();
    troubled(&cluster, "start it, or correct the URL");
    let error = text(&cluster.bmctl(&["registry", "confirm", "registry"], ""));
    assert!(error.contains("there is nothing to confirm"), "{error}");
    tarantool.start_again();
    troubled(&cluster, "it is EMPTY");
    let list = text(&cluster.bmctl(&["device", "list"], ""));
    assert!(list.contains("2520004") && list.contains("2520005"), "{list}");
    done(&cluster, &["registry", "confirm", "copy"], "");
    followed(&cluster);
    assert!(tarantool.by_hand("box.space.Devices:len()").contains("- 2"));
}

#[test]
fn what_another_says_of_a_record_meanwhile_holds_everywhere() {
    let tarantool = Tarantool::on_socket();
    let (one, other) = (start(&tarantool, 1), start(&tarantool, 1));
    // Its answers come late, when another has said something else already.
    let _ = tarantool.by_hand(
        "w = dmr_registry_write dmr_registry_write = function(...) local r = w(...) require('fiber').sleep(1) return r end",
    );
    for round in 0..3 {
        let (mine, theirs) = (format!("mine {round}"), format!("theirs {round}"));
        done(&one, &["ban", "2509999", "--reason", &mine], "");
        wait_for("the ban there", || {
            tarantool.by_hand("box.space.Bans:select{}").contains(&mine).then_some(())
        });
        let _ = tarantool.by_hand(&format!("box.space.Bans:replace{{2509999, nil, '{theirs}'}}"));
        wait_for("theirs at both", || {
            [&one, &other]
                .iter()
                .all(|cluster| text(&cluster.bmctl(&["bans"], "")).contains(&theirs))
                .then_some(())
        });
    }
}

#[test]
fn a_ban_that_ends_meanwhile_lifts_no_other() {
    let mut tarantool = Tarantool::on_socket();
    let cluster = start(&tarantool, 1);
    tarantool.kill();
    troubled(&cluster, "the cluster goes on with its copy");
    done(&cluster, &["ban", "2509999", "--for", "1s"], "");
    wait_for("its end", || (!text(&cluster.bmctl(&["bans"], "")).contains("2509999")).then_some(()));
    wait_for("its end here", || {
        text(&cluster.bmctl(&["registry", "status"], "")).contains("has not got yet: 0").then_some(())
    });
    tarantool.start_again();
    let _ = tarantool.by_hand("box.space.Bans:replace{2509999, nil, 'for ever'}");
    followed(&cluster);
    wait_for("the ban", || text(&cluster.bmctl(&["bans"], "")).contains("for ever").then_some(()));
    assert!(tarantool.by_hand("box.space.Bans:select{}").contains("for ever"));
}

#[test]
fn what_the_registry_refuses_stops_no_other() {
    let tarantool = Tarantool::on_tcp();
    let cluster = start(&tarantool, 1);
    let _ = tarantool
        .by_hand("box.space.Devices:before_replace(function() error('not today\\nservices: forged') end)");
    for id in 1..=3 {
        done(&cluster, &["device", "add", &format!("252000{id}"), "--no-password"], "");
    }
    done(&cluster, &["ban", "2509999", "--reason", "goes on"], "");
    wait_for("the ban there", || {
        tarantool.by_hand("box.space.Bans:select{}").contains("goes on").then_some(())
    });
    let status = troubled(&cluster, "changes made here are not there: Devices 2520001: it refuses: ");
    assert!(!status.registry.trouble.unwrap().contains('\n'));
    let output = cluster.bmctl(&["registry", "status"], "");
    assert!(!output.status.success() && text(&output).contains("has not got yet: 3"), "{}", text(&output));
}
