//! Events at a real Mosquitto, as a listener that is none of ours hears them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use control::{BanInfo, ClusterState, HeardInfo, ServicesRequest, State, Status};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::{Broker, Cluster, HANG, Listener, Message, PASSWORD, Repeater, signal, text, wait_for};

const TALKER: u32 = 2_501_001;
const LISTENER: u32 = 2_501_002;
const RADIO: u32 = 2_590_001;

fn repeater(cluster: &Cluster, id: u32) -> Repeater {
    let mut repeater = Repeater::new(cluster.mmdvm(), id, PASSWORD, "TS2=91");
    assert!(repeater.log_in());
    wait_for("its talkgroup", || {
        cluster.contexts().iter().any(|context| context.id == id && context.statics.ts2 == [91]).then_some(())
    });
    repeater
}

/// A call of about so many seconds, from its beginning to its end.
fn call(talker: &mut Repeater, source: u32, seconds: u32) -> usize {
    let call = talker.group_call(source, 91, seconds);
    talker.talk(call.datagrams());
    call.bursts()
}

fn is_ready(status: &Status) -> bool {
    status.state == ClusterState::Ready && status.events.state == State::Ready
}

/// Waits until the broker is in trouble, and says which.
fn trouble(cluster: &Cluster) -> String {
    let status = cluster.wait_until("trouble with the broker", |status| status.events.state == State::Failed);
    assert_eq!(status.state, ClusterState::Degraded);
    status.events.trouble.unwrap()
}

fn status(node: u32, state: &str) -> (String, Value) {
    (format!("Master/{node}/Status"), json!({ "Node": node, "State": state }))
}

fn heard(message: &Message) -> (String, Value) {
    (message.topic.clone(), message.json.clone())
}

fn keys(message: &Message) -> String {
    message.json.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_happens_is_told_on_the_topics_of_its_node() {
    let broker = Broker::start();
    let listener = broker.listen(None, &["Master/#"]);
    let mut cluster = Cluster::start(2, &broker.events(None));
    assert!(is_ready(&cluster.status()), "{:?}", cluster.status());
    let lines = control::events(&cluster.paths(), HANG).unwrap();
    let (sender, printed) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    assert!(!Repeater::new(cluster.mmdvm(), TALKER, "wrong", "").log_in());
    let mut talker = repeater(&cluster, TALKER);
    let bursts = call(&mut talker, RADIO, 1);
    wait_for("the call's end", || {
        let heard: Vec<HeardInfo> =
            control::request(&cluster.paths(), &ServicesRequest::LastHeard { count: 1 }, HANG).unwrap();
        heard.first()?.ended
    });
    signal(cluster.pid(), Signal::SIGTERM);
    assert!(cluster.wait().success());

    let mut gone = 0;
    let mut messages = Vec::new();
    while gone < 2 {
        messages.push(listener.next());
        gone += usize::from(messages.last().unwrap().get("State") == "offline");
    }
    assert!(messages.iter().all(|message| !message.retained));
    // Each node comes first and goes last.
    for node in [25_011, 25_012] {
        let of = |message: &&Message| message.json["Node"] == node;
        let mine: Vec<_> = messages.iter().filter(of).map(heard).collect();
        assert_eq!(
            (mine.first(), mine.last()),
            (Some(&status(node, "online")), Some(&status(node, "offline")))
        );
        let states = mine.iter().filter(|(topic, _)| topic.ends_with("/Status"));
        assert_eq!(states.count(), 2, "{mine:?}");
    }
    // One event each, in their order, with BrandMeister's keys.
    let events: Vec<&Message> =
        messages.iter().filter(|message| !message.topic.ends_with("/Status")).collect();
    let one = |event: &str| {
        let found: Vec<_> = events.iter().enumerate().filter(|(_, m)| m.get("Event") == event).collect();
        assert_eq!(found.len(), 1, "{event}: {events:?}");
        (found[0].0, *found[0].1)
    };
    let named = ["Repeater-Refused", "Repeater-Connected", "Session-Start", "Session-Stop"];
    let [refused, connected, start, stop] = named.map(one);
    assert!(refused.0 < connected.0 && connected.0 < start.0 && start.0 < stop.0);
    let node = start.1.json["Node"].as_u64().unwrap();
    for ((_, message), topic) in
        [(refused, "Repeater"), (connected, "Repeater"), (start, "Session"), (stop, "Session")]
    {
        assert_eq!(message.topic, format!("Master/{}/{topic}", message.json["Node"]));
    }
    assert_eq!(
        keys(start.1),
        "ContextID DestinationID Event LinkName LinkType Node Route SessionID SessionType Slot SourceID Time Worker"
    );
    assert_eq!(
        keys(stop.1),
        "ContextID DataCount DestinationID Event LinkName LinkType Node Reason SessionID SessionType Slot SourceID \
         State Time Worker"
    );
    let expected = json!({
        "ContextID": TALKER, "DestinationID": 91, "Event": "Session-Start", "LinkName": "MMDVM Host", "LinkType": 1,
        "Node": node, "Route": "None", "SessionID": start.1.json["SessionID"], "SessionType": 7, "Slot": 2,
        "SourceID": RADIO, "Time": start.1.json["Time"], "Worker": node - 25_011,
    });
    assert_eq!(start.1.json, expected);
    // Header and terminator are no speech.
    assert_eq!((&stop.1.json["State"], &stop.1.json["DataCount"]), (&json!(2), &json!(bursts - 2)));
    let (_, system) = one("System-Stopping");
    assert_eq!(system.topic, "Master/25011/System");
    one("System-Started");

    // What `bmctl events` printed is what was published, word for word. It began later.
    let printed: Vec<Value> = printed.iter().map(|line| serde_json::from_str(&line).unwrap()).collect();
    assert!(printed.len() >= 5, "{printed:?}");
    for event in &printed {
        assert!(events.iter().any(|message| message.json == *event), "{event} was not published");
    }
}

#[test]
fn users_tell_of_their_own_nodes_alone_within_tls() {
    let broker = Broker::start_like_deployed(&["hamburg", "berlin", "reader"]);
    let listener = broker.listen(Some("reader"), &["Master/#"]);
    // Another's nodes, a reader's words: neither is let through.
    broker.publish("berlin", "Master/25011/System", r#"{"Event":"forged"}"#);
    broker.publish("reader", "Master/25021/System", r#"{"Event":"forged"}"#);
    broker.publish("berlin", "Master/25021/System", r#"{"Event":"berlin"}"#);
    assert_eq!(listener.next().get("Event"), "berlin");
    let cluster = Cluster::start(1, &broker.events(Some("hamburg")));
    assert!(is_ready(&cluster.status()), "{:?}", cluster.status());
    assert_eq!(heard(&listener.next()), status(25_011, "online"));
    assert_eq!(listener.next().get("Event"), "System-Started");
    let told = cluster.status().events;
    assert_eq!(told.url, format!("mqtts://hamburg@{}", broker.address()));
    let mut talker = repeater(&cluster, TALKER);
    call(&mut talker, RADIO, 1);
    let messages = listener.up_to(|message| message.get("Event") == "Session-Stop");
    assert!(messages.iter().all(|message| message.topic.starts_with("Master/25011/")), "{messages:?}");
}

#[test]
fn a_broker_that_cannot_be_used_is_told_with_what_to_do() {
    let broker = Broker::start_like_deployed(&["hamburg", "reader"]);
    let with = |old: &str, new: &str| {
        let events = broker.events(Some("hamburg"));
        assert!(events.contains(old), "{events}");
        let cluster = Cluster::start(1, &events.replace(old, new));
        let trouble = trouble(&cluster);
        // Who calls does not notice.
        let mut talker = repeater(&cluster, TALKER);
        let mut other = repeater(&cluster, LISTENER);
        let bursts = call(&mut talker, RADIO, 1);
        wait_for("the call at the other", || (other.bursts() == bursts).then_some(()));
        trouble
    };
    let at = broker.address();
    std::fs::write(broker.file("wrong"), "not-it\n").unwrap();
    std::fs::set_permissions(broker.file("wrong"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let refused = "the broker does not let hamburg in; see the user in events.url, and its password";
    assert_eq!(with("/hamburg\"", "/wrong\""), format!("{at}: {refused}"));
    let unknown = "nobody who is trusted here has signed its certificate; name who has as ca_file";
    assert_eq!(with("/ca.crt", "/other.crt"), format!("{at}: {unknown}"));
    let named = with("@127.0.0.1:", "@localhost:");
    assert!(named.starts_with(&at.replace("127.0.0.1", "localhost")), "{named}");
    assert!(named.contains("write into the URL what its certificate is for"), "{named}");
    let plain = Broker::start();
    let cluster = Cluster::start(1, &plain.events(None).replace("mqtt:", "mqtts:"));
    let said = trouble(&cluster);
    assert!(said.starts_with(&format!("{}: ", plain.address())) && said.contains("TLS"), "{said}");
}

/// While a call runs, from a thread of its own, until it is told to end.
fn while_a_call_runs(talker: &mut Repeater, act: impl FnOnce()) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let call = talker.group_call(RADIO, 91, 150);
        let over = &over;
        scope.spawn(move || {
            for burst in call.datagrams().chunks(1) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                talker.talk(burst);
            }
        });
        // The call has to end even where a test fails.
        let act = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        over.store(true, Ordering::Relaxed);
        if let Err(failed) = act {
            std::panic::resume_unwind(failed);
        }
    });
}

#[test]
fn a_broker_that_hangs_is_noticed_and_told_later_what_it_missed() {
    const BANS: u64 = 600;
    let broker = Broker::start();
    let listener = broker.listen(None, &["Master/#"]);
    let cluster = Cluster::start(1, &broker.events(None));
    let mut talker = repeater(&cluster, TALKER);
    while_a_call_runs(&mut talker, || {
        let before = listener.up_to(|message| message.get("Event") == "Session-Start");
        let session = before.last().unwrap().get("SessionID").to_owned();
        broker.signal(Signal::SIGSTOP);
        let said = trouble(&cluster);
        assert!(said.starts_with(&broker.address()), "{said}");
        for _ in 0..BANS {
            let ban = ServicesRequest::Ban { id: 7, seconds: None, reason: "x".to_owned() };
            let _: BanInfo = control::request(&cluster.paths(), &ban, HANG).unwrap();
            let _: Value =
                control::request(&cluster.paths(), &ServicesRequest::Unban { id: 7 }, HANG).unwrap();
        }
        broker.signal(Signal::SIGCONT);
        cluster.wait_until("the broker again", is_ready);
        // A last one, after which nothing is on its way.
        let ban = ServicesRequest::Ban { id: 8, seconds: None, reason: "last".to_owned() };
        let _: BanInfo = control::request(&cluster.paths(), &ban, HANG).unwrap();
        let messages = listener.up_to(|message| message.get("Reason") == "last");
        let place = |what: &str, is: &dyn Fn(&Message) -> bool| {
            let found: Vec<usize> = (0..messages.len()).filter(|&at| is(&messages[at])).collect();
            assert_eq!(found.len(), 1, "{what}: {messages:?}");
            found[0]
        };
        let online = messages.iter().rposition(|message| message.get("State") == "online").unwrap();
        let again = place("the running call", &|message| message.get("Event") == "Session-Start");
        assert_eq!(messages[again].get("SessionID"), session);
        // As it was told first, but with the time of its start itself.
        let [mut again_json, mut first_json] =
            [&messages[again], before.last().unwrap()].map(|m| m.json.clone());
        let time = |json: &mut Value| json.as_object_mut().unwrap().remove("Time").unwrap().to_string();
        assert!(time(&mut again_json) <= time(&mut first_json));
        assert_eq!(again_json, first_json);
        let lost = place("what is missing", &|message| message.get("Event") == "Events-Lost");
        let is_ban = |message: &&Message| message.get("Event").starts_with("Radio-");
        let first = messages.iter().position(|message| is_ban(&message)).unwrap();
        assert!(online < again && again < lost && lost < first, "{online} {again} {lost} {first}");
        let told = u64::try_from(messages.iter().filter(is_ban).count()).unwrap() - 1;
        let missing = messages[lost].json["Count"].as_u64().unwrap();
        assert_eq!((told + missing, told), (2 * BANS, 1024));
        assert_eq!(messages[lost].topic, "Master/25011/System");
        let metrics = metrics(&cluster);
        assert!(
            metrics.contains(&format!("bm_events_dropped_total{{worker=\"0\"}} {missing}\n")),
            "{metrics}"
        );
        assert!(metrics.contains("bm_events_connected{worker=\"0\"} 1\n"), "{metrics}");
    });
    let _ = listener.up_to(|message| message.get("Event") == "Session-Stop");
}

fn metrics(cluster: &Cluster) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(cluster.status().metrics.unwrap()).unwrap();
    write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_broker_that_is_killed_is_found_again_and_no_call_notices() {
    let mut broker = Broker::start();
    let cluster = Cluster::start(2, &broker.events(None));
    let (mut talker, mut other) = (repeater(&cluster, TALKER), repeater(&cluster, LISTENER));
    broker.kill();
    let said = trouble(&cluster);
    assert!(said.starts_with(&format!("{}: ", broker.address())), "{said}");
    let bursts = call(&mut talker, RADIO, 1);
    wait_for("the call at the other", || (other.bursts() == bursts).then_some(()));
    let absent = "nothing listens there; start it, or correct the URL";
    cluster.wait_until("the reason", |status| {
        status.events.trouble.as_ref().is_some_and(|trouble| trouble.ends_with(absent))
    });
    broker.start_again();
    cluster.wait_until("the broker again", is_ready);
    let listener = broker.listen(None, &["Master/+/Status"]);
    let mut states = [heard(&listener.next()), heard(&listener.next())];
    states.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(states, [status(25_011, "online"), status(25_012, "online")]);
    call(&mut talker, RADIO, 1);
}

#[test]
fn a_cluster_starts_without_its_broker_and_finds_it() {
    let mut broker = Broker::start();
    broker.kill();
    let cluster = Cluster::start(1, &broker.events(None));
    let said = trouble(&cluster);
    assert!(said.ends_with("nothing listens there; start it, or correct the URL"), "{said}");
    broker.start_again();
    cluster.wait_until("the broker", is_ready);
}

/// The look-up itself happens in the sandbox; what it says depends on where this test runs.
#[test]
fn a_name_is_looked_up_by_the_services_themselves() {
    let cluster = Cluster::start(1, "[events]\nurl = \"mqtt://nowhere.example\"\n");
    let before = cluster.status().services.pid;
    let status = cluster.wait_until("a look-up", |status| {
        status.events.trouble.as_ref().is_some_and(|trouble| !trouble.ends_with("not connected yet"))
    });
    let said = status.events.trouble.unwrap();
    let is_told = ["the name has no address", "the name cannot be looked up", "no answer"];
    let rest = said.strip_prefix("nowhere.example:1883: ").unwrap();
    assert!(is_told.iter().any(|words| rest.starts_with(words)), "{said}");
    assert_eq!(status.services.pid, before);
}

/// The next states of nodes, as many as are wanted.
fn states(listener: &Listener, count: usize) -> BTreeSet<(String, String)> {
    let next = || {
        let message = listener.next();
        (message.topic.clone(), message.get("State").to_owned())
    };
    (0..count).map(|_| next()).collect()
}

fn states_of(nodes: &[u32], state: &str) -> BTreeSet<(String, String)> {
    nodes.iter().map(|node| (format!("Master/{node}/Status"), state.to_owned())).collect()
}

#[test]
fn the_broker_says_which_nodes_are_gone_when_nobody_else_can() {
    let broker = Broker::start();
    let listener = broker.listen(None, &["Master/+/Status"]);
    let mut cluster = Cluster::start(2, &broker.events(None));
    let both = [25_011, 25_012];
    assert_eq!(states(&listener, 2), states_of(&both, "online"));
    let services = cluster.status().services.pid.unwrap();
    signal(i32::try_from(services).unwrap(), Signal::SIGKILL);
    assert_eq!(states(&listener, 2), states_of(&both, "offline"));
    assert_eq!(states(&listener, 2), states_of(&both, "online"));
    signal(cluster.pid(), Signal::SIGKILL);
    cluster.wait();
    assert_eq!(states(&listener, 2), states_of(&both, "offline"));
    // Whoever comes later is told as well.
    let later = broker.listen(None, &["Master/+/Status"]);
    assert_eq!(states(&later, 2), states_of(&both, "offline"));
}

#[test]
fn nodes_come_and_go_with_the_cluster() {
    let broker = Broker::start();
    let listener = broker.listen(None, &["Master/+/Status"]);
    let cluster = Cluster::start(2, &broker.events(None));
    assert_eq!(states(&listener, 2), states_of(&[25_011, 25_012], "online"));
    for (workers, state) in [("3", "online"), ("2", "offline"), ("3", "online")] {
        let output = cluster.bmctl(&["scale", workers], "");
        assert!(output.status.success(), "{}", text(&output));
        assert_eq!(states(&listener, 1), states_of(&[25_013], state));
    }
    cluster.wait_until("all of them", is_ready);
}

/// A statistic in the manner of those that were written for BrandMeister: they know these topics and keys, and no others.
#[derive(Default)]
struct Statistic {
    /// By radio: the session that was heard last, and whether it goes on.
    heard: BTreeMap<u64, (String, bool)>,
    /// By radio: time talked, milliseconds.
    talked: BTreeMap<u64, u64>,
}

impl Statistic {
    fn take(&mut self, message: &Message) {
        let json = &message.json;
        let number = |key: &str| json[key].as_u64().unwrap();
        match message.get("Event") {
            "Session-Start" => {
                let session = message.get("SessionID").to_owned();
                self.heard.insert(number("SourceID"), (session, true));
            }
            "Session-Stop" if number("State") == 2 => {
                let session = message.get("SessionID").to_owned();
                self.heard.insert(number("SourceID"), (session, false));
                if number("SessionType") & 4 != 0 {
                    *self.talked.entry(number("SourceID")).or_default() += number("DataCount") * 60;
                }
            }
            _ => {}
        }
    }
}

#[test]
fn a_statistic_for_brandmeister_agrees_with_lastheard() {
    let broker = Broker::start();
    let listener = broker.listen(None, &["Master/+/Session/#"]);
    let cluster = Cluster::start(2, &broker.events(None));
    let mut talkers = [repeater(&cluster, TALKER), repeater(&cluster, LISTENER)];
    let mut statistic = Statistic::default();
    for (at, source) in [(0, RADIO), (1, RADIO + 1), (0, RADIO + 2)] {
        call(&mut talkers[at], source, 1);
        let is_end =
            |message: &Message| message.get("Event") == "Session-Stop" && message.json["SourceID"] == source;
        listener.up_to(is_end).iter().for_each(|message| statistic.take(message));
    }
    let output = cluster.bmctl(&["lastheard", "--json"], "");
    let list: Vec<HeardInfo> = serde_json::from_slice(&output.stdout).unwrap();
    let ours: BTreeMap<u64, (String, bool)> = list
        .iter()
        .map(|info| (info.radio.into(), (info.session.to_string(), info.ended.is_none())))
        .collect();
    assert_eq!(statistic.heard, ours);
    assert_eq!(ours.len(), 3);
    for info in list {
        let talked = statistic.talked[&u64::from(info.radio)];
        assert_eq!(talked, (info.seconds * 1000.0).round() as u64, "{info:?}");
    }
}
