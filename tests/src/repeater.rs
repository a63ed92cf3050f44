//! One simulated repeater with a socket of its own, for tests that look at single answers.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sim::client::{Client, Step};
use sim::traffic::{BURST_US, Call, Plan, Seed, bursts_in};

use crate::wait_for;

/// A call must have another number than the one before: its stream ID is made from it.
static CALLS: AtomicU32 = AtomicU32::new(1);

/// A repeater.
pub struct Repeater {
    client: Client,
    socket: UdpSocket,
    now_us: u64,
    /// All datagrams that came and have not been asked for.
    pub heard: Vec<Vec<u8>>,
}

impl Repeater {
    /// One that has not logged in yet.
    #[must_use]
    pub fn new(server: SocketAddr, id: u32, password: &str, options: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let client = Client::new(id, password.into(), options.to_owned());
        Self { client, socket, now_us: 0, heard: Vec::new() }
    }

    /// Whence it speaks.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Sends the first packet of a login.
    pub fn begin(&mut self) {
        self.client.start(self.now_us);
        self.turn();
    }

    /// Logs in; false where the password was refused.
    pub fn log_in(&mut self) -> bool {
        self.client.start(self.now_us);
        let naks = self.client.naks();
        wait_for("a login", || {
            self.turn();
            (self.client.is_running() || self.client.naks() > naks).then(|| self.client.is_running())
        })
    }

    /// Sends bytes as they are.
    pub fn send(&self, bytes: &[u8]) {
        self.socket.send(bytes).unwrap();
    }

    /// How often it was refused.
    #[must_use]
    pub fn naks(&self) -> u32 {
        self.client.naks()
    }

    /// How far its login is.
    #[must_use]
    pub fn step(&self) -> Step {
        self.client.step()
    }

    /// Sends what it has to say and takes in what has come.
    pub fn turn(&mut self) {
        self.now_us += 5_000;
        self.client.handle_timeout(self.now_us);
        let mut out = Vec::new();
        while self.client.poll_output(&mut out) {
            self.send(&out);
        }
        let mut buffer = [0; 512];
        match self.socket.recv(&mut buffer) {
            Ok(len) => {
                self.client.handle_input(self.now_us, &buffer[..len]);
                self.heard.push(buffer[..len].to_vec());
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// A group call on TS2 from here, of about so many seconds, whose bursts are still to be sent.
    #[must_use]
    pub fn group_call(&self, source: u32, talkgroup: u32, seconds: u32) -> Call {
        let number = CALLS.fetch_add(1, Ordering::Relaxed);
        let (repeater, bursts) = (self.client.id(), bursts_in(seconds));
        let plan = Plan { number, repeater, source, talkgroup, ts2: true, bursts };
        Call::new(plan, &mut Seed(number.into()))
    }

    /// Sends bursts as fast as the air carries them.
    pub fn talk(&mut self, bursts: &[[u8; sim::traffic::DMRD_LEN]]) {
        let mut due = Instant::now();
        for burst in bursts {
            self.send(burst);
            due += Duration::from_micros(BURST_US);
            while Instant::now() < due {
                self.turn();
            }
        }
    }

    /// Takes in what has come; how many bursts there are among all that was not asked for.
    pub fn bursts(&mut self) -> usize {
        let mut before = usize::MAX;
        while self.heard.len() != before {
            before = self.heard.len();
            self.turn();
        }
        self.heard.iter().filter(|bytes| bytes.starts_with(b"DMRD")).count()
    }

    /// Waits for a datagram that begins so.
    pub fn wait(&mut self, prefix: &[u8]) -> Vec<u8> {
        wait_for("a datagram", || {
            self.turn();
            let at = self.heard.iter().position(|bytes| bytes.starts_with(prefix))?;
            Some(self.heard.remove(at))
        })
    }
}
