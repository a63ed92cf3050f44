//! The request sockets under clients that do not behave: whoever asks how the cluster is hears it at once all the same.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use control::{ClusterState, ContextInfo, ServicesRequest, Status, SupervisorRequest};
use tests::Cluster;

/// By then a question is answered.
const AT_ONCE: Duration = Duration::from_secs(1);
const SILENT: usize = 200;
const LONG_LINE: usize = 10 << 20;

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(tests::HANG)).unwrap();
    stream.set_write_timeout(Some(tests::HANG)).unwrap();
    stream
}

/// Sends bytes, ends the line nowhere, and returns the answer. Whoever is not listened to any more stops.
fn say(path: &Path, bytes: &[u8]) -> String {
    let mut stream = connect(path);
    for piece in bytes.chunks(1 << 16) {
        match stream.write_all(piece) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => break,
            Err(error) => panic!("{error}"),
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // It was closed with bytes of ours unread.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8(answer).unwrap()
}

/// The cluster is as it was, and says so at once.
fn is_well(cluster: &Cluster, pids: &[i32]) {
    let since = Instant::now();
    let status: Status = control::request(&cluster.paths(), &SupervisorRequest::Status, AT_ONCE).unwrap();
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert_eq!(status.state, ClusterState::Ready);
    assert!(status.workers.iter().all(|worker| worker.restarts == 0), "{status:?}");
    assert_eq!(cluster.children(), pids);
}

fn sockets(cluster: &Cluster) -> [PathBuf; 2] {
    [cluster.paths().control(), cluster.paths().services()]
}

#[test]
fn what_is_no_request_is_refused_and_holds_nobody_up() {
    let cluster = Cluster::start(2, "");
    let pids = cluster.children();
    let long = vec![b'x'; LONG_LINE];
    let garbage: Vec<u8> = (0..=255).cycle().take(4096).collect();
    for path in sockets(&cluster) {
        for (bytes, is_answered) in [
            (&b"\n"[..], true),
            (&garbage, true),
            (b"{\"request\":\"status\"", true),
            (b"{\"request\":\"reboot\"}\n", true),
            (b"{\"request\":\"scale\",\"workers\":-1}\n", true),
            (b"{\"request\":\"drain\",\"worker\":256}\n", true),
            // It need not wait for the rest to refuse it, so the answer may be lost.
            (&long, false),
        ] {
            let answer = say(&path, bytes);
            assert!(!is_answered || answer.starts_with("{\"error\":"), "{bytes:?}: {answer}");
            is_well(&cluster, &pids);
        }
        // One who changes his mind.
        drop(connect(&path));
        is_well(&cluster, &pids);
    }
}

#[test]
fn a_slow_line_holds_nobody_up_and_is_answered() {
    let cluster = Cluster::start(2, "");
    let pids = cluster.children();
    let mut slow = connect(&cluster.paths().control());
    for piece in [&b"{\"requ"[..], b"est\":\"sta", b"tus\"}", b"\n"] {
        is_well(&cluster, &pids);
        slow.write_all(piece).unwrap();
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("{\"ok\":{\"state\":\"ready\""), "{answer}");
}

#[test]
fn who_says_nothing_and_who_never_reads_hold_nobody_up() {
    let cluster = Cluster::start(2, "");
    let pids = cluster.children();
    for path in sockets(&cluster) {
        let silent: Vec<UnixStream> = (0..SILENT).map(|_| connect(&path)).collect();
        is_well(&cluster, &pids);
        drop(silent);
    }
    let requests = [
        (cluster.paths().control(), "status"),
        (cluster.paths().control(), "deaths"),
        (cluster.paths().services(), "contexts"),
        (cluster.paths().services(), "events"),
    ];
    let ask = |(path, request): &(PathBuf, &str)| {
        let mut stream = connect(path);
        writeln!(stream, "{{\"request\":\"{request}\"}}").unwrap();
        stream
    };
    let unread: Vec<UnixStream> = requests.iter().cycle().take(100).map(ask).collect();
    is_well(&cluster, &pids);
    drop(unread);
    // The services close those who are gone, and serve others again.
    tests::wait_for("an answer of the services", || {
        control::request::<Vec<ContextInfo>, _>(&cluster.paths(), &ServicesRequest::Contexts, AT_ONCE).ok()
    });
    is_well(&cluster, &pids);
}
