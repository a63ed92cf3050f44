//! What the services can do in their sandbox, and what they cannot.

#![allow(clippy::unwrap_used, reason = "a failed test is to stop")]

mod support;

use std::fs::File;
use std::io::{ErrorKind, IoSlice, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::sys::socket::{AddressFamily, SockType};
use nix::unistd::Uid;
use sandbox::Profile;
use support::{inside, say};

/// The directory of the files.
const DIR: &str = env!("CARGO_TARGET_TMPDIR");

fn services() -> Profile<'static> {
    Profile::Services { data_dir: Path::new(DIR), uplinks: None, names: false }
}

#[test]
fn they_keep_their_user_and_lose_its_rights() {
    let left = inside("they_keep_their_user_and_lose_its_rights", services(), || (), |()| ());
    left.assert_done();
    let facts = format!("uid {}, no capabilities, no_new_privs, ", Uid::effective());
    assert!(left.said.contains(&facts) && left.said.contains(", seccomp"), "{}", left.said);
}

#[test]
fn they_keep_files_below_their_directory_alone() {
    let name = "they_keep_files_below_their_directory_alone";
    let path = Path::new(DIR).join(name);
    std::fs::write(&path, "old").unwrap();
    let left = inside(
        name,
        services(),
        || path.clone(),
        |path| {
            let file = File::options().read(true).write(true).open(path).unwrap();
            file.set_len(8).unwrap();
            file.write_all_at(b"new", 0).unwrap();
            file.sync_data().unwrap();
            let denied = File::open("/etc/passwd").is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
            say(if denied { "denied" } else { "opened" });
        },
    );
    let kept = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    left.assert_done();
    assert_eq!(kept, b"new\0\0\0\0\0");
    let landlock = !left.said.contains("no landlock");
    assert_eq!(left.said.contains("denied"), landlock, "{}", left.said);
}

#[test]
fn they_answer_on_the_sockets_they_have() {
    let listen = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener, client)
    };
    let left = inside("they_answer_on_the_sockets_they_have", services(), listen, |(listener, _client)| {
        let (stream, _) = listener.accept().unwrap();
        assert_eq!((&stream).write_vectored(&[IoSlice::new(b"x")]).unwrap(), 1);
        say("answered");
    });
    left.assert_done();
    assert!(left.said.contains("answered"), "{}", left.said);
}

#[test]
fn they_make_no_connection() {
    let connect = |()| drop(TcpStream::connect("127.0.0.1:9"));
    inside("they_make_no_connection", services(), || (), connect).assert_refused("socket");
}

#[test]
fn they_start_no_program() {
    let exec = |()| {
        let _ = nix::unistd::execv(c"/bin/true", &[c"true"]);
    };
    inside("they_start_no_program", services(), || (), exec).assert_refused("execve");
}

/// Connects to a port of its own that is named, and to one that is not, sends a datagram, and says how it went.
#[test]
fn they_reach_the_ports_that_are_named() {
    let name = "they_reach_the_ports_that_are_named";
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [named, other] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let ports = [named.port()];
    let profile = Profile::Services { data_dir: Path::new(DIR), uplinks: Some(&ports), names: false };
    let left = inside(
        name,
        profile,
        || (),
        |()| {
            TcpStream::connect(named).unwrap().set_nodelay(true).unwrap();
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
            let denied = |error: std::io::Error| error.kind() == ErrorKind::PermissionDenied;
            say(if TcpStream::connect(other).is_err_and(denied) { "denied" } else { "connected" });
        },
    );
    left.assert_done();
    assert_eq!(left.said.contains("denied"), !left.said.contains("no landlock"), "{}", left.said);
}

#[test]
fn they_have_no_sockets_of_the_kernel_even_so() {
    let profile = Profile::Services { data_dir: Path::new(DIR), uplinks: Some(&[]), names: false };
    let netlink = |()| {
        let flags = nix::sys::socket::SockFlag::empty();
        let _ = nix::sys::socket::socket(AddressFamily::Netlink, SockType::Raw, flags, None);
    };
    inside("they_have_no_sockets_of_the_kernel_even_so", profile, || (), netlink).assert_refused("socket");
}

/// A datagram to any port, TCP to that of name servers alone, and no socket but of the internet.
#[test]
fn they_ask_name_servers_where_there_are_names() {
    let name = "they_ask_name_servers_where_there_are_names";
    let profile = Profile::Services { data_dir: Path::new(DIR), uplinks: None, names: true };
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = other.local_addr().unwrap();
    let left = inside(
        name,
        profile,
        || (),
        |()| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
            // Whether one runs is of no matter.
            let denied = |error: &std::io::Error| error.kind() == ErrorKind::PermissionDenied;
            assert!(!TcpStream::connect("127.0.0.1:53").is_err_and(|error| denied(&error)));
            say(if TcpStream::connect(at).is_err_and(|error| denied(&error)) {
                "denied"
            } else {
                "connected"
            });
        },
    );
    left.assert_done();
    assert_eq!(left.said.contains("denied"), !left.said.contains("no landlock"), "{}", left.said);
}

#[test]
fn they_make_no_unix_socket_for_names() {
    let profile = Profile::Services { data_dir: Path::new(DIR), uplinks: None, names: true };
    let unix = |()| drop(std::os::unix::net::UnixStream::connect("/nowhere"));
    inside("they_make_no_unix_socket_for_names", profile, || (), unix).assert_refused("socket");
}
