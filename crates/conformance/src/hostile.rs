//! Everything that a network can send, with answers, orders and time between it: by seeds, tens of thousands of datagrams.

use std::net::SocketAddr;
use std::time::Duration;

use stack::{DeviceSettings, Gone, Input, Login, MAX_DATAGRAM, Output, Slot};

use crate::deliver::{deliver, frame};
use crate::seed::Seed;
use crate::talk::{Answers, Said, asked};
use crate::witness::Witness;
use crate::{CAPACITY, Subject, state};

/// Datagrams of one seed.
const DATAGRAMS: usize = 4000;
/// Those of them that come last.
const CROWD: usize = 500;
const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn check(subject: &Subject) {
    strangers(subject);
    for (number, capacity) in (1..).zip([CAPACITY, CAPACITY, CAPACITY, 4, 3, 2, 1, 0]) {
        one_seed(subject, number, capacity);
    }
}

/// What is no packet, from nobody: nothing comes of it, ever.
fn strangers(subject: &Subject) {
    let mut seed = Seed(7);
    let mut witness = Witness::new(subject, CAPACITY, "noise from strangers");
    let said = witness.converse(Answers::AtOnce).said;
    let before = (witness.up.clone(), witness.records.clone());
    for _ in 0..2 * DATAGRAMS {
        let len = seed.below(MAX_DATAGRAM + 1);
        let mut bytes = seed.bytes(len);
        if let Some(Said { bytes: honest, .. }) = said.get(seed.below(2 * said.len())) {
            // What begins like an honest one gets further, and may have its length.
            let begin = seed.below(honest.len().min(8) + 1);
            bytes.resize(if seed.below(2) == 0 { honest.len() } else { bytes.len().max(begin) }, 0);
            bytes[..begin].copy_from_slice(&honest[..begin]);
        }
        let from = stranger(&mut seed);
        witness.input(Input::Datagram { listener: 0, from, local: None, bytes: &bytes });
    }
    if (&witness.up, &witness.records) != (&before.0, &before.1) {
        witness.fail("noise from strangers changes no context", "other contexts than before it");
    }
}

fn stranger(seed: &mut Seed) -> SocketAddr {
    let bytes = seed.draw().to_le_bytes();
    SocketAddr::from(([203, 0, 113, bytes[0]], u16::from_le_bytes([bytes[1], bytes[2]]) | 1))
}

fn one_seed(subject: &Subject, number: u64, capacity: u16) {
    let of = format!("what a network can send, seed {number}, with room for {capacity}");
    let mut seed = Seed(number);
    let mut witness = Witness::new(subject, capacity, &of);
    let said = witness.converse(Answers::AtOnce).said;
    let mut remaining = Witness::new(subject, capacity, "the honest conversation, and a day without anybody");
    remaining.converse(Answers::AtOnce);
    remaining.jump(DAY);
    remaining.jump(DAY);
    let mut open: Vec<Login> = Vec::new();
    for _ in 0..DATAGRAMS {
        let Said { listener, from, bytes } = mutated(&mut seed, &said);
        let local = (seed.below(8) == 0).then(|| SocketAddr::from(([127, 0, 0, 1], 0)).ip());
        let outputs = witness.input(Input::Datagram { listener, from, local, bytes: &bytes });
        open.extend(asked(&outputs));
        if open.len() > 64 {
            open.remove(0);
        }
        if seed.below(4) == 0 {
            something_else(&mut witness, &mut seed, &mut open);
        }
    }
    crowd(&mut witness, &mut seed, &said);
    witness.jump(DAY);
    witness.jump(DAY);
    let count = |records: &[Option<Vec<u8>>]| records.iter().flatten().count();
    let (left, most) = (count(&witness.records), count(&remaining.records));
    if left > most {
        let came = format!("{left} contexts, and {most} are left of an honest conversation");
        witness.fail("of what a network sends nothing is left after a day", came);
    }
    // It serves as before.
    witness.input(Input::Shutdown);
    let frames = witness.converse(Answers::AtOnce).frames;
    let mut fresh = Witness::new(subject, capacity, of);
    if frames != fresh.converse(Answers::AtOnce).frames || witness.up.len() != fresh.up.len() {
        let came = format!("{} are up, {} in a new stack", witness.up.len(), fresh.up.len());
        witness.fail("after all this, and a shutdown, the honest conversation goes as in a new stack", came);
    }
}

/// Many come who are nearly honest, and are let in, as far as there is room.
fn crowd(witness: &mut Witness, seed: &mut Seed, said: &[Said]) {
    for _ in 0..CROWD {
        let Some(Said { listener, bytes, .. }) = said.get(seed.below(said.len())) else { return };
        let (mut bytes, from) = (bytes.clone(), stranger(seed));
        seed.flip(&mut bytes);
        let outputs =
            witness.input(Input::Datagram { listener: *listener, from, local: None, bytes: &bytes });
        for login in asked(&outputs) {
            witness.answer(&login, Answers::AtOnce);
        }
    }
}

/// An honest datagram, or what somebody has made of one.
fn mutated(seed: &mut Seed, said: &[Said]) -> Said {
    let stranger = Said { listener: 0, from: stranger(seed), bytes: Vec::new() };
    let mut datagram = said.get(seed.below(said.len())).cloned().unwrap_or(stranger);
    let bytes = &mut datagram.bytes;
    match seed.below(12) {
        0 => {}
        1 => bytes.clear(),
        2 => bytes.truncate(seed.below(bytes.len() + 1)),
        3 => {
            let more = seed.below(64);
            bytes.extend(seed.bytes(more));
        }
        4 => bytes.resize(MAX_DATAGRAM, seed.draw().to_le_bytes()[0]),
        5 => {
            let len = seed.below(MAX_DATAGRAM + 1);
            *bytes = seed.bytes(len);
        }
        6 => {
            // The end of another one.
            if let Some(Said { bytes: other, .. }) = said.get(seed.below(said.len())) {
                let (begin, end) = (seed.below(bytes.len() + 1), seed.below(other.len() + 1));
                bytes.truncate(begin);
                bytes.extend(&other[end..]);
            }
        }
        7 => {
            let (at, value) = (seed.below(bytes.len()), [0, 0xFF, b'0', b'"'][seed.below(4)]);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        _ => (0..=seed.below(3)).for_each(|_| seed.flip(bytes)),
    }
    bytes.truncate(MAX_DATAGRAM);
    match seed.below(8) {
        0 => datagram.from = self::stranger(seed),
        1 => datagram.from = said.get(seed.below(said.len())).map_or(datagram.from, |other| other.from),
        2 => datagram.listener = 1 - datagram.listener.min(1),
        _ => {}
    }
    datagram
}

/// Answers, orders, time.
fn something_else(witness: &mut Witness, seed: &mut Seed, open: &mut Vec<Login>) {
    let small = seed.draw().to_le_bytes()[0];
    let id = known_id(witness, seed);
    match seed.below(14) {
        0..4 if !open.is_empty() => {
            let login = open.swap_remove(seed.below(open.len()));
            let answers = [Answers::AtOnce, Answers::Twice, Answers::No][seed.below(3)];
            witness.answer(&login, answers);
        }
        4 => drop(witness.input(Input::Evict {
            id,
            keep: None,
            gone: [Gone::Kicked, Gone::Replaced][seed.below(2)],
        })),
        5 => {
            let many: Vec<u32> = (1..=u32::from(small)).collect();
            let statics = [many.clone(), vec![91]];
            let settings = DeviceSettings { statics, blocked: many, single: small & 1 == 0 };
            witness.input(Input::Settings { id, settings });
        }
        6 => drop(witness.input(Input::Unwanted { context: small.into(), slot: Slot::ALL[seed.below(2)] })),
        7 => drop(witness.input(Input::Peer { id: id ^ u32::from(small & 1), settings: None })),
        8 => {
            let context = u16::from(small) % witness.capacity.max(1);
            deliver(witness, context, Slot::ALL[seed.below(2)], &frame(small));
        }
        9 if seed.below(16) == 0 => drop(state::hand_over(witness)),
        10 if seed.below(64) == 0 => drop(witness.jump(Duration::from_secs(60 * u64::from(small)))),
        _ => drop(witness.pass(Duration::from_millis(u64::from(small)))),
    }
    let is_due = witness.due().is_some_and(|at| at <= witness.now.mono);
    let outputs = if is_due { witness.timeout() } else { Vec::new() };
    if let Some(frame) = outputs.iter().find(|output| matches!(output, Output::Frame { .. })) {
        witness.fail("no burst comes of time that passes", format!("{frame:?}"));
    }
}

/// The ID of a context that is up, or of none.
fn known_id(witness: &Witness, seed: &mut Seed) -> u32 {
    let place = seed.below(witness.up.len() + 1);
    witness.up.values().nth(place).map_or(9, |profile| profile.id)
}
