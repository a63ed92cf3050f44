//! The proxy that other tests put between hosts does what it says, and says what it did.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

const DATAGRAMS: u32 = 1000;

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Longer than anything is under way: then nothing more comes.
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

/// How often each of the datagrams came, and whence. What is sent is sent so slowly that
/// buffers hold it though nobody reads for half a second.
fn send_all(from: &UdpSocket, to: SocketAddr, at: &UdpSocket) -> (BTreeMap<u32, u64>, SocketAddr) {
    let receiver = at.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut came, mut whence) = (BTreeMap::new(), None);
        let mut bytes = [0; 64];
        while let Ok((4, from)) = receiver.recv_from(&mut bytes) {
            *came.entry(u32::from_be_bytes(*bytes.first_chunk().unwrap())).or_insert(0) += 1;
            whence = Some(from);
        }
        (came, whence.unwrap())
    });
    for n in 0..DATAGRAMS {
        from.send_to(&n.to_be_bytes(), to).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    reader.join().unwrap()
}

#[test]
fn loses_and_doubles_both_ways_as_it_says() {
    let (client, server) = (socket(), socket());
    let mut proxy = Command::new(env!("CARGO_BIN_EXE_bad-path"))
        .args(["127.0.0.1:0", "127.0.0.1:0", &server.local_addr().unwrap().to_string()])
        .args(["seed=7", "loss=0.1", "delay_ms=5", "jitter_ms=20", "reordered=0.05", "duplicated=0.1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(proxy.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    let (near, far): (SocketAddr, SocketAddr) = (words[1].parse().unwrap(), words[3].parse().unwrap());
    let (there, whence) = send_all(&client, near, &server);
    assert_eq!(whence, far);
    let (back, whence) = send_all(&server, far, &client);
    assert_eq!(whence, near);
    drop(proxy.stdin.take());
    let mut counts = String::new();
    output.read_to_string(&mut counts).unwrap();
    assert!(proxy.wait().unwrap().success());
    for (name, came, line) in [("there", there, counts.lines().next()), ("back", back, counts.lines().nth(1))]
    {
        let line = line.unwrap();
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [sent, lost, reordered, duplicated] = numbers[..] else { panic!("{line}") };
        let distinct = came.len() as u64;
        assert!(line.starts_with(name) && sent == u64::from(DATAGRAMS), "{line}");
        assert_eq!((sent - lost, came.values().sum::<u64>()), (distinct, distinct + duplicated), "{line}");
        assert!((60..140).contains(&lost) && (15..90).contains(&reordered), "{line}");
    }
}
