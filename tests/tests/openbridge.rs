//! Calls between repeaters and other networks, over OpenBridge with real processes; and what is not to be heard.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread::JoinHandle;

use control::{ServicesRequest, State, Status};
use nix::sys::signal::Signal;
use tests::network::{Network, SignedCall, payloads};
use tests::{Cluster, HANG, PASSWORD, Repeater, install, installed, signal, wait_for};

const KEY: &str = "a key between networks";
const NETWORK: u32 = 3_129_900;
/// Talkgroups of calls that come from the network, and of those that go there.
const FROM: [u32; 3] = [91, 92, 93];
const TO: [u32; 3] = [3101, 3102, 3103];

/// Each stack in a worker of its own, and networks as peers.
fn cluster(networks: &[(&Network, &str)]) -> Cluster {
    Cluster::start(1, &tables("workers = \"own\"", "workers = \"own\"", networks))
}

fn tables(mmdvm: &str, openbridge: &str, networks: &[(&Network, &str)]) -> String {
    let peers: String = networks.iter().map(|(network, more)| network.table(more)).collect();
    format!("{mmdvm}\n[stacks.openbridge]\nlisten = [\"127.0.0.1:0\", \"[::1]:0\"]\n{openbridge}\n{peers}")
}

fn server(cluster: &Cluster) -> SocketAddr {
    cluster.status().listen["openbridge"][0]
}

/// Waits until the cluster knows its networks.
fn wait_for_peers(cluster: &Cluster, count: usize) {
    let is_peer = |status: &Status| {
        let own =
            status.workers.iter().filter(|worker| worker.stacks.iter().any(|stack| stack == "openbridge"));
        own.map(|worker| worker.contexts).sum::<u32>() >= count as u32
    };
    cluster.wait_until("the peers", is_peer);
}

/// A repeater with static talkgroups on TS2.
fn repeater(cluster: &Cluster, id: u32, talkgroups: &[u32]) -> Repeater {
    let options = sim::client::options(&[], talkgroups);
    let mut repeater = Repeater::new(cluster.mmdvm(), id, PASSWORD, &options);
    assert!(repeater.log_in());
    // Its options are known once they are answered, and so is what comes after.
    wait_for("its talkgroups", || {
        repeater.turn();
        let there = cluster.contexts().into_iter().find(|context| context.id == id)?;
        (there.statics.ts2 == talkgroups).then_some(())
    });
    repeater
}

/// What a number of radios say at once, each at a repeater of its own, to the talkgroups of [`TO`].
fn talk_there(cluster: &Cluster, seconds: u32) -> Vec<JoinHandle<(u32, Vec<[u8; dmr::AMBE_LEN]>)>> {
    let talkers = (0..).zip(TO).map(|(number, talkgroup)| {
        let mut talker = repeater(cluster, 2_502_001 + number, &[]);
        std::thread::spawn(move || {
            let call = talker.group_call(2_601_001 + number, talkgroup, seconds);
            talker.talk(call.datagrams());
            (talkgroup, call.payloads().collect())
        })
    });
    talkers.collect()
}

/// Calls in both directions at once, and what is done meanwhile. All of them have to be heard whole, once and in order.
fn talk_both_ways(cluster: &Cluster, network: &mut Network, seconds: u32, meanwhile: impl FnOnce()) {
    let mut listeners: Vec<(u32, Repeater)> = FROM
        .into_iter()
        .map(|talkgroup| (talkgroup, repeater(cluster, 2_501_000 + talkgroup, &[talkgroup])))
        .collect();
    let calls = (0..).zip(FROM).map(|(n, talkgroup)| network.call(2_701_001 + n, talkgroup, seconds));
    let (said, signed): (Vec<_>, Vec<SignedCall>) = calls.unzip();
    let there = talk_there(cluster, seconds);
    let server = server(cluster);
    std::thread::scope(|scope| {
        let talk = scope.spawn(|| network.talk(server, &signed));
        meanwhile();
        talk.join().unwrap();
    });
    let expected: BTreeMap<u32, Vec<_>> = there.into_iter().map(|talk| talk.join().unwrap()).collect();
    let whole = expected.values().map(Vec::len).sum::<usize>();
    wait_for("what goes there", || {
        network.hear();
        (payloads(&network.heard).values().map(Vec::len).sum::<usize>() >= whole).then_some(())
    });
    assert!(network.calls() == expected, "heard there: {:?}", lengths(&network.calls()));
    for ((talkgroup, listener), call) in listeners.iter_mut().zip(said) {
        listener.bursts();
        let heard = payloads(&listener.heard);
        let expected = BTreeMap::from([(*talkgroup, call.payloads().collect::<Vec<_>>())]);
        assert!(heard == expected, "heard here: {:?} of {:?}", lengths(&heard), lengths(&expected));
    }
}

fn lengths<T>(calls: &BTreeMap<u32, Vec<T>>) -> Vec<(u32, usize)> {
    calls.iter().map(|(&talkgroup, bursts)| (talkgroup, bursts.len())).collect()
}

const ALL: &str = "talkgroups = [\"1-16777215\"]";

#[test]
fn several_calls_at_once_cross_in_both_directions() {
    let mut network = Network::new(NETWORK, KEY);
    let cluster = cluster(&[(&network, ALL)]);
    wait_for_peers(&cluster, 1);
    talk_both_ways(&cluster, &mut network, 4, || {
        let calls: Vec<control::CallInfo> = wait_for("six calls", || {
            let calls: Vec<control::CallInfo> =
                control::request(&cluster.paths(), &ServicesRequest::Calls, HANG).ok()?;
            (calls.len() == 6).then_some(calls)
        });
        assert_eq!(calls.iter().filter(|call| call.context == Some(NETWORK)).count(), 3, "{calls:?}");
    });
}

#[test]
fn placement_changes_while_calls_run_and_costs_no_burst() {
    let mut network = Network::new(NETWORK, KEY);
    let peers = [(&network, ALL)];
    let [own, shared] = ["workers = \"own\"", "workers = \"all\""].map(|workers| tables("", workers, &peers));
    let cluster = Cluster::start(2, &shared);
    wait_for_peers(&cluster, 1);
    let file = std::fs::read_to_string(cluster.config_file()).unwrap();
    let reload = |tables: &str| {
        std::fs::write(cluster.config_file(), file.replace(&shared, tables)).unwrap();
        let said = cluster.bmctl(&["reload"], "");
        assert!(said.status.success(), "{said:?}");
    };
    talk_both_ways(&cluster, &mut network, 10, || {
        reload(&own);
        reload(&shared);
        reload(&own);
    });
}

/// How many datagrams were refused for this reason.
fn refused(cluster: &Cluster, reason: &str) -> u64 {
    let mut stream = TcpStream::connect(cluster.status().metrics.unwrap()).unwrap();
    write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let wanted = format!("reason=\"{reason}\"");
    let is_it = |line: &&str| line.starts_with("bm_datagrams_refused_total") && line.contains(&wanted);
    text.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn what_is_not_right_is_counted_by_its_reason_and_heard_by_nobody() {
    let network = Network::new(NETWORK, KEY);
    let other = Network::new(7, "another key");
    let cluster = cluster(&[(&network, "talkgroups = [91]"), (&other, ALL)]);
    wait_for_peers(&cluster, 2);
    let mut listener = repeater(&cluster, 2_501_091, &[91, 92]);
    let server = server(&cluster);
    let (_, call) = network.call(2_701_001, 91, 1);
    let honest = &call[0];
    let change = |at: usize, by: u8| {
        let mut bytes = honest.clone();
        bytes[at] ^= by;
        bytes
    };
    let wrong_slot = network.sign(&[change(15, 0x80)[..53].to_vec()]).remove(0);
    let (_, denied) = network.call(2_701_001, 92, 1);
    let cases = [
        ("forged", "wrong_password", change(6, 1)),
        ("forged signature", "wrong_password", change(72, 1)),
        ("truncated", "malformed", honest[..72].to_vec()),
        ("wrong slot", "wrong_slot", wrong_slot),
        ("talkgroup", "denied", denied[0].clone()),
    ];
    for (what, reason, bytes) in &cases {
        let before = refused(&cluster, reason);
        network.send(server, bytes);
        wait_for(what, || (refused(&cluster, reason) == before + 1).then_some(()));
    }
    // From an address that is nobody's, and from another network's.
    let before = (refused(&cluster, "not_logged_in"), refused(&cluster, "wrong_password"));
    Network::new(NETWORK, KEY).send(server, honest);
    other.send(server, honest);
    wait_for("strangers", || {
        let now = (refused(&cluster, "not_logged_in"), refused(&cluster, "wrong_password"));
        (now == (before.0 + 1, before.1 + 1)).then_some(())
    });
    assert_eq!(listener.bursts(), 0, "nobody hears what is refused");
    // What was right is heard, and once it is over it does not come again.
    let mut network = network;
    network.talk(server, std::slice::from_ref(&call));
    wait_for("the call", || (listener.bursts() == call.len()).then_some(()));
    cluster
        .wait_until("the end of the call", |status| status.workers.iter().all(|worker| worker.sessions == 0));
    let but_the_end = &call[..call.len() - 1];
    but_the_end.iter().for_each(|bytes| network.send(server, bytes));
    let all = but_the_end.len() as u64;
    wait_for("the whole call to be a replay", || (refused(&cluster, "replayed") == all).then_some(()));
    assert_eq!(listener.bursts(), call.len());
}

#[test]
fn a_call_that_comes_back_over_another_network_is_heard_once() {
    let mut first = Network::new(NETWORK, KEY);
    let mut second = Network::new_v6(7, "another key");
    let cluster = cluster(&[(&first, ALL), (&second, "talkgroups = [\"1-16777215\"]\nenhanced = true")]);
    wait_for_peers(&cluster, 2);
    let mut listener = repeater(&cluster, 2_501_091, &[91]);
    let listen = cluster.status().listen["openbridge"].clone();
    let (v4, v6) = (listen[0], listen[1]);
    // It is there: without that it is sent nothing.
    let alive = second.sign(&[b"BCKA".to_vec()]).remove(0);
    second.send(v6, &alive);
    let (_, call) = first.call(2_701_001, 91, 2);
    let mut back = None;
    for bytes in &call {
        first.send(v4, bytes);
        let heard = wait_for("the call at the other network", || {
            second.hear();
            let at = second.heard.iter().position(|bytes| bytes.starts_with(b"DMRD"))?;
            Some(second.heard.remove(at))
        });
        // As it went out, but for the stream, which each network numbers for itself, and the ID.
        let mut again = heard[..53].to_vec();
        again[11..15].copy_from_slice(&7_u32.to_be_bytes());
        again[16..20].copy_from_slice(&[9, 9, 9, 9]);
        second.send(v6, &second.sign(&[again]).remove(0));
        back = Some(heard);
    }
    assert!(back.is_some());
    // It is told that nobody wants it.
    let quench = wait_for("a word of that", || {
        second.hear();
        second.heard.iter().find(|bytes| bytes.starts_with(b"BCSQ")).cloned()
    });
    assert_eq!(quench, second.sign(&[quench[..11].to_vec()])[0]);
    assert_eq!((&quench[4..7], &quench[7..11]), (&[0, 0, 91][..], &[9; 4][..]));
    wait_for("the call", || (listener.bursts() == call.len()).then_some(()));
    cluster
        .wait_until("the end of the call", |status| status.workers.iter().all(|worker| worker.sessions == 0));
    first.hear();
    assert_eq!((first.heard.len(), listener.bursts()), (0, call.len()), "it came back, or was heard twice");
}

#[test]
fn whatever_becomes_of_its_worker_costs_no_call_of_others() {
    let programs = installed();
    install(Path::new(env!("CARGO_BIN_EXE_faulty-worker")), &programs.path().join("bm-worker"));
    let network = Network::new(NETWORK, KEY);
    let text = tables("", "workers = \"own\"", &[(&network, ALL)]);
    let cluster = Cluster::start_program(&programs.path().join("bmctl"), 1, &text, |command| command);
    wait_for_peers(&cluster, 1);
    let server = server(&cluster);
    let own = |status: &Status| {
        status.workers.iter().find(|worker| worker.stacks == ["openbridge"]).cloned().unwrap()
    };
    let pid = |status: &Status| i32::try_from(own(status).pid.unwrap()).unwrap();
    let is_back = |status: &Status, restarts: u32| {
        (own(status).restarts, own(status).state) == (restarts, State::Ready)
    };
    let report = cluster.talk(16, || {
        signal(pid(&cluster.status()), Signal::SIGKILL);
        cluster.wait_until("one after a kill", |status| is_back(status, 1));
        signal(pid(&cluster.status()), Signal::SIGSTOP);
        cluster.wait_until("one after a stop", |status| is_back(status, 2));
        network.send(server, b"FAULT busy");
        cluster.wait_until("one after a spin", |status| is_back(status, 3));
    });
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.relogins, report.naks), (0, 0), "{report}");
    // It knows its peers still.
    assert_eq!(own(&cluster.status()).contexts, 1);
}
