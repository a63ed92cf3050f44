//! A host in a box: workers set up as a supervisor does it, with real sockets and real shared memory, whose rounds the
//! caller runs himself. Logins are let in by whoever plays the services.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use channel::{Order, Parent, Report, ShardSetup, Socket, StackSetup, WorkerSetup};
use fabric::{
    Bell, BellSegment, MAX_MESSAGE, QueueReader, QueueSegment, QueueWriter, SERVICES, Segment, StateSegment,
    Stats, StatsSegment, WorkerSegment,
};
use nix::sys::epoll::{EpollEvent, EpollTimeout};
use sim::client::Client;
use stack::{Answer, Ask, DeviceSettings, Verdict};
use sys::Bind;

use crate::worker::Worker;
use crate::{StackFactory, setup};

const STACK: StackFactory = StackFactory {
    name: "mmdvm",
    longest: mmdvm::MAX_LEN,
    make: |options| {
        Ok(Box::new(mmdvm::Mmdvm::new(mmdvm::Settings {
            salt_key: options.salt_key,
            capacity: options.capacity,
            devices: options.devices.clone(),
            call_signs: options.call_signs.clone(),
        })))
    },
};
/// Shards of each worker.
const SHARDS: usize = 16;

/// A worker and all that a supervisor keeps of it.
struct Member {
    worker: Worker,
    address: SocketAddr,
    reports: QueueReader,
    orders: QueueWriter,
    wake: OwnedFd,
    stats: Stats,
    /// The supervisor's end: a worker whose supervisor is gone ends.
    _socket: Socket,
}

/// Workers, and who plays the services.
pub(super) struct Host {
    members: Vec<Member>,
    services: Bell,
    events: Vec<EpollEvent>,
}

impl Host {
    /// `workers` workers that run, beside `idle` siblings that do nothing.
    pub(super) fn new(workers: usize, idle: usize) -> Self {
        let bells = BellSegment::create().unwrap();
        let services_wake = BellSegment::wake().unwrap();
        let epochs = 1..=(workers + idle) as u64;
        let places: Vec<(Segment, OwnedFd)> = epochs
            .map(|epoch| (WorkerSegment::create(epoch).unwrap(), BellSegment::wake().unwrap()))
            .collect();
        let mut members: Vec<Member> =
            (0..workers).map(|slot| member(slot, &bells, services_wake.as_fd(), &places)).collect();
        // A worker keeps its panics to itself; a test tells them.
        let _ = std::panic::take_hook();
        members.iter_mut().for_each(|member| member.worker.begin(Default::default()).unwrap());
        let services = Bell::open(bells.writable(), SERVICES).unwrap();
        Self { members, services, events: vec![EpollEvent::empty(); 64] }
    }

    /// Logs a device in at a worker and returns its socket.
    pub(super) fn log_in(
        &mut self,
        worker: usize,
        id: u32,
        options: &str,
        registry: &DeviceSettings,
    ) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.connect(self.members[worker].address).unwrap();
        let mut client = Client::new(id, "passw0rd".into(), options.to_owned());
        let (mut packet, mut answer) = (Vec::new(), [0; 512]);
        client.start(0);
        while !client.is_running() {
            assert!(client.poll_output(&mut packet), "no answer to {:?} of {id}", client.step());
            socket.send(&packet).unwrap();
            self.turn();
            self.let_in(worker, registry);
            self.turn();
            while let Ok(len) = socket.recv(&mut answer) {
                client.handle_input(0, &answer[..len]);
            }
        }
        socket
    }

    /// Answers the logins that a worker asks for.
    fn let_in(&mut self, worker: usize, registry: &DeviceSettings) {
        let member = &mut self.members[worker];
        let mut buffer = [0; MAX_MESSAGE];
        while let Some(len) = member.reports.peek(&mut buffer) {
            let report = channel::read(&buffer[..len]).unwrap();
            member.reports.pop();
            let Report::Ask { shard, ask: Ask::Login(login) } = report else { continue };
            let verdict = Verdict::Accepted { settings: registry.clone() };
            let answer = Answer::Login { id: login.id, from: login.from, verdict };
            let order = Order::Answer { shard, answer };
            assert!(member.orders.push(channel::write(&order, &mut buffer).unwrap()));
        }
        self.services.ring(worker, member.wake.as_fd());
    }

    /// A device sends something, and the workers do all that follows.
    pub(super) fn send(&mut self, device: &UdpSocket, datagram: &[u8]) {
        device.send(datagram).unwrap();
        self.turn();
    }

    /// The workers do what there is to do until nothing is left.
    fn turn(&mut self) {
        loop {
            let mut quiet = true;
            for member in &mut self.members {
                let count = member.worker.poll(&mut self.events, EpollTimeout::ZERO).unwrap();
                if count > 0 || member.worker.bell.is_rung() {
                    member.worker.round(&self.events[..count]).unwrap();
                    quiet = false;
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// Takes what devices were sent and returns how many `DMRD` were among it; what services were told is dropped.
    pub(super) fn heard(&mut self, devices: &[UdpSocket]) -> usize {
        let mut buffer = [0; MAX_MESSAGE];
        for member in &mut self.members {
            while member.reports.peek(&mut buffer).is_some() {
                member.reports.pop();
            }
        }
        let mut heard = 0;
        for device in devices {
            while let Ok(len) = device.recv(&mut buffer) {
                heard += usize::from(buffer[..len].starts_with(b"DMRD"));
            }
        }
        heard
    }

    /// What a worker has counted.
    pub(super) fn count(&self, worker: usize, counter: fabric::Counter) -> u64 {
        self.members[worker].stats.get(counter)
    }
}

fn member(slot: usize, bells: &Segment, services: BorrowedFd<'_>, places: &[(Segment, OwnedFd)]) -> Member {
    let how = Bind { group: true, buffer: 1 << 20, ..Bind::default() };
    let first = sys::bind("127.0.0.1:0".parse().unwrap(), how).unwrap();
    let address = first.local_addr().unwrap();
    let others = (1..SHARDS).map(|_| sys::bind(address, how).unwrap());
    let sockets: Vec<UdpSocket> = std::iter::once(first).chain(others).collect();
    let (ours, theirs) = Socket::pair().unwrap();
    let calls = switch::Settings { max_burst_rate: 0, ..switch::Settings::default() };
    let setup = WorkerSetup {
        slot: slot as u8,
        node: 25_011 + slot as u32,
        stacks: vec![StackSetup { name: "mmdvm".into(), listen: vec![address], options: Default::default() }],
        salt_key: [1; 32],
        wake_us: 0,
        calls,
        devices: Default::default(),
        call_signs: Default::default(),
    };
    let (segment, wake) = &places[slot];
    let page = StatsSegment::create(0).unwrap();
    let (reports, orders) = (QueueSegment::create().unwrap(), QueueSegment::create().unwrap());
    let fds = [
        bells.writable(),
        wake.as_fd(),
        services,
        page.writable(),
        segment.writable(),
        reports.writable(),
        orders.writable(),
    ];
    ours.send(&Parent::Worker(Box::new(setup)), &fds).unwrap();
    for (number, socket) in (0..).zip(&sockets) {
        let state = StateSegment::create(0).unwrap();
        let shard = ShardSetup {
            number: slot as u16 * SHARDS as u16 + number,
            stack: "mmdvm".into(),
            quarantined: vec![],
        };
        ours.send(&Parent::Shard(shard), &[state.writable(), socket.as_fd()]).unwrap();
    }
    for (other, (segment, wake)) in (0..).zip(places).filter(|(other, _)| usize::from(*other) != slot) {
        let sibling = Parent::Sibling { slot: other, node: 25_011 + u32::from(other), end: (0, 0) };
        ours.send(&sibling, &[segment.read_only(), wake.as_fd()]).unwrap();
    }
    ours.send(&Parent::Go, &[]).unwrap();
    Member {
        worker: setup::receive(theirs, &[STACK]).unwrap().unwrap(),
        address,
        reports: QueueReader::open(reports.writable()).unwrap(),
        orders: QueueWriter::open(orders.writable()).unwrap(),
        wake: wake.try_clone().unwrap(),
        stats: Stats::reader(page.read_only()).unwrap(),
        _socket: ours,
    }
}
