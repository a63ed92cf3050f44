//! One MMDVM client, as its master sees it: login, keepalive, and the way back after a refusal or a goodbye.
//!
//! Pure state: bytes and time (microseconds of the monotonic clock) go in, packets come out. What the client
//! hears and says on the air is not its business: `DMRD` goes past it.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::traffic::COLOUR_CODE;

/// The longest packet that a client sends.
const MAX_PACKET: usize = 308;
/// A handshake packet without an answer is sent again after this time, as all G4KLX clients do. It is also
/// the least time between two first packets of a login, so that a master that refuses is not flooded.
const RETRY_US: u64 = 10_000_000;
/// Time between two `RPTPING`.
const PING_US: u64 = 5_000_000;
/// A master that has confirmed nothing for so long is given up.
const DEAD_US: u64 = 60_000_000;

/// How far a client has come: the packet that it has sent last, unless it is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Not started, or it has said goodbye.
    Closed,
    /// `RPTL`: it wants a salt.
    Login,
    /// `RPTK`: it has answered the salt.
    Key,
    /// `RPTC`: it has told its configuration.
    Config,
    /// `RPTO`: it has asked for its talkgroups.
    Options,
    /// It is logged in.
    Running,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Closed => "RPTCL",
            Self::Login => "RPTL (login)",
            Self::Key => "RPTK (password)",
            Self::Config => "RPTC (configuration)",
            Self::Options => "RPTO (options)",
            Self::Running => "RPTPING (keepalive)",
        })
    }
}

/// The slots of a client's carrier, as its configuration says them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// Both: a duplex repeater.
    Both,
    /// TS1 alone.
    One,
    /// TS2 alone.
    Two,
    /// A simplex hotspot.
    Simplex,
}

/// The state of one client.
///
/// After each call that changes it, the caller sends what [`Client::poll_output`] gives and asks
/// [`Client::poll_timeout`] anew.
pub struct Client {
    id: u32,
    password: Arc<str>,
    options: String,
    colour_code: u8,
    slots: Slots,
    step: Step,
    salt: [u8; 4],
    due: bool,
    next_us: u64,
    dead_us: u64,
    login_us: u64,
    relogins: u32,
    naks: u32,
    refused: Option<Step>,
}

/// The text of an `RPTO` that asks for these static talkgroups on TS1 and TS2.
#[must_use]
pub fn options(ts1: &[u32], ts2: &[u32]) -> String {
    let list = |talkgroups: &[u32]| talkgroups.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    format!("TS1={};TS2={}", list(ts1), list(ts2))
}

impl Client {
    /// A client that has not started, with the text of its `RPTO` (at most 300 bytes are sent).
    #[must_use]
    pub fn new(id: u32, password: Arc<str>, options: String) -> Self {
        Self {
            id,
            password,
            options,
            colour_code: COLOUR_CODE,
            slots: Slots::Both,
            step: Step::Closed,
            salt: [0; 4],
            due: false,
            next_us: u64::MAX,
            dead_us: u64::MAX,
            login_us: 0,
            relogins: 0,
            naks: 0,
            refused: None,
        }
    }

    /// The same with this colour code (0..=15) and these slots.
    #[must_use]
    pub fn with_carrier(self, colour_code: u8, slots: Slots) -> Self {
        Self { colour_code, slots, ..self }
    }

    /// Its ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How far it has come.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// It is logged in.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.step == Step::Running
    }

    /// How often it had to log in again after it was running.
    #[must_use]
    pub fn relogins(&self) -> u32 {
        self.relogins
    }

    /// How many `MSTNAK` it got.
    #[must_use]
    pub fn naks(&self) -> u32 {
        self.naks
    }

    /// Where it was when the last `MSTNAK` came.
    #[must_use]
    pub fn refused(&self) -> Option<Step> {
        self.refused
    }

    /// Begins the first login.
    pub fn start(&mut self, now_us: u64) {
        self.step_to(Step::Login, now_us);
    }

    /// Says goodbye; nothing but [`Client::start`] moves it after that.
    pub fn close(&mut self) {
        self.step = Step::Closed;
        self.due = true;
        (self.next_us, self.dead_us) = (u64::MAX, u64::MAX);
    }

    /// Takes in a datagram of the master; one that is none of a handshake or not for this ID changes nothing.
    pub fn handle_input(&mut self, now_us: u64, bytes: &[u8]) {
        if self.step == Step::Closed {
            return;
        }
        if let Some(rest) = bytes.strip_prefix(b"RPTACK") {
            self.acknowledged(now_us, rest);
        } else if let Some(rest) = bytes.strip_prefix(b"MSTPONG") {
            if self.is_mine(rest) && self.is_running() {
                self.dead_us = now_us + DEAD_US;
            }
        } else if let Some(rest) = bytes.strip_prefix(b"MSTNAK") {
            if self.is_mine(rest) {
                self.naks = self.naks.saturating_add(1);
                self.refused = Some(self.step);
                self.log_in_again(now_us);
            }
        } else if let Some(rest) = bytes.strip_prefix(b"MSTCL")
            && self.is_mine(rest)
        {
            self.log_in_again(now_us);
        }
    }

    /// Does what is due: repeats, pings, or gives the master up.
    pub fn handle_timeout(&mut self, now_us: u64) {
        if now_us >= self.dead_us {
            self.log_in_again(now_us);
        } else if now_us >= self.next_us {
            self.step_to(self.step, now_us);
        }
    }

    /// When [`Client::handle_timeout`] is to be called; `u64::MAX` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> u64 {
        self.next_us.min(self.dead_us)
    }

    /// Writes the packet that is to be sent into `out`; false where there is none.
    pub fn poll_output(&mut self, out: &mut Vec<u8>) -> bool {
        if !std::mem::take(&mut self.due) {
            return false;
        }
        out.clear();
        let id = self.id.to_be_bytes();
        match self.step {
            Step::Closed => out.extend_from_slice(b"RPTCL"),
            Step::Login => out.extend_from_slice(b"RPTL"),
            Step::Key => out.extend_from_slice(b"RPTK"),
            Step::Config => out.extend_from_slice(b"RPTC"),
            Step::Options => out.extend_from_slice(b"RPTO"),
            Step::Running => out.extend_from_slice(b"RPTPING"),
        }
        out.extend_from_slice(&id);
        match self.step {
            Step::Key => {
                let digest = Sha256::new().chain_update(self.salt).chain_update(self.password.as_bytes());
                out.extend_from_slice(&digest.finalize());
            }
            Step::Config => {
                out.extend_from_slice(configuration(self.id, self.colour_code, self.slots).as_bytes());
            }
            Step::Options => out.extend_from_slice(self.options.as_bytes()),
            _ => {}
        }
        out.truncate(MAX_PACKET);
        true
    }

    fn is_mine(&self, rest: &[u8]) -> bool {
        rest.get(..4) == Some(&self.id.to_be_bytes())
    }

    fn acknowledged(&mut self, now_us: u64, rest: &[u8]) {
        let next = match self.step {
            Step::Login => {
                let Some(salt) = rest.first_chunk() else { return };
                self.salt = *salt;
                Step::Key
            }
            _ if !self.is_mine(rest) => return,
            Step::Key => Step::Config,
            Step::Config => Step::Options,
            Step::Options => Step::Running,
            Step::Closed | Step::Running => return,
        };
        self.dead_us = now_us + DEAD_US;
        self.step_to(next, now_us);
        if next == Step::Running {
            // Nothing is due on arrival: the first ping comes when one period is over.
            self.due = false;
        }
    }

    /// Sends the packet of `step` now and says when it is to be sent again.
    fn step_to(&mut self, step: Step, now_us: u64) {
        self.step = step;
        self.due = true;
        self.next_us = now_us + if step == Step::Running { PING_US } else { RETRY_US };
        if step == Step::Login {
            self.login_us = now_us;
        }
    }

    fn log_in_again(&mut self, now_us: u64) {
        if self.is_running() {
            self.relogins = self.relogins.saturating_add(1);
        }
        self.step = Step::Login;
        self.due = false;
        self.dead_us = u64::MAX;
        self.next_us = self.login_us + RETRY_US;
        if now_us >= self.next_us {
            self.step_to(Step::Login, now_us);
        }
    }
}

/// What follows the ID in `RPTC`: 294 bytes.
fn configuration(id: u32, colour_code: u8, slots: Slots) -> String {
    let (tx_frequency, slots) = match slots {
        Slots::Both => (438_600_000, 3),
        Slots::One => (438_600_000, 1),
        Slots::Two => (438_600_000, 2),
        Slots::Simplex => (431_000_000, 4),
    };
    format!(
        "{:<8}{:09}{:09}{:02}{:02}{:>8}{:>9}{:03}{:<20.20}{:<19.19}{}{:<124}{:<40}{:<40}",
        format!("S{:07}", id % 10_000_000),
        431_000_000,
        tx_frequency,
        10,
        colour_code,
        "55.75000",
        "037.61000",
        100,
        "Nowhere",
        "Simulated repeater",
        slots,
        "",
        concat!("sim-", env!("CARGO_PKG_VERSION")),
        "MMDVM_Simulated",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u32 = 2_501_001;

    fn client() -> Client {
        Client::new(ID, "passw0rd".into(), options(&[], &[91, 250]))
    }

    fn sent(client: &mut Client) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(client.poll_output(&mut out), "nothing to send");
        let mut more = Vec::new();
        assert!(!client.poll_output(&mut more), "sent twice");
        out
    }

    fn with_id(tag: &[u8]) -> Vec<u8> {
        [tag, &ID.to_be_bytes()].concat()
    }

    fn running(now_us: u64) -> Client {
        let mut client = client();
        client.start(now_us);
        sent(&mut client);
        client.handle_input(now_us, b"RPTACK\x3b\x27\x6c\x55");
        for _ in 0..3 {
            sent(&mut client);
            client.handle_input(now_us, &with_id(b"RPTACK"));
        }
        assert!(client.is_running());
        client
    }

    #[test]
    fn logs_in_step_by_step() {
        let mut client = client();
        client.start(1_000);
        assert_eq!(sent(&mut client), with_id(b"RPTL"));
        client.handle_input(2_000, b"RPTACK\x01\x02\x03\x04");
        let key = sent(&mut client);
        let digest = Sha256::digest(b"\x01\x02\x03\x04passw0rd");
        assert_eq!((key.len(), &key[..8], &key[8..]), (40, &with_id(b"RPTK")[..], &digest[..]));
        client.handle_input(3_000, &with_id(b"RPTACK"));
        let config = sent(&mut client);
        assert_eq!((config.len(), &config[..8], config[97]), (302, &with_id(b"RPTC")[..], b'3'));
        client.handle_input(4_000, &with_id(b"RPTACK"));
        assert_eq!(sent(&mut client), [&with_id(b"RPTO")[..], b"TS1=;TS2=91,250"].concat());
        client.handle_input(5_000, &with_id(b"RPTACK"));
        assert!(client.is_running() && !client.poll_output(&mut Vec::new()));
        assert_eq!(client.poll_timeout(), 5_000 + PING_US);
        client.handle_timeout(5_000 + PING_US);
        assert_eq!(sent(&mut client), with_id(b"RPTPING"));
        assert_eq!((client.relogins(), client.naks()), (0, 0));
    }

    #[test]
    fn says_what_its_carrier_is() {
        let simplex = configuration(ID, 7, Slots::Simplex);
        assert_eq!((simplex.len(), &simplex[28..30], &simplex[89..90]), (294, "07", "4"));
        assert_eq!(simplex[8..17], simplex[17..26]);
        let one = configuration(ID, 15, Slots::One);
        assert_eq!((one.len(), &one[28..30], &one[89..90]), (294, "15", "1"));
        assert_ne!(one[8..17], one[17..26]);
    }

    #[test]
    fn repeats_what_is_not_answered() {
        let mut client = client();
        client.start(0);
        assert_eq!(sent(&mut client), with_id(b"RPTL"));
        client.handle_timeout(RETRY_US - 1);
        assert!(!client.poll_output(&mut Vec::new()));
        client.handle_timeout(RETRY_US);
        assert_eq!(sent(&mut client), with_id(b"RPTL"));
        client.handle_input(RETRY_US, b"RPTACK\0\0\0\0");
        let key = sent(&mut client);
        client.handle_timeout(2 * RETRY_US);
        assert_eq!(sent(&mut client), key);
    }

    #[test]
    fn a_second_salt_is_no_acknowledgement() {
        let mut client = client();
        client.start(0);
        client.handle_input(0, b"RPTACK\x01\x02\x03\x04");
        client.handle_input(0, b"RPTACK\x01\x02\x03\x04");
        assert_eq!(client.step(), Step::Key);
    }

    #[test]
    fn logs_in_again_when_refused_but_not_in_a_flood() {
        let mut client = running(0);
        client.handle_input(RETRY_US + 5, &with_id(b"MSTNAK"));
        assert_eq!(sent(&mut client), with_id(b"RPTL"));
        assert_eq!((client.relogins(), client.naks(), client.refused()), (1, 1, Some(Step::Running)));
        client.handle_input(RETRY_US + 6, &with_id(b"MSTNAK"));
        assert!(!client.poll_output(&mut Vec::new()));
        assert_eq!((client.relogins(), client.naks(), client.refused()), (1, 2, Some(Step::Login)));
        assert_eq!(client.poll_timeout(), 2 * RETRY_US + 5);
    }

    #[test]
    fn a_goodbye_of_the_master_leads_to_a_new_login() {
        let mut client = running(0);
        client.handle_input(1, b"MSTCL\0\0\0\x01");
        assert!(client.is_running(), "another's goodbye");
        client.handle_input(1, &with_id(b"MSTCL"));
        assert_eq!((client.step(), client.relogins(), client.naks()), (Step::Login, 1, 0));
        client.handle_timeout(RETRY_US);
        assert_eq!(sent(&mut client), with_id(b"RPTL"));
    }

    #[test]
    fn a_silent_master_is_given_up() {
        let mut client = running(0);
        for ping in 1..12 {
            client.handle_timeout(ping * PING_US);
            assert_eq!(sent(&mut client), with_id(b"RPTPING"));
        }
        client.handle_input(56_000_000, &with_id(b"MSTPONG"));
        client.handle_timeout(DEAD_US);
        assert_eq!(sent(&mut client), with_id(b"RPTPING"));
        client.handle_timeout(56_000_000 + DEAD_US);
        assert_eq!(sent(&mut client), with_id(b"RPTL"));
        assert_eq!(client.relogins(), 1);
    }

    #[test]
    fn a_closed_client_stays_closed() {
        let mut client = running(0);
        client.close();
        assert_eq!(sent(&mut client), with_id(b"RPTCL"));
        client.handle_input(1, &with_id(b"MSTNAK"));
        assert_eq!((client.step(), client.poll_timeout()), (Step::Closed, u64::MAX));
        client.handle_timeout(2 * DEAD_US);
        assert!(!client.poll_output(&mut Vec::new()));
    }

    #[test]
    fn no_input_harms() {
        for step in 0..5 {
            let mut client = running(0);
            client.step = [Step::Login, Step::Key, Step::Config, Step::Options, Step::Running][step];
            for bytes in [&b""[..], b"RPTACK", b"RPTACK\x01", b"MSTNAK", b"MSTCL", b"MSTPONG", b"\xff\xff"] {
                client.handle_input(1, bytes);
            }
            assert_eq!(client.naks(), 0);
        }
    }
}
