//! A bridge in virtual time, and what its clients are told.

use std::net::SocketAddr;
use std::time::Duration;

use stack::{Gone, Input, Now, Output, Stack};

use crate::Bridge;

const TOKEN: &str = "l3tm31n!";

struct Bench {
    bridge: Bridge,
    now: Now,
}

fn client(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl Bench {
    fn new() -> Self {
        Self { bridge: Bridge::new(TOKEN, 2), now: Now::default() }
    }

    /// What comes out, in words.
    fn input(&mut self, input: Input<'_>) -> Vec<String> {
        self.bridge.handle_input(self.now, input);
        self.said()
    }

    fn said(&mut self) -> Vec<String> {
        let word = |output| match output {
            Output::Send(sent) => Some(String::from_utf8_lossy(sent.bytes()).into_owned()),
            Output::Up { context, profile } => Some(format!("up {context} {:?}", profile.statics[1])),
            Output::Down(context) => Some(format!("down {context}")),
            Output::Frame { context, stream, .. } => Some(format!("frame {context} {stream}")),
            Output::Refused(why) => Some(format!("{why:?}")),
            _ => None,
        };
        std::iter::from_fn(|| self.bridge.poll_output()).filter_map(word).collect()
    }

    fn hello(&mut self, from: SocketAddr, name: &str, talkgroups: &str, token: &str) -> Vec<String> {
        let text = format!(
            "{{\"hello\":{{\"name\":\"{name}\",\"talkgroups\":{talkgroups},\"token\":\"{token}\"}}}}"
        );
        self.input(Input::Datagram { listener: 0, from, local: None, bytes: text.as_bytes() })
    }

    fn pass(&mut self, seconds: u64) -> Vec<String> {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.bridge.handle_timeout(self.now);
        self.said()
    }
}

#[test]
fn a_client_is_there_as_long_as_it_says_so() {
    let mut bench = Bench::new();
    let said = bench.hello(client(1), "a", "[91]", TOKEN);
    assert_eq!((said[0].as_str(), said.len()), ("up 0 [91]", 2));
    assert!(said[1].starts_with("{\"welcome\":"), "{said:?}");
    assert!(bench.pass(29).is_empty());
    assert_eq!(bench.hello(client(1), "a", "[91]", TOKEN), said[1..], "nothing new");
    assert!(bench.pass(29).is_empty());
    assert_eq!(bench.hello(client(1), "a", "[92]", TOKEN)[0], "up 0 [92]");
    assert_eq!(bench.pass(30), ["down 0"]);
}

#[test]
fn a_name_has_one_address_and_an_address_one_name() {
    let mut bench = Bench::new();
    bench.hello(client(1), "a", "[]", TOKEN);
    assert_eq!(bench.hello(client(2), "a", "[]", TOKEN)[..2], ["down 0", "up 0 []"]);
    assert_eq!(bench.hello(client(2), "b", "[]", TOKEN)[..2], ["down 0", "up 0 []"]);
    bench.hello(client(1), "a", "[]", TOKEN);
    assert_eq!(bench.hello(client(3), "c", "[]", TOKEN), ["Full", "{\"refused\":\"full\"}"]);
    assert_eq!(
        bench.input(Input::Shutdown),
        ["down 0", "{\"bye\":\"shutdown\"}", "down 1", "{\"bye\":\"shutdown\"}"]
    );
}

#[test]
fn who_is_not_let_in_is_told_why_or_nothing() {
    let mut bench = Bench::new();
    let wrong = ["WrongPassword", "{\"refused\":\"token\"}"];
    assert_eq!(bench.hello(client(1), "a", "[]", "l3tm31n?"), wrong);
    assert_eq!(bench.hello(client(1), "a", "[]", ""), wrong);
    let bad = ["BadConfiguration", "{\"refused\":\"name or talkgroups\"}"];
    assert_eq!(bench.hello(client(1), "", "[]", TOKEN), bad);
    assert_eq!(bench.hello(client(1), "a b", "[]", TOKEN), bad);
    assert_eq!(bench.hello(client(1), "a", "[0]", TOKEN), bad);
    assert_eq!(bench.hello(client(1), "a", "[16777216]", TOKEN), bad);
    assert_eq!(bench.hello(client(1), "a", &format!("{:?}", [1; 17]), TOKEN), bad);
    assert_eq!(bench.hello("192.0.2.1:1".parse().unwrap(), "a", "[]", TOKEN), ["Denied"]);
    bench.hello(client(1), "a", "[]", TOKEN);
    let id = 0x811C_9DC5 ^ u32::from(b'a');
    let id = id.wrapping_mul(0x0100_0193) | 0x8000_0000;
    let evict = Input::Evict { id, keep: None, gone: Gone::Kicked };
    assert_eq!(bench.input(evict), ["down 0", "{\"bye\":\"kicked\"}"]);
}

#[test]
fn the_longest_record_fits() {
    let mut bench = Bench::new();
    let talkgroups = format!("{:?}", [0xFF_FFFF; 16]);
    let from = "[::1]:65535".parse().unwrap();
    assert_eq!(bench.hello(from, &"n".repeat(32), &talkgroups, TOKEN).len(), 2);
    let len = bench.bridge.encode_record(0, &mut [0; stack::MAX_RECORD]).unwrap();
    assert!((200..stack::MAX_RECORD - 64).contains(&len), "{len}");
}
