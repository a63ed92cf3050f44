//! The services as a process, under a supervisor and beside workers that the test plays itself.

#![allow(clippy::unwrap_used, reason = "a failed test is to stop")]

mod operator;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use channel::{Child, Order, Parent, Report, WorkerInfo};
use config::{Config, HostKey};
use control::{
    CallInfo, ContextInfo, ContextState, DeviceInfo, DeviceList, RegistryKey, RegistryPut, Secret,
    ServicesRequest, State,
};
use fabric::Counter;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stack::{Answer, Ask, DeviceSettings, Gone, Login, Notice, Verdict};
use support::{Cluster, PATIENCE, device, info};
use switch::Ended as CallEnded;
use sys::Ended;

const ID: u32 = 2_501_001;

fn login(id: u32, port: u16, password: &str) -> Login {
    let salt = [7, 1, 2, 3];
    let digest = Sha256::new().chain_update(salt).chain_update(password).finalize().into();
    Login { id, from: ([192, 0, 2, 7], port).into(), salts: [salt, [9; 4]], text: false, digest }
}

fn ask(login: Login) -> Report {
    Report::Ask { shard: 1, ask: Ask::Login(login) }
}

fn answer(login: &Login, verdict: Verdict) -> Order {
    Order::Answer { shard: 1, answer: Answer::Login { id: login.id, from: login.from, verdict } }
}

fn registered(statics: &[Vec<u32>; 2]) -> DeviceSettings {
    DeviceSettings { statics: statics.clone(), ..DeviceSettings::default() }
}

fn evict(login: &Login) -> Order {
    Order::Evict { id: login.id, keep: Some(login.from), gone: Gone::Replaced }
}

fn device_add(id: u32, password: Option<&str>, ts2: Vec<u32>) -> ServicesRequest {
    let password = password.map(|text| Secret::new(text).unwrap());
    let (blocked, single) = (vec![], false);
    ServicesRequest::DeviceAdd { id, password, call: None, ts1: vec![], ts2, blocked, single }
}

/// The stream of events, read by a thread so that none is waited for without end.
fn events(cluster: &Cluster) -> Receiver<String> {
    let lines = control::events(&cluster.paths, PATIENCE).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

/// The next event, with its time checked and taken out.
fn next(lines: &Receiver<String>) -> Value {
    let line = lines.recv_timeout(PATIENCE).expect("another event");
    let mut event: Value = serde_json::from_str(&line).unwrap();
    assert!(event.as_object_mut().unwrap().remove("Time").is_some());
    event
}

#[test]
fn a_login_is_answered_and_evicts_its_old_self_everywhere() {
    let mut cluster = Cluster::new();
    let services = cluster.start();
    assert_eq!((&*services.facts["registry"], &*services.facts["events"]), ("ready", "ready"));
    assert!(services.facts["sandbox"].ends_with("seccomp"), "{}", services.facts["sandbox"]);

    let first = login(ID, 1, config::DEVELOPMENT_PASSWORD);
    cluster.report(1, &ask(first.clone()));
    let none = [vec![], vec![]];
    assert_eq!(cluster.workers[1].order(), answer(&first, Verdict::Accepted { settings: registered(&none) }));
    assert_eq!(cluster.workers[1].order(), evict(&first));
    assert_eq!(cluster.workers[0].order(), evict(&first));

    // From now on it has a password and talkgroups of its own.
    let added: DeviceInfo = cluster.ask(&device_add(ID, Some("secret"), vec![262])).unwrap();
    assert_eq!((added.has_password, added.ts2), (true, vec![262]));
    let statics = [vec![], vec![262]];
    for worker in &mut cluster.workers {
        assert_eq!(worker.order(), Order::Settings { id: ID, settings: registered(&statics) });
    }
    cluster.report(1, &ask(first.clone()));
    assert_eq!(cluster.workers[1].order(), answer(&first, Verdict::Refused { tell: true }));
    let second = login(ID, 2, "secret");
    cluster.report(1, &ask(second.clone()));
    assert_eq!(
        cluster.workers[1].order(),
        answer(&second, Verdict::Accepted { settings: registered(&statics) })
    );
    assert_eq!(cluster.workers[0].order(), evict(&second));
    assert_eq!(cluster.workers[1].order(), evict(&second));
}

#[test]
fn workers_of_the_same_configuration_are_told_where_hosts_with_a_name_are() {
    let mut cluster = Cluster::new();
    let text = "[stacks.fastforward]\nkey_file = \"/k\"\n[[hosts]]\naddress = \"localhost:54000\"\n[[hosts]]\n\
                address = \"192.0.2.7:54000\"\n[[hosts]]\naddress = \"nowhere.invalid:54000\"\n";
    let read = Config::parse(text).unwrap();
    (cluster.config.stacks.fastforward, cluster.config.hosts) = (read.stacks.fastforward, read.hosts);
    let services = cluster.start();
    let there = Order::Host { address: "127.0.0.1:54000".parse().unwrap(), host: None, is_wanted: true };
    for worker in &mut cluster.workers {
        assert_eq!(worker.order(), there);
    }
    // One that has begun with another configuration has services of its own soon; one that begins anew is told again.
    let other = WorkerInfo { generation: 2, ..info(0, Some(101), State::Ready) };
    services.tell(&Parent::WorkerInfo(other));
    services.tell(&Parent::WorkerInfo(info(1, Some(102), State::Ready)));
    assert_eq!(cluster.workers[1].order(), there);
    let login = login(ID, 1, config::DEVELOPMENT_PASSWORD);
    cluster.report(1, &ask(login.clone()));
    assert_eq!(cluster.workers[0].order(), evict(&login), "nothing before");
}

#[test]
fn workers_are_told_of_hosts_of_the_registry_and_when_they_go() {
    let mut cluster = Cluster::new();
    let read = Config::parse("[stacks.fastforward]\nkey_file = \"/k\"\n").unwrap();
    cluster.config.stacks.fastforward = read.stacks.fastforward;
    let services = cluster.start();
    let record = json!({"id": 7, "address": "192.0.2.7", "port": 54000, "key": "0f".repeat(32)});
    let puts =
        vec![RegistryPut { space: "Nodes".to_owned(), record: serde_json::from_value(record).unwrap() }];
    let put = ServicesRequest::RegistryWrite { puts, removes: vec![], keep: vec![] };
    assert_eq!(cluster.ask::<usize>(&put).unwrap(), 1);
    let address = "192.0.2.7:54000".parse().unwrap();
    let there = [
        Order::HostKey { host: 7, key: Some(HostKey([0x0f; 32])) },
        Order::Host { address, host: Some(7), is_wanted: true },
    ];
    for worker in &mut cluster.workers {
        assert_eq!([worker.order(), worker.order()], there);
    }
    services.tell(&Parent::WorkerInfo(info(1, Some(102), State::Ready)));
    assert_eq!([cluster.workers[1].order(), cluster.workers[1].order()], there, "whoever begins anew");
    let removes = vec![RegistryKey { space: "Nodes".to_owned(), key: json!(7) }];
    let remove = ServicesRequest::RegistryWrite { puts: vec![], removes, keep: vec![] };
    assert_eq!(cluster.ask::<usize>(&remove).unwrap(), 1);
    for worker in &mut cluster.workers {
        assert_eq!(worker.order(), Order::Host { address, host: Some(7), is_wanted: false });
        assert_eq!(worker.order(), Order::HostKey { host: 7, key: None });
    }
}

#[test]
fn devices_are_added_listed_changed_and_removed() {
    let cluster = Cluster::new();
    let _services = cluster.start();
    let added: DeviceInfo = cluster.ask(&device_add(ID, None, vec![262])).unwrap();
    assert!(!added.has_password);
    let error = cluster.ask::<DeviceInfo>(&device_add(ID, None, vec![])).unwrap_err();
    assert!(error.starts_with("device 2501001 is in the registry already"), "{error}");
    let error = cluster.ask::<DeviceInfo>(&device_add(0, None, vec![])).unwrap_err();
    assert!(error.contains("an ID is a number from 1"), "{error}");

    let list: DeviceList = cluster.ask(&ServicesRequest::DeviceList).unwrap();
    assert_eq!(list.devices.iter().map(|device| device.id).collect::<Vec<_>>(), [ID]);
    let password = Secret::new("new").unwrap();
    let changed = ServicesRequest::DevicePassword { id: ID, password: password.clone() };
    let changed: DeviceInfo = cluster.ask(&changed).unwrap();
    assert_eq!((changed.has_password, &changed.ts2[..]), (true, &[262][..]));
    let unknown = ServicesRequest::DevicePassword { id: 1, password };
    assert!(cluster.ask::<DeviceInfo>(&unknown).unwrap_err().contains("not in the registry"));
    cluster.ask::<()>(&ServicesRequest::DeviceRemove { id: ID }).unwrap();
    let error = cluster.ask::<()>(&ServicesRequest::DeviceRemove { id: ID }).unwrap_err();
    assert!(error.contains("not in the registry"), "{error}");
}

#[test]
fn contexts_are_shown_and_kicked() {
    let mut cluster = Cluster::new();
    device::with_a_call(&mut cluster.states[1], 25_012, ID, 91);
    let _services = cluster.start();
    let contexts: Vec<ContextInfo> = cluster.ask(&ServicesRequest::Contexts).unwrap();
    let [context] = contexts.try_into().unwrap();
    assert_eq!((context.id, context.worker, context.shard, &*context.stack), (ID, 1, 1, "mmdvm"));
    assert_eq!((&*context.call, &*context.software), ("N0CALL", "v1 MMDVM"));
    assert_eq!((context.state, context.colour_code), (ContextState::Connected, 1));
    assert_eq!((context.rx_hz, context.tx_hz), (435_000_000, 431_000_000));
    assert_eq!(context.statics.ts2, [262]);
    let [dynamic] = context.dynamics.ts2.try_into().unwrap();
    assert_eq!(dynamic.talkgroup, 91);
    let left = dynamic.seconds_left.unwrap();
    assert!((800..=900).contains(&left), "{left}");

    cluster.ask::<()>(&ServicesRequest::Kick { id: ID }).unwrap();
    for worker in &mut cluster.workers {
        assert_eq!(worker.order(), Order::Evict { id: ID, keep: None, gone: Gone::Kicked });
    }
    let error = cluster.ask::<()>(&ServicesRequest::Kick { id: 7 }).unwrap_err();
    assert!(error.starts_with("no context has the ID 7"), "{error}");
}

#[test]
fn calls_are_known_again_after_a_restart() {
    let mut cluster = Cluster::new();
    let services = cluster.start();
    let report = device::with_a_call(&mut cluster.states[1], 25_012, ID, 91);
    cluster.report(1, &Report::Started(report));
    services.process.signal(Signal::SIGKILL).unwrap();
    assert_eq!(services.ended(), Ended::Signal(9));
    // The report is handled by the first or by the second; the state has the call in any case.
    let _services = cluster.start();
    let calls: Vec<CallInfo> = cluster.ask(&ServicesRequest::Calls).unwrap();
    let [call] = calls.try_into().unwrap();
    assert_eq!((call.worker, call.node, call.context, call.slot), (1, 25_012, ID, 2));
    assert_eq!((call.source, call.destination, call.group), (2_621_370, 91, true));
    assert!((0.0..60.0).contains(&call.seconds), "{}", call.seconds);
}

#[test]
fn what_happens_is_told_to_whoever_listens() {
    let mut cluster = Cluster::new();
    let services = cluster.start();
    let lines = events(&cluster);
    let report = device::with_a_call(&mut cluster.states[0], 25_011, ID, 91);

    let from = "192.0.2.7:1".parse().unwrap();
    let up = Notice::Up { id: ID, from, call: "N0CALL".to_owned(), software: "x".to_owned() };
    let down = Notice::Down { id: ID, from, gone: Gone::Kicked };
    cluster.report(0, &Report::Notice { shard: 0, notice: up });
    cluster.report(0, &Report::Started(report));
    cluster.report(0, &Report::Started(report));
    cluster.report(0, &Report::Stopped { report, ended: CallEnded::Terminator });
    cluster.report(0, &Report::Notice { shard: 0, notice: down });
    cluster.report(0, &ask(login(ID, 1, "wrong")));
    let expected = [
        r#"{"Event":"Repeater-Connected","ContextID":2501001,"Address":"192.0.2.7:1","Call":"N0CALL","Software":"x"}"#,
        r#"{"Event":"Session-Start"}"#,
        r#"{"Event":"Session-Stop","State":2,"Reason":"terminator"}"#,
        r#"{"Event":"Repeater-Disconnected","ContextID":2501001,"Reason":"an operator threw it out"}"#,
        r#"{"Event":"Repeater-Refused","ContextID":2501001,"Reason":"wrong password"}"#,
    ];
    let expect = |expected: &str, worker: Option<u8>| {
        let event = next(&lines);
        let expected: Value = serde_json::from_str(expected).unwrap();
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&event[key], value, "{event}");
        }
        assert_eq!(event.get("Worker").and_then(Value::as_u64), worker.map(u64::from), "{event}");
        assert_eq!(event["Node"], 25_011 + u32::from(worker.unwrap_or(0)), "{event}");
    };
    expected.iter().for_each(|expected| expect(expected, Some(0)));

    // A worker dies during a call, and its successor does not know of it.
    let mut lost = report;
    lost.session.key += 1;
    cluster.report(1, &Report::Started(lost));
    expect(r#"{"Event":"Session-Start"}"#, Some(1));
    services.tell(&Parent::WorkerInfo(info(1, None, State::Failed)));
    expect(r#"{"Event":"Worker-Died","Pid":100,"Reason":"signal SIGKILL"}"#, Some(1));
    services.tell(&Parent::WorkerInfo(info(1, Some(101), State::Starting)));
    services.tell(&Parent::WorkerInfo(info(1, Some(101), State::Ready)));
    expect(r#"{"Event":"Worker-Started","Pid":101}"#, Some(1));
    expect(r#"{"Event":"Session-Stop","State":2,"Reason":"unknown"}"#, Some(1));
    assert_eq!(cluster.ask::<Vec<CallInfo>>(&ServicesRequest::Calls).unwrap(), []);

    services.tell(&Parent::Stop);
    expect(r#"{"Event":"System-Stopping"}"#, None);
    assert_eq!(services.said(), Child::Stopped);
    assert_eq!(services.ended(), Ended::Code(0));
    assert_eq!(lines.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn metrics_are_served() {
    let cluster = Cluster::new();
    cluster.workers[1].stats.add(Counter::DatagramsIn, 5);
    let services = cluster.start();
    let (head, body) = services.get("/metrics");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(body.contains("bm_datagrams_received_total{worker=\"0\"} 0\n"), "{body}");
    assert!(body.contains("bm_datagrams_received_total{worker=\"1\"} 5\n"), "{body}");
    assert!(body.contains("bm_worker_restarts_total{worker=\"1\"} 3\n"), "{body}");
    let (_, body) = services.get("/metrics/worker/1");
    assert!(body.contains("worker=\"1\"") && !body.contains("worker=\"0\""), "{body}");

    let (head, body) = services.get("/sd");
    assert!(head.contains("application/json"), "{head}");
    let targets: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(targets[1]["targets"][0], services.facts["metrics"].as_str());
    assert_eq!(targets[1]["labels"]["__metrics_path__"], "/metrics/worker/1");

    for path in ["/", "/metrics/worker/2", "/metrics/worker/01"] {
        let (head, body) = services.get(path);
        assert!(head.starts_with("HTTP/1.1 404") && body.contains("/metrics/worker/N"), "{path}: {head}");
    }
    let (head, _) = services.http("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 405") && head.contains("allow: GET"), "{head}");
    assert!(cluster.stats.get(Counter::Heartbeat) > 0);
}

#[test]
fn requests_that_are_none_are_refused_and_repeat_no_secret() {
    let cluster = Cluster::new();
    let _services = cluster.start();
    let ask = |request: &[u8]| {
        let mut stream = UnixStream::connect(cluster.paths.services()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may be closed before all is sent.
        let _ = stream.write_all(request);
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line);
        line
    };
    for request in [
        &b"x\n"[..],
        b"{\"request\":\"reboot\"}\n",
        b"\xff\n",
        b"{\"request\":\"device_password\",\"id\":1,\"password\":[\"hunter2\"]}\n",
        b"{\"request\":\"device_password\",\"id\":\"hunter2\",\"password\":\"hunter2\"}\n",
    ] {
        let answer = ask(request);
        assert!(answer.starts_with("{\"error\":\"not a request: "), "{answer}");
        assert!(!answer.contains("hunter2"), "{answer}");
    }
    let long = vec![b'x'; control::MAX_SERVICES_REQUEST + 1];
    assert!(ask(&long).contains("a line longer than 4194304 bytes"));

    let idle: Vec<UnixStream> =
        (0..64).map(|_| UnixStream::connect(cluster.paths.services()).unwrap()).collect();
    let mut refused = UnixStream::connect(cluster.paths.services()).unwrap();
    refused.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    refused.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("{\"error\":\"64 connections are open already"), "{answer}");
    drop(idle);
}

#[test]
fn what_a_restart_does_not_change_is_said() {
    let mut cluster = Cluster::new();
    let first = cluster.start();
    let second = cluster.spawn();
    let Child::Failed { reason } = second.said() else { panic!("it said something else") };
    assert!(reason.contains("another cluster uses this data directory"), "{reason}");
    assert_eq!(second.ended(), Ended::Code(78));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    cluster.config.metrics.listen = taken.local_addr().unwrap();
    first.tell(&Parent::Stop);
    assert_eq!(first.ended(), Ended::Code(0));
    let third = cluster.spawn();
    let Child::Failed { reason } = third.said() else { panic!("it said something else") };
    assert!(reason.starts_with(&format!("cannot listen on {}", cluster.config.metrics.listen)), "{reason}");
    assert_eq!(third.ended(), Ended::Code(78));

    // Services that have served with that before are tried again: it may go away by itself.
    cluster.again = true;
    assert_eq!(cluster.spawn().ended(), Ended::Code(75));
}

#[test]
fn who_takes_a_shard_over_hears_what_was_ordered_while_it_was_on_its_way() {
    let mut cluster = Cluster::new();
    let services = cluster.start();
    let login = login(ID, 1, config::DEVELOPMENT_PASSWORD);
    cluster.report(0, &ask(login.clone()));
    for _ in 0..2 {
        cluster.workers[0].order();
    }
    assert_eq!(cluster.workers[1].order(), evict(&login));
    services.show(&cluster, 0, 1);
    assert_eq!(cluster.workers[1].order(), evict(&login));
    // It has it already: nothing is said again.
    services.show(&cluster, 0, 1);
    let other = Login { id: ID + 1, ..login };
    cluster.report(0, &ask(other.clone()));
    assert_eq!(cluster.workers[1].order(), evict(&other));
}

#[test]
fn services_that_are_replaced_leave_all_to_their_successor() {
    let mut cluster = Cluster::new();
    let first = cluster.start();
    let next = cluster.prepare();
    first.tell(&Parent::Leave);
    assert_eq!(first.ended(), Ended::Code(0));
    cluster.hand_over(&next);
    assert!(matches!(next.said(), Child::Ready { .. }));
    let login = login(ID, 1, config::DEVELOPMENT_PASSWORD);
    cluster.report(1, &ask(login.clone()));
    let none = [vec![], vec![]];
    assert_eq!(cluster.workers[1].order(), answer(&login, Verdict::Accepted { settings: registered(&none) }));
}

#[test]
fn it_ends_with_its_supervisor() {
    let cluster = Cluster::new();
    let mut services = cluster.start();
    drop(services.socket.take());
    assert_eq!(services.ended(), Ended::Code(0));
}

#[test]
fn reports_beyond_one_batch_and_full_queues_are_all_served() {
    let mut cluster = Cluster::new();
    let logins: Vec<Login> = (0..1500).map(|n| login(ID + n, 1, config::DEVELOPMENT_PASSWORD)).collect();
    logins.iter().for_each(|login| cluster.report(1, &ask(login.clone())));
    let _services = cluster.start();
    // 1,500 answers and 1,500 evictions do not fit a queue of 2,048, and some wait.
    let orders: Vec<Order> = (0..3000).map(|_| cluster.workers[1].order()).collect();
    let statics = [vec![], vec![]];
    for login in &logins {
        let accepted = answer(login, Verdict::Accepted { settings: registered(&statics) });
        assert!(orders.contains(&accepted) && orders.contains(&evict(login)));
    }
    assert!(cluster.ask::<Vec<CallInfo>>(&ServicesRequest::Calls).unwrap().is_empty());
}
