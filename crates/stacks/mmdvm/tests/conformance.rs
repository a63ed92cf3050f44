//! The stack keeps what every stack promises, in both dialects.

#![allow(clippy::unwrap_used, reason = "a failed test is to stop")]

use std::net::SocketAddr;

use conformance::{Subject, Talk};
use mmdvm::{Mmdvm, Settings};
use stack::{Access, CallAccess};

fn packet(tag: &str, id: u32, rest: &[u8]) -> Vec<u8> {
    [tag.as_bytes(), &id.to_be_bytes(), rest].concat()
}

/// A configuration; `slots`: 3 for a duplex repeater, 4 for a hotspot.
fn rptc(slots: char) -> String {
    let (call, tx, rx) = ("N0CALL", 435_000_000, 431_000_000);
    let place = format!("{:>8}{:>9}075{:<20}{:<19}", "50.12345", "008.67890", "Here", "A hill");
    format!("{call:<8}{tx:09}{rx:09}1001{place}{slots}{:<124}{:<40}{:<40}", "www", "v1", "MMDVM")
}

fn dmrd(id: u32, flags: u8) -> Vec<u8> {
    let head = [&b"DMRD"[..], &[7, 0, 0, 9, 0, 0, 91], &id.to_be_bytes(), &[flags, 1, 2, 3, 4]].concat();
    [&head[..], &[0x55; 33], &[3, 70]].concat()
}

fn converse(talk: &mut Talk<'_>) {
    let at = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
    for (id, port, slots) in [(2_623_266, 1, '3'), (262_326_601, 2, '4')] {
        talk.send(at(port), &packet("RPTL", id, &[]));
        talk.send(at(port), &packet("RPTK", id, &[7; 32]));
        talk.send(at(port), &packet("RPTC", id, rptc(slots).as_bytes()));
        talk.send(at(port), &packet("RPTO", id, b"TS1=9;TS2=91,92;"));
        talk.send(at(port), &packet("RPTPING", id, &[]));
        [0x21, 0x10, 0x01, 0x22].iter().for_each(|&flags| drop(talk.send(at(port), &dmrd(id, flags))));
    }
    // One of the text dialect, over IPv6, and one that leaves.
    let v6 = "[2001:db8::3]:3".parse().unwrap();
    talk.send_to(1, v6, b"RPTL00280704");
    talk.send_to(1, v6, format!("RPTK00280704{}", "A5".repeat(32)).as_bytes());
    talk.send_to(1, v6, format!("RPTC00280704{}", &rptc('3')[..294]).as_bytes());
    talk.send_to(1, v6, b"MSTPING00280704");
    talk.send(at(4), &packet("RPTL", 5, &[]));
    talk.send(at(4), &packet("RPTK", 5, &[7; 32]));
    talk.send(at(4), &packet("RPTC", 5, rptc('3').as_bytes()));
    talk.send(at(4), &packet("RPTCL", 5, &[]));
}

#[test]
fn it_keeps_what_every_stack_promises() {
    conformance::check(&Subject {
        longest: mmdvm::MAX_LEN,
        // A salt as text comes with the ID.
        amplifies_by: 10,
        make: |capacity, _| {
            let (devices, call_signs) = (Access::default(), CallAccess::default());
            Box::new(Mmdvm::new(Settings { salt_key: [9; 32], capacity, devices, call_signs }))
        },
        converse,
    });
}
