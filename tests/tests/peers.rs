//! Peers of the registry and peers with names, with real processes: told, shown, looked up, let go.

use std::net::SocketAddr;

use control::{PeerInfo, PeerSource, ServicesRequest};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::network::{Network, payloads};
use tests::{Cluster, HANG, PASSWORD, Repeater, signal, text, wait_for};

const KEY: &str = "a key that nobody sees";
const NETWORK: u32 = 3_129_900;

fn cluster(peers: &str) -> Cluster {
    Cluster::start(1, &format!("\n[stacks.openbridge]\nlisten = \"127.0.0.1:0\"\n{peers}"))
}

fn done(cluster: &Cluster, args: &[&str], input: &str) -> String {
    let output = cluster.bmctl(args, input);
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    text(&output)
}

fn peers(cluster: &Cluster) -> Vec<PeerInfo> {
    control::request(&cluster.paths(), &ServicesRequest::Peers, HANG).unwrap()
}

fn put(cluster: &Cluster, peer: &Value) {
    done(cluster, &["registry", "put", "Peers", "-"], &peer.to_string());
}

/// Waits until the peer is reached there.
fn wait_until_at(cluster: &Cluster, address: SocketAddr) {
    wait_for("the peer", || peers(cluster).iter().find(|peer| peer.address == Some(address)).map(|_| ()));
}

/// One call from the network, heard whole by a repeater, and what is looked at while it runs.
fn comes_through(cluster: &Cluster, network: &mut Network, meanwhile: impl FnOnce()) {
    let options = sim::client::options(&[], &[91]);
    let mut listener = Repeater::new(cluster.mmdvm(), 2_501_091, PASSWORD, &options);
    assert!(listener.log_in());
    wait_for("its talkgroups", || {
        listener.turn();
        let there = cluster.contexts().into_iter().find(|context| context.id == 2_501_091)?;
        (there.statics.ts2 == [91]).then_some(())
    });
    let (call, signed) = network.call(2_701_001, 91, 3);
    let server = cluster.status().listen["openbridge"][0];
    std::thread::scope(|scope| {
        let talk = scope.spawn(|| network.talk(server, &[signed]));
        meanwhile();
        talk.join().unwrap();
    });
    listener.bursts();
    assert!(payloads(&listener.heard).remove(&91) == Some(call.payloads().collect()), "not whole");
}

#[test]
fn a_peer_of_the_registry_is_linked_at_once_and_its_key_never_shown() {
    let mut network = Network::new(NETWORK, KEY);
    let cluster = cluster("");
    let address = network.address();
    assert!(peers(&cluster).is_empty());
    let events = control::events(&cluster.paths(), HANG).unwrap();
    let peer = json!({
        "id": NETWORK, "key": KEY, "address": format!("localhost:{}", address.port()), "talkgroups_in": [91],
        "talkgroups_out": ["3101-3103"],
    });
    put(&cluster, &peer);
    wait_until_at(&cluster, address);
    comes_through(&cluster, &mut network, || {
        wait_for("its call", || peers(&cluster).first().filter(|peer| peer.calls_in == 1).map(|_| ()));
    });
    let [info] = &peers(&cluster)[..] else { panic!("one peer") };
    assert_eq!(
        (info.source, info.name.as_deref(), info.learned),
        (PeerSource::Registry, Some("localhost"), false)
    );
    assert!(info.heard_seconds.is_some() && info.talkgroups_out == ["3101-3103"], "{info:?}");
    let start = events.map_while(Result::ok).find(|line| line.contains("Session-Start")).unwrap();
    assert!(start.contains(r#""LinkName":"OpenBridge""#) && start.contains(r#""LinkType":2"#), "{start}");
    let linked = cluster.contexts().into_iter().find(|context| context.id == NETWORK).unwrap();
    assert_eq!((&*linked.stack, linked.address), ("openbridge", address));
    let id = NETWORK.to_string();
    for args in [&["peers"][..], &["registry", "list", "Peers"], &["registry", "get", "Peers", &id]] {
        let said = done(&cluster, args, "");
        assert!(said.contains(&id) && !said.contains(KEY), "{said}");
    }
    // A new key, talkgroups as they were: what is signed by the old one is not heard.
    put(
        &cluster,
        &json!({"id": NETWORK, "key": "***", "address": address.to_string(), "talkgroups_in": [91]}),
    );
    wait_for("the change", || peers(&cluster).first().filter(|peer| peer.name.is_none()).map(|_| ()));
    comes_through(&cluster, &mut network, || ());
    done(&cluster, &["registry", "remove", "Peers", &id], "");
    wait_for("its end", || {
        let is_gone = cluster.contexts().iter().all(|context| context.id != NETWORK);
        (is_gone && peers(&cluster).is_empty()).then_some(())
    });
}

#[test]
fn whoever_is_started_again_knows_the_peers_and_of_what_is_gone() {
    let mut network = Network::new(NETWORK, KEY);
    let cluster = cluster(&network.table("talkgroups = [91]"));
    let other = json!({"id": 7, "key": "other", "address": "127.0.0.1:9", "talkgroups_in": [1]});
    put(&cluster, &other);
    wait_until_at(&cluster, network.address());
    wait_until_at(&cluster, "127.0.0.1:9".parse().unwrap());
    done(&cluster, &["restart", "services"], "");
    done(&cluster, &["registry", "remove", "Peers", "7"], "");
    signal(i32::try_from(cluster.status().workers[0].pid.unwrap()).unwrap(), Signal::SIGKILL);
    cluster.wait_until("the replacement", |status| status.workers[0].restarts == 1);
    wait_for("one peer", || {
        let linked = cluster.contexts().into_iter().filter(|context| context.stack == "openbridge");
        (linked.map(|context| context.id).collect::<Vec<_>>() == [NETWORK]).then_some(())
    });
    comes_through(&cluster, &mut network, || ());
    assert_eq!(peers(&cluster)[0].source, PeerSource::File);
}

#[test]
fn a_name_that_cannot_be_looked_up_is_told_and_stops_no_other() {
    let mut network = Network::new(NETWORK, KEY);
    let lost = "[[stacks.openbridge.peers]]\nid = 7\nkey = \"x\"\naddress = \"nowhere.invalid:1\"\n";
    let cluster = cluster(&[lost, &network.table("talkgroups = [91]")].concat());
    wait_until_at(&cluster, network.address());
    comes_through(&cluster, &mut network, || ());
    let trouble = wait_for("the trouble", || peers(&cluster).first()?.trouble.clone());
    assert!(trouble.starts_with("the name "), "{trouble}");
    let said = done(&cluster, &["peers"], "");
    assert!(said.contains("unknown (nowhere.invalid)") && said.contains(&trouble), "{said}");
}
