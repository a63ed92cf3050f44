//! The honest conversation: what clients say, and how the questions of the stack are answered meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use stack::{Answer, Ask, DeviceSettings, Input, Login, Now, Output, Verdict};

use crate::witness::Witness;

/// How questions are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// With yes.
    AtOnce,
    /// With no.
    No,
    Never,
    /// With yes, two times.
    Twice,
}

/// A datagram that was sent.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) listener: u8,
    pub(crate) from: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// What is known of a conversation at its end.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) said: Vec<Said>,
    /// Bursts that came of it.
    pub(crate) frames: usize,
    pub(crate) asked: Vec<Login>,
}

/// A conversation with a stack.
pub struct Talk<'a> {
    witness: &'a mut Witness,
    answers: Answers,
    told: Told,
}

impl Talk<'_> {
    /// The present moment, where a datagram says it. Both clocks start with the conversation somewhere after zero.
    #[must_use]
    pub fn now(&self) -> Now {
        self.witness.now
    }

    /// A datagram comes to the first listen address. Returns what the stack sends because of it, to whomever. A question of a
    /// login is answered with yes, and a static talkgroup on TS2.
    pub fn send(&mut self, from: SocketAddr, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.send_to(0, from, bytes)
    }

    /// The same to another listen address: 1 is the one of IPv6.
    pub fn send_to(&mut self, listener: u8, from: SocketAddr, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.told.said.push(Said { listener, from, bytes: bytes.to_vec() });
        self.tell(Input::Datagram { listener, from, local: None, bytes })
    }

    /// Something else goes into the stack: what is set for another network, or for a device. Returns what the stack sends.
    pub fn tell(&mut self, input: Input<'_>) -> Vec<Vec<u8>> {
        let mut outputs = self.witness.input(input);
        for login in asked(&outputs) {
            self.told.asked.push(login.clone());
            outputs.append(&mut self.witness.answer(&login, self.answers));
        }
        self.told.frames += outputs.iter().filter(|output| matches!(output, Output::Frame { .. })).count();
        outputs
            .iter()
            .filter_map(
                |output| if let Output::Send(sent) = output { Some(sent.bytes().to_vec()) } else { None },
            )
            .collect()
    }

    /// Time passes, and what is due is done when it is.
    pub fn wait(&mut self, by: Duration) {
        self.witness.pass(by);
    }
}

/// The questions among these.
pub(crate) fn asked(outputs: &[Output]) -> Vec<Login> {
    let ask = |output: &Output| match output {
        Output::Ask(ask) => {
            let Ask::Login(login) = &**ask;
            Some(login.clone())
        }
        _ => None,
    };
    outputs.iter().filter_map(ask).collect()
}

/// The answer to a question.
pub(crate) fn answer(Login { id, from, .. }: &Login, is_yes: bool) -> Answer {
    let settings = DeviceSettings { statics: [vec![], vec![91]], ..DeviceSettings::default() };
    let verdict = if is_yes { Verdict::Accepted { settings } } else { Verdict::Refused { tell: true } };
    Answer::Login { id: *id, from: *from, verdict }
}

impl Witness {
    /// Holds the honest conversation.
    pub(crate) fn converse(&mut self, answers: Answers) -> Told {
        let converse = self.converse;
        let mut talk = Talk { witness: self, answers, told: Told::default() };
        converse(&mut talk);
        talk.told
    }

    /// Answers a question.
    pub(crate) fn answer(&mut self, login: &Login, answers: Answers) -> Vec<Output> {
        if answers == Answers::Never {
            return Vec::new();
        }
        let is_yes = answers != Answers::No;
        let outputs = self.input(Input::Answer(answer(login, is_yes)));
        if answers == Answers::Twice {
            self.must_change_nothing(Input::Answer(answer(login, is_yes)), "a second answer changes nothing");
        }
        outputs
    }
}
