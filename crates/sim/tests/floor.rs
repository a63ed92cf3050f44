//! A real run over loopback: ten repeaters, two talkgroups, two calls of a second, against the floor.

use std::net::SocketAddr;

use sim::{Error, Floor, Place, Settings, Table, demo, run, run_floor};

fn settings(server: SocketAddr) -> Settings {
    Settings { repeaters: 10, talkgroups: 2, calls: 2, seconds: 1, ..Settings::new(server, "passw0rd") }
}

#[test]
fn the_floor_delivers_every_burst() {
    let ours = run_floor(&settings("127.0.0.1:1".parse().unwrap()), None).unwrap();
    // A second has 16 bursts: header, two superframes, terminator; each call has four listeners.
    assert_eq!((ours.sent, ours.counts.expected), (2 * 14, 2 * 14 * 4));
    assert!(ours.is_clean(), "{ours}");
    assert_eq!((ours.relogins, ours.naks, ours.heard.len()), (0, 0, 10));
    assert!(ours.latency.max_us > 0 && ours.latency.p50_us <= ours.latency.max_us);
    assert!(ours.server_cpu_us_per_forward.unwrap() > 0.0 && ours.generator_cpu_us > 0);
    let table = Table(&[("one", &ours), ("two", &ours)]).to_string();
    assert!(table.contains("server's CPU time"), "{table}");
}

#[test]
fn ipv6_and_other_masters_work_the_same() {
    let floor = Floor::start("::1".parse().unwrap(), Some(sys::cpus().unwrap()[0]), None).unwrap();
    let report = run(&settings(floor.address())).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.server_cpu_us, None);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let Err(Error::NoServer(server)) = run(&settings(free)) else { panic!("somebody answered") };
    assert_eq!(server, free);
}

#[test]
fn a_refused_login_is_told_at_once() {
    let master = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = master.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 512];
        loop {
            let (len, from) = master.recv_from(&mut buffer).unwrap();
            let tag: &[u8] = if buffer.starts_with(b"RPTL") { b"RPTACK" } else { b"MSTNAK" };
            assert!(len >= 8);
            master.send_to(&[tag, &buffer[4..8]].concat(), from).unwrap();
            if tag == b"MSTNAK" {
                return master;
            }
        }
    });
    let error = run(&settings(address)).unwrap_err();
    drop(thread.join().unwrap());
    let text = format!("{address} refused repeater 2501001 at RPTK (password): is the password right?");
    assert_eq!(error.to_string(), text);
}

#[test]
fn the_demo_tells_what_happens() {
    let floor = Floor::start("127.0.0.1".parse().unwrap(), None, None).unwrap();
    let mut asked = Vec::new();
    let mut where_is = |id: u32| {
        asked.push(id);
        // The first two at one worker, the third at another, and each known only when asked again.
        let known = asked.iter().filter(|other| **other == id).count() > 1;
        let worker = usize::from(id > 2_501_002);
        Ok(known.then_some(Place { worker, node: 25_011 + u32::from(worker > 0) }))
    };
    let story = demo(floor.address(), "passw0rd", 2, &mut where_is).unwrap();
    let said: Vec<&str> = story.sentences.iter().map(String::as_str).collect();
    assert_eq!(said.len(), 5, "{story}");
    assert_eq!(said[0], "Repeater 2501001 logged in at worker 0 (node 25011).");
    assert_eq!(said[1], "Repeater 2501003 logged in at worker 1 (node 25012).");
    let call = "Called talkgroup 91: 50 bursts sent, 50 heard by 2501003, 0 lost, p50 ";
    assert!(said[2].starts_with(call), "{story}");
    assert_eq!(said[3], "The call crossed from worker 0 to worker 1.");
    assert_eq!(said[4], "The parrot (9990) did not answer within 1.5 s.");
    assert!(!story.success, "the floor has no parrot");
}
