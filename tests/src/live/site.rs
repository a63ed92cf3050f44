//! A device: a simulated client and its socket.

use std::net::UdpSocket;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike};
use scenario::Device;
use sim::client::{Client, Slots};
use stack::Slot;
use sys::{Clocks, ReceiveBatch};

use crate::PASSWORD;

/// The longest datagram of a master is a `DMRD` of 55 bytes.
const DATAGRAM: usize = 128;
const BATCH: usize = 16;

pub(super) struct Site {
    client: Client,
    socket: UdpSocket,
    batch: ReceiveBatch,
    out: Vec<u8>,
}

impl Site {
    /// Begins the login of a device.
    pub(super) fn new(device: &Device, socket: UdpSocket) -> Self {
        let slots = match device.slots {
            stack::Slots::Both => Slots::Both,
            stack::Slots::Only(Slot::One) => Slots::One,
            stack::Slots::Only(Slot::Two) => Slots::Two,
            stack::Slots::Simplex => Slots::Simplex,
        };
        let client = Client::new(device.id, PASSWORD.into(), options(device));
        Self::start(client.with_carrier(device.colour_code, slots), socket)
    }

    /// Begins a login.
    pub(super) fn start(mut client: Client, socket: UdpSocket) -> Self {
        client.start(Clocks::now().mono_us);
        let mut site = Self { client, socket, batch: ReceiveBatch::new(BATCH, DATAGRAM), out: Vec::new() };
        site.flush();
        site
    }

    pub(super) fn id(&self) -> u32 {
        self.client.id()
    }

    pub(super) fn is_running(&self) -> bool {
        self.client.is_running()
    }

    /// Sends what the client has to say.
    fn flush(&mut self) {
        while self.client.poll_output(&mut self.out) {
            self.send(&self.out);
        }
    }

    /// Takes in what has come and does what is due. `heard` is given each `DMRD`, with the kernel's time of its
    /// arrival in microseconds since 1970.
    pub(super) fn serve(&mut self, now_us: u64, heard: &mut dyn FnMut(u64, &[u8])) {
        loop {
            // An error is one that the network reported about an earlier datagram.
            let count = self.batch.receive(self.socket.as_fd()).unwrap_or(0);
            for received in (0..count).filter_map(|i| self.batch.get(i)) {
                if received.bytes.starts_with(b"DMRD") {
                    heard(received.at_us, received.bytes);
                } else {
                    self.client.handle_input(now_us, received.bytes);
                }
            }
            if count < BATCH {
                break;
            }
        }
        if now_us >= self.client.poll_timeout() {
            self.client.handle_timeout(now_us);
        }
        self.flush();
    }

    pub(super) fn send(&self, bytes: &[u8]) {
        self.socket.send(bytes).unwrap();
    }

    /// Asks for the static talkgroups that the device has now.
    pub(super) fn send_options(&self, device: &Device) {
        self.send(&[b"RPTO", &device.id.to_be_bytes()[..], options(device).as_bytes()].concat());
    }

    /// Says goodbye.
    pub(super) fn close(&mut self) {
        self.client.close();
        self.flush();
    }

    /// Says goodbye, and gives the socket back.
    pub(super) fn into_socket(mut self) -> UdpSocket {
        self.close();
        self.socket
    }
}

/// The text of a device's `RPTO`.
fn options(device: &Device) -> String {
    let [ts1, ts2] = &device.statics;
    let single = if device.single { ";SINGLE=1" } else { "" };
    format!("{}{single}", sim::client::options(ts1, ts2))
}

/// Waits until something has come for one of the sites, at most so long.
pub(super) fn wait(sites: &[Option<Site>], us: u64) {
    let mut fds: Vec<_> =
        sites.iter().flatten().map(|site| PollFd::new(site.socket.as_fd(), PollFlags::POLLIN)).collect();
    let most = TimeSpec::microseconds(i64::try_from(us).unwrap_or(i64::MAX));
    // A signal is as good as a datagram: the caller looks at the clock.
    let _ = ppoll(&mut fds, Some(most), None);
}
