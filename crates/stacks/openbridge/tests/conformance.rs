//! The stack keeps what every stack promises: with a peer that speaks the extensions, one that does not, and one that moves.

#![allow(clippy::unwrap_used, reason = "a failed test is to stop")]

use std::net::SocketAddr;
use std::time::Duration;

use conformance::{Subject, Talk};
use openbridge::{MAX_LEN, OpenBridge, Settings, Signer};
use stack::{Input, Key, PeerSettings, Talkgroups};

fn key() -> Key {
    Key::new("s3cr37").unwrap()
}

/// A burst of a call to talkgroup 91, signed.
fn dmrd(network: u32, stream: u32, flags: u8) -> Vec<u8> {
    let head =
        [&b"DMRD"[..], &[7, 0, 0, 9, 0, 0, 91], &network.to_be_bytes(), &[flags], &stream.to_be_bytes()];
    let bytes = [&head.concat()[..], &[0x55; 33]].concat();
    let signature = Signer::new(&key()).unwrap().sign(&bytes);
    [&bytes[..], &signature].concat()
}

fn signed(tag: &str, rest: &[u8], is_tag_signed: bool) -> Vec<u8> {
    let bytes = [tag.as_bytes(), rest].concat();
    let signature = Signer::new(&key()).unwrap().sign(if is_tag_signed { &bytes } else { rest });
    [&bytes[..], &signature].concat()
}

fn converse(talk: &mut Talk<'_>) {
    let at = |number: u8| SocketAddr::from(([192, 0, 2, number], 62_035));
    for id in 1..=3 {
        let all = vec![(1, 0xFF_FFFF)];
        let talkgroups = Talkgroups { out: all.clone(), r#in: all, renamed: vec![] };
        let number = u8::try_from(id).unwrap();
        let address = (id < 3).then(|| at(number));
        let settings = PeerSettings {
            address,
            learns: id == 3,
            key: key(),
            own_id: None,
            enhanced: id == 2,
            talkgroups,
        };
        talk.tell(Input::Peer { id, settings: Some(Box::new(settings)) });
        talk.wait(Duration::from_millis(100));
        talk.send(at(number), &dmrd(id, 70 + id, 0x21));
        talk.send(at(number), &dmrd(id, 70 + id, 0x10));
    }
    talk.send(at(2), &signed("BCKA", &[], true));
    talk.send(at(2), &signed("BCVE", &[5], false));
    talk.wait(Duration::from_secs(11));
    talk.send(at(2), &signed("BCKA", &[], true));
    talk.send(at(2), &signed("BCSQ", &[0, 0, 91, 9, 9, 9, 9], true));
    talk.send(at(4), &dmrd(3, 80, 0x21));
    talk.send(at(1), &dmrd(1, 81, 0x21));
}

#[test]
fn it_keeps_what_every_stack_promises() {
    conformance::check(&Subject {
        longest: MAX_LEN,
        amplifies_by: 0,
        make: |capacity, listen| {
            Box::new(OpenBridge::new(Settings { network: 25_011, listen: listen.to_vec(), capacity }))
        },
        converse,
    });
}
