//! What a worker can do in its sandbox, and what it cannot.

#![allow(clippy::unwrap_used, reason = "a failed test is to stop")]

mod support;

use std::collections::HashMap;
use std::fs::File;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use fabric::{Counter, Segment, Stats, StatsSegment};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{Uid, getppid};
use sandbox::Profile;
use support::{inside, say};
use sys::{Bind, ReceiveBatch, RunQueue, SendBatch};

const NOTHING: fn() = || ();

fn refused<T>(name: &str, prepare: fn() -> T, act: fn(T), call: &str) {
    inside(name, Profile::Worker, prepare, act).assert_refused(call);
}

#[test]
fn it_opens_no_file() {
    refused("it_opens_no_file", NOTHING, |()| drop(File::open("/etc/hostname")), "openat");
}

#[test]
fn it_makes_no_connection() {
    let connect = |()| {
        let _ = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], 9)));
    };
    refused("it_makes_no_connection", NOTHING, connect, "socket");
}

#[test]
fn it_connects_no_socket_that_it_has() {
    let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let connect = |socket: UdpSocket| {
        let _ = socket.connect(SocketAddr::from(([127, 0, 0, 1], 9)));
    };
    refused("it_connects_no_socket_that_it_has", bind, connect, "connect");
}

#[test]
fn it_looks_into_no_process() {
    let attach = |pid| {
        let _ = nix::sys::ptrace::seize(pid, nix::sys::ptrace::Options::empty());
    };
    refused("it_looks_into_no_process", getppid, attach, "ptrace");
}

#[test]
fn it_signals_no_process() {
    let stop = |pid| {
        let _ = nix::sys::signal::kill(pid, Signal::SIGCONT);
    };
    refused("it_signals_no_process", getppid, stop, "kill");
}

#[test]
fn it_becomes_no_other_program() {
    let exec = |()| {
        let _ = nix::unistd::execv(c"/bin/true", &[c"true"]);
    };
    refused("it_becomes_no_other_program", NOTHING, exec, "execve");
}

#[test]
fn it_makes_no_thread() {
    let thread = |()| {
        let _ = std::thread::Builder::new().spawn(|| ());
    };
    // Without last words: the C library blocks all signals meanwhile.
    inside("it_makes_no_thread", Profile::Worker, NOTHING, thread).assert_ended_by(Signal::SIGSYS);
}

#[test]
fn it_makes_no_code() {
    let run = |()| {
        let map = memmap2::MmapMut::map_anon(4096).unwrap();
        let _ = map.make_exec();
    };
    refused("it_makes_no_code", NOTHING, run, "mprotect");
}

/// What a worker has when it begins.
struct Tools {
    supervisor: OwnedFd,
    channel: OwnedFd,
    socket: UdpSocket,
    address: SocketAddr,
    epoll: Epoll,
    queue: RunQueue,
    bell: EventFd,
    page: Segment,
}

fn tools() -> Tools {
    let flags = SockFlag::SOCK_CLOEXEC;
    let (supervisor, channel) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
    let socket = sys::bind("127.0.0.1:0".parse().unwrap(), Bind::default()).unwrap();
    Tools {
        supervisor,
        channel,
        address: socket.local_addr().unwrap(),
        socket,
        epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap(),
        queue: RunQueue::open(),
        bell: EventFd::new().unwrap(),
        page: StatsSegment::create(1).unwrap(),
    }
}

/// Takes a page and a socket as if from its supervisor, and serves both.
fn serve(mut tools: Tools) {
    sys::send(tools.supervisor.as_fd(), b"a shard", &[tools.page.writable(), tools.socket.as_fd()]).unwrap();
    let (len, fds) = sys::receive(tools.channel.as_fd(), &mut [0; 16]).unwrap();
    assert_eq!(len, 7);
    let [page, socket] = <[OwnedFd; 2]>::try_from(fds).unwrap();
    let stats = Stats::writer(page.as_fd()).unwrap();
    drop(page);
    let socket = UdpSocket::from(socket);
    let outlet = socket.try_clone().unwrap();
    tools.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, 7)).unwrap();
    let (mut out, mut came) = (SendBatch::new(4, 64), ReceiveBatch::new(4, 64));
    out.push(tools.address, None, b"burst");
    assert_eq!(out.flush(outlet.as_fd()).sent, 1);
    let mut events = [EpollEvent::empty()];
    assert_eq!(tools.epoll.wait(&mut events, EpollTimeout::NONE).unwrap(), 1);
    assert_eq!(came.receive(socket.as_fd()).unwrap(), 1);
    assert_eq!(came.get(0).unwrap().bytes, b"burst");
    stats.add(Counter::DatagramsIn, 1);
    tools.bell.write(1).unwrap();
    let _ = tools.queue.is_crowded(Instant::now());
    // A table that grows large and goes.
    let table: HashMap<u32, [u64; 32]> = (0..50_000).map(|key| (key, [0; 32])).collect();
    let mut list = Vec::new();
    (0..1_000_000_u64).for_each(|n| list.push(n));
    assert_eq!((table.len(), list.len(), stats.get(Counter::DatagramsIn)), (50_000, 1_000_000, 1));
    say("served");
}

#[test]
fn it_serves_what_it_is_given() {
    let left = inside("it_serves_what_it_is_given", Profile::Worker, tools, serve);
    left.assert_done();
    assert!(left.said.contains("served"), "{}", left.said);
}

#[test]
fn it_says_what_is_in_force() {
    let left = inside("it_says_what_is_in_force", Profile::Worker, NOTHING, |()| ());
    left.assert_done();
    let uid = if Uid::effective().is_root() { Uid::from_raw(65_534) } else { Uid::effective() };
    let facts = format!("uid {uid}, no capabilities, no_new_privs, ");
    assert!(left.said.contains(&facts) && left.said.contains(", seccomp"), "{}", left.said);
}

#[test]
fn a_panic_has_its_place_though_no_file_can_be_opened() {
    let panics = |()| {
        let _ = std::panic::catch_unwind(|| panic!("over"));
    };
    let left = inside("a_panic_has_its_place_though_no_file_can_be_opened", Profile::Worker, NOTHING, panics);
    left.assert_done();
    let place = left.said.rsplit(":\nover\n  ").next().unwrap();
    assert!(place.contains(" worker.rs:"), "{}", left.said);
}

#[test]
fn an_abort_has_its_place_too() {
    let left = inside("an_abort_has_its_place_too", Profile::Worker, NOTHING, |()| std::process::abort());
    assert!(left.said.contains("SIGABRT\n  ") && left.said.contains(" worker.rs:"), "{}", left.said);
    left.assert_ended_by(Signal::SIGABRT);
}
