//! Tests of a whole shard. The bench stands in for the worker (time) and the services (passwords).

mod device;
mod hostile;
mod login;
mod recordings;
mod text;

use std::net::SocketAddr;
use std::time::Duration;

use dmr::{BURST_LEN, BurstKind};
use sha2::{Digest, Sha256};
use stack::{
    Access, Answer, Ask, CallAccess, CallType, DeviceSettings, Frame, Gone, Input, Login, Notice, Now,
    Output, Profile, Stack, Verdict,
};

use crate::{Mmdvm, Settings};

const PASSWORD: &[u8] = b"s3cr37w0rd";
const ID: u32 = 2_623_266;

struct Bench {
    mmdvm: Mmdvm,
    now: Now,
}

/// An address of the device behind port `port`.
fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn digest(salt: &[u8], password: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(password).finalize().into()
}

/// Tag, ID and `rest`.
fn packet(tag: &str, id: u32, rest: &[u8]) -> Vec<u8> {
    [tag.as_bytes(), &id.to_be_bytes(), rest].concat()
}

/// A configuration of a duplex repeater.
fn rptc(id: u32) -> Vec<u8> {
    let body = format!(
        "{:<8}{:09}{:09}{:02}{:02}{:>8}{:>9}{:03}{:<20}{:<19}{}{:<124}{:<40}{:<40}",
        "N0CALL",
        435_000_000,
        431_000_000,
        10,
        1,
        "50.12345",
        "008.67890",
        75,
        "Here",
        "A hill",
        3,
        "www",
        "v1",
        "MMDVM",
    );
    packet("RPTC", id, body.as_bytes())
}

/// The same for a simplex hotspot.
fn rptc_simplex(id: u32) -> Vec<u8> {
    let mut bytes = rptc(id);
    bytes[97] = b'4';
    bytes
}

fn dmrd(id: u32, flags: u8) -> Vec<u8> {
    let head = [&b"DMRD"[..], &[7, 0, 0, 9, 0, 0, 91], &id.to_be_bytes(), &[flags, 1, 2, 3, 4]].concat();
    [&head[..], &[0x55; BURST_LEN], &[3, 70]].concat()
}

fn frame() -> Frame {
    Frame {
        source: 9,
        destination: 91,
        call: CallType::Group,
        kind: BurstKind::Voice(0),
        sequence: 7,
        ber: 3,
        rssi: 70,
        burst: [0x55; BURST_LEN],
    }
}

/// The services: is the digest one of the password?
fn services(outputs: &[Output], statics: &[Vec<u32>; 2]) -> Option<Answer> {
    let ask =
        outputs.iter().find_map(|output| if let Output::Ask(ask) = output { Some(ask) } else { None })?;
    let Ask::Login(Login { id, from, salts, text, digest: given }) = &**ask;
    let right = salts.iter().any(|salt| {
        let [a, b, c, d] = salt;
        let as_text = format!("{a:02X}{b:02X}{c:02X}{d:02X}");
        digest(if *text { as_text.as_bytes() } else { salt }, PASSWORD) == *given
    });
    let verdict = if right {
        Verdict::Accepted { settings: registered(statics.clone()) }
    } else {
        Verdict::Refused { tell: true }
    };
    Some(Answer::Login { id: *id, from: *from, verdict })
}

/// What the registry says of a device with these static talkgroups.
fn registered(statics: [Vec<u32>; 2]) -> DeviceSettings {
    DeviceSettings { statics, ..DeviceSettings::default() }
}

/// What was sent.
fn sent(outputs: &[Output]) -> Vec<Vec<u8>> {
    outputs
        .iter()
        .filter_map(|output| if let Output::Send(sent) = output { Some(sent.bytes().to_vec()) } else { None })
        .collect()
}

/// The profiles of the `Up`s.
fn profiles(outputs: &[Output]) -> Vec<Profile> {
    outputs
        .iter()
        .filter_map(
            |output| if let Output::Up { profile, .. } = output { Some((**profile).clone()) } else { None },
        )
        .collect()
}

/// The outputs in short words, for comparing.
fn words(outputs: &[Output]) -> Vec<String> {
    outputs.iter().map(word).collect()
}

fn word(output: &Output) -> String {
    match output {
        Output::Send(sent) => {
            let tags = ["RPTACK", "MSTACK", "MSTNAK", "MSTPONG", "RPTPONG", "MSTCL", "DMRD"];
            let tag = tags.into_iter().find(|tag| sent.bytes().starts_with(tag.as_bytes())).unwrap();
            format!("{tag} to {}", sent.envelope.to.port())
        }
        Output::Frame { context, slot, .. } => format!("frame {context} TS{}", slot.number()),
        Output::Changed(context) => format!("changed {context}"),
        Output::Up { context, .. } => format!("up {context}"),
        Output::Down(context) => format!("down {context}"),
        Output::Ask(_) => "ask".into(),
        Output::Interrupt { id, slot } => format!("interrupt {id} TS{}", slot.number()),
        Output::Refused(why) => format!("refused {why:?}"),
        Output::Notice(notice) => match &**notice {
            Notice::Refused { .. } => "told Refused".into(),
            Notice::Up { .. } => "told Up".into(),
            Notice::Down { gone, .. } => format!("told Down {gone:?}"),
        },
    }
}

impl Bench {
    fn new(capacity: u16) -> Self {
        Self::with_access(capacity, Access::default(), CallAccess::default())
    }

    fn with_access(capacity: u16, devices: Access, call_signs: CallAccess) -> Self {
        let mmdvm = Mmdvm::new(Settings { salt_key: [9; 32], capacity, devices, call_signs });
        Self { mmdvm, now: Now::default().after(Duration::from_secs(1000)) }
    }

    fn input(&mut self, input: Input<'_>) -> Vec<Output> {
        self.mmdvm.handle_input(self.now, input);
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.mmdvm.poll_output()).collect()
    }

    fn send(&mut self, from: SocketAddr, bytes: &[u8]) -> Vec<Output> {
        self.input(Input::Datagram { listener: 1, from, local: None, bytes })
    }

    /// Time passes; what is due is done when it is.
    fn wait(&mut self, by: Duration) -> Vec<Output> {
        let end = self.now.after(by);
        let mut outputs = Vec::new();
        while let Some(at) = self.mmdvm.poll_timeout().filter(|at| *at <= end.mono) {
            self.now = self.now.after(at.since(self.now.mono));
            self.mmdvm.handle_timeout(self.now);
            outputs.append(&mut self.outputs());
        }
        self.now = end;
        outputs
    }

    /// `RPTL`, and the `RPTK` that answers it.
    fn key(&mut self, id: u32, from: SocketAddr, password: &[u8]) -> Vec<u8> {
        let salt = sent(&self.send(from, &packet("RPTL", id, &[])));
        assert_eq!((salt[0].len(), &salt[0][..6]), (10, &b"RPTACK"[..]));
        packet("RPTK", id, &digest(&salt[0][6..], password))
    }

    /// A login up to the acknowledgement of `RPTK`.
    fn login(&mut self, id: u32, from: SocketAddr, statics: &[Vec<u32>; 2]) -> Vec<Output> {
        let key = self.key(id, from, PASSWORD);
        let asked = self.send(from, &key);
        assert_eq!(words(&asked), ["ask"]);
        self.input(Input::Answer(services(&asked, statics).unwrap()))
    }

    /// A login up to the acknowledgement of `RPTC`.
    fn run(&mut self, id: u32, from: SocketAddr) -> Vec<Output> {
        let mut outputs = self.login(id, from, &[vec![], vec![]]);
        outputs.append(&mut self.send(from, &rptc(id)));
        outputs
    }

    fn evict(&mut self, id: u32, keep: Option<SocketAddr>, gone: Gone) -> Vec<String> {
        words(&self.input(Input::Evict { id, keep, gone }))
    }
}
