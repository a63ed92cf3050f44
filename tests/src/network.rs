//! Another network, for tests of OpenBridge: what it sends is signed by Python's `hmac`, and so is what it hears checked.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dmr::AMBE_LEN;
use sim::traffic::{BURST_US, Call, Plan, Seed, bursts_in};

use crate::run;

/// Reads a key, then a line of hexadecimal digits each, and prints the HMAC of each.
const SIGN: &str = "
import sys, hmac, hashlib
key = sys.stdin.readline().rstrip('\\n').encode()
for line in sys.stdin:
    print(hmac.new(key, bytes.fromhex(line), hashlib.sha1).hexdigest())
";
/// What is signed of a burst.
const HEAD: usize = 53;

static STREAMS: AtomicU32 = AtomicU32::new(1);

/// A network with a socket on loopback.
pub struct Network {
    socket: UdpSocket,
    id: u32,
    key: String,
    /// Bursts that have come, in the order of their arrival.
    pub heard: Vec<Vec<u8>>,
}

/// A call that a network makes: its datagrams, signed.
pub type SignedCall = Vec<Vec<u8>>;

impl Network {
    /// One with this ID and key.
    #[must_use]
    pub fn new(id: u32, key: &str) -> Self {
        Self::at("127.0.0.1:0", id, key)
    }

    /// One that is reached by IPv6.
    #[must_use]
    pub fn new_v6(id: u32, key: &str) -> Self {
        Self::at("[::1]:0", id, key)
    }

    fn at(address: &str, id: u32, key: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        Self { socket, id, key: key.to_owned(), heard: Vec::new() }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The table of a cluster's configuration for it.
    #[must_use]
    pub fn table(&self, more: &str) -> String {
        let address = self.socket.local_addr().unwrap();
        format!(
            "[[stacks.openbridge.peers]]\nid = {}\naddress = \"{address}\"\nkey = \"{}\"\n{more}\n",
            self.id, self.key
        )
    }

    /// A call to a talkgroup, of about so many seconds.
    #[must_use]
    pub fn call(&self, source: u32, talkgroup: u32, seconds: u32) -> (Call, SignedCall) {
        let number = 0x0100_0000 | STREAMS.fetch_add(1, Ordering::Relaxed);
        let plan =
            Plan { number, repeater: self.id, source, talkgroup, ts2: false, bursts: bursts_in(seconds) };
        let call = Call::new(plan, &mut Seed(number.into()));
        let heads: Vec<Vec<u8>> = call.datagrams().iter().map(|datagram| datagram[..HEAD].to_vec()).collect();
        let signed = self.sign(&heads);
        (call, signed)
    }

    /// Each with its HMAC behind it.
    #[must_use]
    pub fn sign(&self, heads: &[Vec<u8>]) -> SignedCall {
        let signatures = signatures(&self.key, heads);
        heads.iter().zip(signatures).map(|(head, signature)| [head.as_slice(), &signature].concat()).collect()
    }

    /// Sends bytes as they are.
    pub fn send(&self, server: SocketAddr, bytes: &[u8]) {
        self.socket.send_to(bytes, server).unwrap();
    }

    /// Makes calls, all at once, as fast as the air carries them, and hears what comes meanwhile.
    pub fn talk(&mut self, server: SocketAddr, calls: &[SignedCall]) {
        let longest = calls.iter().map(Vec::len).max().unwrap_or(0);
        let mut due = Instant::now();
        for burst in 0..longest {
            calls.iter().filter_map(|call| call.get(burst)).for_each(|bytes| self.send(server, bytes));
            due += Duration::from_micros(BURST_US);
            while Instant::now() < due {
                self.hear();
            }
        }
    }

    /// Takes in what has come, and waits for it a moment.
    pub fn hear(&mut self) {
        let mut buffer = [0; 256];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(len) => self.heard.push(buffer[..len].to_vec()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What it has heard, by talkgroup: vocoder payload of each voice burst, in order.
    ///
    /// # Panics
    /// Where something is not signed as Python signs it, or not of the form.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<u32, Vec<[u8; AMBE_LEN]>> {
        assert!(self.heard.iter().all(|bytes| bytes.len() == 73), "of another length");
        let heads: Vec<Vec<u8>> = self.heard.iter().map(|bytes| bytes[..HEAD].to_vec()).collect();
        for (bytes, signature) in self.heard.iter().zip(signatures(&self.key, &heads)) {
            assert_eq!(bytes[HEAD..], signature, "wrongly signed");
        }
        payloads(&self.heard)
    }
}

/// Vocoder payload of the voice bursts of datagrams that begin as a `DMRD`, by talkgroup and in order.
#[must_use]
pub fn payloads(datagrams: &[Vec<u8>]) -> BTreeMap<u32, Vec<[u8; AMBE_LEN]>> {
    let mut calls: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for bytes in datagrams.iter().filter(|bytes| bytes.starts_with(b"DMRD")) {
        let talkgroup = u32::from_be_bytes([0, bytes[8], bytes[9], bytes[10]]);
        let voice = calls.entry(talkgroup).or_default();
        if bytes[15] & 0x20 == 0 {
            voice.push(dmr::ambe(bytes[20..HEAD].first_chunk().unwrap()));
        }
    }
    calls
}

fn signatures(key: &str, heads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    let input = format!("{key}\n{}", heads.iter().map(hex).collect::<String>());
    let output = run(Command::new("python3").args(["-c", SIGN]), &input);
    assert!(output.status.success(), "{output:?}");
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}
