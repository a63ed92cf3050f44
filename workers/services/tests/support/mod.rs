//! A supervisor and workers that are nothing but their ends of sockets and segments.

pub(crate) mod device;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use channel::{Child, Order, Parent, Report, ServicesSetup, ShardSetup, Socket, WorkerInfo};
use config::Config;
use control::{Paths, Request, State};
use fabric::{
    Bell, BellSegment, MAX_MESSAGE, QueueReader, QueueSegment, QueueWriter, SERVICES, Segment, StateSegment,
    StateWriter, Stats, StatsSegment,
};
use nix::poll::{PollFd, PollFlags, poll};
use serde::de::DeserializeOwned;
use sys::{Ended, Spawn};

/// The longest that anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A worker's side.
pub(crate) struct Worker {
    slot: u8,
    wake: OwnedFd,
    page: Segment,
    pub(crate) stats: Stats,
    queues: [Segment; 2],
    bell: Bell,
    reports: QueueWriter,
    orders: QueueReader,
}

impl Worker {
    fn new(slot: u8, bells: &Segment) -> Self {
        let page = StatsSegment::create(0).unwrap();
        let queues = [QueueSegment::create().unwrap(), QueueSegment::create().unwrap()];
        Self {
            slot,
            wake: BellSegment::wake().unwrap(),
            stats: Stats::writer(page.writable()).unwrap(),
            page,
            bell: Bell::open(bells.writable(), slot.into()).unwrap(),
            reports: QueueWriter::open(queues[0].writable()).unwrap(),
            orders: QueueReader::open(queues[1].writable()).unwrap(),
            queues,
        }
    }

    /// The next order.
    pub(crate) fn order(&mut self) -> Order {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut buffer = [0; MAX_MESSAGE];
            if let Some(len) = self.orders.peek(&mut buffer) {
                self.orders.pop();
                return channel::read(&buffer[..len]).unwrap();
            }
            assert!(Instant::now() < end, "worker {} waits for an order", self.slot);
            if self.bell.sleep() {
                wait(self.wake.as_fd(), Duration::from_millis(50));
            }
            let _ = self.bell.take();
            let _ = nix::unistd::read(&self.wake, &mut [0; 8]);
        }
    }
}

/// What outlives the services.
pub(crate) struct Cluster {
    pub(crate) paths: Paths,
    pub(crate) config: Config,
    /// Services have served before.
    pub(crate) again: bool,
    pub(crate) workers: Vec<Worker>,
    pub(crate) states: Vec<StateWriter>,
    segments: Vec<Segment>,
    bells: Segment,
    wake: OwnedFd,
    page: Segment,
    pub(crate) stats: Stats,
    requests: UnixListener,
    _dir: tempfile::TempDir,
}

impl Cluster {
    /// Two workers with a shard each.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path());
        let requests = UnixListener::bind(paths.services()).unwrap();
        requests.set_nonblocking(true).unwrap();
        let mut config = Config::default();
        config.metrics.listen = "127.0.0.1:0".parse().unwrap();
        let bells = BellSegment::create().unwrap();
        let segments = vec![StateSegment::create(0).unwrap(), StateSegment::create(0).unwrap()];
        let page = StatsSegment::create(0).unwrap();
        Self {
            paths,
            config,
            again: false,
            workers: vec![Worker::new(0, &bells), Worker::new(1, &bells)],
            states: segments.iter().map(|s| StateWriter::open(s.writable()).unwrap()).collect(),
            segments,
            bells,
            wake: BellSegment::wake().unwrap(),
            stats: Stats::reader(page.read_only()).unwrap(),
            page,
            requests,
            _dir: dir,
        }
    }

    /// Starts the services, and waits until they are ready.
    pub(crate) fn start(&self) -> Services {
        let mut services = self.spawn();
        let Child::Ready { facts } = services.said() else { panic!("not ready") };
        services.facts = facts;
        services
    }

    /// Starts the services.
    pub(crate) fn spawn(&self) -> Services {
        let (socket, theirs) = Socket::pair().unwrap();
        self.set_up(&socket);
        let mut services = run(socket, &theirs);
        self.hand_over(&services);
        services.facts = BTreeMap::new();
        services
    }

    /// Services that are to take the place of others: they have all that is not those others' alone.
    pub(crate) fn prepare(&self) -> Services {
        let (socket, theirs) = Socket::pair().unwrap();
        self.set_up(&socket);
        socket.send(&Parent::Prepare, &[]).unwrap();
        let services = run(socket, &theirs);
        assert_eq!(services.said(), Child::Prepared);
        services
    }

    fn set_up(&self, socket: &Socket) {
        let setup = ServicesSetup {
            config: self.config.clone(),
            data_dir: self.paths.data(),
            again: self.again,
            generation: 1,
        };
        let fds = [self.bells.writable(), self.wake.as_fd(), self.page.writable(), self.requests.as_fd()];
        socket.send(&Parent::Services(Box::new(setup)), &fds).unwrap();
    }

    /// Gives services all that they look after, and lets them begin.
    pub(crate) fn hand_over(&self, services: &Services) {
        let socket = services.socket.as_ref().unwrap();
        for worker in &self.workers {
            let [reports, orders] = worker.queues.each_ref().map(Segment::writable);
            let fds = [worker.wake.as_fd(), worker.page.read_only(), reports, orders];
            let pages = Parent::Pages { slot: worker.slot, node: 25_011 + u32::from(worker.slot) };
            socket.send(&pages, &fds).unwrap();
        }
        for number in 0..self.segments.len() {
            let number = u8::try_from(number).unwrap();
            services.show(self, number.into(), number);
        }
        for worker in &self.workers {
            socket.send(&Parent::WorkerInfo(info(worker.slot, Some(100), State::Ready)), &[]).unwrap();
        }
        socket.send(&Parent::Go, &[]).unwrap();
    }

    /// A worker reports something and rings.
    pub(crate) fn report(&mut self, worker: usize, report: &Report) {
        let mut buffer = [0; MAX_MESSAGE];
        let worker = &mut self.workers[worker];
        assert!(worker.reports.push(channel::write(report, &mut buffer).unwrap()));
        worker.bell.ring(SERVICES, self.wake.as_fd());
    }

    /// A request of `bmctl`.
    pub(crate) fn ask<T: DeserializeOwned>(&self, request: &impl Request) -> Result<T, String> {
        control::request(&self.paths, request, PATIENCE).map_err(|error| error.to_string())
    }
}

fn run(socket: Socket, theirs: &Socket) -> Services {
    let program = File::open(env!("CARGO_BIN_EXE_bm-services")).unwrap();
    let output = std::io::stderr();
    let spawn = Spawn {
        program: program.as_fd(),
        name: "bm-services",
        channel: theirs.as_fd(),
        output: output.as_fd(),
        cpu: None,
    };
    Services { process: spawn.start().unwrap(), socket: Some(socket), facts: BTreeMap::new() }
}

/// News of a worker.
pub(crate) fn info(slot: u8, pid: Option<i32>, state: State) -> WorkerInfo {
    let ended = (state == State::Failed).then(|| "signal SIGKILL".to_owned());
    WorkerInfo { slot, pid, state, restarts: 3, generation: 1, ended }
}

/// The process.
pub(crate) struct Services {
    pub(crate) process: sys::Child,
    pub(crate) socket: Option<Socket>,
    pub(crate) facts: BTreeMap<String, String>,
}

impl Services {
    /// The next thing it says.
    pub(crate) fn said(&self) -> Child {
        let socket = self.socket.as_ref().unwrap();
        wait(socket.as_fd(), PATIENCE);
        socket.receive().unwrap().expect("it says something").0
    }

    /// Tells who serves a shard.
    pub(crate) fn show(&self, cluster: &Cluster, number: u16, worker: u8) {
        let shard = ShardSetup { number, stack: "mmdvm".to_owned(), quarantined: vec![] };
        let state = cluster.segments[usize::from(number)].read_only();
        self.socket.as_ref().unwrap().send(&Parent::State { shard, worker }, &[state]).unwrap();
    }

    pub(crate) fn tell(&self, message: &Parent) {
        self.socket.as_ref().unwrap().send(message, &[]).unwrap();
    }

    /// How it ended.
    pub(crate) fn ended(&self) -> Ended {
        wait(self.process.as_fd(), PATIENCE);
        self.process.ended().expect("it ends")
    }

    /// The answer to a GET: head and body.
    pub(crate) fn get(&self, path: &str) -> (String, String) {
        self.http(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    pub(crate) fn http(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.facts["metrics"]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }
}

fn wait(fd: std::os::fd::BorrowedFd<'_>, most: Duration) {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, u16::try_from(most.as_millis()).unwrap()).unwrap();
}
