//! Clients of the text dialect on a real cluster: what they are told, and calls between them and MMDVM clients.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sha2::{Digest, Sha256};
use sim::traffic::{Call, Plan, Seed};
use tests::{Cluster, PASSWORD, Repeater, signal, wait_for};

const ID: u32 = 2_501_001;
const OTHER: u32 = 2_501_002;
/// Time between two bursts of a call.
const BURST: Duration = Duration::from_millis(60);

/// A client that speaks as the specification of 2015 and the programs written after it do.
struct TextClient {
    id: u32,
    socket: UdpSocket,
}

impl TextClient {
    fn new(server: SocketAddr, id: u32) -> Self {
        let any = if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        Self { id, socket }
    }

    /// Sends tag, ID and `rest`.
    fn say(&self, tag: &str, rest: &str) {
        self.socket.send(format!("{tag}{:08x}{rest}", self.id).as_bytes()).unwrap();
    }

    /// What has come, if anything has.
    fn hear(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 512];
        match self.socket.recv(&mut buffer) {
            Ok(len) => Some(buffer[..len].to_vec()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for a text.
    fn text(&self) -> String {
        String::from_utf8(wait_for("an answer", || self.hear())).unwrap()
    }

    /// Says something and waits for the answer.
    fn ask(&self, tag: &str, rest: &str) -> String {
        self.say(tag, rest);
        self.text()
    }

    /// Up to the answer to its password.
    fn key(&self, password: &str) -> String {
        let answer = self.ask("RPTL", "");
        let salt = answer.strip_prefix(&self.named("MSTACK")).unwrap();
        assert_eq!(salt.len(), 8, "{answer}");
        let digest = Sha256::new().chain_update(salt).chain_update(password).finalize();
        self.ask("RPTK", &digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    fn log_in(&self, options: &str) {
        assert_eq!(self.key(PASSWORD), self.named("MSTACK"));
        let config = format!(
            "RPTC{:<8}{:08x}{:09}{:09}{:02}{:02}{:>8}{:>9}{:03}{:<20}{:<20}{:<124}{:<40}{:<40}",
            "N0TEXT",
            self.id,
            435_000_000,
            431_000_000,
            10,
            1,
            "50.12345",
            "008.67890",
            75,
            "Here",
            "Twenty bytes, no. 4",
            "www",
            "text-1.0",
            "by hand",
        );
        assert_eq!(config.len(), 306);
        self.socket.send(config.as_bytes()).unwrap();
        assert_eq!(self.text(), self.named("MSTACK"));
        assert_eq!(self.ask("RPTO", options), self.named("MSTACK"));
    }

    /// A tag with its ID as the master writes it.
    fn named(&self, tag: &str) -> String {
        format!("{tag}{:08X}", self.id)
    }
}

fn call(repeater: u32, source: u32) -> Call {
    let plan = Plan { number: source, repeater, source, talkgroup: 91, ts2: true, bursts: 20 };
    Call::new(plan, &mut Seed(u64::from(source)))
}

/// Does `turn` until the next burst is due.
fn pause(mut turn: impl FnMut()) {
    let since = Instant::now();
    while since.elapsed() < BURST {
        turn();
    }
}

/// Each burst as it was said, and nothing else.
fn assert_heard(heard: &[Vec<u8>], said: &Call, by: u32, len: usize) {
    let bursts = |datagram: &[u8]| (datagram[4..11].to_vec(), datagram[15], datagram[20..53].to_vec());
    let said: Vec<_> = said.datagrams().iter().map(|datagram| bursts(datagram)).collect();
    assert_eq!(heard.iter().map(|datagram| bursts(datagram)).collect::<Vec<_>>(), said);
    assert!(heard.iter().all(|datagram| datagram.len() == len && datagram[11..15] == by.to_be_bytes()));
}

#[test]
fn text_and_mmdvm_clients_hear_each_other() {
    let mut cluster = Cluster::start(2, "");
    let listen = cluster.status().listen["mmdvm"].clone();
    let text = TextClient::new(listen[1], ID);
    text.log_in("TS2=91,262;SINGLE=1;TIMER=30");
    let mut mmdvm = Repeater::new(listen[0], OTHER, PASSWORD, "TS2=91");
    assert!(mmdvm.log_in());
    let contexts = wait_for("both contexts", || {
        let contexts = cluster.contexts();
        let ready = |context: &control::ContextInfo| context.statics.ts2.first() == Some(&91);
        (contexts.len() == 2 && contexts.iter().all(ready)).then_some(contexts)
    });
    assert_eq!((contexts[0].id, contexts[0].call.as_str()), (ID, "N0TEXT"));
    assert_eq!(
        (contexts[0].software.as_str(), &contexts[0].statics.ts2[..]),
        ("text-1.0 by hand", &[91, 262][..])
    );

    let (mut heard, said) = (Vec::new(), call(OTHER, 2_590_002));
    for datagram in said.datagrams() {
        mmdvm.send(datagram);
        pause(|| heard.extend(text.hear()));
    }
    wait_for("the last burst", || {
        heard.extend(text.hear());
        (heard.len() >= said.bursts()).then_some(())
    });
    assert_heard(&heard, &said, ID, 53);

    let said = call(ID, 2_590_001);
    mmdvm.heard.clear();
    for datagram in said.datagrams() {
        text.socket.send(&datagram[..53]).unwrap();
        pause(|| mmdvm.turn());
    }
    let bursts = |heard: &[Vec<u8>]| -> Vec<Vec<u8>> {
        heard.iter().filter(|datagram| datagram.starts_with(b"DMRD")).cloned().collect()
    };
    wait_for("the last burst", || {
        mmdvm.turn();
        (bursts(&mmdvm.heard).len() >= said.bursts()).then_some(())
    });
    assert_heard(&bursts(&mmdvm.heard), &said, OTHER, 55);

    assert_eq!(text.ask("MSTPING", ""), text.named("RPTPONG"));
    assert_eq!(text.ask("RPTPING", ""), text.named("MSTPONG"));
    assert!(cluster.bmctl(&["stop"], "").status.success());
    assert_eq!(text.text(), text.named("MSTCL"));
    assert!(cluster.wait().success());
}

#[test]
fn wrong_passwords_and_lost_logins_are_told_as_text() {
    let cluster = Cluster::start(1, "");
    let text = TextClient::new(cluster.mmdvm(), ID);
    assert_eq!(text.key("wrong"), text.named("MSTNAK"));
    let text = TextClient::new(cluster.mmdvm(), ID);
    assert_eq!(text.ask("MSTPING", ""), text.named("MSTNAK"));
    text.log_in("");
    assert_eq!(text.ask("MSTPING", ""), text.named("RPTPONG"));
    assert_eq!(text.ask("RPTCL", ""), text.named("MSTNAK"));
    wait_for("its end", || cluster.contexts().is_empty().then_some(()));
    assert_eq!(text.ask("MSTPING", ""), text.named("MSTNAK"));
}

#[test]
fn a_worker_that_takes_over_answers_in_the_same_dialect() {
    let cluster = Cluster::start(1, "");
    let text = TextClient::new(cluster.mmdvm(), ID);
    text.log_in("TS2=91");
    let pid = cluster.status().workers[0].pid.unwrap();
    signal(i32::try_from(pid).unwrap(), Signal::SIGKILL);
    // What comes meanwhile waits in the socket.
    assert_eq!(text.ask("MSTPING", ""), text.named("RPTPONG"));
    assert_eq!(cluster.status().workers[0].restarts, 1);
    let contexts = cluster.contexts();
    assert_eq!((contexts[0].id, &contexts[0].statics.ts2[..]), (ID, &[91][..]));
}
