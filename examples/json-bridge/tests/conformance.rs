//! The bridge keeps what every stack promises.

use conformance::{Subject, Talk, check};
use json_bridge::{Bridge, MAX_LEN};

const HELLO: &[u8] = br#"{"hello": {"name": "recorder", "talkgroups": [91], "token": "l3tm31n!"}}"#;

fn converse(talk: &mut Talk<'_>) {
    let [first, second] = ["127.0.0.1:1000", "127.0.0.1:2000"].map(|address| address.parse().unwrap());
    talk.send(first, HELLO);
    talk.send(second, br#"{"hello": {"name": "script", "talkgroups": [91, 92], "token": "l3tm31n!"}}"#);
    let burst = format!(
        r#"{{"burst": {{"source": 9, "destination": 91, "call": "group", "kind": {{"data": 1}}, "stream": 7, "burst": "{}"}}}}"#,
        "5a".repeat(33)
    );
    talk.send(second, burst.as_bytes());
    talk.send(first, HELLO);
    talk.send_to(
        1,
        "[::1]:3000".parse().unwrap(),
        &String::from_utf8_lossy(HELLO).replace("recorder", "v6").into_bytes(),
    );
    talk.send(first, br#"{"hello": {"name": "recorder", "talkgroups": [], "token": "not this"}}"#);
}

#[test]
fn it_keeps_what_every_stack_promises() {
    let make = |capacity, _: &[_]| -> Box<dyn stack::Stack> { Box::new(Bridge::new("l3tm31n!", capacity)) };
    check(&Subject { longest: MAX_LEN, amplifies_by: 0, make, converse });
}
